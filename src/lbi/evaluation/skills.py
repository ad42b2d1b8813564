"""Paired runs -> which skills are kept: the same tasks with and without each, on the same model (decision 0045)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from lbi.config import Arm
from lbi.evaluation.statistics import Comparison, compare, holm
from lbi.evaluation.uses import shown_in, without_skills
from lbi.records import Record, Result, Skill, Trajectory

KIND = "skill verdict"
SURE = 0.05
UNTRIED = "no paired runs: it was shown for no held-out task that was also run without it"
Status = Literal["kept", "dropped", "untried"]


class Pairs(Record):
    """One arm with the skill beside the same arm without it, on the tasks for which the skill was shown."""

    arm: str
    beside: str
    tasks: int
    rate: float
    rate_without: float
    tokens: float  # per episode
    tokens_without: float
    steps: float
    steps_without: float


class SkillVerdict(Record):
    """What paired runs say of a skill, all pairs of arms together."""

    skill: str  # id
    name: str
    status: Status
    reason: str
    pairs: tuple[Pairs, ...] = ()
    tasks: int = 0
    difference: float = 0.0
    better: int = 0  # tasks
    worse: int = 0
    p: float = 1.0  # with Holm's correction over the skills of the seed


_Paired = list[tuple[Result, Result]]  # with the skill, and without it


def judge_skills(
    arms: Sequence[Arm], skills: Sequence[Skill], results: Sequence[Result], episodes: Mapping[str, Trajectory]
) -> list[SkillVerdict]:
    """A skill is kept if runs with it are surely better than the same runs without it (p < 0.05).

    ``episodes``: of arms with skills, by the ids of their trajectories.
    """
    partners = [(arm, other) for arm in arms if arm.skills and (other := without_skills(arm, arms))]
    paired = {
        skill.id: [found for arm, other in partners if (found := _pairs(skill, arm, other, results, episodes))]
        for skill in skills
    }
    tested = [skill.id for skill in skills if paired[skill.id]]
    compared = {id_: _compared(paired[id_]) for id_ in tested}
    corrected = dict(zip(tested, holm([compared[id_].p for id_ in tested]), strict=True))
    return [
        _verdict(skill, [_told(found) for found in paired[skill.id]], compared[skill.id], corrected[skill.id])
        if skill.id in compared
        else SkillVerdict(skill=skill.id, name=skill.name, status="untried", reason=UNTRIED)
        for skill in skills
    ]


def _compared(paired: Sequence[_Paired]) -> Comparison:
    """Several pairs of arms as if each were further seeds: the tasks are the unit all the same."""
    together: list[Result] = []
    for at, pairs in enumerate(paired):
        for with_, without in pairs:
            seed = with_.seed * len(paired) + at
            together.append(with_.model_copy(update={"arm": "with", "seed": seed}))
            together.append(without.model_copy(update={"arm": "without", "seed": seed}))
    (comparison,) = compare(together, [("with", "without")])
    return comparison


def _pairs(
    skill: Skill, arm: Arm, other: Arm, results: Sequence[Result], episodes: Mapping[str, Trajectory]
) -> _Paired:
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


def _told(pairs: _Paired) -> Pairs:
    ours, theirs = [with_ for with_, _ in pairs], [without for _, without in pairs]
    return Pairs(
        arm=ours[0].arm,
        beside=theirs[0].arm,
        tasks=len({each.task for each in ours}),
        rate=_mean([each.score for each in ours]),
        rate_without=_mean([each.score for each in theirs]),
        tokens=_mean([_tokens(each) for each in ours]),
        tokens_without=_mean([_tokens(each) for each in theirs]),
        steps=_mean([each.steps for each in ours]),
        steps_without=_mean([each.steps for each in theirs]),
    )


def _verdict(skill: Skill, pairs: Sequence[Pairs], compared: Comparison, p: float) -> SkillVerdict:
    sure = p < SURE
    status: Status = "kept" if sure and compared.difference > 0 else "dropped"
    said = "it helps" if status == "kept" else "it does harm" if sure else "not shown to help"
    rates = "; ".join(f"{each.rate:.0%} in {each.arm}, {each.rate_without:.0%} in {each.beside}" for each in pairs)
    tasks = "1 task" if compared.tasks == 1 else f"{compared.tasks} tasks"
    counts = f"{compared.better} better, {compared.worse} worse, p {p:.2g}"
    return SkillVerdict(
        skill=skill.id,
        name=skill.name,
        status=status,
        reason=f"{said}: {rates}, on the same {tasks} ({counts})",
        pairs=tuple(pairs),
        tasks=compared.tasks,
        difference=compared.difference,
        better=compared.better,
        worse=compared.worse,
        p=p,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _tokens(result: Result) -> float:
    return result.usage.input_tokens + result.usage.output_tokens
