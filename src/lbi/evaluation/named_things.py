"""Proposed tasks -> whether the things that they name exist in the application, as the pages tell that a run has seen.

'Close the ticket "Boat list" with the comment "done"' needs a thing called "Boat list", and none called "done".

A thing is a quoted text or a number such as #12. It need not exist where the instruction introduces it: as the name of
what is created, as the text of a field, as what something is renamed to. No model is asked, so the same tasks give the
same numbers; how often the rule errs is in docs/measurements.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from itertools import takewhile

from lbi.observations.parse import parse_observation
from lbi.records import Observation, Record, Task, Trajectory

_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|‘([^’]+)’|`([^`]+)`|(?<!\w)'([^']+)'(?!\w)|(?<![\w&#])(#\d+)\b")
_TEXT_FIELDS = frozenset({"textbox", "searchbox"})


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: verbs after which something is new, verbs after which it is put into something, and verbs that look for it
_CREATES = _words(
    "create add write make new register file report post start compose draft upload define propose submit save"
)
_PUTS = _words("enter type fill set put give leave insert change edit update rename replace append describe state")
_SPEAKS = _words("answer reply say state comment post write tell")
_SEEKS = _words(
    "find search look show list filter open go view read check see which what who how count display locate visit "
    "choose select pick"
)
_NAMING = _words("titled title named name called entitled labelled labeled label")
#: what is said after these is free text
_SAYING = _words(
    "saying says say reading reads stating comment text message note description summary subject reply reason content "
    "body heading explaining mentioning sentence paragraph line password"
)
_FILLER = _words("the a an is be as it its with and to that should must field value set")
_CLAUSE = re.compile(r"[.;!?]\s|\n")
#: what something becomes: rename it to, turn it into, call it, the name is now
_BECOMES = re.compile(
    r"\b(?:re-?(?:name|title)\w*\b[^.;]*\bto|turn\b[^.;]*\binto|(?:call|name|label|title) (?:it|this|that|them)"
    r"|is now)\W*$",
    re.IGNORECASE,
)
#: a new one: "a component", "one more bullet"
_A_NEW = re.compile(r"\b(?:an?|another|one more|new) (?:[\w-]+ ){0,2}[\w-]+\W*$", re.IGNORECASE)
_BETWEEN = re.compile(r"\b(?:to|of|on|in|from|for|under|at|as|below|by|with|whose|than)\b", re.IGNORECASE)
_OF_THE = re.compile(
    r"\b(?:to|of|on|in|from|for|under|at) (?:the|this|my|its) (?:[\w-]+ ){0,3}[\w-]+\W*$", re.IGNORECASE
)
_INTO = re.compile(r"\W*(?:in|into|as|for|to)\s+(?:(?:the|its|a|an)\s+)?((?:[\w-]+\W{1,3}){1,3})", re.IGNORECASE)
LEAST_TYPED = 3  # characters of what an agent typed, for its echo on later pages to be left out


class Named(Record):
    """One proposed task: the things that it needs, and those of them that no page has shown."""

    task: Task
    needs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """As far as names tell."""
        return not self.missing


@dataclass
class SeenThings:
    """All lines of the pages that were seen, and what their text boxes are called."""

    lines: set[str] = field(default_factory=set)
    text_fields: set[str] = field(default_factory=set)
    _text: str = ""

    def add(self, page: Observation, typed: Iterable[str] = ()) -> None:
        """Take in a page. Lines that only repeat what the agent ``typed`` before do not show that it exists."""
        echoes = [_folded(text) for text in typed if len(text.strip()) >= LEAST_TYPED]
        lines = [_folded(f"{page.url} {page.title}"), *map(_folded, page.text.split("\n"))]
        self.lines.update(line for line in lines if not any(echo in line for echo in echoes))
        elements = parse_observation(page.text).elements
        self.text_fields.update(_last_word(e.name) for e in elements if e.role in _TEXT_FIELDS and e.name)
        self._text = ""

    def __contains__(self, name: str) -> bool:
        """Whether a line holds the name as whole words; of #12 also an address that ends in /12."""
        self._text = self._text or "\n".join(sorted(self.lines))
        forms = [rf"(?<!\w){re.escape(_folded(name))}(?!\w)"]
        if re.fullmatch(r"#\d+", name):
            forms.append(rf"/{name[1:]}(?![\w/])")
        return any(re.search(form, self._text) for form in forms)


