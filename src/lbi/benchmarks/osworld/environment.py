"""OSWorld's tasks on a private desktop: their config is carried out, and their own evaluators judge what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from lbi.benchmarks.osworld.desktop import CALLED, KEPT_FOLDERS, desktop_of_tasks
from lbi.benchmarks.osworld.grading import SECONDS as JUDGING
from lbi.benchmarks.osworld.grading import Judges
from lbi.benchmarks.osworld.needs import missing_files
from lbi.benchmarks.osworld.setup import MalformedStep, Setup
from lbi.benchmarks.osworld.suite import Suite
from lbi.benchmarks.osworld.task import TaskFile
from lbi.documents.corpus import DocumentSource
from lbi.environments.desktop.environment import DesktopEnvironment, DesktopEnvironments
from lbi.environments.desktop.serve import DesktopServer
from lbi.environments.desktop.session import DesktopEnded, DesktopRefused
from lbi.errors import EnvironmentFailure, ScoreError
from lbi.protocols import CallTimeouts, Foreseen, Outcome
from lbi.records import Observation, Task

TRIES = 5  # to begin a task: some programs fail now and then to tell what they show, however long one waits
CANNOT = ("infeasible", "fail")  # first words of an answer that says that a task cannot be done
#: the three words in which agents written for OSWorld end or wait
WORDS = {"DONE": 'finish("")', "FAIL": 'finish("infeasible")', "WAIT": "wait()"}


class OSWorldEnvironments:
    """What the workers share: the tasks, the pristine home folder, and the interpreter of the evaluators."""

    name = "osworld"
    restores = True

    def __init__(
        self, suite: Suite, actions: str, screenshots: bool, save_image: Callable[[bytes], str] | None
    ) -> None:
        self.suite, self.actions = suite, actions
        self.desktops = DesktopEnvironments(desktop_of_tasks(), screenshots=screenshots, save_image=save_image)
        desktop = self.desktops.desktop
        self.judges = Judges(suite.interpreter, suite.evaluators, (desktop.width, desktop.height))
        inner = self.desktops.timeouts
        self.timeouts = CallTimeouts(reset=900.0, step=inner.step, score=600.0 + JUDGING)

    async def open(self) -> OSWorldEnvironment:
        return OSWorldEnvironment(self, await self.desktops.open())

    @property
    def documents(self) -> tuple[DocumentSource, ...]:
        return self.desktops.documents

    async def close(self) -> None:
        await self.desktops.close()


class OSWorldEnvironment:
    """One task at a time on one desktop."""

    name = "osworld"

    def __init__(self, environments: OSWorldEnvironments, desktop: DesktopEnvironment) -> None:
        self.actions = environments.actions
        self._environments, self._desktop = environments, desktop

    async def reset(self, task: Task) -> Observation:
        """A fresh desktop with the task's config carried out. Raises EnvironmentFailure."""
        file = self._environments.suite.task(task)
        if file and (missing := missing_files(file, self._environments.suite.places)):
            raise EnvironmentFailure(f"{file.name} did not begin: no given folder has {', '.join(missing)}")
        for attempt in range(1, TRIES + 1):
            if file is None:  # practice, which begins with the program that its document is about
                return await self._desktop.reset(task)
            await self._desktop.reset(task.model_copy(update={"start_url": ""}))
            try:
                await self._desktop.session.ask("run", command=["sh", "-c", KEPT_FOLDERS], seconds=30.0)
                await self._setup(file).carry_out(file.config)
                return await self._desktop.look()
            except (DesktopRefused, DesktopEnded) as error:  # before an agent has done anything: not its doing
                if attempt == TRIES or isinstance(error, MalformedStep):
                    raise EnvironmentFailure(f"{file.name} did not begin: {error}", kind="sandbox") from None
        raise AssertionError

    async def step(self, action: str) -> Outcome:
        return await self._desktop.step(WORDS.get(action.strip().strip("`\"'"), action))

    async def foresee(self, action: str) -> Foreseen:
        return await self._desktop.foresee(WORDS.get(action.strip(), action))

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """By the task's own evaluator. Raises ScoreError where that fails, which says nothing of the agent."""
        file = self._environments.suite.task(task)
        if file is None:
            raise ScoreError(f"task {task.name or task.id} is none of this checkout of OSWorld")
        called_infeasible = answer.strip().lower().startswith(CANNOT)
        if file.infeasible or called_infeasible:
            right = file.infeasible and called_infeasible
            return float(right), "it was called infeasible" if called_infeasible else "it was not called infeasible"
        setup = self._setup(file)
        try:
            await setup.carry_out(file.postconfig, forgiving=True)
        except DesktopEnded as ended:
            raise ScoreError(f"the desktop ended as the task's postconfig was carried out: {ended}") from None
        except MalformedStep as malformed:
            raise ScoreError(f"the task's postconfig: {malformed}") from None
        files = {name: await self._bring(address, file) for address, name in file.references}
        async with DesktopServer(self._environments.desktops, environment=self._desktop, called=CALLED) as server:
            return await self._environments.judges.score(file, server, {**files, **setup.kept})

    async def close(self) -> None:
        await self._desktop.close()

    def _setup(self, file: TaskFile) -> Setup:
        def bring(address: str) -> bytes:
            try:
                return self._file(address, file).read_bytes()
            except OSError as error:
                raise DesktopRefused(f"{error.filename} cannot be read: {error.strerror}") from None

        return Setup(self._desktop.session, self._environments.desktops.desktop, bring)

    async def _bring(self, address: str, file: TaskFile) -> bytes:
        try:
            return await asyncio.to_thread(self._file(address, file).read_bytes)
        except (DesktopRefused, OSError) as error:
            raise ScoreError(str(error)) from None

    def _file(self, address: str, file: TaskFile) -> Path:
        """Raises DesktopRefused."""
        path = self._environments.suite.places.file(address, file.name)
        if path is None:
            raise DesktopRefused(f"no given folder has {address.rpartition('/')[2]} ({address})")
        return path
