"""Spans of OpenTelemetry with GenAI attributes: JSON Lines as the SDK's console exporter or OTLP write them.

    {"name": "chat m", "context": {"trace_id": ..., "span_id": ...}, "parent_id": ..., "start_time": ..., "attributes":
     {"gen_ai.operation.name": "chat", "gen_ai.conversation.id": "c1", "gen_ai.input.messages": "[...]", ...}}
    {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": ..., "attributes": [{"key": ..., "value": ...}]}]}]}]}

Spans are written when they end, so all of a file are read before their order is known. Every call of the model repeats
the conversation; what was told before is told once. What an agent inside another one did is a session of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lbi.interop.chat import begins_with, of_messages
from lbi.interop.events import By, Event, Left, Outage, Returned, Session, Spent, Unknown
from lbi.interop.source import LARGEST_DOCUMENT, Broken, Json, Source, arguments_of, items, number, table, text
from lbi.records import Usage

VERIFIED = "opentelemetry-sdk 1.45.2 with opentelemetry-util-genai 1.3b0, 2026-11; gen_ai.prompt as of 2024"

_CHAT = frozenset({"chat", "text_completion", "generate_content", "responses", ""})
_OTHER = frozenset(
    "invoke_agent create_agent invoke_workflow embeddings retrieval load_skill plan handoff fetch_response".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class _Span:
    id: str
    parent: str
    trace: str
    start: str
    attributes: Json
    error: str  # what went wrong; "" = nothing
    line: int

    @property
    def operation(self) -> str:
        return text(self.attributes.get("gen_ai.operation.name"))

    @property
    def messages(self) -> tuple[list[Json], list[Json]]:
        """What went in, and what came out."""
        own = self.attributes
        asked = _listed(own.get("gen_ai.input.messages", own.get("gen_ai.prompt")), "user")
        return asked, _listed(own.get("gen_ai.output.messages", own.get("gen_ai.completion")), "assistant")


def likelihood(source: Source) -> float:
    lines = source.head()
    spans = [span for at, line in enumerate(lines) for span in _spans(line, at)]
    if any(key.startswith("gen_ai.") for span in spans for key in span.attributes):
        return 1.0
    return 0.4 if spans else 0.0


def read(source: Source) -> Iterator[Event]:
    if source.path.stat().st_size > LARGEST_DOCUMENT:
        raise Broken(
            f"spans of over {LARGEST_DOCUMENT >> 20} MiB are too many to put in order; split the file by traces"
        )
    spans: dict[str, _Span] = {}
    others = 0
    for at, line in source.lines():
        found = _spans(line, at)
        if not found:
            yield Unknown(text(line.get("name")) or "line that is no span", line, line=at)
        for span in found:
            if any(key.startswith("gen_ai.") for key in span.attributes):
                spans[span.id] = span
            else:
                others += 1
    if others:
        yield Left("span of something else", others)
    for (conversation, inside), group in _grouped(spans).items():
        yield from _Conversation(conversation, "sub-agent" if inside else "user").events(group)


def _grouped(spans: dict[str, _Span]) -> dict[tuple[str, str], list[_Span]]:
    """The spans of each conversation, and of each agent that works within one, in the order of their start."""
    names = {span.trace: text(span.attributes.get("gen_ai.conversation.id")) for span in spans.values()}
    for span in spans.values():
        names[span.trace] = text(span.attributes.get("gen_ai.conversation.id")) or names[span.trace]
    groups: dict[tuple[str, str], list[_Span]] = {}
    for span in sorted(spans.values(), key=lambda each: (each.start, each.id)):
        agents = list(_agents(span, spans))
        inside = agents[0] if len(agents) > 1 else ""
        groups.setdefault((names[span.trace] or span.trace, inside), []).append(span)
    return groups


def _agents(span: _Span, spans: dict[str, _Span]) -> Iterator[str]:
    """The agents within which a span is, the innermost first."""
    seen: set[str] = set()
    above = spans.get(span.parent)
    while above is not None and above.id not in seen:
        seen.add(above.id)
        if above.operation == "invoke_agent":
            yield above.id
        above = spans.get(above.parent)


class _Conversation:
    """The spans of one conversation, in their order."""

    def __init__(self, name: str, by: By) -> None:
        self._name, self._by = name, by
        self._told: list[Json] = []
        self._results: set[str] = set()  # calls whose own span told their result
        self._begun = 0

    def events(self, spans: Sequence[_Span]) -> Iterator[Event]:
        agent = next((text(s.attributes.get("gen_ai.agent.name")) for s in spans if _names_agent(s)), "") or "otel"
        for span in spans:
            if span.operation == "execute_tool":
                yield from self._tool(span)
            elif span.operation in _CHAT:
                yield from self._chat(span, agent)
            elif span.operation in _OTHER:
                yield Left(f"span: {span.operation}", line=span.line)
            else:
                yield Unknown(f"span: {span.operation}", span.attributes, line=span.line)

    def _chat(self, span: _Span, agent: str) -> Iterator[Event]:
        asked, replied = span.messages
        conversation = [*asked, *replied]
        if not conversation and not span.error:
            yield Left("span without its messages, which its program did not record", line=span.line)
            return
        model = text(span.attributes.get("gen_ai.response.model", span.attributes.get("gen_ai.request.model")))
        known = len(self._told) if conversation and begins_with(conversation, self._told) else 0
        if not self._begun or (conversation and not known):
            self._begun += 1
            name = self._name if self._begun == 1 else f"{self._name}/{self._begun}"
            yield Session(name, agent, model=model, by=self._by, line=span.line)
        for at, message in enumerate(conversation[known:], known):
            if message.get("role") == "tool" and text(message.get("tool_call_id")) in self._results:
                yield Left("result that its own span had told", line=span.line)
            else:
                yield from of_messages([{**message, "id": span.id}], line=span.line, start=at)
        self._told = conversation or self._told
        if span.error:
            yield Outage("provider", span.error, line=span.line)
        else:
            yield Spent(span.id, _usage(span.attributes), line=span.line)

    def _tool(self, span: _Span) -> Iterator[Event]:
        call = text(span.attributes.get("gen_ai.tool.call.id"))
        result = span.attributes.get("gen_ai.tool.call.result")
        if not call or (result is None and not span.error):
            yield Left("span: execute_tool, whose result stands among the messages", line=span.line)
            return
        self._results.add(call)
        yield Returned(call, text(result) or span.error, bool(span.error), line=span.line)


def _names_agent(span: _Span) -> bool:
    return bool(span.attributes.get("gen_ai.agent.name"))


def _usage(attributes: Json) -> Usage:
    return Usage(
        calls=1,
        input_tokens=number(attributes.get("gen_ai.usage.input_tokens")),
        output_tokens=number(attributes.get("gen_ai.usage.output_tokens")),
        cached_tokens=number(attributes.get("gen_ai.usage.cache_read.input_tokens")),
        cost=None,
    )


# messages of the semantic conventions -> those of chats


def _listed(value: Any, role: str) -> list[Json]:
    """Messages that may be written as JSON in a text; another text is one message."""
    if isinstance(value, str):
        try:
            loaded = json.loads(value)
        except (ValueError, RecursionError):
            loaded = [{"role": role, "content": value}] if value.strip() else []
        value = loaded if isinstance(loaded, list | dict) else [{"role": role, "content": value}]
    return [each for message in items([value] if isinstance(value, dict) else value) for each in _chat(message)]


_READ = frozenset("text reasoning tool_call server_tool_call tool_call_response server_tool_call_response".split())  # noqa: SIM905


def _chat(message: Json) -> Iterator[Json]:
    """A message with parts as one of a chat, and its results as messages of their own."""
    if "parts" not in message:
        yield message
        return
    parts = items(message.get("parts"))
    for part in parts:
        if part.get("type") in ("tool_call_response", "server_tool_call_response"):
            told = part.get("response", part.get("result", part.get("server_tool_call_response")))
            yield {"role": "tool", "tool_call_id": text(part.get("id")), "content": text(told)}
    said = [text(part.get("content")) for part in parts if part.get("type") == "text"]
    thought = [text(part.get("content")) for part in parts if part.get("type") == "reasoning"]
    calls = [part for part in parts if part.get("type") in ("tool_call", "server_tool_call")]
    others = [part for part in parts if text(part.get("type")) not in _READ]  # pictures, files, and what nobody knows
    if said or calls or thought or others:
        words = [{"type": "text", "text": each} for each in said]
        yield {
            "role": text(message.get("role")),
            "content": [*words, *others] if others else "\n".join(said),
            "reasoning": "\n".join(thought),
            "tool_calls": [_call(part) for part in calls],
        }


def _call(part: Json) -> Json:
    given = part.get("arguments", part.get("server_tool_call"))
    return {"id": text(part.get("id")), "function": {"name": text(part.get("name")), "arguments": arguments_of(given)}}


# spans as the console exporter and as OTLP write them


def _spans(line: Json, at: int) -> list[_Span]:
    if isinstance(line.get("resourceSpans"), list):
        scopes = [scope for resource in items(line["resourceSpans"]) for scope in items(resource.get("scopeSpans"))]
        return [_otlp(span, at) for scope in scopes for span in items(scope.get("spans"))]
    context = table(line.get("context"))
    if "span_id" not in context or not isinstance(line.get("attributes"), dict):
        return []
    status = table(line.get("status"))
    failed = text(status.get("status_code")) == "ERROR" or "error.type" in line["attributes"]
    error = (
        (text(status.get("description")) or text(line["attributes"].get("error.type")) or "failed") if failed else ""
    )
    parent, trace = text(line.get("parent_id")), text(context.get("trace_id"))
    return [_Span(text(context["span_id"]), parent, trace, text(line.get("start_time")), line["attributes"], error, at)]


def _otlp(span: Json, at: int) -> _Span:
    attributes = {text(each.get("key")): _value(table(each.get("value"))) for each in items(span.get("attributes"))}
    status = table(span.get("status"))
    failed = status.get("code") in (2, "STATUS_CODE_ERROR") or "error.type" in attributes
    error = (text(status.get("message")) or text(attributes.get("error.type")) or "failed") if failed else ""
    start = text(span.get("startTimeUnixNano")).rjust(20, "0")
    id_, parent, trace = (text(span.get(key)) for key in ("spanId", "parentSpanId", "traceId"))
    return _Span(id_, parent, trace, start, attributes, error, at)


def _value(value: Json) -> Any:
    for kind, inner in value.items():
        if kind == "arrayValue":
            return [_value(each) for each in items(table(inner).get("values"))]
        if kind == "kvlistValue":
            return {
                text(each.get("key")): _value(table(each.get("value"))) for each in items(table(inner).get("values"))
            }
        return int(inner) if kind == "intValue" and str(inner).lstrip("-").isdigit() else inner
    return None
