"""A run folder that learnt something of the lamps, and its server: in this process, or in one of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_environment import click, fill, select, walk
from lbi.config import resolve
from lbi.interop.server.finder import Finder
from lbi.interop.server.listen import listening, serve_http
from lbi.interop.server.options import ServeOptions
from lbi.interop.server.served import Served
from lbi.records import Example
from lbi.rollouts.learnt import Use
from lbi.storage.run_folder import RunFolder
from running import command, environ

TASK = 'Add a lamp with the name "Bed lamp" and the colour "red"'
LEARNT = {
    'Add a lamp with the name "Desk lamp" and the colour "blue"': (
        click("link", "New lamp"),
        fill("Name", "Desk lamp"),
        fill("Colour", "blue"),
        click("button", "Create"),
    ),
    "Look at the rooms": (click("link", "Rooms"),),
    'Find lamps with "green" in their name': (fill("Search", "green"), click("button", "Find")),
    'Add a lamp in the room "attic"': (
        click("link", "New lamp"),
        fill("Name", "Roof lamp"),
        fill("Colour", "white"),
        select("Room", "attic"),
        click("button", "Create"),
    ),
}
ADD, ROOMS, FIND, ATTIC = LEARNT


async def make_lamp_run(folder: Path) -> Path:
    """A run folder with an example for each instruction of ``LEARNT``."""
    run = folder / "run"
    config = resolve({"name": "lamps", "url": "http://127.0.0.1:9/"}, "test")
    with RunFolder(run, config.identity()) as kept:
        for instruction, actions in LEARNT.items():
            walked = await walk(instruction, *actions)
            errors = [page.error for page in walked.observations if page.error]
            assert not errors, errors
            example = Example(
                kind="abstract",
                instruction=instruction,
                trajectory=walked.id,
                start=0,
                end=len(actions),
                tier="replayed",
            )
            kept.store.put("trajectory", f"0/{walked.task.id}/0", walked)
            kept.store.put("example", f"0/{walked.id}/abstract/000-{len(actions):03d}", example)
    return run


@contextlib.contextmanager
def opened(run: Path) -> Iterator[Finder]:
    finder = Finder(run, Use())
    finder.open()
    try:
        yield finder
    finally:
        finder.close()


@contextlib.asynccontextmanager
async def served_here(finder: Finder, folder: Path, skills: Path | None = None, **options: Any) -> AsyncIterator[str]:
    """The address of a server in this process."""
    asked = ServeOptions(port=0, **options)
    with listening(asked) as listener:
        told: list[str] = []
        work = serve_http(listener, finder, Served(folder), skills or folder / "skills", asked, told.append)
        task = asyncio.ensure_future(work)
        try:
            host, port = listener.getsockname()[:2]
            yield f"http://{host}:{port}"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert task.cancelled() or task.exception() is None, task.exception()


@dataclass
class Serving:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str = ""
    lines: list[str] = field(default_factory=list)

    def stop(self, by: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(by)
        return self.process.wait(30)


@contextlib.contextmanager
def serving(run: Path, *arguments: str, **variables: str) -> Iterator[Serving]:
    """``lbi serve RUN``; stopped at the end if it was not before."""
    process = subprocess.Popen(
        command("serve", run, "--port", "0", *arguments),
        env=environ(**variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    server = Serving(process)
    assert process.stderr is not None
    try:
        while not server.lines or not server.lines[-1].startswith("Ctrl-C"):
            line = process.stderr.readline()
            assert line, f"it ended: {server.lines}"
            server.lines.append(line.rstrip())
            if line.startswith("MCP: "):
                server.address = line.split()[1].removesuffix("/mcp")
        yield server
    finally:
        if process.poll() is None:
            server.stop()
        process.communicate(timeout=30)
