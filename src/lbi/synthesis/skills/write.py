"""The stage that writes a seed's skills from its verified examples, and stores them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lbi.context import RunContext
from lbi.errors import UserError
from lbi.observations.operations import Operations
from lbi.records import Skill, Skills
from lbi.storage.knowledge import KnowledgeLog
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import examples_with_trajectories
from lbi.synthesis.skills.groups import KINDS, RECURS, Group, Pair, groups_of, verified
from lbi.synthesis.skills.offline import written_offline
from lbi.synthesis.skills.worded import worded

KIND = "skills"


async def write_skills(context: RunContext, seed: int) -> tuple[Skill, ...]:
    """The skills of a seed, as they are stored now. The same examples give the same skills, and cost nothing again.

    Raises UserError where there is nothing to write them from.
    """
    pairs = examples_with_trajectories(context, seed)
    groups, reader = recurring(pairs, f"{context.folder.path}, seed {seed}")
    settings, application = context.config.skills, pairs[0][1].task.environment
    by_id = {example.id: (example, trajectory) for example, trajectory in pairs}
    skills: list[Skill] = []
    for group in groups:
        if len(skills) == settings.most:
            break
        draft = written_offline(group, application, reader, settings.tokens)
        if draft is not None:
            draft = _named_apart(draft, skills)
            skills.append(await worded(context, draft, by_id, settings.tokens, f"{seed}/{draft.name}"))
    if not skills:
        raise UserError(f"no skill fits into {settings.tokens} tokens; allow more with --tokens")
    made = Skills(skills=tuple(skills))
    if context.folder.store.get(KIND, str(seed), Skills) != made:
        await context.folder.store.put(KIND, str(seed), made)
    return made.skills


async def skills_of_arms(context: RunContext, seed: int) -> tuple[Skill, ...]:
    """The skills that arms of the config show; none where no arm does, or there is nothing to write them from."""
    if not any(arm.skills for arm in context.config.evaluation.arms):
        return ()
    try:
        return await write_skills(context, seed)
    except UserError as error:
        context.progress.say(f"the arms with skills have none: {error}")
        return ()


def recurring(pairs: Sequence[Pair], where: str) -> tuple[list[Group], Operations]:
    """What users do, as far as verified examples show it. Raises UserError, which says what there is instead."""
    proved = verified(pairs)
    if not proved:
        kept = [example for example, _ in pairs if example.kept and example.kind in KINDS]
        tiers = Counter(example.tier for example in kept)
        had = ", ".join(f"{count} {tier}" for tier, count in tiers.items()) or "none at all"
        raise UserError(
            f"{where}: there are no verified examples to write skills from (kept: {had}); an example is verified by "
            "being replayed, which takes the filter replay and an environment that can be put back"
        )
    walks = {trajectory.id: trajectory for _, trajectory in proved}
    reader = Operations(page for walk in walks.values() for page in walk.observations)
    groups = groups_of(proved, reader)
    if not groups:
        raise UserError(
            f"{where}: nothing recurs, no operation is in the verified examples ({len(proved)}) of {RECURS} tasks; "
            "more roll-outs (synthesis.rollouts) may show what does"
        )
    return groups, reader


def _named_apart(skill: Skill, before: Sequence[Skill]) -> Skill:
    names = {other.name for other in before}
    name, number = skill.name, 2
    while name in names:
        end = f"-{number}"
        name, number = f"{skill.name[: 64 - len(end)].rstrip('-')}{end}", number + 1
    return skill.model_copy(update={"name": name})


def stored_skills(folder: RunFolder, seed: int) -> tuple[Skill, ...]:
    """Those that were written last; none if there are none."""
    made = folder.store.get(KIND, str(seed), Skills)
    return made.skills if made else ()


def live_skills(folder: RunFolder, seed: int) -> tuple[Skill, ...]:
    """Those of them that were not retired, and of which every statement rests on examples that were not."""
    away = KnowledgeLog(folder.store).away()
    return tuple(
        skill
        for skill in stored_skills(folder, seed)
        if skill.item not in away and not any(id_ in away for said in skill.statements for id_ in said.examples)
    )
