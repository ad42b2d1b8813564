"""Without an example: fill in the instruction's values, press what its words name, answer what the page tells."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection

from lbi.observations.parse import Element, Page
from lbi.offline.answers import answer
from lbi.offline.assign import assign, holds
from lbi.offline.forms import PRESS_WORDS, SHY_WORDS, TEXT_ROLES, Form, find, form_of, forms, is_empty, usable
from lbi.offline.goal import FILLING, page_of
from lbi.offline.lexical import SYNONYMS, contains_phrase, labels, stem, words
from lbi.offline.places import segments
from lbi.offline.query import is_idle
from lbi.offline.revise import edits, revision, unused
from lbi.offline.situation import Move, Situation, click, enter, fill, finish, goto, path

RESULT = "the result that says most of it"
FILLED = "the form is filled"
NAMED = "its name is in the instruction"
WHOLE = 1.0  # score of an element whose whole name stands in the instruction
LOOKS = 3  # results of a search that are looked at, at most
#: searches in one episode, at most
SEARCHES = 3
#: words of an instruction that are hardly ever what to search for
MANNER = frozenset(
    [
        "give",
        "form",
        "answer",
        "tell",
        "according",
        "exactly",
        "please",
        "whether",
        "still",
        "already",
        "other",
        "same",
        "first",
        "last",
        "somewhere",
        "something",
        "somebody",
        "someone",
        "must",
        "down",
        "cannot",
        "because",
        "while",
        "than",
    ]
)
#: how an answer is to be written, "YYYY-MM-DD"
_PATTERN = re.compile(r"[YMDHS/:. -]+")
#: what is sought stands in a text, and not in the name of anything
_SOMEWHERE = re.compile(
    r"\b(?:some(?:where|thing|body|one)|mention(?:s|ed)?|speaks?|says?|wrote|written|appears?)\b", re.I
)
_SOUGHT = re.compile(r"search for (.*)$")
#: without them a link leads to another page of the results
_LETTERS = re.compile(r"[^\W\d_]{2}")
PRESSABLE = ("link", "button", "tab", "menuitem")


def ground(here: Situation) -> Move:
    result = _best_result(here) if here.goal.question or here.goal.visits else None
    told = answer(here.goal, here.page, found=result is not None) if here.goal.question else None
    if told and told.sure and here.history:
        return finish(here, "the page tells", told.text)
    if here.history and here.history[-1].reason == RESULT:
        untold = here.goal.question and not (told and told.text)
        other = (_next_result(here) or search(here, frozenset())) if untold else None
        return other or finish(here, "this is what was searched for")
    seeks = here.goal.question or here.goal.visits
    if result is not None:
        return click(result), RESULT
    if _just_sent(here):
        return finish(here, "sent")
    if _arrived(here):
        return finish(here, "this is what was asked for")
    for form in sorted(_to_fill(here), key=lambda form: -_form_score(here, form)):
        if here.goal.changes and (move := revision(here, form)):
            return move
        for filling in assign(
            here.goal.text, unused(here, form, here.free_values()), form.fields, {}, here.frame, here.named
        ):
            if not holds(filling.field, filling.value) and not here.has_filled(filling.field):
                return enter(filling), "a value of the instruction"
        if any(here.has_filled(e) for e in form.fields):
            button = best_button(here, form)
            if button is not None:
                return click(button), FILLED
    if seeks and _SOMEWHERE.search(here.goal.text) and (move := search(here, frozenset())):
        return move
    score, element = _best_element(here)
    if element is not None and (score >= WHOLE or not seeks):
        return click(element), NAMED
    if (seeks or not here.goal.changes) and not (told and told.text) and (move := search(here, frozenset())):
        return move
    if element is not None:
        return click(element), NAMED
    return finish(here, "nothing here is named by the instruction")


# the site's own search


def search(here: Situation, said: Collection[str], entered: Collection[str] = ()) -> Move | None:
    """Enter what names the thing, and send it; each at most once, and not for ever.

    Words in ``said`` and values in ``entered`` have another use.
    """
    sent = _sent(here)
    if len(sent) >= SEARCHES:
        return None
    box = next((e for e in here.page.elements if e.role in TEXT_ROLES and usable(e) and _searches(e.name)), None)
    if box is None:
        found = (e for e in here.page.elements if e.role in ("link", "button") and _searches(e.name) and usable(e))
        opener = next(found, None)
        return (click(opener), "the search") if opener and not here.pressed(opener) else None
    begun = _SOUGHT.search(here.history[-1].reason) if here.history else None
    if begun and here.history[-1].action.kind == "fill" and holds(box, begun[1]):
        return f'press({box.ref}, "Enter")', f"search for {begun[1]}"
    for text in _terms(here, said, entered):
        if text not in sent:
            return (f'press({box.ref}, "Enter")' if holds(box, text) else fill(box, text)), f"search for {text}"
    return None


def _sent(here: Situation) -> list[str]:
    """What was searched for, whether the key or the button sent it."""
    found = []
    for step, then in itertools.pairwise([*here.history, None]):
        begun = _SOUGHT.search(step.reason) if step else None
        clicked = then is not None and then.action.kind == "click" and then.action.role == "button"
        if step and begun and (step.action.kind == "press" or (step.action.kind == "fill" and clicked)):
            found.append(begun[1])
    return found


def _searches(name: str) -> bool:
    return set(labels(name)) == {stem("search")}


def _terms(here: Situation, said: Collection[str], entered: Collection[str]) -> list[str]:
    """What to search for: quoted names and names, then words that say which, not what to do; the rarest first."""
    goal, rarity = here.goal, here.atlas.rarity
    named = [v.text for v in goal.values if v.kind in ("quoted", "name") and v.text not in entered]
    named = [text for text in named if len(text) > 2 and not _PATTERN.fullmatch(text)]
    plain = goal.text
    for text in (*entered, *(v.text for v in goal.values if v.kind in ("quoted", "name"))):
        plain = plain.replace(text, " ")
    rest = [w for w in re.findall(r"[^\W\d_]{4,}", plain) if words(w) and not set(words(w)) & set(said)]
    rest = [w for w in rest if stem(w) not in SYNONYMS.values() and w.lower() not in MANNER]
    rest = [w for w in rest if not (goal.question and is_idle(w))]
    rest.sort(key=lambda w: (-rarity.get(stem(w), 1.0), -len(w)))
    return [*named[:2], *dict.fromkeys(_base(w) for w in rest)][:SEARCHES]


def _base(word: str) -> str:
    """Without the ending of the plural, as searches look for parts of words."""
    return word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 4 else word


def _next_result(here: Situation) -> Move | None:
    """Another page that the search found, where this one tells nothing."""
    looked = {path(step.observation.url) for step in here.history} | {path(here.page.url)}
    results = [step for step in here.history if step.reason == RESULT]
    if len(results) >= LOOKS:
        return None
    found = page_of(results[0].observation)
    links = [e for e in found.elements if e.role == "link" and e.url.startswith("/") and path(e.url) not in looked]
    others = [page_of(step.observation) for step in here.history if step is not results[0]]
    before = {(e.name, e.url) for page in others for e in page.elements}
    links = [e for e in links if _LETTERS.search(e.name) and (e.name, e.url) not in before]
    scored = [(_result_score(here, found, e), e.url) for e in links]
    best = max(scored, default=(0.0, ""), key=lambda item: item[0])
    return (goto(best[1]), RESULT) if best[0] > 0 else None


def _result_score(here: Situation, page: Page, element: Element) -> float:
    near = {w for line, text in page.by_line if 0 <= line - element.line <= 3 for w in words(text)}
    return len(set(words(element.name)) & here.about) + 0.5 * len(near & here.about)


def _best_result(here: Situation) -> Element | None:
    """After a search: the link of the page's own that shares most words with the goal."""
    sent = [step.action for step in here.history[-2:]]
    if len(sent) < 2 or sent[1].kind not in ("press", "click") or not _searches(sent[0].name):
        return None
    others = [s.observation for s in here.history if path(s.observation.url) != path(here.page.url)]
    before = {(e.name, e.url) for seen in others for e in page_of(seen).elements}
    best: tuple[float, Element | None] = (0.0, None)
    for element in here.page.elements:
        if element.role == "link" and element.url.startswith("/") and (element.name, element.url) not in before:
            score = _result_score(here, here.page, element) if _LETTERS.search(element.name) else 0.0
            if score > best[0]:
                best = (score, element)
    return best[1]


