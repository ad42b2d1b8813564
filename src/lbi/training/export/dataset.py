"""Examples -> training files. Usually one (prompt, completion) per step, as the agent acts without examples (App. C):

{"prompt": [{"role": "system", ...}, {"role": "user", ...}],
 "completion": [{"role": "assistant", "content": "REASON: the form is filled\\nACTION: click(e12)"}]}
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.prompts import is_structured
from lbi.protocols import Json, PromptLimits
from lbi.records import Example, Record, Verdict
from lbi.storage.files import write_atomically
from lbi.storage.secrets import masked
from lbi.training.export.card import card
from lbi.training.export.choose import EVERYTHING, NothingToExport, Selection, choose, length_of
from lbi.training.export.consumers import Facts
from lbi.training.export.conversations import Conversation, conversation_of
from lbi.training.export.exporters import (
    ByPair,
    ByStep,
    ByTrajectory,
    Exporter,
    HasCard,
    Rows,
    WritesConfigs,
    chosen_rows,
    consumers_of,
    for_tokenizer,
    open_exporter,
)
from lbi.training.export.lengths import Lengths, Measure
from lbi.training.export.pairs import Pair, pairs_of
from lbi.training.export.sinks import Sink
from lbi.training.export.splits import TOLD, SideOrTold, root_of, sides_of, without_told
from lbi.training.export.turns import SIDES, USUAL, Replies, Side, TrainingExample, Turn, can_end, turns_of

#: verdicts of an export, which are no filter's; the reasons continue "example ..."
NOT_ASKED_FOR = Verdict(filter="export", keep=False, reason="of another kind, tier or seed than asked for")
RETIRED = Verdict(filter=NOT_ASKED_FOR.filter, keep=False, reason="that was retired")
MAX_CHARS = 32_000  # of prompt and completion together: about the paper's 8,192 tokens


_NO_STEP = "no example has a step to learn from"
_NOTHING: dict[Rows, str] = {
    "step": _NO_STEP,
    "trajectory": _NO_STEP,
    "pair": "no prompt has the reply of a kept example and another of a dropped one; try --kinds forward",
}
Unit = Turn | Conversation | Pair  # what becomes a row


class ExportReport(Record):
    """What was written, what was left out and why, and the licences of the documents; the content of export.json."""

    format: str
    rows_are: Rows = "step"
    split: float
    seed: int
    max_chars: int
    replies: Replies = "text"
    files: tuple[str, ...]
    configs: tuple[str, ...] = ()  # what readers of the format want beside the rows
    rows: dict[str, int]  # by side of the split, as are the next three
    examples: dict[str, int]
    trajectories: dict[str, int]
    lineages: dict[str, int]  # documents, or tasks where there is no document
    steps: dict[str, int]  # replies that are learned
    tokens: dict[str, int]  # of all rows, as measured by ``lengths``
    kinds: dict[str, int]  # examples by kind; by tier, and by length in steps
    tiers: dict[str, int]
    spans: dict[str, int]
    left_out: dict[str, int]  # {reason: number of steps, or of whole examples if the reason says so}
    without_reason: int  # learned replies that give no reason for their action
    without_image: int  # learned steps whose page had a screenshot, which no format here can hold
    licences: dict[str, int]  # {licence: number of documents}
    lengths: Lengths  # of all rows, and what trainers cut of them by default
    made_by: Json  # which models, prompts and checks stand behind the examples


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
    tokenizer_name: str = "",
    rows_are: str = "",
    selection: Selection = EVERYTHING,
    limits: PromptLimits = USUAL,
    ends: bool = False,
    made_by: Json | None = None,
) -> ExportReport:
    """Write train.*, validation.*, configs and export.json into the folder ``out``, in place of an earlier export.

    ``actions``: the environment's description of its actions. ``split``: the share of lineages held back for
    validation; all examples of one document, task or trajectory are on one side, also if more are added later. Only
    examples that every filter keeps are written; pass the dropped ones too, so that composed examples find their parts
    and preferences something worse. ``rows_are``: step, trajectory or pair, where the format has more than one.
    ``limits``: sizes of prompts, and whether replies are JSON, as the model will be asked later.
    ``ends``: a last row that ends the task, behind as many examples of a trajectory as its steps are told times (rows
    of steps only). Tokens are counted by ``tokenizer`` (lbi.training.export.lengths.open_tokenizer) and told of as
    ``tokenizer_name``, else estimated.
    Raises UserError if nothing can be exported or written.
    """
    exporter = for_tokenizer(open_exporter(fmt), tokenizer)
    kind = chosen_rows(exporter, fmt, rows_are)
    if not 0 <= split < 1:
        raise UserError(f"the share held back for validation is {split}; give a number from 0 up to, not including, 1")
    tally = _Tally(Measure(tokenizer, consumers_of(exporter), tokenizer_name))
    lessons = choose(list(rows), selection, tally.left_out)
    units = _units(
        lessons,
        without_told(lessons, sides_of(lessons, split, seed)),
        kind,
        _Making(actions, max_chars, tally, selection, limits, _ending(lessons) if ends else frozenset(), split),
    )
    try:
        files = _write(units, exporter, kind, out, tally)
        report = tally.report(
            format=fmt,
            rows_are=kind,
            split=split,
            seed=seed,
            max_chars=max_chars,
            replies="json" if is_structured("act", limits) else "text",
            files=files,
            made_by=made_by or {},
        )
        report = _write_beside(report, exporter, out)
    except OSError as error:
        raise UserError(
            f"cannot write the export to {out}: {error.strerror or error}; choose another folder"
        ) from error
    write_atomically(out / "export.json", (report.model_dump_json(indent=2) + "\n").encode())
    return report


@dataclass
class _Tally:
    """What is counted while rows are written."""

    measure: Measure
    rows: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    seen: dict[str, dict[str, set[str]]] = field(default_factory=lambda: {side: {} for side in SIDES})
    examples: dict[str, TrainingExample] = field(default_factory=dict)
    documents: dict[str, str] = field(default_factory=dict)
    without_reason: int = 0
    without_image: int = 0

    def add(self, unit: Unit) -> None:
        lesson = unit.lesson
        self.rows[unit.side] += 1
        self.steps[unit.side] += len(unit.learnt)
        self.tokens[unit.side] += self.measure.add(*unit.measured)
        for step in (lesson.trajectory.steps[at] for at in unit.learnt):
            self.without_reason += not (step.reason.strip() and lesson.reasons)
            self.without_image += bool(step.observation.image)
        names = {"examples": lesson.example.id, "trajectories": lesson.trajectory.id, "lineages": root_of(lesson)}
        for kind, name in names.items():
            self.seen[unit.side].setdefault(kind, set()).add(name)
        self.examples[lesson.example.id] = lesson
        if document := lesson.example.document or lesson.trajectory.task.document:
            self.documents[document] = (lesson.document and lesson.document.licence) or "unknown"

    def report(self, **settings: Any) -> ExportReport:
        def count(kind: str) -> dict[str, int]:
            return {side: len(self.seen[side].get(kind, ())) for side in SIDES}

        examples = self.examples.values()
        return ExportReport(
            **settings,
            rows={side: self.rows[side] for side in SIDES},
            examples=count("examples"),
            trajectories=count("trajectories"),
            lineages=count("lineages"),
            steps={side: self.steps[side] for side in SIDES},
            tokens={side: self.tokens[side] for side in SIDES},
            kinds=dict(sorted(Counter(lesson.example.kind for lesson in examples).items())),
            tiers=dict(sorted(Counter(lesson.example.tier for lesson in examples).items())),
            spans=dict(sorted(Counter(length_of(lesson) for lesson in examples).items())),
            left_out={reason: count for reason, count in sorted(self.left_out.items()) if count},
            without_reason=self.without_reason,
            without_image=self.without_image,
            licences=dict(sorted(Counter(self.documents.values()).items())),
            lengths=self.measure.lengths(),
        )


@dataclass(frozen=True)
class _Making:
    """What units are made with."""

    actions: str
    max_chars: int
    tally: _Tally
    selection: Selection
    limits: PromptLimits
    ends: frozenset[str]  # ids of the examples behind which the task is ended
    split: float = 0.0  # the share for validation

    def turns(self, lesson: TrainingExample, side: Side) -> Iterator[Turn]:
        ends = lesson.example.id in self.ends
        return turns_of(lesson, side, self.actions, self.max_chars, self.tally.left_out, self.limits, ends)

    def conversations(self, lesson: TrainingExample, side: Side) -> Iterator[Conversation]:
        made = conversation_of(lesson, side, self.actions, self.max_chars, self.tally.left_out, self.limits)
        return iter([made] if made else [])

    def is_full(self, side: Side) -> bool:
        """Whether as much is written as was asked for: for training, and beside it for validation by its share."""
        wanted, tally = self.selection, self.tally
        for_this, for_training = (1.0, 1.0) if side == "train" else (self.split, 1.0 - self.split)
        enough_rows = wanted.rows and tally.rows[side] * for_training >= wanted.rows * for_this
        return bool(enough_rows or (wanted.tokens and tally.tokens[side] * for_training >= wanted.tokens * for_this))


def _ending(lessons: Sequence[TrainingExample]) -> frozenset[str]:
    """The kept examples behind which the task is ended: of each trajectory as many as its steps are told times.

    So a set ends tasks as often as roll-outs end, once in their steps. Behind each of many short examples it would be
    half of what is learned, and a tuned model ends at once; once for a trajectory whose steps overlap in 30 examples,
    and it never does. They are spread from the longest to the shortest.
    """
    of: dict[str, list[Example]] = {}
    for lesson in lessons:
        if lesson.example.kept:
            of.setdefault(lesson.example.trajectory, []).append(lesson.example)
    chosen: set[str] = set()
    for examples in of.values():
        told = sum(example.end - example.start for example in examples)
        steps = len({at for example in examples for at in range(example.start, example.end)})
        able = sorted(filter(can_end, examples), key=lambda example: (example.start - example.end, example.id))
        wanted = min(round(told / steps), len(able))
        chosen |= {able[n * len(able) // wanted].id for n in range(wanted)}
    return frozenset(chosen)


def _units(
    lessons: Sequence[TrainingExample], sides: Mapping[str, SideOrTold], kind: Rows, making: _Making
) -> Iterator[Unit]:
    """What becomes rows, without repetitions, until there is as much as was asked for."""
    written: set[str] = set()
    made = _pairs(lessons, sides, making) if kind == "pair" else _of_each(lessons, sides, kind, making)
    for unit in made:
        if unit.key in written:
            making.tally.left_out["the same as another row"] += 1
        elif making.is_full(unit.side):
            making.tally.left_out["row beyond the size that was asked for"] += 1
        else:
            written.add(unit.key)
            yield unit


def _of_each(
    lessons: Sequence[TrainingExample], sides: Mapping[str, SideOrTold], kind: Rows, making: _Making
) -> Iterator[Unit]:
    left_out = making.tally.left_out
    for lesson in lessons:
        side = sides[lesson.example.id]
        if not lesson.example.kept:
            left_out[_why_dropped(lesson)] += 1
        elif side == TOLD:
            left_out[f"validation example {TOLD}"] += 1
        elif side is None:
            left_out["example with parts on both sides of the split, or unknown ones"] += 1
        elif kind == "trajectory":
            yield from making.conversations(lesson, side)
        else:
            yield from making.turns(lesson, side)


def _pairs(lessons: Sequence[TrainingExample], sides: Mapping[str, SideOrTold], making: _Making) -> Iterator[Pair]:
    """Pairs need all turns at once, as a kept one and a dropped one may be far apart."""

    def turns(of: Iterable[TrainingExample], made_with: _Making) -> Iterator[Turn]:
        for lesson in of:
            side = sides[lesson.example.id]
            if side is not None and side != TOLD:
                yield from made_with.turns(lesson, side)

    kept = [lesson for lesson in lessons if lesson.example.kept]
    dropped = [lesson for lesson in lessons if _dropped_by_a_filter(lesson)]
    uncounted = dataclasses.replace(making, tally=_Tally(Measure()))
    yield from pairs_of(turns(kept, making), turns(dropped, uncounted))


def _why_dropped(lesson: TrainingExample) -> str:
    """Nobody's judgement is told of an example that was only not asked for."""
    ours = [verdict for verdict in lesson.example.verdicts if verdict.filter == NOT_ASKED_FOR.filter]
    return f"example {ours[-1].reason}" if ours else "example dropped by a filter"


