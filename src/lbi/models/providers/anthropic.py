"""Anthropic's Claude models, with the provider's prompt cache.

The cache keeps a prompt up to a breakpoint: one is set after the system message and one before the question.
"""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any

from lbi.errors import FailureKind
from lbi.models.images import Size
from lbi.models.providers._batches import AnthropicBatches
from lbi.models.providers._provider import (
    Images,
    Prompt,
    Schema,
    StructuredReplies,
    api_key,
    check_name,
    checked_text,
    count,
    located,
    table,
    turns,
    usage_of,
)
from lbi.models.providers._taken import Taken, dropped, lowered, plain_system
from lbi.models.providers._wire import Answer, Wire
from lbi.models.registry import THINKING_TOKENS, Settings
from lbi.protocols import Json, Message, Model, ModelInfo, Reply, Request
from lbi.records import Usage

SPEC = "anthropic:NAME"
NAMES = ("claude-",)
_URL = "https://api.anthropic.com"
_VERSION = "2023-06-01"  # of the wire format, not of a model
_STOPS: dict[str, FailureKind] = {
    "max_tokens": "truncated",
    "refusal": "refused",
    "model_context_window_exceeded": "too long",
}
#: what models do not take, and servers that speak Anthropic's format, by the names in their errors
_CHANGES = {
    "fewer tokens": lowered("max_tokens"),
    "top_p": dropped("top_p"),
    "temperature": dropped("temperature"),
    "blocks": plain_system,
}
_BREAKPOINT = {"cache_control": {"type": "ephemeral"}}


def create(name: str, settings: Settings) -> Model:
    settings = located(settings, "ANTHROPIC_BASE_URL")
    check_name(name, "anthropic", settings)
    return Anthropic(name, settings, api_key("anthropic", settings, "ANTHROPIC_API_KEY"))


def image_tokens(name: str, size: Size) -> int:
    """What Anthropic documents: patches of 28 pixels, for earlier models a token for 750 pixels; the more of both."""
    width, height = size
    return max(ceil(width / 28) * ceil(height / 28), ceil(width * height / 750))


class Anthropic:
    """One model behind one pool of connections."""

    def __init__(self, name: str, settings: Settings, key: str) -> None:
        self.name = f"anthropic:{name}"
        self._model, self._settings = name, settings
        address = (settings.base_url or _URL).rstrip("/").removesuffix("/v1")
        self._wire = Wire(self.name, address, {"x-api-key": key, "anthropic-version": _VERSION}, settings)
        self._taken, self._structured = Taken(_CHANGES), StructuredReplies(settings.limits)
        self._images = Images(settings, partial(image_tokens, name))
        self.info = ModelInfo(
            endpoint=settings.base_url,
            limits=settings.limits,
            image_tokens=self._images.tokens,
            batches=AnthropicBatches(self._wire, self._batch_body, lambda answer, request: self._reply(answer)),
        )

    async def complete(self, request: Request) -> Reply:
        async def send(prompt: Prompt, schema: Schema | None) -> Answer:
            body = self._body(prompt, schema, request)
            return await self._taken.send(lambda taken: self._wire.post("/v1/messages", taken), body)

        return self._reply(await self._structured.send(send, request))

    def _batch_body(self, request: Request) -> Json:
        """The body of a request in a batch, by what is known of the model so far."""
        return self._taken.body(self._body(*self._structured.prompt(request), request))

    def _body(self, prompt: Prompt, schema: Schema | None, request: Request) -> Json:
        system, messages = self._conversation(prompt, request.reused)
        room = request.max_tokens + (0 if self.info.endpoint else THINKING_TOKENS)
        body = {"model": self._model, "system": system, "messages": messages, "max_tokens": room}
        return {**body, "temperature": request.temperature, **_schema_setting(schema), **self._settings.options}

    def _conversation(self, messages: tuple[Message, ...], reused: bool) -> tuple[Any, Any]:
        """The system blocks, and the turns. What comes before the last message is the prefix worth keeping."""
        system: list[dict[str, Any]] = []
        conversation: list[dict[str, Any]] = []
        before_last = messages[-2] if reused and len(messages) > 1 else None
        for role, parts in turns(messages):
            blocks = [block for part in parts for block in self._blocks(part, marked=part is before_last)]
            if role == "system":
                system += blocks
            else:
                conversation.append({"role": role, "content": blocks})
        if system and reused:
            system[-1].update(_BREAKPOINT)
        return system, conversation

    def _blocks(self, message: Message, marked: bool) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        for image in message.images:
            source = {"type": "base64", "media_type": "image/png", "data": self._images.data(image)}
            blocks.append({"type": "image", "source": source})
        blocks.append({"type": "text", "text": message.content})
        if marked:
            blocks[-1].update(_BREAKPOINT)
        return blocks

    def _reply(self, answer: Answer) -> Reply:
        content = answer.body.get("content")
        if not isinstance(content, list):
            raise self._wire.malformed(answer.body)
        usage = self._usage(answer)
        text = "".join(str(block.get("text") or "") for block in map(table, content) if block.get("type") == "text")
        stop = _STOPS.get(str(answer.body.get("stop_reason")))
        text = checked_text(text, stop, self.name, usage)
        return Reply(text=text, model=self.name, usage=usage, left=answer.left)

    def _usage(self, answer: Answer) -> Usage:
        stated = table(answer.body.get("usage"))
        read, written = count(stated.get("cache_read_input_tokens")), count(stated.get("cache_creation_input_tokens"))
        return usage_of(
            prompt=count(stated.get("input_tokens")) + read + written,  # stated without those two
            reply=stated.get("output_tokens"),
            cached=read,
            written=written,
            seconds=answer.seconds,
        )

    async def close(self) -> None:
        await self._wire.close()


def _schema_setting(schema: Schema | None) -> Json:
    return {} if schema is None else {"output_config": {"format": {"type": "json_schema", "schema": schema[1]}}}
