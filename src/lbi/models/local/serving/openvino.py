"""OpenVINO GenAI: on CPUs three times as fast as llama.cpp at reading prompts, of a few architectures at 8 bits.

One thread steps all requests together; what begins like an earlier prompt is read from its cache.
"""

from __future__ import annotations

import asyncio
import math
import queue
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy

from lbi.models.local.serving.grammar import grammar_of
from lbi.models.local.serving.prefixes import Prefixes
from lbi.models.local.serving.protocol import Answer, Ask, Order, TooLong, Unusable
from lbi.models.local.serving.rounds import goes_round

#: tokens that its tokenizer for GGUF files makes of a text at most; what is beyond is dropped without a word
_MOST_AT_ONCE = 8_192
_PART = 4_000  # characters
#: where a text can be cut so that its tokens are the same: after a line break, before what is no blank
_CUT = re.compile(r"(?<=\n)(?=\S)")


@dataclass
class _Work:
    """A request on its way through the engine."""

    ask: Ask
    tokens: list[int]
    input: Any
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Answer]
    cached: int = 0
    handle: Any = None
    written: list[int] = field(default_factory=list)
    rounds: bool = False  # it was stopped, as it repeated itself without end
    given_up: threading.Event = field(default_factory=threading.Event)


class OpenVino:
    """One model."""

    def __init__(self, order: Order) -> None:
        import openvino_genai

        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = True
        scheduler.max_num_seqs = order["slots"]
        scheduler.cache_size = max(1, math.ceil(order["cache_bytes"] / 1e9))
        properties = {"INFERENCE_NUM_THREADS": order["threads"]}
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(order["file"], scheduler, "CPU", properties)
        self._tokenizer = self._pipeline.get_tokenizer()
        self._context, self._template = order["context"], order["chat_template"]
        self._prefixes = Prefixes(int(scheduler.cache_size * 1e9 / max(1, order["cache_bytes"]) * order["context"]))
        self._queue: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self._working: list[_Work] = []
        self._slots, self._count, self._moved = order["slots"], 0, time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def moved(self) -> float:
        return self._moved

    async def answer(self, ask: Ask) -> Answer:
        import openvino

        loop = asyncio.get_running_loop()
        prompt = self._tokenizer.apply_chat_template(ask.messages, True, self._template)
        ids = [token for part in _parts(prompt) for token in self._tokens(part)]
        if len(ids) + ask.max_tokens > self._context:
            raise TooLong(
                f"{len(ids)} tokens of the prompt and {ask.max_tokens} of the reply exceed the context of "
                f"{self._context} tokens"
            )
        tensor = openvino.Tensor(numpy.array([ids], dtype=numpy.int64))
        work = _Work(ask, ids, tensor, loop, loop.create_future())
        if not self._working:
            self._moved = time.monotonic()
        self._queue.put(work)
        try:
            return await work.done
        finally:
            work.given_up.set()  # whoever asked is gone, or has the answer

    def _tokens(self, text: str) -> list[int]:
        ids = [int(token) for token in self._tokenizer.encode(text, add_special_tokens=False).input_ids.data.flatten()]
        if len(ids) >= _MOST_AT_ONCE:
            raise TooLong(f"one line of the prompt has {_MOST_AT_ONCE} tokens or more, which OpenVINO cuts off unsaid")
        return ids

    def _run(self) -> None:
        while True:
            self._take_in()
            self._pipeline.step()
            self._moved = time.monotonic()
            self._working = [work for work in self._working if not self._finished(work)]

    def _take_in(self) -> None:
        """Begin what waits, as long as there are slots; with nothing to do, wait for something."""
        while len(self._working) < self._slots and (not self._working or not self._queue.empty()):
            work = self._queue.get()
            if work.given_up.is_set():
                continue
            try:
                work.handle = self._pipeline.add_request(self._count, work.input, _settings(work.ask))
            except (RuntimeError, Unusable) as error:
                _tell(work, Unusable(" ".join(str(error).split())[:300]))
                continue
            self._count += 1
            work.cached = self._prefixes.known(work.tokens)
            self._working.append(work)

    def _finished(self, work: _Work) -> bool:
        import openvino_genai

        status, reason = work.handle.get_status(), None
        while work.handle.can_read():
            for output in work.handle.read().values():
                work.written.extend(int(token) for token in output.generated_ids)
                reason = output.finish_reason
        if status == openvino_genai.GenerationStatus.RUNNING:
            if work.given_up.is_set():
                work.handle.cancel()
            elif not work.rounds and goes_round(work.written):
                work.rounds = True
                work.handle.stop()
            return False
        if not work.written:
            _tell(work, Unusable(f"the engine gave up ({status})"))
            return True
        self._prefixes.learn([*work.tokens, *work.written])
        answer = Answer(
            text=self._tokenizer.decode(work.written),
            truncated=work.rounds or reason == openvino_genai.GenerationFinishReason.LENGTH,
            prompt=len(work.tokens),
            cached=work.cached,
            reply=len(work.written),
        )
        _tell(work, answer)
        return True


def _parts(text: str) -> Iterator[str]:
    """The text in parts of a few thousand characters, each of whole lines."""
    part = ""
    for line in _CUT.split(text):
        if part and len(part) + len(line) > _PART:
            yield part
            part = ""
        part += line
    yield part


def _settings(ask: Ask) -> Any:
    import openvino_genai

    settings = openvino_genai.GenerationConfig()
    settings.max_new_tokens = ask.max_tokens
    settings.apply_chat_template = False  # it was applied, to count the tokens
    settings.do_sample = ask.temperature > 0
    if settings.do_sample:
        settings.temperature, settings.rng_seed = ask.temperature, ask.seed
    if ask.schema is not None:
        held = openvino_genai.StructuredOutputConfig()
        held.grammar = grammar_of(ask.schema)
        settings.structured_output_config = held
    return settings


def _tell(work: _Work, outcome: Answer | Exception) -> None:
    def set_outcome() -> None:
        if work.done.done():
            return
        if isinstance(outcome, Exception):
            work.done.set_exception(outcome)
        else:
            work.done.set_result(outcome)

    work.loop.call_soon_threadsafe(set_outcome)