# the page


def _to_fill(here: Situation) -> list[Form]:
    """A question changes nothing: for it only the forms that stand on every page (a search) may be used, and so it is
    on the page of another thing than the goal's."""
    if not here.goal.question and not _of_another(here):
        return forms(here.page)
    return [
        form for form in forms(here.page) if form.fields and all((e.role, e.name) in here.frame for e in form.fields)
    ]


def _of_another(here: Situation) -> bool:
    """Whether the page is about a thing of the kind that the goal points at by a number, and with another number."""
    parts = segments(here.page.url.split("?")[0])
    for kind, number in itertools.pairwise(parts):
        named = set(words(kind)) if number.isdigit() else set()
        meant = [v.text for v in here.goal.values if v.kind == "number" and named & set(v.before[:1])]
        if meant and number not in meant:
            return True
    return False


def _form_score(here: Situation, form: Form) -> float:
    names = {word for e in (*form.fields, *form.buttons) for word in labels(e.name)}
    return len(names & here.goal.words) - 2.0 * all((e.role, e.name) in here.frame for e in form.fields)


def _arrived(here: Situation) -> bool:
    """The last step followed a link that is called by much of what the goal asks to see."""
    if not here.goal.visits or not here.history or here.observation.error:
        return False
    last = here.history[-1].action
    named = set(words(last.name)) & (here.goal.words - {"open"})
    return last.role == "link" and len(named) >= max(1, 0.5 * len(here.goal.words - {"open"}))


