"""LATS (Zhou et al. 2024): a tree search over actions, with the model as its own judge of states (paper, table 2).

A node is a state that was reached by actions. Over and over the most promising leaf is taken (by the upper confidence
bound), several actions are sampled there, each is carried out, and the model says how near the objective each state is.
The value of a state is 0.8 of what the model says and 0.2 of how many samples agreed on the action that led there, and
goes into the average of all states above it. As in the paper: 5 actions, depth 15, value weight 0.8. It reports 15.3 /
21.0 / 6.5 / 11.3 with Gemini and 55.2 / 41.3 / 16.8 / 11.2 with Claude on SWE-bench, WebArena, OSWorld and Spider2-V.

Ours differs: the paper does not say how often it expanded (here 10 times), nor whether it rolled out further from a new
state (here not: its value is asked for at once) or reflected on failures (here not; that is what ``reflexion`` is for).
A state is restored by the environment where it keeps states (``KeepsStates``: a shell's, in its sandbox), else by a
reset and its actions once more, as a page holds what no copy of its application has. The episode ends with the first
finished state that the model is sure of (at least 0.9), else with the best finished one, else with the best; that one
is restored, so that the environment is left as the trajectory tells.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lbi.agents import AgentParts
from lbi.agents.react import decide
from lbi.errors import OF_ONE_REPLY, ModelError, ParseError, is_outage
from lbi.models import parsing
from lbi.monitoring.calls_made import calls_made
from lbi.protocols import Decision, Episode, Fields, KeepsStates, Role
from lbi.records import Observation, Step, StopReason, Task, Trajectory, Usage

ACTIONS = 5
DEPTH = 15
WEIGHT = 0.8  # of the model's value; the rest is how many samples agreed
EXPANSIONS = 10
EXPLORES = 1.0  # weight of what was seldom tried, in the upper confidence bound
SURE = 0.9
TEMPERATURE = 1.0  # of the samples


def most_calls(step_limit: int) -> dict[Role, int]:
    return {"act": EXPANSIONS * ACTIONS, "value": EXPANSIONS * ACTIONS}


def create(parts: AgentParts) -> Lats:
    return Lats(parts)


@dataclass
class Node:
    """A state: how it was reached, and what the search thinks of it."""

    observation: Observation
    steps: tuple[Step, ...] = ()
    done: bool = False
    answer: str = ""
    kept: str = ""  # the environment's name of this state, where it keeps states
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    value: float = 0.0  # of the state itself
    visits: int = 0
    total: float = 0.0  # of the values of all states from here on

    @property
    def is_end(self) -> bool:
        return self.done or len(self.steps) >= DEPTH

    def bound(self) -> float:
        """How promising it is to go on from here; what was not tried yet comes first."""
        if not self.visits or self.parent is None:
            return math.inf
        return self.total / self.visits + EXPLORES * math.sqrt(math.log(self.parent.visits) / self.visits)


class Sample(NamedTuple):
    """An action that was sampled, the keys of the calls that brought it, and the share of the samples that had it."""

    decision: Decision
    calls: tuple[str, ...]
    share: float


class Lats:
    """Sample, try, judge, go on where it looks best."""

    name = "lats"

    def __init__(self, parts: AgentParts, *, actions: int = ACTIONS, expansions: int = EXPANSIONS) -> None:
        self._parts, self._actions, self._expansions = parts, actions, expansions

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        """One step without a search, where somebody else leads the episode."""
        fields = Fields(task=task, history=history, observation=observation, actions=actions)
        return await decide(self._parts, fields)

    async def play(self, episode: Episode) -> Trajectory:
        return await _Search(self._parts, episode, self._actions, self._expansions).run()


class _Search:
    def __init__(self, parts: AgentParts, episode: Episode, actions: int, expansions: int) -> None:
        self.parts, self.episode = parts, episode
        self.actions, self.expansions = actions, expansions
        self.depth = min(DEPTH, episode.step_limit)
        self.spent = Usage()
        self.failure = ""  # of the model, for good
        self.lost = ""  # why the last reply that could not be used was none
        self.kept: list[str] = []

    async def run(self) -> Trajectory:
        try:
            return await self._search()
        finally:
            await self._drop_states()

    async def _search(self) -> Trajectory:
        root = Node(await self.episode.environment.reset(self.episode.task))
        at = root  # where the environment is
        found: list[Node] = []
        for _ in range(self.expansions):
            leaf = self._leaf(root)
            if leaf is None:
                break
            for sample in await self._sampled(leaf):
                if at is not leaf:
                    await self._restore(leaf)
                child = at = await self._try(leaf, sample)
                leaf.children.append(child)
                found.append(child)
                child.value = WEIGHT * await self._value(child) + (1 - WEIGHT) * sample.share
                _give_back(child)
            if self.failure or any(node.done and node.value >= SURE for node in found):
                break
        best = max(found, key=lambda node: (node.done, node.value), default=root)
        if at is not best:
            best = await self._restore(best)
        return self._trajectory(best)

    def _leaf(self, root: Node) -> Node | None:
        """The most promising state that was not gone on from; None where there is none."""
        open_ones = [root]
        while open_ones:
            node = max(open_ones, key=Node.bound)
            if not node.children:
                return None if node.is_end or len(node.steps) >= self.depth else node
            open_ones = [child for child in node.children if self._goes_on(child)]
        return None

    def _goes_on(self, node: Node) -> bool:
        if node.children:
            return any(self._goes_on(child) for child in node.children)
        return not node.is_end and len(node.steps) < self.depth

    async def _sampled(self, node: Node) -> list[Sample]:
        """The different actions of several samples, and which share of the samples each had."""
        fields = Fields(
            task=self.episode.task,
            history=node.steps,
            observation=node.observation,
            actions=self.episode.environment.actions,
        )
        decisions: list[tuple[Decision, tuple[str, ...]]] = []
        for number in range(self.actions):
            request = self.parts.request("act", fields)
            sample = request.sample * self.actions + number  # none is the sample of another seed
            request = request.model_copy(update={"sample": sample, "temperature": TEMPERATURE})
            try:
                with calls_made() as calls:
                    (reason, action), usage = await parsing.ask(self.parts.model, request, parsing.act)
            except (ModelError, ParseError) as error:
                self._failed(error)
                continue
            self.spent += usage
            decisions.append((Decision(action=action, reason=reason, usage=usage), tuple(calls)))
        counts = Counter(decision.action for decision, _ in decisions)
        first = {made[0].action: made for made in reversed(decisions)}
        return [Sample(*first[action], count / len(decisions)) for action, count in counts.most_common()]

    async def _try(self, leaf: Node, sample: Sample) -> Node:
        outcome = await self.episode.environment.step(sample.decision.action)
        step = Step(
            observation=leaf.observation,
            reason=sample.decision.reason,
            action=outcome.action,
            calls=sample.calls,
        )
        steps, kept = (*leaf.steps, step), await self._keep()
        return Node(outcome.observation, steps, outcome.done, outcome.answer, kept, parent=leaf)

    async def _keep(self) -> str:
        environment = self.episode.environment
        state = await environment.keep_state() if isinstance(environment, KeepsStates) else ""
        if state:
            self.kept.append(state)
        return state

    async def _drop_states(self) -> None:
        environment = self.episode.environment
        if isinstance(environment, KeepsStates):
            for state in self.kept:
                await environment.drop_state(state)

    async def _restore(self, node: Node) -> Node:
        """Put the environment into a state; the state as it is seen now."""
        environment = self.episode.environment
        if node.kept and isinstance(environment, KeepsStates):
            return replace(node, observation=await environment.return_to(node.kept))
        observation = await self.episode.environment.reset(self.episode.task)
        steps: list[Step] = []
        done, answer = False, ""
        for step in node.steps:
            outcome = await self.episode.environment.step(step.action.grounded)
            steps.append(step.model_copy(update={"observation": observation}))
            observation, done, answer = outcome.observation, outcome.done, outcome.answer
        return Node(observation, tuple(steps), done, answer, parent=node.parent)

    async def _value(self, node: Node) -> float:
        fields = Fields(task=self.episode.task, history=node.steps, observation=node.observation)
        try:
            value, usage = await parsing.ask(self.parts.model, self.parts.request("value", fields), parsing.value)
        except (ModelError, ParseError) as error:
            self._failed(error)
            return 0.0
        self.spent += usage
        return value

    def _failed(self, error: ModelError | ParseError) -> None:
        """A reply that cannot be used costs one sample. A model that fails for good ends the search, with what it has.

        A small model that writes without end about one state may well say something of the next.
        """
        self.spent += error.usage
        if is_outage(error):
            raise error
        self.lost = str(error)
        if isinstance(error, ModelError) and error.kind not in OF_ONE_REPLY:
            self.failure = str(error)

    def _trajectory(self, node: Node) -> Trajectory:
        failure = self.failure or (self.lost if not node.steps else "")
        stop: StopReason = "done" if node.done else "model_failure" if failure else "step_limit"
        return Trajectory(
            task=self.episode.task,
            agent=Lats.name,
            attempt=self.episode.attempt,
            steps=node.steps,
            last=node.observation,
            stop=stop,
            answer=node.answer,
            error="" if node.done else failure,
            beside=self.spent,
        )


def _give_back(node: Node) -> None:
    """Its value counts for all states that it was reached from."""
    value, at = node.value, node
    while True:
        at.visits += 1
        at.total += value
        if at.parent is None:
            return
        at = at.parent
