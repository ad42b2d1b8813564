"""One file per agent; its name is the agent's, and its ``create(parts)`` makes one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lbi import plugins
from lbi.protocols import Agent, Fields, Model, Request, Role
from lbi.records import Document

if TYPE_CHECKING:
    from lbi.models.embeddings import Embedder
    from lbi.retrieval.index import ExampleIndex


@dataclass(frozen=True)
class Parts:
    """What an agent may be made of; each takes what it needs and says what is missing."""

    model: Model
    query_model: Model | None = None
    """Writes the queries; None = ``model`` does."""
    index: ExampleIndex | None = None
    """Where the examples come from; which examples those are decides the arm, not the agent."""
    embedder: Embedder | None = None
    """Embeds the queries, for an index that holds vectors."""
    documents: Sequence[Document] = ()
    dates: Collection[str] = ()
    """All dates that examples in the index are of, for tasks that have one themselves (lbi.retrieval.leakage)."""
    m1: int = 5
    """At most so many examples by the observation."""
    m2: int = 5
    """At most so many more by the query; 0 = no query is written."""
    m3: int = 0
    """At most so many more from pages that say most of what the instruction says."""
    ask_query: bool = True
    """False = the instruction is the query, which costs no call."""
    top_documents: int = 5
    sample: int = 0
    """Tells attempts and seeds apart in the cache of calls."""
    seed: int = 0
    """Of an agent that chooses by chance."""
    temperature: float = 0.0
    max_tokens: int = 4096  # a reply may hold the whole text of a page
    stage: str = ""
    """Whom the calls are booked to."""

    def request(self, role: Role, fields: Fields) -> Request:
        """A request with the settings that all of an agent's requests share."""
        return Request(
            role=role,
            fields=fields,
            sample=self.sample,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            stage=self.stage,
        )


def agent_names() -> tuple[str, ...]:
    return plugins.names("agents")


def open_agent(name: str, parts: Parts) -> Agent:
    """The agent called ``name``, made of ``parts``."""
    agent: Agent = plugins.load("agents", name).create(parts)
    return agent
