"""Requests to a model, by the end of their path: pick one. Each is read into a conversation, with its places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lbi.interop.server.conversation import Conversation
from lbi.interop.server.json_places import Located
from lbi.interop.server.requests import anthropic_messages, openai_chat, openai_responses


class Format(NamedTuple):
    """How a request is read: the array of its messages, and what makes a conversation of its fields."""

    name: str
    messages: str
    read: Callable[[Mapping[str, Located]], Conversation]


CHAT = Format("chat", "messages", openai_chat.read)
RESPONSES = Format("responses", "input", openai_responses.read)
MESSAGES = Format("messages", "messages", anthropic_messages.read)
ENDS = {
    "/chat/completions": CHAT,
    "/responses": RESPONSES,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": MESSAGES,  # or an agent would count less than it sends
}


def format_of(path: str) -> Format | None:
    """The format of what is sent to a path; None = nothing can be added."""
    return next((form for end, form in ENDS.items() if path.rstrip("/").endswith(end)), None)
