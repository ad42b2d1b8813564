"""The agent with spans as actions: like ``icl``, and one call of the model can carry out a verified example whole.

    ACTION: span("3f2a91c0", name="Eggs", shelf="top")  ->  click(link "New item"), fill(textbox "Name", "Eggs"), ...

Every step within is an ordinary one: counted, recorded, asked about, and taken only if the page is as it was in the
example. Where it is not, the model is told why, is shown the rest of the example, and goes on by itself. Not in the
paper (decision 0052).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lbi.agents import AgentParts
from lbi.agents.icl import MOST_REMEMBERED, Icl, Key, episode_key
from lbi.agents.react import decide
from lbi.errors import ModelError, ParseError, UserError
from lbi.models import parsing
from lbi.prompts.template import one_line, shorter
from lbi.protocols import Decision, Fields, LookUp, Shown
from lbi.records import Observation, Step, Task
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.span_steps import PageChanged, SpanUnderWay, startable
from lbi.retrieval.spans import (
    SPAN_ACTION,
    ExecutableSpan,
    executable,
    is_span_call,
    problem_with_values,
    read_span_call,
)

MOST_OFFERED = 5  # spans at one step
LEAST_STEPS = 2  # of an offered span, as a single step is as well taken itself
LONGEST = 160  # characters of what an offered span does


def create(parts: AgentParts) -> Spans:
    if parts.index is None:
        raise UserError("agent spans needs an index of examples; give its arm data, or use the agent react")
    return Spans(parts, parts.index)


class WrongSpanCall(ParseError):
    """A call of a span that is not offered, or with other values than it takes; ``action`` is how it was written."""

    def __init__(self, message: str, reply: str, reason: str, action: str) -> None:
        super().__init__(message, reply)
        self.reason, self.action = reason, action


class Spans:
    """Goes on with the span that is under way; else asks the model, which may call another one."""

    name = "spans"

    def __init__(self, parts: AgentParts, index: ExampleIndex) -> None:
        self._parts, self._icl = parts, Icl(parts, index)
        self._under_way: dict[Key, SpanUnderWay] = {}

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        under_way = self._last_step(task, history)
        self._under_way.pop(episode_key(task, history, observation), None)  # of an episode that was here before
        stopped: tuple[str, ...] = ()
        if under_way is not None:
            try:
                if not under_way.is_over:
                    return self._go_on(under_way, task, history, observation)
                under_way.check_end(observation)
            except PageChanged as error:
                stopped = tuple(_told(under_way, error))
        fields, usage = await self._icl.looked_up(task, history, observation, f"{actions}\n{SPAN_ACTION}")
        spans = {span.id: span for span in _offered(fields.examples, observation)}
        fields = fields.model_copy(update={"offered": tuple(map(_line, spans.values())), "stopped": stopped})
        if stopped and under_way is not None:
            fields = _with_rest(fields, under_way)
        try:
            decision = await decide(self._parts, fields, _reader(spans, observation))
        except WrongSpanCall as error:  # the environment says that it is no action of its own, which costs the step
            return Decision(action=error.action, reason=error.reason, usage=usage + error.usage)
        except (ModelError, ParseError) as error:
            error.usage += usage  # the query was paid for all the same
            raise
        decision = decision.model_copy(update={"usage": usage + decision.usage})
        return self._begin(decision, spans, task, history, observation) if is_span_call(decision.action) else decision

    def _last_step(self, task: Task, history: tuple[Step, ...]) -> SpanUnderWay | None:
        """The span that the last step was of, with that step taken."""
        if not history:
            return None
        before = self._under_way.get(episode_key(task, history[:-1], history[-1].observation))
        return before.after_step() if before else None

    def _begin(
        self,
        decision: Decision,
        spans: dict[str, ExecutableSpan],
        task: Task,
        history: tuple[Step, ...],
        observation: Observation,
    ) -> Decision:
        """The first step of the span that was called."""
        id_, values = read_span_call(decision.action)
        first = self._go_on(SpanUnderWay(spans[id_].with_values(values)), task, history, observation)
        return decision.model_copy(
            update={"action": first.action, "reason": f"{decision.reason} ({first.reason})".strip()}
        )

    def _go_on(
        self, under_way: SpanUnderWay, task: Task, history: tuple[Step, ...], observation: Observation
    ) -> Decision:
        """The next step of a span. Raises PageChanged."""
        if under_way.taken and observation.error:
            raise PageChanged(observation.error)
        action = under_way.next_action(observation)
        if len(self._under_way) >= MOST_REMEMBERED:
            del self._under_way[next(iter(self._under_way))]
        self._under_way[episode_key(task, history, observation)] = under_way
        return Decision(action=action, reason=reason_of(under_way), examples=(under_way.span.example.id,))


def reason_of(under_way: SpanUnderWay) -> str:
    """Why a step of a span is taken, for people."""
    return f"step {under_way.taken + 1} of {len(under_way.of.actions)} of span {under_way.span.id}"


def _reader(spans: dict[str, ExecutableSpan], observation: Observation) -> parsing.Parser[tuple[str, str]]:
    """Reads a reply; of a call of a span also whether it can be made, so that the model is asked once more if not."""

    def read(reply: str) -> tuple[str, str]:
        reason, action = parsing.act(reply)
        if is_span_call(action) and (problem := _problem(action, spans, observation)):
            raise WrongSpanCall(problem, reply, reason, action)
        return reason, action

    return read


def _problem(action: str, spans: dict[str, ExecutableSpan], observation: Observation) -> str:
    try:
        id_, values = read_span_call(action)
    except ValueError as error:
        return str(error)
    if id_ not in spans:
        return f"there is no span {id_!r} to be called from this page; there are: {', '.join(spans) or 'none'}"
    if problem := problem_with_values(spans[id_], values, lambda each: f'{each.name}="{each.value}"'):
        return problem
    try:
        SpanUnderWay(spans[id_].with_values(values)).next_action(observation)
    except PageChanged as error:
        return f"span {id_} cannot be begun with these values: {error}"
    return ""


def _offered(examples: Iterable[Shown], observation: Observation) -> Iterator[ExecutableSpan]:
    """Of the examples that were found, those that can be carried out from this page; none of the same way twice."""
    ways: set[tuple[str, ...]] = set()
    for shown in examples:
        span = executable(shown.example, shown.trajectory)
        if span is None or len(span.actions) < LEAST_STEPS or len(ways) >= MOST_OFFERED:
            continue
        way = (*(f"{a.kind} {a.role} {a.name}" for a in span.actions), *(each.name for each in span.parameters))
        if way not in ways and startable(span, observation):
            ways.add(way)
            yield span


def _line(span: ExecutableSpan) -> str:
    return f"{span.call}  {shorter(one_line(span.example.instruction), LONGEST)} ({len(span.actions)} steps)"


def _told(under_way: SpanUnderWay, error: PageChanged) -> Iterator[str]:
    taken, all_ = under_way.taken, len(under_way.of.actions)
    yield f"after step {taken} of {all_}: {one_line(str(error))}"
    yield from (f"not taken: {action.written}" for action in under_way.rest)


def _with_rest(fields: Fields, under_way: SpanUnderWay) -> Fields:
    """The example of a span that stopped, before all others that were looked up now, at the step where it stopped."""
    example, trajectory = under_way.span.example, under_way.span.trajectory
    rest = Shown(example=example, trajectory=trajectory, at=min(under_way.at, example.end), why="content")
    others = tuple(each for each in fields.examples if each.example.id != example.id)
    step = len(fields.history)
    earlier = tuple(each for each in fields.look_ups if each.step != step)
    now = tuple(each for look_up in fields.look_ups if look_up.step == step for each in look_up.found)
    found = (rest, *(each for each in now if each.example.id != example.id))
    look_ups = (*earlier, LookUp(step=step, found=found))
    return fields.model_copy(update={"examples": (rest, *others), "look_ups": look_ups})
