"""Which of the retrieved examples teaches what the goal asks for: how much of the goal each explains, and no more."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache

from lbi.offline.assign import assign
from lbi.offline.emptying import clears
from lbi.offline.forms import CHOICE_ROLES, called
from lbi.offline.goal import Goal, page_of
from lbi.offline.lesson import Lesson
from lbi.offline.lexical import contains_phrase, is_question, labels, mask, unquoted, words
from lbi.offline.places import place
from lbi.offline.revise import edits, has_text
from lbi.offline.senses import sense_of
from lbi.offline.wanted import wanted

#: a lesson that explains less of the goal than this teaches nothing about it
CLOSE_ENOUGH = 0.33
#: the same for a question: where an answer stands is more often found by its words than by what somebody did
CLOSE_TO_ANSWER = 0.6
#: what buttons say that send a form, whatever it is for
COMMIT = frozenset(["save", "submit", "apply", "publish", "update", "ok", "confirm", "send", "change", "changes"])
#: words of labels that say nothing
FILLERS = frozenset(labels("with via chosen in on of what and text from the into"))
#: what is done, by the first word of its group of synonyms: one is not another
VERBS = frozenset(words("create change delete close find comment"))
#: names of fields whose options are kinds of what the form is about
TYPES = frozenset(words("type kind category sort"))
UNKNOWN = 0.25  # weight of a word of the goal that no lesson has a word for
BLIND = 0.1  # how far what a form offers counts where its instruction says nothing of the goal

#: what speaks for a lesson, and how much
WEIGHTS = {
    "said": 0.65,  # share of the goal's words that its instruction says, beside fields
    "said_fields": 0.55,  # ... that are names of fields in its instruction
    "about": 0.5,  # ... that are the name of the goal's thing, of its kind
    "names": 0.45,  # ... that are names of other fields of its forms
    "options": 0.4,  # ... that are options of its forms
    "headings": 0.3,  # ... that stand above its forms
    "precision": 0.25,  # share of its instruction's words that the goal says
    "literal": 0.1,  # ... as they are: "delete" for "delete", not for "remove"
    "button": 0.1,  # whether the goal says the whole name of its button
    "fields": 0.2,  # fields that the goal calls by their names as they are, two at most
    "leads": 1.0,
    "destroys": -0.35,  # it deletes and the goal does not, or the other way round
    "old": -0.3,  # the goal wants something new, and it changes what is there
    "fresh": -0.3,  # it creates something, and the goal does not
    "other": -0.2,  # its verbs are others than the goal's
    "idle": -0.3,  # it sends a form with nothing entered, and its button does not say what for
    "made": 0.3,  # (beside the features) what it creates is what the goal wants created, or is not
    "chosen": 0.08,  # options of its forms that are said as they are, two at most, where the goal's thing is known
    "acts": 0.2,  # its switch means what the goal wants done
    "unasked": -0.2,  # ... what the goal says nothing of
    "stray": -0.25,  # the goal says nothing of the kind of thing that it creates or changes
    "pointed": 0.25,  # the goal points at a thing of its kind by its number
    "astray": -0.4,  # ... at a thing of another kind
    "text": 0.5,  # the goal speaks of a part of a text, and its form holds one, of a thing that is known
    "reachable": -0.05,  # the goal's thing is not known, but perhaps to be found by a link or a search
    "missing": -0.18,  # the goal's thing is not known
    "unknown": -0.25,  # its things go by names, several are known, and the goal says none of them
    "found": 0.12,  # the goal's thing is known
    "named": -0.1,  # the goal names something that exists, and it is about nothing that exists
    "placed": 0.25,  # share of the goal's values that its forms have a place for
    "homeless": -0.2,  # number of the goal's values that they have no place for
    "untyped": 0.08,  # ... if there is something to type in it
    "empty": -0.04,  # operations with something to enter, though the goal has no values
    "long": -0.15,  # operations beyond the first
}


def rank(lessons: Sequence[Lesson], goal: Goal, named: Collection[str] = ()) -> list[tuple[float, Lesson]]:
    """Lessons by score, the best first; ``named`` are values that are names of things seen."""
    usable = [lesson for lesson in lessons if lesson.operations]
    weight = weights(usable, goal)
    # what is to be made has no number yet: one that the goal says is that of something else
    pointed = {lesson.about.prefix for lesson in usable if lesson.about and not goal.makes and lesson.pointed}
    made = {lesson.id: _makes(lesson, goal) for lesson in usable if goal.made}
    meant = any(value is True for value in made.values())  # "a wish": there may be no word for it anywhere

    def worth(lesson: Lesson) -> float:
        told = made.get(lesson.id) if meant else None
        by_kind = 0.0 if told is None else WEIGHTS["made"] * (1 if told else -1)
        return score(lesson, goal, weight, named) + _aim(lesson, pointed) + by_kind

    scored = [(worth(lesson), lesson) for lesson in usable]
    scored.sort(key=lambda item: (-item[0], len(item[1].operations), item[1].id))
    return scored


def _aim(lesson: Lesson, pointed: Collection[tuple[str, ...]]) -> float:
    if not pointed:
        return 0.0
    return WEIGHTS["pointed" if lesson.about is not None and lesson.about.prefix in pointed else "astray"]


def weights(lessons: Sequence[Lesson], goal: Goal) -> dict[str, float]:
    """Words of the goal, and how much each tells: the fewer lessons have it, the more."""
    known = Counter(word for lesson in lessons for word in set().union(*label_words(lesson)))
    offered = {word for lesson in lessons for word in lesson.vocabulary}
    asked = goal.words | frozenset(labels(mask(goal.text))) - FILLERS
    return {
        word: 1 / (1 + math.log(1 + known[word])) if known[word] or word in offered else UNKNOWN
        for word in asked
        if word in goal.words or known[word]
    }


def label_words(lesson: Lesson) -> tuple[frozenset[str], frozenset[str]]:
    return label_words_of(lesson.shown.example.instruction, lesson.everywhere)


@lru_cache(maxsize=8192)
def label_words_of(instruction: str, everywhere: bool) -> tuple[frozenset[str], frozenset[str]]:
    """Words of an instruction without its values and without a button's name that only says that a form is sent:
    those of what is done and where, and those of the fields that are entered."""
    text = mask(instruction)
    if everywhere:  # where its form was used says nothing
        text = re.split(r" (?:on|in) ", text, maxsplit=1)[0]
    entered = re.search(r" with (.*?)(?= (?:on|in) [^,]*$|$)", text)
    rest = text[: entered.start()] + text[entered.end() :] if entered else text
    button = re.split(r" \(| on | in ", rest, maxsplit=1)[0]
    if {word.lower() for word in re.findall(r"[A-Za-z]+", button)} <= COMMIT:
        rest = rest[len(button) :]
    head = frozenset(labels(rest)) - FILLERS
    return head, (frozenset(labels(entered[1])) - FILLERS - head if entered else frozenset())


def score(lesson: Lesson, goal: Goal, weight: dict[str, float], named: Collection[str]) -> float:
    """About 0..1.3: what speaks for a lesson less what speaks against it."""
    return sum(WEIGHTS[name] * value for name, value in features(lesson, goal, weight, named).items())


def features(lesson: Lesson, goal: Goal, weight: dict[str, float], named: Collection[str]) -> dict[str, float]:
    """By the names of ``WEIGHTS``; what is 0 may be left out."""
    head, entered = label_words(lesson)
    thing = _thing_words(lesson, goal) - head - entered
    if goal.makes and "create" not in head and lesson.instead is not None and not lesson.instead.id.isdigit():
        thing = set()  # what is said of a new thing: "a lamp for the hall" is not about the hall
    total = sum(weight.values()) or 1.0

    def share(group: Collection[str]) -> float:
        return sum(weight[word] for word in group if word in weight) / total

    said, said_fields, about = share(head), share(entered), share(thing)
    # what a form offers speaks for an example only as far as its instruction does
    trust = min(1.0, BLIND + said + said_fields)
    rest = weight.keys() - head - entered - thing
    values = {
        "said": said,
        "said_fields": said_fields,
        "about": about,
        "precision": len(head & weight.keys()) / len(head) if head else 0.0,
        "literal": _literal(lesson, goal),
        "button": float(_whole(lesson, goal)),
        "fields": trust * min(_fields_said(lesson, goal), 2),
        "leads": _kind(lesson, goal),
        "long": len(lesson.operations) - 1.0,
    }
    for name, group in lesson.offers.items():
        values[name] = trust * share(rest & group)
        rest -= group
    values["idle"] = float(goal.changes and _idle(lesson))
    values["text"] = float(edits(goal) and lesson.instead is not None and _holds_text(lesson))
    values["stray"] = float(_stray(lesson, goal, thing))
    own = {sense for o in lesson.operations for a in o.run if a.role == "radio" and (sense := sense_of(a.name))}
    values["acts"], values["unasked"] = float(bool(own & goal.senses)), float(bool(own - goal.senses - {"leave"}))
    values["chosen"] = float(min(2, _chosen(lesson, goal)) if lesson.instead is not None and lesson.changes else 0)
    return values | _verbs(lesson, head, goal) | _places(lesson, goal, named, trust)


def _makes(lesson: Lesson, goal: Goal) -> bool | None:
    """Whether what it creates at first is what the goal wants, by name or as a kind; None: it creates nothing."""
    first = lesson.shown.example.instruction.split(", then ")[0]
    said = set(label_words_of(first, lesson.everywhere)[0])
    if not lesson.changes or "create" not in said:
        return None
    if lesson.about is not None:  # made on the page of what holds it: "Add with Name "mild" on spices "kinds""
        said |= set(words(f"{(lesson.instead or lesson.about).id}"))
    form = lesson.operations[0].form
    kinds = {w for field in (form.fields if form else ()) for option in field.options[:40] for w in words(option)}
    return bool(goal.made & (said | kinds))


def _chosen(lesson: Lesson, goal: Goal) -> int:
    form = lesson.operations[-1].form
    said = wanted(unquoted(goal.text))
    fields = [field for field in form.fields if field.role in CHOICE_ROLES] if form else []
    return sum(any(len(o) > 2 and contains_phrase(said, o) for o in field.options) for field in fields)


def _holds_text(lesson: Lesson) -> bool:
    form = lesson.operations[-1].form
    return lesson.changes and form is not None and any(has_text(field) for field in form.fields)


def _idle(lesson: Lesson) -> bool:
    last = lesson.operations[-1]
    said = {word.lower() for word in re.findall(r"[A-Za-z]+", last.commit.name)}
    return not last.visit and not last.run and said <= COMMIT


def _stray(lesson: Lesson, goal: Goal, thing: Collection[str]) -> bool:
    """Whether it is about another kind of thing, by place, title and button, or a type that its form has."""
    if not lesson.changes or lesson.everywhere or thing:
        return False
    operation = lesson.operations[-1]
    page = page_of(operation.where)
    where = place(operation.where.url, lesson.about).split()[-1:]
    own = re.split(r"\s+[–—|·]\s+|\s+-\s+", page.title)[0]
    kinds = set(words(" ".join([*where, mask(own), operation.commit.name]))) - COMMIT - VERBS
    for field in operation.form.fields if operation.form else ():
        if set(labels(called(field))) & TYPES:
            kinds |= {word for option in field.options for word in words(option)}
    return bool(kinds) and not kinds & goal.words


def _verbs(lesson: Lesson, head: frozenset[str], goal: Goal) -> dict[str, float]:
    """What is done must be what is asked for: to create something, to change it and to delete it are three things."""
    verbs, asked = head & VERBS, goal.words & VERBS
    form = lesson.operations[-1].form
    if form is not None and any(clears(goal.text, called(field)) for field in form.fields):
        asked -= {"delete"}  # "remove its colour": not the thing, but what a field of it holds
    if ("delete" in verbs) != ("delete" in asked) and not goal.question:
        return {"destroys": 1.0}
    if goal.makes and lesson.changes and "create" not in verbs and not lesson.visit:
        return {"old": 1.0}
    if "create" in verbs - asked and goal.changes and not goal.makes and lesson.changes:
        return {"fresh": 1.0}
    return {"other": float(bool(verbs and asked and not verbs & asked))}


def _fields_said(lesson: Lesson, goal: Goal) -> int:
    """Fields of its forms that the goal calls by their names, as they are and before a value."""
    text = goal.text.lower()
    names = {
        called(field).lower()
        for operation in lesson.operations
        for field in (operation.form.fields if operation.form and operation.run else ())
    }
    return sum(bool(name) and re.search(rf"\b{re.escape(name)}\b", text) is not None for name in names)


def _literal(lesson: Lesson, goal: Goal) -> float:
    """Share of the label's words that the goal says as they are: "delete" for "delete", not for "remove"."""
    own = set(re.findall(r"[a-z]{3,}", mask(lesson.shown.example.instruction).lower())) - FILLERS
    said = set(re.findall(r"[a-z]{3,}", goal.text.lower()))
    return len(own & said) / len(own) if own else 0.0