def things_in(pages: Iterable[Observation], trajectories: Iterable[Trajectory], *, restores: bool = True) -> SeenThings:
    """What pages and roll-outs show to be there. Where episodes are put back (``restores``), pages count as long as an
    episode has changed nothing."""
    seen = SeenThings()
    for page in pages:
        seen.add(page)
    for trajectory in trajectories:
        first = trajectory.observations[0].digest
        shown = trajectory.observations
        whole = takewhile(lambda page, first=first: page.digest == first, shown) if restores else shown  # type: ignore[misc]
        for at, page in enumerate(whole):
            if not page.error:
                seen.add(page, [action.value for action in trajectory.actions[:at]])
    return seen


def checked(tasks: Sequence[Task], seen: SeenThings) -> list[Named]:
    """Each task with the things that it needs, and those that are missing."""
    rows = []
    for task in tasks:
        needs = needed(task.instruction, seen.text_fields)
        rows.append(Named(task=task, needs=needs, missing=tuple(name for name in needs if name not in seen)))
    return rows


def needed(instruction: str, text_fields: Iterable[str] = ()) -> tuple[str, ...]:
    """The things that have to be there before the task begins, each once."""
    names = []
    fields = set(text_fields)
    for match in _QUOTED.finditer(instruction):
        name = next(group for group in match.groups() if group).strip(" .,;:")
        if name and re.search(r"\w", name) and not _introduced(instruction, match.start(), match.end(), fields):
            names.append(name)
    return tuple(dict.fromkeys(names))


def _introduced(text: str, start: int, end: int, text_fields: Set[str]) -> bool:
    """Whether the instruction itself brings the thing that is quoted from ``start`` to ``end``."""
    if text[start] == "#":
        return False
    clause = _CLAUSE.split(_QUOTED.sub(" ", text[:start]))[-1]
    words = [word.lower() for word in re.findall(r"[\w-]+", clause)]
    at = max((at for at, word in enumerate(words) if word in _CREATES | _PUTS | _SEEKS | _SPEAKS), default=-1)
    verb, object_ = words[at] if at >= 0 else "", [word for word in words[at + 1 :] if word not in _FILLER]
    last = object_[-1] if object_ else ""
    if _BECOMES.search(clause):
        return True
    if last in _NAMING:
        return verb in _CREATES | {"give"} and not _OF_THE.search(clause)
    if _is_text(last, text_fields):
        return verb not in _SEEKS
    if words[-1:] == ["to"] and verb in _PUTS:  # set the summary of ... to "..."
        return _is_text(next(iter(object_), ""), text_fields)
    if (verb not in _SEEKS and _a_new_one(clause)) or (verb in _SPEAKS and not object_):
        return True
    if verb in _CREATES and (clause.rstrip().endswith(":") or (object_ and not _BETWEEN.search(clause))):
        return True
    into = _INTO.match(text[end:] + " ") if verb in _CREATES | _PUTS else None
    return into is not None and any(_is_text(word.lower(), text_fields) for word in re.findall(r"[\w-]+", into[1]))


def _a_new_one(clause: str) -> bool:
    """Whether it ends in such as "a component" or "one more bullet", and not "a comment on the page"."""
    new = _A_NEW.search(clause)
    return new is not None and not _BETWEEN.search(new[0])


def _is_text(word: str, text_fields: Set[str]) -> bool:
    """Whether a word names a field for free text: "keyword" where there is a box "Keywords:"."""
    return word in _SAYING or word in _NAMING or word in text_fields or f"{word}s" in text_fields


def _last_word(name: str) -> str:
    words = re.findall(r"[\w-]+", name.lower())
    return words[-1] if words else ""


def _folded(text: str) -> str:
    return " ".join(text.casefold().replace("’", "'").split())
