"""A run folder, kept open -> what our own agent would be shown for an instruction, told to somebody else's.

A thread of its own looks up for all who ask, one after the other: a look-up is a few milliseconds of work, during which
nobody else's stream has to stop, and who asks can stop waiting. The agent, its retrieval and its prompts are those of
``lbi retrieve`` (decision 0037).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from lbi.errors import UserError
from lbi.observations.frame import Frame
from lbi.prompts import estimate_tokens
from lbi.prompts.example import example_text
from lbi.prompts.history import place
from lbi.prompts.known import MOST_LOOK_UPS, Knowledge, messages_of
from lbi.protocols import PromptLimits, Shown
from lbi.records import Example, Observation, Step, Trajectory
from lbi.retrieval.index import ExampleIndex
from lbi.rollouts.asked import AskedAgent, ask_agent
from lbi.rollouts.learnt import Learnt, Use, folder_for_now, open_learnt, read_run
from lbi.storage.secrets import mask

T = TypeVar("T")
MOST_WAITING = 64  # look-ups at a time; more are refused at once, as they would come too late
EVERY = 1000  # look-ups of an episode
HEADING = 640  # characters of what stands around the examples of a look-up, about


class TooMany(UserError):
    """More look-ups wait than can be answered in time."""


@dataclass(frozen=True)
class Situation:
    """What somebody else's agent is to do, what it sees, and what it saw and did before."""

    instruction: str
    observation: Observation
    history: tuple[Step, ...] = ()


@dataclass(frozen=True)
class FoundExample:
    """An example that is shown, with the text by which it is told."""

    shown: Shown
    text: str

    @property
    def tokens(self) -> int:
        return estimate_tokens(self.text)


@dataclass(frozen=True)
class FoundMessage:
    """What our own agent's prompt says after so many steps, and the examples and skills in it."""

    step: int
    text: str
    examples: tuple[FoundExample, ...]
    skills: tuple[str, ...] = ()  # as votes call them

    @property
    def items(self) -> tuple[str, ...]:
        """All that is in it, as votes call it."""
        return (*(one.shown.example.id for one in self.examples), *self.skills)


@dataclass(frozen=True)
class Found:
    """What our own agent would be shown, in the order in which it was looked up."""

    messages: tuple[FoundMessage, ...] = ()

    @property
    def examples(self) -> list[FoundExample]:
        return [example for message in self.messages for example in message.examples]

    @property
    def items(self) -> list[str]:
        return [item for message in self.messages for item in message.items]

    @property
    def text(self) -> str:
        return "\n\n".join(message.text for message in self.messages)

    @property
    def tokens(self) -> int:
        return estimate_tokens(self.text)


