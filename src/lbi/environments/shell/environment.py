"""A repository as an environment: a shell that stays open over a copy of it, in a sandbox (paper: SWE-bench).

`ShellEnvironments` holds what the workers share: where the repository is and how it is confined. Each worker's
`ShellEnvironment` holds a sandbox of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from lbi.documents.corpus import DocumentSource
from lbi.environments._answers import failed_command, met_without_pages
from lbi.environments.shell.actions import MAX_CHARS, Command, UnreadableCommand, explained, parse_command
from lbi.environments.shell.consequences import why_it_may_change
from lbi.environments.shell.edits import EditRefused, create, insert, replace, view
from lbi.environments.shell.listing import listing
from lbi.errors import EnvironmentFailure, ScoreError
from lbi.protocols import CallTimeouts, Foreseen, Outcome
from lbi.records import Action, Observation, Task, digest_of, sound
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.git import head_of
from lbi.sandbox.protocol import Completed, Sandbox, SandboxLimits
from lbi.sandbox.supervisor.bounds import LONGEST_PATH, LOOKING, TooLarge
from lbi.storage.secrets import mask

TOO_LARGE = digest_of("too large")  # stands for the state of files that exceed a bound
STOPPED = {
    "time": "it ran out of time and was stopped",
    "memory": "it ran out of memory and was stopped",
    "output": "it wrote too much and was stopped",
    "killed": "it was killed",
}
#: variables that make programs write the same bytes in the same order on another day
REPRODUCIBLE = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SOURCE_DATE_EPOCH": "315532800",
    "COLUMNS": "120",
}
LIST_FILES = (
    "git ls-files 2>/dev/null | grep . || "
    "find . -name .git -prune -o -name node_modules -prune -o -type f -print | sed 's|^./||' | LC_ALL=C sort"
)
LISTING_SECONDS = 60.0


@dataclass(frozen=True)
class ShellSettings:
    """How a repository is opened: its folder, its sandbox, and how much of a command's output is shown."""

    repository: Path
    backend: str = "auto"
    limits: SandboxLimits = field(default_factory=SandboxLimits)
    binds: tuple[Path, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    unsafe: bool = False
    max_chars: int = MAX_CHARS


class ShellEnvironments:
    """Opens environments over one repository."""

    restores = True

    def __init__(self, settings: ShellSettings, *, name: str = "", documents: Sequence[DocumentSource] = ()) -> None:
        self.settings = settings
        self.name = name or settings.repository.name
        self.documents = tuple(documents)
        # the sandbox itself stops a command in time; what does not answer long after that has broken
        seconds = settings.limits.wall_seconds + LOOKING + 60
        self.timeouts = CallTimeouts(reset=2 * LOOKING, step=seconds, score=seconds)
        self._open: list[ShellEnvironment] = []

    @property
    def version(self) -> str:
        """The commit that the repository is at."""
        return head_of(self.settings.repository)

    async def open(self) -> ShellEnvironment:
        """A new environment. Raises UserError where no sandbox can be made."""
        stack = AsyncExitStack()
        settings = self.settings
        sandbox = await stack.enter_async_context(
            open_sandbox(
                settings.repository,
                backend=settings.backend,
                limits=settings.limits,
                binds=settings.binds,
                env={**REPRODUCIBLE, **settings.env},
                unsafe=settings.unsafe,
            )
        )
        environment = ShellEnvironment(self.name, sandbox, stack, settings.max_chars)
        self._open.append(environment)
        return environment

    async def close(self) -> None:
        await asyncio.gather(*(environment.close() for environment in self._open))
        self._open.clear()


class ShellEnvironment:
    """One episode at a time in one sandbox."""

    def __init__(self, name: str, sandbox: Sandbox, stack: AsyncExitStack, max_chars: int) -> None:
        self.actions = explained(max_chars)
        self.name = name
        self.sandbox = sandbox
        self._stack = stack
        self._max_chars = max_chars
        self._folder = sandbox.workdir
        self._last = Observation(text="")
        self._kept: dict[str, Observation] = {}  # what was seen, by the name of the state

    # -- the protocol ------------------------------------------------------------------------------------------------

    async def reset(self, task: Task) -> Observation:
        """Put the repository and the shell back to their pristine state. Raises EnvironmentFailure."""
        await self.sandbox.reset()
        self._folder = self.sandbox.workdir
        return await self._observe(await self._files())

    async def step(self, action: str) -> Outcome:
        """Carry out one action. Why one cannot be carried out stands in the observation's ``error``."""
        try:
            command = parse_command(action)
        except UnreadableCommand as error:
            return self._refuse(Action(text=sound(action)), str(error))
        taken = Action(
            text=sound(command.text), kind=command.kind, name=sound(command.path), value=sound(command.value)
        )
        if command.kind == "finish":
            return Outcome(action=taken, observation=self._last, done=True, answer=taken.value)
        if command.kind == "run":
            return Outcome(action=taken, observation=await self._run(command.value))
        try:
            return Outcome(action=taken, observation=await self._observe(await self._edit(command)))
        except EditRefused as refused:
            return self._refuse(taken, sound(str(refused)))

    async def foresee(self, action: str) -> Foreseen:
        """Why an action may change something; a command is known to read, or it may."""
        try:
            command = parse_command(action)
        except UnreadableCommand:
            return Foreseen(action=Action(text=mask(sound(action))))
        written = Action(text=mask(sound(command.text)), kind=command.kind, name=mask(sound(command.path)))
        return Foreseen(action=written, changes=mask(sound(why_it_may_change(command))))

    async def submission(self) -> str:
        """What the episode changed, as a patch; "" where that is too large to be one."""
        with contextlib.suppress(TooLarge):
            return await self.sandbox.diff()
        return ""

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        """Evaluate the task's check now: what the answer contains, and a command that must exit with 0."""
        if task.check is None:
            raise ScoreError(f"task {task.name or task.id} has no check")
        return await met_without_pages(task.check, answer, "a shell", self._run_check)

    async def close(self) -> None:
        """End everything that runs; harmless when done before."""
        await self._stack.aclose()

    # -- snapshots ---------------------------------------------------------------------------------------------------

    async def snapshot(self) -> tuple[str, Observation]:
        return await self.sandbox.snapshot(), self._last

    async def restore(self, token: tuple[str, Observation]) -> Observation:
        await self.sandbox.restore(token[0])
        self._last = token[1]
        self._folder = self._last.url
        return self._last

    async def keep_state(self) -> str:
        """Files, and the shell's folder and variables; "" where they are too much to be kept."""
        with contextlib.suppress(TooLarge):
            state, seen = await self.snapshot()
            self._kept[state] = seen
            return state
        return ""

    async def return_to(self, state: str) -> Observation:
        return await self.restore((state, self._kept[state]))

    async def drop_state(self, state: str) -> None:
        del self._kept[state]
        await self.sandbox.drop(state)

    # -- steps -------------------------------------------------------------------------------------------------------

    async def _run(self, command: str) -> Observation:
        done = await self.sandbox.run(command)
        self._folder = _short(done.folder) or self._folder
        text = _shown(done, self._max_chars)
        if done.ended == "exited":
            return await self._observe(text)
        return await self._observe(text, f"the command did not end by itself: {STOPPED[done.ended]}")

    async def _edit(self, command: Command) -> str:
        arguments = command.arguments
        path = posixpath.join(self._folder, command.path)
        try:
            if command.kind == "create":
                return await create(self.sandbox, path, str(arguments[1]))
            if command.kind == "replace":
                return await replace(self.sandbox, path, str(arguments[1]), str(arguments[2]))
            if command.kind == "insert":
                return await insert(self.sandbox, path, int(arguments[1]), str(arguments[2]))
            lines = [int(number) for number in arguments[1:]]
            return await view(self.sandbox, path, *lines, max_chars=self._max_chars)
        except OSError as error:
            raise EditRefused(f"{command.path}: {error.strerror or error}") from None

    async def _observe(self, text: str, error: str = "") -> Observation:
        shown = f"Folder: {self._folder}\n{text}".rstrip()
        try:
            digest = await self.sandbox.digest()
        except TooLarge as large:
            # nothing more is known of the files than that
            digest, error = TOO_LARGE, "; ".join(filter(None, (error, f"{large}; remove what is not needed")))
        self._last = Observation(
            text=mask(sound(shown)), url=mask(sound(self._folder)), digest=digest, error=mask(error)
        )
        return self._last

    def _refuse(self, action: Action, error: str) -> Outcome:
        """Nothing was done: the last observation again, with the reason."""
        self._last = self._last.model_copy(update={"error": error})
        return Outcome(action=action, observation=self._last)

    async def _files(self) -> str:
        done = await self.sandbox.run(LIST_FILES, wall_seconds=LISTING_SECONDS)
        if done.ended != "exited":
            raise EnvironmentFailure(f"the repository could not be listed: {STOPPED[done.ended]}")
        names = done.output.splitlines()
        return "\n".join([f"A repository of {len(names)} files:", *listing(names)])

    async def _run_check(self, command: Sequence[str]) -> tuple[float, str]:
        """Run a check's command in the repository's own folder, wherever the agent's shell is by now."""
        import shlex

        line = f"cd {shlex.quote(self.sandbox.workdir)} && {shlex.join(command)}"
        done = await self.sandbox.run(line)
        if done.ended == "killed":  # by a machine without memory, perhaps: what the agent left would do it again
            done = await self.sandbox.run(line)
        if done.ended != "exited":  # it ran what the agent made, which must not make its own score go away
            return 0.0, f"the check's command did not end by itself: {STOPPED[done.ended]}"
        failed = failed_command(0 if done.exit_code is None else done.exit_code, done.output)
        return (0.0, failed) if failed else (1.0, "every condition holds")


def _short(folder: str) -> str:
    """A folder's path; of one that is too long for any program, the beginning."""
    return folder if len(folder) <= LONGEST_PATH else folder[:200] + "[...]"


def _shown(done: Completed, max_chars: int) -> str:
    """Exit code and output; of long output the middle is left out."""
    text = _CONTROL.sub("", done.output.replace("\r\n", "\n"))
    text = re.sub(r"[^\n]*\r(?!\n)", "", text)  # of a progress bar only the last state
    if len(text) > max_chars or done.cut_bytes:
        head, tail = text[: max_chars // 2], text[-(max_chars // 2) :]
        missing = max(len(text) - len(head) - len(tail), 0) + done.cut_bytes
        text = f"{head}\n[... {missing:,} characters left out ...]\n{tail}"
    code = "none" if done.exit_code is None else str(done.exit_code)
    return f"Exit code: {code}\n{text}"


_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]"
)
