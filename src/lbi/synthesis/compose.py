"""The stage that composes verified examples into longer ones and carries these out (not in the paper)."""

from __future__ import annotations

from collections.abc import Sequence

from lbi.context import RunContext
from lbi.protocols import Environment
from lbi.records import Tier, Trajectory
from lbi.storage.knowledge import KnowledgeLog
from lbi.storage.leases import WorkKey
from lbi.synthesis.candidates import Composed, candidates, carry_out, example_of
from lbi.synthesis.examples import example_key, examples_of_seed, gather
from lbi.synthesis.filter import REPLAY


async def compose(context: RunContext, trajectories: Sequence[Trajectory], seed: int) -> list[Trajectory]:
    """Carry out the candidates (lbi.synthesis.candidates); those that work become examples of kind ``composed``.

    Returns the trajectories of all that work for this seed, those of earlier runs included.
    """
    store, limit = context.folder.store, context.config.synthesis.compose
    if limit <= 0 or not context.restores:
        return []
    away = KnowledgeLog(store).away()  # what was retired is no part of anything new
    kept = [
        example
        for _, example in examples_of_seed(context, seed)
        if example.kept and example.kind in ("abstract", "summary") and example.id not in away
    ]
    by_id = {trajectory.id: trajectory for trajectory in trajectories}
    tier: Tier = "replayed" if REPLAY in context.config.synthesis.filters else "unverified"
    wanted = candidates(
        [example for example in kept if example.trajectory in by_id], by_id, limit=limit, seed=seed, tier=tier
    )
    keys = {candidate.id: f"{seed}/{candidate.id}" for candidate in wanted}
    done = store.keys("candidate")
    with context.progress.stage(f"compose (seed {seed})", len(wanted)) as stage:
        left = [candidate for candidate in wanted if keys[candidate.id] not in done]
        stage.have(len(wanted) - len(left))

        async def compose_candidate(candidate: Composed) -> None:
            key = keys[candidate.id]

            async def work(environment: Environment) -> None:
                with stage.working("compose"):
                    await _compose(context, environment, candidate, seed, key)

            failed = context.failure_recorder("candidate", key, stage)
            await context.pool.do(work, failed=failed, key=WorkKey("candidate", key))
            stage.advance()

        await gather(compose_candidate(candidate) for candidate in left)
    return [composed for key, composed in store.all("composition", Trajectory) if key.startswith(f"{seed}/")]


async def _compose(context: RunContext, environment: Environment, candidate: Composed, seed: int, key: str) -> None:
    trajectory = await carry_out(environment, candidate)
    if trajectory is not None:
        example = example_of(candidate, trajectory)
        context.folder.store.put("composition", key, trajectory)
        context.folder.store.put("example", example_key(seed, example), example)
    await context.folder.store.put("candidate", key, candidate)
