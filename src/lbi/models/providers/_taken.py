"""What a model does not take, learnt from its errors -> the request's body as it takes it, from then on.

"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead." -> the other name, for all further calls.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from lbi.errors import ModelError
from lbi.protocols import Json

T = TypeVar("T")
Apply = Callable[[Json], Json]  # a body as it is sent -> as it is sent from now on
Learn = Callable[[str, Json], Apply | None]  # what an error says in lower case, and the body that it is about


class Taken:
    """The changes that a model's errors have asked for; each is made once, and remembered."""

    def __init__(self, known: Mapping[str, Learn]) -> None:
        self._known = known
        self._made: dict[str, Apply] = {}

    def body(self, body: Json) -> Json:
        """The body with all changes that are known to be needed."""
        for apply in self._made.values():
            body = apply(body)
        return body

    async def send(self, post: Callable[[Json], Awaitable[T]], body: Json) -> T:
        """Post the body, and again after each change that the model's error asks for. Raises the last error."""
        while True:
            tried, sent = set(self._made), self.body(body)
            try:
                return await post(sent)
            except ModelError as error:
                if error.kind != "bad request" or not self._learnt(str(error).lower(), sent, tried):
                    raise

    def _learnt(self, text: str, sent: Json, tried: set[str]) -> bool:
        for name, learn in self._known.items():
            apply = None if name in tried else learn(text, sent)
            if apply is not None:
                self._made.setdefault(name, apply)
                return True
        return False


def dropped(key: str, *words: str) -> Learn:
    """Leave a setting out of which the error speaks."""

    def learn(text: str, sent: Json) -> Apply | None:
        if key not in sent or not any(word in text for word in (key.lower(), *words)):
            return None
        return lambda body: {name: value for name, value in body.items() if name != key}

    return learn


def renamed(old: str, new: str) -> Learn:
    """Send a setting under another name, where the error speaks of it or asks for the other."""

    def learn(text: str, sent: Json) -> Apply | None:
        if old not in sent or not re.search(rf"\b{old.lower()}\b", text):
            return None
        return lambda body: {(new if name == old else name): value for name, value in body.items()}

    return learn


def lowered(*keys: str) -> Learn:
    """Ask for no more tokens than the error says that there can be."""

    def learn(text: str, sent: Json) -> Apply | None:
        key = next((key for key in keys if key in sent), "")
        if not key or not re.search(rf"{key.lower()}|output tokens|completion tokens", text):
            return None
        numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]
        fitting = [number for number in numbers if 256 <= number < sent[key]]
        if not fitting or str(sent[key]) not in text.replace(",", ""):
            return None
        most = max(fitting)
        return lambda body: {**body, key: min(most, body[key])} if key in body else body

    return learn


_SYSTEM = re.compile(r"\b(?:system|developer)\b|roles must alternate|only user,? (?:and )?assistant")


def without_system_turn(text: str, sent: Json) -> Apply | None:
    """Say in the first turn of the user what the system's turn says."""
    messages = sent.get("messages")
    if not isinstance(messages, list) or not messages or messages[0]["role"] != "system" or not _SYSTEM.search(text):
        return None
    return _folded


def _folded(body: Json) -> Json:
    messages = body["messages"]
    system = [message["content"] for message in messages if message["role"] == "system"]
    rest = [message for message in messages if message["role"] != "system"]
    if not system or not rest or rest[0]["role"] != "user":
        return body
    return {**body, "messages": [{**rest[0], "content": _before(system, rest[0]["content"])}, *rest[1:]]}


def _before(system: Sequence[str], content: object) -> object:
    said = "\n\n".join(system)
    return [{"type": "text", "text": said}, *content] if isinstance(content, list) else f"{said}\n\n{content}"
