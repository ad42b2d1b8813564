"""A verified example -> a span that is carried out as one action, with other values in place of its own.

Store an item with the name "Salt" on the shelf "bottom"  ->  span("3f2a91c0", name="...", shelf="...")

Its parameters are the values that the instruction names and the actions repeat (decision 0052). Not in the paper.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from urllib.parse import quote

from lbi.environments._arguments import read_arguments
from lbi.errors import UserError
from lbi.records import POINTING, Action, Example, Trajectory
from lbi.storage.secrets import MASK

VERIFIED = ("replayed", "checked")
SHOWN_ID = 8  # characters of an example's id by which a span is called
#: how the action is explained to a model, as environments explain theirs
SPAN_ACTION = """\
span("ID", name="text")   carry out one of the EXAMPLES THAT CAN BE CARRIED OUT WHOLE, with your own values: its steps
                          as one action, as long as each page is as it was there"""

_ENTERING = frozenset({"fill", "type", "select", "upload"})
_CONTROLS = frozenset({"button", "tab", "menuitem"})  # what a form always has: their names are no values
_QUOTED = re.compile(r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|‘([^’]+)’|(?<!\w)\'([^\']+)\'(?!\w)|(?<!\w)(#\d+)(?!\w)')
_WORD_BEFORE = re.compile(r"([A-Za-z_]\w*)\W*\Z")
_SAYS_NOTHING = frozenset(
    "a an the to of on in at by as is be and or for from with into that this its it new named called titled".split()  # noqa: SIM905
)
_CALL = re.compile(r"\s*span\s*\(")
LEAST_CHARACTERS = 2  # of a value that the instruction names without quotes
MOST_WORDS = 3  # of a parameter's name


@dataclass(frozen=True)
class Parameter:
    """A value of the example that may be another one: its name, and what it is there."""

    name: str
    value: str


@dataclass(frozen=True)
class ExecutableSpan:
    """An example of which every action can be found again on a page."""

    example: Example
    trajectory: Trajectory

    @property
    def id(self) -> str:
        return self.example.id[:SHOWN_ID]

    @property
    def actions(self) -> tuple[Action, ...]:
        """As they were carried out."""
        return self.trajectory.actions[self.example.start : self.example.end]

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        return _parameters(self.example.instruction, self.actions)

    @property
    def call(self) -> str:
        """How it is called: span("3f2a91c0", name="...")."""
        given = [f'{each.name}="..."' for each in self.parameters]
        return f"span({', '.join([json.dumps(self.id), *given])})"

    def missing(self, values: Mapping[str, str]) -> tuple[Parameter, ...]:
        return tuple(each for each in self.parameters if each.name not in values)

    def unknown(self, values: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(name for name in values if name not in {each.name for each in self.parameters})

    def with_values(self, values: Mapping[str, str]) -> SpanWithValues:
        """Raises KeyError for a missing value."""
        return SpanWithValues(self, tuple((each.value, values[each.name]) for each in self.parameters))


@dataclass(frozen=True)
class SpanWithValues:
    """A span that can be carried out: ``values`` are pairs of a value of the example and what takes its place."""

    span: ExecutableSpan
    values: tuple[tuple[str, str], ...]

    @cached_property
    def actions(self) -> tuple[Action, ...]:
        return tuple(map(self._action, self.span.actions))

    @property
    def instruction(self) -> str:
        return self.put(self.span.example.instruction)

    def put(self, text: str) -> str:
        """A text of the example with the new values in it."""
        return _replaced(text, dict(self.values))

    def address(self, url: str) -> str:
        """An address of the example with the new values in it."""
        written = {old: quote(new, safe="") for old, new in self.values}
        return _replaced(url, {**written, **{quote(old, safe=""): new for old, new in written.items()}})

    def _action(self, action: Action) -> Action:
        value = action.value
        if action.kind in _ENTERING:
            value = self.put(value)
        elif action.kind == "goto":
            value = self.address(value)
        changed = action.model_copy(update={"name": self.put(action.name), "value": value})
        return changed.model_copy(update={"text": changed.grounded})


def why_not_executable(example: Example, trajectory: Trajectory) -> str:
    """Why an example cannot be carried out as one action; "" if it can."""
    if not example.kept:
        return "a filter dropped it"
    if example.tier not in VERIFIED:
        return f"it is not verified (tier {example.tier}); only what was carried out a second time can be run"
    for action in trajectory.actions[example.start : example.end]:
        if action.kind not in POINTING:
            return f"it works by commands ({action.kind or action.text[:40]}); only steps on pages can be run"
        if action.kind == "finish":
            return "it ends an episode"
        if MASK in action.text + action.value + action.name:
            return "a secret that it entered is masked"
    return ""


@lru_cache(maxsize=2048)
def executable(example: Example, trajectory: Trajectory) -> ExecutableSpan | None:
    return None if why_not_executable(example, trajectory) else ExecutableSpan(example, trajectory)


# parameters


def _parameters(instruction: str, actions: tuple[Action, ...]) -> tuple[Parameter, ...]:
    """In the order in which the instruction names them."""
    found: dict[str, str] = {}
    for value, where in sorted(_values(instruction, actions), key=lambda pair: (pair[1], -len(pair[0]))):
        if value in found.values():
            continue
        name = _free(_name(value, instruction[:where], actions), found)
        found[name] = value
    return tuple(Parameter(name, value) for name, value in found.items())


def _values(instruction: str, actions: tuple[Action, ...]) -> Iterator[tuple[str, int]]:
    """What the instruction quotes and an action repeats, and what an action enters and the instruction says; where."""
    covered: list[tuple[int, int]] = []
    for match in _QUOTED.finditer(instruction):
        value = next(group for group in match.groups() if group)
        if value.strip() and any(_names(action, value) for action in actions):
            covered.append(match.span())
            yield value, match.start()
    for value in dict.fromkeys(part for action in actions for part in _entered(action)):
        for match in re.finditer(_whole(value), instruction):
            if len(value) >= LEAST_CHARACTERS and not any(a <= match.start() < b for a, b in covered):
                yield value, match.start()
                break


def _entered(action: Action) -> list[str]:
    if action.kind not in _ENTERING:
        return []
    return action.value.split("\n") if action.kind == "select" else [action.value]


def _names(action: Action, value: str) -> bool:
    """Whether an action repeats a value: in what it enters, in an address, or in the name of a thing that it is for."""
    pattern = _whole(value)
    if action.kind in _ENTERING and re.search(pattern, action.value):
        return True
    if action.kind == "goto" and re.search(f"{pattern}|{_whole(quote(value, safe=''))}", action.value):
        return True
    return action.kind not in _ENTERING and action.role not in _CONTROLS and bool(re.search(pattern, action.name))


def _name(value: str, before: str, actions: tuple[Action, ...]) -> str:
    """The field that takes the value, else the word before it, else what kind of element is called so."""
    field = next((action.name for action in actions if value in _entered(action) and _slug(action.name)), "")
    if field:
        return _slug(field)
    word = _WORD_BEFORE.search(before)
    if word and word[1].lower() not in _SAYS_NOTHING:
        return _slug(word[1])
    return next((action.role for action in actions if action.role and value in action.name), "") or "value"


def _slug(text: str) -> str:
    """A name as arguments have it: "Your email or username:" -> your_email_or."""
    words = re.findall(r"[a-z0-9]+", text.partition(":")[0].partition("(")[0].lower())
    slug = "_".join(words[:MOST_WORDS])
    return slug if slug[:1].isalpha() else ""


def _free(name: str, taken: Mapping[str, str]) -> str:
    number, free = 1, name or "value"
    while free in taken:
        number += 1
        free = f"{name or 'value'}_{number}"
    return free


def _whole(value: str) -> str:
    """A pattern of the value where it is no part of a word."""
    return rf"(?<!\w){re.escape(value)}(?!\w)"


def _replaced(text: str, values: Mapping[str, str]) -> str:
    """All at once, so that no new value is replaced again; of two that overlap, the longer one."""
    if not values:
        return text
    pattern = "|".join(_whole(value) for value in sorted(values, key=len, reverse=True))
    return re.sub(pattern, lambda match: values[match[0]], text)


# calls


def is_span_call(action: str) -> bool:
    return _CALL.match(action) is not None


def read_span_call(action: str) -> tuple[str, dict[str, str]]:
    """The id and the values of ``span("3f2a91c0", name="Eggs")``. Raises ValueError for what is none."""
    call = _CALL.match(action)
    arguments = read_arguments(action, call.end()) if call else []
    named = {each.name: each.text for each in arguments if each.name and each.name != "id"}
    ids = [each.text.strip() for each in arguments if each.name in ("", "id")]
    if len(ids) != 1 or not ids[0]:
        raise ValueError('a span is called by its id and its values by their names: span("ID", name="text")')
    return ids[0], named


def problem_with_values(span: ExecutableSpan, values: Mapping[str, str], written: Callable[[Parameter], str]) -> str:
    """What is wrong with the values for a span, or "". ``written``: how one is given."""
    if unknown := span.unknown(values):
        names = ", ".join(each.name for each in span.parameters) or "none"
        return f"span {span.id} has no parameter {unknown[0]!r}; it has: {names}"
    if missing := span.missing(values):
        given = " ".join(map(written, missing))
        word = "a value" if len(missing) == 1 else "values"
        return f"span {span.id} needs {word} for {', '.join(each.name for each in missing)} (there it was {given})"
    return ""


def find_span(pairs: Sequence[tuple[Example, Trajectory]], id_: str, where: str) -> ExecutableSpan:
    """The span of the example whose id begins so. Raises UserError for none, several, and one that cannot be run."""
    wanted = id_.strip().lower()
    found = {
        example.id: (example, trajectory) for example, trajectory in pairs if wanted and example.id.startswith(wanted)
    }
    if not found:
        raise UserError(f'{where} has no example "{id_}"; `lbi retrieve RUN INSTRUCTION` names those that can be run')
    if len(found) > 1:
        raise UserError(f'{where} has {len(found)} examples whose id begins with "{id_}"; give more of it')
    ((example, trajectory),) = found.values()
    if reason := why_not_executable(example, trajectory):
        raise UserError(f"example {example.id[:SHOWN_ID]} cannot be run: {reason}")
    return ExecutableSpan(example, trajectory)
