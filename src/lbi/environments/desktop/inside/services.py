"""Starts what a desktop is made of: X server, session bus, accessibility bus, window manager. And programs on it."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Sequence

from .dbus import Bus, Call
from .screen import Screen
from .x11 import Display

RUN = "/tmp/.desktop"  # sockets, the screen's file, and what programs say
_LAUNCHERS = ("/usr/libexec/at-spi-bus-launcher", "/usr/lib/at-spi2-core/at-spi-bus-launcher")
SECONDS = 30.0  # to start in
LOOK_AGAIN = 0.005


class NotStarted(OSError):
    """A part of the desktop did not start; the message says which, and what it said."""


class Services:
    """``display``, ``screen`` and ``bus`` of accessibility, once all of it has been started."""

    def __init__(self, width: int, height: int) -> None:
        """Raises NotStarted."""
        os.makedirs(RUN, mode=0o700, exist_ok=True)
        os.makedirs("/tmp/.X11-unix", mode=0o1777, exist_ok=True)
        os.environ["XDG_RUNTIME_DIR"] = RUN
        self.deadline = time.monotonic() + SECONDS
        shown = self._x_server(width, height)
        session = self._session_bus()
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = self._line(session, "dbus-daemon")
        launcher = next(filter(os.path.exists, _LAUNCHERS), _LAUNCHERS[0])
        self._run("at-spi-bus-launcher", [launcher, "--launch-immediately"])
        os.environ["DISPLAY"] = f":{self._line(shown, 'Xvfb')}"
        self._run("openbox", ["openbox", "--sm-disable", *_window_rules()])
        self.display = Display(os.environ["DISPLAY"])
        self.screen = Screen(f"{RUN}/Xvfb_screen0")
        self.bus = self._accessibility_bus()
        self._until(lambda: self.display.property(self.display.root, "_NET_SUPPORTING_WM_CHECK"), "openbox")

    def _x_server(self, width: int, height: int) -> int:
        reading, writing = os.pipe()
        size = f"{width}x{height}x24"
        options = [
            "-displayfd",
            str(writing),
            "-screen",
            "0",
            size,
            "-fbdir",
            RUN,
            "-ac",
            "-nolisten",
            "tcp",
            "-noreset",
            "-r",  # on a busy machine a key that is held too long would be repeated
        ]
        self._run("Xvfb", ["Xvfb", *options], writing)
        os.close(writing)
        return reading

    def _session_bus(self) -> int:
        reading, writing = os.pipe()
        self._run("dbus-daemon", ["dbus-daemon", "--session", "--nofork", f"--print-address={writing}"], writing)
        os.close(writing)
        return reading

    def _accessibility_bus(self) -> Bus:
        session = Bus(os.environ["DBUS_SESSION_BUS_ADDRESS"])
        known = Call(
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "NameHasOwner",
            "s",
            ["org.a11y.Bus"],
        )
        self._until(lambda: session.ask(known), "at-spi-bus-launcher")
        address = session.ask(Call("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress"))
        # Where desktops tell it. Programs with Qt that have to ask for it register before they are connected, or after,
        # whichever comes first, and once only.
        self.display.set_text(self.display.root, "AT_SPI_BUS", address)
        bus = Bus(address)
        bus.ask(Call("org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root", "org.freedesktop.DBus.Peer", "Ping"))
        return bus

    def _until(self, asked: object, program: str) -> None:
        while not asked():  # type: ignore[operator]
            if time.monotonic() > self.deadline:
                raise NotStarted(110, f"{program} did not start: {last_words(program)}")
            time.sleep(LOOK_AGAIN)

    def _line(self, handle: int, program: str) -> str:
        """The line that a service writes once it is ready."""
        said = b""
        while not said.endswith(b"\n"):
            left = self.deadline - time.monotonic()
            if not select.select([handle], [], [], max(left, 0))[0] or not (chunk := os.read(handle, 4096)):
                raise NotStarted(110, f"{program} did not start: {last_words(program)}")
            said += chunk
        os.close(handle)
        return said.decode().strip()

    @staticmethod
    def _run(name: str, command: Sequence[str], handle: int = -1) -> None:
        run(name, command, (handle,) if handle >= 0 else ())


def run(
    name: str, command: Sequence[str], handles: Sequence[int] = (), cwd: str | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that goes on by itself; what it says goes to a file. Raises NotStarted."""
    if not shutil.which(command[0]):
        raise NotStarted(2, f"{command[0]} is not installed")
    with open(f"{RUN}/{name}.log", "ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=handles, cwd=cwd, start_new_session=True
        )


def _window_rules() -> list[str]:
    """The window manager's own settings, with windows of programs (and not dialogs) as large as the screen."""
    try:
        with open("/etc/xdg/openbox/rc.xml", encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return []
    rule = '<application type="normal"><maximized>true</maximized></application></applications>'
    with open(f"{RUN}/rc.xml", "w", encoding="utf-8") as file:
        file.write(text.replace("</applications>", rule))
    return ["--config-file", f"{RUN}/rc.xml"]


def last_words(name: str) -> str:
    """What a program said last, in a line."""
    try:
        with open(f"{RUN}/{name}.log", "rb") as file:
            return " ".join(file.read()[-2000:].decode("utf-8", "replace").split())[-300:] or "it said nothing"
    except OSError:
        return "it said nothing"
