"""Results -> what each example and skill was shown for, and how that went beside the same run without it.

    backward missed a task that the baseline solves: "hurt" for each example that it was shown there
    skill solved a task that the baseline misses:    "helped" for each skill that it was shown there

An example is measured by the reference arm, of the same model and with the same skills; a skill by the arm that is the
same without skills. A result whose fault is not the agent's, in either run, says nothing: an outage never becomes
knowledge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lbi.config import Arm, Config
from lbi.records import Result, Trajectory
from lbi.storage.knowledge import Entry, Vote

SKILL = "skill:"
_ALIKE = 1e-9  # scores that differ by less are the same


def without_skills(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """The arm that is the same but for skills; None where the config has none."""
    return _like(arm.model_copy(update={"skills": False}), arms)


def without_examples(arm: Arm, arms: Sequence[Arm], reference: str) -> Arm | None:
    """The arm that is as the reference but for the model and skills of ``arm``; None where the config has none."""
    plain = next((each for each in arms if each.name == reference), None)
    return plain and _like(plain.model_copy(update={"skills": arm.skills, "model": arm.model}), arms)


def _like(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """The arm that is this one, whatever it is called."""
    return next((each for each in arms if each.model_copy(update={"name": arm.name}) == arm), None)


def key_of(result: Result) -> str:
    """The key under which a result and its episode are stored."""
    return f"{result.arm}/{result.seed}/{result.task}"


def votes_of(config: Config, results: Sequence[Result], episodes: Mapping[str, Trajectory]) -> Iterator[Entry]:
    """The votes; ``episodes`` by the ids of their trajectories."""
    arms = {arm.name: arm for arm in config.evaluation.arms if arm.data != "shuffled"}
    by_key = {key_of(result): result for result in results}
    for result in results:
        arm, episode = arms.get(result.arm), episodes.get(result.trajectory)
        if result.fault or arm is None or episode is None:
            continue
        every, reference = config.evaluation.arms, config.evaluation.reference
        beside = {True: without_skills(arm, every), False: without_examples(arm, every, reference)}
        source = f"{key_of(result)}/{result.trajectory}"
        for item in shown_in(episode):
            other = beside[item.startswith(SKILL)]
            partner = by_key.get(f"{other.name}/{result.seed}/{result.task}") if other else None
            yield Entry(item, "shown", source, result.task)
            if partner is not None and not partner.fault and (vote := _vote(result.score - partner.score)):
                yield Entry(item, vote, source, f"{result.score:g} here, {partner.score:g} in {partner.arm}")


def shown_in(episode: Trajectory) -> list[str]:
    """The items that were in a prompt of an episode, once each."""
    return list(dict.fromkeys(item for step in episode.steps for item in step.examples))


def _vote(difference: float) -> Vote | None:
    return "helped" if difference > _ALIKE else "hurt" if difference < -_ALIKE else None
