"""Examples and documents as an agent is shown them: best first, within the room there is.

What was shown at an earlier step of the episode stays where it is, and what is new comes after it, so that the prompts
of an episode begin alike and providers need not read them anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from lbi.observations.diff import without_references
from lbi.observations.effect import changed_lines
from lbi.observations.frame import Frame
from lbi.observations.parse import parse_observation
from lbi.prompts.example import example_text
from lbi.prompts.page import is_page, kind_of_address, same_page, same_place, shown_since
from lbi.prompts.skill import skill_text
from lbi.prompts.template import block, cut
from lbi.protocols import Fields, LookUp, PromptLimits, Shown
from lbi.records import Action, Document, Observation, Skill, Trajectory

MOST_LOOK_UPS = 3  # of which examples are shown; when there are more, all but the last two go, so that this is rare
MOST_TRIED = 6  # examples of a look-up that add something, of which as many are shown as fit
LEAST_ROOM = 220  # characters, below which a further example would tell too little
ANYWHERE = frozenset({"goto", "back", "forward", "tab", "wait"})  # actions that any page allows
_NUMBER = re.compile(r"\d+")
MOST_MARKS = 3  # pages of examples that are said to be like the current one


@dataclass(frozen=True)
class Knowledge:
    """Messages with examples and documents, and which pages of the examples are like the current one."""

    messages: tuple[tuple[int, str], ...] = ()  # (number of steps before it, text)
    marks: tuple[tuple[int, int], ...] = ()  # (number of the example, number of the step), both from 1
    examples: tuple[tuple[tuple[Shown, str], ...], ...] = ()  # those in each message, each with its text
    skills: tuple[str, ...] = ()  # those in the first message, as votes call them


NOTHING_KNOWN = Knowledge()


def knowledge(fields: Fields, limits: PromptLimits) -> Knowledge:
    """What is known, and where it is like the current page; without messages where nothing fits."""
    known = messages_of(fields, limits)
    return replace(known, marks=tuple(_marks([shown for group in known.examples for shown, _ in group], fields)))


def messages_of(
    fields: Fields, limits: PromptLimits, most: int | None = None, most_look_ups: int = MOST_LOOK_UPS
) -> Knowledge:
    """What is known, without the marks.

    ``most``: so many examples at most, those of the last look-ups first; None = as many as there is room for.
    """
    look_ups = fields.look_ups or (LookUp(step=0, found=fields.examples),)
    chosen = examples_shown(look_ups, min(limits.knowledge, limits.examples), limits.example, most_look_ups)
    chosen = chosen if most is None else _last(chosen, most)
    documents = _passages(fields.documents, limits.knowledge - sum(len(text) for group in chosen for _, text in group))
    messages: list[tuple[int, str]] = []
    told: list[tuple[tuple[Shown, str], ...]] = []
    skills = _whole_skills(fields.skills, limits.knowledge)
    if skills:
        messages.append((look_ups[0].step, block("skills", "user", skills="\n\n".join(skills.values()))))
        told.append(())
    before, number = len(messages), 1
    for look_up, group in zip(look_ups, chosen, strict=True):
        passages = documents if look_up is look_ups[0] else []
        if group or passages:
            texts = "\n".join(f"EXAMPLE {at}\n{text}" for at, (_, text) in enumerate(group, start=number))
            pages = _are_pages(group, fields.observation)
            # the first message says what examples are
            after = look_up.step if len(messages) > before else 0
            message = block("knowledge", "user", examples=texts, documents=passages, after=after, pages=pages)
            messages.append((look_up.step, message))
            told.append(tuple(group))
        number += len(group)
    return Knowledge(tuple(messages), examples=tuple(told), skills=tuple(skills))


def _whole_skills(ranked: Sequence[Skill], room: int) -> dict[str, str]:
    """{what votes call a skill: its text}, of the best that fit; half a skill would tell half of the steps."""
    texts: dict[str, str] = {}
    for skill in ranked:
        text = skill_text(skill, heading=False)
        if len(text) <= room:
            texts[skill.item] = text
            room -= len(text)
    return texts


def _are_pages(group: Sequence[tuple[Shown, str]], now: Observation | None) -> bool:
    """Whether examples were carried out on pages; it is said of them, so that it stays said whatever is seen later."""
    if not group:
        return now is None or is_page(now)
    return any(is_page(shown.trajectory.observations[shown.at]) for shown, _ in group)


def _last(groups: Sequence[list[tuple[Shown, str]]], most: int) -> list[list[tuple[Shown, str]]]:
    kept: list[list[tuple[Shown, str]]] = []
    for group in reversed(groups):
        kept.append(group[:most])
        most -= len(kept[-1])
    return kept[::-1]


def examples_shown(
    look_ups: Sequence[LookUp], room: int, one: int, most_look_ups: int = MOST_LOOK_UPS
) -> list[list[tuple[Shown, str]]]:
    """For each look-up the examples that it adds, each with its text: at most ``room`` characters, ``one`` for each."""
    left_out = _left_out(len(look_ups), most_look_ups)
    chosen: list[list[tuple[Shown, str]]] = []
    seen: dict[str, Trajectory] = {}
    for at, look_up in enumerate(look_ups):
        seen |= {one.trajectory.id: one.trajectory for one in look_up.found}
        frame = _frame(tuple(seen.values()))  # not of what was found later, so that no text changes afterwards
        before = [shown for group in chosen for shown, _ in group]
        chosen.append(_fitting(look_up.found, room, one, frame, before) if at >= left_out else [])
    return chosen


def _left_out(look_ups: int, most: int) -> int:
    """How many of the oldest look-ups are not shown any more."""
    left_out = 0
    for count in range(look_ups + 1):
        if count - left_out > most:
            left_out = count - most + 1
    return left_out


def _fitting(
    ranked: Sequence[Shown], room: int, one: int, frame: Frame, before: Sequence[Shown]
) -> list[tuple[Shown, str]]:
    """The best examples that fit. One that could only be told without most of its steps gives way to others."""
    candidates = [shown for shown in ranked if shown.adds][:MOST_TRIED]
    for shortest in (False, True):
        if fitting := _told(candidates, room, one, frame, before, shortest=shortest):
            return fitting
    return []


def _told(
    candidates: Sequence[Shown], room: int, one: int, frame: Frame, before: Sequence[Shown], *, shortest: bool
) -> list[tuple[Shown, str]]:
    """One that shows what was told before, by its instruction, its way or its outcome, would show nothing new."""
    fitting: list[tuple[Shown, str]] = []
    told = {each for shown in before for each in _contents(shown, frame)}
    for shown in candidates:
        contents = _contents(shown, frame)
        if fitting and room < LEAST_ROOM:
            break
        text = None
        if not told & contents:
            text = example_text(shown, min(room, one), room, frame, shortest=shortest)
        if text is not None:
            fitting.append((shown, text))
            told |= contents
            room -= len(text)
    return fitting


def _contents(shown: Shown, frame: Frame) -> set[tuple[str, ...]]:
    """What an example teaches, in up to three ways, in each of which two examples may be the same.

    Its instruction; what is done to which elements, without the values of its instruction, from which kind of page; and
    the same with what came of it, as the same link of two pages leads to one place.
    """
    start, end = shown.example.start, shown.example.end
    pages = shown.trajectory.observations
    actions = shown.trajectory.actions[start:end]
    named = [f"{each.kind} {each.role} {each.name}" if each.role else each.grounded for each in actions]
    contents = {
        ("instruction", " ".join(shown.example.instruction.split()).casefold()),
        ("from", kind_of_address(pages[start]), *named),
    }
    if end > start and is_page(pages[end]) and pages[end].url:
        stays = same_page(pages[end - 1], pages[end])
        changes = changed_lines(pages[end - 1].text, pages[end].text, frame) if stays else ()
        if outcome := changes if stays else (kind_of_address(pages[end]),):
            contents.add(("to", *outcome, *named))
    return contents


@lru_cache(maxsize=16)
def _frame(trajectories: tuple[Trajectory, ...]) -> Frame:
    """What the pages of the examples at hand have in common."""
    return Frame.of(observation.text for trajectory in trajectories for observation in trajectory.observations)


def _passages(ranked: tuple[Document, ...], room: int) -> list[str]:
    passages: list[str] = []
    for document in ranked:
        heading = " > ".join(part for part in (document.title, *document.headings) if part)
        text = f"{heading}\n{document.text}".strip()
        if len(text) > room and passages:
            break
        if room > 0:
            passages.append(cut(text, room))
        room -= len(text)
    return passages


# which pages of the examples are like the current one

ALIKE = 0.7  # pages at different addresses are alike if at least this share of their own lines is the same
ALIKE_AT_ONE_ADDRESS = 0.4  # pages at one kind of address, of the one with fewer lines


def _marks(chosen: Sequence[Shown], fields: Fields) -> Iterator[tuple[int, int]]:
    """The matched page of an example, or else its first one that is like the current page and has what was used there.

    An address can be opened from anywhere, so where that was done tells nothing.
    """
    if fields.observation is None or not is_page(fields.observation):
        return
    since = shown_since(fields.history, fields.observation)
    pages = [*(step.observation for step in fields.history), fields.observation][: since + 1]
    of_examples = (page.text for shown in chosen for page in shown.trajectory.observations)
    frame = Frame.of([*(page.text for page in pages), *of_examples])
    left = MOST_MARKS
    for number, shown in enumerate(chosen, start=1):
        first, last = shown.example.start, shown.example.end
        for at in sorted(range(first, last), key=lambda at: (at != shown.at, at)):
            usable = _has_element_of(shown.trajectory.actions[at], pages[-1])
            if left and usable and resembles(shown.trajectory.observations[at], pages[-1], frame):
                left -= 1
                yield number, at - first + 1
                break


def _has_element_of(action: Action, page: Observation) -> bool:
    """Whether what an action was done to is on a page too, whatever numbers are in its name."""
    if not action.role:
        return action.kind not in ANYWHERE
    name = _NUMBER.sub("0", action.name)
    elements = parse_observation(page.text).elements
    return any(one.role == action.role and _NUMBER.sub("0", one.name) == name for one in elements)


def resembles(page: Observation, other: Observation, frame: Frame) -> bool:
    """Whether two pages are of one kind beyond the frame: what they have of their own is mostly the same."""
    if without_references(page.text) == without_references(other.text):
        return True
    own, other_own = frame.own_keys(page.text), frame.own_keys(other.text)
    common = len(own & other_own)
    if page.url and other.url and same_place(page, other):
        return common > 0 and common >= ALIKE_AT_ONE_ADDRESS * min(len(own), len(other_own))
    return common > 0 and common >= ALIKE * len(own | other_own)
