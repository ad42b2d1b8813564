"""The terminal: commands/ holds the signatures of all commands, and one file per command here does its work."""

from __future__ import annotations

import os
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from lbi.monitoring import terminal

if TYPE_CHECKING:
    from rich.console import Console

#: the run folder a command works in, once it is known: where to go on, and where to leave a traceback
FOLDER: ContextVar[Path | None] = ContextVar("run folder", default=None)
WIDTH = 120  # characters of a line where there is no terminal that says how many it shows


def open_console() -> Console:
    """What answers are printed on. A file or a pipe is no terminal of 80 characters, and tables are not cut to that."""
    console = terminal.open_console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH
    return console
