"""What a trace says, in the order in which it happened: a reader of any format yields these, and nothing else.

Session("3f2a", "claude-code", "2.1.230") Asked("Fix the test") Said("Let me run it.") Called("c1", "Bash", {...})
Returned("c1", "1 failed") Spent("m1", Usage(...)) Said("It fails because ...") Unknown("pr-link", {...})
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from lbi.records import Action, Observation, Usage

#: who wrote an instruction
By = Literal["user", "headless", "sub-agent"]


@dataclass(frozen=True, kw_only=True)
class Event:
    """``line``: where in the file, from 1; 0 = unknown. ``node`` and ``parent``: its place, where a trace is a tree."""

    line: int = 0
    node: str = ""
    parent: str = ""


@dataclass(frozen=True)
class Session(Event):
    """A conversation begins; what follows belongs to it."""

    id: str
    agent: str
    version: str = ""  # of the agent, or of the format
    model: str = ""
    folder: str = ""  # in which it works
    by: By = "user"  # whoever writes its instructions


@dataclass(frozen=True)
class Asked(Event):
    """An instruction. What follows, up to the next one, carries it out."""

    text: str
    page: Observation | None = None  # what is seen first


@dataclass(frozen=True)
class Said(Event):
    """What the agent wrote: why it does what comes next, or its answer where nothing comes next."""

    text: str


@dataclass(frozen=True)
class Thought(Event):
    """What the agent thought; its reason where it wrote none."""

    text: str


@dataclass(frozen=True)
class Called(Event):
    """A call of a tool. ``call`` names it; ``reply`` names the model's reply that it is part of."""

    call: str
    name: str
    arguments: Any = field(default_factory=dict)  # by name; or a text, where a tool takes one
    reply: str = ""
    action: Action | None = None  # where the reader knows better than its name and arguments what it does


@dataclass(frozen=True)
class Returned(Event):
    """What a call led to. Only the first result of a call counts."""

    call: str
    text: str
    failed: bool = False  # the call could not be carried out
    exit_code: int | None = None  # of a command
    outage: str = ""  # infrastructure or a person prevented it: which, in a word or two
    page: Observation | None = None  # what is seen then, where that is more than a text


@dataclass(frozen=True)
class Spent(Event):
    """What a reply cost. Of several for one reply the last one counts."""

    reply: str
    usage: Usage


@dataclass(frozen=True)
class Outage(Event):
    """Infrastructure failed between calls: the model's provider, say. Whatever ends with it teaches nothing."""

    kind: str
    text: str = ""


@dataclass(frozen=True)
class Ended(Event):
    """How the attempt ended, where the trace says it in so many words."""

    done: bool
    answer: str = ""


@dataclass(frozen=True)
class Left(Event):
    """What is understood and left out on purpose: copied context, a developer's message, a picture."""

    what: str
    count: int = 1


@dataclass(frozen=True)
class Unknown(Event):
    """What is not understood. It is counted by its type, and kept as it is."""

    type: str
    body: Any = None
