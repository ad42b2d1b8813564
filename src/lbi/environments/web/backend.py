"""The application behind one environment: its own server on its own copy of the state, put back at each reset."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lbi.environments.web.application import Application
from lbi.environments.web.database import UNREADABLE, Database
from lbi.environments.web.install import Installed, application_environ, install
from lbi.environments.web.server import Server
from lbi.environments.web.state_files import Stamps, copy_state, remove_empty, same_content, stamps_of
from lbi.errors import EnvironmentFailure, ScoreError
from lbi.sandbox.host import run_on_host
from lbi.storage.tempdirs import OwnFolder

COMMAND_SECONDS = 60.0
_COULD_NOT_RUN = (126, 127)  # exit codes of a shell that found no such program, or may not run it


class Backend(Protocol):
    """What an environment needs of the application behind it."""

    @property
    def url(self) -> str:
        """Scheme, host and port of the site."""
        ...

    async def reset(self) -> None: ...
    async def rebase(self) -> None: ...
    def digest(self) -> str: ...
    def query(self, sql: str) -> list[tuple[object, ...]]: ...
    async def run_command(self, command: Sequence[str]) -> tuple[int, str]: ...
    async def snapshot(self) -> str: ...
    async def restore(self, token: str) -> None: ...
    def check(self) -> None: ...
    async def stop(self) -> None: ...


class ManagedApplication:
    """An application that we install and run; starts one backend for each worker."""

    def __init__(self, application: Application, cache: Path | None = None) -> None:
        self.application = application
        self._cache = cache
        self._lock = asyncio.Lock()
        self._installed: Installed | None = None

    async def installed(self) -> Installed:
        """Install if need be (minutes, once). Raises UserError."""
        async with self._lock:
            if self._installed is None:
                self._installed = await asyncio.to_thread(install, self.application, self._cache)
            return self._installed

    async def start(self) -> LocalBackend:
        """Install if need be (minutes, once), copy the state, start a server. Raises UserError."""
        installed = await self.installed()
        backend = await asyncio.to_thread(LocalBackend, self.application, installed)
        async with contextlib.AsyncExitStack() as failed:
            failed.push_async_callback(backend.stop)
            await backend.start()
            failed.pop_all()
        return backend


class LocalBackend:
    """One server on one copy of the state, in a temporary folder of its own."""

    def __init__(self, application: Application, installed: Installed) -> None:
        self._application = application
        self._installed = installed
        self._folder = OwnFolder(application.name)
        self.state = self._folder.path / "state"
        self._base = installed.pristine  # what a reset goes back to
        self._restored_from = self._base  # what the live state was last copied from
        self._resets = 0
        self._snapshots = 0
        self._database: Database | None = None
        self._restored_version = 0
        self._stamps: Stamps = {}
        copy_state(self._base, self.state, application.state.database)
        self._server = Server(
            lambda port: [self._filled_in(part, port) for part in application.start],
            application.health,
            application.start_timeout,
            self.state,
            application_environ(application),
        )

    @property
    def url(self) -> str:
        return self._server.url

    async def start(self) -> None:
        await self._server.start()
        if self._application.state.database:
            self._database = Database(self.state / self._application.state.database, self._application.state)
            self._restored_version = self._database.version()
        # what the server writes when it starts belongs to the state that a reset goes back to
        self._stamps = self._stamp()

    async def reset(self) -> None:
        """Back to the pristine state, and a restart where a file demands it. Raises EnvironmentFailure."""
        self._resets += 1
        await self._return_to(self._base)

    async def rebase(self) -> None:
        """Make the present state the one that resets go back to (after a log-in that the application remembers)."""
        token = await self.snapshot()
        self._base = self._restored_from = Path(token)
        self._stamps = self._stamp()
        if self._database:
            self._restored_version = self._database.version()

    def digest(self) -> str:
        return self._database.digest() if self._database else ""

    def query(self, sql: str) -> list[tuple[object, ...]]:
        if self._database is None:
            raise ScoreError(f"{self._application.name} names no state.database, so its tasks cannot be checked by SQL")
        return self._database.query(sql)

    async def run_command(self, command: Sequence[str]) -> tuple[int, str]:
        """Exit status and output of a command in the state folder. Raises ScoreError if it cannot run."""
        filled_in = [self._filled_in(part, self._server.port) for part in command]

        def run() -> tuple[int, str]:
            try:
                done = run_on_host(
                    filled_in, cwd=self.state, env=application_environ(self._application), timeout=COMMAND_SECONDS
                )
            except OSError as error:
                raise ScoreError(f"the command could not run: {error}") from error
            return done.exit_code, (done.output + done.errors).decode("utf-8", "replace").strip()

        status, output = await asyncio.to_thread(run)
        if status < 0:
            raise EnvironmentFailure(f"the command of a check was killed (signal {-status})", kind="check")
        if status in _COULD_NOT_RUN:
            raise ScoreError(f"the command could not run, as it ended with {status}: {output[-300:]}")
        if status and (said := next((words for words in UNREADABLE if words in output), "")):
            raise EnvironmentFailure(f"the command of a check could not look at the database ({said})", kind="check")
        return status, output

    async def snapshot(self) -> str:
        """Copy the present state; the token is valid until ``stop``."""
        self._snapshots += 1
        target = self._folder.path / f"copy-{self._snapshots}"
        await asyncio.to_thread(copy_state, self.state, target, self._application.state.database)
        return str(target)

    async def restore(self, token: str) -> None:
        """Back to a snapshot."""
        self._resets += 1
        await self._return_to(Path(token))

    def check(self) -> None:
        """Raise EnvironmentFailure if the server has ended."""
        self._server.check()

    async def stop(self) -> None:
        """Kill the server, delete the copy; harmless when done before."""
        await asyncio.to_thread(self._server.stop)
        if self._database:
            self._database.close()
            self._database = None
        await asyncio.to_thread(self._folder.remove)

    async def _return_to(self, source: Path) -> None:
        every_file = source != self._restored_from  # else only those that changed since
        try:
            changed = self._restore_files(source, every_file)
        except OSError as error:
            raise EnvironmentFailure(f"cannot restore the files of {self._application.name}: {error}") from error
        if self._database and (every_file or self._database.changed_since(self._restored_version)):
            afterwards = [sql.replace("{n}", str(self._resets)) for sql in self._application.state.after_restore]
            self._database.restore(source / self._application.state.database, afterwards)
            self._restored_version = self._database.version()
        if self._server.ended or changed & set(self._application.state.restart_on):
            await self._server.restart()
        self._restored_from, self._stamps = source, self._stamp()

    def _restore_files(self, source: Path, every_file: bool) -> set[str]:
        """Make the files equal to those of ``source``; returns the paths that had been changed, added or deleted."""
        now = self._stamp()
        changed = {path for path, stamp in now.items() if self._stamps.get(path) != stamp}
        changed |= self._stamps.keys() - now.keys()
        if every_file:
            changed = now.keys() | set(stamps_of(source, self._application.state.database))
            changed = {path for path in changed if not same_content(self.state / path, source / path)}
        for path in sorted(changed):
            before, live = source / path, self.state / path
            if before.is_file():
                live.parent.mkdir(parents=True, exist_ok=True)
                # into the file that is there: the server may hold it open
                live.write_bytes(before.read_bytes())
            elif path not in self._stamps or every_file:
                live.unlink(missing_ok=True)
                remove_empty(live.parent, self.state, source)
        return changed

    def _stamp(self) -> Stamps:
        return stamps_of(self.state, self._application.state.database)

    def _filled_in(self, text: str, port: int) -> str:
        values = {
            "{python}": self._installed.python,
            "{site_packages}": self._installed.site_packages,
            "{state}": str(self.state),
            "{port}": str(port),
            "{host}": "127.0.0.1",
        }
        for placeholder, value in values.items():
            text = text.replace(placeholder, value)
        return text


class RemoteBackend:
    """A site that somebody else runs: its state can be neither reset, nor hashed, nor queried."""

    def __init__(self, application: Application) -> None:
        self._url = application.base_url.rstrip("/")
        self._name = application.name

    @property
    def url(self) -> str:
        return self._url

    async def reset(self) -> None:
        """Nothing: the site is not ours."""

    async def rebase(self) -> None:
        """Nothing: there is no state to go back to."""

    def digest(self) -> str:
        return ""

    def query(self, sql: str) -> list[tuple[object, ...]]:
        raise ScoreError(f"{self._name} is not run by us, so its database cannot be asked")

    async def run_command(self, command: Sequence[str]) -> tuple[int, str]:
        raise ScoreError(f"{self._name} is not run by us, so no command can look at its state")

    async def snapshot(self) -> str:
        raise EnvironmentFailure(f"{self._name} is not run by us and cannot be snapshot")

    async def restore(self, token: str) -> None:
        raise EnvironmentFailure(f"{self._name} is not run by us and cannot be restored")

    def check(self) -> None:
        """Nothing: only a request can tell."""

    async def stop(self) -> None:
        """Nothing: it goes on running."""
