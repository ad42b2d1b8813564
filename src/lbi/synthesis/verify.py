"""The stage that carries each trajectory out again and drops examples that do not happen again (not in the paper)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lbi.context import RunContext
from lbi.monitoring.progress import Stage
from lbi.monitoring.telemetry import TASK
from lbi.protocols import Environment
from lbi.records import Example, Trajectory
from lbi.storage.leases import WorkKey
from lbi.synthesis import filters
from lbi.synthesis.examples import example_key, examples_of_trajectory
from lbi.synthesis.filter import REPLAY
from lbi.synthesis.filters.replay import Replayed, replay
from lbi.synthesis.stream import StreamStage, Work

LATER = 1  # urgency: replays wait for roll-outs, as the next round of these begins when the last one is done


def verify(context: RunContext, seed: int) -> StreamStage:
    """Replay each trajectory that has kept examples, and drop those whose pages and states do not come again."""
    return StreamStage(_replaying(context, seed), 2 * context.config.workers if replays(context) else 1)


@contextmanager
def _replaying(context: RunContext, seed: int) -> Iterator[Work]:
    if not replays(context):
        yield _nothing
        return
    with context.progress.stage(f"replay (seed {seed})", 0) as stage:
        yield replayer(context, seed, stage)


async def _nothing(trajectory: Trajectory) -> None:
    pass


def replays(context: RunContext) -> bool:
    """Whether examples are verified by replay: the config asks for it, and every episode begins with the same state."""
    return REPLAY in context.config.synthesis.filters and context.restores


def replayer(context: RunContext, seed: int, stage: Stage) -> Work:
    """What the stage does to a trajectory: replay it once, and judge its kept examples by that."""

    async def replay_and_judge(trajectory: Trajectory) -> None:
        if not _unverified(context, trajectory, seed):
            return
        store, key = context.folder.store, f"{seed}/{trajectory.id}"
        stage.expect(1)

        async def work(environment: Environment) -> None:
            with stage.working("replay", {TASK: trajectory.task.id}):
                await store.put(REPLAY, key, await replay(environment, trajectory))

        replayed = store.get(REPLAY, key, Replayed)
        if replayed is None:
            failed = context.failure_recorder(REPLAY, key, stage)
            await context.pool.do(work, failed=failed, key=WorkKey(REPLAY, key), urgency=LATER)
            replayed = store.get(REPLAY, key, Replayed)
        if replayed is not None:
            await _judge(context, trajectory, seed, replayed)
            stage.advance()

    return replay_and_judge


def _unverified(context: RunContext, trajectory: Trajectory, seed: int) -> list[Example]:
    examples = [example for _, example in examples_of_trajectory(context, trajectory, seed)]
    return [e for e in examples if e.kept and e.kind != "composed" and not _replayed(e)]


async def _judge(context: RunContext, trajectory: Trajectory, seed: int, replayed: Replayed) -> None:
    """Add the replay's verdict to the kept examples of a trajectory, and store them."""
    (replay_filter,) = filters.open_filters([REPLAY], filters.FilterParts(replays={trajectory.id: replayed}))
    rows = []
    for example in _unverified(context, trajectory, seed):
        verdict = await replay_filter.judge(example, trajectory)
        update = {
            "verdicts": (*example.verdicts, verdict),
            "tier": "replayed" if verdict.keep else example.tier,
        }
        rows.append((example_key(seed, example), example.model_copy(update=update)))
    await context.folder.store.put_many("example", rows)


def _replayed(example: Example) -> bool:
    return any(verdict.filter == REPLAY for verdict in example.verdicts)
