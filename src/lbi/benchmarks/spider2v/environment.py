"""Spider2-V's tasks as environments: a private desktop for each episode, begun and judged as the task's file says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from lbi.benchmarks.spider2v import interpreters, practice
from lbi.benchmarks.spider2v.checkout import Checkout, Official, apps_of
from lbi.benchmarks.spider2v.desktop import CONDA, SHIMS, desktop_for
from lbi.benchmarks.spider2v.getters import Getters
from lbi.benchmarks.spider2v.judge import judge
from lbi.benchmarks.spider2v.steps import SCRIPT_SECONDS, MalformedStep, Steps
from lbi.benchmarks.spider2v.terminal import ACTIONS, Terminal, command_in
from lbi.environments.desktop.environment import DesktopEnvironment, DesktopEnvironments
from lbi.environments.desktop.session import DesktopEnded, DesktopRefused
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.protocols import CallTimeouts, Foreseen, Outcome
from lbi.records import Observation, Task


class Spider2VEnvironments:
    """Opens desktops by the program of the task at hand; the interpreters are made when they are first needed."""

    name = "spider2v"
    restores = True
    timeouts = CallTimeouts(reset=2 * SCRIPT_SECONDS, step=420.0, score=3 * SCRIPT_SECONDS)

    def __init__(
        self, checkout: Checkout, apps: Collection[str], *, screenshots: bool, save_image: Callable[[bytes], str]
    ) -> None:
        """``apps``: programs whose tasks are chosen; the first is practised on where no task is given."""
        self.checkout = checkout
        self.apps = apps_of(apps)
        self._screenshots, self._save = screenshots, save_image
        self._opened: dict[str, DesktopEnvironments] = {}
        self._making = asyncio.Lock()
        self._failed: dict[str, str] = {}  # what cannot be made is not tried for each task anew

    async def open(self) -> Spider2VEnvironment:
        return Spider2VEnvironment(self)

    async def of(self, app: str) -> DesktopEnvironments:
        """Raises EnvironmentFailure where its interpreter cannot be made or its programs are not installed."""
        async with self._making:
            if app not in self._opened:
                folder = await self.made(app) if app in CONDA else None
                try:
                    desktop = desktop_for(app, {app: folder} if folder else {})
                    self._opened[app] = DesktopEnvironments(
                        desktop, screenshots=self._screenshots, save_image=self._save
                    )
                except UserError as error:
                    raise EnvironmentFailure(str(error), kind="sandbox") from None
        return self._opened[app]

    async def made(self, app: str) -> Path:
        """The folder of an interpreter. Raises EnvironmentFailure, each time for the same reason."""
        return await self._once(app, lambda: interpreters.environment(self.checkout.folder, app))

    async def grader(self) -> Path:
        """The interpreter that the metrics run on. Raises ScoreError."""
        try:
            return await self._once("the metrics", interpreters.grader)
        except EnvironmentFailure as failure:
            raise ScoreError(str(failure)) from None

    async def close(self) -> None:
        await asyncio.gather(*(opened.close() for opened in self._opened.values()))
        self._opened.clear()

    async def _once(self, what: str, make: Callable[[], Path]) -> Path:
        if what not in self._failed:
            try:
                return await asyncio.to_thread(make)
            except UserError as error:
                self._failed[what] = f"no interpreter for {what}: {' '.join(str(error).split())[:400]}"
        raise EnvironmentFailure(self._failed[what], kind="sandbox")


class Spider2VEnvironment:
    """One episode at a time, on the desktop of its task's program."""

    name = "spider2v"
    actions = ACTIONS

    def __init__(self, environments: Spider2VEnvironments) -> None:
        self._environments = environments
        self._desktop: DesktopEnvironment | None = None
        self._app = ""
        self._steps: Steps | None = None
        self._terminal: Terminal | None = None

    async def reset(self, task: Task) -> Observation:
        """A fresh desktop with what the task's file says done. Raises EnvironmentFailure."""
        official = self._official(task)
        await self._on_desktop_of(official.app if official else self._environments.apps[0])
        desktop, steps = self._open_desktop()
        await desktop.reset(task.model_copy(update={"start_url": ""}))
        begin: Iterable[dict[str, Any]] = official.config if official else practice.STEPS[self._app]
        async with _no_fault_of_an_agent(f"{task.name or 'practice'} could not be set up"):
            await steps.run(["bash", "-c", SHIMS])
            await steps.carry_out(begin)
            await steps.until_window()
            self._terminal = Terminal(steps)
            return await desktop.look()

    async def step(self, action: str) -> Outcome:
        desktop, _ = self._open_desktop()
        command = command_in(action)
        if command is None or self._terminal is None:
            return await desktop.step(action)
        try:
            notes, error = await self._terminal.run(command.value)
        except (DesktopEnded, DesktopRefused) as ended:
            notes, error = [], f"the desktop was started again: {ended}"
        seen = await desktop.look(*notes)
        return Outcome(action=command.action, observation=seen.model_copy(update={"error": error}) if error else seen)

    async def foresee(self, action: str) -> Foreseen:
        desktop, _ = self._open_desktop()
        command = command_in(action)
        return command.foreseen if command else await desktop.foresee(action)

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """By the authors' scripts and metrics. Raises ScoreError where these fail, EnvironmentFailure."""
        desktop, steps = self._open_desktop()
        official = self._official(task)
        if official is None:
            raise ScoreError(f"task {task.name or task.id} is none of Spider2-V's")
        python = await self._environments.grader()
        checkout = self._environments.checkout
        try:
            await steps.carry_out(official.evaluator.get("postconfig", ()))
            sides = await Getters(checkout, steps, desktop.session).sides(official)
        except MalformedStep as malformed:
            raise ScoreError(str(malformed)) from None
        except (DesktopEnded, DesktopRefused) as ended:  # it reads what the agent made, which must not unscore itself
            return 0.0, f"what is on the desktop cannot be judged: {ended}"
        score, why = (await judge(checkout, python, [sides]))[0]
        if score is None:
            raise ScoreError(why)
        return score, why

    async def place(self, path: str, content: bytes) -> None:
        """Put a file into the home folder, for a proof with the expected one."""
        desktop, _ = self._open_desktop()
        await desktop.session.sandbox.upload(path, content)

    async def close(self) -> None:
        if self._desktop is not None:
            await self._desktop.close()
        self._desktop = None

    async def _on_desktop_of(self, app: str) -> None:
        if self._desktop is not None and self._app == app:
            return
        await self.close()
        opened = await self._environments.of(app)
        try:
            self._desktop, self._app = await opened.open(), app
        except UserError as error:
            raise EnvironmentFailure(str(error), kind="sandbox") from None
        self._steps = Steps(self._environments.checkout, opened.desktop, self._desktop.session)

    def _official(self, task: Task) -> Official | None:
        return self._environments.checkout.tasks.get(task.check.grader) if task.check else None

    def _open_desktop(self) -> tuple[DesktopEnvironment, Steps]:
        if self._desktop is None or self._steps is None:
            raise EnvironmentFailure("the environment is not reset yet, or closed", kind="sandbox")
        return self._desktop, self._steps


@contextlib.asynccontextmanager
async def _no_fault_of_an_agent(what: str) -> AsyncIterator[None]:
    try:
        yield
    except (DesktopRefused, DesktopEnded, OSError) as error:
        raise EnvironmentFailure(f"{what}: {error}", kind="sandbox") from None
