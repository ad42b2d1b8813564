"""Repositories with bugs as an environment: a shell in the repository of the task, scored by running its tests.

The score is that of the patch that the episode leaves behind, graded in a fresh sandbox: what the agent left running,
installed or wrote outside of the repository does not count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from lbi.benchmarks.swebench.build import Built
from lbi.benchmarks.swebench.catalog import Catalog
from lbi.benchmarks.swebench.grade import EMPTY, LIMITS, grade
from lbi.documents.corpus import DocumentSource, read_corpus
from lbi.environments.shell.actions import ACTIONS
from lbi.environments.shell.environment import ShellEnvironment, ShellEnvironments, ShellSettings
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.protocols import CallTimeouts, Foreseen, Outcome
from lbi.records import Observation, Task
from lbi.sandbox.supervisor.bounds import LOOKING, TooLarge

BUILDING = 900.0  # seconds to get a repository and its interpreter, also where they have to be downloaded


class RepositoryEnvironments:
    """Opens environments that work on the instances of a catalog."""

    restores = True
    several = True

    def __init__(
        self,
        catalog: Catalog,
        settings: Callable[[Built], ShellSettings],
        *,
        backend: str,
        unsafe: bool,
        seconds: float,
    ) -> None:
        """``settings`` returns how an instance's repository is opened, ``backend`` and ``unsafe`` where it is graded.

        ``seconds`` is the limit of one command.
        """
        self.name = catalog.name
        self.catalog = catalog
        self.settings = settings
        self.backend, self.unsafe = backend, unsafe
        self.timeouts = CallTimeouts(reset=BUILDING, step=seconds + LOOKING + 60, score=LIMITS.wall_seconds + BUILDING)
        self._of_document: dict[str, str] = {}
        self._open: list[RepositoryEnvironment] = []

    async def open(self) -> RepositoryEnvironment:
        environment = RepositoryEnvironment(self)
        self._open.append(environment)
        return environment

    async def documents(self) -> tuple[DocumentSource, ...]:
        """Sources, documentation and names of tests of all repositories, each with its bug. Raises UserError."""
        sources = []
        for name, instance in self.catalog.instances.items():
            if not self.catalog.buildable(name):
                continue
            built = await asyncio.to_thread(self.catalog.build, name)
            source = DocumentSource(path=str(built.tree), code=True, date=instance.created_at)
            corpus = await asyncio.to_thread(read_corpus, [source])
            self._of_document |= {document.id: name for document in corpus.documents}
            sources.append(source)
        return tuple(sources)

    def instance_of(self, task: Task) -> str:
        """The task's own instance, or the one that it was proposed from; else the first that can be built."""
        names = self.catalog.instances
        if task.name in names:
            return task.name
        if task.document in self._of_document:
            return self._of_document[task.document]
        first = next((name for name in names if self.catalog.buildable(name)), "")
        return first or next(iter(names))

    async def close(self) -> None:
        await asyncio.gather(*(environment.close() for environment in self._open))
        self._open.clear()
        self.catalog.close()


class RepositoryEnvironment:
    """One episode at a time, in the repository of its task."""

    def __init__(self, environments: RepositoryEnvironments) -> None:
        self.name = environments.name
        self._environments = environments
        self._instance = ""
        self._shell: ShellEnvironment | None = None

    @property
    def actions(self) -> str:
        """As its shell explains them; before the first reset as shells do by default."""
        return self._shell.actions if self._shell is not None else ACTIONS

    async def reset(self, task: Task) -> Observation:
        """The repository with its bug. Raises EnvironmentFailure, and UserError for what cannot be built here."""
        instance = self._environments.instance_of(task)
        if self._shell is None or instance != self._instance:
            await self.close()
            built = await asyncio.to_thread(self._environments.catalog.build, instance)
            self._shell = await ShellEnvironments(self._environments.settings(built), name=self.name).open()
            self._instance = instance
        return await self._shell.reset(task)

    async def step(self, action: str) -> Outcome:
        return await self._require_shell().step(action)

    async def foresee(self, action: str) -> Foreseen:
        """Why an action may change something."""
        return await self._require_shell().foresee(action)

    async def keep_state(self) -> str:
        """As a shell's."""
        return await self._require_shell().keep_state()

    async def return_to(self, state: str) -> Observation:
        return await self._require_shell().return_to(state)

    async def drop_state(self, state: str) -> None:
        await self._require_shell().drop_state(state)

    async def submission(self) -> str:
        """What the episode changed, as a patch; "" where that is too large to be one."""
        return await self._require_shell().submission()

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """1 if the patch makes the tests pass that failed, and none fail that passed.

        Raises ScoreError for a task that is of no instance, EnvironmentFailure where the sandbox broke.
        """
        if task.name not in self._environments.catalog.instances:
            raise ScoreError(f"task {task.name or task.id} is of no instance of {self.name}")
        try:
            patch = await self._require_shell().sandbox.diff()
        except TooLarge as large:  # or whoever leaves too much would not be scored at all
            return 0.0, f"no patch could be made of what was changed: {large}"
        if not patch:
            return 0.0, EMPTY
        try:
            built = await asyncio.to_thread(self._environments.catalog.build, task.name)
        except UserError as error:
            raise ScoreError(str(error)) from None
        graded = await grade(built, patch, backend=self._environments.backend, unsafe=self._environments.unsafe)
        return (1.0, "the tests pass") if graded.resolved else (0.0, graded.reason)

    async def close(self) -> None:
        """End everything that runs; harmless when done before."""
        if self._shell is not None:
            await self._shell.close()
            self._shell = None

    def _require_shell(self) -> ShellEnvironment:
        if self._shell is None:
            raise EnvironmentFailure("the repository was not opened, or was closed")
        return self._shell


def variables(built: Built, workdir: str) -> Mapping[str, str]:
    """Variables of the agent's shell: its ``python`` is the instance's, and imports packages from the repository."""
    folders = ("src", "") if built.source == "*" else (built.source,)
    return {
        "PATH": f"{built.python.parent}:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": str(built.python.parent.parent),
        "PYTHONPATH": ":".join(f"{workdir}/{folder}".rstrip("/") for folder in folders),
        "TZ": "UTC",
    }
