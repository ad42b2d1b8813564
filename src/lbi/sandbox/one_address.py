"""The one address outside that a command in a sandbox reaches: its listening socket there is answered from here.

A program of ours (within.py) begins in the sandbox. It listens on the address's port, hands the listening socket out
through a socket file, and becomes the command. So this process accepts what is asked inside, and connects it to the one
address. Behind the file is somebody for one connection only, before the command begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from lbi.sandbox import within

MOST_CONNECTIONS = 64  # at once; more are closed, so that no command uses up this process's handles
FIRST_PORT = 1024  # that a user without privileges may listen on
LONGEST_NAME = 100  # bytes of a socket file's path that the kernel takes
CHUNK = 1 << 16
_PORTS = {"http": 80, "https": 443}


class OneAddress:
    """Of the site at ``url``; ``folder`` is an existing one for the socket file. Use as an asynchronous context.

    An address of this machine is the same inside. Another one is asked through a proxy that the usual variables name.
    """

    def __init__(self, url: str, folder: Path) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS.get(parts.scheme, 0)
        self._by_proxy = not (_is_loopback(self._host) and self._port >= FIRST_PORT)
        self._file = folder / "door"
        self._door: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def binds(self) -> tuple[Path, ...]:
        """What the sandbox must show."""
        return self._file, Path(within.__file__)

    def command(self, python: str, cwd: str, command: Sequence[str]) -> list[str]:
        """The command line that reaches the address, and runs in ``cwd``; ``python`` is an interpreter inside."""
        host = "::1" if self._host == "::1" else "127.0.0.1"
        port = "0" if self._by_proxy else str(self._port)
        return [python, "-I", "-S", within.__file__, str(self._file), host, port, cwd, *command]

    async def __aenter__(self) -> Self:
        """Raises OSError where the folder takes no socket file."""
        self._door = socket.socket(socket.AF_UNIX)
        self._door.setblocking(False)
        _bind(self._door, self._file)
        self._door.listen(1)
        self._start(self._take_over())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._shut()
        if self._server is not None:
            self._server.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _shut(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            door.close()  # the file stays, as a shell that starts again needs all that is shown; nobody is behind it

    async def _take_over(self) -> None:
        """Take the listening socket of the sandbox, and say that the command may begin."""
        loop = asyncio.get_running_loop()
        assert self._door is not None
        connection, _ = await loop.sock_accept(self._door)
        self._shut()
        with connection:
            ready = asyncio.Event()
            loop.add_reader(connection, ready.set)
            try:
                await ready.wait()
            finally:
                loop.remove_reader(connection)
            _, handles, _, _ = socket.recv_fds(connection, 1, 1)
            if handles:
                self._server = await asyncio.start_server(self._serve, sock=socket.socket(fileno=handles[0]))
                await loop.sock_sendall(connection, within.READY)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= MOST_CONNECTIONS:
            writer.close()
        else:
            self._start(self._connect(reader, writer))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            first = await self._asked_of_proxy(reader) if self._by_proxy else b""
            if first is None:
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            answers, asks = await asyncio.open_connection(self._host, self._port)
            with contextlib.closing(asks):
                if self._by_proxy and not first:
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                asks.write(first)
                await asyncio.gather(_copy(reader, asks), _copy(answers, writer))

    async def _asked_of_proxy(self, reader: asyncio.StreamReader) -> bytes | None:
        """The head of a request as the site takes it, b"" to be connected with it, None for another address."""
        line, *fields = (await reader.readuntil(b"\r\n\r\n")).rstrip(b"\r\n").split(b"\r\n")
        method, _, rest = line.partition(b" ")
        wanted, _, version = rest.partition(b" ")
        text = wanted.decode("latin-1")
        parts = urlsplit(f"//{text}" if method == b"CONNECT" else text)
        try:
            address = parts.hostname, parts.port or _PORTS.get(parts.scheme)
        except ValueError:
            return None
        if address != (self._host, self._port):
            return None
        if method == b"CONNECT":
            return b""
        kept = [field for field in fields if field.partition(b":")[0].strip().lower() not in _OF_A_CONNECTION]
        path = parts._replace(scheme="", netloc="").geturl() or "/"
        # one request for each connection, as only the first one is looked at
        lines = [b" ".join((method, path.encode("latin-1"), version)), *kept, b"Connection: close"]
        return b"\r\n".join(lines) + b"\r\n\r\n"


_OF_A_CONNECTION = (b"connection", b"proxy-connection", b"keep-alive", b"proxy-authorization")


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass on what comes, and its end."""
    while chunk := await source.read(CHUNK):
        target.write(chunk)
        await target.drain()
    target.write_eof()


def _bind(door: socket.socket, file: Path) -> None:
    if len(os.fsencode(file)) <= LONGEST_NAME:
        door.bind(str(file))
        return
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        door.bind(f"/proc/self/fd/{folder}/{file.name}")
    finally:
        os.close(folder)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
