"""Agents: one file for each, called like the agent, with ``create(parts)``."""

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
    from lbi.retrieval.skills import SkillShelf


@dataclass(frozen=True)
class AgentParts:
    """What agents are made of. Each takes what it needs, and raises UserError for what is missing."""

    model: Model
    query_model: Model | None = None
    """Writes the queries of agentic retrieval; None = ``model`` does."""
    index: ExampleIndex | None = None
    """The examples to retrieve from. Which ones are in it is decided by the arm of the evaluation, not by the agent."""
    embedder: Embedder | None = None
    """Embeds the queries, for an index that holds vectors; None = examples are compared with them by words alone."""
    by_words: bool = True
    """False = by vectors alone, which takes an ``embedder``."""
    documents: Sequence[Document] = ()
    """The documentation, for agents that retrieve passages of it."""
    skills: SkillShelf | None = None
    """Skills of which those are shown that fit the instruction."""
    dates: Collection[str] = ()
    """All dates of examples in the index. A task with a date is not shown later examples (lbi.retrieval.leakage)."""
    m1: int = 5
    """Maximum number of examples retrieved by the observation (paper, Algorithm 2)."""
    m2: int = 5
    """Maximum number of further examples retrieved by the query (paper, Algorithm 2); 0 = no query is written."""
    m3: int = 0
    """Maximum number of further examples from pages whose text fits the instruction best (not in the paper)."""
    ask_query: bool = True
    """Let the model write the query. False = the instruction is the query, which costs no call."""
    top_documents: int = 5
    """Number of passages of the documentation to show."""
    sample: int = 0
    """Tells attempts and seeds apart in the cache of calls."""
    seed: int = 0
    """Seed of an agent that makes random choices."""
    temperature: float = 0.0
    max_tokens: int = 4096  # a reply may hold the whole text of a page
    stage: str = ""
    """The stage under which the agent's calls are metered."""

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


def open_agent(name: str, parts: AgentParts) -> Agent:
    """The agent called ``name``, made of ``parts``. Raises UserError for an unknown name or a missing part."""
    agent: Agent = plugins.load("agents", name).create(parts)
    return agent
