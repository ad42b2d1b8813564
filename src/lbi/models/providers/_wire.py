"""A JSON body -> the JSON object that a provider answers with, or a named failure. One pool of connections per model.

Below the providers' SDKs, which take several times the CPU per call: docs/decisions/0010-below-the-sdks.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lbi.errors import ModelBusy, ModelError, UserError
from lbi.models.providers._failures import failure, failure_inside
from lbi.models.providers._left import left
from lbi.models.providers._stream import is_stream, stream_as_reply
from lbi.models.registry import Settings, check_allowed, is_loopback
from lbi.protocols import Json
from lbi.records import Left
from lbi.storage.names import address_problem, without_password
from lbi.storage.secrets import mask
from lbi.storage.toml import depth_of

if TYPE_CHECKING:
    from aiohttp import ClientSession, StreamReader

_KEEP_ALIVE = 30.0  # seconds that an unused connection is kept: servers close theirs after five seconds to ten minutes
_LONGEST = 20_000_000  # bytes of a body that is read ...
_LONGEST_FILE = 1_000_000_000  # ... and of a file of a batch's replies
_DEEPEST = 100  # objects and lists within each other
_SHOWN = 5_000  # bytes of a body that is no answer, in which secrets are masked before a part of it is shown
_CONNECT = 10.0  # seconds to make a connection in: where nothing answers at an address, that is known by then


@dataclass(frozen=True)
class Answer:
    """A JSON object that arrived with status 200."""

    body: Json
    left: tuple[Left, ...]
    seconds: float


class Wire:
    """Posts to one server."""

    def __init__(self, name: str, url: str, headers: Mapping[str, str], settings: Settings) -> None:
        if problem := address_problem(url):
            raise UserError(f"the address {without_password(url)!r} of a model server: {problem}")
        bare, mark, query = url.partition("?")  # Azure's addresses end with ?api-version=...
        self.url, self._query = bare.rstrip("/"), mark + query
        self._name, self._timeout = name, settings.timeout
        self._connect_timeout = min(_CONNECT, settings.timeout)
        self._headers = dict(headers)
        self._session: ClientSession | None = None

    async def post(self, path: str, body: Json) -> Answer:
        """Raises ModelBusy and ModelError by name; a reply that arrives as anything but a JSON object is none."""
        return await self._exchange("POST", path, json.dumps(body).encode())

    async def get(self, path: str, *, error_inside: bool = False) -> Answer:
        """As ``post``. With ``error_inside``, a good answer may hold an error that is no failure of this request."""
        return await self._exchange("GET", path, None, error_inside=error_inside)

    async def upload(self, path: str, fields: Mapping[str, str], file: bytes) -> Answer:
        """Post a form with a file of JSON lines, its field called "file". As ``post``."""
        import aiohttp

        form = aiohttp.FormData(fields)
        form.add_field("file", file, filename="calls.jsonl", content_type="application/jsonl")
        return await self._exchange("POST", path, form)

    async def lines(self, path: str) -> list[Json]:
        """The objects of a file of JSON lines. Raises as ``post``."""
        status, headers, content = await self._send("GET", path, None, most=_LONGEST_FILE)
        if status != 200:
            self._read(status, headers, content)
        try:
            rows = [json.loads(line) for line in content.splitlines() if line.strip()]
        except ValueError:
            raise self.malformed(_shown(content)) from None
        return [row for row in rows if isinstance(row, dict)]

    async def _exchange(self, method: str, path: str, data: Any, *, error_inside: bool = False) -> Answer:
        start = time.monotonic()
        status, headers, content = await self._send(method, path, data)
        body = self._read(status, headers, content, error_inside=error_inside)
        return Answer(body, left(headers), time.monotonic() - start)

    async def _send(
        self, method: str, path: str, data: Any, most: int = _LONGEST
    ) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp

        check_allowed(self.url)
        # a form states its own content type, with the boundary between its parts
        headers = {"content-type": "application/json"} if isinstance(data, bytes) else {}
        try:
            address = self.url + path + self._query
            request = self._opened().request(method, address, data=data, headers=headers, allow_redirects=False)
            async with request as response:
                return response.status, response.headers, await self._whole(response.content, most)
        except aiohttp.ConnectionTimeoutError as error:
            raise ModelBusy(
                f"{self._name}: connection: none could be made within {self._connect_timeout:g} s", kind="connection"
            ) from error
        except TimeoutError as error:
            raise ModelBusy(
                f"{self._name}: timeout: no whole reply within {self._timeout:g} s", kind="timeout"
            ) from error
        except aiohttp.ClientPayloadError as error:
            raise ModelBusy(f"{self._name}: cut off: the reply broke off in the middle", kind="cut off") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ModelBusy(f"{self._name}: connection: {_reason(error)}", kind="connection") from error

    async def _whole(self, stream: StreamReader, most: int) -> bytes:
        """The body, unless it is longer than any reply."""
        content = bytearray()
        async for chunk in stream.iter_any():
            content += chunk
            if len(content) > most:
                raise ModelError(f"{self._name}: malformed: longer than {most:,} bytes", kind="malformed")
        return bytes(content)

    def _read(self, status: int, headers: Mapping[str, str], content: bytes, *, error_inside: bool = False) -> Json:
        try:
            body = stream_as_reply(content) if is_stream(content) else json.loads(content)
            body = body if depth_of(body) <= _DEEPEST else None
        except (ValueError, RecursionError):
            body = None
        if status != 200:
            raise failure(status, body if body is not None else _shown(content), headers, self._name)
        if not isinstance(body, dict):
            raise self.malformed(_shown(content))
        error = None if error_inside else failure_inside(body, headers, self._name)
        if error is not None:
            raise error
        return body

    def failed(self, status: int, body: Any) -> ModelError:
        """The failure of one call of a batch."""
        return failure(status, body, {}, self._name)

    def failed_inside(self, part: Mapping[str, Any]) -> ModelError | None:
        """The failure that a part of a good answer holds, if any."""
        return failure_inside(part, {}, self._name)

    def malformed(self, body: object) -> ModelBusy:
        """The failure of a reply that holds no answer."""
        text = mask(str(body)[:_SHOWN])[:300]
        return ModelBusy(f"{self._name}: malformed: the reply holds no answer ({text})", kind="malformed")

    def _opened(self) -> ClientSession:
        import aiohttp

        if self._session is None:
            # the throttle decides how many calls are in flight, so the pool has no limit of its own
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE, ttl_dns_cache=300)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=self._timeout, sock_connect=self._connect_timeout),
                trust_env=not is_loopback(self.url),  # no proxy stands before a server on this machine
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _shown(content: bytes) -> str:
    return mask(" ".join(content[:_SHOWN].decode(errors="replace").split()))[:500]


def _reason(error: BaseException) -> str:
    return mask(f"{type(error).__name__} {error}".strip())[:300]
