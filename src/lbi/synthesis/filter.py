"""Labelled examples -> stored examples: each with the verdicts of the filters in their order (paper, sec. 2.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from lbi.context import RunContext
from lbi.errors import ModelError, ParseError
from lbi.monitoring.progress import Stage
from lbi.records import Example, Trajectory
from lbi.synthesis import filters
from lbi.synthesis.examples import boundary_of, example_key, gather

REPLAY = "replay"  # a filter as well, and a stage of its own (lbi.synthesis.verify): it takes an environment
FilterAndStore = Callable[[Sequence[Example], Trajectory, int, Stage], Awaitable[None]]


def filter_examples(context: RunContext) -> FilterAndStore:
    """What becomes of a trajectory's labelled examples: every filter but the replay, and then the run folder.

    Dropped examples are stored too, with the reason. One that could not be judged is a recorded failure, and is tried
    again when the run is continued.
    """
    names = [name for name in context.config.synthesis.filters if name != REPLAY]
    judges = context.judges if "committee" in names else ()
    reused = context.config.labelling.ordered and not context.uses_batches("judge")
    in_order = filters.open_filters(names, filters.FilterParts(judges=judges, reused=reused))

    async def filter_and_store(examples: Sequence[Example], trajectory: Trajectory, seed: int, stage: Stage) -> None:
        rows: list[tuple[str, Example]] = []

        async def apply_filters(example: Example) -> None:
            try:
                rows.append((example_key(seed, example), await filters.apply(in_order, example, trajectory)))
            except (ModelError, ParseError) as error:
                context.folder.store.fail("example", example_key(seed, example), boundary_of(error), str(error))
                stage.fail(boundary_of(error))

        if context.uses_batches("judge"):
            await gather(apply_filters(example) for example in examples)
        else:
            for example in examples:  # one after the other, as the judges' prompt caches then know how the spans begin
                await apply_filters(example)
        await context.folder.store.put_many("example", rows)

    return filter_and_store
