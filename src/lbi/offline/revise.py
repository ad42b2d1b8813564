"""A text as an instruction wants it changed: 'append the bullet "Oars" to the list' + the text -> the new text.

For boxes that hold a text already. What is to be replaced, taken out or added is found in the text itself; where that
is not clear, nothing is changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lbi.environments.snapshot import Element
from lbi.offline.forms import TEXT_ROLES, Form, called
from lbi.offline.goal import Goal
from lbi.offline.lexical import Value, labels, words
from lbi.offline.situation import Move, Situation, fill

LONG = 6  # words of what a box holds that is a text, not a value
SHARED = 2  # words that a line must share with the goal to be the one that is meant
LIKE = 3  # words of a sentence that can be like another
NEARLY = 0.5  # share of their words that such sentences have in common
_TO = re.compile(r"(?:^|\s)(?:to|by|with|into|becomes?|is now|are now|now|->)(?:\s+(?:the|a|an|say|read))?\s*$", re.I)
_NOT = re.compile(r"\b(?:instead of|rather than|not|in place of|replaces)\s+(?:the |a |an )?$", re.I)
_TAKES = re.compile(r"\b(?:remove|delete|take|strike|drop|cross|cut|erase)\b", re.I)
_ADDS = re.compile(r"\b(?:add|append|put|write|enter|insert|note|extend|attach|include)\b", re.I)
_NOT_BUT = re.compile(r"\b(\w+)(?: \w+)?(?:, not| instead of| rather than) (\w+)\b", re.I)
_NUMERALS = frozenset(
    [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "twenty",
        "thirty",
        "hundred",
    ]
)
_PIECES = r"sentence|line|bullet|item|entry|paragraph|point|row|section|heading|step|remark|word|passage|note"
_WHERE = re.compile(rf"\b(?:end|bottom|top|beginning|append|list|log|table|text|page|{_PIECES})\b", re.I)
_EDITS = re.compile(
    rf"\b(?:append|(?:at|to) the (?:very )?(?:end|bottom|top|beginning)|(?:{_PIECES})s?\b(?! on| search))", re.I
)
_CORRECTS = re.compile(r"\b(?:change|correct|raise|lower|replace|update|edit|mend|fix)\b", re.I)
_ABOUT = re.compile(r"\b(?:about|mention(?:s|ing)?|concerning|regarding) (?:the |a |an )?(\w+)", re.I)
_MARK = re.compile(r"(\s*)([*+-]|(\d+)([.)])) +")
_HEADING = re.compile(r"\s*(=+|#+) *(.*?) *=*\s*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_REST = re.compile(r":\s+(\S[^:]*(?::[^:]*)*?)\s*$")


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
    """The next box of the form whose text the goal wants changed."""
    if "comment" in here.goal.words and any(
        "comment" in labels(called(field)) for field in here.page.elements if field.role in TEXT_ROLES
    ):
        return None  # "leave a note on it": there is a box for that
    for field in form.fields:
        if has_text(field) and not here.has_filled(field) and (text := revised(here.goal, field.value)) is not None:
            return fill(field, text), "the text as the instruction wants it"
    return None


def unused(here: Situation, form: Form, values: Sequence[Value]) -> list[Value]:
    """Values that are in no text which was changed."""
    texts = [field.value for field in form.fields if has_text(field) and here.has_filled(field)]
    return [value for value in values if not any(value.text in text for text in texts)]


def revised(goal: Goal, text: str) -> str | None:
    """The text with what the goal wants changed; None if nothing in it is clearly meant."""
    return _replaced(goal, text) or _without(goal, text) or _with(goal, text)


# replacing


@dataclass(frozen=True)
class _Swap:
    old: str
    new: str


def _replaced(goal: Goal, text: str) -> str | None:
    found = _swaps(goal, text)
    for swap in found:
        start, end = r"(?<!\w)" if swap.old[0].isalnum() else "", r"(?!\w)" if swap.old[-1].isalnum() else ""
        text = re.sub(f"{start}{re.escape(swap.old)}{end}", swap.new.replace("\\", r"\\"), text, count=1)
    return text if found else None


def _swaps(goal: Goal, text: str) -> list[_Swap]:
    there = [v for v in goal.values if _in(v.text, text)]
    new = [v for v in goal.values if not _in(v.text, text)]
    found = [_Swap(a.text, b.text) for a in there for b in new if _swapped(goal, a, b)]
    if not found:
        a, b = ([v for v in group if v.kind in ("number", "date")] for group in (there, new))
        if len(a) == len(b) == 1 and a[0].kind == b[0].kind:
            found = [_Swap(a[0].text, b[0].text)]
    if not found and len(b := [v for v in new if v.kind == "number"]) == 1:
        found = _number(goal, text, b[0])
    if not found and not _ADDS.search(goal.text):
        found = [_Swap(old, v.text) for v in new if v.kind == "quoted" and (old := _like(v.text, text))]
    found += _numerals(goal, text)
    return list({swap.old: swap for swap in found}.values())


def _numerals(goal: Goal, text: str) -> list[_Swap]:
    """Numbers in words: "ten metres, not nine"."""
    found = []
    for match in _NOT_BUT.finditer(goal.text):
        new, old = match[1], match[2]
        if {new.lower(), old.lower()} <= _NUMERALS and _in(old, text) and not _in(new, text):
            found.append(_Swap(old, new))
    return found


def _in(value: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def _swapped(goal: Goal, a: Value, b: Value) -> bool:
    said = goal.text
    if any(min(a.end, b.end) <= v.start and v.end <= max(a.start, b.start) for v in goal.values):
        return False
    if a.end <= b.start:
        between = said[a.end : b.start].rstrip(" \"'“‘")
        return len(between.split()) <= LONG and _TO.search(f"{between} ".rstrip()) is not None
    return _NOT.search(said[b.end : a.start].rstrip("\"'“‘")) is not None


def _number(goal: Goal, text: str, new: Value) -> list[_Swap]:
    """In the line that says most of what the goal says: another number in place of the only one there."""
    line = _line(goal, text.split("\n")) or ""
    mark = _MARK.match(line)
    rest = line[mark.end() :] if mark else line
    numbers = re.findall(r"(?<![\w.])\d+(?:[.,]\d+)*(?!\w)", rest)
    said = re.search(r"\b(?:to|at|is now|are now|by)\s+$", goal.text[: new.start]) or edits(goal)
    if len(numbers) != 1 or not said:
        return []
    return [_Swap(rest, re.sub(rf"(?<![\w.]){re.escape(numbers[0])}(?!\w)", new.text, rest, count=1))]


def _like(said: str, text: str) -> str:
    """The sentence or line that says nearly the same: what "Prices have two decimals." is to replace."""
    wanted = set(labels(said))
    scored = []
    for line in text.split("\n"):
        for part in _SENTENCE.split(line):
            own = set(labels(part))
            if len(wanted) >= LIKE and not _is_heading(part) and own:
                scored.append((len(own & wanted) / len(own | wanted), part))
    scored.sort(key=lambda item: -item[0])
    if not scored or scored[0][0] < NEARLY or (len(scored) > 1 and scored[0][0] == scored[1][0]):
        return ""
    return scored[0][1]


# taking out


def _without(goal: Goal, text: str) -> str | None:
    if not _TAKES.search(goal.text) or not (_EDITS.search(goal.text) or re.search(r"\b(?:off|from|out)\b", goal.text)):
        return None
    lines = text.split("\n")
    line = _line(goal, lines)
    if line is None:
        return None
    at = lines.index(line)
    parts = _SENTENCE.split(line)
    if len(parts) > 1 and not _MARK.match(line):
        gone = _line(goal, parts)
        if gone is None:
            return None
        parts.remove(gone)
        lines[at] = " ".join(parts)
    else:
        del lines[at]
    return "\n".join(lines)


def _line(goal: Goal, lines: Sequence[str]) -> str | None:
    """The one that shares most words with the goal; a heading is none, and of two alike neither is meant."""
    about = goal.words | {word for value in goal.values for word in words(value.text)}
    names = {word for value in goal.values for word in words(value.text)}
    names |= {word for match in _ABOUT.finditer(goal.text) for word in words(match[1])}
    scored = []
    for line in lines:
        said = set(words(line)) & about
        if said and not _is_heading(line) and (len(said) >= SHARED or said & names):
            scored.append((len(said) + 0.5 * len(said & names), line))
    scored.sort(key=lambda item: -item[0])
    if not scored or (len(scored) > 1 and scored[0][0] == scored[1][0]):
        return None
    return scored[0][1]


def _is_heading(line: str) -> bool:
    match = _HEADING.fullmatch(line)
    return match is not None and bool(match[2])


# adding


def _with(goal: Goal, text: str) -> str | None:
    added = _added(goal, text)
    if not added or not _ADDS.search(goal.text) or not _WHERE.search(goal.text):
        return None
    lines = text.rstrip().split("\n")
    if re.search(r"\b(?:top|beginning)\b", goal.text):
        return "\n".join([*added, *lines])
    at = _end(goal, lines)
    if re.search(r"\bsentence\b", goal.text, re.I) and at and lines[at - 1].strip() and not _MARK.match(lines[at - 1]):
        lines[at - 1] = " ".join([lines[at - 1].rstrip(), *added])
    else:
        lines[at:at] = _in_kind(goal, lines[at - 1] if at else "", added)
    return "\n".join(lines) + "\n" * text.endswith("\n")


def _added(goal: Goal, text: str) -> list[str]:
    """What is quoted or stands after a colon, and is not there yet; what is said of a comment is none of it."""
    rest = _REST.search(goal.text)
    if rest and not re.search(r"[\"“]", goal.text):
        return [rest[1]]
    quoted = [v for v in goal.values if v.kind == "quoted" and not _in(v.text, text)]
    return [v.text for v in quoted if "comment" not in (*v.before[:3], *v.after[:2])]


def _end(goal: Goal, lines: Sequence[str]) -> int:
    """After the last line of the section that the goal names, or of the list if it speaks of one; of all, otherwise."""
    names = {value.text.lower() for value in goal.values}
    said = f" {' '.join(words(goal.text))} "
    for at, line in enumerate(lines):
        heading = _HEADING.fullmatch(line)
        if heading and at and (heading[2].lower() in names or f" {' '.join(words(heading[2]))} " in said):
            after = next((i for i in range(at + 1, len(lines)) if _is_heading(lines[i])), len(lines))
            return _trimmed(lines, at, after)
    if re.search(r"\b(?:list|bullet|item|point|step)s?\b", goal.text, re.I):
        marks = [(at, match) for at, line in enumerate(lines) if (match := _MARK.match(line))]
        plain = [at for at, match in marks if not match[3]] if re.search(r"\bbullet", goal.text, re.I) else []
        marked = plain or [at for at, _ in marks]
        return marked[-1] + 1 if marked else len(lines)
    return len(lines)


def _trimmed(lines: Sequence[str], start: int, end: int) -> int:
    while end > start + 1 and not lines[end - 1].strip():
        end -= 1
    return end


def _in_kind(goal: Goal, last: str, added: Sequence[str]) -> list[str]:
    """New lines like the one before: after a bullet bullets."""
    mark = _MARK.match(last)
    if re.search(r"\b(?:paragraph|section|sentence)\b", goal.text, re.I):
        return ["", *added]
    if mark is None:
        wants = re.search(r"\bbullets?\b", goal.text, re.I)
        return [f" * {line}" for line in added] if wants else list(added)
    added = [_MARK.sub("", line, count=1) if _MARK.match(line) else line for line in added]
    if mark[3]:
        return [f"{mark[1]}{int(mark[3]) + n}{mark[4]} {line}" for n, line in enumerate(added, start=1)]
    return [f"{mark[1]}{mark[2]} {line}" for line in added]
