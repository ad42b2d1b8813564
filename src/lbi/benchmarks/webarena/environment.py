"""WebArena's sites as environments: ``web``, with every request recorded, and several sites in one task."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from lbi.benchmarks.webarena.evaluate import Grader
from lbi.benchmarks.webarena.oracle import filled_in
from lbi.benchmarks.webarena.original import grade
from lbi.benchmarks.webarena.recorder import Recorder
from lbi.benchmarks.webarena.sites import Site, Sites, application
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.errors import EnvironmentFailure, ScoreError
from lbi.protocols import CallTimeouts, Outcome
from lbi.records import Observation, Task
from lbi.sandbox.host import run_on_host

#: Tasks that say "leave the form filled in and do not submit it" are judged by a request to this address that fails.
REVIEWED = "dummy_bin"
#: sends there what the form holds in which most was filled in, as its own button would
SEND_FORM = """(async () => {
  const filled = one => one.value !== undefined && one.value !== one.defaultValue;
  const changed = form => [...form.elements].filter(filled).length;
  const forms = [...document.forms].sort((a, b) => changed(b) - changed(a));
  if (!forms.length) return false;
  const body = new URLSearchParams(new FormData(forms[0]));
  if (!body.has('form_id')) body.set('form_id', forms[0].id);
  await fetch(new URL('/ADDRESS', location.href), {method: 'POST', body}).catch(() => {});
  return true;
})()""".replace("ADDRESS", REVIEWED)


class WebArenaEnvironments:
    """One worker at a time, as everybody else's sites have one state. A set of sites has a browser of its own."""

    name = "webarena"
    timeouts = CallTimeouts(reset=1800.0)  # putting a site back may mean to make its container anew

    def __init__(
        self,
        tasks: dict[str, dict[str, Any]],
        sites: Sites,
        actions: str,
        screenshots: bool,
        save: Callable[[bytes], str],
    ) -> None:
        self.tasks, self.sites, self.actions = tasks, sites, actions
        used = sites.of(list(Sites.model_fields))
        self.restores = bool(used) and all(site.reset for site in used.values())
        self.grader = Grader(sites.addresses)
        self._screenshots, self._save = screenshots, save
        self._opened: list[WebEnvironments] = []

    async def open(self) -> WebArenaEnvironment:
        return WebArenaEnvironment(self)

    def of(self, names: tuple[str, ...], recorder: Recorder) -> WebEnvironments:
        """Environments of the sites of one task."""
        opened = WebEnvironments(
            application("-".join(names).replace("_", "-"), self.sites.of(names)),
            screenshots=self._screenshots,
            save_image=self._save,
            watch=recorder.watch,
        )
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        await asyncio.gather(*(opened.close() for opened in self._opened))
        self._opened.clear()


class WebArenaEnvironment:
    """Opens the sites of the task at hand, and asks the evaluator while they are open."""

    name = "webarena"

    def __init__(self, environments: WebArenaEnvironments) -> None:
        self.actions = environments.actions
        self._environments = environments
        self._recorder = Recorder()
        self._by_sites: dict[tuple[str, ...], WebEnvironment] = {}
        self._web: WebEnvironment | None = None

    async def reset(self, task: Task) -> Observation:
        raw = self._raw(task)
        names = tuple(raw["sites"])
        for site in self._environments.sites.of(names).values():
            await asyncio.to_thread(_put_back, site)
        if names not in self._by_sites:
            self._by_sites[names] = await self._environments.of(names, self._recorder).open()
        self._web = self._by_sites[names]
        address = self._environments.sites.addresses
        start = filled_in((raw.get("start_urls") or raw["start_url"].split(" |AND| "))[0], address)
        self._recorder.begin()
        return await self._web.reset(task.model_copy(update={"start_url": start}))

    async def step(self, action: str) -> Outcome:
        return await self._open_web().step(action)

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """Raises ScoreError where the evaluator itself fails."""
        raw, web = self._raw(task), self._open_web()
        if isinstance(raw["eval"], dict):
            return await grade(raw, answer, web.address, self._environments.sites.addresses, self._ask)
        if REVIEWED in json.dumps(raw["eval"]):
            await web.refuse_requests(f"**/{REVIEWED}")
            await web.evaluate(SEND_FORM)
        return self._environments.grader.score(raw["task_id"], answer, await self._recorder.entries())

    async def lost(self) -> None:
        if self._web is not None:
            await self._web.lost()
        else:
            await asyncio.Event().wait()

    async def close(self) -> None:
        await asyncio.gather(*(web.close() for web in self._by_sites.values()))
        self._by_sites.clear()
        self._web = None

    async def _ask(self, url: str, script: str) -> object:
        web = self._open_web()
        if urljoin(web.address, url) != web.address:
            outcome = await web.step(f"goto({json.dumps(url)})")
            if outcome.observation.error:
                raise ScoreError(f"{url} cannot be looked at: {outcome.observation.error}")
        return await web.evaluate(script)

    def _raw(self, task: Task) -> dict[str, Any]:
        grader = task.check.grader if task.check else ""
        if grader not in self._environments.tasks:
            raise ScoreError(f"task {task.name or task.id} is none of WebArena's")
        return self._environments.tasks[grader]

    def _open_web(self) -> WebEnvironment:
        if self._web is None:
            raise EnvironmentFailure("the environment is not reset yet, or closed")
        return self._web


def _put_back(site: Site) -> None:
    if not site.reset:
        return
    import os

    try:
        done = run_on_host(list(site.reset), cwd=Path.cwd(), env=dict(os.environ), timeout=site.reset_seconds)
    except (OSError, TimeoutError) as error:
        raise EnvironmentFailure(f"the reset of {site.url} could not run: {error}") from error
    if done.exit_code:
        said = (done.output + done.errors).decode("utf-8", "replace")[-300:]
        raise EnvironmentFailure(f"the reset of {site.url} exited with {done.exit_code}: {said}")
