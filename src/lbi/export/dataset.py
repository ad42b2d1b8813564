"""Examples -> training files: one (prompt, completion) per step, as the agent acts without examples (paper, App. C).

{"prompt": [{"role": "system", ...}, {"role": "user", ...}],
 "completion": [{"role": "assistant", "content": "REASON: the form is filled\\nACTION: click(e12)"}]}
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.export.exporters import Exporter, consumers_of, open_exporter
from lbi.export.lengths import Lengths, Measure
from lbi.export.sinks import Sink
from lbi.export.splits import root_of, sides_of
from lbi.export.turns import SIDES, Side, TrainingExample, Turn, turns_of
from lbi.records import Record
from lbi.storage.files import write_atomically
from lbi.storage.secrets import masked

MAX_CHARS = 32_000  # of prompt and completion together: about the paper's 8,192 tokens


class ExportReport(Record):
    """What was written, what was left out and why, and the licences of the documents; the content of export.json."""

    format: str
    split: float
    seed: int
    max_chars: int
    files: tuple[str, ...]
    rows: dict[str, int]  # by side of the split, as are the next three
    examples: dict[str, int]
    trajectories: dict[str, int]
    lineages: dict[str, int]  # documents, or tasks where there is no document
    left_out: dict[str, int]  # {reason: number of steps, or of whole examples if the reason says so}
    without_reason: int  # rows whose reply gives no reason for its action
    without_image: int  # rows whose page had a screenshot, which no format here can hold
    licences: dict[str, int]  # {licence: number of documents}
    lengths: Lengths  # of all rows, and what trainers cut of them by default


def write_export(
    rows: Iterable[TrainingExample],
    fmt: str,
    out: Path,
    *,
    actions: str,
    split: float = 0.1,
    seed: int = 0,
    max_chars: int = MAX_CHARS,
    tokenizer: str = "",
) -> ExportReport:
    """Write train.*, validation.* and export.json into the folder ``out``, in place of an earlier export.

    ``actions``: the environment's description of its actions. ``split``: the share of lineages held back for
    validation; all examples of one document, task or trajectory are on one side, also if more are added later. Only
    examples that every filter keeps are written; pass the dropped ones too, so that composed examples find their parts.
    Tokens are counted by ``tokenizer`` (lbi.export.lengths.open_tokenizer), else estimated. Raises UserError if nothing
    can be exported or written.
    """
    exporter = open_exporter(fmt)
    if not 0 <= split < 1:
        raise UserError(f"the share held back for validation is {split}; give a number from 0 up to, not including, 1")
    tally = _Tally(Measure(tokenizer, consumers_of(exporter)))
    lessons = list(rows)
    turns = _turns(lessons, sides_of(lessons, split, seed), actions, max_chars, tally)
    try:
        files = _write(turns, exporter, out, tally)
    except OSError as error:
        raise UserError(
            f"cannot write the export to {out}: {error.strerror or error}; choose another folder"
        ) from error
    report = tally.report(format=fmt, split=split, seed=seed, max_chars=max_chars, files=files)
    write_atomically(out / "export.json", (report.model_dump_json(indent=2) + "\n").encode())
    return report


@dataclass
class _Tally:
    """What is counted while rows are written."""

    measure: Measure
    rows: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    seen: dict[str, dict[str, set[str]]] = field(default_factory=lambda: {side: {} for side in SIDES})
    documents: dict[str, str] = field(default_factory=dict)
    without_reason: int = 0
    without_image: int = 0

    def add(self, turn: Turn) -> None:
        lesson, step = turn.lesson, turn.lesson.trajectory.steps[turn.at]
        self.rows[turn.side] += 1
        self.measure.add(turn.prompt, turn.reply)
        self.without_reason += not step.reason.strip()
        self.without_image += bool(step.observation.image)
        names = {"examples": lesson.example.id, "trajectories": lesson.trajectory.id, "lineages": root_of(lesson)}
        for kind, name in names.items():
            self.seen[turn.side].setdefault(kind, set()).add(name)
        if document := lesson.example.document or lesson.trajectory.task.document:
            self.documents[document] = (lesson.document and lesson.document.licence) or "unknown"

    def report(self, **settings: Any) -> ExportReport:
        def count(kind: str) -> dict[str, int]:
            return {side: len(self.seen[side].get(kind, ())) for side in SIDES}

        return ExportReport(
            **settings,
            rows={side: self.rows[side] for side in SIDES},
            examples=count("examples"),
            trajectories=count("trajectories"),
            lineages=count("lineages"),
            left_out=dict(sorted(self.left_out.items())),
            without_reason=self.without_reason,
            without_image=self.without_image,
            licences=dict(sorted(Counter(self.documents.values()).items())),
            lengths=self.measure.lengths(),
        )


def _turns(
    lessons: Sequence[TrainingExample], sides: dict[str, Side | None], actions: str, max_chars: int, tally: _Tally
) -> Iterator[Turn]:
    written: set[str] = set()
    for lesson in lessons:
        side = sides[lesson.example.id]
        if not lesson.example.kept:
            tally.left_out["example dropped by a filter"] += 1
        elif side is None:
            tally.left_out["example with parts on both sides of the split, or unknown ones"] += 1
        else:
            for turn in turns_of(lesson, side, actions, max_chars, tally.left_out):
                if turn.key in written:
                    tally.left_out["the same as another row"] += 1
                    continue
                written.add(turn.key)
                yield turn


def _write(turns: Iterable[Turn], exporter: Exporter, out: Path, tally: _Tally) -> tuple[str, ...]:
    """Write the rows to temporary files, which are renamed when all are complete. A side without rows has no file."""
    out.mkdir(parents=True, exist_ok=True)
    parts = {side: out / f".{side}.{os.getpid()}.part" for side in SIDES}
    try:
        with contextlib.ExitStack() as stack:
            sinks: dict[Side, Sink] = {}
            for side in SIDES:
                sinks[side] = exporter.open_sink(parts[side])
                stack.callback(sinks[side].close)
            for turn in turns:
                sinks[turn.side].put(masked(exporter.row(turn)))
                tally.add(turn)
        if not tally.rows:
            raise UserError(f"nothing to export: no example has a step to learn from ({_summary(tally.left_out)})")
        return _replace(out, {side: part for side, part in parts.items() if tally.rows[side]}, exporter.ENDING)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _summary(left_out: Counter[str]) -> str:
    return "; ".join(f"{reason}: {count}" for reason, count in left_out.most_common()) or "there were no examples"


def _replace(out: Path, parts: dict[Side, Path], ending: str) -> tuple[str, ...]:
    """Replace the files of an earlier export, whatever its format was.

    export.json is removed first and written last: files without it are an incomplete export.
    """
    names = tuple(f"{side}.{ending}" for side in parts)
    (out / "export.json").unlink(missing_ok=True)
    for side in SIDES:
        for stale in out.glob(f"{side}.*"):
            stale.unlink()
    for part, name in zip(parts.values(), names, strict=True):
        part.replace(out / name)
    return names
