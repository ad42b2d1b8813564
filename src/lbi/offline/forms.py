"""Page -> its forms: which fields belong to which buttons, and which values of an instruction go into which field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lbi.environments.snapshot import Element, Page
from lbi.offline.lexical import STOP, SYNONYMS, Value, contains_phrase, labels, stem, unquoted, words

TEXT_ROLES = frozenset({"textbox", "searchbox", "spinbutton"})
CHOICE_ROLES = frozenset({"combobox", "listbox"})
TOGGLE_ROLES = frozenset({"checkbox", "radio", "switch"})
FIELD_ROLES = TEXT_ROLES | CHOICE_ROLES | TOGGLE_ROLES
Key = tuple[str, str]  # role and name of an element
PHRASE = 8  # words of a value that nothing marks as one
WORDY = 4  # words of a name; what has more is advice: "You may use *stars* for bold here"
LOOSE = 0.55  # score of an option that is said without its field: "make it a blocker"
LOOSE_LENGTH = 3
APART = 5  # lines between a form's last button and one that is no part of it
#: what sends a form off, and what does not
PRESS_WORDS = frozenset(words("create add save apply submit update change post send ok confirm search go"))
LEAVE_WORDS = frozenset(words("preview review cancel reset clear back close help"))
SHY_WORDS = LEAVE_WORDS | frozenset(words("delete remove"))


def is_shy(name: str) -> bool:
    """Whether a button's name says that it leaves a form rather than sends it."""
    said = set(words(name))
    return bool(said & LEAVE_WORDS) and not said & PRESS_WORDS


@dataclass(frozen=True)
class Form:
    """Fields, and the buttons that follow them; the accessibility tree does not tell which form they are in."""

    fields: tuple[Element, ...]
    buttons: tuple[Element, ...]


@dataclass(frozen=True)
class Filling:
    """One field, and what to put into it."""

    field: Element
    value: str
    used: Value | None = None


def title(name: str) -> str:
    """The name of a field without the advice that may follow it: "Description: You may use ..." -> "Description"."""
    head = name.split(":", 1)[0].strip(" *")
    return head or name


def called(element: Element) -> str:
    """What a field is called: its name, or that of the switch beside it; where it is advice, the heading above it."""
    name = title(element.name) or title(element.beside)
    return element.heading or name if len(name.split()) > WORDY else name


def usable(element: Element) -> bool:
    return bool(element.ref) and "disabled" not in element.states


def is_locked(element: Element) -> bool:
    """Whether a field can be used as soon as the radio button or check box beside it is chosen."""
    return bool(element.ref and element.beside) and element.role in FIELD_ROLES - TOGGLE_ROLES and not usable(element)


def forms(page: Page) -> list[Form]:
    """In reading order: fields gather until buttons come; the next field, or a good distance, opens a new form."""
    found: list[Form] = []
    fields: list[Element] = []
    buttons: list[Element] = []
    for element in page.elements:
        if not usable(element) and not is_locked(element):
            continue
        if buttons and element.line - buttons[-1].line > APART:
            found.append(Form(tuple(fields), tuple(buttons)))
            fields, buttons = [], []
        if element.role in FIELD_ROLES:
            if buttons:
                found.append(Form(tuple(fields), tuple(buttons)))
                fields, buttons = [], []
            fields.append(element)
        elif element.role == "button" and not element.name.rstrip().endswith(":"):  # "File:" is a field, in its way
            buttons.append(element)
    if fields or buttons:
        found.append(Form(tuple(fields), tuple(buttons)))
    return found


def form_of(page: Page, key: Key) -> Form | None:
    """The form that holds an element."""
    for form in forms(page):
        if any((e.role, e.name) == key for e in (*form.fields, *form.buttons)):
            return form
    return None


def find(page: Page, role: str, name: str, about: Collection[str] = ()) -> Element | None:
    """The element with this role and name; failing that, the one of the role whose name says nearly the same.

    Of several the one whose surroundings share most with the words in ``about``: the "edit" beside what to edit.
    """
    same = [e for e in page.elements if usable(e) and e.role == role and _alike(e.name, name)]
    if same:
        around = [surroundings(page, e, same) & set(about) - set(words(page.title)) for e in same]
        telling = [sum(1 / sum(word in other for other in around) for word in own) for own in around]
        return same[max(range(len(same)), key=lambda index: (telling[index], -index))]
    wanted = set(labels(name))
    near = [e for e in page.elements if usable(e) and e.role == role and wanted and set(labels(e.name)) == wanted]
    return near[0] if len(near) == 1 else None


def _alike(name: str, other: str) -> bool:
    """Equal, or alike but for a count: "like (0)" and "like (3)"; "#7" and "#8" are different things."""
    if name == other:
        return True
    return len(re.sub(r"[\W\d_]+", "", name)) > 2 and re.sub(r"\d+", "0", name) == re.sub(r"\d+", "0", other)


