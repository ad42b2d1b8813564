"""A counter, as an environment: what has to be there so that tasks can be done in it."""

from __future__ import annotations

from collections.abc import Callable

from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.errors import ScoreError
from lbi.protocols import CallTimeouts, Outcome
from lbi.records import Action, Observation, Task, digest_of

ACTIONS = 'up()\ndown()\nfinish("answer")'


def create(config: Config, save_image: Callable[[bytes], str]) -> Counters:
    return Counters()


async def documents(counters: Counters) -> tuple[DocumentSource, ...]:
    """The documentation that comes with it; more is named in the config."""
    return (DocumentSource(title="Counting", text="To count, press up once for each. Press down to undo it."),)


class Counters:
    """What the workers share; opens an environment for each of them."""

    name = "counter"
    restores = True  # every episode begins with the same state, so examples can be replayed
    timeouts = CallTimeouts()

    async def open(self) -> Counter:
        return Counter()

    async def close(self) -> None:
        return None


class Counter:
    """One episode at a time. A nonsense action is an observation with an error, never an exception."""

    name = "counter"
    actions = ACTIONS

    def __init__(self) -> None:
        self._count = 0

    async def reset(self, task: Task) -> Observation:
        self._count = 0
        return self._observation()

    async def step(self, action: str) -> Outcome:
        kind = action.partition("(")[0].strip()
        self._count += {"up": 1, "down": -1}.get(kind, 0)
        error = "" if kind in ("up", "down", "finish") else f"there is no action {kind!r}, only up, down, finish"
        # the grounded form is the action as an example shows it: of a page, role and name of what was pressed
        grounded = Action(text=action, kind=kind)
        answer = action.partition('("')[2].removesuffix('")') if kind == "finish" else ""
        return Outcome(action=grounded, observation=self._observation(error), done=kind == "finish", answer=answer)

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        if task.check is None or not task.check.answer:
            raise ScoreError("a counter is only asked for answers")
        return float(answer in task.check.answer), f"the answer is {answer!r}"

    async def close(self) -> None:
        return None

    def _observation(self, error: str = "") -> Observation:
        text = f"The counter shows {self._count}."
        return Observation(text=text, url="/", title="Counter", digest=digest_of(self._count), error=error)
