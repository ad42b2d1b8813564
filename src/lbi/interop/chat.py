"""Messages of chats -> events: OpenAI's chat completions and Responses items, and what others derived from them.

{"role": "assistant", "content": "Let me see.", "tool_calls": [{"id": "c1", "function": {"name": ..., ...}}]}
{"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": "{...}"}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lbi.interop.events import Asked, Called, Event, Left, Returned, Said, Spent, Thought, Unknown
from lbi.interop.source import Json, arguments_of, items, number, table, text
from lbi.records import Usage

_TEXTS = frozenset({"text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal"})
#: parts of a message that are no text, and are either read elsewhere or, like pictures, only named
_OTHER_PARTS = frozenset(
    "image image_url input_image audio input_audio video data document file input_file blob uri thinking reasoning "  # noqa: SIM905
    "redacted_thinking tool_use tool_result tool_call server_tool_call".split()
)
_SYSTEM = frozenset({"system", "developer"})
#: results of commands as programs write them around their output
_RETURNED = re.compile(
    r"\A(?:Chunk ID: [^\n]*\n)?(?:Wall time: [^\n]*\n)?(?:Exit code: |Process exited with code |<returncode>)(\d+)"
    r"(?:</returncode>)?\n(?:(?:Wall time|Original token count|Total output lines): [^\n]*\n)*"
    r"(?:Output:\n|<output>\n?)?(.*?)(?:\n?</output>\s*)?\Z",
    re.DOTALL,
)
#: Responses items that are calls: by type, the names of the tools that have none of their own
_CALLS = {
    "function_call": "",
    "custom_tool_call": "",
    "mcp_call": "",
    "local_shell_call": "shell",
    "shell_call": "shell",
    "computer_call": "computer",
    "apply_patch_call": "apply_patch",
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
    "tool_search_call": "tool_search",
    "program": "program",
}
#: and those that say nothing of what was done
_NOTHING = frozenset(
    {"item_reference", "compaction", "compaction_summary", "mcp_list_tools", "ghost_snapshot", "other"}
)


def words_of(content: Any) -> str:
    """The text of a message's content; pictures and the like are named."""
    if not isinstance(content, list):
        return text(content)
    parts = []
    for part in content:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, dict):
            kind = text(part.get("type"))
            parts.append(
                text(part.get("text") or part.get("refusal")) if kind in _TEXTS else f"[{kind or 'something'}]"
            )
    return "\n".join(filter(None, parts))


def unknown_parts(content: Any, **place: Any) -> Iterator[Unknown]:
    """The parts of a message's content of a kind that nobody here knows; ``words_of`` only names them."""
    for part in items(content):
        kind = text(part.get("type")) or "without a type"
        if kind not in _TEXTS and kind not in _OTHER_PARTS:
            yield Unknown(f"part {kind}", part, **place)


def returned(call: str, output: str, failed: bool = False, **place: Any) -> Returned:
    """A result, with the exit code that may stand around it."""
    loaded = arguments_of(output)
    if isinstance(loaded, dict) and isinstance(loaded.get("output"), str):
        code = table(loaded.get("metadata")).get("exit_code", loaded.get("exit_code"))
        if isinstance(code, int):
            return Returned(call, loaded["output"], exit_code=code, **place)
    if match := _RETURNED.match(output):
        return Returned(call, match[2], exit_code=int(match[1]), **place)
    return Returned(call, output, failed, **place)


def of_messages(messages: Iterable[Json], *, line: int = 0, start: int = 0) -> Iterator[Event]:
    """The events of chat messages; ``start`` is the number of the first one in its conversation."""
    for at, message in enumerate(messages, start):
        role = text(message.get("role"))
        yield from unknown_parts(message.get("content"), line=line)
        if "role" not in message and text(message.get("type")) and message.get("type") != "message":
            yield from of_item(message, str(at), line=line)
        elif role in _SYSTEM:
            yield Left(f"{role} message", line=line)
        elif role == "user":
            yield from _user(message, line)
        elif role == "assistant":
            yield from _assistant(message, at, line)
        elif role in ("tool", "function"):
            call = text(message.get("tool_call_id")) or text(message.get("name"))
            failed = bool(message.get("is_error") or message.get("error"))
            words = words_of(message.get("content")) or text(table(message.get("error")).get("message"))
            yield returned(call, words, failed, line=line)
        else:
            yield Unknown(f"message of role {role or 'none'}", message, line=line)


def _user(message: Json, line: int) -> Iterator[Event]:
    """A user's turn; results may be parts of it, as in Anthropic's messages."""
    content = message.get("content")
    for part in items(content):
        if part.get("type") == "tool_result":
            yield returned(
                text(part.get("tool_use_id")), words_of(part.get("content")), bool(part.get("is_error")), line=line
            )
    rest = [part for part in content if not _is_result(part)] if isinstance(content, list) else content
    if words := words_of(rest).strip():
        yield Asked(words, line=line)


