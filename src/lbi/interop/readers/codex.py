"""Rollouts of Codex: one JSON object a line, in an envelope since October 2025.

    {"timestamp": ..., "type": "session_meta", "payload": {"id": ..., "cwd": ..., "cli_version": ..., "source": "cli"}}
    {"timestamp": ..., "type": "event_msg", "payload": {"type": "user_message", "message": "Fix the test"}}
    {"timestamp": ..., "type": "response_item", "payload": {"type": "function_call", "name": "shell", ...}}

Two logs are interleaved: what the model was sent, and what a person saw (since 2026 as `item_completed`). Only the
latter proves that a person typed something; a result that stands in both counts once, and `token_count` closes one call
of the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lbi.interop.chat import of_item, usage_of, words_of
from lbi.interop.events import (
    Asked,
    By,
    Ended,
    Event,
    Left,
    Outage,
    Returned,
    Session,
    Spent,
    Unknown,
)
from lbi.interop.source import Json, Source, items, table, text

VERIFIED = "codex 0.171.0, by a run of its own, 2026-11; older rollouts, with and without envelope, as txcript tells"

_ENVELOPES = frozenset(
    "session_meta turn_context response_item event_msg compacted world_state inter_agent_communication "  # noqa: SIM905
    "token_usage_record".split()
)
_ITEMS = frozenset("message reasoning function_call function_call_output custom_tool_call local_shell_call".split())  # noqa: SIM905
#: what a person saw, and what stands among the items, too
_SEEN = frozenset(
    "agent_message agent_message_delta agent_reasoning agent_reasoning_delta agent_reasoning_raw_content "  # noqa: SIM905
    "agent_reasoning_section_break exec_command_begin exec_command_output_delta mcp_tool_call_begin "
    "patch_apply_begin web_search_begin task_started turn_started turn_diff plan_update background_event "
    "session_configured exec_approval_request apply_patch_approval_request raw_response_item item_started "
    "thread_settings_applied entered_review_mode exited_review_mode thread_name_updated thread_rolled_back warning "
    "context_compacted undo_started undo_completed mcp_startup_update mcp_startup_complete view_image_tool_call "
    "deprecation_notice collab_agent_spawn_begin collab_agent_spawn_end".split()
)
_INJECTED = re.compile(
    r"\s*(?:<(?:environment_context|user_instructions|permissions instructions|turn_aborted|skills?|"
    r"collaboration_mode|INSTRUCTIONS|personality_spec|subagent_notification)|# AGENTS\.md instructions)"
)


def likelihood(source: Source) -> float:
    lines = source.head()
    if any(text(line.get("type")) in _ENVELOPES and "payload" in line for line in lines):
        return 1.0
    old = lines and {"id", "timestamp", "instructions"} <= lines[0].keys() and "type" not in lines[0]
    return 0.9 if old and any(text(line.get("type")) in _ITEMS or "record_type" in line for line in lines[1:]) else 0.0


def read(source: Source) -> Iterator[Event]:
    return _Rollout(source).events()


class _Rollout:
    """One file, line by line."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._begun = False
        self._reply = 0
        self._typed_is_told = _mentions(source, (b'"user_message"', b'"UserMessage"'))

    def events(self) -> Iterator[Event]:
        for at, line in self._source.lines():
            kind = text(line.get("type"))
            if "payload" in line or kind in _ENVELOPES:
                yield from self._enveloped(at, kind, table(line.get("payload")), line)
            elif kind:
                yield from self._item(at, line)
            elif "record_type" in line:
                yield Left(f"bookkeeping: {text(line['record_type'])}", line=at)
            elif "id" in line and "timestamp" in line:
                yield from self._session(at, line)
            else:
                yield Unknown("line without a type", line, line=at)

    def _enveloped(self, at: int, kind: str, payload: Json, line: Json) -> Iterator[Event]:
        if kind == "session_meta":
            yield from self._session(at, payload)
        elif kind == "response_item":
            yield from self._item(at, payload)
        elif kind == "event_msg":
            yield from self._seen(at, text(payload.get("type")), payload)
        elif kind in _ENVELOPES:
            yield Left(f"bookkeeping: {kind}", line=at)
        else:
            yield Unknown(kind or "line without a type", line, line=at)

    def _session(self, at: int, meta: Json) -> Iterator[Event]:
        if self._begun:
            yield Left("bookkeeping: session_meta of the session that this one goes on from", line=at)
            return
        self._begun = True
        name = text(meta.get("id")) or self._source.path.stem
        version, folder = text(meta.get("cli_version")), text(meta.get("cwd"))
        yield Session(name, "codex", version, folder=folder, by=_by(meta.get("source")), line=at)

    def _item(self, at: int, item: Json) -> Iterator[Event]:
        role = text(item.get("role"))
        if role == "user":
            words = words_of(item.get("content")).strip()
            if self._typed_is_told or _INJECTED.match(words) or not words:
                yield Left("user message that nobody typed, or that is told elsewhere", line=at)
            else:
                yield Asked(words, line=at)
            return
        yield from of_item(item, str(self._reply), line=at)

    def _seen(self, at: int, kind: str, event: Json) -> Iterator[Event]:
        if kind == "user_message":
            words = text(event.get("message")).strip()
            if words and not _INJECTED.match(words):
                yield Asked(words, line=at)
        elif kind == "exec_command_end":
            yield _of_command(text(event.get("call_id")), event, at)
        elif kind == "item_completed":
            yield from _completed(table(event.get("item")), at)
        elif kind == "mcp_tool_call_end":
            yield _of_mcp(event, at)
        elif kind == "token_count":
            if usage := table(table(event.get("info")).get("last_token_usage")):
                yield Spent(str(self._reply), usage_of(usage), line=at)
            self._reply += 1
        elif kind in ("task_complete", "turn_complete"):
            yield Ended(True, text(event.get("last_agent_message")), line=at)
        elif kind == "turn_aborted":
            yield Outage("interrupted", text(event.get("reason")), line=at)
        elif kind in ("error", "stream_error"):
            yield Outage("provider", text(event.get("message")), line=at)
        elif kind in _SEEN or kind.endswith(("_delta", "_end")):
            yield Left("what a person saw, and what is told elsewhere", line=at)
        else:
            yield Unknown(f"event {kind or 'without a type'}", event, line=at)


