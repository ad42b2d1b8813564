"""MiniWoB++'s pages as environments: ``web``, but the page itself says when the episode is over and what it earned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lbi.benchmarks.miniwob.site import Site, pages_folder
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.errors import EnvironmentFailure
from lbi.protocols import CallTimeouts, Outcome
from lbi.records import Observation, Task

#: pages begin when they have loaded, which is after they can be looked at
BEGUN = """new Promise(done => {
  const begun = () => typeof core !== 'undefined' && core.ept0 !== null;
  const look = () => begun() ? done(true) : performance.now() > 15000 ? done(false) : setTimeout(look, 10);
  look();
})"""
STATE = """({
  begun: typeof core !== 'undefined' && core.ept0 !== null,
  done: typeof WOB_DONE_GLOBAL !== 'undefined' && WOB_DONE_GLOBAL,
  reward: typeof WOB_RAW_REWARD_GLOBAL === 'undefined' ? 0 : WOB_RAW_REWARD_GLOBAL,
  reason: typeof WOB_REWARD_REASON === 'undefined' ? null : WOB_REWARD_REASON,
  query: (document.getElementById('query') || {textContent: ''}).textContent,
})"""


class MiniwobEnvironments:
    """All workers share one server, as its pages keep their state in the browser alone."""

    name = "miniwob"
    restores = True
    several = True
    timeouts = CallTimeouts()

    def __init__(self, checkout: str, screenshots: bool, save_image: Callable[[bytes], str]) -> None:
        self._site = Site(pages_folder(checkout))
        self._web = WebEnvironments(base_url=self._site.url, screenshots=screenshots, save_image=save_image)

    async def open(self) -> MiniwobEnvironment:
        return MiniwobEnvironment(await self._web.open())

    async def close(self) -> None:
        await self._web.close()
        self._site.close()


class MiniwobEnvironment:
    """One episode is one problem of one page. It ends by finish(...) or when the page says that it is over."""

    name = "miniwob"

    def __init__(self, web: WebEnvironment) -> None:
        self._web = web
        self.actions = web.actions

    async def reset(self, task: Task) -> Observation:
        first = await self._web.reset(task)
        if not task.start_url:  # no page is meant, as where a run only looks whether the environment comes up
            return first
        if await self._web.evaluate(BEGUN) is not True:
            raise EnvironmentFailure(f"the page {task.start_url} did not begin an episode")
        return await self._web.observe()

    async def step(self, action: str) -> Outcome:
        outcome = await self._web.step(action)
        if not outcome.done and (await self._state())["done"]:
            return outcome.model_copy(update={"done": True})
        return outcome

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """What the page gave, without its discount for time: of -1 to 1, with all below 0 as 0."""
        state = await self._state()
        if not state["begun"]:  # it had begun when the episode did, so the agent left it
            return 0.0, "the page was left before the task was done"
        if not state["done"]:
            return 0.0, "the page says that the task is not done"
        reward = float(state["reward"])
        return min(1.0, max(0.0, reward)), f"the page's reward is {reward:g}: {state['reason'] or 'no reason given'}"

    async def lost(self) -> None:
        await self._web.lost()

    async def close(self) -> None:
        await self._web.close()

    async def query(self) -> str:
        """The instruction as the page shows it."""
        return " ".join(str((await self._state())["query"]).split())

    async def facts(self, script: str) -> dict[str, Any]:
        """What a script finds out about the page, for measurements."""
        found = await self._web.evaluate(script)
        return found if isinstance(found, dict) else {}

    async def _state(self) -> dict[str, Any]:
        state = await self._web.evaluate(STATE)
        return state if isinstance(state, dict) else {"begun": False, "done": False, "query": ""}
