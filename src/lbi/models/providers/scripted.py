"""Replies from a file, one JSON string per line: for tests and demonstrations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from lbi.errors import ModelError, UserError
from lbi.models.registry import Settings
from lbi.prompts import estimate_tokens, render
from lbi.protocols import Model, ModelInfo, Reply, Request
from lbi.records import Usage

SPEC = "scripted:FILE"


def create(name: str, settings: Settings) -> Model:
    """``name`` is a file with one JSON string per line, each a reply."""
    try:
        lines = [line for line in Path(name).read_text().splitlines() if line.strip()]
        replies = [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        raise UserError(f'cannot read replies from "{name}": {error}; it needs one JSON string per line') from None
    if not all(isinstance(reply, str) for reply in replies):
        raise UserError(f'cannot read replies from "{name}": every line must be a JSON string')
    return Scripted(replies, free=True)


class Scripted:
    """Replies from a list, in order, or from a function of the request.

    An exception in the list, or returned by the function, is raised. ``requests`` keeps what was asked.
    """

    def __init__(
        self,
        replies: Iterable[str | Exception] | Callable[[Request], str | Exception],
        *,
        name: str = "scripted:test",
        free: bool = False,
    ) -> None:
        self.name = name
        self.info = ModelInfo(free=free)
        self.requests: list[Request] = []
        self._answer = replies if callable(replies) else None
        self._queue = iter(()) if callable(replies) else iter(replies)
        self.closed = False

    @property
    def calls(self) -> int:
        return len(self.requests)

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        text = self._answer(request) if self._answer else next(self._queue, None)
        if text is None:
            raise ModelError(f"{self.name}: the script is over after {self.calls - 1} replies")
        if isinstance(text, Exception):
            raise text
        return Reply(text=text, model=self.name, usage=self._usage(request, text))

    def _usage(self, request: Request, text: str) -> Usage:
        prompt = sum(estimate_tokens(message.content) for message in render(request))
        cost = 0.0 if self.info.free else None
        return Usage(calls=1, input_tokens=prompt, output_tokens=estimate_tokens(text), cost=cost)

    async def close(self) -> None:
        self.closed = True
