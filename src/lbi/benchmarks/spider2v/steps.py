"""The steps of a task's file, carried out on a desktop: before the episode, and before it is judged.

{"type": "script_and_execute", "parameters": {"src": ".../init.sh", "dest": "/home/user/init.sh"}} -> the script runs
"""

from __future__ import annotations

import asyncio
import posixpath
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from lbi.benchmarks.spider2v.checkout import Checkout
from lbi.environments.desktop.application import Desktop
from lbi.environments.desktop.session import PYTHON, DesktopRefused, DesktopSession

Json = dict[str, Any]
SCRIPT_SECONDS = 600.0
WINDOW_SECONDS = 120.0  # for a program to show what it was started for, on a busy machine
SETTLING = 6.0
LOOK_AGAIN = 0.3
CHROME = "google-chrome"
LOCAL = ("localhost", "127.0.0.1")
DOCUMENTS = ("document web", "document frame")
LOADING = 20  # nodes of a page that shows no more than that it is being loaded
SHOWING_SECONDS = 20.0
STILL_SECONDS, STILL_AT_MOST = 4.0, 90.0  # a notebook shows more and more, as its kernel starts


class MalformedStep(DesktopRefused):
    """The task's own file is at fault, or one that it names: nothing that an agent did."""


def read(checkout: Checkout, said: str) -> bytes:
    """A file that a task names from where the checkout lies."""
    try:
        return checkout.path(said).read_bytes()
    except OSError as error:
        raise MalformedStep(f"{said} of the checkout cannot be read: {error.strerror}") from None


