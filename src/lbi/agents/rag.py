"""The baseline with documents: shows the passages that fit the instruction best, at every step (paper, sec. 3.2)."""

from __future__ import annotations

from lbi.agents import AgentParts
from lbi.agents.react import decide
from lbi.errors import UserError
from lbi.protocols import Decision, Fields
from lbi.records import Document, Observation, Step, Task
from lbi.retrieval.bm25 import Entry, TextIndex
from lbi.retrieval.leakage import date_tag, tags_later_than

MAX_DOCUMENTS = 50  # as in the paper


def create(parts: AgentParts) -> Rag:
    if not parts.documents:
        raise UserError("agent rag needs documents; name some in the config, or leave its arm out")
    if not 1 <= parts.top_documents <= MAX_DOCUMENTS:
        raise UserError(
            f"agent rag shows 1 to {MAX_DOCUMENTS} documents, not {parts.top_documents}; change retrieval.documents"
        )
    return Rag(parts)


class Rag:
    """Acts with the documents that the instruction finds. They are the same at every step, and looked up each time."""

    name = "rag"

    def __init__(self, parts: AgentParts) -> None:
        self._parts = parts
        self._documents = sorted(parts.documents, key=lambda document: document.id)
        self._dates = {document.date for document in self._documents}
        self._index = TextIndex.build(
            Entry(row, _text(document), tags=(date_tag(document.date),)) for row, document in enumerate(self._documents)
        )

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        fields = Fields(
            task=task,
            history=history,
            observation=observation,
            actions=actions,
            documents=self.documents(task.instruction, task.date),
        )
        return await decide(self._parts, fields)

    def documents(self, instruction: str, date: str = "") -> tuple[Document, ...]:
        """The passages for an instruction, best first. For a task with a date, none that is later."""
        hits = self._index.best(instruction, self._parts.top_documents, without=tags_later_than(self._dates, date))
        return tuple(self._documents[row] for row, _ in hits)


def _text(document: Document) -> str:
    return "\n".join((document.title, *document.headings, document.text))
