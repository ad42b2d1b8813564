"""A conversation of somebody else's agent with its model -> what it is to do, what it sees, what it did before.

A turn is what the model is told between two of its own messages: by people or the agent's program (typed), and by
tools (results). An instruction is what was typed; with tools each one begins something new, and without them the first
does, as all that is typed after it is what the agent sees.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lbi.interop.server.finder import Situation
from lbi.interop.server.json_places import Insertion, Located, added_text
from lbi.interop.server.observed import observation_of
from lbi.records import Action, Step

LONGEST = 2_000  # characters of an instruction that nothing marks
#: what programs put around or beside what a person typed
_INJECTED = re.compile(
    r"<(system-reminder|environment_context|user_instructions|permissions instructions|local-command-\w+|"
    r"command-(?:name|message|args))>.*?</\1>",
    re.DOTALL,
)
_MARKED = (
    re.compile(
        r"<(user_request|task|goal|instruction|objective|question|problem_statement|issue|pr_description)>\s*(.+?)\s*</\1>",
        re.DOTALL | re.IGNORECASE,
    ),
    re.compile(r"^[ \t#*>]*(objective|goal|task|instruction|intent)\**:\**[ \t]*(\S.*?)[ \t]*$", re.MULTILINE | re.I),
    re.compile(r"^[ \t#*>]*(objective|goal|task|instruction|intent)\**:?\**[ \t]*\n+(\S.*?)[ \t]*$", re.M | re.I),
)
_BLOCK = re.compile(r"```[\w-]*\n(.*?)\n?```", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A message to which something can be added: to its ``field``, as text or as a part of the type ``part``."""

    message: Located
    field: str
    part: str

    def added(self, request: str, text: str) -> Insertion | None:
        return added_text(request, self.message, self.field, self.part, text)


@dataclass
class Turn:
    """What the model was told at once, where something can be added to it, and what the agent did before it."""

    done: Action | None = None
    typed: str = ""
    results: str = ""
    place: Place | None = None


@dataclass
class Conversation:
    """Its turns in order, put together by one of ``lbi.interop.server.requests``. ``tools``: the agent has some."""

    tools: bool = False
    turns: list[Turn] = field(default_factory=list)
    _done: Action | None = None
    _open: bool = False  # whether the last turn may go on

    def was_typed(self, text: str, place: Place | None) -> None:
        turn = self._turn(place)
        turn.typed = "\n".join(filter(None, (turn.typed, text)))

    def resulted(self, text: str, place: Place | None) -> None:
        self.tools = True
        turn = self._turn(place)
        turn.results = "\n".join(filter(None, (turn.results, text)))

    def did(self, calls: Sequence[tuple[str, str]], text: str) -> None:
        """What the agent did: (name, arguments) of tools, or what it said."""
        said = "; ".join(f"{name}({arguments})" for name, arguments in calls) or text
        kind = calls[0][0] if calls else _kind_of(text)
        if self._done is not None:  # a reply may be several items
            said, kind = "; ".join(filter(None, (self._done.text, said))), self._done.kind or kind
        self._done, self._open = Action(text=said, kind=kind), False

    def _turn(self, place: Place | None) -> Turn:
        if not self._open:
            self.turns.append(Turn(done=self._done))
            self._done, self._open = None, True
        if place is not None:
            self.turns[-1].place = place
        return self.turns[-1]


@dataclass(frozen=True)
class Segment:
    """The turns from one instruction to the next."""

    first: int  # index of its first turn
    situation: Situation


def segments(conversation: Conversation, pattern: re.Pattern[str] | None = None) -> Iterator[Segment]:
    """What the agent was to do, one after the other; ``pattern`` finds the instruction, as its group 1."""
    turns = conversation.turns
    starts = [at for at, turn in enumerate(turns) if not turn.results and _typed(turn)]
    if not conversation.tools:
        starts = starts[:1]
    for start, end in itertools.pairwise([*starts, len(turns)]):
        instruction, rest = instruction_in(_typed(turns[start]), pattern)
        seen = [rest, *(turn.results or turn.typed for turn in turns[start + 1 : end])]
        observations = [observation_of(text) for text in seen]
        done = [turn.done or Action(text="") for turn in turns[start + 1 : end]]
        history = tuple(Step(observation=o, action=a) for o, a in zip(observations, done, strict=False))
        if instruction:
            yield Segment(start, Situation(instruction, observations[-1], history))


def instruction_in(text: str, pattern: re.Pattern[str] | None = None) -> tuple[str, str]:
    """The instruction in what was typed, and the rest, which is what the agent sees.

    It is what the usual marks stand before or around; a short text is nothing else, and of a long one it is the first
    paragraph.
    """
    if pattern is not None:
        found = pattern.search(text)
        return (found[1].strip(), _without(text, found)) if found and found[1] else ("", text)
    for marks in _MARKED:
        if found := marks.search(text):
            return found[2][:LONGEST], _without(text, found)
    if len(text) <= LONGEST:
        return text.strip(), ""
    paragraph, _, rest = text.strip().partition("\n\n")
    return paragraph[:LONGEST], paragraph[LONGEST:] + rest


def text_of(content: Any) -> str:
    """The text of a message's content: itself, or that of its parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "\n".join(text for text in texts if isinstance(text, str))


def _typed(turn: Turn) -> str:
    return _INJECTED.sub("", turn.typed).strip()


def _without(text: str, found: re.Match[str]) -> str:
    return (text[: found.start()] + text[found.end() :]).strip()


def _kind_of(text: str) -> str:
    """The program of a command in a block of code, if that is how an agent without tools acts."""
    block = _BLOCK.search(text)
    return (block[1].split() or [""])[0][:40] if block else ""
