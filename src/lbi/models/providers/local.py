"""Language models that run on this machine, from the catalogue or any GGUF file; needs no key (extra: local)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import time
import zlib
from collections.abc import Callable
from typing import Any

from lbi.errors import FailureKind, ModelBusy, ModelError
from lbi.models.local.bounds import bounded, most_tokens
from lbi.models.local.choice import Choice, chosen
from lbi.models.local.failures import LocalFailure, unavailable
from lbi.models.local.fit import SLOTS
from lbi.models.local.server import Address, LocalServer
from lbi.models.local.weights import obtain
from lbi.models.providers._provider import checked_text, first, table, turns, usage_of
from lbi.models.providers._wire import Answer, Wire
from lbi.models.registry import Settings
from lbi.models.schemas import schema_of
from lbi.prompts import render
from lbi.protocols import PARTS_OF_A_RUN, Json, Model, ModelInfo, Reply, Request

SPEC = "local:NAME_OR_FILE"
_LONGEST_STILL = 300.0  # seconds in which a server that works must get further, however busy the machine
_HEALTH = 60.0  # seconds to say how it is
_SLOWEST = 600.0  # seconds, at least, for a request: a long prompt on a machine that is busy


def create(name: str, settings: Settings) -> Model:
    """Nothing is fetched or started yet. Raises UserError for an unknown name and for what is no GGUF file."""
    return Local(chosen(name), settings)


class Local:
    """One model, which is fetched and started when it is first asked."""

    def __init__(self, choice: Choice, settings: Settings) -> None:
        self.name = f"local:{choice.spec}"
        limits = settings.limits
        usual = PARTS_OF_A_RUN if choice.structured else ()
        structured = usual if limits.structured is None else limits.structured
        self._choice = choice
        self._settings = dataclasses.replace(
            settings,
            timeout=max(settings.timeout, _SLOWEST),
            limits=limits.model_copy(update={"structured": structured, "images": ()}),
        )
        self.info = ModelInfo(unpaid=True, limits=self._settings.limits)
        self._say: Callable[[str], None] = _log
        self._beginning: asyncio.Task[LocalServer] | None = None
        self._connection: tuple[Address, Wire] | None = None
        self._room = asyncio.Semaphore(SLOTS + 1)  # one is always there for the slot that becomes free

    async def prepare(self, say: Callable[[str], None]) -> None:
        """Fetch the weights if they are not here, and start the server. Raises ModelUnavailable."""
        self._say = say
        await self.server()

    async def complete(self, request: Request) -> Reply:
        server = await self.server()
        async with self._room:  # who waits for others is not waiting for an answer yet, so no timeout counts
            address, wire = await self._connected(server)
            try:
                return self._reply(await wire.post("/v1/chat/completions", self._body(request)))
            except ModelBusy as error:
                if error.kind == "timeout":
                    await self._end_if_hanging(server, address)
                raise

    async def server(self) -> LocalServer:
        """The server, made by whoever comes first; it goes on if that call is given up, as others wait for it too."""
        if self._beginning is None or (self._beginning.done() and self._beginning.cancelled()):
            self._beginning = asyncio.create_task(self._begun())
        try:
            return await asyncio.shield(self._beginning)
        except LocalFailure as error:
            raise unavailable(self.name, error) from error

    async def _begun(self) -> LocalServer:
        weights = await asyncio.to_thread(obtain, self._choice, self._say)
        server = LocalServer(weights, self._say)
        began = time.monotonic()
        await server.running()
        shown = server.fit
        if shown is not None:
            self._say(
                f"{self.name} is ready after {time.monotonic() - began:.0f} s: {weights.engine}, {shown.threads} "
                f"threads, {shown.slots} slots, context of {shown.context:,} tokens"
            )
        return server

    async def _connected(self, server: LocalServer) -> tuple[Address, Wire]:
        """A connection to the server as it runs now. Raises ModelUnavailable where it dies again and again."""
        try:
            address = await server.running()
        except LocalFailure as error:
            raise unavailable(self.name, error) from error
        if self._connection is None or self._connection[0] != address:
            await self._disconnect()
            self._connection = address, self._wire(address, self._settings)
        return self._connection

    def _wire(self, address: Address, settings: Settings) -> Wire:
        return Wire(self.name, address.url, {"authorization": f"Bearer {address.key}"}, settings)

    async def _end_if_hanging(self, server: LocalServer, address: Address) -> None:
        """After a request without an answer in time: end a process that hangs, so that the next request starts one."""
        wire = self._wire(address, dataclasses.replace(self._settings, timeout=_HEALTH))
        still = _LONGEST_STILL  # one that does not even say how it is
        with contextlib.suppress(ModelError):
            still = float((await wire.get("/health")).body.get("still", 0.0))
        await wire.close()
        if still >= _LONGEST_STILL:
            self._say(f"{self.name} hangs: nothing got further for {still:.0f} s; starting it again")
            await server.stop()

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection[1].close()
            self._connection = None

    def _body(self, request: Request) -> Json:
        limits = self._settings.limits
        messages = [
            {"role": role, "content": "\n\n".join(part.content for part in parts)}
            for role, parts in turns(render(request, limits))
        ]
        body: Json = {
            "messages": messages,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            # the same for the same question, and another for each sample of it
            "seed": zlib.crc32(json.dumps([request.sample, messages]).encode()),
        }
        if (named := schema_of(request, limits)) is not None:
            held = bounded(named[1], request)
            schema: dict[str, Any] = {"name": named[0], "strict": True, "schema": held}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
            body["max_tokens"] = most_tokens(held, request)
        return {**body, **self._settings.options}

    def _reply(self, answer: Answer) -> Reply:
        choice, stated = first(answer.body.get("choices")), table(answer.body.get("usage"))
        usage = usage_of(
            prompt=stated.get("prompt_tokens"),
            reply=stated.get("completion_tokens"),
            cached=table(stated.get("prompt_tokens_details")).get("cached_tokens"),
            seconds=answer.seconds,
        )
        stop: FailureKind | None = "truncated" if choice.get("finish_reason") == "length" else None
        text = checked_text(str(table(choice.get("message")).get("content") or ""), stop, self.name, usage)
        return Reply(text=text, model=self.name, usage=usage)

    async def close(self) -> None:
        await self._disconnect()
        beginning, self._beginning = self._beginning, None
        if beginning is None:
            return
        beginning.cancel()
        with contextlib.suppress(LocalFailure, asyncio.CancelledError):
            await (await beginning).stop()


def _log(text: str) -> None:
    logging.getLogger(__name__).info("%s", text)
