"""A site that somebody else runs, behind an environment: put back as far as its file says how."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lbi.environments.web.application import Application
from lbi.environments.web.backend import one_of
from lbi.environments.web.check_sandbox import CheckCommand, CheckSandbox, environ_of, shown_to
from lbi.environments.web.install import filled_in
from lbi.environments.web.outside import Outside
from lbi.errors import EnvironmentFailure, ScoreError
from lbi.storage.tempdirs import OwnFolder


class RemoteBackend:
    """A site that somebody else runs: put back as far as its file says how: by a request, a command, a database."""

    def __init__(
        self,
        application: Application,
        headers: Mapping[str, str] | None = None,
        checks: CheckSandbox | None = None,
    ) -> None:
        self._application = application
        self._checks = checks or CheckSandbox()
        self._url = application.base_url.rstrip("/")
        self._name = application.name
        self._folder = OwnFolder(application.name)
        where = Path(application.folder) if application.folder else self._folder.path
        self._outside = Outside(application, self._folder.path, where, self._filled_in, headers or {})

    @property
    def url(self) -> str:
        return self._url

    async def start(self) -> None:
        """Take the snapshot of its database, where its file names one. Raises UserError."""
        await asyncio.to_thread(self._outside.open)

    async def reset(self) -> None:
        """What its file says; nothing where it says nothing, as the site is not ours."""
        await asyncio.to_thread(self._outside.put_back_database)
        await asyncio.to_thread(self._outside.put_back, self._url)

    async def rebase(self) -> None:
        await asyncio.to_thread(self._outside.keep)

    def digest(self) -> str:
        return one_of(self.digests())

    def digests(self) -> dict[str, str]:
        return self._outside.digests(self._url)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        if self._outside.database is None:
            raise ScoreError(f"{self._name} is not run by us, so its database cannot be asked; set state.database_url")
        return self._outside.database.query(sql)

    async def run_command(self, command: Sequence[str]) -> tuple[int, str]:
        if not self._application.folder:
            raise ScoreError(f"{self._name} is not run by us, so no command can look at its state")
        return await self._checks.ended(self._application, command, self._for_check, self._outside.run)

    def _for_check(self, command: Sequence[str]) -> CheckCommand:
        return CheckCommand(
            command=[self._filled_in(part) for part in command],
            folder=Path(self._application.folder),
            url=self._url,
            python=sys.executable,
            shown=shown_to(command, self._application),
            env={name: self._filled_in(value) for name, value in environ_of(self._application).items()},
        )

    def exposed(self) -> tuple[str, ...]:
        return ()

    async def snapshot(self) -> str:
        raise EnvironmentFailure(f"{self._name} is not run by us and cannot be snapshot")

    async def restore(self, token: str) -> None:
        raise EnvironmentFailure(f"{self._name} is not run by us and cannot be restored")

    def check(self) -> None:
        """Nothing: only a request can tell."""

    async def stop(self) -> None:
        """It goes on running."""
        await asyncio.to_thread(self._outside.close)
        await asyncio.to_thread(self._folder.remove)

    def _filled_in(self, text: str) -> str:
        values = {"{python}": sys.executable, "{url}": self._url, "{folder}": self._application.folder}
        return filled_in(text, values | self._outside.placeholders())
