"""The agent with agentic retrieval (paper, sec. 2.4 and Algorithm 2): retrieves examples anew at every step.

A model is asked for a query less often than that: at the first step, and where a new kind of page is come to of which
the look-up by observation knows nothing. In between the last query holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from lbi.agents import AgentParts
from lbi.agents.react import decide
from lbi.errors import ModelError, ParseError, UserError
from lbi.models import parsing
from lbi.protocols import Decision, Fields, LookUp, Shown
from lbi.records import Observation, Step, Task, Usage
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.leakage import tags_later_than
from lbi.retrieval.lookups import asks, look_up_steps
from lbi.retrieval.texts import embedded_requests

Key = tuple[str, int, tuple[str, ...]]  # task, what was seen, what was done

KEPT = 8  # examples of an earlier look-up that a prompt may still show
MOST_REMEMBERED = 512  # look-ups


def create(parts: AgentParts) -> Icl:
    if parts.index is None:
        raise UserError("agent icl needs an index of examples; give its arm data, or use the agent react")
    return Icl(parts, parts.index)


@dataclass(frozen=True)
class Remembered:
    """What was searched for when a new kind of page was come to, and the best of what was found."""

    query: str | None  # None = nothing is left to do
    found: tuple[Shown, ...]
    asked: int | None = None  # the step at which the query was asked for; None = it is the instruction


class Icl:
    """Observation and query -> examples -> reason and action."""

    name = "icl"

    def __init__(self, parts: AgentParts, index: ExampleIndex) -> None:
        self._parts = parts
        self._index = index
        self._remembered: dict[Key, Remembered] = {}

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        fields, usage = await self.looked_up(task, history, observation, actions)
        try:
            decision = await decide(self._parts, fields)
        except (ModelError, ParseError) as error:
            error.usage += usage  # the query was paid for all the same
            raise
        return decision.model_copy(update={"usage": usage + decision.usage})

    async def looked_up(
        self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str
    ) -> tuple[Fields, Usage]:
        """What the model is asked with, examples among it, and what it cost to find them."""
        steps = look_up_steps(history, observation)
        look_ups = [await self._earlier(task, history, at) for at in steps if at < len(history)]
        query, asked = (look_ups[-1].query, look_ups[-1].asked) if look_ups else (task.instruction, None)
        usage = Usage()
        if steps[-1] == len(history) and self._asks(task, observation, len(history), asked):
            query, usage = await self._query(task, history, observation)
            asked = len(history)
        try:
            examples = await self._search(task, observation, query)
        except (ModelError, ParseError) as error:
            error.usage += usage
            raise
        if steps[-1] == len(history):
            remembered = Remembered(query, examples[:KEPT], asked)
            look_ups.append(self._remember(episode_key(task, history, observation), remembered))
        fields = Fields(
            task=task,
            history=history,
            observation=observation,
            actions=actions,
            examples=examples,
            look_ups=tuple(LookUp(step=at, found=look_up.found) for at, look_up in zip(steps, look_ups, strict=True)),
        )
        return fields, usage

    def _asks(self, task: Task, observation: Observation, step: int, asked: int | None) -> bool:
        parts = self._parts
        if parts.m2 <= 0 or not parts.ask_query or not len(self._index):
            return False
        excluded = tags_later_than(parts.dates, task.date)
        by_page = self._index.search(task, observation, "", m1=parts.m1, m2=0, exclude=excluded) if step else ()
        return asks(step, asked, by_page, observation)

    async def _query(self, task: Task, history: tuple[Step, ...], observation: Observation) -> tuple[str | None, Usage]:
        parts = self._parts
        fields = Fields(task=task, history=history, observation=observation)
        request = parts.request("query", fields)
        query, usage = await parsing.ask(parts.query_model or parts.model, request, parsing.query)
        return query or None, usage

    async def _search(self, task: Task, observation: Observation, query: str | None) -> tuple[Shown, ...]:
        if query is None:
            return ()
        parts = self._parts
        vector, task_vector = await embedded_requests(parts.embedder, query, task.instruction)
        return self._index.search(
            task,
            observation,
            query,
            m1=parts.m1,
            m2=parts.m2,
            m3=parts.m3,
            exclude=tags_later_than(parts.dates, task.date),
            vector=vector,
            task_vector=task_vector,
            by_words=parts.by_words,
        )

    async def _earlier(self, task: Task, history: tuple[Step, ...], at: int) -> Remembered:
        """What was looked up at an earlier step. If that is forgotten, it is searched for by the instruction."""
        key = episode_key(task, history[:at], history[at].observation)
        remembered = self._remembered.get(key)
        if remembered is not None:
            return remembered
        found = await self._search(task, history[at].observation, task.instruction)
        return self._remember(key, Remembered(task.instruction, found[:KEPT]))

    def _remember(self, key: Key, look_up: Remembered) -> Remembered:
        if len(self._remembered) >= MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[key] = look_up
        return look_up


def episode_key(task: Task, history: tuple[Step, ...], observation: Observation) -> Key:
    """Where an episode is, by what was seen, too: of one task several may take the same actions on different pages."""
    seen = hash((*(step.observation.text for step in history), observation.text))
    return task.id, seen, tuple(step.action.text for step in history)
