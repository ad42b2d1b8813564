"""A group of operations -> a skill in the words of its examples: no model is needed (decision 0045).

'Store an item with the name "Salt" on the shelf "bottom"'  ->  Store an item with the name "…" on the shelf "…"
fill(textbox "Name", "Salt")                                ->  fill textbox "Name" with your value
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from lbi.observations.normalise import kind_of_place, place
from lbi.observations.operations import Operation, Operations
from lbi.observations.parse import TICKS
from lbi.prompts.skill import skill_tokens
from lbi.prompts.template import on_one_line, shorter
from lbi.records import POINTING, TIERS, Action, Example, Skill, Statement, Trajectory
from lbi.storage.secrets import mask
from lbi.synthesis.skills.groups import Group, OperationGroup, Pair, rollouts_of

MOST_EXAMPLES = 4  # that a statement names
MOST_SOURCES = 24  # of a skill
MOST_STEPS = 14
LONGEST = 120  # characters of a step, and of what it is for
_ENTERING = frozenset({"fill", "type", "select", "upload"})
_VALUE = re.compile(r'"[^"]*"|“[^”]*”|‘[^’]*’|(?<!\w)\'[^\']*\'(?!\w)')
_NUMBER = re.compile(r"(?<![\w…])[#$€£]?\d(?:[\d.,:/-]*\d)?(?![\w…])")
_SLUG = re.compile(r"[^a-z0-9]+")


def written_offline(group: Group, application: str, reader: Operations, budget: int) -> Skill | None:
    """The skill of a group with as many of its operations as fit into ``budget`` tokens; None if none does."""
    statements: list[Statement] = []
    skill: Skill | None = None
    for operation in group.operations:
        tried = _skill(group, application, [*statements, _statement(operation, reader)])
        if skill_tokens(tried) <= budget:
            statements, skill = list(tried.statements), tried
    return skill


def _skill(group: Group, application: str, statements: Sequence[Statement]) -> Skill:
    named = list(dict.fromkeys(id_ for statement in statements for id_ in statement.examples))
    others = [example.id for each in group.operations for example, _ in each.pairs]
    return Skill(
        name=name_of(application, group.area),
        description=_description(application, group.area, statements),
        statements=tuple(statements),
        sources=tuple(dict.fromkeys([*named, *others]))[: max(MOST_SOURCES, len(named))],
    )


def name_of(application: str, area: str) -> str:
    """A name as the specification wants it: at most 64 of a-z, 0-9 and single hyphens."""
    words = _SLUG.sub("-", f"{application} {area}".lower()).strip("-")
    return words[:64].strip("-") or "skill"


def _description(application: str, area: str, statements: Sequence[Statement]) -> str:
    what = [statement.text.rstrip(".") for statement in statements[:4]]
    where = "on its start page" if area == "start" else f"under {area.strip('/')}"
    return shorter(f"How things are done in {application} {where}, such as: {'; '.join(what)}.", 480)


class _Done(NamedTuple):
    """One step: where it was done, and what, in words and for comparing."""

    place: str
    told: str
    alike: tuple[str, str]  # verb and role


def _statement(group: OperationGroup, reader: Operations) -> Statement:
    """The way that most roll-outs went, and of these the shortest."""
    ways: dict[tuple[tuple[str, str], ...], list[tuple[Pair, list[_Done]]]] = {}
    for pair in group.pairs:
        done = list(_done(*pair, reader))
        ways.setdefault(tuple(each.alike for each in done), []).append((pair, done))
    way = min(ways, key=lambda way: (-len(rollouts_of(pair for pair, _ in ways[way])), len(way), way))
    pairs = [pair for pair, _ in ways[way]]
    best = sorted(pairs, key=lambda pair: (-TIERS.index(pair[0].tier), pair[0].end - pair[0].start, pair[0].id))
    steps = tuple(_in_general([done for _, done in ways[way]]))
    return Statement(text=_wanted(pairs), steps=steps, examples=tuple(e.id for e, _ in best[:MOST_EXAMPLES]))


def _in_general(walks: Sequence[Sequence[_Done]]) -> Iterator[str]:
    """The steps of walks that are alike, each in words that hold for all of them."""
    before = ""
    for same in zip(*walks, strict=True):
        place = _place([each.place for each in same])
        told = Counter(each.told for each in same)
        usual = min(told, key=lambda text: (-told[text], text))
        verb, role = same[0].alike
        such = f"{verb} the {role} that is meant, such as {usual.partition(' ')[2]}"
        text = such if len(told) > 1 and role else usual
        yield shorter(f"On {place}: {text}" if place != before else text, LONGEST)
        before = place


def _place(places: Sequence[str]) -> str:
    """One address for several, with a star in place of the parts in which they differ."""
    parts = [place.split("/") for place in dict.fromkeys(places)]
    if len({len(each) for each in parts}) > 1:
        return Counter(places).most_common(1)[0][0]
    return "/".join(same[0] if len(set(same)) == 1 else "*" for same in zip(*parts, strict=True))


def _wanted(pairs: Sequence[Pair]) -> str:
    """What most of the examples were asked for, without its values."""
    texts = Counter(without_particulars(example.instruction) for example, _ in pairs)
    return shorter(min(texts, key=lambda text: (-texts[text], len(text), text)), LONGEST)


def without_particulars(text: str) -> str:
    """An instruction with a mark in place of quoted texts and numbers, on one line."""
    plain = _VALUE.sub('"…"', mask(" ".join(text.split())))
    return _NUMBER.sub("…", plain)


def _done(example: Example, trajectory: Trajectory, reader: Operations) -> Iterator[_Done]:
    """The actions without their values, but for the end of the task."""
    for at in range(example.start, min(example.end, example.start + MOST_STEPS)):
        action, page = trajectory.actions[at], trajectory.observations[at]
        operation = reader.of_actions([action.grounded])
        if operation is not None:
            where = kind_of_place(place(page)).partition("?")[0] if page.url else ""
            yield _Done(where, mask(_step(action, operation)), (operation.verb, operation.role))


def _step(action: Action, operation: Operation) -> str:
    if action.kind and action.kind not in POINTING:
        return f"`{on_one_line(action.text)}`"
    if operation.verb == "press":
        return " in ".join(filter(None, (f'press "{action.value}"', operation.target)))
    told = f"{operation.verb} {operation.target}"
    if operation.verb in _ENTERING:
        return f"{told} with your value"
    return f"{told} of your choice" if operation.role in TICKS and not operation.name else told
