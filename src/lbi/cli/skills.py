"""skills: a run folder -> what its verified examples teach, as Agent Skills."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from lbi.interop.skills.make import Made, SkillOptions, make_skills
from lbi.monitoring.terminal import say
from lbi.report.words import plural


def skills(run: Path, options: SkillOptions, as_json: bool) -> int:
    """Raises UserError where there is nothing to write them from."""
    made = asyncio.run(make_skills(run, options))
    if as_json:
        say(json.dumps([as_data(each) for each in made], indent=2, ensure_ascii=False))
        return 0
    for each in made:
        if each.folder is None:
            say(f"left out  {each.skill.name}: {each.reason}")
            continue
        rests = plural(len(each.skill.sources), "example")
        what = f"{each.tokens} tokens, {plural(len(each.skill.statements), 'statement')}, {rests}"
        say(f"{each.status:8}  {each.folder}  {what}")
    return 0


def as_data(made: Made) -> dict[str, object]:
    """What a program wants to know of a skill."""
    skill = made.skill
    return {
        "name": skill.name,
        "id": skill.id,
        "description": skill.description,
        "folder": str(made.folder) if made.folder else None,
        "status": made.status,
        "reason": made.reason,
        "tokens": made.tokens,
        "writer": skill.writer,
        "statements": [{"text": one.text, "examples": list(one.examples)} for one in skill.statements],
        "sources": list(skill.sources),
    }
