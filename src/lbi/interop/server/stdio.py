"""MCP over stdin and stdout: a message a line, and nothing else on stdout."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from mcp.server.stdio import stdio_server

from lbi.interop.server.finder import Finder
from lbi.interop.server.served import Served
from lbi.interop.server.tools import experience_server

MOST_BYTES = 8 * 1024 * 1024  # of a message


async def serve_stdio(finder: Finder, served: Served, skills: Path | None) -> None:
    """Serve one client until its end of stdin, or until cancelled."""
    server = experience_server(finder, served, skills)
    # the low-level server takes streams of one's own; MCPServer itself reads stdin where nothing can be cancelled
    low_level = server._lowlevel_server
    async with _stdin() as stdin, stdio_server(stdin=cast(Any, stdin)) as (incoming, outgoing):
        await low_level.run(incoming, outgoing, low_level.create_initialization_options())


@asynccontextmanager
async def _stdin() -> AsyncIterator[AsyncIterator[str] | None]:
    """Lines of stdin, read so that a signal can end it; None = stdin is a file, which ends by itself."""
    reader = asyncio.StreamReader(limit=MOST_BYTES)
    loop = asyncio.get_running_loop()
    try:
        pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    except (ValueError, PermissionError):
        yield None
        return
    try:
        yield _lines(reader)
    finally:
        pipe.close()


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    while True:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            if end.partial.strip():
                yield end.partial.decode(errors="replace")
            return
        except asyncio.LimitOverrunError:
            await _skip_line(reader)
            yield "a message that is too long"  # which is no JSON, as the other side is told
            continue
        yield line.decode(errors="replace")


async def _skip_line(reader: asyncio.StreamReader) -> None:
    while True:
        try:
            await reader.readuntil(b"\n")
            return
        except asyncio.LimitOverrunError as overrun:
            await reader.readexactly(max(overrun.consumed, 1))
        except asyncio.IncompleteReadError:
            return
