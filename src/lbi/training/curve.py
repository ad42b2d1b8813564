"""The loss by step, as it goes: a line of ``losses.jsonl`` for each step, and a word on progress now and then.

{"step": 20, "loss": 1.2345, "rate": 1.9e-05, "rows": 2560, "tokens": 81234, "seconds": 812.5}
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lbi.protocols import Json
from lbi.storage.files import write_atomically

FILE = "losses.jsonl"
EVERY = 10.0  # seconds between two times that progress is shown
Show = Callable[[int, int, float, float], None]  # step, of how many, loss, seconds left


@dataclass
class Curve:
    """Writes down every step of one training run. ``steps`` are all there will be."""

    folder: Path
    steps: int
    show: Show | None = None
    clock: Callable[[], float] = time.monotonic
    _began: float = 0.0
    _before: float = 0.0  # seconds that earlier starts took
    _first: int = 0  # the step before the first of this start
    _shown: float = field(default=float("-inf"))

    def begin(self, step: int) -> None:
        """Continue after a step: what an earlier start wrote beyond it is computed again."""
        kept = [entry for entry in read(self.folder) if entry["step"] <= step]
        self._write(kept)
        self._before = kept[-1]["seconds"] if kept else 0.0
        self._began, self._first = self.clock(), step

    def _write(self, entries: Sequence[Json]) -> None:
        write_atomically(self.folder / FILE, "".join(json.dumps(entry) + "\n" for entry in entries).encode())

    def add(self, step: int, loss: float, rate: float, rows: int, tokens: int, **more: float) -> None:
        """``rows`` and ``tokens`` are those of this step."""
        now = self.clock()
        spent = self._before + now - self._began
        entry = {"step": step, "loss": round(loss, 6), "rate": rate, "rows": rows, "tokens": tokens, **more}
        with (self.folder / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "seconds": round(spent, 3)}) + "\n")
        if self.show and (now - self._shown >= EVERY or step == self.steps):
            self._shown = now
            self.show(step, self.steps, loss, (now - self._began) / max(step - self._first, 1) * (self.steps - step))

    def amend(self, step: int, **more: float) -> None:
        """Add to what was written of a step."""
        entries = [entry | more if entry["step"] == step else entry for entry in read(self.folder)]
        self._write(entries)


def read(folder: Path) -> list[Json]:
    """The steps written so far; a last line that a kill cut short does not count."""
    file = folder / FILE
    if not file.is_file():
        return []
    entries = []
    for line in file.read_text("utf-8").split("\n"):
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries
