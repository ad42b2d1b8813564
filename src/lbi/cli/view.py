"""view: one or two run folders -> pages in the browser, until it is stopped."""

from __future__ import annotations

import getpass
import importlib.util
import webbrowser
from pathlib import Path

from lbi.errors import UserError
from lbi.monitoring.terminal import say


def view(run: Path, other: Path | None, judge: str, port: int, show: bool) -> int:
    """Raises UserError for what is no run, for a port in use, and without the extra."""
    if importlib.util.find_spec("starlette") is None or importlib.util.find_spec("uvicorn") is None:
        raise UserError("the viewer needs the extra view; install it with: pip install 'learn-by-interact[view]'")
    from lbi.report.viewer.serve import view_runs

    def ready(address: str) -> None:
        say(f"{run}{f' and {other}' if other else ''}: {address}")
        say("Ctrl-C stops it. Whoever knows the address can read the run; it changes at each start.")
        if show:
            webbrowser.open(address)

    view_runs([run, *([other] if other else [])], judge or _user(), port, ready)
    return 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # nobody of that number is known here, as in a container
        return "somebody"