def _dropped_by_a_filter(lesson: TrainingExample) -> bool:
    """Whether an example was dropped for what it is, and not because another kind or tier was asked for."""
    against = [verdict for verdict in lesson.example.verdicts if not verdict.keep]
    return bool(against) and not any(verdict.filter == NOT_ASKED_FOR.filter for verdict in against)


def _write(units: Iterable[Unit], exporter: Exporter, kind: Rows, out: Path, tally: _Tally) -> tuple[str, ...]:
    """Write the rows to temporary files, which are renamed when all are complete. A side without rows has no file."""
    out.mkdir(parents=True, exist_ok=True)
    parts = {side: out / f".{side}.{os.getpid()}.part" for side in SIDES}
    try:
        with contextlib.ExitStack() as stack:
            sinks: dict[Side, Sink] = {}
            for side in SIDES:
                sinks[side] = exporter.open_sink(parts[side])
                stack.callback(sinks[side].close)
            for unit in units:
                sinks[unit.side].put(masked(_row(exporter, unit)))
                tally.add(unit)
        if not tally.rows:
            raise NothingToExport(f"nothing to export: {_NOTHING[kind]} ({_summary(tally.left_out)})")
        return _replace(out, {side: part for side, part in parts.items() if tally.rows[side]}, exporter.ENDING)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _row(exporter: Exporter, unit: Unit) -> Json:
    if isinstance(unit, Turn) and isinstance(exporter, ByStep):
        return exporter.row(unit)
    if isinstance(unit, Conversation) and isinstance(exporter, ByTrajectory):
        return exporter.row_of_conversation(unit)
    if isinstance(unit, Pair) and isinstance(exporter, ByPair):
        return exporter.row_of_pair(unit)
    raise TypeError(f"{exporter} has no row for a {type(unit).__name__}")


