"""A text as an instruction wants it changed: 'append the bullet "Oars" to the list' + the text -> the new text.

For boxes that hold something already. An instruction is taken apart into requests; each one says what is to be
replaced, taken out or added, and that is found in the text itself. Where it is not clear, nothing is changed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from lbi.observations.parse import Element
from lbi.offline.additions import put_in
from lbi.offline.contrast import Swap, bounded, operands, stands_in, swaps, without_remarks
from lbi.offline.entries import changed_entries
from lbi.offline.forms import TEXT_ROLES, Form, called, is_locked
from lbi.offline.goal import Goal, page_of
from lbi.offline.layout import MARK, SENTENCE, is_heading, section
from lbi.offline.lexical import Value, labels, words
from lbi.offline.passages import PIECES, passage, taken_out
from lbi.offline.situation import Move, Situation, fill
from lbi.offline.slots import exchanged, exchanges
from lbi.offline.wanted import is_denied

REVISED = "the text as the instruction wants it"
LONG = 6  # words of what a box holds that is a text, not a value
LIKE = 3  # words of a sentence that can be like another
NEARLY = 0.5  # share of their words that such sentences have in common
_TAKES = re.compile(
    r"\b(?:remove|delete|take|strike|drop|cross|cut|erase|throw|kick|no longer|not [^.;]{0,40}any (?:more|longer)|"
    r"(?:is|are|has|have) to (?:go|disappear)|(?:should|must) (?:go|disappear|vanish)|get rid of|leave out)\b",
    re.I,
)
_OFF = re.compile(r"\b(?:off|from|out|among|in|on|of|go|disappear)\b", re.I)
_ADDS = re.compile(
    r"\b(?:make\b[^;]*\b(?:last|first)|add|append|put|write|enter|insert|note|extend|attach|include|lacks?|missing|place|supplement|new)\b",
    re.I,
)
_MENDS = re.compile(r"\b(?:instead of|in place of|replace|swap|exchange|where)\b", re.I)
_WHERE = re.compile(
    rf"\b(?:end|bottom|top|beginning|start|append|below|above|after|before|list|log|table|text|page|last|first|lacks?|(?:{PIECES})s?)\b",
    re.I,
)
_EDITS = re.compile(
    rf"\b(?:append|(?:at|to) the (?:very )?(?:end|bottom|top|beginning)|(?:{PIECES})s?\b(?! on| search))", re.I
)
_PART = re.compile(r"\b(?:sentence|line|bullet|paragraph|row|section|whole text)s?\b(?! of code)", re.I)
_ALL = re.compile(
    r"\b(?:replace|overwrite|exchange|substitute)\b[^.;:\"]*\b(?:whole|entire|complete|all (?:of )?the|everything)\b",
    re.I,
)
_CORRECTS = re.compile(r"\b(?:change|correct|raise|lower|replace|update|edit|mend|fix|adjust)\b", re.I)
_VERBS = (
    r"(?:add|append|put|insert|enter|write|remove|delete|take|strike|drop|cross|cut|erase|replace|change|swap|correct)"
)
_CUT = re.compile(rf"(?:(?<=[;])\s+|,?\s+(?:and|then|but)\s+)(?=(?:also |then |please |instead )*{_VERBS}\b)", re.I)


def edits(goal: Goal) -> bool:
    """Whether the goal speaks of a part of a text."""
    return goal.changes and (
        _EDITS.search(goal.text) is not None
        or (
            not goal.makes and re.search(r"\bpage\b", goal.text) is not None and _CORRECTS.search(goal.text) is not None
        )
    )


def has_text(field: Element) -> bool:
    return field.role in TEXT_ROLES and ("\n" in field.value.strip() or len(field.value.split()) >= LONG)


def revision(here: Situation, form: Form) -> Move | None:
    """The next box of the form whose content the goal wants changed."""
    if "comment" in here.goal.words and any(
        "comment" in labels(called(field)) for field in here.page.elements if field.role in TEXT_ROLES
    ):
        return None  # "leave a note on it": there is a box for that
    for field in form.fields:
        if field.role not in TEXT_ROLES or not field.value.strip() or is_locked(field):
            continue
        if here.has_filled(field) or _entered(here, field):
            continue
        new = revised(here.goal, field.value) if has_text(field) else renewed(here.goal, field, form)
        if new is not None and new != field.value:
            return fill(field, new), REVISED
    return None


def unused(here: Situation, form: Form, values: Sequence[Value]) -> list[Value]:
    """Values that are in no text which was changed, and that are not what a field held before."""
    before = _before(here, form)
    keys = {(field.role, field.name, field.nth) for field in before}
    now = [field.value for field in form.fields if (field.role, field.name, field.nth) in keys]
    now += [field.value for field in form.fields if _entered(here, field, REVISED)]
    texts = [text for text in (*now, *(field.value for field in before)) if len(text.split()) > 1]
    left = [value for value in values if value.text not in {field.value for field in before}]
    if not here.goal.makes and _PART.search(here.goal.text) and not any(has_text(field) for field in form.fields):
        # a part of a text is to change, and here is none: only what a field is named for has a place here
        names = {word for field in form.fields if field.role in TEXT_ROLES for word in labels(called(field))}
        left = [value for value in left if value.kind != "quoted" or names & {*value.before[:3], *value.after[:1]}]
    return [value for value in left if not any(_is_part(value.text, text) for text in texts)]


def _is_part(value: str, text: str) -> bool:
    """Whether a changed text has a value, or all that a value names."""
    named = [o.text for o in operands(value) if o.text[:1] not in "\"'"]
    return stands_in(value, text) or (len(named) > 1 and all(stands_in(name, text) for name in named))


def _entered(here: Situation, field: Element, reason: str = "") -> bool:
    """Whether the box holds what was put into it before something else was opened on the page."""
    key = (field.role, field.name, field.nth, field.value.strip())
    return bool(field.value.strip()) and any(
        (s.action.role, s.action.name, s.action.nth, s.action.value.strip()) == key and s.reason.endswith(reason)
        for s in here.history
        if s.action.kind == "fill"
    )


def _before(here: Situation, form: Form) -> list[Element]:
    """The fields of the form that were filled, as they were before."""
    filled = [field for field in form.fields if field.role in TEXT_ROLES and here.has_filled(field)]
    if not filled:
        return []
    first = page_of(here.history[-min(len(here.filled), len(here.history))].observation)
    keys = {(field.role, field.name, field.nth) for field in filled}
    return [e for e in first.elements if (e.role, e.name, e.nth) in keys and e.value.strip()]


def renewed(goal: Goal, field: Element, form: Form) -> str | None:
    """A short value with what the goal wants changed in it."""
    marked = {value.text for value in goal.values if value.kind != "name"}
    found = swaps(goal.text, field.value)
    # a whole value is often the name by which the goal calls the thing: it has to be said that it is wrong
    found = [s for s in found if s.old != field.value.strip() or s.new in marked or _is_wrong(goal.text, s.old)]
    return _swapped(field.value, found) or changed_entries(goal, field)


def _is_wrong(said: str, held: str) -> bool:
    """Whether the goal says of it that it is not, or no longer, so."""
    found = re.finditer(bounded(held), said)
    return any(is_denied(said, *match.span()) for match in found)


def revised(goal: Goal, text: str) -> str | None:
    """The text with what the goal wants changed; None if nothing in it is clearly meant."""
    now, whole = text, without_remarks(goal.text)
    if _ALL.search(whole):
        return next((value.text for value in goal.values if value.kind == "quoted" and value.text in whole), None)
    for said in _requests(whole):
        now = _changed(said, now, whole) or now
    if now == text:
        now = _changed(whole, text, whole) or text
    return now if now != text else None


def _requests(said: str) -> list[str]:
    """The instruction, cut where another order begins that has an object of its own."""
    masked = re.sub(r"\"[^\"]*\"|“[^”]*”", lambda m: '"' + "x" * (len(m[0]) - 2) + '"', said)
    cuts = [0, *(match.end() for match in _CUT.finditer(masked)), len(said)]
    return [said[a:b] for a, b in itertools.pairwise(cuts)]


def _changed(said: str, text: str, whole: str) -> str | None:
    """One request carried out: what is set against something is replaced, or something goes, or comes, or moves on."""
    placed = _WHERE.search(whole) is not None or section(text.split("\n"), set(words(whole))) is not None
    adds = placed and _ADDS.search(said) is not None and not _MENDS.search(said)
    found = swaps(said, text)
    if found and not (adds and not any(stands_in(swap.old, said) for swap in found)):
        now = _swapped(text, found) or text
        return exchanged(now, exchanges(said, now, [t for swap in found for t in (swap.old, swap.new)]))
    part = _EDITS.search(said) is not None
    if _TAKES.search(said) and (part or _OFF.search(said)) and not _news(said, text):
        return taken_out(said, text)
    adds = adds and (part or "\n" in text.strip())
    if adds and (new := put_in(said, text, whole)) is not None:
        return new
    quoted = [o for o in operands(said) if o.shape == "quoted" and not stands_in(o.text, text)]
    alike = [Swap(old, o.text) for o in quoted if (old := _like(o.text, text))]
    if alike:
        return _swapped(text, alike)
    if places := exchanges(said, text):
        return exchanged(text, places)
    number = _only_number(said, text)
    if number is not None:
        return number
    return taken_out(said, text) if _TAKES.search(said) else None


def _news(said: str, text: str) -> bool:
    """Whether it names something that the text does not have, so that it cannot be all about what goes."""
    return any(o.shape in ("quoted", "number", "date") and not stands_in(o.text, text) for o in operands(said))


def _swapped(text: str, found: Sequence[Swap]) -> str | None:
    for swap in found:
        text = re.sub(bounded(swap.old), swap.new.replace("\\", r"\\"), text, count=1)
    return text if found else None


def _only_number(said: str, text: str) -> str | None:
    """In the line that says most of what the request says: another number in place of the only one there."""
    new = [o for o in operands(said) if o.shape == "number" and not stands_in(o.text, text)]
    lines = text.split("\n")
    at = passage(said, lines) if len(new) == 1 else None
    if at is None or not (re.search(r"\b(?:to|at|now|by)\s+$", said[: new[0].start]) or edits(Goal(said))):
        return None
    mark = MARK.match(lines[at])
    first = mark.end() if mark else 0
    numbers = [o for o in operands(lines[at][first:]) if o.shape == "number"]
    if len(numbers) != 1:
        return None
    start, end = first + numbers[0].start, first + numbers[0].end
    lines[at] = lines[at][:start] + new[0].text + lines[at][end:]
    return "\n".join(lines)


def _like(said: str, text: str) -> str:
    """The sentence or line that says nearly the same: what "Prices have two decimals." is to replace."""
    wanted = set(labels(said))
    scored = []
    for line in text.split("\n"):
        for part in SENTENCE.split(line):
            own = set(labels(part))
            if len(wanted) >= LIKE and not is_heading(part) and own:
                scored.append((len(own & wanted) / len(own | wanted), part))
    scored.sort(key=lambda item: -item[0])
    if not scored or scored[0][0] < NEARLY or (len(scored) > 1 and scored[0][0] == scored[1][0]):
        return ""
    return scored[0][1]
