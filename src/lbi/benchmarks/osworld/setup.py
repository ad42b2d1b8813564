"""Carries out the steps of a task's ``config`` and ``postconfig`` on a private desktop.

Where the official runner waits for a number of seconds, the desktop is asked until it is at rest.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from lbi.benchmarks.osworld.task import Step
from lbi.environments.desktop.application import Desktop
from lbi.environments.desktop.session import HOME, DesktopRefused, DesktopSession

SECONDS = 120.0  # for a command, as in the official server
STARTING = 25.0  # for a program to show a window, in the accessibility tree too
SETTLING = 10.0
AT_MOST = 20  # times that a command is repeated until it says what it should
PASSWORD = "password"  # of a user who needs none here
STEPS = ("download", "launch", "execute", "command", "open", "sleep", "activate_window", "close_window")
#: what shows a window when it is started, so that it is waited for
_WINDOWS = re.compile(r"(?:^|[\s/;&])(libreoffice|soffice|gimp|vlc|google-chrome|thunderbird|code|nautilus)(?=\s|$)")
_NO_WINDOW = re.compile(r"--convert-to|--headless|--list-extensions|--install-extension|^\s*(?:pkill|killall|rm)\b")


class MalformedStep(DesktopRefused):
    """The task's own file is at fault, so that trying it again is of no use."""


class Setup:
    """``bring`` finds the file of an address, and raises DesktopRefused where there is none.

    ``kept`` is what commands wrote that a getter will ask for, by its name.
    """

    def __init__(self, session: DesktopSession, desktop: Desktop, bring: Callable[[str], bytes]) -> None:
        self.kept: dict[str, bytes] = {}
        self._forgiving = False
        self._session, self._desktop, self._bring = session, desktop, bring
        self._do: dict[str, Callable[..., Awaitable[None]]] = {
            "download": self._download,
            "launch": self._launch,
            "execute": self._execute,
            "command": self._execute,
            "open": self._open,
            "sleep": self._sleep,
            "activate_window": self._activate,
            "close_window": self._close,
        }

    async def carry_out(self, steps: Sequence[Step], *, forgiving: bool = False) -> None:
        """Raises DesktopRefused that names the step, and DesktopEnded. ``forgiving``: goes on after most refusals.

        The official runner goes on too, where a window that a task's end brings to the front is not there any more.
        """
        self._forgiving = forgiving
        for number, step in enumerate(steps, 1):
            try:
                await self._do[step.type](**step.parameters)
            except DesktopRefused as refused:
                if not forgiving:
                    raise DesktopRefused(f"step {number} of its config ({step.type}): {refused}") from None
            except (TypeError, ValueError, LookupError, AttributeError) as error:  # its parameters may be anything
                why = f"step {number} ({step.type}) is none of OSWorld's: {error}"
                raise MalformedStep(" ".join(why.split())) from None
        if steps:
            await self._settle()

    async def _settle(self, seconds: float = SETTLING) -> None:
        await self._session.ask("settle", seconds=seconds)

    async def _download(self, files: Sequence[dict[str, str]]) -> None:
        for file in files:
            await self._upload(_path(file["path"]), self._bring(file["url"]))

    async def _upload(self, path: str, content: bytes) -> None:
        try:
            await self._session.sandbox.upload(path, content)
        except OSError as error:
            raise DesktopRefused(f"{path} cannot be written: {error.strerror or error}") from None

    async def _launch(self, command: str | Sequence[str], shell: bool = False) -> None:
        words = self._words(command, shell)
        text = words[-1] if shell else shlex.join(words)
        if shows_window(text) and not self._forgiving:
            await self._session.ask("open", name=_name(text), command=words, seconds=STARTING)
            return
        await self._session.ask("launch", name=_name(text), command=words)
        if shows_window(text):  # nobody looks at it any more: what it does as it starts is what counts
            await self._session.ask("wait", seconds=3.0)
        await self._settle(2.0)

    async def _execute(
        self,
        command: str | Sequence[str],
        shell: bool = False,
        stdout: str = "",
        stderr: str = "",
        until: dict[str, Any] | None = None,
    ) -> None:
        words = self._words(command, shell)
        for _ in range(AT_MOST if until else 1):
            done = await self._session.ask("run", command=words, seconds=SECONDS, wall=SECONDS + 30, apart=True)
            if "pyautogui" in words[-1]:
                await self._settle()
            if stdout:
                self.kept[stdout] = done["output"].encode()
            if stderr:
                self.kept[stderr] = done["errors"].encode()
            if not until or _as_wanted(done, until):
                return
            await self._session.ask("wait", seconds=0.5)

    async def _open(self, path: str) -> None:
        path = _path(path)
        opener = self._desktop.opener(path)
        if opener is None:
            raise DesktopRefused(f"no program opens {path}")
        await self._session.ask("open", name=opener.name, command=[*opener.command, path], seconds=STARTING)

    async def _sleep(self, seconds: float) -> None:
        await self._settle(min(max(float(seconds), 2.0), SETTLING))

    async def _activate(self, window_name: str, strict: bool = False, by_class: bool = False) -> None:
        await self._to_window("front", window_name, strict)

    async def _close(self, window_name: str, strict: bool = False, by_class: bool = False) -> None:
        await self._to_window("close", window_name, strict)

    async def _to_window(self, stroke: str, name: str, strict: bool) -> None:
        """The topmost of that title; where there is none, nothing is done, as by the official runner."""
        order = (await self._session.ask("look"))["order"]
        fits = [n for n, title in order if title == name or (not strict and name.casefold() in title.casefold())]
        if fits:
            await self._session.ask("act", strokes=[[stroke, fits[-1]]], seconds=SETTLING)

    def _words(self, command: str | Sequence[str], shell: bool) -> list[str]:
        values = {
            "{CLIENT_PASSWORD}": PASSWORD,
            "{SCREEN_WIDTH_HALF}": str(self._desktop.width // 2),
            "{SCREEN_HEIGHT_HALF}": str(self._desktop.height // 2),
            "{SCREEN_WIDTH}": str(self._desktop.width),
            "{SCREEN_HEIGHT}": str(self._desktop.height),
        }
        words = [command] if isinstance(command, str) else [str(word) for word in command]
        for placeholder, value in values.items():
            words = [word.replace(placeholder, value) for word in words]
        if shell:
            return ["bash", "-c", " ".join(words) if isinstance(command, str) else shlex.join(words)]
        return shlex.split(words[0]) if isinstance(command, str) else [_path(w) if w[:2] == "~/" else w for w in words]


def shows_window(command: str) -> bool:
    """Whether a command line starts a program that shows a window."""
    return bool(_WINDOWS.search(command)) and not _NO_WINDOW.search(command)


def _name(command: str) -> str:
    known = _WINDOWS.search(command)
    return known[1] if known else re.sub(r"\W+", "-", command.split()[0].rpartition("/")[2] or "command")


def _as_wanted(done: dict[str, Any], until: dict[str, Any]) -> bool:
    return (
        ("returncode" in until and done["exit_code"] == until["returncode"])
        or ("stdout" in until and str(until["stdout"]) in done["output"])
        or ("stderr" in until and str(until["stderr"]) in done["errors"])
    )


def _path(path: str) -> str:
    path = path.replace("${HOME}", HOME).replace("$HOME", HOME)
    return f"{HOME}/{path[2:]}" if path.startswith("~/") else path if path.startswith("/") else f"{HOME}/{path}"
