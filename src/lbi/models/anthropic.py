"""Claude, with a breakpoint of its prompt cache after the system message and one before the question."""

from __future__ import annotations

import time
from typing import Any

from lbi.contracts import Message, Model, Reply, Request
from lbi.errors import ModelBusy
from lbi.models import THINKING_TOKENS, Settings, check_allowed, is_loopback
from lbi.models._sdk import (
    Temperature,
    api_key,
    check_name,
    checked_text,
    image_data,
    located,
    seconds_since,
    translated,
    turns,
)
from lbi.prices import Bill
from lbi.prompts import render

_STOPS = {"max_tokens": "truncated", "refusal": "refused", "model_context_window_exceeded": "too long"}
_BREAKPOINT = {"cache_control": {"type": "ephemeral"}}


def create(name: str, settings: Settings) -> Model:
    settings = located(settings, "ANTHROPIC_BASE_URL")
    check_name(name, "anthropic", settings)
    return Anthropic(name, settings, api_key("ANTHROPIC_API_KEY", "anthropic", settings))


class Anthropic:
    """One model behind one client."""

    free = False

    def __init__(self, name: str, settings: Settings, key: str) -> None:
        from anthropic import AsyncAnthropic, DefaultAioHttpClient

        self.name, self.endpoint, self.limits = f"anthropic:{name}", settings.base_url, settings.limits
        self._model, self._settings, self._key = name, settings, key
        # no proxy stands before a server on this machine
        http = DefaultAioHttpClient(trust_env=not is_loopback(settings.base_url))
        self._client = AsyncAnthropic(
            api_key=key,
            base_url=settings.base_url.rstrip("/").removesuffix("/v1") or None,  # the SDK adds /v1
            max_retries=0,
            timeout=settings.timeout + 5,  # ours comes first: it is for the request as a whole
            http_client=http,
        )
        self._temperature = Temperature()

    async def complete(self, request: Request) -> Reply:
        check_allowed(str(self._client.base_url))
        start = time.monotonic()
        prompt = render(request, self._settings.limits)
        message = await self._temperature.send(lambda given: self._send(prompt, request, given), request.temperature)
        return self._reply(message, seconds_since(start))

    async def _send(self, prompt: tuple[Message, ...], request: Request, temperature: dict[str, float]) -> Any:
        import anthropic

        system, messages = self._conversation(prompt, request.reused)
        async with translated(anthropic, self.name, self._settings, self._key):
            return await self._client.messages.create(
                model=self._model,
                system=system,
                messages=messages,
                max_tokens=request.max_tokens + (0 if self.endpoint else THINKING_TOKENS),
                # the SDK has no temperature any more, but models that were made before still take one
                extra_body={**temperature, **self._settings.options},
            )

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
            source = {"type": "base64", "media_type": "image/png", "data": image_data(image, self._settings)}
            blocks.append({"type": "image", "source": source})
        blocks.append({"type": "text", "text": message.content})
        if marked:
            blocks[-1].update(_BREAKPOINT)
        return blocks

    def _reply(self, message: Any, seconds: float) -> Reply:
        content = getattr(message, "content", None)
        if not isinstance(content, list):
            raise ModelBusy(f"{self.name}: malformed: the server's reply holds no answer ({str(message)[:300]})")
        usage = self._usage(message, seconds)
        text = "".join(block.text for block in content if block.type == "text")
        stop = _STOPS.get(message.stop_reason or "", "")
        return Reply(text=checked_text(text, stop, self.name, usage), model=self.name, usage=usage)

    def _usage(self, message: Any, seconds: float) -> Bill:
        said = getattr(message, "usage", None)
        read = getattr(said, "cache_read_input_tokens", 0) or 0
        written = getattr(said, "cache_creation_input_tokens", 0) or 0
        return Bill(
            calls=1,
            input_tokens=(getattr(said, "input_tokens", 0) or 0) + read + written,  # stated without those two
            output_tokens=getattr(said, "output_tokens", 0) or 0,
            cached_tokens=read,
            written_tokens=written,
            cost=None,
            seconds=seconds,
        )

    async def close(self) -> None:
        await self._client.close()
