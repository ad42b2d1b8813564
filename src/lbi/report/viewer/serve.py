"""One or two run folders -> their pages on loopback, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import secrets as random
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from lbi.errors import UserError
from lbi.interop.server.guard import Guard, Rates
from lbi.interop.server.http import LOOPBACK, QuietServer, bound, quiet, until_stopped
from lbi.report.viewer.access import Access, refused
from lbi.report.viewer.app import pages
from lbi.report.viewer.source import RunView, names_of
from lbi.storage.run_folder import RunFolder

HOST = "127.0.0.1"
REQUESTS = 60_000  # a minute: a page of a long trajectory asks for many pictures


def view_runs(runs: Sequence[Path], judge: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until the process is told to stop; ``ready`` gets the address. ``judge`` is who judges examples.

    Raises UserError for what is no run, and for a port that is in use.
    """
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(RunFolder(run, writing=False)) for run in runs]
        listener = stack.enter_context(bound(HOST, port))
        asyncio.run(until_stopped(serve_pages(listener, folders, judge, ready)))


async def serve_pages(
    listener: socket.socket, folders: Sequence[RunFolder], judge: str, ready: Callable[[str], None]
) -> None:
    """Serve until cancelled."""
    token = random.token_urlsafe(24)
    names = names_of([folder.path for folder in folders])
    views = [
        RunView(folder, f"/{token}" + "/other" * number, name=name)
        for number, (folder, name) in enumerate(zip(folders, names, strict=True))
    ]
    app = Access(pages(views, f"/{token}", judge), token)
    server = QuietServer(quiet(Guard(app, names=LOOPBACK, token="", rates=Rates(REQUESTS), answer=refused)))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await asyncio.to_thread(_read, views)
        ready(f"http://{HOST}:{listener.getsockname()[1]}/{token}/")
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving


def _read(views: Sequence[RunView]) -> None:
    """Before anybody asks, as the first reading of a big run takes longer than a page may."""
    for view in views:
        with contextlib.suppress(UserError):  # the pages say what is wrong
            _ = view.read().headline
