"""What a model does not take, learnt from its errors -> the request's body as it takes it, from then on.

"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead." -> the other name, for all further calls.
What is known of which server, and where it was read, is in docs/providers.md.
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

#: without these a request means something else; schemas are dropped together with the prompt's words about them
_KEPT = ("model", "messages", "contents", "system", "systemInstruction", "generationConfig")
_KEPT_SCHEMAS = ("response_format", "output_config", "responseSchema", "responseMimeType")
_REFUSAL = re.compile(
    r"not (?:support|supported|permitted|allowed|enabled|available|accepted|recognized)|n't support|unsupported|unknown"
    r"|unrecogni[sz]ed|unexpected|extra(?:_forbidden| inputs| fields)|forbidden|invalid|cannot|can't|must be|only "
)
_SMALLEST = 256  # tokens of a reply; with less room no prompt of ours can be answered


class Taken:
    """The changes that a model's errors have asked for; each is made once, and remembered."""

    def __init__(self, known: Mapping[str, Learn], *, nested: str = "") -> None:
        """``nested``: the table of the body that holds the settings, where that is not the body itself."""
        self._known, self._nested = known, nested
        self._made: dict[str, Apply] = {}

    def body(self, body: Json) -> Json:
        """The body with all changes that are known to be needed."""
        for apply in self._made.values():
            body = apply(body)
        return body

    async def send(self, post: Callable[[Json], Awaitable[T]], body: Json) -> T:
        """Post the body, and again after each change that the model's error asks for. Raises the last error."""
        shortened = False
        while True:
            tried, sent = set(self._made), self.body(body)
            try:
                return await post(sent)
            except ModelError as error:
                text = str(error).lower()
                room = None if shortened else room_left(text, sent)
                if room is not None:  # of this prompt alone, so it is not remembered
                    body, shortened = room, True
                elif error.kind != "bad request" or not self._learnt(text, sent, tried):
                    raise

    def _learnt(self, text: str, sent: Json, tried: set[str]) -> bool:
        for name, learn in self._known.items():
            apply = None if name in tried else learn(text, sent)
            if apply is not None:
                self._made.setdefault(name, apply)
                return True
        named = _named_setting(text, sent)
        if named:
            self._made.setdefault(f"without {named}", _without(named))
            return True
        inner = sent.get(self._nested)
        named = _named_setting(text, inner) if isinstance(inner, dict) else ""
        if named:
            self._made.setdefault(f"{self._nested} without {named}", _within(self._nested, _without(named)))
            return True
        return False


def _named_setting(text: str, sent: Json) -> str:
    """The setting that an error refuses by its name: quoted, or as a place in the body."""
    if not _REFUSAL.search(text):
        return ""
    for key in sent:
        bare = re.escape(key.lower())
        quoted = rf"""["'`]{bare}["'`]|parameter:? {bare}\b|supplied: {bare}\b|argument:? {bare}\b|\bbody\.{bare}\b"""
        if key not in (*_KEPT, *_KEPT_SCHEMAS) and re.search(quoted, text):
            return key
    return ""


def _without(key: str) -> Apply:
    return lambda body: {name: value for name, value in body.items() if name != key}


def _within(table: str, apply: Apply) -> Apply:
    return lambda body: {**body, table: apply(body[table])} if isinstance(body.get(table), dict) else body


def inside(table: str, learn: Learn) -> Learn:
    """What is learnt of the settings in a table of the body."""

    def learn_inside(text: str, sent: Json) -> Apply | None:
        inner = sent.get(table)
        apply = learn(text, inner) if isinstance(inner, dict) else None
        return None if apply is None else _within(table, apply)

    return learn_inside


def dropped(key: str, *words: str) -> Learn:
    """Leave a setting out of which the error speaks."""

    def learn(text: str, sent: Json) -> Apply | None:
        if key not in sent or not any(word in text for word in (key.lower(), *words)):
            return None
        return _without(key)

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
        if not key or not re.search(rf"{key.lower()}|output[_ ]tokens|completion tokens", text):
            return None
        plain = re.sub(r"(?<=\d),(?=\d)", "", text)
        numbers = [int(number) - ("exclusive" in end) for number, end in re.findall(r"(\d+)(\s*\(exclusive\))?", plain)]
        fitting = [number for number in numbers if _SMALLEST <= number < sent[key]]
        if not fitting or str(sent[key]) not in plain:
            return None
        most = max(fitting)
        return lambda body: {**body, key: min(most, body[key])} if key in body else body

    return learn


def fewer(key: str, most: int) -> Learn:
    """Send only the first of several values, where the error says that there are too many."""

    def learn(text: str, sent: Json) -> Apply | None:
        values = sent.get(key)
        if not isinstance(values, list) or len(values) <= most or not re.search(rf"\b{key}\b|stop sequence", text):
            return None
        return lambda body: {**body, key: body[key][:most]} if isinstance(body.get(key), list) else body

    return learn


#: how servers word that prompt and reply together are too long: the context, and what the prompt takes of it
_TOGETHER = (
    r"maximum context length is (?P<all>\d+) tokens.*?\((?P<prompt>\d+) in the messages, \d+ in the completion\)",
    r"maximum context length is (?P<all>\d+) tokens and your request has (?P<prompt>\d+) input tokens",
    r"exceed context limit: (?P<prompt>\d+) \+ \d+ > (?P<all>\d+)",
    r"tokens \+ `max_new_tokens` must be <= (?P<all>\d+)\. given: (?P<prompt>\d+) `inputs` tokens",
)


def room_left(text: str, sent: Json) -> Json | None:
    """The body with the room that its prompt leaves for the reply, where only both together are too long."""
    key = next((key for key in ("max_tokens", "max_completion_tokens") if key in sent), "")
    plain = re.sub(r"(?<=\d),(?=\d)", "", text)
    found = next(filter(None, (re.search(pattern, plain, re.DOTALL) for pattern in _TOGETHER)), None)
    if not key or found is None:
        return None
    room = int(found["all"]) - int(found["prompt"])
    return {**sent, key: room} if _SMALLEST <= room < sent[key] else None


_SYSTEM = re.compile(
    r"\b(?:system|developer)\b|roles must alternate|only user,? (?:and )?assistant|system_?instruction"
)


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


def without_system_instruction(text: str, sent: Json) -> Apply | None:
    """The same in Google's format."""
    if "systemInstruction" not in sent or not _SYSTEM.search(text):
        return None
    return _folded_instruction


def _folded_instruction(body: Json) -> Json:
    contents = body.get("contents")
    if "systemInstruction" not in body or not contents or contents[0]["role"] != "user":
        return body
    said = body["systemInstruction"]["parts"]
    first = {**contents[0], "parts": [*said, *contents[0]["parts"]]}
    return {**_without("systemInstruction")(body), "contents": [first, *contents[1:]]}


def plain_system(text: str, sent: Json) -> Apply | None:
    """Anthropic's system blocks as one text, for servers that take nothing else."""
    if not isinstance(sent.get("system"), list) or not re.search(r"\bsystem\b|cache_control", text):
        return None
    return _without_blocks


def _without_blocks(body: Json) -> Json:
    system = body.get("system")
    said = "\n\n".join(block["text"] for block in system) if isinstance(system, list) else system
    return {**body, "system": said, "messages": [_without_marks(turn) for turn in body["messages"]]}


def _without_marks(turn: Json) -> Json:
    return {**turn, "content": [_without("cache_control")(block) for block in turn["content"]]}
