"""OpenAI, and with base_url every server that speaks its chat completions (vLLM, llama.cpp, routers, ...)."""

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

_STOPS = {"length": "truncated", "content_filter": "refused"}


def create(name: str, settings: Settings) -> Model:
    settings = located(settings, "OPENAI_BASE_URL")
    check_name(name, "openai", settings)
    return OpenAI(name, settings, api_key("OPENAI_API_KEY", "openai", settings))


class OpenAI:
    """One model behind one client."""

    free = False

    def __init__(self, name: str, settings: Settings, key: str) -> None:
        from openai import AsyncOpenAI, DefaultAioHttpClient

        self.name, self.endpoint, self.limits = f"openai:{name}", settings.base_url, settings.limits
        self._model, self._settings, self._key = name, settings, key
        # no proxy stands before a server on this machine
        http = DefaultAioHttpClient(trust_env=not is_loopback(settings.base_url))
        self._client = AsyncOpenAI(
            api_key=key,
            base_url=settings.base_url or None,
            max_retries=0,
            timeout=settings.timeout + 5,  # ours comes first: it is for the request as a whole
            http_client=http,
        )
        self._temperature = Temperature()

    async def complete(self, request: Request) -> Reply:
        check_allowed(str(self._client.base_url))
        start = time.monotonic()
        prompt = render(request, self._settings.limits)
        completion = await self._temperature.send(lambda given: self._send(prompt, request, given), request.temperature)
        return self._reply(completion, seconds_since(start))

    async def _send(self, prompt: tuple[Message, ...], request: Request, temperature: dict[str, float]) -> Any:
        import openai

        messages: Any = [self._turn(role, parts) for role, parts in turns(prompt)]
        room = {"max_completion_tokens": request.max_tokens + THINKING_TOKENS}
        if self.endpoint:
            room = {"max_tokens": request.max_tokens}  # the older name is the one that all servers know
        async with translated(openai, self.name, self._settings, self._key):
            return await self._client.chat.completions.create(
                model=self._model,
                messages=messages,
                extra_body={**room, **temperature, **self._settings.options},
            )

    def _turn(self, role: str, parts: list[Message]) -> dict[str, Any]:
        text = "\n\n".join(part.content for part in parts)
        images = [image for part in parts for image in part.images]
        if not images:
            return {"role": role, "content": text}
        shown = [
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image_data(image, self._settings)}"}}
            for image in images
        ]
        return {"role": role, "content": [{"type": "text", "text": text}, *shown]}

    def _reply(self, completion: Any, seconds: float) -> Reply:
        choices = getattr(completion, "choices", None)
        if not choices or getattr(choices[0], "message", None) is None:
            said = str(getattr(completion, "error", "") or completion)[:300]
            raise ModelBusy(f"{self.name}: malformed: the server's reply holds no answer ({said})")
        usage = self._usage(completion, seconds)
        choice = choices[0]
        stop = "refused" if choice.message.refusal else _STOPS.get(choice.finish_reason or "", "")
        text = checked_text(choice.message.content or "", stop, self.name, usage)
        return Reply(text=text, model=self.name, usage=usage)

    def _usage(self, completion: Any, seconds: float) -> Bill:
        said = getattr(completion, "usage", None)
        details = getattr(said, "prompt_tokens_details", None)
        return Bill(
            calls=1,
            input_tokens=getattr(said, "prompt_tokens", 0) or 0,
            output_tokens=getattr(said, "completion_tokens", 0) or 0,
            cached_tokens=getattr(details, "cached_tokens", 0) or 0,
            written_tokens=getattr(details, "cache_write_tokens", 0) or 0,
            cost=None,
            seconds=seconds,
        )

    async def close(self) -> None:
        await self._client.close()
