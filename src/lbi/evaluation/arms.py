"""The arms of an evaluation: which tasks they get, and which examples each may retrieve from."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from lbi.config import Data
from lbi.records import Document, Example, Task, Trajectory
from lbi.retrieval.leakage import example_dates, latest_date
from lbi.synthesis.backward import without_duplicates

#: which kinds of examples an arm's data are made of
KINDS: Mapping[Data, tuple[str, ...]] = {
    "none": (),
    "forward": ("forward",),
    "backward": ("abstract", "summary"),
    "composed": ("abstract", "summary", "composed"),
    "shuffled": ("abstract", "summary"),
}


def stratified(tasks: Sequence[Task], count: int, seed: int = 0) -> list[Task]:
    """``count`` tasks spread evenly over categories, and over levels within them; 0 = all. Seeded, nested in count."""
    if count <= 0 or count >= len(tasks):
        return list(tasks)
    chance = random.Random(seed)
    strata: dict[tuple[str, int], list[Task]] = {}
    for task in sorted(tasks, key=lambda task: task.name):
        strata.setdefault((task.category, task.level), []).append(task)
    for some in strata.values():
        chance.shuffle(some)
    by_category: dict[str, list[Task]] = {}
    for (category, _), some in sorted(strata.items(), key=lambda item: item[0]):
        by_category.setdefault(category, [])
        by_category[category] = _interleave(by_category[category], some)
    chosen: list[Task] = []
    while len(chosen) < count:
        for some in by_category.values():
            if some and len(chosen) < count:
                chosen.append(some.pop(0))
    return chosen


def _interleave(one: list[Task], other: list[Task]) -> list[Task]:
    mixed = [(index / max(len(one), 1), 0, task) for index, task in enumerate(one)]
    mixed += [(index / max(len(other), 1), 1, task) for index, task in enumerate(other)]
    return [task for _, _, task in sorted(mixed, key=lambda item: item[:2])]


def examples_for(
    data: Data, examples: Sequence[tuple[Example, Trajectory]], seed: int, share: float = 1.0
) -> list[tuple[Example, Trajectory]]:
    """The examples of one arm. ``share`` keeps those of a seeded part of the trajectories, nested in the share."""
    chosen = [(e, t) for e, t in examples if e.kind in KINDS[data] and e.kept]
    chosen = without_duplicates(chosen)
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
    """Id of an arm's example -> the date of what it comes from; with another's label, the later of both."""
    dates = example_dates([*examples, *chosen], documents)
    if data == "shuffled":
        labels: dict[str, list[str]] = {}
        for example, _ in examples:
            labels.setdefault(example.instruction, []).append(dates[example.id])
        dates |= {e.id: latest_date([dates[e.id], *labels.get(e.instruction, [])]) for e, _ in chosen}
    return {example.id: dates[example.id] for example, _ in chosen}
