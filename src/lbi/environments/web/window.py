"""Where a browser's window is shown: is there a display, and does it take windows?"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from lbi.errors import UserError

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")  # name the display on Linux
#: what Chromium says on Linux when it can open no window
REFUSED = ("Missing X server or $DISPLAY", "The platform failed to initialize")


def require_display(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> None:
    """Raise UserError where a window could be shown to nobody."""
    if platform.startswith("linux") and not _named(environ):
        raise UserError(
            f"--headed shows the browser, and there is no display ({' and '.join(DISPLAYS)} are not set); "
            "leave it out, or run this on a desktop"
        )


def require_window(log: str, environ: Mapping[str, str] = os.environ) -> None:
    """Raise UserError if ``log``, of a browser that did not start, says that its display took no window."""
    if any(words in log for words in REFUSED):
        raise UserError(
            f"--headed shows the browser, and no display answers at {' and '.join(_named(environ)) or 'DISPLAY'}, "
            "or it lets no window in; leave it out, or run this on a desktop"
        )


def _named(environ: Mapping[str, str]) -> list[str]:
    return [f"{name}={environ[name]}" for name in DISPLAYS if environ.get(name)]
