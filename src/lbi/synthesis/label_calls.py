"""Spans of a trajectory -> the model calls that label them, as few billed tokens as possible (paper, sec. 2.2).

The result is {(0, 1): Example, (0, 3): ParseError, ...}. Several spans share a call. Calls whose prompts begin alike
are a family; the first of a family is answered before the others are sent, so that these are read from the provider's
prompt cache.
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
from lbi.monitoring.calls_made import calls_made
from lbi.protocols import Fields, Model, Request
from lbi.records import Example, Trajectory
from lbi.synthesis.backward import LabelKind, all_spans, example, label_span, plan_spans, role_of

Span = tuple[int, int]
Labels = dict[Span, Example | ModelError | ParseError]
#: tokens allowed for a reply: for the first label in it, and for each further one
REPLY_TOKENS = 1024
FURTHER_REPLY_TOKENS: dict[LabelKind, int] = {"abstract": 256, "summary": 1024}


def spans_to_label(trajectory: Trajectory, settings: Labelling, budget: int, seed: int) -> list[Span]:
    """The spans to label, sorted: all of them or the most informative ones, as the settings say."""
    return all_spans(trajectory) if settings.spans == "all" else plan_spans(trajectory, budget, seed)


def calls_of(spans: Sequence[Span], settings: Labelling) -> list[list[list[Span]]]:
    """The spans of each call: families, each a list of calls in the order of sending, each a list of spans.

    With ``settings.whole`` every call shows the whole trajectory, and all calls are one family. Otherwise there is a
    family for each start of a span, in which each prompt continues the one before.
    """
    ordered = sorted(spans)
    starts = [ordered] if settings.whole else [list(group) for _, group in groupby(ordered, key=lambda span: span[0])]
    size = settings.together
    return [[family[first : first + size] for first in range(0, len(family), size)] for family in starts if family]


async def label_spans(
    model: Model,
    trajectory: Trajectory,
    kind: LabelKind,
    spans: Sequence[Span],
    settings: Labelling,
    *,
    missing: Collection[Span] | None = None,
    stage: str = "label",
) -> Labels:
    """The label of each span, or the error that stands in its place. With ``missing``, only of these spans.

    Calls are grouped from all of ``spans``, whatever is missing, so that after an interruption a call that was
    answered is made again with the same prompt, and its reply is found in the store.
    """
    wanted = set(spans if missing is None else missing)
    families = calls_of(spans, settings)
    labels = await _all(
        _Labeller(
            model, trajectory, kind, settings, stage, _ends(calls) if settings.whole else None, len(calls) > 1
        ).family([call for call in calls if wanted & set(call)])
        for calls in families
    )
    return {span: outcome for span, outcome in labels.items() if span in wanted}


def _ends(calls: Sequence[Sequence[Span]]) -> Span:
    """The span from the first page to the last that these calls are about."""
    spans = [span for call in calls for span in call]
    return min(start for start, _ in spans), max(end for _, end in spans)


async def _all(work: Iterable[Coroutine[Any, Any, Labels]]) -> Labels:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in work]
    return {span: outcome for task in tasks for span, outcome in task.result().items()}


@dataclass(frozen=True)
class _Labeller:
    """Asks for the labels of one kind in one family of calls."""

    model: Model
    trajectory: Trajectory
    kind: LabelKind
    settings: Labelling
    stage: str
    shown: Span | None  # the pages that every call shows; None = each shows those that it is about
    several: bool  # whether there are more calls than one

    async def family(self, calls: list[list[Span]]) -> Labels:
        """If all calls show the same pages, the first one fills the prompt cache; otherwise each one extends it."""
        in_sequence = (1 if self.shown else len(calls)) if self.settings.ordered else 0
        labels: Labels = {}
        for spans in calls[:in_sequence]:
            labels.update(await self._call(spans))
        return {**labels, **await _all(self._call(spans) for spans in calls[in_sequence:])}

    async def _call(self, spans: list[Span]) -> Labels:
        """Label the spans of one call. If the model refuses them together, or cuts the reply off, ask one by one."""
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
            max_tokens=REPLY_TOKENS + FURTHER_REPLY_TOKENS[self.kind] * (len(spans) - 1),
            reused=self._reused,
        )
        parser = parsing.instruction if self.kind == "abstract" else parsing.summary
        with calls_made() as calls:
            parts, _ = await parsing.ask_parts(self.model, request, parsing.of_spans(parser, fields.span_names))
        labels: Labels = {}
        for span, name in zip(spans, fields.span_names, strict=True):
            reply = parts[name]
            if isinstance(reply, str):
                labels[span] = example(self.kind, reply, self.trajectory, *span, calls)
            else:
                labels[span] = reply
        return labels

    @property
    def _reused(self) -> bool:
        return self.several and self.settings.ordered

    async def _alone(self, span: Span) -> Example | ModelError | ParseError:
        reused = self._reused and not self.shown
        try:
            return (await label_span(self.model, self.trajectory, *span, self.kind, stage=self.stage, reused=reused))[0]
        except (ModelError, ParseError) as error:
            return error