def _completed(item: Json, at: int) -> Iterator[Event]:
    """What a person saw of one item. A command has its exit code here; the rest is told to the model, too."""
    kind = text(item.get("type"))
    if kind == "UserMessage":
        words = "\n".join(text(part.get("text")) for part in items(item.get("content")) if part.get("type") == "text")
        if words.strip() and not _INJECTED.match(words):
            yield Asked(words.strip(), line=at)
    elif kind == "CommandExecution" and isinstance(item.get("exit_code"), int):
        yield _of_command(text(item.get("id")), item, at)
    else:
        yield Left("what a person saw, and what is told elsewhere", line=at)


def _of_command(call: str, event: Json, at: int) -> Returned:
    output = text(event.get("aggregated_output")) or text(event.get("formatted_output"))
    code = event.get("exit_code")
    return Returned(call, output.rstrip("\n"), exit_code=code if isinstance(code, int) else None, line=at)


def _of_mcp(event: Json, at: int) -> Returned:
    result = table(event.get("result"))
    told = table(result.get("Ok")) or table(result.get("ok"))
    error = text(result.get("Err")) or text(result.get("err"))
    return Returned(
        text(event.get("call_id")),
        error or words_of(told.get("content")),
        bool(error) or bool(told.get("isError") or told.get("is_error")),
        line=at,
    )


def _by(source: object) -> By:
    if isinstance(source, dict):
        return "sub-agent"
    name = text(source).lower()
    return "sub-agent" if "subagent" in name else "headless" if name in ("exec", "mcp") else "user"


def _mentions(source: Source, words: tuple[bytes, ...]) -> bool:
    """Whether one of the words is anywhere in the file; mostly it is near the beginning."""
    with source.path.open("rb") as file:
        return any(word in line for line in iter(lambda: file.readline(1 << 20), b"") for word in words)