def _write_beside(report: ExportReport, exporter: Exporter, out: Path) -> ExportReport:
    """What readers want beside the rows; the report then names these files."""
    files = {Path(name).stem: name for name in report.files}
    facts = Facts(files, report.lengths.max_length, report.rows_are == "trajectory")
    texts = exporter.configs(facts) if isinstance(exporter, WritesConfigs) else {}
    if isinstance(exporter, HasCard):
        texts = {**texts, "README.md": card(report.model_dump(mode="json"))}
    for name, text in texts.items():
        write_atomically(out / name, text.encode())
    return report.model_copy(update={"configs": tuple(texts)})


def _summary(left_out: Counter[str]) -> str:
    return "; ".join(f"{reason}: {count}" for reason, count in left_out.most_common()) or "nothing was left out"


def _replace(out: Path, parts: dict[Side, Path], ending: str) -> tuple[str, ...]:
    """Replace the files of an earlier export, whatever its format was.

    export.json is removed first and written last: files without it are an incomplete export.
    """
    names = tuple(f"{side}.{ending}" for side in parts)
    remove_earlier(out)
    for part, name in zip(parts.values(), names, strict=True):
        part.replace(out / name)
    return names


def remove_earlier(out: Path) -> None:
    """Delete what an earlier export wrote, and nothing else that lies in the folder."""
    report = out / "export.json"
    try:
        stored = json.loads(report.read_text("utf-8"))
        configs = [str(name) for name in stored.get("configs", ())]
    except (OSError, ValueError, AttributeError):
        configs = []
    report.unlink(missing_ok=True)
    for stale in [file for side in SIDES for file in out.glob(f"{side}.*")]:
        stale.unlink()
    for name in configs:
        (out / Path(name).name).unlink(missing_ok=True)
