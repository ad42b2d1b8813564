"""Which values of an instruction go into which fields of a form."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from lbi.observations.parse import Element
from lbi_offline.forms import CHOICE_ROLES, TEXT_ROLES, TOGGLE_ROLES, called, is_empty, option_name, searches, title
from lbi_offline.goal import NAME_WORD, TEXT_WORDS
from lbi_offline.lexical import STOP, SYNONYMS, Value, contains_phrase, labels, unquoted

OFF = "off"  # value of a switch that is not to be chosen
_DATED = re.compile(r"\b(date|due|until|deadline|day)\b", re.IGNORECASE)
_IS_DATE = re.compile(r"\s*(\d{4}-\d\d-\d\d.*|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}.*)")
_NOT = re.compile(r"\b(?:not|no longer|never|without|uncheck|untick|clear|off|remove|unset|hide)\b", re.IGNORECASE)
_KIND_WORTH = {"quoted": 0.5, "date": 0.2, "name": 0.1, "number": -0.2}


@dataclass(frozen=True)
class Filling:
    """One field, what to put into it, and the value of the instruction that this is, if it is one."""

    field: Element
    value: str
    used: Value | None = None


Given = Sequence[Value]
Entered = Mapping[tuple[str, str], str]  # fields that an example filled, with what it put there
Scored = tuple[float, int, Filling]  # score, position of the field, filling


def assign(
    text: str,
    given: Given,
    fields: Sequence[Element],
    entered: Entered = MappingProxyType({}),
    names: Collection[str] = (),
    known: Collection[frozenset[str]] = (),
) -> list[Filling]:
    """Fillings in the order of the fields: what suits by its name or kind, then what is left to what is free.

    A quoted value is left out only where no field is free for it, where it is the name of an existing thing, which
    ``names`` has in lower case, or where it is called by one of the ``known`` names of fields that are elsewhere.
    """
    texts = [value for value in given if not _is_elsewhere(value, fields, known)]
    scored = [*_texts(texts, fields, entered, names), *_choices(text, given, fields, entered)]
    scored += _switches(text, given, fields)
    chosen: dict[int, Filling] = {}
    used: set[int] = set()
    for score, at, filling in sorted(scored, key=lambda item: (-item[0], item[1])):
        start = filling.used.start if filling.used else -1
        if score > 0 and at not in chosen and start not in used:
            chosen[at] = filling
            used |= {start} - {-1}
    if chosen or entered:  # else nothing says that this form is what is to be filled
        left = [value for value in texts if value.start not in used and value.text.lower() not in names]
        chosen |= _leftovers(left, fields, entered, chosen)
    return [chosen[at] for at in sorted(chosen)]


def field_names(elements: Iterable[Element]) -> frozenset[frozenset[str]]:
    """What text boxes and choices are called, as sets of words, but for those of searches."""
    fields = (e for e in elements if e.role in TEXT_ROLES | CHOICE_ROLES and not searches(e))
    return frozenset(frozenset(labels(called(field))) for field in fields) - {frozenset()}


def _is_elsewhere(value: Value, fields: Sequence[Element], known: Collection[frozenset[str]]) -> bool:
    """Whether the instruction calls a value by the whole name of a field that is not here."""
    before, names = set(value.before[:2]), {word for field in fields for word in labels(called(field))}
    return is_labelled(value, known) and not before & names and not (before & TEXT_WORDS and names & TEXT_WORDS)


def is_labelled(value: Value, known: Collection[frozenset[str]]) -> bool:
    """Whether the name of a field stands before a value."""
    return any(name <= set(value.before[: len(name)]) for name in known)


def holds(field: Element, value: str) -> bool:
    """Whether the field shows this value already."""
    if field.role in TOGGLE_ROLES:
        return field.has("checked") != (value == OFF)
    return " ".join(field.value.split()).lower() == " ".join(value.split()).lower()


def suits(value: Value, field: Element) -> bool:
    """Whether a text box can take a value of this kind at all."""
    if field.role == "spinbutton":
        return re.fullmatch(r"-?\d+(\.\d+)?", value.text) is not None
    return not is_dated(field) or value.kind == "date" or _IS_DATE.fullmatch(value.text) is not None


def is_dated(field: Element) -> bool:
    return _DATED.search(called(field)) is not None or _IS_DATE.fullmatch(field.value) is not None


def _texts(given: Given, fields: Sequence[Element], entered: Entered, names: Collection[str]) -> Iterable[Scored]:
    name_words = [set(labels(called(field))) for field in fields]
    for at, field in enumerate(fields):
        others = set().union(*name_words) - name_words[at]
        for value in given if field.role in TEXT_ROLES else ():
            if suits(value, field) and set(labels(value.text)) not in name_words:
                score = _text_score(value, field, entered) - 1.0 * (value.text.lower() in names)
                score -= 1.2 * bool(set(value.before[:1]) & others)  # it stands beside the name of another field
                score -= 1.0 * (value.text.lower() in _options(fields) and not set(value.before[:1]) & name_words[at])
                yield score, at, Filling(field, value.text, value)


def _options(fields: Sequence[Element]) -> set[str]:
    """What can be chosen in a form."""
    return {option_name(option).lower() for field in fields for option in field.options}


def _text_score(value: Value, field: Element, entered: Entered) -> float:
    """How well a value suits a text box; not above 0 = it does not."""
    key = (field.role, field.name)
    names = set(labels(called(field)))
    near = max((1.0 - 0.2 * at for at, word in enumerate(value.before) if word in names), default=0.0)
    near = max(near, 0.7 * bool(names & set(value.after[:1])))
    near *= 0.8 + 0.2 * len(names & set(value.before)) / max(len(names), 1)  # "last name" is no first name
    speaks = value.kind == "quoted" and bool(names & TEXT_WORDS)
    if speaks and near == 0 and set(value.before[:2]) & TEXT_WORDS:
        near = 0.7
    score = 2.0 * near - 0.9 + _KIND_WORTH[value.kind]
    if near == 0 and not entered and value.kind == "quoted":
        sentence = value.text.rstrip()[-1:] in ".!?" and " " in value.text
        score += 0.9 * (NAME_WORD in names and not sentence) + 0.8 * (speaks and sentence)
    if key in entered:
        score += 0.9 + 0.4 * ((" " in entered[key]) == (" " in value.text))
    score -= 1.5 * (searches(field) and key not in entered and "find" not in value.before)
    return score - 0.4 * (value.kind == "date" and not is_dated(field))


def _choices(text: str, given: Given, fields: Sequence[Element], entered: Entered) -> Iterable[Scored]:
    plain = unquoted(text)
    spoken = set(labels(plain))
    for at, field in [(at, field) for at, field in enumerate(fields) if field.role in CHOICE_ROLES]:
        named = set(labels(title(field.name)))
        score = 0.5 * ((field.role, field.name) in entered) + (bool(named) and 2 * len(named & spoken) >= len(named))
        elsewhere = {option for other in fields if other is not field for option in other.options}
        for option in filter(option_name, field.options):
            name = option_name(option)
            value = next((value for value in given if value.text.lower() == name.lower()), None)
            less = 1.0 * holds(field, option)  # "from red to blue": what it shows is what it was
            if value is not None:
                beside = bool(named & {*value.before[:2], *value.after[:1]})
                yield 2.0 + score + beside - less, at, Filling(field, option, value)
            elif len(name) > 2 and name.lower() not in STOP | SYNONYMS.keys() and contains_phrase(plain, name):
                yield score + 0.5 * (option not in elsewhere) - 0.1 - less, at, Filling(field, option)


def _leftovers(left: Given, fields: Sequence[Element], entered: Entered, taken: Collection[int]) -> dict[int, Filling]:
    """Quoted values and dates that found no field into the empty text boxes, first those that an example filled."""
    boxes = [at for at, f in enumerate(fields) if f.role in TEXT_ROLES and is_empty(f) and not searches(f)]
    free = [at for at in boxes if at not in taken]
    free.sort(key=lambda at: ((fields[at].role, fields[at].name) not in entered, at))
    placed: dict[int, Filling] = {}
    for value in (v for v in left if v.kind in ("quoted", "date") and v.text.lower() not in _options(fields)):
        at = next((at for at in free if suits(value, fields[at])), None)
        if at is not None and not any(holds(field, value.text) for field in fields):
            free.remove(at)
            placed[at] = Filling(fields[at], value.text, value)
    return placed


def _switches(text: str, given: Given, fields: Sequence[Element]) -> Iterable[Scored]:
    """Switches that the instruction calls by their whole names, off where its sentence denies them."""
    for at, field in enumerate(fields):
        name = title(field.name).strip() if field.role in TOGGLE_ROLES else ""
        own = set(labels(name))
        parts = [(s, len(own) > 1 and own <= set(labels(s))) for s in re.split(r"(?<=[.!?;,:])\s+", text) if name]
        sentence = next((s for s, says in parts if says or contains_phrase(s, name)), "")
        off = field.role != "radio" and _NOT.search(unquoted(sentence)) is not None
        if sentence and (" " in name or name.lower() not in SYNONYMS):  # "create a lamp" does not choose "create"
            value = next((value for value in given if value.text.lower() == name.lower()), None)
            yield 2.0, at, Filling(field, OFF if off else "", value)
