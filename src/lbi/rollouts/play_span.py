"""A verified example, by its id and values -> an agent that carries out its steps, for ``lbi act --span``.

No model is asked. Where the page is another than in the example it ends, and whoever asked for it is told the rest.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from lbi.agents.spans import reason_of
from lbi.errors import UserError
from lbi.protocols import Decision
from lbi.records import Action, Observation, Step, Task
from lbi.retrieval.span_steps import PageChanged, SpanUnderWay
from lbi.retrieval.spans import Parameter, SpanWithValues, find_span, problem_with_values
from lbi.rollouts.learnt import ReadRun


def span_of_run(read: ReadRun, id_: str, values: Mapping[str, str]) -> SpanWithValues:
    """Raises UserError for what there is not, what cannot be run, and for values that are missing or too many."""
    span = find_span(read.examples, id_, str(read.run))
    if problem := problem_with_values(span, values, _as_option):
        raise UserError(problem)
    return span.with_values(values)


def _as_option(parameter: Parameter) -> str:
    return f"--set {shlex.quote(f'{parameter.name}={parameter.value}')}"


def task_of(span: SpanWithValues, environment: str) -> Task:
    """What the example's instruction says with the new values, begun on the page on which the example begins."""
    first = span.span.trajectory.observations[span.span.example.start]
    return Task(instruction=span.instruction, environment=environment, start_url=span.address(first.url))


class PlaysSpan:
    """Takes the steps of one span, then ends the episode: with N/A and why where the page was another."""

    name = "spans"

    def __init__(self, span: SpanWithValues) -> None:
        self._span = span

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        under_way = SpanUnderWay(self._span, len(history))
        used = (self._span.span.example.id,)
        try:
            if under_way.is_over:
                under_way.check_end(observation)
                return _end("", "all steps were taken")
            if history and observation.error:
                raise PageChanged(observation.error)
            return Decision(action=under_way.next_action(observation), reason=reason_of(under_way), examples=used)
        except PageChanged as error:
            return _end(f"N/A: {error}", "the page is another than in the example")


def _end(answer: str, reason: str) -> Decision:
    return Decision(action=Action(text="", kind="finish", value=answer).grounded, reason=reason)
