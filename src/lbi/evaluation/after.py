"""After the evaluation of a seed: what examples and skills did in it is counted, and each skill is judged."""

from __future__ import annotations

from collections.abc import Sequence

from lbi.context import RunContext
from lbi.evaluation.skills import KIND, judge_skills
from lbi.evaluation.uses import key_of, votes_of
from lbi.records import Result, Skill, Trajectory
from lbi.storage.knowledge import KnowledgeLog


def count_uses(context: RunContext, results: Sequence[Result]) -> int:
    """Write the votes of these results. Each is written once, however often this is called; how many were new."""
    store, config = context.folder.store, context.config
    episodes = {
        result.trajectory: found
        for result in results
        if (found := store.get("episode", key_of(result), Trajectory)) is not None and found.id == result.trajectory
    }
    return KnowledgeLog(store).append(votes_of(config, results, episodes))


def store_verdicts(context: RunContext, seed: int, skills: Sequence[Skill], results: Sequence[Result]) -> None:
    """Judge the skills of a seed by its results, and store what is found; its key is that of the skill."""
    store = context.folder.store
    arms = context.config.evaluation.arms
    with_skills = {arm.name for arm in arms if arm.skills}
    mine = [result for result in results if result.seed == seed]
    shown = [result for result in mine if result.arm in with_skills]
    episodes = {r.trajectory: found for r in shown if (found := store.get("episode", key_of(r), Trajectory))}
    verdicts = judge_skills(arms, skills, mine, episodes)
    store.put_many(KIND, [(f"{seed}/{verdict.name}", verdict) for verdict in verdicts])
