"""Spans of a trajectory -> their labels, asked for so that as little as possible is billed (paper, sec. 2.2).

Ends of one start share a call, the calls of one start go out shortest first: {(0, 1): Example, (0, 3): Example, ...}
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Sequence
from itertools import groupby
from typing import Any

from lbi import parse
from lbi.backward import LabelKind, all_spans, example, label, plan_spans, role_of
from lbi.config import Labelling
from lbi.contracts import Fields, Model, Request
from lbi.errors import ModelBusy, ModelError, ParseError
from lbi.records import Example, Trajectory

Span = tuple[int, int]
Labels = dict[Span, Example | ModelError | ParseError]
#: room for the reply, in tokens: of a single label, and of each further one
ROOM = 1024
FURTHER: dict[LabelKind, int] = {"abstract": 256, "summary": 1024}


def planned(trajectory: Trajectory, how: Labelling, budget: int, seed: int) -> list[Span]:
    """The spans to label, in order."""
    return all_spans(trajectory) if how.spans == "all" else plan_spans(trajectory, budget, seed)


async def label_spans(
    model: Model,
    trajectory: Trajectory,
    kind: LabelKind,
    spans: Sequence[Span],
    how: Labelling,
    *,
    missing: Collection[Span] | None = None,
    stage: str = "label",
) -> Labels:
    """The label of each span, or the error in its place; with ``missing`` only of these.

    Spans are put together as the whole plan says, whatever is missing: then a call that was answered before an
    interruption is the same call after it, and is in the store.
    """
    wanted = set(spans if missing is None else missing)
    plan = [(start, [end for _, end in group]) for start, group in groupby(sorted(spans), key=lambda span: span[0])]
    found = await _all(_start(model, trajectory, kind, start, ends, how, wanted, stage) for start, ends in plan)
    return {span: said for span, said in found.items() if span in wanted}


async def _start(
    model: Model,
    trajectory: Trajectory,
    kind: LabelKind,
    start: int,
    ends: list[int],
    how: Labelling,
    wanted: Collection[Span],
    stage: str,
) -> Labels:
    """All calls of one start. Each begins with what the one before it ended with, so a cache knows most of it."""
    parts = [ends[at : at + how.together] for at in range(0, len(ends), how.together)]
    needed = [part for part in parts if any((start, end) in wanted for end in part)]
    reused = how.ordered and len(parts) > 1
    if not how.ordered:
        return await _all(_ends(model, trajectory, kind, start, part, reused, stage) for part in needed)
    found: Labels = {}
    for part in needed:
        found.update(await _ends(model, trajectory, kind, start, part, reused, stage))
    return found


async def _all(work: Iterable[Coroutine[Any, Any, Labels]]) -> Labels:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return {span: said for task in tasks for span, said in task.result().items()}


async def _ends(
    model: Model, trajectory: Trajectory, kind: LabelKind, start: int, ends: list[int], reused: bool, stage: str
) -> Labels:
    """The ends of one call. What a model refuses, cuts off or finds too long together is asked one by one."""
    if len(ends) > 1:
        try:
            return await _together(model, trajectory, kind, start, ends, reused, stage)
        except (ModelBusy, ParseError) as error:
            return {(start, end): error for end in ends}
        except ModelError:
            pass
    return {(start, end): await _alone(model, trajectory, kind, start, end, reused, stage) for end in ends}


async def _together(
    model: Model, trajectory: Trajectory, kind: LabelKind, start: int, ends: list[int], reused: bool, stage: str
) -> Labels:
    fields = Fields(task=trajectory.task, trajectory=trajectory, start=start, end=ends[-1], ends=tuple(ends))
    room = ROOM + FURTHER[kind] * (len(ends) - 1)
    request = Request(role=role_of(kind), fields=fields, stage=stage, max_tokens=room, reused=reused)
    one = parse.instruction if kind == "abstract" else parse.summary
    parts, _ = await parse.ask_parts(model, request, parse.ends(one, [end - start for end in ends]))
    return {
        (start, start + page): example(kind, said, trajectory, start, start + page) if isinstance(said, str) else said
        for page, said in parts.items()
    }


async def _alone(
    model: Model, trajectory: Trajectory, kind: LabelKind, start: int, end: int, reused: bool, stage: str
) -> Example | ModelError | ParseError:
    try:
        return (await label(model, trajectory, start, end, kind, stage=stage, reused=reused))[0]
    except (ModelError, ParseError) as error:
        return error
