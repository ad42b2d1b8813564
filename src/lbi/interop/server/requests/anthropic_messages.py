"""Anthropic's messages: {"messages": [{"role": "user", "content": [{"type": "tool_result", ...}]}]}."""

from __future__ import annotations

import json
from collections.abc import Mapping

from lbi.interop.server.conversation import Conversation, Place, text_of
from lbi.interop.server.json_places import Located


def read(fields: Mapping[str, Located]) -> Conversation:
    conversation = Conversation(tools=bool(fields["tools"].value) if "tools" in fields else False)
    for located in fields["messages"].items if "messages" in fields else ():
        message = located.value
        if not isinstance(message, dict):
            continue
        content = message.get("content")
        blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
        if message.get("role") == "user":
            place = Place(located, "content", "text")
            results = [text_of(block.get("content")) for block in blocks if block.get("type") == "tool_result"]
            if results:
                conversation.resulted("\n".join(filter(None, results)), place)
            if typed := text_of(content):
                conversation.was_typed(typed, place)
        elif message.get("role") == "assistant":
            calls = [block for block in blocks if block.get("type") == "tool_use"]
            called = [(str(call.get("name")), json.dumps(call.get("input"), ensure_ascii=False)) for call in calls]
            conversation.did(called, text_of(content))
    return conversation
