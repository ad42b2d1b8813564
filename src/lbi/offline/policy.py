"""Instruction, history, page and retrieved examples -> the next action. No language model, no application's words.

With an example that explains the goal it carries out that example's operations, on the goal's thing and with the goal's
values; without one it grounds the instruction's words in the names on the page (ground.py).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from lbi.offline import searching
from lbi.offline.atlas import UNKNOWN
from lbi.offline.follow import LAST, WAY, follow, is_at
from lbi.offline.goal import Goal, page_of, without_likeness
from lbi.offline.ground import FILLED, ground
from lbi.offline.inquire import LIKELY as LIKELY_TOLD
from lbi.offline.inquire import inquire
from lbi.offline.lesson import Lesson
from lbi.offline.lexical import words
from lbi.offline.parts import kinds_of, over, parts
from lbi.offline.placeholders import with_values
from lbi.offline.places import Thing
from lbi.offline.rank import CLOSE_ENOUGH, CLOSE_TO_ANSWER, rank
from lbi.offline.seek import LIKELY, SURE, asked, seek
from lbi.offline.situation import Move, Situation, finish, guidance
from lbi.offline.things import Known
from lbi.protocols import Fields
from lbi.records import Step

#: share of the best lesson's score that another must have to take its place
NEAR_THE_BEST = 0.7
ENOUGH = 0.4  # share of what is asked for that the page must say to which an example leads


def act(fields: Fields) -> Move:
    """The next action and why: of the first part of the instruction that is not done."""
    assert fields.task is not None
    assert fields.observation is not None
    instruction, history = part(fields)
    if not instruction:
        return 'finish("")', "all of it was carried out"
    return _act(fields, instruction, history)


def part(fields: Fields) -> tuple[str, tuple[Step, ...]]:
    """The part of the instruction that comes now, and what was done for it; ("", ()) if nothing is left."""
    assert fields.task is not None
    wanted = parts(fields.task.instruction, kinds_of(fields))
    if len(wanted) == 1 or fields.observation is None:
        return wanted[0], fields.history
    done = over(fields.history, (LAST, FILLED), fields.observation)
    if len(done) >= len(wanted):
        return "", ()
    return wanted[len(done)], fields.history[done[-1] if done else 0 :]


def _act(fields: Fields, instruction: str, history: tuple[Step, ...]) -> Move:
    assert fields.observation is not None
    goal = Goal(with_values(without_likeness(instruction)))
    sentences = [s for document in fields.documents for s in re.split(r"(?<=[.!?])\s+|\n+", document.text)]
    here = Situation(
        goal=goal,
        page=page_of(fields.observation),
        observation=fields.observation,
        history=history,
        documents=guidance(goal, sentences),
        examples=fields.examples,
    )
    if (move := searching.carry_out(here)) is not None:
        return move
    if goal.question and (told := inquire(here)):
        return told
    searched = bool(here.history) and "search for " in here.history[-1].reason
    move = ground(here) if goal.question and searched else _carry_out(here)
    if goal.question and move[0].startswith("finish(") and (told := inquire(here, LIKELY_TOLD)):
        return told
    return move


def _carry_out(here: Situation) -> Move:
    """Follow an example, or ground the instruction's words in the page."""
    goal, shows = here.goal, here.goal.question or here.goal.visits
    ended = here.history[-1].reason.endswith(LAST) if here.history and not here.observation.error else False
    if ended and shows:
        return ground(here)
    if goal.question and here.history and _is_about(here):
        return ground(here)
    if shows and (found := seek(here, LIKELY if goal.question else SURE)):
        return found
    pages, kinds = tuple(here.atlas.pages.values()), dict[Thing, Known]()
    lessons = [Lesson(shown, goal, pages, kinds) for shown in here.examples]
    for lesson in lessons:
        lesson.done = lesson.carried_out(here.history, here.observation)
    changed = ended and here.history[-1].observation.digest != here.observation.digest
    if changed or (ended and any(lesson.changes and lesson.id in here.history[-1].reason for lesson in lessons)):
        return finish(here, "the example was carried out")
    lessons = [lesson for lesson in lessons if not _spent(here, lesson)]
    ranked = rank(lessons, goal, here.named)
    best = ranked[0][0] if ranked else 0.0
    for score, lesson in _in_order(here, ranked):
        needed = CLOSE_TO_ANSWER if goal.question and lesson.instead is None else CLOSE_ENOUGH
        needed = max(needed, NEAR_THE_BEST * best)  # where the best cannot be followed, not just anything is
        if score >= needed and not (shows and (_acts(lesson) or _elsewhere(here, lesson))):
            move = follow(here, lesson)
            if move is not None and not _failed(here, move):
                return move[0], f"following {lesson.id}: {move[1]}"
    if shows and (found := seek(here, LIKELY)):
        return found
    return ground(here)


def _acts(lesson: Lesson) -> bool:
    """Whether it does more than lead somewhere or look something up."""
    return lesson.changes or not all(operation.visit or operation.run for operation in lesson.operations)


def _spent(here: Situation, lesson: Lesson) -> bool:
    """Whether it was carried out to its end already, and what is wanted was not done by that: it only opened a form."""
    return any(s.reason.startswith(f"following {lesson.id}") and s.reason.endswith(LAST) for s in here.history)


def _elsewhere(here: Situation, lesson: Lesson) -> bool:
    """Whether it leads to something else: to another view of a page than the goal asks for, or without its names."""
    url = lesson.operations[-1].url
    views = {word for _, value in parse_qsl(url.partition("?")[2].partition("#")[0]) for word in words(value)}
    if any(word.isalpha() and word not in here.about for word in views):
        return True
    said = here.atlas.says(lesson.address(url))
    names = [v for v in here.goal.values if v.kind in ("quoted", "name") and set(words(v.text))]
    if any(not set(words(v.text)) & said for v in names):
        return True
    wanted, rarity = asked(here), here.atlas.rarity
    told = sum(rarity.get(word, 0.0) for word in wanted & said)
    return told < ENOUGH * sum(rarity.get(word, UNKNOWN) for word in wanted)


def _failed(here: Situation, move: Move) -> bool:
    """Whether just this was done just now and refused."""
    return bool(here.observation.error) and bool(here.history) and here.history[-1].action.text == move[0]


def _is_about(here: Situation) -> bool:
    """Whether the title of the page says what the question is about."""
    title = here.page.title.lower()
    return any(len(v.text) > 2 and v.kind != "number" and v.text.lower() in title for v in here.goal.values)


def _in_order(here: Situation, ranked: list[tuple[float, Lesson]]) -> list[tuple[float, Lesson]]:
    """The lesson that the last step followed comes first: half of one and half of another is neither.

    Where it is shown no more, as others that say the same have taken its place: those that go on from here."""
    last = re.match(r"following (\w+): (.*)", here.history[-1].reason) if here.history else None
    if last is None:
        return ranked
    if any(lesson.id == last[1] for _, lesson in ranked):
        return sorted(ranked, key=lambda item: item[1].id != last[1])
    led = last[2].startswith(WAY)
    return sorted(ranked, key=lambda item: not (led and is_at(here, item[1])))
