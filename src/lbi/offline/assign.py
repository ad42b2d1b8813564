"""Which values of an instruction go into which fields of a form, all at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lbi.observations.parse import Element
from lbi.offline import dates
from lbi.offline.emptying import bare, clears, emptied
from lbi.offline.forms import CHOICE_ROLES, TEXT_ROLES, TOGGLE_ROLES, Key, called, is_locked, title
from lbi.offline.lexical import STOP, SYNONYMS, Value, contains_phrase, labels, stem, unquoted
from lbi.offline.roles import handed, is_said, told
from lbi.offline.senses import sense_of, senses, without_idioms
from lbi.offline.wanted import denied, is_denied, masked, wanted

LOOSE = 0.55  # score of an option that is said without its field: "make it a blocker"
LOOSE_LENGTH = 3
OFF = "off"  # value of a switch that is not to be chosen
ONESELF = frozenset(labels("email e-mail username password"))
LIST = 6  # words that a field holds as a list, at most
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


_NOTES = re.compile(
    r"\b(?:leave|add|put|write|make|post|note|with|in)\b[^.!?]*\b(?:a|the|this) (?:comment|note|remark)\b", re.I
)
_ORDER = re.compile(r"(?:^|[.!?;:,]\s+|\band )(?:please )?([A-Za-z]+)")


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
    meant = [v for v in given if not is_denied(instruction, v.start, v.end)]
    open_values = [v for v in meant if v.kind != "name" or set(labels(v.text)) not in names][:8]
    options = {bare(o).lower() for field in fields if field.role in CHOICE_ROLES for o in field.options}
    called_ = [set(labels(called(field))) for field in fields if field.role in TEXT_ROLES]
    renames = "rename" in senses(instruction)
    orders = {stem(m[1]): m.start(1) for m in _ORDER.finditer(masked(instruction))}
    quoted = [value for value in open_values if value.kind == "quoted"]
    notes = bool(quoted) and _NOTES.search(unquoted(instruction)) is not None
    said = [field for field in fields if field.role in TEXT_ROLES and is_said(called(field), instruction)]
    one = len(said) == len(quoted) == 1 and not told(said[0], instruction, known=False, others=())
    only = said[0] if one else None  # "the colour is wrong: it should be ..."
    best: dict[int, tuple[float, list[Filling]]] = {0: (0.0, [])}
    for field in fields:
        if field.role not in TEXT_ROLES:
            continue
        step = dict(best)
        for used, (total, chosen) in best.items():
            for index, value in enumerate(open_values):
                score = text_score(value, field, known, frame) - 1.0 * (value.text.lower() in named)
                own = set(labels(called(field)))
                score += 1.5 * (field is only and value is quoted[0])
                ordered = [orders[word] for word in own & orders.keys() - set(SYNONYMS.values())]
                score += 1.2 * any(at < value.start for at in ordered)  # "label it with ..."
                score += 1.2 * (notes and "comment" in own and value is quoted[-1])  # "leave a note on it: ..."
                score += 1.5 * (renames and stem("name") in own and value.kind in ("quoted", "name"))
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
    texts = _dated(instruction, texts, fields, known)
    gone = {field.ref for field in fields if clears(instruction, called(field))}
    spare = _unmarked(instruction, fields, known, frame, {*gone, *(f.field.ref for f in texts)})
    entered = {f.value.lower() for f in spare}
    choices = _choices(instruction, [v for v in open_values if v.start not in taken], fields, known, frame)
    choices = [choice for choice in choices if choice.value.lower() not in entered]
    filled = {f.field.ref for f in (*texts, *spare)}
    empty = [Filling(field, blank) for field, blank in emptied(instruction, fields, filled)]
    empty = [f for f in empty if all(holds(c.field, c.value) for c in choices if c.field is f.field)]
    choices = [c for c in choices if all(c.field is not f.field for f in empty)]
    spare += empty
    choices += _switched(instruction, fields, [*texts, *spare, *choices], frame)
    texts, spare = ([_beside(instruction, filling) for filling in group] for group in (texts, spare))
    return sorted((*texts, *choices, *spare), key=lambda filling: _position(filling.field, fields))


def _unmarked(
    instruction: str,
    fields: Collection[Element],
    known: Mapping[Key, str],
    frame: Collection[Key],
    filled: Collection[str],
) -> list[Filling]:
    """Who is to do it, and what is said of fields by their names without marking it as a value."""
    found = []
    others = {word for field in fields for word in labels(title(field.name))}
    if (to := handed(instruction, fields, filled)) and stem(to[1]) not in others:
        found.append(Filling(*to))
    for field in fields:
        key = (field.role, field.name)
        taken = field.ref in {*filled, *(f.field.ref for f in found)} or (key in frame and key not in known)
        if field.role not in TEXT_ROLES or taken or stem("search") in labels(field.name):
            continue
        value = _labelled(instruction, called(field)) or told(field, instruction, key in known, others)
        if value and not any(f.value == value for f in found) and not (is_dated(field) and _shape(value) != "date"):
            found.append(Filling(field, value))
    return found


def is_dated(field: Element) -> bool:
    """Whether a field holds a date."""
    named = re.search(r"\b(date|due|until|deadline|time)\b", called(field).lower())
    return bool(named) or _shape(field.value) == "date" or dates.read(field.value) is not None


def _dated(
    instruction: str, texts: list[Filling], fields: Collection[Element], known: Mapping[Key, str]
) -> list[Filling]:
    """Dates written as their fields write them, and the only field for a date filled if one is said or reckoned."""
    boxes = [field for field in fields if field.role in TEXT_ROLES and is_dated(field)]
    plain = unquoted(instruction)
    found = []
    for filling in texts:
        day = dates.read(filling.value) if is_dated(filling.field) else None
        if day and len(boxes) == 1:
            day = dates.meant(plain, filling.field.value) or day
        shown = filling.field.value or known.get((filling.field.role, filling.field.name), "")
        found.append(Filling(filling.field, dates.alike(day, shown), filling.used) if day else filling)
    if len(boxes) == 1 and not any(filling.field is boxes[0] for filling in texts):
        day = dates.meant(plain, boxes[0].value)
        if day is not None:
            found.append(Filling(boxes[0], dates.alike(day, boxes[0].value)))
    return found


def _beside(instruction: str, filling: Filling) -> Filling:
    """ "Add x to its tags": beside what the field holds, not in its place."""
    field = filling.field
    own = rf"(?:its|the|their|this|these|those)?\s*{re.escape(called(field))}"
    adds = re.search(rf"\b(?:add|append|put)\b[^.!?;]*?\b(?:to|into|on|among) {own}\b", instruction, re.IGNORECASE)
    held = field.value.strip()
    if field.role not in TEXT_ROLES or not called(field) or not adds or not held or is_dated(field):
        return filling
    if "\n" in held or len(held.split()) >= LIST or filling.value.lower() in re.split(r"[,\s]+", held.lower()):
        return filling
    return Filling(field, f"{held}{', ' if ',' in held or ' ' not in held else ' '}{filling.value}", filling.used)


def _switched(
    instruction: str, fields: Collection[Element], done: Sequence[Filling], frame: Collection[Key]
) -> list[Filling]:
    """The radio button that means what is to be done: "give it back to the open ones" and "reopen". One at most."""
    if any(filling.field.role == "radio" or filling.field.beside for filling in done):
        return []
    for sense in ("reopen", "accept", "close"):
        for field in fields:
            if field.role == "radio" and sense_of(field.name) == sense in senses(instruction):
                return [Filling(field, "")] if (field.role, field.name) not in frame else []
    return []


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
    near = max(near, 0.7 * bool(names & set(value.after[:1])))
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
    dated = is_dated(field)
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
    wished = without_idioms(wanted(instruction))
    said = set(labels(_AT_THE_END.sub("", wished)))
    spoken_of = set(labels(_AT_THE_END.sub("", instruction)))  # a switch may be spoken of to deny it
    spoken_of |= {adjective for verb, adjective in BECOMES if verb in spoken_of}
    boxes = [field for field in fields if field.role in TEXT_ROLES]
    times = Counter(bare(option).lower() for field in fields for option in set(field.options))
    for index, field in enumerate(fields):
        named = set(labels(title(field.name)))
        near = bool(named) and len(named & said) / len(named) >= 0.5
        if field.role in CHOICE_ROLES:
            for option in field.options:
                # an option may itself say "not": what it says is not denied
                where = instruction if denied(option) else wished
                score = _option_score(option, where, given, near, (field.role, field.name) in known)
                if not score and (field.role, field.name) not in frame and times[bare(option).lower()] == 1:
                    score = LOOSE * (_tells(option) and contains_phrase(unquoted(where), bare(option)))
                # "from red to blue": what it shows is what it was; what cannot be used yet shows nothing
                score -= 1.0 * (holds(field, option) and not is_locked(field))
                if score > 0:
                    scored.append((score, index, Filling(field, option, _value_of(option, given))))
        elif field.role in TOGGLE_ROLES and named and (field.role, field.name) not in frame:
            # a radio button "create" is no answer to "create a lamp": what is to be done anyway says nothing of how
            literally = contains_phrase(instruction, field.name.strip(" :*")) and stem(field.name) != "create"
            if field.role == "radio" and sense_of(field.name):
                continue  # that is a matter of what is to be done, not of a word: "leave a comment"
            if _said_of_another(field, named, boxes, unquoted(instruction)):
                continue
            nearly = len(named & spoken_of) > 1 and len(named & spoken_of) / len(named) >= NEARLY
            if literally or nearly or (named <= spoken_of and (field.role, field.name) in known):
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


def _tells(option: str) -> bool:
    """Whether an option is a word that hardly stands in an instruction for anything else."""
    said = bare(option).lower()
    return len(said) > LOOSE_LENGTH and said not in STOP and said not in SYNONYMS


def _value_of(option: str, given: list[Value]) -> Value | None:
    return next((v for v in given if v.text.lower() == bare(option).lower()), None)


def _option_score(option: str, instruction: str, given: list[Value], near: bool, known: bool) -> float:
    if not bare(option) or not contains_phrase(instruction, bare(option)):
        return 0.0
    if _value_of(option, given):
        return 2.0 + near + 0.5 * known
    return 1.0 * near + 0.5 * known + 0.1 * min(len(option), 10) if near or known else 0.0


def _said_of_another(field: Element, named: set[str], boxes: Collection[Element], plain: str) -> bool:
    """Whether a switch's words belong to the name of a text box: "the readers to notify" is no order to notify."""
    if contains_phrase(plain, title(field.name)):
        return False
    return any(named <= set(labels(called(box))) and contains_phrase(plain, called(box)) for box in boxes)


def _labelled(instruction: str, name: str) -> str:
    """What stands after the name of a field and a colon: "Comment: counted again"."""
    match = re.search(rf"(?:^|[.;,(]\s+|\band )(?:the )?{re.escape(name)}: ([^\"“;.!?]+)", instruction, re.IGNORECASE)
    return match[1].strip(" ,)") if match else ""
