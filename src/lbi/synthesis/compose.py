"""Verified examples -> composed ones: joined to the way from the start page, and carried out as one trajectory."""

from __future__ import annotations

from collections.abc import Sequence

from lbi.context import RunContext
from lbi.protocols import Environment
from lbi.records import Tier, Trajectory
from lbi.storage.leases import WorkKey
from lbi.synthesis.composition import Composed, candidates, example_of, verify
from lbi.synthesis.examples import all_of, key_of, seeded_examples
from lbi.synthesis.verify import REPLAY


async def compose(context: RunContext, trajectories: Sequence[Trajectory], seed: int) -> list[Trajectory]:
    """Join verified examples to the way there from the start page; what was carried out again becomes an example."""
    store, limit = context.folder.store, context.config.synthesis.compose
    if limit <= 0 or not context.restores:
        return []
    kept = [e for _, e in seeded_examples(context, seed) if e.kept and e.kind in ("abstract", "summary")]
    by_id = {trajectory.id: trajectory for trajectory in trajectories}
    tier: Tier = "replayed" if REPLAY in context.config.synthesis.filters else "unverified"
    wanted = candidates([e for e in kept if e.trajectory in by_id], by_id, limit=limit, seed=seed, tier=tier)
    keys = {candidate.id: f"{seed}/{candidate.id}" for candidate in wanted}
    done = store.keys("candidate")
    with context.progress.stage(f"compose (seed {seed})", len(wanted)) as stage:
        left = [candidate for candidate in wanted if keys[candidate.id] not in done]
        stage.have(len(wanted) - len(left))

        async def one(candidate: Composed) -> None:
            key = keys[candidate.id]

            async def work(environment: Environment) -> None:
                with stage.working("compose"):
                    await _compose(context, environment, candidate, seed, key)

            failed = context.failing("candidate", key, stage)
            await context.pool.do(work, failed=failed, key=WorkKey("candidate", key))
            stage.advance()

        await all_of(one(candidate) for candidate in left)
    return [t for key, t in store.all("composition", Trajectory) if key.startswith(f"{seed}/")]


async def _compose(context: RunContext, environment: Environment, candidate: Composed, seed: int, key: str) -> None:
    trajectory = await verify(environment, candidate)
    if trajectory is not None:
        example = example_of(candidate, trajectory)
        context.folder.store.put("composition", key, trajectory)
        context.folder.store.put("example", key_of(seed, example), example)
    await context.folder.store.put("candidate", key, candidate)