def surroundings(page: Page, element: Element, same: Collection[Element]) -> set[str]:
    """Words of what stands on the element's line and between it and its namesake before."""
    start = max((other.line for other in same if other.line < element.line), default=max(element.line - 12, 0))
    near = [text for line, text in page.by_line if start < line <= element.line]
    return {word for text in near for word in words(re.sub(r" -> \S+", "", text))}


def row_of(page: Page, element: Element) -> list[str]:
    """What stands in the element's row, cell by cell, names of other elements as text.

    A row is one line, or a line "row" with those under it that are further in.
    """
    lines = dict(page.by_line)
    own = lines.get(element.line, "")
    if own.lstrip().startswith("row"):
        return _cells(re.sub(r"^\s*row:", "", own).split("|"))
    head = element.line - 1
    while head in lines and _indent(lines[head]) >= _indent(own):
        head -= 1
    if lines.get(head, "").strip() != "row":
        return _cells(own.split("|"))
    under = []
    at = head + 1
    while at in lines and _indent(lines[at]) > _indent(lines[head]):
        under.append(lines[at])
        at += 1
    return _cells(under)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _cells(parts: Iterable[str]) -> list[str]:
    bare = [re.sub(r"\s*\[e\d+\](?: \([a-z, ]+\))?(?: -> \S+)?", "", part).strip() for part in parts]
    named = [re.sub(r"^[a-z]+(?= \")", "", cell).strip().strip('"') for cell in bare]
    return [cell for cell in named if cell and cell not in ("checkbox", "radio")]


def holds(element: Element, value: str) -> bool:
    """Whether the field shows this value already."""
    if element.role in TOGGLE_ROLES:
        return "checked" in element.states
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
                if any(set(value.before) & other and not set(value.before) & own for other in called_):
                    score -= 1.2  # another field is named right before it
                if used & (1 << index) or score <= 0:
                    continue
                key = used | (1 << index)
                if key not in step or step[key][0] < total + score:
                    step[key] = (total + score, [*chosen, Filling(field, value.text, value)])
        best = step
    texts = max(best.values(), key=lambda item: item[0])[1]
    taken = {filling.used.start for filling in texts if filling.used}
    choices = _choices(instruction, [v for v in open_values if v.start not in taken], fields, known, frame)
    spare = _phrases(instruction, fields, known, {f.field.ref for f in texts})
    return sorted((*texts, *choices, *spare), key=lambda filling: _position(filling.field, fields))


def is_empty(field: Element) -> bool:
    """A text box without text, or a choice that shows a placeholder such as "---"."""
    if field.role in TEXT_ROLES:
        return not field.value.strip()
    shown = field.value.strip().lower()
    asks = not re.search(r"\w", shown) or re.match(r"(please )?(choose|select|pick)\b", shown) is not None
    return field.role in CHOICE_ROLES and bool(field.options) and asks


def _position(field: Element, fields: Collection[Element]) -> int:
    return next(i for i, other in enumerate(fields) if other is field)


def text_score(value: Value, field: Element, known: Mapping[Key, str], frame: Collection[Key]) -> float:
    """How well a value suits a text box; not above 0 = it does not."""
    key = (field.role, field.name)
    names = set(labels(called(field))) | set(labels(field.group))
    near = max((1.0 - 0.2 * i for i, word in enumerate(value.before) if word in names), default=0.0)
    near = max(near, 0.6 if value.after and value.after[0] in names else 0.0)
    score = 2.0 * near - 0.9
    if near == 0 and not known and stem("name") in names and value.kind in ("quoted", "name"):
        score += 0.9  # what nothing is said of is most often what a thing is called
    score += {"quoted": 0.5, "date": 0.2, "name": 0.1, "number": -0.2}[value.kind]
    if key in known:
        score += 0.9 + (0.4 if _shape(known[key]) == _shape(value.text) else 0.0)
    if key in frame and key not in known:
        score -= 1.5
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
    wanted = set(labels(instruction))
    plain = unquoted(instruction)
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
            literally = contains_phrase(instruction, field.name.strip(" :*"))
            if literally or (named <= wanted and (field.role, field.name) in known):
                scored.append((0.5 + literally, index, Filling(field, "")))
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


_AFTER = r"(?:\s+(?:to|as|is|of|be|should be|should say|reading|saying|with the text)|\s*[:=])?\s+"


def _phrases(
    instruction: str, fields: Collection[Element], known: Mapping[Key, str], filled: set[str]
) -> list[Filling]:
    """Unquoted values of fields that a lesson filled: '... with summary Door is stuck and ...'."""
    found: list[Filling] = []
    for field in fields:
        if field.role not in TEXT_ROLES or field.ref in filled or (field.role, field.name) not in known:
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
