"""OpenTelemetry: off unless wanted; spans of a run below each other; sent to where the environment says."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rich.console import Console

from evaluating import learn
from fake_environment import LampEnvironments
from lbi.config import Config, resolve
from lbi.context import RunContext
from lbi.errors import ModelBusy, UserError
from lbi.models.middleware.tracing import traced
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.monitoring import telemetry as t
from lbi.monitoring.progress import Progress
from lbi.monitoring.utilisation import Utilisation
from lbi.protocols import Fields, Reply, Request
from lbi.records import Observation, Task, Usage
from lbi.storage.run_folder import RunFolder
from running import environ

TASKS = [
    Task(instruction=f'Create a new lamp with the name "Lamp {at}" and the colour "red".', environment="lamps")
    for at in range(3)
]
SECRET = "hunter2-and-more"


class Kept:
    """A telemetry whose spans and metrics stay in memory."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.telemetry = t.OpenTelemetry(SimpleSpanProcessor(self.exporter), self.reader)

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def path(self, span: Any) -> list[str]:
        """Names from the outermost span to this one."""
        by_id = {each.context.span_id: each for each in self.spans}
        names = [span.name]
        while span.parent is not None:
            span = by_id[span.parent.span_id]
            names.insert(0, span.name)
        return names

    def points(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        found: dict[str, list[Any]] = {}
        for resource in data.resource_metrics if data else []:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found.setdefault(metric.name, []).extend(metric.data.data_points)
        return found


@pytest.fixture
def kept() -> Iterator[Kept]:
    opened = Kept()
    yield opened
    opened.telemetry.close()


def config_of(**synthesis: Any) -> Config:
    made = {"rollouts": 3, "step_limit": 5, "agent": "react", "compose": 0, **synthesis}
    return resolve({"benchmark": "x.toml", "workers": 2, "synthesis": made}, "test")


async def test_spans_lie_below_each_other_from_the_run_to_the_call(kept, tmp_path):
    with RunFolder(tmp_path) as folder, t.used(kept.telemetry), t.span("run", {t.RUN: "test"}):
        seen = Progress(Console(file=StringIO()), quiet=True)
        context = RunContext(
            folder=folder, config=config_of(), progress=seen, environments=LampEnvironments(), prices=Prices()
        )
        await learn(context, TASKS, 0)
        await context.close()
    paths = {tuple(kept.path(span)) for span in kept.spans}
    assert ("run", "attempt (seed 0)", "roll-out", "step", "chat offline") in paths
    assert ("run", "label (seed 0)", "label", "chat offline") in paths
    assert ("run", "replay (seed 0)", "replay") in paths
    (rollout, *_) = [span for span in kept.spans if span.name == "roll-out"]
    assert rollout.attributes[t.AGENT] == "react"
    steps = [span for span in kept.spans if span.name == "step"]
    assert {span.attributes[t.STEP] for span in steps} >= {1, 2, 3}
    assert "fill" in {span.attributes[t.ACTION] for span in steps}


def request_of(text: str) -> Request:
    fields = Fields(task=Task(instruction=text, environment="x"), observation=Observation(text=text))
    return Request(role="act", fields=fields)


async def test_a_call_says_its_model_its_tokens_and_why_it_failed_and_nothing_that_was_said(kept):
    class Server:
        name, free, limits, endpoint = "openai:small", False, None, ""

        async def complete(self, request: Request) -> Reply:
            if request.sample:
                raise ModelBusy("slow down", kind="rate limit", usage=Usage(calls=1))
            return Reply(text=SECRET, model="openai:small-1", usage=Usage(calls=1, input_tokens=70, output_tokens=9))

        async def close(self) -> None:
            pass

    model = traced(Server(), Utilisation())  # type: ignore[arg-type]
    with t.used(kept.telemetry):
        await model.complete(request_of(SECRET))
        with pytest.raises(ModelBusy):
            await model.complete(request_of(SECRET).model_copy(update={"sample": 1}))
    good, bad = kept.spans
    assert good.name == "chat small"
    assert good.kind.name == "CLIENT"
    assert good.attributes["gen_ai.operation.name"] == "chat"
    assert good.attributes["gen_ai.provider.name"] == "openai"
    assert good.attributes["gen_ai.request.model"] == "small"
    assert good.attributes["gen_ai.response.model"] == "small-1"
    assert (good.attributes["gen_ai.usage.input_tokens"], good.attributes["gen_ai.usage.output_tokens"]) == (70, 9)
    assert (bad.attributes["error.type"], bad.status.status_code.name) == ("rate limit", "ERROR")
    assert not [span for span in kept.spans if SECRET in span.to_json()]
    points = kept.points()
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in points["gen_ai.client.token.usage"]}
    assert tokens == {"input": 70, "output": 9}
    durations = points["gen_ai.client.operation.duration"]
    assert sorted(point.attributes.get("error.type", "") for point in durations) == ["", "rate limit"]


async def test_tasks_side_by_side_do_not_end_up_below_each_other(kept):
    async def one(name: str) -> None:
        with t.span(name):
            await asyncio.sleep(0)
            with t.span(f"{name} inside"):
                await asyncio.sleep(0)

    with t.used(kept.telemetry), t.span("run"):
        await asyncio.gather(one("a"), one("b"))
    paths = [kept.path(span) for span in kept.spans if "inside" in span.name]
    assert sorted(paths) == [["run", "a", "a inside"], ["run", "b", "b inside"]]


def test_off_it_loads_nothing_and_on_it_needs_to_know_where_to(monkeypatch):
    script = "import sys, lbi.pipeline, lbi.models.middleware.tracing; "
    script += "from lbi.monitoring.telemetry import open_telemetry; open_telemetry(False); "
    script += "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    ran = subprocess.run([sys.executable, "-c", script], env=environ(), capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
    monkeypatch.delenv(t.ENDPOINT, raising=False)
    with pytest.raises(UserError, match="set OTEL_EXPORTER_OTLP_ENDPOINT"):
        t.open_telemetry(True)


class Receiver(BaseHTTPRequestHandler):
    """Keeps what is sent to it."""

    got: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    got: list[tuple[str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Receiver,), {"got": got}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    server.server_close()
    thread.join()


async def test_it_is_sent_to_where_the_environment_says(receiver, monkeypatch):
    url, got = receiver
    monkeypatch.setenv(t.ENDPOINT, url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    telemetry = t.open_telemetry(True)
    model = traced(Scripted(["done"]), Utilisation())
    with t.used(telemetry), t.span("run", {t.RUN: "sent"}):
        await model.complete(request_of("go"))
    telemetry.close()
    bodies = {path: b"".join(body for where, body in got if where == path) for path, _ in got}
    assert set(bodies) == {"/v1/traces", "/v1/metrics"}
    assert b"sent" in bodies["/v1/traces"]
    assert b"chat " in bodies["/v1/traces"]
    assert b"gen_ai.client.operation.duration" in bodies["/v1/metrics"]


def test_where_nobody_listens_the_run_goes_on(monkeypatch, tmp_path: Path):
    monkeypatch.setenv(t.ENDPOINT, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    telemetry = t.open_telemetry(True)
    with t.used(telemetry), t.span("run"):
        pass
    telemetry.close()
