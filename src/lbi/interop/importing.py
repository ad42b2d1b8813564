"""Traces -> a run folder: trajectories, and from there backward construction, filters and index like those of a run.

Every trace is read twice: first to find what has to be masked, then to take what it says. Nothing is written before
the first reading is done, and nothing that is written or sent to a model has not been masked.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lbi.config import Config
from lbi.context import RunContext, RunOutcome, open_context
from lbi.errors import UserError
from lbi.evaluation.indexes import index_examples
from lbi.interop.again import carry_out_again
from lbi.interop.events import Unknown
from lbi.interop.masking import Masker
from lbi.interop.reading import Trace, find_traces
from lbi.interop.source import Broken
from lbi.interop.texts import shorter
from lbi.interop.trajectories import Counts, Trajectories, Unread, ignored
from lbi.monitoring.progress import Progress
from lbi.records import Record, Trajectory
from lbi.rollouts.schedule import Onward, Rollouts
from lbi.synthesis.examples import examples_of_seed
from lbi.synthesis.filter import filter_examples
from lbi.synthesis.label import labeller, parallel_trajectories
from lbi.synthesis.stream import StreamStage, Work, run_stages
from lbi.synthesis.verify import verify

LONGEST_KEPT = 200_000  # characters of something unknown that are kept
ALSO = ("headless", "sub-agent")


class ImportedTrace(Record):
    """What became of one file; its lists are (what it was, how often)."""

    name: str
    format: str
    trajectories: int = 0
    steps: int = 0
    unknown: tuple[tuple[str, int], ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()
    outages: tuple[tuple[str, int], ...] = ()
    broken: str = ""  # why nothing more could be read of it


class NotUnderstood(Record):
    """Something in a trace that its reader does not know, as it is but for what was masked."""

    trace: str  # its name
    format: str
    line: int
    type: str
    body: str  # JSON


@dataclass(frozen=True)
class ImportOptions:
    """``also``: of ALSO those whose sessions are learnt from as well, though their instructions are no user's."""

    format: str = ""
    also: frozenset[str] = frozenset()


@dataclass
class Imported:
    """What is imported, and what became of it."""

    options: ImportOptions
    traces: list[Trace]
    refused: dict[str, str]  # file: why nothing, or nothing more, was read of it
    passed_over: int = 0  # files of folders that are no traces
    masker: Masker = field(default_factory=Masker)
    counts: Counts = field(default_factory=Counts)
    again: int = 0  # trajectories that were carried out again in an environment of one's own
    examples: int = 0
    kept: int = 0
    last: Counts = field(default_factory=Counts)  # of the trace that was read last

    @property
    def readable(self) -> int:
        """Files that could be read to their end, or in part."""
        return sum(str(trace.source.path) not in self.refused for trace in self.traces)

    def formats(self) -> dict[str, int]:
        """{format: how many files}."""
        names = sorted(trace.format for trace in self.traces)
        return {name: len(list(group)) for name, group in itertools.groupby(names)}

    def read(self, trace: Trace, environment: str = "", unread: Unread = ignored) -> Iterator[Trajectory]:
        """The trajectories, without what is masked; ``unread`` is told of what is not understood."""
        trace.source.left_out.clear()
        self.masker.begin(trace.name)
        reading = Trajectories(environment, self.options.also, unread)
        try:
            yield from reading.read(self.masker.events(trace.events()))
        except Broken as error:
            self.refused[str(trace.source.path)] = str(error)
        reading.counts.left_out += trace.source.left_out
        self.counts.add(reading.counts)
        self.last = reading.counts

    def read_all(self, progress: Progress | None = None) -> Counts:
        """Read everything and keep nothing but what was learnt to be secret; counts begin anew."""
        self.counts = Counts()
        self.masker.found.clear()
        with (progress or Progress()).stage("look through", len(self.traces)) as stage:
            for trace in self.traces:
                for _ in self.read(trace):
                    pass
                stage.advance()
        return self.counts


