"""The agent with agentic retrieval (paper, sec. 2.4 and Algorithm 2): retrieves examples anew at every step."""

from __future__ import annotations

from lbi.agents import AgentParts
from lbi.agents.react import decide
from lbi.errors import ModelError, ParseError, UserError
from lbi.models import parsing
from lbi.protocols import Decision, Fields
from lbi.records import Observation, Step, Task, Usage
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.leakage import tags_later_than
from lbi.retrieval.texts import embedded_requests


def create(parts: AgentParts) -> Icl:
    if parts.index is None:
        raise UserError("agent icl needs an index of examples; give its arm data, or use the agent react")
    return Icl(parts, parts.index)


class Icl:
    """Observation and query -> examples -> reason and action."""

    name = "icl"

    def __init__(self, parts: AgentParts, index: ExampleIndex) -> None:
        self._parts = parts
        self._index = index

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        parts = self._parts
        query, usage = await self._query(task, history, observation)
        try:
            vector, task_vector = await embedded_requests(parts.embedder, query, task.instruction)
            excluded = tags_later_than(parts.dates, task.date)
            examples = self._index.search(
                task,
                observation,
                query,
                m1=parts.m1,
                m2=parts.m2,
                m3=parts.m3,
                exclude=excluded,
                vector=vector,
                task_vector=task_vector,
            )
            fields = Fields(task=task, history=history, observation=observation, actions=actions, examples=examples)
            decision = await decide(parts, fields)
        except (ModelError, ParseError) as error:
            error.usage += usage  # the query was paid for all the same
            raise
        return decision.model_copy(update={"usage": usage + decision.usage})

    async def _query(self, task: Task, history: tuple[Step, ...], observation: Observation) -> tuple[str, Usage]:
        parts = self._parts
        if parts.m2 <= 0 or not len(self._index):
            return "", Usage()
        if not parts.ask_query:
            return task.instruction, Usage()
        fields = Fields(task=task, history=history, observation=observation)
        return await parsing.ask(parts.query_model or parts.model, parts.request("query", fields), parsing.query)
