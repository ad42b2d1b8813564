"""Paired runs -> which skills are kept: the same tasks with and without each, on the same model (decision 0045)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from lbi.config import Arm
from lbi.context import RunContext
from lbi.evaluation.statistics import Comparison, compare, holm
from lbi.evaluation.uses import key_of, shown_in, without_skills
from lbi.records import Record, Result, Skill, Trajectory

KIND = "skill verdict"
SURE = 0.05
Status = Literal["kept", "dropped", "untried"]


class Pairs(Record):
    """One arm with the skill beside the same arm without it, on the tasks for which the skill was shown."""

    arm: str
    beside: str
    tasks: int
    rate: float
    rate_without: float
    difference: float
    better: int
    worse: int
    p: float  # with Holm's correction over all pairs of arms and all skills of the seed
    tokens: float  # per episode
    tokens_without: float
    steps: float
    steps_without: float


class SkillVerdict(Record):
    """What paired runs say of a skill."""

    skill: str  # id
    name: str
    status: Status
    reason: str
    pairs: tuple[Pairs, ...] = ()


def judge_skills(
    arms: Sequence[Arm], skills: Sequence[Skill], results: Sequence[Result], episodes: Mapping[str, Trajectory]
) -> list[SkillVerdict]:
    """A skill is kept if an arm with it is better than without it, surely (p < 0.05), and none is surely worse.

    ``episodes``: of arms with skills, by the ids of their trajectories.
    """
    partners = [(arm, other) for arm in arms if arm.skills and (other := without_skills(arm, arms))]
    compared: list[tuple[Skill, Comparison, list[Result], list[Result]]] = []
    for skill in skills:
        for arm, other in partners:
            pairs = _pairs(skill, arm, other, results, episodes)
            if pairs:
                ours, theirs = [with_ for with_, _ in pairs], [without for _, without in pairs]
                (comparison,) = compare([*ours, *theirs], [(arm.name, other.name)])
                compared.append((skill, comparison, ours, theirs))
    corrected = holm([comparison.p for _, comparison, _, _ in compared])
    told: dict[str, list[Pairs]] = {}
    for (skill, comparison, ours, theirs), p in zip(compared, corrected, strict=True):
        told.setdefault(skill.id, []).append(_told(comparison, p, ours, theirs))
    return [_verdict(skill, tuple(told.get(skill.id, ()))) for skill in skills]


def _pairs(
    skill: Skill, arm: Arm, other: Arm, results: Sequence[Result], episodes: Mapping[str, Trajectory]
) -> list[tuple[Result, Result]]:
    """Results with the skill shown, each with that of the same task and seed without it; only the agents' own."""
    without = {(each.task, each.seed): each for each in results if each.arm == other.name and not each.fault}
    shown = [
        each
        for each in results
        if each.arm == arm.name
        and not each.fault
        and each.trajectory in episodes
        and skill.item in shown_in(episodes[each.trajectory])
    ]
    return [(each, without[each.task, each.seed]) for each in shown if (each.task, each.seed) in without]


def _told(comparison: Comparison, p: float, ours: Sequence[Result], theirs: Sequence[Result]) -> Pairs:
    return Pairs(
        arm=comparison.arm,
        beside=comparison.baseline,
        tasks=comparison.tasks,
        rate=_mean([each.score for each in ours]),
        rate_without=_mean([each.score for each in theirs]),
        difference=comparison.difference,
        better=comparison.better,
        worse=comparison.worse,
        p=p,
        tokens=_mean([_tokens(each) for each in ours]),
        tokens_without=_mean([_tokens(each) for each in theirs]),
        steps=_mean([each.steps for each in ours]),
        steps_without=_mean([each.steps for each in theirs]),
    )


def _verdict(skill: Skill, pairs: tuple[Pairs, ...]) -> SkillVerdict:
    def made(status: Status, reason: str) -> SkillVerdict:
        return SkillVerdict(skill=skill.id, name=skill.name, status=status, reason=reason, pairs=pairs)

    if not pairs:
        return made("untried", "no paired runs: it was shown for no held-out task that was also run without it")
    worse = [each for each in pairs if each.p < SURE and each.difference < 0]
    better = [each for each in pairs if each.p < SURE and each.difference > 0]
    if worse:
        return made("dropped", f"it does harm: {_in_words(worse[0])}")
    if better:
        return made("kept", f"it helps: {_in_words(better[0])}")
    best = max(pairs, key=lambda each: each.difference)
    return made("dropped", f"not shown to help: {_in_words(best)}")


def _in_words(pairs: Pairs) -> str:
    tasks = "1 task" if pairs.tasks == 1 else f"{pairs.tasks} tasks"
    return (
        f"{pairs.rate:.0%} in {pairs.arm}, {pairs.rate_without:.0%} in {pairs.beside} on the same {tasks} "
        f"({pairs.better} better, {pairs.worse} worse, p {pairs.p:.2g})"
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _tokens(result: Result) -> float:
    return result.usage.input_tokens + result.usage.output_tokens


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
