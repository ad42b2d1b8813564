"""Trajectory -> carried out again, and its examples kept only if the same happens (not in the paper)."""

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
from lbi.synthesis.examples import examples_of, key_of
from lbi.synthesis.filters.replay import Replayed, replay
from lbi.synthesis.stream import StreamStage, Work

REPLAY = "replay"
LATER = 1  # replays wait for roll-outs: the next round of these cannot begin before the last one is done


def verify(context: RunContext, seed: int) -> StreamStage:
    """Repeat each trajectory that has kept examples, and drop those of them that do not happen again."""
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
    """Whether examples are verified by replay; without going back to a first state there is nothing to repeat."""
    return REPLAY in context.config.synthesis.filters and context.restores


def replayer(context: RunContext, seed: int, stage: Stage) -> Work:
    """Trajectory -> repeated once if it has kept examples, and these judged by it."""

    async def replay_and_judge(trajectory: Trajectory) -> None:
        if not _unverified(context, trajectory, seed):
            return
        store, key = context.folder.store, f"{seed}/{trajectory.id}"
        stage.expect(1)

        async def work(environment: Environment) -> None:
            with stage.working("replay", {TASK: trajectory.task.id}):
                await store.put(REPLAY, key, await replay(environment, trajectory))

        found = store.get(REPLAY, key, Replayed)
        if found is None:
            failed = context.failing(REPLAY, key, stage)
            await context.pool.do(work, failed=failed, key=WorkKey(REPLAY, key), urgency=LATER)
            found = store.get(REPLAY, key, Replayed)
        if found is not None:
            await _judge(context, trajectory, seed, found)
            stage.advance()

    return replay_and_judge


def _unverified(context: RunContext, trajectory: Trajectory, seed: int) -> list[Example]:
    return [
        e for _, e in examples_of(context, trajectory, seed) if e.kept and e.kind != "composed" and not _replayed(e)
    ]


async def _judge(context: RunContext, trajectory: Trajectory, seed: int, replayed: Replayed) -> None:
    """The verdict of the replay on the kept examples of a trajectory."""
    (check,) = filters.open_filters([REPLAY], filters.Parts(replays={trajectory.id: replayed}))
    rows = []
    for example in _unverified(context, trajectory, seed):
        verdict = await check.judge(example, trajectory)
        update = {
            "verdicts": (*example.verdicts, verdict),
            "tier": "replayed" if verdict.keep else example.tier,
        }
        rows.append((key_of(seed, example), example.model_copy(update=update)))
    await context.folder.store.put_many("example", rows)


def _replayed(example: Example) -> bool:
    return any(verdict.filter == REPLAY for verdict in example.verdicts)