def _is_result(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "tool_result"


def _assistant(message: Json, at: int, line: int) -> Iterator[Event]:
    reply = text(message.get("id")) or str(at)
    for key in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(message.get(key), str) and message[key].strip():
            yield Thought(message[key].strip(), line=line)
            break
    content = message.get("content")
    for part in items(content):
        if part.get("type") in ("thinking", "reasoning"):
            yield Thought(text(part.get("thinking") or part.get("reasoning") or part.get("text")).strip(), line=line)
    spoken = [p for p in content if _is_spoken(p)] if isinstance(content, list) else content
    if words := words_of(spoken).strip():
        yield Said(words, line=line)
    for number_, call in enumerate(_calls(message)):
        function = table(call.get("function")) or call
        name = text(function.get("name") or call.get("function"))
        given = function.get("arguments", function.get("input", call.get("arguments")))
        yield Called(text(call.get("id")) or f"{reply}/{number_}", name, arguments_of(given), reply, line=line)
    if usage := table(message.get("usage")):
        yield Spent(reply, usage_of(usage), line=line)


def _calls(message: Json) -> list[Json]:
    old = table(message.get("function_call"))
    parts = [part for part in items(message.get("content")) if part.get("type") == "tool_use"]
    return [*items(message.get("tool_calls")), *parts, *([{"id": old.get("name"), "function": old}] if old else [])]


def _is_spoken(part: Any) -> bool:
    return not (
        isinstance(part, dict) and part.get("type") in ("tool_use", "thinking", "reasoning", "redacted_thinking")
    )


def of_item(item: Json, reply: str, **place: Any) -> Iterator[Event]:
    """The events of one Responses item."""
    kind = text(item.get("type"))
    call = text(item.get("call_id")) or text(item.get("id"))
    if kind == "message" or (not kind and "role" in item):
        yield from of_messages([{**item, "role": item.get("role", "assistant")}], line=place.get("line", 0))
    elif kind == "reasoning":
        yield Thought(words_of(item.get("summary")) or words_of(item.get("content")), **place)
    elif kind in _CALLS:
        given: Any = next((item[key] for key in ("arguments", "input", "action", "operation") if item.get(key)), {})
        action = arguments_of(given)
        if isinstance(action, dict) and kind in ("local_shell_call", "shell_call"):
            action = {"command": action.get("command") or " && ".join(map(text, action.get("commands") or []))}
        yield Called(call, text(item.get("name")) or _CALLS[kind] or kind, action, reply, **place)
        yield from _own_result(item, kind, call, place)
    elif kind.removesuffix("_output") != kind:
        output = item.get("output")
        words = text(output) if isinstance(output, str | dict) else words_of(output)
        yield returned(call, words, item.get("status") in ("failed", "incomplete"), **place)
    elif kind in _NOTHING or kind.startswith("mcp_approval"):
        yield Left(f"item: {kind}", **place)
    else:
        yield Unknown(f"item {kind or 'without a type'}", item, **place)


def _own_result(item: Json, kind: str, call: str, place: Json) -> Iterator[Event]:
    """Of calls that the provider itself carries out, the result stands beside them, or is not told at all."""
    if kind == "mcp_call":
        error = text(item.get("error"))
        yield Returned(call, error or text(item.get("output")), bool(error), **place)
    elif kind.endswith(("search_call", "interpreter_call", "generation_call")):
        told = item.get("results") or item.get("outputs")
        yield Returned(call, text(told) if told else "(carried out by the provider; its result is not told)", **place)


def usage_of(usage: Json) -> Usage:
    """Token counts as OpenAI's two interfaces write them."""
    details = table(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    cached = number(usage.get("cached_input_tokens")) or number(details.get("cached_tokens"))
    return Usage(
        calls=1,
        input_tokens=number(usage.get("prompt_tokens", usage.get("input_tokens"))),
        output_tokens=number(usage.get("completion_tokens", usage.get("output_tokens"))),
        cached_tokens=cached,
        cost=None,
    )


def begins_with(conversation: Sequence[Json], earlier: Sequence[Json]) -> bool:
    """Whether a conversation repeats an earlier one and goes on from there."""
    return len(conversation) >= len(earlier) and _plain(conversation[: len(earlier)]) == _plain(earlier)


def _plain(messages: Sequence[Json]) -> str:
    """What messages say, whatever a program adds to them."""
    told = [[message.get(key) for key in ("role", "type", "content", "output")] for message in messages]
    return json.dumps(told, sort_keys=True, default=str)
