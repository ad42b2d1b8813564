"""Which values of an instruction go into which fields of a form, all at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lbi.environments.snapshot import Element
from lbi.offline.forms import CHOICE_ROLES, TEXT_ROLES, TOGGLE_ROLES, Key, called, title
from lbi.offline.lexical import STOP, SYNONYMS, Value, contains_phrase, labels, stem, unquoted, words

PHRASE = 8  # words of a value that nothing marks as one
LOOSE = 0.55  # score of an option that is said without its field: "make it a blocker"
LOOSE_LENGTH = 3
OFF = "off"  # value of a switch that is not to be chosen
ONESELF = frozenset(labels("email e-mail username password"))
#: what a thing is when this was done to it
BECOMES = tuple((stem(verb), stem(adjective)) for verb, adjective in (("hide", "visible"), ("show", "visible")))
#: words for why something is done, which a comment tells
REASONS = frozenset(labels("reason why because explain justify explanation"))
SPOKEN = frozenset(labels("comment description"))
SPEAKS = frozenset(labels("comment description tell write inform explain"))
NEARLY = 0.6  # share of the words of a switch's name that must be said


@dataclass(frozen=True)
class Filling:
    """One field, and what to put into it."""

    field: Element
    value: str
    used: Value | None = None


def holds(element: Element, value: str) -> bool:
    """Whether the field shows this value already."""
    if element.role in TOGGLE_ROLES:
        return ("checked" in element.states) != (value == OFF)
    shown = " ".join(element.value.split()).lower()
    return shown == " ".join(value.split()).lower()


def assign(
    instruction: str,
    given: Iterable[Value],
    fields: Collection[Element],
    known: Mapping[Key, str],
    frame: Collection[Key],
    named: Collection[str] = (),
) -> list[Filling]:
    """Values to fields, all at once: the assignment with the highest sum of scores, each value and field used once.

    ``known`` are the fields that a lesson filled, with what it put there; ``frame`` those that stand on every page.
    ``named`` are values that are names of existing things, which are rarely what is to be typed.
    """
    names = [set(labels(title(field.name))) for field in fields]
    # "put jane on the Cc list": a name of a field is no value for it
    open_values = [v for v in given if v.kind != "name" or set(labels(v.text)) not in names][:8]
    options = {_bare(o).lower() for field in fields if field.role in CHOICE_ROLES for o in field.options}
    called_ = [set(labels(called(field))) for field in fields if field.role in TEXT_ROLES]
    best: dict[int, tuple[float, list[Filling]]] = {0: (0.0, [])}
    for field in fields:
        if field.role not in TEXT_ROLES:
            continue
        step = dict(best)
        for used, (total, chosen) in best.items():
            for index, value in enumerate(open_values):
                score = text_score(value, field, known, frame) - 1.0 * (value.text.lower() in named)
                own = set(labels(called(field)))
                beside = {*value.before, *value.after[:1]}
                if any(set(value.before) & other and not beside & own for other in called_):
                    score -= 1.2  # another field is named right before it, and this one is not
                if value.text.lower() in options and not set(value.before[:1]) & own:
                    score -= 1.0  # it can be chosen
                if used & (1 << index) or score <= 0:
                    continue
                key = used | (1 << index)
                if key not in step or step[key][0] < total + score:
                    step[key] = (total + score, [*chosen, Filling(field, value.text, value)])
        best = step
    texts = max(best.values(), key=lambda item: item[0])[1]
    taken = {filling.used.start for filling in texts if filling.used}
    spare = _phrases(instruction, fields, known, {f.field.ref for f in texts})
    spare += _put_on(instruction, fields, {f.field.ref for f in (*texts, *spare)})
    spare += _emptied(instruction, fields, {f.field.ref for f in (*texts, *spare)})
    entered = {f.value.lower() for f in spare}
    choices = _choices(instruction, [v for v in open_values if v.start not in taken], fields, known, frame)
    choices = [choice for choice in choices if choice.value.lower() not in entered]
    return sorted((*texts, *choices, *spare), key=lambda filling: _position(filling.field, fields))


def _position(field: Element, fields: Collection[Element]) -> int:
    return next(i for i, other in enumerate(fields) if other is field)


def is_sentence(text: str) -> bool:
    """Whether it is something that one says, and not what something is called."""
    return text.rstrip()[-1:] in (".", "!", "?") and len(text.split()) > 1


def text_score(value: Value, field: Element, known: Mapping[Key, str], frame: Collection[Key]) -> float:
    """How well a value suits a text box; not above 0 = it does not."""
    key = (field.role, field.name)
    names = set(labels(called(field))) | set(labels(field.group))
    own = bool(names & ONESELF) and "@" not in value.text  # who writes is hardly ever a part of what is written
    names -= {"your"}
    said = [stem("comment") if word in REASONS and word not in names else word for word in value.before]
    near = max((1.0 - 0.2 * i for i, word in enumerate(said) if word in names), default=0.0)
    near = max(near, max((0.7 - 0.1 * i for i, word in enumerate(value.after) if word in names), default=0.0))
    # "reply 'x'", "tell her 'x'": what is said goes to where one says something
    speaks = value.kind == "quoted" and bool(names & SPOKEN)
    if speaks and near == 0 and set(said[: 3 if is_sentence(value.text) else 1]) & SPEAKS:
        near = 0.7
    score = 2.0 * near - 0.9
    if near == 0 and not known and stem("name") in names and value.kind in ("quoted", "name"):
        score += 0.9  # what nothing is said of is most often what a thing is called
    if speaks and near == 0 and not known and is_sentence(value.text):
        score += 0.8  # and so does a whole sentence that nothing is said of
    score += {"quoted": 0.5, "date": 0.2, "name": 0.1, "number": -0.2}[value.kind]
    if key in known:
        score += 0.9 + (0.4 if _shape(known[key]) == _shape(value.text) else 0.0)
    if key in frame and key not in known:
        score -= 1.5
    score -= 1.5 * (own and near < 1.0)
    dated = (
        bool(re.search(r"\b(date|due|until|deadline|time)\b", called(field).lower())) or _shape(field.value) == "date"
    )
    if dated != (value.kind == "date"):
        score -= 1.0 if dated else 0.4 * (value.kind == "date")
    return score


def _shape(text: str) -> str:
    if re.fullmatch(r"\s*(\d{4}-\d\d-\d\d.*|\d{1,2}/\d{1,2}/\d{2,4}.*)", text):
        return "date"
    if re.fullmatch(r"\s*#?\d+(\.\d+)*\s*", text):
        return "number"
    return "words" if " " in text.strip() else "word"


def _choices(
    instruction: str, given: list[Value], fields: Collection[Element], known: Mapping[Key, str], frame: Collection[Key]
) -> list[Filling]:
    """Options and switches that the instruction names; each value of it is used for one field only."""
    scored: list[tuple[float, int, Filling]] = []
    wanted = set(labels(_AT_THE_END.sub("", instruction)))
    wanted |= {adjective for verb, adjective in BECOMES if verb in wanted}
    plain = unquoted(instruction)
    boxes = [field for field in fields if field.role in TEXT_ROLES]
    times = Counter(_bare(option).lower() for field in fields for option in set(field.options))
    for index, field in enumerate(fields):
        named = set(labels(title(field.name)))
        near = bool(named) and len(named & wanted) / len(named) >= 0.5
        if field.role in CHOICE_ROLES:
            for option in field.options:
                score = _option_score(option, instruction, given, near, (field.role, field.name) in known)
                if not score and (field.role, field.name) not in frame and times[_bare(option).lower()] == 1:
                    score = LOOSE * (_tells(option) and contains_phrase(plain, _bare(option)))
                score -= 1.0 * holds(field, option)  # "from red to blue": what it shows is what it was
                if score > 0:
                    scored.append((score, index, Filling(field, option, _value_of(option, given))))
        elif field.role in TOGGLE_ROLES and named and (field.role, field.name) not in frame:
            # a radio button "create" is no answer to "create a lamp": what is to be done anyway says nothing of how
            literally = contains_phrase(instruction, field.name.strip(" :*")) and stem(field.name) != "create"
            nearly = len(named & wanted) > 1 and len(named & wanted) / len(named) >= NEARLY
            # "the readers to notify" are no order to notify readers
            other = any(
                named <= set(labels(called(f))) and contains_phrase(plain, called(f)) for f in boxes
            ) and not contains_phrase(plain, title(field.name))
            if other:
                continue
            if literally or nearly or (named <= wanted and (field.role, field.name) in known):
                off = field.role != "radio" and _denied(instruction, named)
                if not off or "checked" in field.states:
                    scored.append((0.5 + literally, index, Filling(field, OFF if off else "")))
    chosen: list[Filling] = []
    options: set[str] = set()
    taken: set[int] = set()
    for _, index, filling in sorted(scored, key=lambda item: (-item[0], item[1])):
        if index not in taken and filling.value.lower() not in options:
            taken.add(index)
            if filling.value:
                options.add(filling.value.lower())
            chosen.append(filling)
    return chosen


_AT_THE_END = re.compile(r"\b(?:at|to|in) the (?:very )?end\b", re.IGNORECASE)  # nothing is to be ended
_NOT = re.compile(
    r"\b(?:not|no longer|uncheck|untick|unmark|clear|hide|without|leave out|exclude|omit|except"
    r"|(?:switch|turn|take|leave)\b[^.!?]*\b(?:off|away|out)|remove)\b",
    re.IGNORECASE,
)
_UNDONE = re.compile(r"\b(?:undo|by mistake|revert|wrongly)\b", re.IGNORECASE)


def _denied(instruction: str, named: set[str]) -> bool:
    """Whether what it says of a switch is that it is not to be chosen."""
    said = [s for s in re.split(r"(?<=[.!?])\s+", instruction) if named & set(labels(s))]
    return any(_NOT.search(s) for s in said) or _UNDONE.search(instruction) is not None


def _emptied(instruction: str, fields: Collection[Element], filled: set[str]) -> list[Filling]:
    """Fields that are to hold nothing: "clear the keywords", "take away its deadline"."""
    found = []
    for field in fields:
        name = called(field)
        blank = "" if field.role in TEXT_ROLES else next((o for o in field.options if not re.search(r"\w", o)), None)
        # what stands beside a switch is cleared with it
        if not name or field.ref in filled or field.role in TOGGLE_ROLES or field.beside or blank is None:
            continue
        clear = (
            rf"\b(?:clear|empty|take away|remove|delete|erase|blank)(?: out)? (?:its |the |their )?{re.escape(name)}\b"
        )
        if re.search(clear, unquoted(instruction), re.IGNORECASE) and field.value.strip():
            found.append(Filling(field, blank))
    return found


def _tells(option: str) -> bool:
    """Whether an option is a word that hardly stands in an instruction for anything else."""
    bare = _bare(option).lower()
    return len(bare) > LOOSE_LENGTH and bare not in STOP and bare not in SYNONYMS


def _value_of(option: str, given: list[Value]) -> Value | None:
    return next((v for v in given if v.text.lower() == _bare(option).lower()), None)


def _bare(option: str) -> str:
    """An option without the marks that show its level in a tree: "--- Fruit"."""
    return option.strip(" -–—*·>»")


def _option_score(option: str, instruction: str, given: list[Value], near: bool, known: bool) -> float:
    if not _bare(option) or not contains_phrase(instruction, _bare(option)):
        return 0.0
    if _value_of(option, given):
        return 2.0 + near + 0.5 * known
    return 1.0 * near + 0.5 * known + 0.1 * min(len(option), 10) if near or known else 0.0


_AFTER = r"(?:\s+(?:to|as|is|of|be|contains|containing|should be|should say|reading|saying|with the text)|\s*[:=])?\s+"


def _put_on(instruction: str, fields: Collection[Element], filled: set[str]) -> list[Filling]:
    """A single word that is put into a field by its name: "put jane on its Cc", "add rust to the keywords"."""
    found = []
    for field in fields:
        name = title(field.name)
        if field.role in TEXT_ROLES and field.ref not in filled and name and field.name.strip():
            pattern = rf"([\w.@-]+) (?:on|to|in|into|as) (?:its |the |their |his |her )?{re.escape(name)}\b"
            match = re.search(pattern, unquoted(instruction), re.IGNORECASE)
            belongs = match and re.match(r"(?:belong|go|come|fit)e?s?$", match[1], re.IGNORECASE)
            if match and not belongs and words(match[1]) and stem(match[1]) not in SYNONYMS.values():
                found.append(Filling(field, match[1]))
    return found


def _labelled(instruction: str, name: str) -> str:
    """What stands after the name of a field and a colon: "Comment: counted again"."""
    match = re.search(rf"(?:^|[.;,(]\s+|\band )(?:the )?{re.escape(name)}: ([^\"“;.!?]+)", instruction, re.IGNORECASE)
    return match[1].strip(" ,)") if match else ""


def _phrases(
    instruction: str, fields: Collection[Element], known: Mapping[Key, str], filled: set[str]
) -> list[Filling]:
    """Unquoted values of fields that a lesson filled: '... with summary Door is stuck and ...'."""
    found: list[Filling] = []
    said = ""
    for field in fields:
        if field.role not in TEXT_ROLES or field.ref in filled:
            continue
        if field.name.strip() and (said := _labelled(instruction, called(field))):
            found.append(Filling(field, said))
        if (field.role, field.name) not in known or said:
            continue
        if stem("search") in labels(field.name):
            continue  # "search box" is no search for a box
        name = re.escape(title(field.name))
        match = re.search(
            rf"\b{name}{_AFTER}(?:the |a |an )?([^,;.\"]+?)(?=$|[,;.\"]| and | with | in | on | for )",
            instruction,
            re.I,
        )
        if name and match and words(match[1]) and len(match[1].split()) <= PHRASE:
            found.append(Filling(field, match[1].strip()))
    return found
