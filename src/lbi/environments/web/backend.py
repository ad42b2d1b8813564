"""The application behind one environment: its own server on its own copy of the state, put back at each reset."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lbi.environments.web import loopback
from lbi.environments.web.application import Application
from lbi.environments.web.check_sandbox import CheckCommand, CheckSandbox, environ_of, shown_to
from lbi.environments.web.database import Database
from lbi.environments.web.digests import digest_of_files, hash_of
from lbi.environments.web.install import Installed, application_environ, filled_in, install
from lbi.environments.web.outside import Outside
from lbi.environments.web.server import Server
from lbi.environments.web.state_files import (
    Stamps,
    copy_state,
    database_files,
    in_folders,
    put_back,
    remove_empty,
    same_content,
    stamps_of,
)
from lbi.errors import EnvironmentFailure, ScoreError
from lbi.storage.tempdirs import OwnFolder


class Backend(Protocol):
    """What an environment needs of the application behind it."""

    @property
    def url(self) -> str:
        """Scheme, host and port of the site."""
        ...

    async def reset(self) -> None: ...
    async def rebase(self) -> None: ...
    def digest(self) -> str: ...
    def digests(self) -> dict[str, str]:
        """The hash of each part of the state that counts: the database, files, what an address shows."""
        ...

    def query(self, sql: str) -> list[tuple[object, ...]]: ...
    async def run_command(self, command: Sequence[str]) -> tuple[int, str]:
        """Exit status and output of a check's command, in a sandbox. Raises ScoreError if it cannot run."""
        ...

    def exposed(self) -> tuple[str, ...]:
        """Addresses of other machines' reach that the server listens on."""
        ...

    async def snapshot(self) -> str: ...
    async def restore(self, token: str) -> None: ...
    def check(self) -> None: ...
    async def stop(self) -> None: ...


class ManagedApplication:
    """An application that we install and run; starts one backend for each worker."""

    def __init__(
        self,
        application: Application,
        cache: Path | None = None,
        headers: Mapping[str, str] | None = None,
        checks: CheckSandbox | None = None,
    ) -> None:
        self.application = application
        self.checks = checks or CheckSandbox()
        self._cache = cache
        self._headers = headers or {}
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
        backend = await asyncio.to_thread(LocalBackend, self.application, installed, self._headers, self.checks)
        async with contextlib.AsyncExitStack() as failed:
            failed.push_async_callback(backend.stop)
            await backend.start()
            failed.pop_all()
        return backend


