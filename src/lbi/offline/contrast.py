"""What an instruction sets against what is there: "it should be X, not Y" + a text that says Y -> (Y, X).

Of the two, the one that the text holds is what is there; which word stands first matters only where it holds both.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lbi.offline.layout import SENTENCE
from lbi.offline.lexical import STOP, SYNONYMS, labels

REACH = 4  # words of what is not marked as one thing
REMARKS = frozenset(labels("comment reason why"))
ALIKE = 0.7  # likeness of a word and its misspelling
Shape = Literal["quoted", "date", "time", "number", "numeral", "name", "word"]

_MARKED = re.compile(
    r"\"(?P<q1>[^\"]+)\"|“(?P<q2>[^”]+)”|(?<!\w)'(?P<q3>[^']+(?:'\w[^']*)*)'(?!\w)|‘(?P<q4>[^’]+)’|`(?P<q5>[^`]+)`"
    r"|(?P<date>\b\d{4}-\d\d-\d\d\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b)"
    r"|(?P<time>\b\d{1,2}:\d\d\b)"
    r"|(?P<number>(?<![\w.#-])\d+(?:[.,]\d+)*(?![\w-]))"
    r"|(?P<numeral>\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred)\b)"
    r"|(?P<name>(?<![\w-])(?:(?:Mr|Mrs|Ms|Dr)\. )?[A-Z](?!rs?\. |s\. )[\w-]*(?: (?!(?:Mr|Mrs|Ms|Dr)\. )[A-Z][\w-]*)*)"
)
_NOUN = r"(?:(?:the|a|an|on|in|at|of|by|as|word|name|to) )*"
_SHALL = (
    r"(?:should|must|shall|ought to|needs to|(?:has|have|is|are) to) (?:now )?(?:be|read|say|become|name)"
    r"(?: (?:changed|corrected|renamed|replaced|set|spelt|spelled|written))?(?: (?:to|by|with|as|into))?"
)
#: between what is there and what shall be there
_FORTH = re.compile(
    rf"[,;:]?\s+(?:(?:but|and|which|this|that|it)\s+)*(?:really |actually )?(?:{_SHALL}|becomes?|(?:is|are) now|->"
    rf"|(?:is|are) (?:to be )?(?:replaced|renamed|changed|corrected) (?:by|with|to|into))\s+{_NOUN}",
    re.I,
)
_CHANGE = re.compile(
    r"\b(?:from|replac\w*|swap\w*|exchang\w*|substitut\w*|chang\w*|correct\w*|turn\w*|edit|alter|renam\w*|amend)\b",
    re.I,
)
_OVER = re.compile(rf"\s+(?:to|by|with|into|for|against)\s+{_NOUN}", re.I)
#: between what shall be there and what is there
_BACK = re.compile(
    rf"[,;(]?\s+(?:and |but )?(?:instead of|rather than|in place of|in lieu of|not|no longer"
    r"|(?:has |have )?(?:replace[sd]|succeed(?:s|ed))"
    rf"|(?:takes?|took|has taken) (?:over from|the place of))\s+{_NOUN}",
    re.I,
)
_REPLACES = re.compile(
    r"\b(?:instead of|rather than|place of|replac\w*|swap\w*|exchang\w*|substitut\w*|not|no longer|chang\w*|"
    r"correct\w*|wrong\w*|\w*spel(?:t|led|ling)|typos?|mistakes?|should|must|has to|have to|becomes?|renamed?|where)\b",
    re.I,
)
_AGAINST = re.compile(rf"\b(?:instead of|rather than|in place of|not|no longer|from)\s+{_NOUN}[\"“'‘`]?$", re.I)
_GONE = re.compile(
    r"^[\"”'’`]?\s+(?:(?:is|are|was) (?:no longer|not|wrong|gone)"
    r"|(?:has|have) (?:left|stopped|retired|resigned|gone))\b",
    re.I,
)
_MENDED = re.compile(r"(?:changed|corrected|updated|adjusted|adapted|mended|fixed|amended|there|removed|added)\b", re.I)
_SPELLS = re.compile(r"\b(?:mis-?spel\w*|spel(?:t|led|ling)|typos?|misprint\w*|letters?)\b", re.I)
_ASIDE = re.compile(r"\b(?:add|append|insert|after|before|below|above)\b", re.I)


@dataclass(frozen=True)
class Operand:
    text: str
    shape: Shape
    start: int
    end: int


@dataclass(frozen=True)
class Swap:
    old: str
    new: str


def without_remarks(said: str) -> str:
    """The instruction without the quoted texts that are to be left as a comment besides, or as the reason."""
    for o in reversed(operands(said)):
        before, after = labels(said[: o.start])[-3:], labels(said[o.end :])[:2]
        if o.shape == "quoted" and {*before, *after} & REMARKS:
            said = f"{said[: o.start]}{' ' * (o.end - o.start)}{said[o.end :]}"
    return said


def stands_in(value: str, text: str) -> bool:
    return bool(value) and re.search(bounded(value), text) is not None


def bounded(value: str) -> str:
    """A pattern for a value as a whole: 14 does not stand in 2026-02-14, nor 30 in 18:30."""
    if value[0].isdigit() and value[-1].isdigit():
        return rf"(?<![\w:])(?<!\d[.,-]){re.escape(value)}(?!\w|[:.,-]\d)"
    start, end = r"(?<!\w)" if value[0].isalnum() else "", r"(?!\w)" if value[-1].isalnum() else ""
    return f"{start}{re.escape(value)}{end}"


def operands(said: str) -> list[Operand]:
    """What is marked as one thing: quoted, dates, times, numbers, and names as far as a capital shows them."""
    found = []
    for match in _MARKED.finditer(said):
        for shape in ("date", "time", "number", "numeral", "name"):
            if match[shape]:
                start = match.start() + (_ordered(match[0]) if shape == "name" and opens(said, match.start()) else 0)
                if start < match.end():
                    found.append(Operand(said[start : match.end()], shape, start, match.end()))
        for quote in ("q1", "q2", "q3", "q4", "q5"):
            if match[quote]:
                found.append(Operand(match[quote], "quoted", *match.span()))
    return found


def opens(said: str, at: int) -> bool:
    """Whether a sentence begins there, so that a capital says nothing."""
    return not said[:at].strip() or said[:at].rstrip()[-1:] in ".!?:;"


def _ordered(name: str) -> int:
    """How much of a name is the verb that its sentence begins with: "Ask Judit"."""
    first = name.split()[0]
    return len(first) + 1 if first.lower() in SYNONYMS or first.lower() in STOP or first in ("Ask", "Replace") else 0


def swaps(said: str, text: str) -> list[Swap]:
    """Each thing in the text that something else shall take the place of."""
    found: list[Swap] = []
    for start, sentence in _sentences(said):
        marked = [
            o for o in operands(sentence) if o.shape != "name" or not _begins(o, sentence) or stands_in(o.text, text)
        ]
        near = said[max(0, start - 80) :]
        found += _quoted(marked, sentence, near, text)
        found += _against(marked, sentence, text)
        found += _across(sentence, text)
    if _SPELLS.search(said):
        found = found or _misspelt(said, text)
    unique: dict[str, Swap] = {}
    for swap in found:
        inside = any(swap.old in other or other in swap.old for other in unique)
        if swap.old != swap.new and not inside:
            unique[swap.old] = swap
    return list(unique.values())


def _sentences(said: str) -> list[tuple[int, str]]:
    cuts = [0]
    masked = re.sub(r"\"[^\"]*\"|“[^”]*”", lambda m: '"' + "x" * (len(m[0]) - 2) + '"', said)
    cuts += [match.end() for match in SENTENCE.finditer(masked)]
    return [(a, said[a:b]) for a, b in zip(cuts, [*cuts[1:], len(said)], strict=True)]


def _begins(operand: Operand, sentence: str) -> bool:
    return not sentence[: operand.start].strip()


def _quoted(marked: Sequence[Operand], sentence: str, near: str, text: str) -> list[Swap]:
    """Neighbours of one shape, of which the text has one and not the other."""
    if not _REPLACES.search(_without_operands(near, operands(near))) and not (
        _CHANGE.search(near) and _OVER.search(near)
    ):
        return []
    found = []
    for shapes in (("quoted",), ("number",), ("date",), ("time",), ("numeral",)):
        group = [o for o in marked if o.shape in shapes]
        while len(group) > 1:
            a, b = group[:2]
            there, other = stands_in(a.text, text), stands_in(b.text, text)
            between = sentence[a.end : b.start]
            if there == other and not (there and re.match(rf"{_BACK.pattern}$|{_OVER.pattern}$", between, re.I)):
                group = group[1:]
                continue
            if there and other:
                there = _OVER.match(between) is not None
            if shapes == ("quoted",) and _ASIDE.search(between) and not _REPLACES.search(between):
                group = group[1:]
                continue
            found.append(Swap(a.text, b.text) if there else Swap(b.text, a.text))
            group = group[2:]
    return found


def _without_operands(said: str, marked: Sequence[Operand]) -> str:
    for o in reversed(marked):
        if o.shape == "quoted":
            said = said[: o.start] + " x " + said[o.end :]
    return said


def _against(marked: Sequence[Operand], sentence: str, text: str) -> list[Swap]:
    """What is denied ("not Sundays", "Petra is no longer ...") and the only other thing of its shape."""
    found = []
    for old in marked:
        denied = _AGAINST.search(sentence[: old.start]) or _GONE.match(sentence[old.end :])
        if not denied or not stands_in(old.text, text):
            continue
        fits = [o for o in marked if _fits(o, old) and not stands_in(o.text, text) and o is not old]
        if fits:
            new = min(fits, key=lambda o: min(abs(o.start - old.end), abs(old.start - o.end)))
            found.append(Swap(old.text, new.text))
    return found


def _fits(new: Operand, old: Operand) -> bool:
    return new.shape == old.shape or {new.shape, old.shape} <= {"quoted", "name"} or new.shape == "quoted"


def _across(sentence: str, text: str) -> list[Swap]:
    """Words that nothing marks, on both sides of what sets them against each other."""
    found: list[Swap] = []
    for o in operands(sentence):  # a preposition within a quoted text connects nothing
        if o.shape == "quoted":
            sentence = f'{sentence[: o.start]}"{" " * (o.end - o.start - 2)}"{sentence[o.end :]}'
    change = _CHANGE.search(sentence)
    for pattern, old_first in ((_BACK, False), (_FORTH, True), (_OVER, True)):
        for match in pattern.finditer(sentence):
            if pattern is _FORTH and "become" in match[0] and "to become" not in match[0] and change is None:
                continue  # "the idea becomes real" corrects nothing
            if pattern is _OVER and (change is None or change.start() > match.start()):
                continue
            left, right = _before(sentence[: match.start()]), _after(sentence[match.end() :])
            old, new = (left, right) if old_first else (right, left)
            swap = _matched(old, new, text, old_first)
            if swap is not None:
                found.append(swap)
    for match in re.finditer(rf"\bnot {_NOUN}(?P<old>\w[\w.-]*),? but {_NOUN}(?P<new>\w[\w.-]*)", sentence, re.I):
        if stands_in(match["old"], text):
            found.append(Swap(match["old"], match["new"].rstrip(".")))
    return found


def _before(said: str) -> list[str]:
    return _words(re.split(r"[,;:(]\s|\"", said)[-1])[-REACH:]


def _after(said: str) -> list[str]:
    return _words(re.split(r"[,;:)](?:\s|$)|[.!?](?:\s|$)(?<!Mr\. )(?<!Mrs\. )(?<!Dr\. )(?<!Ms\. )|\"", said)[0])[
        :REACH
    ]


def _words(said: str) -> list[str]:
    return [word.strip("()") for word in said.split() if word.strip("()")]


def _matched(there: Sequence[str], other: Sequence[str], text: str, leads: bool) -> Swap | None:
    """The longest run of the one side that the text holds, and as much of the other side, which it does not hold.

    ``leads``: what is there stands before the connection, so that its end counts, and the beginning of the other."""
    for size in range(min(REACH, len(there)), 0, -1):
        run = there[-size:] if leads else there[:size]
        old = " ".join(run)
        if not stands_in(old, text) or all(word.lower() in STOP for word in run):
            continue
        part = other[:size] if leads else other[-size:]
        new = " ".join(part).rstrip(".") if not old.endswith(".") else " ".join(part)
        if _MENDED.match(new) or all(word.lower() in STOP for word in part):
            return None
        if len(part) == size and not stands_in(new, text):
            same = new[:1].isupper() == old[:1].isupper() and new[:1].isdigit() == old[:1].isdigit()
            counts = {o.shape for o in operands(old)} - {"name"} == {o.shape for o in operands(new)} - {"name"}
            return Swap(old, new) if same and counts else None
        return None
    return None


def _misspelt(said: str, text: str) -> list[Swap]:
    """A word of the text that is nearly one of the instruction, which the text does not have."""
    here = set(re.findall(r"[^\W\d_]{4,}", text))
    found = []
    for word in dict.fromkeys(re.findall(r"[^\W\d_]{4,}", said)):
        if word in here:
            continue
        near = difflib.get_close_matches(word, sorted(w for w in here if w[0].isupper() == word[0].isupper()), 1, ALIKE)
        # what is misspelt is mostly said too, and if not, then it is no word that the instruction has rightly
        if near and near[0] != word and (stands_in(near[0], said) or not _inflected(word, near[0])):
            found.append((stands_in(near[0], said), Swap(near[0], word)))
    sure = [swap for told, swap in found if told]
    return sure or [swap for _, swap in found][:1]


def _inflected(word: str, other: str) -> bool:
    return word.rstrip("s") == other.rstrip("s")
