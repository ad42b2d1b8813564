"""One file per command of the terminal; each does the work behind one function of lbi.cli."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path

#: the run folder a command works in, once it is known: where to go on, and where to leave a traceback
FOLDER: ContextVar[Path | None] = ContextVar("run folder", default=None)
