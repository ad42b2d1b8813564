"""An exception -> the line that a person gets for it, and the exit code."""

from __future__ import annotations

import errno
import logging
import shlex
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from lbi.cli import FOLDER
from lbi.errors import BudgetExceeded, EnvironmentFailure, ModelError, ModelUnavailable, UserError, UserErrors
from lbi.storage.damage import DamagedRun, is_damage
from lbi.storage.secrets import mask

_FULL, _SHUT = ("full", "make room"), ("read-only", "make it writable")
_DISK = {errno.ENOSPC: _FULL, errno.EDQUOT: _FULL, errno.EFBIG: _FULL, errno.EROFS: _SHUT}
#: what is told apart, most telling first: several workers may fail at once and for different reasons
_KNOWN = (
    *(UserError, BudgetExceeded, ModelUnavailable, OSError, sqlite3.DatabaseError, ModelError),
    EnvironmentFailure,
)


def explained(error: BaseException) -> tuple[str, int]:
    """The message and the exit code; what is not expected leaves its traceback in a file."""
    known = [part for part in _parts(error) if isinstance(part, _KNOWN)]
    if not known:
        return _unexpected(error), 1
    part = min(known, key=lambda part: next(i for i, kind in enumerate(_KNOWN) if isinstance(part, kind)))
    if isinstance(part, UserErrors):
        return str(part), 2  # several mistakes, a line for each
    line = one_line(str(part)).rstrip(".")
    if isinstance(part, BudgetExceeded):
        return f"{line}. Nothing finished is lost{_undone()}", 3
    if isinstance(part, OSError):
        if part.errno not in _DISK:
            return _unexpected(error), 1
        place = f" at {part.filename}" if part.filename else ""
        what, advice = _DISK[part.errno]
        return f"the disk is {what}{place}; {advice}. {_again()}".strip(), 2
    if isinstance(part, sqlite3.DatabaseError) and is_damage(part):
        return str(DamagedRun((FOLDER.get() or Path()) / "run.db", line)), 2
    if isinstance(part, sqlite3.DatabaseError):
        return f"the run's database cannot be used ({line}); make room, or make it writable. {_again()}".strip(), 2
    if isinstance(part, EnvironmentFailure):
        advice = "the application answers, and that `lbi check browser` works"
        if part.kind == "sandbox":
            advice = "`lbi check` works"
        return f"{line}; see that {advice}. {_again()}".strip(), 2
    return line, 2


def _undone() -> str:
    """What a used-up budget leaves unmeasured, for commands that work in a run folder."""
    from lbi.cli.unfinished import unfinished

    folder = FOLDER.get()
    lines = unfinished(folder, ["lbi", *sys.argv[1:]]) if folder else ""
    return f".\n{lines}" if lines else ""


def one_line(text: str) -> str:
    """What was found, and the last that a program said of it, which is where most say what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    more = ""
    if len(lines) > 2 and FOLDER.get():
        logging.getLogger(__name__).warning("%s", text)
        more = f" ({FOLDER.get()}/run.log has all of it)"
    return " ".join([lines[0], lines[-1]] if len(lines) > 1 else lines) + more


def interrupted() -> str:
    return f"stopped. {_again()}".strip()


def _parts(error: BaseException) -> Iterator[BaseException]:
    """The errors in an exception group, however deep; another exception is its own only part."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _parts(inner)
    else:
        yield error


def _again() -> str:
    """How to go on, for commands that work in a run folder."""
    if FOLDER.get() is None:
        return ""
    command = shlex.join(["lbi", *sys.argv[1:]])
    return f"Nothing finished is lost: `{command}` continues."


def _unexpected(error: BaseException) -> str:
    text = mask("".join(traceback.format_exception(error)))
    name = f"traceback-{time.strftime('%Y%m%d-%H%M%S')}.txt"
    file = _written(text, [FOLDER.get(), Path(tempfile.gettempdir())], name)
    first = (mask(str(error)).strip().splitlines() or [""])[0][:200]
    where = f"the traceback is in {file}" if file else f"and no place to write the traceback:\n{text}"
    return f"the program is wrong: {type(error).__name__}: {first}; {where}. {_again()}".strip()


def _written(text: str, folders: list[Path | None], name: str) -> Path | None:
    for folder in folders:
        if folder is not None and folder.is_dir():
            try:
                (folder / name).write_text(text)
            except OSError:
                continue
            return folder / name
    return None
