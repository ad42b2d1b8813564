"""Writes spans by the OpenTelemetry SDK and its GenAI utilities: as the console exporter and as OTLP write them.

python make_otel.py OUT_FOLDER
(tried with opentelemetry-sdk 1.45.2, opentelemetry-util-genai 1.3b0): otel-console.jsonl and otel-otlp.jsonl
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util.genai.handler import TelemetryHandler
from opentelemetry.util.genai.types import (
    InputMessage,
    OutputMessage,
    TextPart,
    ToolCallRequestPart,
    ToolCallResponsePart,
)

STOCK = {"lamp": 4}


def reserve(article: str, count: int) -> str:
    if article not in STOCK:
        raise KeyError(f"there is no article {article}")
    return f"Reserved {count} of {article}."


def episode(handler: TelemetryHandler, task: str, calls: list[dict], end: str | None, name: str) -> None:
    """An agent that makes these calls and then answers; without an answer its provider is out of order."""
    seen = [InputMessage("user", [TextPart(task)])]
    with handler.invoke_local_agent(agent_name="keeper", request_model="test-model", conversation_id=name):
        for number, given in enumerate(calls):
            call = ToolCallRequestPart(arguments=given, name="reserve", id=f"{name}-{number}")
            with handler.inference("test", request_model="test-model", conversation_id=name) as inference:
                inference.input_messages = list(seen)
                inference.output_messages = [OutputMessage("assistant", [call], finish_reason="tool_calls")]
                inference.input_tokens, inference.output_tokens = 50 + 10 * number, 12
            seen.append(InputMessage("assistant", [call]))
            try:
                with handler.tool("reserve") as tool:
                    tool.tool_call_id, tool.arguments = call.id, given
                    tool.tool_result = result = reserve(**given)
            except KeyError as error:
                result = f"error: {error}"
            seen.append(InputMessage("tool", [ToolCallResponsePart(response=result, id=call.id)]))
        try:
            with handler.inference("test", request_model="test-model", conversation_id=name) as inference:
                inference.input_messages = list(seen)
                if end is None:
                    raise ConnectionError("the provider is overloaded")
                inference.output_messages = [OutputMessage("assistant", [TextPart(end)], finish_reason="stop")]
        except ConnectionError:
            return


def main(out: Path) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "warehouse"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    handler = TelemetryHandler(tracer_provider=provider, instrumentation_scope_name="warehouse")
    lamps = [{"article": "lamp", "count": 2}, {"article": "lamp", "count": 1}]
    episode(handler, "Reserve three lamps.", lamps, "Three lamps are reserved.", "c1")
    episode(handler, "Reserve a table.", [{"article": "table", "count": 1}], "There are no tables.", "c2")
    episode(handler, "Reserve a lamp and a chair.", [{"article": "lamp", "count": 1}], None, "c3")
    spans = exporter.get_finished_spans()
    (out / "otel-console.jsonl").write_text("".join(span.to_json(indent=None) + "\n" for span in spans))
    (out / "otel-otlp.jsonl").write_text(json.dumps(MessageToDict(encode_spans(spans))) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