class Finder:
    """Opened by ``open``, which raises UserError for what is no run or shows no examples; ``close`` it."""

    def __init__(self, run: Path, use: Use) -> None:
        self.run, self.use = run, use
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="look-ups", daemon=True)
        self._stack = AsyncExitStack()
        self._waiting = 0
        self._learnt: Learnt | None = None
        self._asked: AskedAgent | None = None
        self._index: ExampleIndex  # from when it is open

    def open(self) -> None:
        """Reads the run, and builds its index where that of the run does not fit."""
        self._thread.start()
        try:
            self._in_thread(self._open()).result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Harmless when done before."""
        if not self._thread.is_alive():
            return
        self._in_thread(self._stack.aclose()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def learnt(self) -> Learnt:
        assert self._learnt is not None, "not open"
        return self._learnt

    async def find(self, situation: Situation, *, most: int | None = None, max_tokens: int | None = None) -> Found:
        """What our agent would be shown. Raises UserError, also where too many wait.

        ``most`` examples and ``max_tokens`` in all; None = as many as the run's own prompts have room for.
        """
        return await self._do(self._find(situation, most, max_tokens))

    async def find_here(self, situation: Situation, room: int, skills: int = 0) -> Found:
        """The same with ``room`` characters for the examples of each look-up, and none of them given up, so that what
        is shown at a step does not change with what is found later. ``skills``: characters for those."""
        return await self._do(self._find_here(situation, room, skills))

    @property
    def limits(self) -> PromptLimits:
        assert self._asked is not None, "not open"
        return self._asked.limits

    def example(self, id_: str) -> tuple[Example, Trajectory] | None:
        return self._index.example(id_)

    def first_examples(self, count: int) -> list[Example]:
        return self._index.first(count)

    def knows(self, id_: str) -> bool:
        """Whether the run has an example that is live, of whatever kind."""
        return self._index.example(id_) is not None or id_ in self._live

    @cached_property
    def _live(self) -> frozenset[str]:
        """Those of other arms too; read when somebody asks for one that this arm does not have."""
        return frozenset(example.id for example, _ in self._read.examples)

    def whole_text(self, id_: str) -> str:
        """An example as prompts tell one, with all of its steps. Raises KeyError for one that there is not."""
        example, trajectory = self._known(id_)
        frame = Frame.of(page.text for page in trajectory.observations)
        shown = Shown(example=example, trajectory=trajectory, at=example.start, why="query")
        return mask(example_text(shown, 1 << 30, 1 << 30, frame, shortest=True) or "")

    def first_page(self, id_: str) -> str:
        example, trajectory = self._known(id_)
        return place(trajectory.observations[example.start])

    def _known(self, id_: str) -> tuple[Example, Trajectory]:
        found = self.example(id_)
        if found is None:
            raise KeyError(id_)
        return found

    def coverage(self) -> dict[str, Any]:
        """Which operations were learnt, on which kinds of pages, and how many examples there are of each."""
        counts = self._index.counts()
        operations, pages = (counts[what].most_common() for what in ("operations", "pages"))
        return {
            "application": self.learnt.context.environments.name,
            "examples": self.learnt.count,
            "tiers": dict(counts["tiers"]),
            "operations": [{"operation": mask(name) or "looks only", "examples": count} for name, count in operations],
            "pages": [{"page": mask(name), "examples": count} for name, count in pages],
        }

    # in the thread

    async def _open(self) -> None:
        read = await asyncio.to_thread(read_run, self.run, self.use)
        folder = self._stack.enter_context(folder_for_now())
        learnt = await self._stack.enter_async_context(open_learnt(self.run, read, self.use, folder))
        if learnt.arm.data == "none":
            raise UserError(f'the arm "{learnt.arm.name}" shows no examples; choose another with --arm')
        self._read = read
        self._learnt, self._asked = learnt, await ask_agent(learnt)
        index = (await learnt.indexes.of(learnt.arm.data, learnt.arm.share, learnt.among)).index
        assert index is not None, "an arm with data has an index"
        self._index = index
        await self._find(Situation("warm up", Observation(text="")), 1, None)  # loads templates and maps the index

    async def _find(self, situation: Situation, most: int | None, max_tokens: int | None) -> Found:
        request, limits = await self._request(situation)
        if max_tokens is not None:
            look_ups = min(max(len(request.fields.look_ups), 1), MOST_LOOK_UPS)
            limits = _within(limits, 4 * max_tokens // look_ups - HEADING)
        found = _found(messages_of(request.fields, limits, most))
        while max_tokens is not None and found.examples and found.tokens > max_tokens:  # other scripts than Latin
            found = _found(messages_of(request.fields, limits, len(found.examples) - 1))
        return found

    async def _find_here(self, situation: Situation, room: int, skills: int) -> Found:
        request, limits = await self._request(situation)
        bounded = _within(limits, room).model_copy(update={"knowledge": max(room, skills)})
        return _found(messages_of(request.fields, bounded, most_look_ups=EVERY))

    async def _do(self, work: Coroutine[Any, Any, T]) -> T:
        if self._waiting >= MOST_WAITING:
            work.close()
            raise TooMany(f"{MOST_WAITING} look-ups wait already; try again")
        self._waiting += 1
        try:
            return await asyncio.wrap_future(self._in_thread(work))
        finally:
            self._waiting -= 1

    async def _request(self, situation: Situation) -> tuple[Any, PromptLimits]:
        assert self._asked is not None
        request = await self._asked.request(situation.instruction, situation.observation, situation.history)
        return request, self._asked.limits

    def _in_thread(self, work: Coroutine[Any, Any, T]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop)


def _found(known: Knowledge) -> Found:
    """Secrets masked, as in every prompt. What comes after the same step is one message."""
    messages: list[FoundMessage] = []
    skills = known.skills
    for (step, text), examples in zip(known.messages, known.examples, strict=True):
        told = tuple(FoundExample(shown, mask(said)) for shown, said in examples)
        message = FoundMessage(step, mask(text), told, skills)
        if messages and messages[-1].step == step:
            before = messages.pop()
            message = FoundMessage(step, f"{before.text}\n\n{message.text}", told, before.skills)
        messages.append(message)
        skills = ()
    return Found(tuple(messages))


def _within(limits: PromptLimits, room: int) -> PromptLimits:
    room = max(room, 0)
    return limits.model_copy(update={"knowledge": room, "examples": room, "example": min(limits.example, room)})
