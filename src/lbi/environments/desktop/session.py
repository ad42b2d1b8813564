"""One private desktop in a sandbox: asked in JSON, and thrown away with all that ran on it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from lbi.environments.desktop import inside
from lbi.environments.desktop.application import Desktop
from lbi.errors import EnvironmentFailure, UserError
from lbi.sandbox.backends import find_bubblewrap
from lbi.sandbox.bubblewrap import BubblewrapSandbox, start
from lbi.sandbox.host import program
from lbi.sandbox.protocol import MIB, SandboxLimits

HOME = "/home/user"
PYTHON = "/usr/bin/python3"  # the system's own: the interpreter of this process is not there inside
CODE = "/run/desktop"  # where the folder of our own programs is seen inside
SHIMS = "shims"  # folder with modules that snippets may import
FONT_CACHE = "/var/cache/fontconfig"
#: what every desktop needs of /etc, besides what a shell does
ETC = ("fonts", "xdg", "X11", "dbus-1", "gtk-2.0", "gtk-3.0", "machine-id")
ENVIRONMENT = {
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "TERM": "xterm",
    # programs tell what they show, whatever they were built with
    "GTK_MODULES": "gail:atk-bridge",
    "NO_AT_BRIDGE": "0",
    "GNOME_ACCESSIBILITY": "1",
    "QT_ACCESSIBILITY": "1",
    "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
}
LIMITS = SandboxLimits(
    memory_bytes=4096 * MIB,
    processes=1500,
    cpu_seconds=900,
    disk_bytes=1024 * MIB,
    output_bytes=64 * MIB,
    wall_seconds=150.0,
)
#: programs of a desktop, and the packages that bring them
NEEDED = {
    "Xvfb": "xvfb",
    "openbox": "openbox",
    "dbus-daemon": "dbus",
    "xkbcomp": "x11-xkb-utils",
    PYTHON: "python3",
}
BUS_PACKAGE, SANDBOX_PACKAGE = "at-spi2-core", "bubblewrap"
FONTS = ("fonts-dejavu-core", "fonts-liberation")
BUS_LAUNCHERS = ("/usr/libexec/at-spi-bus-launcher", "/usr/lib/at-spi2-core/at-spi-bus-launcher")
_BEGIN = "import sys; sys.path.insert(0, {folder!r}); from inside.main import main; main({width}, {height}, {most})"


class DesktopRefused(Exception):
    """What was asked for could not be done; the message is for the agent."""


class DesktopEnded(Exception):
    """What ran on the desktop ended it or exceeded its limits; it was started again, with the same files."""


def needed_packages(desktop: Desktop) -> tuple[str, ...]:
    """Everything that a system without windows lacks for a desktop, by the names of Debian's packages."""
    programs = [package for _, package in desktop.needs]
    return tuple(dict.fromkeys([*NEEDED.values(), BUS_PACKAGE, SANDBOX_PACKAGE, *FONTS, *programs]))


def missing_packages(desktop: Desktop) -> list[str]:
    """What has to be installed for a desktop to start, by the names of Debian's packages."""
    lacking = [package for name, package in NEEDED.items() if program(name) is None and not Path(name).exists()]
    if not any(Path(path).exists() for path in BUS_LAUNCHERS):
        lacking.append(BUS_PACKAGE)
    return list(dict.fromkeys([*lacking, *desktop.missing()]))


def require_packages(desktop: Desktop) -> None:
    """Raises UserError that says what to install."""
    if lacking := missing_packages(desktop):
        raise UserError(
            f"the desktop {desktop.name} needs what is not installed: {' '.join(lacking)}; as root: "
            "`scripts/setup.sh desktop`, or apt-get install --no-install-recommends and these"
        )


async def start_desktop(desktop: Desktop, home: Path, limits: SandboxLimits = LIMITS) -> DesktopSession:
    """Start a desktop whose home folder begins with what is in ``home``. Raises UserError."""
    folder = Path(inside.__file__).parent
    code = _BEGIN.format(folder=CODE, width=desktop.width, height=desktop.height, most=limits.processes)
    shown = [Path(path) for path in (FONT_CACHE, *desktop.show) if Path(path).exists()]
    env = {**ENVIRONMENT, "PYTHONPATH": f"{CODE}/{folder.name}/{SHIMS}", **desktop.env}
    bubblewrap = find_bubblewrap()
    try:
        sandbox = await start(
            home,
            limits,
            tuple(dict.fromkeys(shown)),
            env,
            bubblewrap,
            workdir=HOME,
            program=(PYTHON, "-I", "-B", "-c", code),
            etc=(*ETC, *desktop.etc),
            placed={folder: f"{CODE}/{folder.name}"},
        )
    except UserError as error:  # no X server, say
        raise UserError(f"the desktop {desktop.name} did not start: {error}") from None
    return DesktopSession(sandbox)


class DesktopSession:
    def __init__(self, sandbox: BubblewrapSandbox) -> None:
        self.sandbox = sandbox
        self._boot = ""

    async def ask(self, do: str, *, wall: float | None = None, **request: Any) -> dict[str, Any]:
        """The answer. Raises DesktopRefused, DesktopEnded, and EnvironmentFailure where the desktop broke."""
        done = await self.sandbox.run(json.dumps({"do": do, **request}), wall_seconds=wall)
        if done.ended != "exited" or done.exit_code != 0:
            self._boot = ""
            raise DesktopEnded(_ENDINGS.get(done.ended, "something that ran on the desktop ended it"))
        try:
            answer: dict[str, Any] = json.loads(done.output)
        except ValueError:
            raise EnvironmentFailure(f"the desktop answers with {done.output[:200]!r}", kind="sandbox") from None
        if "broke" in answer:
            raise EnvironmentFailure(f"the desktop broke: {answer['broke']}", kind="sandbox")
        boot, self._boot = self._boot, answer.get("boot", self._boot)
        if boot and boot != self._boot:
            raise DesktopEnded("it used more memory or processes than there are")
        if "failed" in answer:
            raise DesktopRefused(answer["failed"])
        return answer

    async def picture(self) -> bytes:
        return base64.b64decode((await self.ask("picture"))["png"])

    async def reset(self) -> None:
        """A fresh desktop, with the files that it began with."""
        self._boot = ""
        await self.sandbox.reset()

    async def close(self) -> None:
        await self.sandbox.close()


_ENDINGS = {
    "time": "it did not answer in time",
    "memory": "what ran on it used up the memory",
    "output": "it wrote too much",
    "killed": "something that ran on the desktop ended it, or it had too many processes",
}
