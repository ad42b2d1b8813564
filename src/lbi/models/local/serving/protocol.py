"""What the server and its engines tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypedDict


class Order(TypedDict):
    """How the process is to run: a line of JSON on its standard input, as all can read a command line."""

    engine: str
    file: str
    adapter: str  # empty = none
    threads: int
    context: int  # tokens of all slots together
    slots: int
    cache_bytes: int  # for keys and values
    chat_template: str  # of the file; engines that bring their own way to read it ignore this
    key: str


@dataclass(frozen=True)
class Ask:
    """One request."""

    messages: list[dict[str, str]]
    schema: dict[str, Any] | None  # of the reply, which is held to it token by token
    max_tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True)
class Answer:
    """One reply. ``cached`` of the prompt's tokens were not computed again."""

    text: str
    truncated: bool
    prompt: int
    cached: int
    reply: int


class TooLong(Exception):
    """A prompt does not fit into the context."""


class Unusable(Exception):
    """A request that the engine cannot carry out, such as one with a schema that it does not understand."""


class Engine(Protocol):
    """Runs one model."""

    async def answer(self, ask: Ask) -> Answer:
        """Raises TooLong and Unusable."""
        ...

    def moved(self) -> float:
        """When it last got further with anything, by the monotonic clock."""
        ...
