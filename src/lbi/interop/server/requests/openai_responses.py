"""OpenAI's Responses: {"input": "text"}, or a list of messages, calls and their outputs.

Of a conversation that the provider keeps (``previous_response_id``) only what is new is in the request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lbi.interop.server.conversation import Conversation, Place, text_of
from lbi.interop.server.json_places import Located

_NAMED = {"function_call": "arguments", "custom_tool_call": "input", "mcp_call": "arguments"}


def read(fields: Mapping[str, Located]) -> Conversation:
    conversation = Conversation(tools=bool(fields["tools"].value) if "tools" in fields else False)
    told = fields.get("input")
    if told is not None and isinstance(told.value, str):
        # the whole request is the message whose field is the input
        conversation.was_typed(told.value, Place(Located(None, 0, 0), "input", "input_text"))
    for located in told.items if told is not None else ():
        if isinstance(located.value, dict):
            _read(conversation, located.value, located)
    return conversation


def _read(conversation: Conversation, item: Mapping[str, Any], located: Located) -> None:
    kind = str(item.get("type", "message"))
    if kind == "message":
        text = text_of(item.get("content"))
        if item.get("role") == "user":
            conversation.was_typed(text, Place(located, "content", "input_text"))
        elif item.get("role") == "assistant":
            conversation.did([], text)
    elif kind.endswith("_output"):
        output = item.get("output")
        told = text_of(output) or ("" if isinstance(output, str | list) else json.dumps(output, ensure_ascii=False))
        writable = kind in ("function_call_output", "custom_tool_call_output")
        conversation.resulted(told, Place(located, "output", "input_text") if writable else None)
    elif kind.endswith("_call"):
        name = str(item.get("name") or kind.removesuffix("_call"))
        arguments = item.get(_NAMED.get(kind, "action"), "")
        conversation.did([(name, arguments if isinstance(arguments, str) else json.dumps(arguments))], "")
