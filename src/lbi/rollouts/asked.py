"""An arm's agent, asked to act on a model that answers nothing -> the request that it would have sent.

Nothing here knows how an agent retrieves, so what is shown of a request is what would be sent (decision 0037).
"""

from __future__ import annotations

from collections.abc import Sequence

from lbi.environments import actions_of
from lbi.errors import LbiError, UserError
from lbi.evaluation.arm_agents import agent_of_arm
from lbi.models import parsing
from lbi.models.registry import MissingKey, open_model
from lbi.protocols import Agent, Model, ModelInfo, PromptLimits, Reply, Request
from lbi.records import Observation, Step, Task
from lbi.rollouts.learnt import Learnt


class _Taken(LbiError):
    """The prompt that an agent wanted to send."""

    def __init__(self, request: Request) -> None:
        super().__init__("the prompt was taken, and no model was asked")
        self.request = request


class _TakesPrompt:
    """A model that takes the prompt for an action, and lets another one answer the question for a query."""

    def __init__(self, name: str, limits: PromptLimits, writes_queries: Model | None) -> None:
        self.name, self.info = name, ModelInfo(limits=limits)
        self._queries = writes_queries
        self.query = ""

    async def complete(self, request: Request) -> Reply:
        if request.role != "query" or self._queries is None:
            raise _Taken(request)
        reply = await self._queries.complete(request)
        self.query = parsing.query(reply.text)
        return reply

    async def close(self) -> None:
        return None


class AskedAgent:
    """The agent of an arm, and what its prompts may hold. ``note``: what of that is not certain."""

    def __init__(self, learnt: Learnt, agent: Agent, model: _TakesPrompt, note: str) -> None:
        self.limits, self.note = model.info.limits, note
        self._environment, self._actions = learnt.context.environments.name, actions_of(learnt.context.config)
        self._agent, self._model = agent, model

    @property
    def query(self) -> str:
        """The last query that a model wrote; "" = none was asked for one."""
        return self._model.query

    async def request(self, instruction: str, page: Observation, history: Sequence[Step] = ()) -> Request:
        """What the agent would ask its model on this page.

        Raises UserError for an empty instruction, and for an agent that cannot do without a query of a model.
        """
        if not instruction.strip():
            raise UserError("the instruction is empty; say what is to be done")
        task = Task(instruction=instruction.strip(), environment=self._environment)
        try:
            decision = await self._agent.act(task, tuple(history), page, self._actions)
        except _Taken as taken:
            request = taken.request
        else:
            raise UserError(f"the agent {self._agent.name} asks no model; it would do {decision.action}")
        if request.role != "act":
            raise UserError(f"the agent {self._agent.name} lets a model write its query; add --ask")
        return request


async def ask_agent(learnt: Learnt, *, ask: bool = False) -> AskedAgent:
    """The agent that would act with what was learnt. ``ask``: its model writes the queries, and is paid for them."""
    context = learnt.context
    limits, note = await _limits(learnt)
    model = _TakesPrompt(context.config.models.of("act"), limits, context.role("query") if ask else None)
    agent = await agent_of_arm(context, learnt.arm, learnt.indexes, sample=learnt.seed, model=model, ask_query=ask)
    return AskedAgent(learnt, agent, model, note)


async def _limits(learnt: Learnt) -> tuple[PromptLimits, str]:
    """What the prompts of the acting model may hold, and what is not certain of that."""
    config = learnt.context.config
    spec, models = config.models.of("act"), config.models
    try:
        model = open_model(spec, base_url=models.base_url if spec.startswith("openai:") else "", limits=config.limits)
    except MissingKey:
        return config.limits, f"there is no key for {spec}, so the form of its replies in the prompt may be another"
    await model.close()
    reads = (
        ""
        if model.info.language_model
        else f"the model {spec} reads the examples themselves, all that were found, and no prompt"
    )
    return model.info.limits, reads
