"""A run folder -> tasks that can be scored without a judge: held-out ones with their checks, and synthesised ones.

A synthesised task is the instruction of an example that was carried out again with the same outcome; the check is the
digest of the state that its actions lead to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lbi.config import Config, resolve
from lbi.environments import Image, image_of
from lbi.errors import UserError
from lbi.records import Check, Example, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import read_examples

Origin = Literal["held-out", "synthesised"]
#: checks that need what is not in a pack
_ELSEWHERE = ("tests", "grader")


@dataclass(frozen=True)
class PackedTask:
    """A task and what scores it. ``check`` has the field "digest", or those of ``lbi.records.Check``."""

    name: str
    origin: Origin
    task: Task  # without check, gold and where it comes from: what the agent's machine may hold
    check: dict[str, Any]
    gold: tuple[str, ...]
    category: str = ""
    level: int = 0


@dataclass(frozen=True)
class Packed:
    """The tasks of a run, and how many were left out, by reason."""

    config: Config
    image: Image
    tasks: tuple[PackedTask, ...]
    left_out: Counter[str]


def packed_tasks(run: Path) -> Packed:
    """Raises UserError where no task can be packed, and for an environment that can be in no image."""
    left_out: Counter[str] = Counter()
    with RunFolder(run, writing=False) as folder:
        config = resolve(folder.config, str(run / "config.json"))
        image = image_of(config)
        held_out = [task for _, task in folder.store.all("heldout", Task)]
        pairs = [pair for seed in config.seeds for pair in read_examples(folder, seed)]
    found = [*_held_out(held_out, left_out), *_synthesised(pairs, left_out)]
    if not found:
        told = "; ".join(f"{count} {reason}" for reason, count in left_out.items()) or "it has none"
        raise UserError(f"{run} has no task whose state can be checked ({told})")
    return Packed(config, image, tuple(_named_apart(found)), left_out)


def _held_out(tasks: list[Task], left_out: Counter[str]) -> Iterator[PackedTask]:
    for task in tasks:
        check = task.check or Check()
        if not any(check.model_dump().values()):
            left_out["without a check, as a judge scores them"] += 1
        elif any(getattr(check, field) for field in _ELSEWHERE):
            left_out["scored by what is not in the application"] += 1
        elif not task.gold:
            left_out["without a solution"] += 1
        else:
            fields = check.model_dump(mode="json", exclude_defaults=True)
            yield PackedTask(task.name, "held-out", _bare(task), fields, task.gold, task.category, task.level)


def _synthesised(pairs: list[tuple[Example, Trajectory]], left_out: Counter[str]) -> Iterator[PackedTask]:
    known: set[str] = set()
    for example, trajectory in pairs:
        before, after = trajectory.observations[0].digest, trajectory.observations[example.end].digest
        if not example.kept or example.kind == "composed":
            continue
        if example.start or example.tier not in ("replayed", "checked"):
            left_out["not carried out again from the beginning"] += 1
        elif not after or after == before:
            left_out["that change nothing"] += 1
        elif example.instruction not in known:
            known.add(example.instruction)
            task = Task(
                instruction=example.instruction,
                environment=trajectory.task.environment,
                start_url=trajectory.task.start_url,
            )
            gold = [action.grounded for action in trajectory.actions[: example.end]]
            ends = gold[-1].startswith("finish(")
            steps = tuple(gold if ends else [*gold, 'finish("")'])
            yield PackedTask(example.instruction, "synthesised", task, {"digest": after}, steps)


def _bare(task: Task) -> Task:
    return Task(
        instruction=task.instruction,
        environment=task.environment,
        name=task.name,
        category=task.category,
        start_url=task.start_url,
    )


def _named_apart(tasks: list[PackedTask]) -> Iterator[PackedTask]:
    """With names that a folder may have, each another."""
    taken: Counter[str] = Counter()
    for task in tasks:
        name = re.sub(r"[^a-z0-9]+", "-", task.name.lower()).strip("-")[:48].strip("-") or "task"
        taken[name] += 1
        yield PackedTask(**{**task.__dict__, "name": f"{name}-{taken[name]}" if taken[name] > 1 else name})