def open_traces(files: Sequence[Path], options: ImportOptions, progress: Progress | None = None) -> Imported:
    """Find the traces and read them for the first time. Raises UserError where nothing can be read."""
    found = find_traces(files, options.format)
    refused = found.refused
    imported = Imported(options, found.traces, refused, found.passed_over)
    imported.read_all(progress)
    if not imported.readable:
        reasons = "; ".join(f"{file}: {why}" for file, why in list(refused.items())[:5])
        more = f"; and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise UserError(f"no trace could be read: {reasons or 'no file is named'}{more}")
    return imported


async def import_traces(imported: Imported, config: Config, out: Path, progress: Progress) -> RunOutcome:
    """Learn from the traces in the run folder ``out``. The same files again, and others, extend what is there.

    Raises UserError, and BudgetExceeded or ModelUnavailable if it must stop; then it can be called again.
    """
    async with open_context(config, out, progress) as context:
        seed, expected = config.seeds[0], imported.counts.trajectories
        await run_stages(
            context, seed, _taken(context, imported, seed), _label(context, seed, expected), verify(context, seed)
        )
        made = [example for _, example in examples_of_seed(context, seed) if example.kind != "forward"]
        imported.examples, imported.kept = len(made), sum(example.kept for example in made)
        if imported.kept:
            async with index_examples(context, (), seed) as indexes:
                await indexes.of("backward")
        return await context.finish(())


def _label(context: RunContext, seed: int, expected: int) -> StreamStage:
    @contextmanager
    def opened() -> Iterator[Work]:
        with context.progress.stage("label", expected) as stage:
            yield labeller(context, seed, stage, filter_examples(context))

    return StreamStage(opened(), 2 * parallel_trajectories(context))


def _taken(context: RunContext, imported: Imported, seed: int) -> Rollouts:
    """The trajectories of all traces, in place of roll-outs; none is kept in memory."""

    async def take(onward: Onward) -> list[Trajectory]:
        imported.counts = Counts()
        imported.masker.found.clear()
        with context.progress.stage("import", len(imported.traces)) as stage:
            for trace in imported.traces:
                await _take(context, imported, trace, seed, onward)
                stage.advance()
        return []

    return take


async def _take(context: RunContext, imported: Imported, trace: Trace, seed: int, onward: Onward) -> None:
    store, numbers = context.folder.store, itertools.count()
    name = imported.masker.uncounted(trace.name)

    def keep(event: Unknown) -> None:
        store.put("not understood", f"{trace.key}/{next(numbers):06d}", _kept(event, name, trace.format))

    for trajectory in imported.read(trace, context.environments.name, keep):
        await onward(await _stored(context, imported, trajectory, seed))
    counts = imported.last
    record = ImportedTrace(
        name=name,
        format=trace.format,
        trajectories=counts.trajectories,
        steps=counts.steps,
        unknown=tuple(counts.unknown.most_common()),
        left_out=tuple(counts.left_out.most_common()),
        outages=tuple(counts.outages.most_common()),
        broken=imported.masker.uncounted(imported.refused.get(str(trace.source.path), "")),
    )
    await store.put("trace", trace.key, record)


def _kept(event: Unknown, name: str, format: str) -> NotUnderstood:
    body = json.dumps(event.body, ensure_ascii=False, default=str)
    return NotUnderstood(
        trace=name, format=format, line=event.line, type=event.type[:80], body=shorter(body, LONGEST_KEPT)
    )


async def _stored(context: RunContext, imported: Imported, trajectory: Trajectory, seed: int) -> Trajectory:
    """The trajectory as it stands in the run folder from now on: carried out again, where that can be done.

    One that is there already is not stored twice; another one of the same session and number is one more attempt.
    """
    store = context.folder.store
    for attempt in itertools.count():
        key = f"{seed}/{trajectory.task.id}/{attempt}"
        own = trajectory.model_copy(update={"attempt": attempt})
        known = store.get("trajectory", key, Trajectory)
        original = store.get("imported", key, Trajectory) or known
        if known is not None and original is not None and original.id == own.id:
            return known
        if known is None:
            break
    again = await carry_out_again(context, own, key) if context.restores else None
    if again is not None:
        imported.again += 1
        store.put("imported", key, own)
    await store.put("trajectory", key, again or own)
    return again or own
