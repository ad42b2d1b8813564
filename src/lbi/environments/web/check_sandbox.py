"""The command of a check -> its exit code and output: it is run in a sandbox over a view of the application's state.

A task file may be anybody's, so its commands see what the application's own file lets them see, and reach its site
alone. Where the line is: docs/decisions/0031-checks-in-the-sandbox.md.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lbi.environments._answers import NOT_RUN
from lbi.environments.web.application import SECRET, Application
from lbi.environments.web.database import UNREADABLE, copy_database
from lbi.errors import EnvironmentFailure, ScoreError, UserError
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.bubblewrap import PATH
from lbi.sandbox.host import Ended
from lbi.sandbox.interpreter import prefixes
from lbi.sandbox.one_address import OneAddress
from lbi.sandbox.protocol import Completed, Sandbox
from lbi.storage.tempdirs import OwnFolder

COMMAND_SECONDS = 60.0
_SIGNALS = range(129, 129 + 64)  # exit codes of a shell whose program was killed
_STOPPED = {"memory": "it used too much memory", "output": "it wrote too much", "killed": "it was killed"}
#: placeholders of an application's file that no check may use: they lead to a server with other databases
OF_THE_SERVER = ("{database}", "{database_url}")


class CheckCommand(NamedTuple):
    """What is run, with all placeholders filled in but that of the state."""

    command: Sequence[str]
    folder: Path  # it runs in a view of it; what it changes there is gone afterwards
    url: str  # of the site that it reaches
    python: str  # the application's interpreter, which is shown
    shown: tuple[Path, ...] = ()
    env: Mapping[str, str] = {}
    database: str = ""  # an SQLite file within the folder, which a server may be writing to


class CheckSandbox:
    """How the commands of checks are confined: as the shell of an agent. ``unsafe`` = not at all."""

    def __init__(self, backend: str = "auto", *, unsafe: bool = False) -> None:
        self.unsafe = unsafe
        self._backend = backend
        self._works = unsafe

    async def try_out(self) -> None:
        """Raises UserError, with what to do, where this machine cannot make a sandbox."""
        if self._works:
            return
        with tempfile.TemporaryDirectory(prefix="lbi-check-") as folder:
            try:
                async with open_sandbox(Path(folder), backend=self._backend) as sandbox:
                    await sandbox.run("true")
            except UserError as error:
                raise UserError(f"a task's check runs a command: {error}") from None
        self._works = True

    async def ended(
        self,
        application: Application,
        command: Sequence[str],
        wanted: Callable[[Sequence[str]], CheckCommand],
        unconfined: Callable[[Sequence[str]], Ended],
    ) -> tuple[int, str]:
        """Exit code and output of a check's command. Raises ScoreError, EnvironmentFailure where it was not run.

        ``wanted`` makes of it what is run in the sandbox; ``unconfined`` runs it without one, and blocks.
        """
        if self.unsafe:
            return await _without_sandbox(command, unconfined)
        if problem := problem_of(command, application):
            raise ScoreError(f"the command of a check cannot run: {problem}")
        done = await self._run(wanted(command))
        if done.ended == "time":
            raise ScoreError(f"the command {command[0]} did not end within {done.seconds:.0f} s")
        if done.exit_code is None:
            raise EnvironmentFailure(f"the command of a check was stopped: {_STOPPED[done.ended]}", kind="check")
        killed = done.exit_code - 128 if done.exit_code in _SIGNALS else 0
        return _judged(-killed or done.exit_code, done.output.strip())

    async def _run(self, wanted: CheckCommand) -> Completed:
        """Run it to its end. Raises UserError where no sandbox was ever made here, else EnvironmentFailure."""
        await self.try_out()
        own = OwnFolder("check")
        try:
            database = await asyncio.to_thread(_database_of, wanted, own.path)
            async with OneAddress(wanted.url, own.path) as site:
                binds = (*prefixes(Path(wanted.python)), *wanted.shown, *site.binds, *database)
                env = {**wanted.env, "PATH": path_of(wanted.python)}
                async with open_sandbox(wanted.folder, backend=self._backend, binds=binds, env=env) as sandbox:
                    return await _run_inside(sandbox, wanted, site, database)
        except (UserError, OSError) as error:
            raise EnvironmentFailure(f"no sandbox for a check's command: {error}", kind="sandbox") from error
        finally:
            own.remove()


async def _without_sandbox(command: Sequence[str], unconfined: Callable[[Sequence[str]], Ended]) -> tuple[int, str]:
    try:
        done = await asyncio.to_thread(unconfined, command)
    except EnvironmentFailure as error:
        raise ScoreError(str(error)) from error
    return _judged(done.exit_code, (done.output + done.errors).decode("utf-8", "replace").strip())


def _judged(status: int, output: str) -> tuple[int, str]:
    """Raises ScoreError or EnvironmentFailure where the end of a command says nothing of the agent."""
    if status < 0:
        raise EnvironmentFailure(f"the command of a check was killed (signal {-status})", kind="check")
    if status in NOT_RUN:
        raise ScoreError(f"the command could not run, as it ended with {status}: {output[-300:]}")
    if status and (said := next((words for words in UNREADABLE if words in output), "")):
        raise EnvironmentFailure(f"the command of a check could not look at the database ({said})", kind="check")
    return status, output


async def _run_inside(sandbox: Sandbox, wanted: CheckCommand, site: OneAddress, database: Sequence[Path]) -> Completed:
    # programs may have written the folder's own name into their files; a container knows it by another one
    inside = str(wanted.folder.resolve()) if sandbox.backend == "bubblewrap" else sandbox.workdir
    command = shlex.join(
        site.command(wanted.python, inside, [part.replace("{state}", inside) for part in wanted.command])
    )
    if database:
        file = f"{inside}/{wanted.database}"
        stale = shlex.join(f"{file}{ending}" for ending in ("-wal", "-shm", "-journal"))
        copying = f"rm -f -- {stale} && cp -f -- {shlex.join([str(database[0]), file])}"
        command = f"{{ {copying}; }} || exit {NOT_RUN[0]}; {command}"
    return await sandbox.run(command, wall_seconds=COMMAND_SECONDS)


def _database_of(wanted: CheckCommand, folder: Path) -> tuple[Path, ...]:
    """A copy of the database as it is at one moment: locks that a server holds on it are not seen in the sandbox."""
    if not wanted.database:
        return ()
    try:
        copy_database(wanted.folder / wanted.database, folder / "database")
    except EnvironmentFailure as error:
        raise EnvironmentFailure(f"a check could not look at the database: {error}", kind="check") from error
    return (folder / "database",)


def path_of(python: str) -> str:
    """Where programs are looked for inside."""
    return f"{os.path.dirname(python)}:{PATH}"


def shown_to(command: Sequence[str], application: Application) -> tuple[Path, ...]:
    """What an application's file lets a command see beside the state."""
    named = [Path(application.folder, Path(path).expanduser()) for path in application.checks.show]
    uses_folder = application.folder and any("{folder}" in part for part in command)
    return tuple(dict.fromkeys([*named, *([Path(application.folder)] if uses_folder else [])]))


def environ_of(application: Application) -> dict[str, str]:
    """The application's own variables that hold nothing secret."""
    kept = application.environ.items()
    return {name: value for name, value in kept if not SECRET.search(value) and not _of_the_server(value)}


def problem_of(command: Sequence[str], application: Application) -> str:
    """Why a command cannot be run in a sandbox, whatever is in it; "" if it can."""
    if used := next(filter(None, map(_of_the_server, command)), ""):
        return f"{used} is for the application's own commands; ask the database by check.sql"
    places = list(shown_to(command, application))
    if not application.managed:
        places.append(Path(application.folder))
    if missing := next((place for place in places if not place.exists()), None):
        return f"checks.show names {missing}, which is not there"
    if wide := next((place for place in places if _holds_home(place)), None):
        return f"it would see {wide}, which holds your home folder; move the application's file to a folder of its own"
    return ""


def _of_the_server(text: str) -> str:
    return next((name for name in OF_THE_SERVER if name in text), "")


def _holds_home(place: Path) -> bool:
    return Path.home().resolve().is_relative_to(place.resolve())
