"""A stream of events that nobody asked for -> the one reply that it stands for, as some proxies send nothing else.

b': PROCESSING\n\ndata: {"choices": [{"delta": {"content": "hi"}}]}\n' -> {"choices": [{"message": ...}]}
"""

from __future__ import annotations

import json
from typing import Any

from lbi.protocols import Json

_BEGINNINGS = (b"data:", b"event:", b":")


def is_stream(content: bytes) -> bool:
    """Whether a body is a stream of server-sent events, or JSON with comments before it to keep a connection open."""
    return content.lstrip().startswith(_BEGINNINGS)


def stream_as_reply(content: bytes) -> Any:
    """The chat completion that the events make up. Raises ValueError where one of them is no JSON."""
    lines = [line.strip() for line in content.splitlines()]
    data = [line[len(b"data:") :].strip() for line in lines if line.startswith(b"data:")]
    if not data:
        return json.loads(b"\n".join(line for line in lines if not line.startswith(_BEGINNINGS)))
    chunks = [json.loads(row) for row in data if row and row != b"[DONE]"]
    reply: Json = {}
    said: list[str] = []
    choice: Json = {}
    for chunk in (chunk for chunk in chunks if isinstance(chunk, dict)):
        reply.update({key: value for key, value in chunk.items() if value})  # the last one has usage and no choices
        for part in (chunk.get("choices") or [])[:1]:
            delta = part.get("delta") or part.get("message") or {}
            said.append(delta.get("content") or "")
            choice.update({key: value for key, value in part.items() if value})
    whole = {**choice, "message": {"role": "assistant", "content": "".join(said)}}
    return {**reply, "choices": [whole] if choice else []}
