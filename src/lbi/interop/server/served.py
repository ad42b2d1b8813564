"""What was shown, and how it went, one line each in files that only grow: RUN/served/{shown,outcomes}.jsonl.

{"time": "2026-11-29T21:00:00+00:00", "ids": ["4be1..."], "success": true, "evidence": "the note is there"}

The run's own records are never changed. Nothing of what passes is kept here: ids, and what was reported.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.records import sound
from lbi.storage.secrets import masked

FOLDER = "served"
MOST_EVIDENCE = 2_000  # characters
Clock = Callable[[], datetime]


def now() -> datetime:
    return datetime.now(UTC)


class Served:
    """The records of a server's folder, which another server of the run may be writing, too."""

    def __init__(self, folder: Path, clock: Clock = now) -> None:
        """Raises UserError for a folder that cannot be written."""
        self.outcomes, self.shown = folder / "outcomes.jsonl", folder / "shown.jsonl"
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for file in (self.outcomes, self.shown):
                _end_line(file)
        except OSError as error:
            why = error.strerror or str(error)
            raise UserError(f"cannot keep outcomes in {folder}: {why}; choose another folder with --out") from None

    def report(self, ids: Sequence[str], success: bool, evidence: str) -> None:
        """Kept for good when this returns. Raises OSError."""
        evidence = sound(evidence)[:MOST_EVIDENCE]
        self._append(self.outcomes, {"ids": list(ids), "success": success, "evidence": evidence}, lasting=True)

    def show(self, ids: Sequence[str], by: str) -> None:
        """Counted, as far as the disk has room: an agent is never kept waiting or failed for it."""
        try:
            self._append(self.shown, {"ids": list(ids), "by": by})
        except OSError:
            return

    def uses(self) -> dict[str, dict[str, int]]:
        """{id of an example: how often it was shown, and how often success and failure were reported with it}."""
        shown: Counter[str] = Counter(id_ for row in _rows(self.shown) for id_ in row.get("ids", ()))
        ends: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        for row in _rows(self.outcomes):
            ends[bool(row.get("success"))].update(row.get("ids", ()))
        return {
            id_: {"shown": shown[id_], "succeeded": ends[True][id_], "failed": ends[False][id_]}
            for id_ in sorted({*shown, *ends[True], *ends[False]})
        }

    def _append(self, file: Path, row: dict[str, Any], *, lasting: bool = False) -> None:
        told = {"time": self._clock().isoformat(timespec="seconds"), **row}
        line = (json.dumps(masked(told), ensure_ascii=False) + "\n").encode()
        with self._one_at_a_time:
            target = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(target, line)
                if lasting:
                    os.fsync(target)
            finally:
                os.close(target)


def reported(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, row) of everything that was kept in a server's folder; a name is that of one line for good."""
    for name in ("shown.jsonl", "outcomes.jsonl"):
        file = folder / name
        for number, row in enumerate(_lines(file) if file.is_file() else (), start=1):
            if row is not None:
                yield f"{name}:{number}", row


def _end_line(file: Path) -> None:
    """A line that a killed server wrote half is ended, so that the next one is a line of its own."""
    with file.open("ab+") as opened:
        if opened.tell():
            opened.seek(-1, os.SEEK_END)
            if opened.read(1) != b"\n":
                opened.write(b"\n")


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """The lines that can be read."""
    return (row for row in _lines(file) if row is not None)


def _lines(file: Path) -> Iterator[dict[str, Any] | None]:
    """Every line; None for one that cannot be read."""
    for line in file.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        yield row if isinstance(row, dict) else None