class LocalBackend:
    """One server on one copy of the state, in a temporary folder of its own."""

    def __init__(
        self,
        application: Application,
        installed: Installed,
        headers: Mapping[str, str] | None = None,
        checks: CheckSandbox | None = None,
    ) -> None:
        self._application = application
        self._installed = installed
        self._checks = checks or CheckSandbox()
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
        self._outside = Outside(application, self._folder.path, self.state, self._filled_in, headers or {})
        self._server = Server(
            lambda port: [self._filled_in(part, port) for part in application.start],
            application.health,
            application.start_timeout,
            self.state,
            lambda: {name: self._filled_in(value) for name, value in application_environ(application).items()},
        )

    @property
    def url(self) -> str:
        return self._server.url

    async def start(self) -> None:
        await asyncio.to_thread(self._outside.open)
        await self._server.start()
        if self._application.state.database:
            self._database = Database(self.state / self._application.state.database, self._application.state)
            self._restored_version = self._database.version()
        # what the server writes when it starts belongs to the state that a reset goes back to
        self._stamps = self._stamp()

    async def reset(self) -> None:
        """Back to the pristine state, and a restart where the file demands it. Raises EnvironmentFailure."""
        self._resets += 1
        await self._return_to(self._base)
        await asyncio.to_thread(self._outside.put_back, self.url)

    async def rebase(self) -> None:
        """Make the present state the one that resets go back to (after a log-in that the application remembers)."""
        token = await self.snapshot()
        self._base = self._restored_from = Path(token)
        await asyncio.to_thread(self._outside.keep)
        self._stamps = self._stamp()
        if self._database:
            self._restored_version = self._database.version()

    def digest(self) -> str:
        return one_of(self.digests())

    def digests(self) -> dict[str, str]:
        state = self._application.state
        parts = {"database": self._database.digest()} if self._database else {}
        if state.digest_files:
            parts["files"] = digest_of_files(self.state, state.digest_files, database_files(state.database))
        return parts | self._outside.digests(self.url)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        database = self._database or self._outside.database
        if database is None:
            raise ScoreError(f"{self._application.name} names no state.database, so its tasks cannot be checked by SQL")
        return database.query(sql)

    async def run_command(self, command: Sequence[str]) -> tuple[int, str]:
        """In a view of the state folder: what it changes there is not seen by the application."""
        return await self._checks.ended(self._application, command, self._for_check, self._outside.run)

    def _for_check(self, command: Sequence[str]) -> CheckCommand:
        return CheckCommand(
            command=[self._filled_in(part, of_check=True) for part in command],
            folder=self.state,
            url=self.url,
            python=self._installed.python,
            shown=shown_to(command, self._application),
            env={name: self._filled_in(value, of_check=True) for name, value in environ_of(self._application).items()},
            database=self._application.state.database,
        )

    def exposed(self) -> tuple[str, ...]:
        return self._server.exposed()

    async def snapshot(self) -> str:
        """Copy the present state; the token is valid until ``stop``."""
        self._snapshots += 1
        target = self._folder.path / f"copy-{self._snapshots}"
        await asyncio.to_thread(copy_state, self.state, target, self._application.state.database)
        await asyncio.to_thread(self._outside.save, _dump_beside(target))
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
        await asyncio.to_thread(self._outside.close)
        if self._database:
            self._database.close()
            self._database = None
        await asyncio.to_thread(self._folder.remove)

    async def _return_to(self, source: Path) -> None:
        every_file = source != self._restored_from  # else only those that changed since
        anew = self._application.state.reset == "restart"
        if anew:
            await asyncio.to_thread(self._server.stop)
        snapshot = _dump_beside(source)
        await asyncio.to_thread(self._outside.put_back_database, snapshot if snapshot.is_file() else None)
        try:
            changed = self._restore_files(source, every_file)
        except OSError as error:
            raise EnvironmentFailure(f"cannot restore the files of {self._application.name}: {error}") from error
        if self._database and (every_file or self._database.changed_since(self._restored_version)):
            afterwards = [sql.replace("{n}", str(self._resets)) for sql in self._application.state.after_restore]
            self._database.restore(source / self._application.state.database, afterwards)
            self._restored_version = self._database.version()
        if anew or self._server.ended or changed & set(self._application.state.restart_on):
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
        for path in sorted(changed):  # a folder comes before what is in it
            before, live = source / path, self.state / path
            if not in_folders(live, self.state):
                continue  # what it lay in was no folder before, and is put back as what it was
            if before.is_dir() and not before.is_symlink() if path.endswith("/") else os.path.lexists(before):
                put_back(before, live)
            elif path not in self._stamps or every_file:
                if not path.endswith("/"):
                    live.unlink(missing_ok=True)
                remove_empty(live if path.endswith("/") else live.parent, self.state, source)
        return changed

    def _stamp(self) -> Stamps:
        return stamps_of(self.state, self._application.state.database)

    def _filled_in(self, text: str, port: int = 0, *, of_check: bool = False) -> str:
        """``of_check``: the state is filled in where it is known under what name the sandbox shows it."""
        values = {
            "{python}": self._installed.python,
            "{site_packages}": self._installed.site_packages,
            "{state}": "{state}" if of_check else str(self.state),
            "{folder}": self._application.folder,
            "{loopback}": str(Path(loopback.__file__)),
            "{port}": str(port or self._server.port),
            "{host}": "127.0.0.1",
            "{url}": self._server.url,
            **self._outside.placeholders(),
        }
        return filled_in(text, values)


def one_of(digests: dict[str, str]) -> str:
    """The digest of a state with these parts; of one part its own."""
    return (
        hash_of(*(f"{part}={digest}" for part, digest in sorted(digests.items())))
        if len(digests) > 1
        else (next(iter(digests.values()), ""))
    )


def _dump_beside(copy: Path) -> Path:
    """Where the database of a server is kept that belongs to a copy of the state folder."""
    return copy.with_name(f"{copy.name}.sql")
