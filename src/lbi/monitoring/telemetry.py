"""Spans and metrics for OpenTelemetry, where a run was asked for them: run > stage > roll-out > step > model call.

    with span("step", {STEP: 3}) as now:
        now.set(**{ACTION: "click"})

Off unless a run says otherwise, and then nothing is imported and nothing is sent. It goes where
OTEL_EXPORTER_OTLP_ENDPOINT says and nowhere else. No prompt, reply, page or value that was typed is part of it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from lbi.errors import UserError
from lbi.storage.secrets import learn_address, learn_usual, mask, masked

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace import SpanProcessor

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
# the names of the GenAI conventions, which are not stable yet: as constants of our own
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
TEMPERATURE = "gen_ai.request.temperature"
MAX_TOKENS = "gen_ai.request.max_tokens"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"
AGENT = "gen_ai.agent.name"
ERROR = "error.type"
TOKEN_USAGE = "gen_ai.client.token.usage"
DURATION = "gen_ai.client.operation.duration"
# ours, for what the conventions have no name for
RUN, STAGE, ROLE, TASK, STEP, ACTION, STOP = (
    f"lbi.{name}" for name in ("run", "stage", "role", "task", "step", "action", "stop")
)
Attributes = Mapping[str, Any]


class Span(Protocol):
    """One that is open."""

    def set(self, attributes: Attributes) -> None: ...

    def fail(self, kind: str) -> None:
        """It failed, and this is the kind of the failure."""
        ...


class Telemetry(Protocol):
    """Where spans and metrics go."""

    def span(
        self,
        name: str,
        attributes: Attributes,
        *,
        parent: Span | None = None,
        client: bool = False,
        current: bool = True,
    ) -> contextlib.AbstractContextManager[Span]: ...

    def record(self, metric: str, value: float, attributes: Attributes) -> None: ...

    def close(self) -> None: ...


class Nowhere:
    """A span, and where spans go, while nobody wants any."""

    def set(self, attributes: Attributes) -> None:
        pass

    def fail(self, kind: str) -> None:
        pass

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        attributes: Attributes,
        *,
        parent: Span | None = None,
        client: bool = False,
        current: bool = True,
    ) -> Iterator[Span]:
        yield self

    def record(self, metric: str, value: float, attributes: Attributes) -> None:
        pass

    def close(self) -> None:
        pass


_current: ContextVar[Telemetry] = ContextVar("telemetry", default=Nowhere())  # noqa: B039 - it holds nothing


def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    parent: Span | None = None,
    client: bool = False,
    current: bool = True,
) -> contextlib.AbstractContextManager[Span]:
    """A span of the telemetry in use, below ``parent`` or the one that is open here.

    With ``current``, what is opened inside is below it. ``client``: it is a call to another program.
    """
    return _current.get().span(name, attributes or {}, parent=parent, client=client, current=current)


def record(metric: str, value: float, attributes: Attributes) -> None:
    """One value of a histogram."""
    _current.get().record(metric, value, attributes)


@contextlib.contextmanager
def used(telemetry: Telemetry) -> Iterator[None]:
    """Everything inside, and the tasks begun there, is told to this telemetry."""
    token = _current.set(telemetry)
    try:
        yield
    finally:
        _current.reset(token)


def open_telemetry(enabled: bool) -> Telemetry:
    """OpenTelemetry over OTLP (HTTP), or nothing. Raises UserError if it is enabled and has nowhere to go."""
    if not enabled:
        return Nowhere()
    if not learn_address(os.environ.get(ENDPOINT, ""), ENDPOINT):
        raise UserError(f"--otel needs to know where to: set {ENDPOINT}, such as http://localhost:4318")
    learn_usual(os.environ)
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise UserError("--otel needs OpenTelemetry; install it with pip install 'learn-by-interact[otel]'") from None
    return OpenTelemetry(BatchSpanProcessor(OTLPSpanExporter()), PeriodicExportingMetricReader(OTLPMetricExporter()))


class OpenTelemetry:
    """The SDK with providers of its own: nothing global is set, so it disturbs no other use of it."""

    def __init__(self, spans: SpanProcessor, metrics: MetricReader) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        from lbi import __version__

        resource = Resource.create({"service.name": "lbi", "service.version": __version__})
        self._traces = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._traces.add_span_processor(spans)
        self._metrics = MeterProvider([metrics], resource=resource, shutdown_on_exit=False)
        self._tracer = self._traces.get_tracer("lbi", __version__)
        meter = self._metrics.get_meter("lbi", __version__)
        self._histograms = {
            TOKEN_USAGE: meter.create_histogram(TOKEN_USAGE, unit="{token}", description="Tokens of a model call"),
            DURATION: meter.create_histogram(DURATION, unit="s", description="Duration of a model call"),
        }

    @contextlib.contextmanager
    def span(
        self,
        name: str,
        attributes: Attributes,
        *,
        parent: Span | None = None,
        client: bool = False,
        current: bool = True,
    ) -> Iterator[Span]:
        from opentelemetry import trace

        above = trace.set_span_in_context(parent.inner) if isinstance(parent, _Open) else None
        kind = trace.SpanKind.CLIENT if client else trace.SpanKind.INTERNAL
        inner = self._tracer.start_span(mask(name), above, kind, masked(dict(attributes)))
        opened = _Open(inner)
        try:
            with trace.use_span(inner, record_exception=False) if current else contextlib.nullcontext():
                yield opened
        except BaseException as error:
            # a span that was cancelled ended with an error too, and is to say so
            opened.fail(type(error).__name__)
            raise
        finally:
            inner.end()

    def record(self, metric: str, value: float, attributes: Attributes) -> None:
        self._histograms[metric].record(value, masked(dict(attributes)))

    def close(self) -> None:
        """Send what is left; where nobody answers, that is given up after a while."""
        self._traces.shutdown()
        self._metrics.shutdown(timeout_millis=5_000)


class _Open:
    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self._failed = False

    def set(self, attributes: Attributes) -> None:
        self.inner.set_attributes(masked(dict(attributes)))

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        if self._failed:  # the first word of it is the most telling
            return
        self._failed = True
        self.inner.set_attribute(ERROR, kind)
        self.inner.set_status(Status(StatusCode.ERROR))
