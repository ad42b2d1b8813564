"""An arm -> its agent, made as the evaluation makes it: with the arm's index, the run's models, m1 and m2."""

from __future__ import annotations

from lbi.agents import AgentParts, open_agent
from lbi.config import Arm
from lbi.context import RunContext
from lbi.evaluation.indexes import ArmIndexes
from lbi.protocols import Agent, Model


async def agent_of_arm(
    context: RunContext,
    arm: Arm,
    indexes: ArmIndexes,
    *,
    share: float = 1.0,
    sample: int = 0,
    stage: str = "",
    model: Model | None = None,
    query_model: Model | None = None,
    ask_query: bool = True,
) -> Agent:
    """The agent of an arm. ``share`` < 1: it may retrieve from a part of the data only.

    ``model`` and ``query_model`` take the place of the arm's and the run's own, which are then not opened.
    """
    if arm.model and model is None:
        model = query_model = context.model(arm.model)
    arm_index = await indexes.of(arm.data, share * arm.share, arm.among(context.config.evaluation))
    look_up = arm.retrieval(context.config.retrieval)
    parts = AgentParts(
        model=model or context.role("act"),
        query_model=query_model or (None if model else context.role("query")),
        index=arm_index.index,
        embedder=None if arm.ranking == "lexical" else context.embedder,
        by_words=arm.ranking != "dense",
        documents=indexes.documents,
        skills=indexes.shelf() if arm.skills else None,
        dates=arm_index.dates,
        m1=look_up.m1,
        m2=look_up.m2,
        m3=look_up.m3,
        ask_query=ask_query and look_up.asks,
        top_documents=context.config.retrieval.documents,
        sample=sample,
        stage=stage,
    )
    return open_agent(arm.agent, parts)
