"""Examples -> which of them are trained on, and in which order: by diversity, by the mix of lengths, by size.

Everything is seeded, and a smaller size is a part of a larger one, so that a gain can be followed as data grows.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from lbi.config import Length
from lbi.errors import UserError
from lbi.evaluation import arms
from lbi.training.export.turns import TrainingExample

LENGTHS: tuple[Length, ...] = get_args(Length)
Reasons = Literal["fitting", "all", "none"]
REASONS: tuple[Reasons, ...] = get_args(Reasons)


class NothingToExport(UserError):
    """No example of a run is left by what was asked for."""


@dataclass(frozen=True)
class Selection:
    """What is chosen of the kept examples."""

    rows: int = 0  # for training, at most; 0 = all
    tokens: int = 0  # of the rows for training together, at most; 0 = any number
    mix: Mapping[Length, float] = field(default_factory=dict)  # shares of steps by length; empty = as it comes
    diverse: bool = False  # one example of each way to act before the second of any
    shuffled: bool = False  # instructions change places: the control that shows whether they have to fit
    seed: int = 0
    reasons: Reasons = "fitting"  # of a step: learned where the agent had this instruction; always; never

    def __post_init__(self) -> None:
        if self.rows < 0 or self.tokens < 0:
            raise UserError("a training set has a positive number of rows and tokens; 0 means all of them")

    def reasons_of(self, lesson: TrainingExample) -> bool:
        """Whether the agent's own reasons are learned with its actions.

        An instruction constructed backward is another one than the agent had: why it acted is no reason under it, and
        a model that learns to write such a reason before its action takes the action from there.
        """
        return self.reasons == "all" or (self.reasons == "fitting" and lesson.example.kind == "forward")


EVERYTHING = Selection()


def parse_mix(text: str) -> dict[Length, float]:
    """``short=1,medium=1,long=2`` -> {"short": 1.0, ...}; a length that is not named gets nothing."""
    mix: dict[Length, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, share = part.partition("=")
        known = next((length for length in LENGTHS if length == name.strip()), None)
        try:
            number = float(share)
        except ValueError:
            number = -1.0
        if known is None or not 0 <= number < float("inf"):
            raise UserError(f'a mix of lengths is such as short=1,medium=1,long=1, not "{text}"')
        mix[known] = number
    if mix and not any(mix.values()):
        raise UserError(f'a mix of lengths needs one share above 0, and "{text}" has none')
    return mix


def parse_reasons(text: str) -> Reasons:
    """Raises UserError for what is none of the three."""
    for known in REASONS:
        if text == known:
            return known
    raise UserError(f'the reasons to learn are fitting, all or none, not "{text}"')


def length_of(lesson: TrainingExample) -> Length:
    return arms.length_of(lesson.example)


def choose(lessons: Sequence[TrainingExample], selection: Selection, left_out: Counter[str]) -> list[TrainingExample]:
    """The examples in the order in which they are taken; dropped ones follow unchanged. Counts what is left out."""
    kept = [lesson for lesson in lessons if lesson.example.kept]
    if selection.shuffled:
        plain = [lesson for lesson in kept if not lesson.example.parents]
        left_out["composed example, which is not shuffled"] += len(kept) - len(plain)
        kept = _shuffled(plain, selection.seed)
    if selection.rows or selection.tokens or selection.mix or selection.diverse:
        random.Random(f"choose/{selection.seed}").shuffle(kept)
    if selection.diverse:
        kept = _diverse(kept)
    if selection.mix:
        _refuse_a_length_of_which_there_is_none(kept, selection.mix)
        mixed = _mixed(kept, selection.mix)
        left_out["example beyond the mix of lengths"] += len(kept) - len(mixed)
        kept = mixed
    chosen = [*kept, *(lesson for lesson in lessons if not lesson.example.kept)]
    return [replace(lesson, reasons=selection.reasons_of(lesson)) for lesson in chosen]


def _shuffled(lessons: Sequence[TrainingExample], seed: int) -> list[TrainingExample]:
    labels = [lesson.example.instruction for lesson in lessons]
    random.Random(f"shuffle/{seed}").shuffle(labels)
    return [
        TrainingExample(lesson.example.model_copy(update={"instruction": label}), lesson.trajectory, lesson.document)
        for lesson, label in zip(lessons, labels, strict=True)
    ]


def _diverse(lessons: Sequence[TrainingExample]) -> list[TrainingExample]:
    """Every way to act once, then every way a second time, and so on."""
    seen: Counter[tuple[str, ...]] = Counter()
    placed = []
    for at, lesson in enumerate(lessons):
        way = _way(lesson)
        placed.append((seen[way], at))
        seen[way] += 1
    return [lessons[at] for _, at in sorted(placed)]


def _way(lesson: TrainingExample) -> tuple[str, ...]:
    """What the actions of an example are done with, whatever is written or chosen there."""
    steps = lesson.trajectory.steps[lesson.example.start : lesson.example.end]
    return tuple(f"{step.action.kind} {step.action.role} {step.action.name}" for step in steps)


def _refuse_a_length_of_which_there_is_none(lessons: Sequence[TrainingExample], mix: Mapping[Length, float]) -> None:
    """A mix ends with the first length that is used up, so without one of its lengths it would be empty."""
    there = Counter(length_of(lesson) for lesson in lessons)
    missing = [length for length in LENGTHS if mix.get(length) and not there[length]]
    if missing and lessons:
        counts = ", ".join(f"{there[length]:,} {length}" for length in LENGTHS if there[length])
        raise NothingToExport(
            f"nothing to export: the mix asks for {' and '.join(missing)} examples, of which there are none; "
            f"there are {counts}"
        )


def _mixed(lessons: Sequence[TrainingExample], mix: Mapping[Length, float]) -> list[TrainingExample]:
    """As many steps of each length as its share asks for, until one length has no example left."""
    waiting: dict[Length, list[TrainingExample]] = {length: [] for length in LENGTHS if mix.get(length)}
    for lesson in reversed(lessons):
        if (length := length_of(lesson)) in waiting:
            waiting[length].append(lesson)
    taken: dict[Length, int] = dict.fromkeys(waiting, 0)
    chosen: list[TrainingExample] = []
    while True:
        behind = min(waiting, key=lambda length: taken[length] / mix[length])
        if not waiting[behind]:
            return chosen
        lesson = waiting[behind].pop()
        taken[behind] += lesson.example.end - lesson.example.start
        chosen.append(lesson)
