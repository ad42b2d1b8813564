"""OpenAI's models, and with base_url those of all servers like it (vLLM, llama.cpp, Ollama, SGLang, routers)."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any
from urllib.parse import urlsplit

from lbi.errors import FailureKind, ModelBusy, ModelError
from lbi.models.images import Size, scaled_size
from lbi.models.providers._batches import OpenAIBatches
from lbi.models.providers._provider import (
    Images,
    Prompt,
    Schema,
    StructuredReplies,
    api_key,
    check_name,
    checked_text,
    first,
    located,
    table,
    turns,
    usage_of,
)
from lbi.models.providers._taken import Taken, dropped, fewer, lowered, renamed, without_system_turn
from lbi.models.providers._wire import Answer, Wire
from lbi.models.registry import THINKING_TOKENS, Settings
from lbi.protocols import Json, Message, Model, ModelInfo, Reply, Request
from lbi.records import Usage

SPEC = "openai:NAME"
NAMES = ("gpt-", "chatgpt-", "o1", "o3", "o4")
_URL = "https://api.openai.com/v1"
#: beginnings of names, more telling ones first: tokens of an image, and of each of its tiles
_TILES = (("gpt-4o-mini", 2833, 5667), ("gpt-4o", 85, 170), ("o1", 75, 150), ("o3", 75, 150))
#: ... and tokens per patch
_PATCHES = (
    ("gpt-4.1-mini", 1.62),
    ("gpt-4.1-nano", 2.46),
    ("gpt-5-mini", 1.62),
    ("gpt-5-nano", 2.46),
    ("o4-mini", 1.72),
)
#: what models and servers of this kind do not take, by the names in their errors
_CHANGES = {
    "fewer tokens": lowered("max_tokens", "max_completion_tokens"),
    "max_completion_tokens": renamed("max_tokens", "max_completion_tokens"),
    "max_tokens": renamed("max_completion_tokens", "max_tokens"),
    "no limit": dropped("max_tokens", "max_completion_tokens"),
    "top_p": dropped("top_p"),
    "temperature": dropped("temperature"),
    "stop": fewer("stop", 4),
    "system": without_system_turn,
}
_STOPS: dict[str, FailureKind] = {
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), "truncated"),
    **dict.fromkeys(
        ("content_filter", "content-filter", "safety", "refusal", "recitation", "blocklist", "prohibited_content"),
        "refused",
    ),
}
#: the server gave up in the middle: what there is of the reply is none, and another try may end well
_GAVE_UP = ("abort", "aborted", "error", "cancelled", "network_error", "timeout", "insufficient_system_resource")
_FEWEST = 1_000  # tokens that a server must claim to have read, before it is said to have read only a part
_LONGEST_TOKEN = 8  # characters per token, on average, that no tokeniser reaches with prompts such as ours


def create(name: str, settings: Settings) -> Model:
    settings = located(settings, "OPENAI_BASE_URL")
    check_name(name, "openai", settings)
    return OpenAI(name, settings, api_key("openai", settings, "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"))


def image_tokens(name: str, size: Size) -> int:
    """What OpenAI documents: 512-pixel tiles for some models, 32-pixel patches for others.

    Of a model that is in neither list, the dearer of the two.
    """
    bare = name.rpartition("/")[2]
    for begins, base, tile in _TILES:
        if bare.startswith(begins):
            return base + tile * _tiles(size)
    for begins, times in _PATCHES:
        if bare.startswith(begins):
            return ceil(times * _patches(size))
    return max(85 + 170 * _tiles(size), ceil(1.2 * _patches(size)))


def _tiles(size: Size) -> int:
    """Of the image fitted into 2,048 pixels and then made smaller until its shorter side has 768."""
    width, height = scaled_size(size, 2048)
    shrink = min(1.0, 768 / min(width, height))
    return ceil(width * shrink / 512) * ceil(height * shrink / 512)


def _patches(size: Size) -> int:
    return min(1536, ceil(size[0] / 32) * ceil(size[1] / 32))


class OpenAI:
    """One model behind one pool of connections."""

    def __init__(self, name: str, settings: Settings, key: str) -> None:
        self.name = f"openai:{name}"
        self._model, self._settings = name, settings
        address = settings.base_url or _URL
        path, mark, query = address.partition("?")
        address = path.rstrip("/").removesuffix("/chat/completions") + mark + query
        self._wire = Wire(self.name, address, _headers(address, key), settings)
        self._taken, self._structured = Taken(_CHANGES), StructuredReplies(settings.limits)
        self._images = Images(settings, partial(image_tokens, name))
        self.info = ModelInfo(
            endpoint=settings.base_url,
            limits=settings.limits,
            image_tokens=self._images.tokens,
            batches=OpenAIBatches(self._wire, self._batch_body, self._reply),
        )

    async def complete(self, request: Request) -> Reply:
        length = 0

        async def send(prompt: Prompt, schema: Schema | None) -> Answer:
            nonlocal length
            length = sum(len(message.content) for message in prompt)
            body = self._body(prompt, schema, request)
            return await self._taken.send(lambda taken: self._wire.post("/chat/completions", taken), body)

        reply = self._reply(await self._structured.send(send, request), request)
        if self.info.endpoint and _FEWEST <= reply.usage.input_tokens < length / _LONGEST_TOKEN:
            raise ModelError(
                f"{self.name}: too long: the server read {reply.usage.input_tokens:,} tokens of a prompt of "
                f"{length:,} characters; give it a longer context (Ollama: OLLAMA_CONTEXT_LENGTH)",
                kind="too long",
                usage=reply.usage,
            )
        return reply

    def _batch_body(self, request: Request) -> Json:
        """The body of a request in a batch, by what is known of the model so far."""
        return self._taken.body(self._body(*self._structured.prompt(request), request))

    def _body(self, prompt: Prompt, schema: Schema | None, request: Request) -> Json:
        room = {"max_completion_tokens": request.max_tokens + THINKING_TOKENS}
        if self.info.endpoint:
            room = {"max_tokens": request.max_tokens}  # the older name is the one that all servers know
        messages = [self._turn(role, parts) for role, parts in turns(prompt)]
        body = {
            "model": self._model,
            "messages": messages,
            **room,
            "temperature": request.temperature,
            **_schema_setting(schema),
        }
        return {**body, **self._settings.options}

    def _turn(self, role: str, parts: list[Message]) -> Json:
        text = "\n\n".join(part.content for part in parts)
        images = [image for part in parts for image in part.images]
        if not images:
            return {"role": role, "content": text}
        shown = [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{self._images.data(image)}"}}
            for image in images
        ]
        return {"role": role, "content": [{"type": "text", "text": text}, *shown]}

    def _reply(self, answer: Answer, request: Request) -> Reply:
        choice = first(answer.body.get("choices"))
        if failed := self._wire.failed_inside(choice):
            raise failed
        message = choice.get("message")
        if not isinstance(message, dict):
            raise self._wire.malformed(answer.body)
        usage = self._usage(answer)
        reason = str(choice.get("finish_reason")).lower()
        if reason in _GAVE_UP:
            raise ModelBusy(f"{self.name}: the server gave up ({reason})", kind="server error", usage=usage)
        stop = _stop(reason, bool(message.get("refusal")), usage, request)
        text = checked_text(_text(message.get("content")), stop, self.name, usage)
        return Reply(text=text, model=self.name, usage=usage, left=answer.left)

    def _usage(self, answer: Answer) -> Usage:
        """What the server states; a server that states nothing has its tokens estimated by `metering`."""
        stated = table(answer.body.get("usage"))
        details = table(stated.get("prompt_tokens_details"))
        return usage_of(
            prompt=stated.get("prompt_tokens"),
            reply=stated.get("completion_tokens"),
            cached=details.get("cached_tokens"),
            written=details.get("cache_write_tokens"),
            seconds=answer.seconds,
        )

    async def close(self) -> None:
        await self._wire.close()


def _schema_setting(schema: Schema | None) -> Json:
    if schema is None:
        return {}
    name, body = schema
    return {"response_format": {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": body}}}


def _headers(address: str, key: str) -> dict[str, str]:
    """Azure takes its keys in a header of its own."""
    azure = (urlsplit(address).hostname or "").endswith(".azure.com")
    return {"api-key": key} if azure else {"authorization": f"Bearer {key}"}


def _stop(reason: str, refusal: bool, usage: Usage, request: Request) -> FailureKind | None:
    """Why a reply is not whole. Some servers give no reason: then one that used all its room was truncated."""
    if refusal:
        return "refused"
    if reason in ("none", "") and usage.output_tokens >= request.max_tokens:
        return "truncated"
    return _STOPS.get(reason)


def _text(content: Any) -> str:
    """The text of a message; a few servers send it in parts. Thoughts are in other fields, which are not read."""
    if isinstance(content, list):
        said = (part for part in map(table, content) if part.get("type") in (None, "text", "output_text"))
        return "".join(str(part.get("text") or "") for part in said)
    return content if isinstance(content, str) else ""