def _just_sent(here: Situation) -> bool:
    """The last step pressed a button on a form that this agent had filled."""
    if len(here.history) < 2 or here.observation.error:
        return False
    last, before = here.history[-1].action, here.history[-2].action
    return (
        last.kind in ("click", "press") and last.role in ("button", "textbox", "searchbox") and before.kind in FILLING
    )


def best_button(here: Situation, form: Form) -> Element | None:
    """What sends a form, or does with it what the goal says."""

    def score(element: Element) -> float:
        named = set(words(element.name))
        return (
            2 * len(named & here.goal.words) + bool(named & PRESS_WORDS) - 2 * bool(named & SHY_WORDS - here.goal.words)
        )

    free = [e for e in form.buttons if not here.pressed(e)]
    return max(free, key=score, default=None)


def _best_element(here: Situation) -> tuple[float, Element | None]:
    """(score, element): what is called most like the instruction or what the documents say of it."""
    best: tuple[float, Element | None] = (0.45, None)
    another = _of_another(here)
    for element in here.page.elements:
        if here.goal.question and element.role != "link":
            continue  # looking something up changes nothing
        if element.role not in PRESSABLE or not usable(element) or here.pressed(element):
            continue
        if element.role == "button" and another:
            continue
        if element.role == "button" and _is_empty_form(here.page, element):
            continue
        if element.url and any(path(s.observation.url) == path(element.url) for s in here.history):
            continue
        if element.url and path(element.url) == path(here.page.url):
            continue
        if any((s.action.role, s.action.name) == (element.role, element.name) for s in here.history):
            continue  # what led here leads nowhere else
        score = _name_score(element, here)
        if score > best[0]:
            best = (score, element)
    return best[0], find(here.page, best[1].role, best[1].name, here.about) if best[1] else None


def _name_score(element: Element, here: Situation) -> float:
    named = set(words(element.name))
    if not named or not re.search(r"[^\W\d_]{2}|#\d", element.name):
        return 0.0
    said = any(_names(element.name, value.text) for value in here.goal.values)
    asked = here.goal.words | {"change"} if edits(here.goal) else here.goal.words
    hits = len(named) if said else len(named & asked)
    guided = len(named & here.documents) / len(named)
    shy = bool(named & SHY_WORDS - here.goal.words)
    return hits / len(named) + 0.1 * hits + 0.3 * guided - 0.5 * shy


def _is_empty_form(page: Page, button: Element) -> bool:
    """Whether the button would send a form in which nothing is entered: a search for nothing."""
    form = form_of(page, (button.role, button.name))
    texts = [field for field in form.fields if field.role in TEXT_ROLES] if form else []
    return bool(texts) and all(is_empty(field) for field in texts)


def _names(name: str, value: str) -> bool:
    """Whether an element is called by a value, or a part of its name is: "#7: Green lamp" by "Green lamp"."""
    return len(value) > 2 and (name.strip().lower() == value.lower() or (" " in value and contains_phrase(name, value)))
