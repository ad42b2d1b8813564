"""A draft of a skill, and its examples -> the same worded by a language model, without what no example shows.

What a statement names in quotes has to occur in the examples that it rests on. One that rests on none, or names what
is not there, is left out; if nothing is left, or the model cannot write it, the draft stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lbi.context import RunContext
from lbi.errors import ModelError, ParseError
from lbi.models import parsing
from lbi.prompts.skill import skill_text, skill_tokens
from lbi.prompts.template import shorter
from lbi.protocols import Fields, Model, Request, Shown
from lbi.records import Skill, Statement
from lbi.storage.secrets import mask
from lbi.synthesis.examples import boundary_of
from lbi.synthesis.skills.groups import Pair

MOST_SHOWN = 12  # examples
LONGEST_TEXT, LONGEST_STEP, MOST_STEPS = 200, 240, 14
MAX_TOKENS = 2048
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”')
_MARKS = re.compile(r"[…*]+")


async def worded(context: RunContext, draft: Skill, pairs: Mapping[str, Pair], budget: int, key: str) -> Skill:
    """The skill in the words of the model that labels; the draft where that is none, or cannot write it.

    A call that fails is recorded under ``key``. Raises BudgetExceeded and ModelUnavailable.
    """
    model = context.role("label")
    if not model.info.language_model:
        return draft
    sources = draft.sources[:MOST_SHOWN]
    try:
        written = await _asked(model, draft, [pairs[id_] for id_ in sources], budget)
    except (ModelError, ParseError) as error:
        context.folder.store.fail("skills", key, boundary_of(error), str(error))
        return draft
    statements = [said for each in written.statements if (said := _sound(each, sources, pairs)) is not None]
    skill = draft.model_copy(
        update={
            "description": shorter(mask(written.description), 480) or draft.description,
            "sources": sources,
            "writer": model.name,
        }
    )
    while statements:
        skill = skill.model_copy(update={"statements": tuple(statements)})
        if skill_tokens(skill) <= budget:
            return skill
        statements.pop()
    return draft


async def _asked(model: Model, draft: Skill, pairs: Sequence[Pair], budget: int) -> parsing.WrittenSkill:
    shown = tuple(Shown(example=e, trajectory=t, at=e.start, why="query") for e, t in pairs)
    fields = Fields(examples=shown, instruction=skill_text(draft, heading=False), count=budget)
    request = Request(role="skill", fields=fields, stage="skills", max_tokens=MAX_TOKENS, reused=False)
    written, _ = await parsing.ask(model, request, parsing.skill)
    return written


def _sound(said: parsing.WrittenStatement, sources: Sequence[str], pairs: Mapping[str, Pair]) -> Statement | None:
    """A statement that rests on examples that were shown, and names only what is in them."""
    ids = tuple(dict.fromkeys(sources[number - 1] for number in said.examples if 0 < number <= len(sources)))
    if not ids:
        return None
    steps = tuple(shorter(mask(step), LONGEST_STEP) for step in said.steps[:MOST_STEPS])
    text = shorter(mask(said.text), LONGEST_TEXT)
    known = _plain("\n".join(_shows(pairs[id_]) for id_ in ids))
    named = [next(filter(None, match)) for match in _QUOTED.findall("\n".join((text, *steps)))]
    if any(part not in known for name in named for part in map(_plain, _MARKS.split(name)) if part):
        return None
    return Statement(text=text, steps=steps, examples=ids)


def _shows(pair: Pair) -> str:
    """All that an example shows: its instruction, its actions and its pages."""
    example, trajectory = pair
    pages = trajectory.observations[example.start : example.end + 1]
    actions = trajectory.actions[example.start : example.end]
    seen = [f"{page.url}\n{page.title}\n{page.text}" for page in pages]
    return "\n".join([example.instruction, *(f"{action.written} {action.text}" for action in actions), *seen])


def _plain(text: str) -> str:
    return " ".join(text.replace('\\"', '"').casefold().split()).strip(" :.")
