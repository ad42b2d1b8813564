"""Conversations of the OpenHands SDK: a folder with `base_state.json` and a file for each event, a tree by `parent_id`.

    events/event-00002-3c48....json
    {"kind": "ActionEvent", "id": "3c48...", "parent_id": "b435...", "tool_name": "reserve", "tool_call_id": "c1",
     "thought": [{"type": "text", "text": "Both at once."}], "tool_call": {"name": ..., "arguments": "{...}"}, ...}

A file of JSON Lines with such events is read, too. What the SDK says of an error tells whether it was the agent's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lbi.interop.chat import unknown_parts, words_of
from lbi.interop.events import (
    Asked,
    Called,
    Ended,
    Event,
    Left,
    Outage,
    Returned,
    Said,
    Session,
    Thought,
    Unknown,
)
from lbi.interop.source import Broken, Json, Source, arguments_of, table, text

VERIFIED = "openhands-sdk 1.58.2, by a run of its own classes, 2026-11"

_STATE, _EVENTS = "base_state.json", "events"
#: events that say nothing of what was done
_BOOKKEEPING = frozenset(
    "SystemPromptEvent Condensation CondensationRequest CondensationSummaryEvent ConversationStateUpdateEvent "  # noqa: SIM905
    "LLMCompletionLogEvent TokenEvent StreamingDeltaEvent SecurityAnalysisEvent HookExecutionEvent PauseEvent "
    "ACPToolCallEvent".split()
)
#: what is no fault of the agent, by the SDK's own words
_OUTAGES = frozenset({"auth", "quota", "rate_limit", "config", "transient", "internal"})


def likelihood(source: Source) -> float:
    if source.path.is_dir():
        return 1.0 if any((source.path / _EVENTS).glob("event-*.json")) else 0.0
    lines = source.head()
    return 0.9 if lines and all(text(line.get("kind")) and "source" in line and "id" in line for line in lines) else 0.0


def read(source: Source) -> Iterator[Event]:
    folder = source.path
    state = {}
    if folder.is_dir() and (folder / _STATE).is_file():
        state = table(source.document(folder / _STATE))
    id_ = text(state.get("id")) or folder.stem
    workspace = text(table(state.get("workspace")).get("working_dir"))
    yield Session(id_, "openhands", text(state.get("version")), _model(state), workspace)
    events = _of_folder(source, folder) if folder.is_dir() else source.lines()
    for at, event in events:
        place: Json = {"line": at, "node": text(event.get("id")), "parent": text(event.get("parent_id"))}
        yield from _event(text(event.get("kind")), event, place)


def _model(state: Json) -> str:
    return text(table(table(state.get("agent")).get("llm")).get("model"))


def _of_folder(source: Source, folder: Path) -> Iterator[tuple[int, Json]]:
    """The events in the order of their numbers. One that is half written is left out."""
    for at, file in enumerate(sorted((folder / _EVENTS).glob("event-*.json"))):
        try:
            yield at, table(source.document(file))
        except Broken:
            source.left_out["event that is no whole JSON document"] += 1


def _event(kind: str, event: Json, place: Json) -> Iterator[Event]:
    if kind == "MessageEvent":
        yield from _message(event, place)
    elif kind == "ActionEvent":
        yield from _action(event, place)
    elif kind == "ObservationEvent":
        seen = table(event.get("observation"))
        code = seen.get("exit_code", table(seen.get("metadata")).get("exit_code"))
        exit_code = code if isinstance(code, int) and code >= 0 else None
        failed = bool(seen.get("is_error")) and exit_code is None
        outage = "timeout" if seen.get("timeout") is True else ""
        yield Returned(_call(event), words_of(seen.get("content")), failed, exit_code, outage, **place)
    elif kind == "UserRejectObservation":
        yield Returned(_call(event), text(event.get("rejection_reason")), True, outage="interrupted", **place)
    elif kind == "AgentErrorEvent":
        failure = text(table(event.get("classification")).get("kind"))
        outage = failure if failure in _OUTAGES else ""
        yield Returned(_call(event), text(event.get("error")), True, outage=outage, **place)
    elif kind == "ConversationErrorEvent":
        yield from _broke_off(event, place)
    elif kind == "InterruptEvent":
        yield Outage("interrupted", **place)
    elif kind in _BOOKKEEPING:
        yield Left(f"bookkeeping: {kind}", **place)
    else:
        yield Unknown(kind or "event without a kind", event, **place)


def _broke_off(event: Json, place: Json) -> Iterator[Event]:
    """Its own limit of steps ends an attempt; everything else that stops the loop is a failure of the harness."""
    if text(event.get("code")) == "MaxIterationsReached":
        yield Ended(False, **place)
        return
    failure = text(table(event.get("classification")).get("kind"))
    yield Outage(failure if failure in _OUTAGES else "harness", text(event.get("detail")), **place)


def _call(event: Json) -> str:
    return text(event.get("tool_call_id"))


def _message(event: Json, place: Json) -> Iterator[Event]:
    message = table(event.get("llm_message"))
    yield from unknown_parts(message.get("content"), **place)
    words = words_of(message.get("content")).strip()
    if text(event.get("source")) == "user":
        yield Asked(words, **place)
    elif text(event.get("source")) == "agent":
        yield Said(words, **place)
    else:
        yield Left("message of the environment", **place)


def _action(event: Json, place: Json) -> Iterator[Event]:
    call = table(event.get("tool_call"))
    name, given = text(event.get("tool_name")), arguments_of(call.get("arguments"))
    if thought := text(event.get("reasoning_content")).strip():
        yield Thought(thought, **place)
    if words := words_of(event.get("thought")).strip():
        yield Said(words, **place)
    if name == "finish":
        yield Ended(True, text(table(given).get("message")), **place)
        return
    for extra in ("security_risk", "summary"):
        if isinstance(given, dict) and extra not in table(event.get("action")):
            given = {key: value for key, value in given.items() if key != extra}
    yield Called(_call(event), name, given, text(event.get("llm_response_id")), **place)
