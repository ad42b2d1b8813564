"""A run folder -> its skills in a folder for agents of others, with what paired runs say of each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lbi.config import ConfigTable, resolve
from lbi.context import context_of
from lbi.environments import described
from lbi.errors import UserError
from lbi.interop.skills.folder import write_block, write_skills
from lbi.monitoring.progress import Progress
from lbi.prompts.skill import skill_tokens
from lbi.records import Skill
from lbi.rollouts.learnt import NoEnvironments
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
    folder: Path
    tokens: int


async def make_skills(run: Path, options: SkillOptions) -> list[Made]:
    """Write the skills of a run. Raises UserError; then nothing is written."""
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
            skills = await write(context, seed)
            pairs = {example.id: (example, walk) for example, walk in examples_with_trajectories(context, seed)}
        finally:
            await context.close()
    folders = write_skills(out, skills, {}, pairs)
    _into(options.into, skills, out)
    return [Made(skill, place, skill_tokens(skill)) for skill, place in zip(skills, folders, strict=True)]


def _into(files: Sequence[Path], skills: Sequence[Skill], out: Path) -> None:
    for file in files:
        try:
            write_block(file, skills, Path(os.path.relpath(out.resolve(), file.resolve().parent)))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot put the block into {file}: {error}") from None
