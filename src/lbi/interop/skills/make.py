"""A run folder -> its skills in a folder for agents of others, with what paired runs say of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lbi.config import ConfigTable, resolve
from lbi.context import RunContext, context_of
from lbi.environments import described
from lbi.errors import UserError
from lbi.evaluation.skills import KIND, SkillVerdict, Status
from lbi.interop.skills.folder import write_block, write_skills
from lbi.models.registry import MissingKey
from lbi.monitoring.progress import Progress
from lbi.prompts.skill import skill_tokens
from lbi.records import Skill
from lbi.rollouts.learnt import NoEnvironments
from lbi.storage.knowledge import KnowledgeLog, State
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import examples_with_trajectories
from lbi.synthesis.skills.write import write_skills as write

FOLDER = "skills"


@dataclass(frozen=True)
class SkillOptions:
    """What is written, and where. None or empty = as the run's config says."""

    out: Path | None = None
    most: int | None = None
    tokens: int | None = None
    model: str = ""
    seed: int | None = None
    into: tuple[Path, ...] = ()
    """Files such as AGENTS.md and CLAUDE.md that get the block, too."""
    everything: bool = False
    """Also skills that were measured and not shown to help."""


@dataclass(frozen=True)
class Made:
    """One skill, and where it was written."""

    skill: Skill
    folder: Path | None  # None = left out
    tokens: int
    status: Status
    reason: str


async def make_skills(run: Path, options: SkillOptions) -> list[Made]:
    """Write the skills of a run: those that paired runs keep, and those that were not tried.

    Raises UserError; then nothing is written.
    """
    with RunFolder(run, writing=False) as folder:
        config = resolve(folder.config, str(run / "config.json"))
    asked = {"most": options.most, "tokens": options.tokens}
    settings = config.skills.model_copy(update={name: given for name, given in asked.items() if given is not None})
    update: dict[str, ConfigTable] = {"skills": settings}
    if options.model:
        update["models"] = config.models.model_copy(update={"default": options.model, "label": ""})
    seed = config.seeds[0] if options.seed is None else options.seed
    out = options.out or run / FOLDER
    with RunFolder(run) as folder:
        context = context_of(folder, config.model_copy(update=update), Progress(), NoEnvironments(described(config)))
        try:
            await _prepare(context)
            skills = await write(context, seed)
            pairs = {example.id: (example, walk) for example, walk in examples_with_trajectories(context, seed)}
            verdicts = {verdict.skill: verdict for _, verdict in folder.store.under(KIND, f"{seed}/", SkillVerdict)}
            away = KnowledgeLog(folder.store).states()
        finally:
            await context.close()
    made = [_made(skill, verdicts.get(skill.id), away.get(skill.item), options.everything, out) for skill in skills]
    written = [each for each in made if each.folder is not None]
    write_skills(out, [each.skill for each in written], {each.skill.id: each.status for each in written}, pairs)
    _into(options.into, [each.skill for each in written], out)
    return made


async def _prepare(context: RunContext) -> None:
    """Open the model that words them, and start it if it runs here. Raises UserError."""
    try:
        context.role("label")
    except MissingKey as error:
        raise UserError(f"{error}; or write them without a model: --model offline") from None
    await context.prepare_models()


def _made(skill: Skill, verdict: SkillVerdict | None, away: State | None, everything: bool, out: Path) -> Made:
    status: Status = verdict.status if verdict else "untried"
    reason = verdict.reason if verdict else ""
    if away is not None and away.status != "sunk":
        status, reason = "dropped", f"{away.status}: {away.reason}"
    folder = out / skill.name if everything or status != "dropped" else None
    return Made(skill, folder, skill_tokens(skill), status, reason)


def _into(files: Sequence[Path], skills: Sequence[Skill], out: Path) -> None:
    for file in files:
        try:
            write_block(file, skills, Path(os.path.relpath(out.resolve(), file.resolve().parent)))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot put the block into {file}: {error}") from None
