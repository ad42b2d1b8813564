"""Writes summary.json: success rate by number of examples, contamination, and notes on how to read the results.

And how many of the proposed tasks were given up as impossible.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lbi.context import RunContext
from lbi.evaluation.arms import examples_for
from lbi.evaluation.contamination import nearest
from lbi.evaluation.statistics import summarise as summaries
from lbi.records import Example, Impossible, Result, Task, Trajectory
from lbi.storage.files import write_atomically
from lbi.synthesis.examples import examples_of_seed


def summarise(context: RunContext, held_out: Sequence[Task], results: Sequence[Result]) -> None:
    """Write what the report shows besides the records: growth with the number of examples, contamination, notes."""
    examples = [(key, e) for key, e in context.folder.store.all("example", Example) if e.kept]
    nearest_instructions = nearest(held_out, [(e.id, e.instruction) for _, e in examples])
    summary: dict[str, Any] = {
        "growth": _growth(context, results),
        "contamination": [item.model_dump(mode="json") for item in nearest_instructions],
        "impossible": len({record.task for _, record in context.folder.store.all("impossible", Impossible)}),
        "notes": _notes(context),
    }
    write_atomically(context.folder.path / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False).encode())


def _growth(context: RunContext, results: Sequence[Result]) -> list[dict[str, float]]:
    config = context.config
    name = config.evaluation.growth_arm
    if not config.evaluation.growth:
        return []
    told = {row.arm: row for row in summaries(results) if not row.no_number}
    points = []
    for share in (*config.evaluation.growth, 1.0):
        arm = name if share == 1.0 else f"{name} @{share:g}"
        if of_arm := told.get(arm):
            points.append(
                {"examples": _count(context, share), "rate": of_arm.mean, "low": of_arm.low, "high": of_arm.high}
            )
    if reference := told.get(config.evaluation.reference):
        points.insert(0, {"examples": 0, "rate": reference.mean, "low": reference.low, "high": reference.high})
    return points


def _count(context: RunContext, share: float) -> float:
    """Mean number of examples per seed that the growth arm has at this share of the trajectories."""
    config, store = context.config, context.folder.store
    arm = next(arm for arm in config.evaluation.arms if arm.name == config.evaluation.growth_arm)
    trajectories = {t.id: t for _, t in store.all("trajectory", Trajectory)}
    counts = []
    for seed in config.seeds:
        pairs = [
            (example, trajectories[example.trajectory])
            for _, example in examples_of_seed(context, seed)
            if example.trajectory in trajectories
        ]
        counts.append(len(examples_for(arm.data, pairs, seed, share * arm.share, arm.among(config.evaluation))))
    return sum(counts) / len(counts)


def _notes(context: RunContext) -> list[str]:
    config, notes = context.config, []
    acting = {arm.model or config.models.of("act"): None for arm in config.evaluation.arms}
    for model in map(context.model, acting):
        if not model.info.language_model:
            notes.append(f'The agent\'s model, "{model.name}", is no language model; its numbers are its own.')
    if not config.benchmark:
        notes.append(
            "No held-out tasks were given: synthesised tasks of held-out documents, judged by the committee, stand in."
        )
    if not context.restores:
        notes.append(
            "The site cannot be put back to its first state: no example was replayed or composed, and each episode "
            "began with what the ones before it had left, in all arms alike."
        )
    return notes
