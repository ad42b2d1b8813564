"""JSON Lines of OpenAI messages: a conversation a line, or a message or Responses item a line.

    {"messages": [{"role": "user", "content": "Reserve two lamps."}, {"role": "assistant", "tool_calls": [...]}, ...]}
    {"input": [{"role": "user", ...}], "output": [{"type": "function_call", "name": "reserve", ...}]}
    {"role": "user", "content": "Reserve two lamps."}

Logs of calls repeat a conversation in every line, longer each time; what was told before is told once.
"""

from __future__ import annotations

from collections.abc import Iterator

from lbi.interop.chat import begins_with, of_messages
from lbi.interop.events import Event, Left, Session, Unknown
from lbi.interop.source import Json, Source, items, table, text

VERIFIED = "chat completions and Responses items of openai 3.57, 2026-11"

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_ITEMS = frozenset({"message", "function_call", "function_call_output", "custom_tool_call", "reasoning"})


def likelihood(source: Source) -> float:
    lines = source.head()
    if not lines or "trajectory_format" in lines[0] or "schema_version" in lines[0]:
        return 0.0
    return (
        0.7 if all(_is_conversation(line) for line in lines[:3]) else 0.5 if all(map(_is_message, lines[:3])) else 0.0
    )


def _is_message(line: Json) -> bool:
    return (
        (text(line.get("role")) in _ROLES or text(line.get("type")) in _ITEMS)
        and "uuid" not in line
        and "payload" not in line
    )


def _is_conversation(line: Json) -> bool:
    listed = _messages(line)
    return bool(listed) and all(_is_message(each) for each in listed[:3])


def read(source: Source) -> Iterator[Event]:
    """Of a file with a message a line all lines are one conversation."""
    told: list[Json] = []
    session, number = "", 0
    for at, line in source.lines():
        if conversation := _messages(line):
            before = told if begins_with(conversation, told) else []
            if not before:
                number += 1
                session = text(line.get("conversation_id") or line.get("id")) or f"{source.path.stem}/{number}"
                yield Session(session, "openai-messages", model=text(line.get("model")), line=at)
            else:
                yield Left("message that an earlier line had told", len(before), line=at)
            yield from of_messages(conversation[len(before) :], line=at, start=len(before))
            told = conversation
        elif _is_message(line):
            if not session:
                session = source.path.stem
                yield Session(session, "openai-messages", line=at)
            yield from of_messages([line], line=at, start=at)
        else:
            yield Unknown(text(line.get("type")) or "line that is no message", line, line=at)


def _messages(line: Json) -> list[Json]:
    """The conversation that a line tells, with the reply if it is the log of a call."""
    request, response = table(line.get("request")) or line, table(line.get("response")) or line
    asked = request.get("messages", request.get("input"))
    if isinstance(asked, str):
        asked = [{"role": "user", "content": asked}]
    if not isinstance(asked, list):
        return []
    choices = [table(choice.get("message")) for choice in items(response.get("choices"))[:1]]
    replies = [message for message in choices if message] + items(response.get("output"))
    return [*items(asked), *replies]