def _whole(lesson: Lesson, goal: Goal) -> bool:
    pressed = set(re.findall(r"[a-z]{3,}", lesson.operations[-1].commit.name.lower()))
    return len(pressed) > 1 and pressed <= set(re.findall(r"[a-z]{3,}", goal.text.lower()))


def _kind(lesson: Lesson, goal: Goal) -> float:
    """A question wants to be led to an answer, a wish for change a change."""
    visiting = goal.question or goal.visits
    if visiting:
        return ((0.25 if goal.visits else 0.1) if lesson.visit else -0.3 if lesson.changes else 0.0) + 0.05 * (
            goal.question == is_question(lesson.shown.example.instruction)
        )
    if not goal.changes:
        return -0.3 if lesson.changes or lesson.visit else 0.0
    return -0.3 if lesson.visit else 0.05 if lesson.changes else -0.1


def _thing_words(lesson: Lesson, goal: Goal) -> set[str]:
    """Words of the goal that name its thing: nothing else has to explain them."""
    if lesson.instead is None:
        return set()
    own = set(words(lesson.instead.id)) | set(words(lesson.instead.slug))
    return own | {word for name in lesson.called for word in words(name)}


def _places(lesson: Lesson, goal: Goal, named: Collection[str], trust: float) -> dict[str, float]:
    """Whether the goal's thing is known, and whether its values find a field, an option or a thing."""
    result = _things(lesson, named)
    values = [v for v in goal.values if v.kind in ("quoted", "date")]
    if not values:
        entering = sum(len(operation.run) > 0 for operation in lesson.operations)
        return result | {"empty": float(entering * (not goal.question))}
    used: set[int] = set()
    for operation in lesson.operations:
        form = operation.form
        if form is None or operation.visit:
            continue
        known = {(a.role, a.name): a.value for a in operation.run}
        fields = [f for f in form.fields if (f.role, f.name) in known or _asked(goal, f.name) or f.role in CHOICE_ROLES]
        used |= {f.used.start for f in assign(goal.text, values, fields, known, (), named) if f.used}
    if lesson.instead is not None:
        ids = {lesson.instead.id.lower(), lesson.instead.slug.replace("-", " ").lower()}
        used |= {v.start for v in values if v.text.lower() in ids or lesson.names_thing(v.text)}
        used |= {v.start for v in values if v.text.lower() in named and lesson.about is not None}
    label = lesson.shown.example.instruction
    used |= {
        v.start for v in values if contains_phrase(mask(label), v.text) or contains_phrase(_headings(lesson), v.text)
    }
    texts = any(action.kind == "fill" for operation in lesson.operations for action in operation.run)
    homeless = float(len(values) - len(used))
    return result | {"placed": trust * len(used) / len(values), "homeless": homeless, "untyped": homeless * texts}


def _things(lesson: Lesson, named: Collection[str]) -> dict[str, float]:
    if lesson.missing:
        return {"reachable" if lesson.reachable else "missing": 1.0, "unknown": float(lesson.unknown)}
    return {"found": 1.0} if lesson.instead is not None else {"named": float(bool(named))}


def _asked(goal: Goal, name: str) -> bool:
    called = set(labels(name))
    return bool(called) and any(called & {*value.before[:3], *value.after[:1]} for value in goal.values)


def _headings(lesson: Lesson) -> str:
    return " ".join(page_of(lesson.operations[-1].where).headings)
