"""Spans of a trajectory -> their labels, asked for so that as little as possible is billed (paper, sec. 2.2).

Several spans share a call; of calls that begin alike the first is finished before the others are sent, so that the
provider's prompt cache knows the beginning: {(0, 1): Example, (0, 3): ParseError, ...}
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from lbi.config import Labelling
from lbi.errors import ModelBusy, ModelError, ParseError
from lbi.models import parsing
from lbi.protocols import Fields, Model, Request
from lbi.records import Example, Trajectory
from lbi.synthesis.backward import LabelKind, all_spans, example, label, plan_spans, role_of

Span = tuple[int, int]
Labels = dict[Span, Example | ModelError | ParseError]
#: room for the reply, in tokens: of a single label, and of each further one
ROOM = 1024
FURTHER: dict[LabelKind, int] = {"abstract": 256, "summary": 1024}


def planned(trajectory: Trajectory, how: Labelling, budget: int, seed: int) -> list[Span]:
    """The spans to label, in order."""
    return all_spans(trajectory) if how.spans == "all" else plan_spans(trajectory, budget, seed)


def calls_of(spans: Sequence[Span], how: Labelling) -> list[list[list[Span]]]:
    """The spans of each call, by families of calls that begin alike, in the order in which they are to be sent.

    With ``whole`` a trajectory is one family, else each start is one, in which every prompt continues the one before.
    """
    ordered = sorted(spans)
    starts = [ordered] if how.whole else [list(group) for _, group in groupby(ordered, key=lambda span: span[0])]
    size = how.together
    return [[some[at : at + size] for at in range(0, len(some), size)] for some in starts if some]


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

    Calls are put together as the whole plan says, whatever is missing: what was answered before an interruption is then
    the same call after it, and is in the store.
    """
    wanted = set(spans if missing is None else missing)
    families = calls_of(spans, how)
    found = await _all(
        _Labeller(model, trajectory, kind, how, stage, _ends(calls) if how.whole else None, len(calls) > 1).family(
            [call for call in calls if wanted & set(call)]
        )
        for calls in families
    )
    return {span: said for span, said in found.items() if span in wanted}


def _ends(calls: Sequence[Sequence[Span]]) -> Span:
    """The first page and the last that some calls are about."""
    spans = [span for call in calls for span in call]
    return min(start for start, _ in spans), max(end for _, end in spans)


async def _all(work: Iterable[Coroutine[Any, Any, Labels]]) -> Labels:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return {span: said for task in tasks for span, said in task.result().items()}


@dataclass(frozen=True)
class _Labeller:
    """Labels of one kind for one trajectory, by calls that begin alike."""

    model: Model
    trajectory: Trajectory
    kind: LabelKind
    how: Labelling
    stage: str
    shown: Span | None  # the pages that every call shows; None = those that it is about
    several: bool  # whether there are more calls than one

    async def family(self, calls: list[list[Span]]) -> Labels:
        """If all show the same, the first one makes it known to the cache; else each one adds to it."""
        after_another = (1 if self.shown else len(calls)) if self.how.ordered else 0
        found: Labels = {}
        for spans in calls[:after_another]:
            found.update(await self._call(spans))
        return {**found, **await _all(self._call(spans) for spans in calls[after_another:])}

    async def _call(self, spans: list[Span]) -> Labels:
        """The spans of one call. What a model refuses, cuts off or finds too long together is asked one by one."""
        shown = self.shown or _ends([spans])
        if spans == [shown]:
            return {shown: await self._alone(shown)}
        try:
            return await self._together(spans, shown)
        except (ModelBusy, ParseError) as error:
            return dict.fromkeys(spans, error)
        except ModelError:
            return {span: await self._alone(span) for span in spans}

    async def _together(self, spans: list[Span], shown: Span) -> Labels:
        fields = Fields(
            task=self.trajectory.task, trajectory=self.trajectory, start=shown[0], end=shown[1], spans=tuple(spans)
        )
        request = Request(
            role=role_of(self.kind),
            fields=fields,
            stage=self.stage,
            max_tokens=ROOM + FURTHER[self.kind] * (len(spans) - 1),
            reused=self._reused,
        )
        one = parsing.instruction if self.kind == "abstract" else parsing.summary
        parts, _ = await parsing.ask_parts(self.model, request, parsing.of_spans(one, fields.span_names))
        found: Labels = {}
        for span, name in zip(spans, fields.span_names, strict=True):
            said = parts[name]
            found[span] = example(self.kind, said, self.trajectory, *span) if isinstance(said, str) else said
        return found

    @property
    def _reused(self) -> bool:
        return self.several and self.how.ordered

    async def _alone(self, span: Span) -> Example | ModelError | ParseError:
        reused = self._reused and not self.shown
        try:
            return (await label(self.model, self.trajectory, *span, self.kind, stage=self.stage, reused=reused))[0]
        except (ModelError, ParseError) as error:
            return error