class Steps:
    """Carries out steps on one desktop. Raises DesktopRefused and DesktopEnded for what cannot be carried out."""

    def __init__(
        self,
        checkout: Checkout,
        desktop: Desktop,
        session: DesktopSession,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkout, self._desktop, self._session, self._clock = checkout, desktop, session, clock

    async def carry_out(self, steps: Iterable[Json]) -> None:
        known = {
            "copyfile_from_host_to_guest": self._copy,
            "script_and_execute": self._script,
            "execute": self._execute,
            "launch": self._launch,
            "open": self._open,
            "activate_window": self._activate,
            "sleep": self._settle,
            "google_chrome_browser": self._browser,
            "dagster_webui_init": self._page,
        }
        for number, step in enumerate(steps, 1):
            try:
                await known[step["type"]](dict(step.get("parameters", {})))
            except (TypeError, ValueError, LookupError, AttributeError) as error:  # its parameters may be anything
                why = f"step {number} ({step.get('type')}) is none of Spider2-V's: {error!r}"
                raise MalformedStep(" ".join(why.split())) from None

    async def run(self, command: Sequence[str], seconds: float = SCRIPT_SECONDS) -> Json:
        """exit_code (None = it was stopped), output and errors."""
        return await self._session.ask("run", command=[*command], seconds=seconds, wall=seconds + 60, apart=True)

    async def upload(self, said: str, place: str) -> None:
        content = await asyncio.to_thread(read, self._checkout, said)
        try:
            await self._session.sandbox.upload(place, content)
        except OSError as error:
            raise DesktopRefused(f"{place} cannot be written: {error.strerror or error}") from None

    async def script(self, said: str, place: str) -> Json:
        """Copy a script of the checkout and run it to its end."""
        await self.upload(said, place)
        return await self.run(["/bin/bash", place])

    async def _copy(self, given: Json) -> None:
        await self.upload(given["src"], given["dest"])

    async def _script(self, given: Json) -> None:
        place = given.get("dest", "/home/user/init.sh")
        done = await self.script(given["src"], place)
        if done["exit_code"] is None:
            raise DesktopRefused(f"{given['src']} did not end within {SCRIPT_SECONDS:.0f} s")
        await self.run(["rm", "-f", place])

    async def _execute(self, given: Json) -> None:
        command = given["command"]
        words = ["sh", "-c", command] if isinstance(command, str) else [str(word) for word in command]
        await self.run([PYTHON if word == "python" and not at else word for at, word in enumerate(words)])
        await self._settle({})

    async def _launch(self, given: Json) -> None:
        command = [str(word) for word in given["command"]]
        await self._session.ask("launch", name=posixpath.basename(command[0]), command=command)
        if "jupyter lab" in command[-1]:
            await self._until_page("JupyterLab", "http://localhost:8888")
            await self._until_still()
        await self._settle({})

    async def _open(self, given: Json) -> None:
        opener = self._desktop.opener(given["path"])
        if opener is None:
            raise DesktopRefused(f"no program here opens {given['path']}")
        command = [*opener.command, given["path"]]
        await self._session.ask("open", name=opener.name, command=command, seconds=WINDOW_SECONDS)

    async def _activate(self, given: Json) -> None:
        """To the front, where there is such a window; the authors' own go on where there is none, too."""
        name, strict = given["window_name"], given.get("strict", False)
        windows = await self._titles()
        fits = [n for n, title in windows if title == name or (not strict and name.casefold() in title.casefold())]
        if fits:
            await self._session.ask("act", strokes=[["front", fits[-1]]])

    async def _settle(self, given: Json) -> None:
        await self._session.ask("settle", seconds=SETTLING)

    async def _browser(self, given: Json) -> None:
        """There is no network: of the pages that are to be opened, those of this machine are."""
        pages = [page for page in given.get("urls", ()) if urlsplit(page).hostname in LOCAL]
        port = given.get("debugging_port", 1337)
        command = [CHROME, f"--remote-debugging-port={port}", *(pages or ["about:blank"])]
        await self._session.ask("open", name="chrome", command=command, seconds=WINDOW_SECONDS)

    async def _page(self, given: Json) -> None:
        page = given.get("url", "http://localhost:3000")
        await self._session.ask("launch", name="chrome", command=[CHROME, page])
        await self._until_page("", page)

    async def until_window(self) -> None:
        """What scripts start in the background shows a window; where it shows none in time, the agent sees none."""
        for _ in range(round(SHOWING_SECONDS / LOOK_AGAIN)):
            if (await self._session.ask("look"))["windows"]:
                break
            await asyncio.sleep(LOOK_AGAIN)
        await self._settle({})

    async def _until_page(self, title: str, page: str) -> None:
        """The page in front has that title, and more than the few elements of one that is still loading."""
        for _ in range(round(WINDOW_SECONDS / LOOK_AGAIN)):
            told = await self._session.ask("look")
            documents = [node for window in told["windows"] for node in _nodes(window) if node["role"] in DOCUMENTS]
            if any(title in node["name"] and sum(1 for _ in _nodes(node)) > LOADING for node in documents):
                return
            await asyncio.sleep(LOOK_AGAIN)
        raise DesktopRefused(f"the browser shows nothing of {page} after {WINDOW_SECONDS:.0f} s")

    async def _until_still(self) -> None:
        """All that is told stays as it is for a while; what never does is begun with as it is."""
        began = since = self._clock()
        before: list[str] = []
        while self._clock() < min(since + STILL_SECONDS, began + STILL_AT_MOST):
            told = await self._session.ask("look")
            now = [_said(node) for window in told["windows"] for node in _nodes(window)]
            if now != before:
                before, since = now, self._clock()
            await asyncio.sleep(LOOK_AGAIN)

    async def _titles(self) -> list[tuple[int, str]]:
        order = (await self._session.ask("look"))["order"]
        return [(int(number), str(title)) for number, title in order]


def _said(node: Json) -> str:
    return f"{node['role']} {node['name']} {node.get('text', '')} {' '.join(node['states'])}"


def _nodes(node: Json) -> Iterator[Json]:
    yield node
    for child in node["children"]:
        yield from _nodes(child)
