"""State that a site keeps outside of its folder: behind requests, commands and database servers. Put back and hashed.

All of it blocks; callers with an event loop go through a thread.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from lbi.environments.web.application import Application, expand
from lbi.environments.web.digests import digest_of_text
from lbi.environments.web.install import application_environ
from lbi.environments.web.server_database import ServerDatabase, open_server_database
from lbi.errors import EnvironmentFailure
from lbi.sandbox.host import Ended, run_on_host

COMMAND_SECONDS = 60.0
REQUEST_SECONDS = 30.0


class Outside:
    """Of one site. ``filled_in`` fills the placeholders of a command in; ``headers`` are those of its log-in."""

    def __init__(
        self,
        application: Application,
        folder: Path,
        cwd: Path,
        filled_in: Callable[[str], str],
        headers: Mapping[str, str],
    ) -> None:
        self._application = application
        self._state = application.state
        self._folder = folder
        self._cwd = cwd
        self._filled_in = filled_in
        self._headers = dict(headers)
        self._snapshot = folder / "pristine.sql"
        self.database: ServerDatabase | None = None

    def open(self) -> None:
        """Take the snapshot of a server's database that resets go back to. Raises UserError."""
        if self._state.database_url:
            url = expand(self._state.database_url, self._application)
            self.database = open_server_database(url, self._state, self._folder, own=self._application.managed)

    def placeholders(self) -> dict[str, str]:
        if self.database is None:
            return {}
        return {"{database_url}": self.database.url, "{database}": self.database.name}

    def keep(self) -> None:
        """Make the present content of the database the one that resets go back to."""
        if self.database is not None:
            self.database.dump(self._snapshot)

    def save(self, target: Path) -> None:
        """Keep the present content of the database in a file."""
        if self.database is not None:
            self.database.dump(target)

    def put_back_database(self, snapshot: Path | None = None) -> None:
        """Raises EnvironmentFailure where the database stays as it is."""
        if self.database is not None:
            self.database.restore(snapshot or self._snapshot)

    def put_back(self, url: str) -> None:
        """Ask the site at ``url``, and the command, to go back to the start. Raises EnvironmentFailure."""
        if self._state.reset_command:
            done = self.run(self._state.reset_command)
            if done.exit_code:
                text = (done.output + done.errors).decode("utf-8", "replace").strip()
                raise EnvironmentFailure(f"state.reset_command exited with {done.exit_code}: {text[-300:]}")
        if self._state.reset_request:
            method, _, path = self._state.reset_request.partition(" ")
            status, text = self._ask(method, url, path)
            if status >= 400:
                raise EnvironmentFailure(f"{self._state.reset_request} was answered with {status}: {text[:200]}")

    def digests(self, url: str) -> dict[str, str]:
        """{part: hash of it}. Raises EnvironmentFailure where a part cannot be read."""
        parts = {}
        if self.database is not None:
            parts["database"] = self.database.digest()
        if self._state.digest_url:
            status, text = self._ask("GET", url, self._state.digest_url)
            if status >= 500:
                raise EnvironmentFailure(f"{self._state.digest_url} was answered with {status}: {text[:200]}")
            # a site may have no state before it is first looked at
            parts[self._state.digest_url] = digest_of_text(text if status < 400 else "", self._state.digest_ignore)
        if self._state.digest_command:
            done = self.run(self._state.digest_command)
            if done.exit_code:
                raise EnvironmentFailure(f"state.digest_command exited with {done.exit_code}: {done.last_errors(3)}")
            parts["digest_command"] = digest_of_text(done.text, self._state.digest_ignore)
        return parts

    def run(self, command: Sequence[str]) -> Ended:
        """Raises EnvironmentFailure for a command that does not start or does not end."""
        filled_in = [self._filled_in(part) for part in command]
        env = {name: self._filled_in(value) for name, value in application_environ(self._application).items()}
        try:
            return run_on_host(filled_in, cwd=self._cwd, env=env, timeout=COMMAND_SECONDS)
        except (OSError, TimeoutError) as error:
            raise EnvironmentFailure(f"the command {filled_in[0]} could not run: {error}") from error

    def close(self) -> None:
        """Harmless when done before."""
        if self.database is not None:
            self.database.close()

    def _ask(self, method: str, site: str, path: str) -> tuple[int, str]:
        """Status and text of a request to the site."""
        parts = urlsplit(site)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=REQUEST_SECONDS)
        length = {} if method in ("GET", "HEAD") else {"Content-Length": "0"}
        try:
            connection.request(method, path, headers=self._headers | length)
            reply = connection.getresponse()
            return reply.status, reply.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise EnvironmentFailure(f"{method} {path} got no answer: {error or type(error).__name__}") from error
        finally:
            connection.close()
