"""OpenAI's chat completions, which most servers of models speak: {"messages": [{"role": "user", "content": ...}]}."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lbi.interop.server.conversation import Conversation, Place, text_of
from lbi.interop.server.json_places import Located


def read(fields: Mapping[str, Located]) -> Conversation:
    conversation = Conversation(tools=any(fields[name].value for name in ("tools", "functions") if name in fields))
    for located in fields["messages"].items if "messages" in fields else ():
        message = located.value
        if not isinstance(message, dict):
            continue
        text, place = text_of(message.get("content")), Place(located, "content", "text")
        if message.get("role") == "user":
            conversation.was_typed(text, place)
        elif message.get("role") in ("tool", "function"):
            conversation.resulted(text, place)
        elif message.get("role") == "assistant":
            conversation.did(list(_calls(message)), text)
    return conversation


def _calls(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    calls = message.get("tool_calls")
    old = message.get("function_call")
    for call in [*(calls if isinstance(calls, list) else ()), *([{"function": old}] if old else ())]:
        called = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
        if isinstance(called, dict):
            yield str(called.get("name", "")), str(called.get("arguments", called.get("input", "")))
