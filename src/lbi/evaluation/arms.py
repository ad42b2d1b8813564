"""The arms of an evaluation: which held-out tasks all of them get, and which examples each may retrieve from."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatch

from lbi.config import Among, Data, Length
from lbi.records import TIERS, Document, Example, Task, Trajectory
from lbi.retrieval.leakage import example_dates, latest_date
from lbi.synthesis.backward import without_duplicates

ANY = Among()
#: an arm's data -> the kinds of its examples
KINDS: Mapping[Data, tuple[str, ...]] = {
    "none": (),
    "forward": ("forward",),
    "backward": ("abstract", "summary"),
    "composed": ("abstract", "summary", "composed"),
    "shuffled": ("abstract", "summary"),
}


def stratified(tasks: Sequence[Task], count: int, seed: int = 0) -> list[Task]:
    """``count`` tasks, spread evenly over categories and over the levels within each; 0 = all.

    Seeded; a smaller count gives a part of what a larger one gives.
    """
    if count <= 0 or count >= len(tasks):
        return list(tasks)
    rng = random.Random(seed)
    strata: dict[tuple[str, int], list[Task]] = {}
    for task in sorted(tasks, key=lambda task: task.name):
        strata.setdefault((task.category, task.level), []).append(task)
    for group in strata.values():
        rng.shuffle(group)
    by_category: dict[str, list[Task]] = {}
    for (category, _), group in sorted(strata.items(), key=lambda item: item[0]):
        by_category.setdefault(category, [])
        by_category[category] = _interleave(by_category[category], group)
    chosen: list[Task] = []
    while len(chosen) < count:
        for group in by_category.values():
            if group and len(chosen) < count:
                chosen.append(group.pop(0))
    return chosen


def length_of(example: Example) -> Length:
    """By number of steps, as in the paper's table 5: short (under 5), medium (5 to 9), long (10 or more)."""
    steps = example.end - example.start
    return "short" if steps < 5 else "medium" if steps < 10 else "long"


def is_among(example: Example, trajectory: Trajectory, among: Among) -> bool:
    """Whether an arm may retrieve the example, as far as its length, its kind, its tier and its pages tell."""
    if among.lengths and length_of(example) not in among.lengths:
        return False
    if among.kinds and example.kind not in (*among.kinds, "composed"):
        return False
    if TIERS.index(example.tier) < TIERS.index(among.tier):
        return False
    pages = trajectory.observations[example.start : example.end + 1]
    return not any(fnmatch(page.url.partition("?")[0], part) for page in pages for part in among.part)


def _kept(example: Example, without: Collection[str]) -> bool:
    """Whether no filter but those in ``without`` dropped it. One without an instruction is nobody's."""
    return bool(example.instruction) and all(v.keep or v.filter in without for v in example.verdicts)


def _interleave(first: list[Task], second: list[Task]) -> list[Task]:
    mixed = [(index / max(len(first), 1), 0, task) for index, task in enumerate(first)]
    mixed += [(index / max(len(second), 1), 1, task) for index, task in enumerate(second)]
    return [task for _, _, task in sorted(mixed, key=lambda item: item[:2])]


def examples_for(
    data: Data,
    examples: Sequence[tuple[Example, Trajectory]],
    seed: int,
    share: float = 1.0,
    among: Among = ANY,
) -> list[tuple[Example, Trajectory]]:
    """The kept examples of an arm. ``share`` < 1 keeps those of a seeded part of the trajectories.

    A smaller share gives a part of what a larger one gives. With the data "shuffled" instructions change places: the
    control that shows whether it matters that an instruction fits its steps.
    """
    chosen = [(e, t) for e, t in examples if e.kind in KINDS[data] and _kept(e, among.without)]
    chosen = [(e, t) for e, t in without_duplicates(chosen) if is_among(e, t, among)]
    if share < 1.0:
        names = sorted({t.id for _, t in examples})
        random.Random(seed).shuffle(names)
        allowed = set(names[: round(share * len(names))])
        chosen = [(e, t) for e, t in chosen if t.id in allowed]
    if data == "shuffled":
        labels = [e.instruction for e, _ in chosen]
        random.Random(f"shuffle/{seed}").shuffle(labels)
        chosen = [(e.model_copy(update={"instruction": i}), t) for (e, t), i in zip(chosen, labels, strict=True)]
    return chosen


def dates_of_examples(
    data: Data,
    chosen: Sequence[tuple[Example, Trajectory]],
    examples: Sequence[tuple[Example, Trajectory]],
    documents: Sequence[Document],
) -> dict[str, str]:
    """{id of an arm's example: date of its sources}. If its instruction is another's, the later date of both."""
    dates = example_dates([*examples, *chosen], documents)
    if data == "shuffled":
        labels: dict[str, list[str]] = {}
        for example, _ in examples:
            labels.setdefault(example.instruction, []).append(dates[example.id])
        dates |= {e.id: latest_date([dates[e.id], *labels.get(e.instruction, [])]) for e, _ in chosen}
    return {example.id: dates[example.id] for example, _ in chosen}
