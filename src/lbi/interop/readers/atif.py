"""Trajectories in ATIF, the interchange format of Harbor: one JSON object, or one a line.

    {"schema_version": "ATIF-v1.8", "agent": {"name": ..., "version": ...}, "steps": [{"step_id": 1, "source": "user",
     "message": "Fix the test"}, {"step_id": 2, "source": "agent", "tool_calls": [...], "observation": {...}}]}

Calls and their results share a step. What was copied from an earlier trajectory is left out; those of sub-agents that
lie within are trajectories of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from lbi.interop.chat import returned, unknown_parts, words_of
from lbi.interop.events import Asked, By, Called, Event, Left, Returned, Said, Session, Spent, Thought, Unknown
from lbi.interop.source import Broken, Json, Source, items, number, table, text
from lbi.records import Usage

VERIFIED = "ATIF v1.8 by the models of harbor 0.26.0, 2026-11; v1.0 to v1.7 have no more than these fields"

_STEP = frozenset(
    "step_id timestamp source model_name reasoning_effort message reasoning_content tool_calls observation metrics "  # noqa: SIM905
    "is_copied_context llm_call_count extra".split()
)


def likelihood(source: Source) -> float:
    lines = source.head()
    return 1.0 if lines and text(lines[0].get("schema_version")).startswith("ATIF") and "steps" in lines[0] else 0.0


def read(source: Source) -> Iterator[Event]:
    head = source.head()
    if len(head) > 1:
        lines = source.lines()
    else:
        whole = source.document()
        lines = ((0, trajectory) for trajectory in items(whole if isinstance(whole, list) else [whole]))
    for at, trajectory in lines:
        if isinstance(trajectory.get("steps"), list):
            yield from _trajectory(trajectory, at, source.path.stem, "user")
        elif at:
            yield Unknown("line that is no trajectory", trajectory, line=at)
        else:
            raise Broken("an ATIF trajectory without steps")


def _trajectory(trajectory: Json, line: int, name: str, by: By) -> Iterator[Event]:
    agent = table(trajectory.get("agent"))
    id_ = text(trajectory.get("trajectory_id") or trajectory.get("session_id")) or name
    yield Session(
        id_,
        text(agent.get("name")) or "unknown",
        text(agent.get("version")),
        text(agent.get("model_name")),
        by=by,
        line=line,
    )
    for at, step in enumerate(items(trajectory.get("steps"))):
        yield from _step(step, f"{id_}/{at}", line)
    for at, inner in enumerate(items(trajectory.get("subagent_trajectories"))):
        yield from _trajectory(inner, line, f"{id_}/sub-agent {at}", "sub-agent")


def _step(step: Json, reply: str, line: int) -> Iterator[Event]:
    source, words = text(step.get("source")), words_of(step.get("message")).strip()
    for key in step.keys() - _STEP:
        yield Unknown(f"field of a step: {key}", {key: step[key]}, line=line)
    yield from unknown_parts(step.get("message"), line=line)
    if step.get("is_copied_context"):
        yield Left("step copied from an earlier trajectory", line=line)
    elif source == "system":
        yield Left("system message", line=line)
    elif source == "user":
        if words:
            yield Asked(words, line=line)
    elif source == "agent":
        yield from _agent(step, words, reply, line)
    else:
        yield Unknown(f"step of {source or 'nobody'}", step, line=line)


def _agent(step: Json, words: str, reply: str, line: int) -> Iterator[Event]:
    if thought := text(step.get("reasoning_content")).strip():
        yield Thought(thought, line=line)
    if words:
        yield Said(words, line=line)
    calls = items(step.get("tool_calls"))
    names = [text(call.get("tool_call_id")) or f"{reply}/{at}" for at, call in enumerate(calls)]
    for name, call in zip(names, calls, strict=True):
        yield Called(name, text(call.get("function_name")), call.get("arguments"), reply, line=line)
    results = items(table(step.get("observation")).get("results"))
    for at, result in enumerate(results):
        name = text(result.get("source_call_id")) or (names[at] if at < len(names) else "")
        yield _result(name, result, line)
    if metrics := table(step.get("metrics")):
        yield Spent(reply, _usage(metrics), line=line)


def _result(call: str, result: Json, line: int) -> Returned:
    extra = table(result.get("extra"))
    failed = bool(extra.get("is_error") or extra.get("error"))
    return returned(call, words_of(result.get("content")), failed, line=line)


def _usage(metrics: Json) -> Usage:
    cost = metrics.get("cost_usd")
    return Usage(
        calls=1,
        input_tokens=number(metrics.get("prompt_tokens")),
        output_tokens=number(metrics.get("completion_tokens")),
        cached_tokens=number(metrics.get("cached_tokens")),
        cost=float(cost) if isinstance(cost, int | float) and 0 <= cost < 1e9 else None,
    )
