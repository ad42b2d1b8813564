"""Google's Gemini models, by its generateContent."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any

from lbi.errors import FailureKind, ModelError
from lbi.models.images import Size
from lbi.models.providers._batches import GoogleBatches
from lbi.models.providers._provider import (
    Images,
    Prompt,
    Schema,
    StructuredReplies,
    api_key,
    check_name,
    checked_text,
    count,
    first,
    located,
    table,
    turns,
    usage_of,
)
from lbi.models.providers._taken import Taken, dropped, inside, lowered, without_system_instruction
from lbi.models.providers._wire import Answer, Wire
from lbi.models.registry import THINKING_TOKENS, Settings
from lbi.protocols import Json, Message, Model, ModelInfo, Reply, Request
from lbi.records import Usage

SPEC = "google:NAME"
NAMES = ("gemini-", "gemma-")
_URL = "https://generativelanguage.googleapis.com/v1beta"
_TILED = ("gemini-1", "gemini-2")
_SETTINGS = "generationConfig"
#: what models do not take, by the names in their errors
_CHANGES = {
    "fewer tokens": inside(_SETTINGS, lowered("maxOutputTokens")),
    "no limit": inside(_SETTINGS, dropped("maxOutputTokens", "max_output_tokens")),
    "topP": inside(_SETTINGS, dropped("topP", "top_p", "top p")),
    "topK": inside(_SETTINGS, dropped("topK", "top_k", "top k")),
    "temperature": inside(_SETTINGS, dropped("temperature")),
    "thinking": inside(_SETTINGS, dropped("thinkingConfig", "thinking")),
    "candidates": inside(_SETTINGS, dropped("candidateCount", "candidate_count", "candidate")),
    "stops": inside(_SETTINGS, dropped("stopSequences", "stop_sequences", "stop sequence")),
    "presence": inside(_SETTINGS, dropped("presencePenalty", "presence_penalty", "penalty is not")),
    "frequency": inside(_SETTINGS, dropped("frequencyPenalty", "frequency_penalty", "penalty is not")),
    "probabilities": inside(_SETTINGS, dropped("responseLogprobs", "response_logprobs", "logprobs")),
    "seed": inside(_SETTINGS, dropped("seed")),
    "system": without_system_instruction,
}
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

    def __init__(self, name: str, settings: Settings, key: str) -> None:
        self.name = f"google:{name}"
        self._path, self._settings = f"/models/{name}:generateContent", settings
        self._wire = Wire(self.name, settings.base_url or _URL, {"x-goog-api-key": key}, settings)
        self._taken = Taken(_CHANGES, nested=_SETTINGS)
        self._structured = StructuredReplies(settings.limits)
        self._images = Images(settings, partial(image_tokens, name))
        self.info = ModelInfo(
            endpoint=settings.base_url,
            limits=settings.limits,
            image_tokens=self._images.tokens,
            batches=GoogleBatches(self._wire, name, self._batch_body, lambda answer, request: self._reply(answer)),
        )

    async def complete(self, request: Request) -> Reply:
        async def send(prompt: Prompt, schema: Schema | None) -> Answer:
            body = self._body(prompt, schema, request)
            return await self._taken.send(lambda taken: self._wire.post(self._path, taken), body)

        return self._reply(await self._structured.send(send, request))

    def _batch_body(self, request: Request) -> Json:
        """The body of a request in a batch, by what is known of the model so far."""
        return self._taken.body(self._body(*self._structured.prompt(request), request))

    def _body(self, prompt: Prompt, schema: Schema | None, request: Request) -> Json:
        room = request.max_tokens + (0 if self.info.endpoint else THINKING_TOKENS)
        given = dict(self._settings.options)
        settings = {"maxOutputTokens": room, "temperature": request.temperature, **_schema_setting(schema)}
        generation = {_SETTINGS: {**settings, **table(given.pop(_SETTINGS, None))}}
        return {**self._conversation(prompt), **generation, **given}

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
            {"inlineData": {"mimeType": "image/png", "data": self._images.data(image)}} for image in message.images
        ]
        return [*images, {"text": message.content}]

    def _reply(self, answer: Answer) -> Reply:
        usage, candidate = self._usage(answer), first(answer.body.get("candidates"))
        blocked = table(answer.body.get("promptFeedback")).get("blockReason")
        if not candidate and not blocked:
            raise self._wire.malformed(answer.body)
        reason = candidate.get("finishReason")
        if reason in _STUMBLED:
            raise ModelError(f"{self.name}: failed: the reply ended with {reason}", kind="failed", usage=usage)
        text = "".join(_texts(table(candidate.get("content")).get("parts")))
        text = checked_text(text, "refused" if blocked else _stop(reason), self.name, usage)
        return Reply(text=text, model=self.name, usage=usage, left=answer.left)

    def _usage(self, answer: Answer) -> Usage:
        stated = table(answer.body.get("usageMetadata"))
        return usage_of(
            prompt=stated.get("promptTokenCount"),  # cached ones included
            reply=count(stated.get("candidatesTokenCount")) + count(stated.get("thoughtsTokenCount")),
            cached=stated.get("cachedContentTokenCount"),
            seconds=answer.seconds,
        )

    async def close(self) -> None:
        await self._wire.close()


def _stop(reason: Any) -> FailureKind | None:
    """All other reasons that Google has (safety, recitation, blocklist, ...) mean that the reply was withheld."""
    if reason in _WHOLE:
        return None
    return "truncated" if reason == "MAX_TOKENS" else "refused"


def _schema_setting(schema: Schema | None) -> Json:
    if schema is None:
        return {}
    return {"responseMimeType": "application/json", "responseSchema": _without_unknown(schema[1])}


def _without_unknown(schema: Json) -> Json:
    """A schema without the one key of ours that Google's kind of schema does not know."""
    return {
        key: {name: _without_unknown(inner) for name, inner in value.items()} if key == "properties"
        else _without_unknown(value) if key == "items" else value
        for key, value in schema.items()
        if key != "additionalProperties"
    }  # fmt: skip


def _texts(parts: Any) -> list[str]:
    """The texts of a reply without the model's thoughts."""
    tables = [table(part) for part in parts] if isinstance(parts, list) else []
    return [str(part.get("text") or "") for part in tables if not part.get("thought")]
