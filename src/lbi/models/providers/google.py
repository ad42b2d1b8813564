"""Gemini, by Google's generateContent."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any

from lbi.errors import FailureKind, ModelError
from lbi.models.images import Size
from lbi.models.providers._batches import GoogleBatches
from lbi.models.providers._provider import (
    Form,
    Pictures,
    Prompt,
    Schema,
    Temperature,
    api_key,
    billed,
    check_name,
    checked_text,
    count,
    first,
    located,
    table,
    turns,
)
from lbi.models.providers._wire import Answered, Json, Wire
from lbi.models.registry import THINKING_TOKENS, Settings
from lbi.protocols import Message, Model, Reply, Request
from lbi.records import Usage

_URL = "https://generativelanguage.googleapis.com/v1beta"
_TILED = ("gemini-1", "gemini-2")
_WHOLE = (None, "STOP", "FINISH_REASON_UNSPECIFIED")
#: not the content's fault, and another try may end well
_STUMBLED = ("OTHER", "MALFORMED_FUNCTION_CALL")


def create(name: str, settings: Settings) -> Model:
    settings = located(settings, "GOOGLE_GEMINI_BASE_URL")
    check_name(name, "google", settings)
    return Google(name, settings, api_key("google", settings, "GEMINI_API_KEY", "GOOGLE_API_KEY"))


def image_tokens(name: str, size: Size) -> int:
    """What Google documents: 258 tokens for each tile up to Gemini 2.5, and later 1,120 for an image of any size."""
    if not name.startswith(_TILED):
        return 1120
    if max(size) <= 384:
        return 258
    unit = min(768, max(256, min(size) // 1.5))
    return 258 * ceil(size[0] / unit) * ceil(size[1] / unit)


class Google:
    """One model behind one pool of connections."""

    free = False

    def __init__(self, name: str, settings: Settings, key: str) -> None:
        self.name, self.endpoint, self.limits = f"google:{name}", settings.base_url, settings.limits
        self._path, self._settings = f"/models/{name}:generateContent", settings
        self._wire = Wire(self.name, settings.base_url or _URL, {"x-goog-api-key": key}, settings, key)
        self._temperature, self._form = Temperature(), Form(settings.limits)
        self._pictures = Pictures(settings, partial(image_tokens, name))
        self.image_tokens = self._pictures.tokens
        self.batches = GoogleBatches(self._wire, name, self._now, lambda found, request: self._reply(found))

    async def complete(self, request: Request) -> Reply:
        async def send(prompt: Prompt, schema: Schema | None) -> Answered:
            return await self._temperature.send(
                lambda given: self._wire.post(self._path, self._body(prompt, schema, given, request)),
                request.temperature,
            )

        return self._reply(await self._form.send(send, request))

    def _now(self, request: Request) -> Json:
        """The body of a request as far as it is known by now what the model takes."""
        return self._body(*self._form.given(request), self._temperature.given(request.temperature), request)

    def _body(self, prompt: Prompt, schema: Schema | None, given: Json, request: Request) -> Json:
        room = request.max_tokens + (0 if self.endpoint else THINKING_TOKENS)
        generation = {"generationConfig": {"maxOutputTokens": room, **given, **_form(schema)}}
        return {**self._conversation(prompt), **generation, **self._settings.options}

    def _conversation(self, prompt: Prompt) -> Json:
        system: list[Json] = []
        contents: list[Json] = []
        for role, messages in turns(prompt):
            parts = [part for message in messages for part in self._parts(message)]
            if role == "system":
                system += parts
            else:
                contents.append({"role": "model" if role == "assistant" else "user", "parts": parts})
        return {"contents": contents, **({"systemInstruction": {"parts": system}} if system else {})}

    def _parts(self, message: Message) -> list[Json]:
        images = [
            {"inlineData": {"mimeType": "image/png", "data": self._pictures.data(image)}} for image in message.images
        ]
        return [*images, {"text": message.content}]

    def _reply(self, found: Answered) -> Reply:
        usage, candidate = self._usage(found), first(found.body.get("candidates"))
        blocked = table(found.body.get("promptFeedback")).get("blockReason")
        if not candidate and not blocked:
            raise self._wire.malformed(found.body)
        reason = candidate.get("finishReason")
        if reason in _STUMBLED:
            raise ModelError(f"{self.name}: failed: the reply ended with {reason}", kind="failed", usage=usage)
        text = "".join(_texts(table(candidate.get("content")).get("parts")))
        text = checked_text(text, "refused" if blocked else _stop(reason), self.name, usage)
        return Reply(text=text, model=self.name, usage=usage, left=found.left)

    def _usage(self, found: Answered) -> Usage:
        said = table(found.body.get("usageMetadata"))
        return billed(
            asked=said.get("promptTokenCount"),  # cached ones included
            said=count(said.get("candidatesTokenCount")) + count(said.get("thoughtsTokenCount")),
            cached=said.get("cachedContentTokenCount"),
            seconds=found.seconds,
        )

    async def close(self) -> None:
        await self._wire.close()


def _stop(reason: Any) -> FailureKind | None:
    """All other reasons that Google has (safety, recitation, blocklist, ...) mean that the reply was withheld."""
    if reason in _WHOLE:
        return None
    return "truncated" if reason == "MAX_TOKENS" else "refused"


def _form(schema: Schema | None) -> Json:
    return {} if schema is None else {"responseMimeType": "application/json", "responseSchema": _known(schema[1])}


def _known(schema: Json) -> Json:
    """A schema without the one word of ours that Google's kind of schema does not have."""
    return {
        key: {name: _known(each) for name, each in value.items()} if key == "properties"
        else _known(value) if key == "items" else value
        for key, value in schema.items()
        if key != "additionalProperties"
    }  # fmt: skip


def _texts(parts: Any) -> list[str]:
    """The texts of a reply without the model's thoughts."""
    found = [table(part) for part in parts] if isinstance(parts, list) else []
    return [str(part.get("text") or "") for part in found if not part.get("thought")]
