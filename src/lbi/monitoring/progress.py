"""Live progress per stage: done, rate, in flight, failures by kind, time left, money. Stages may overlap.

A terminal shows bars; elsewhere a line now and then, or one JSON object per line:
{"stage": "label (seed 0)", "done": 3, "total": 8, "in_flight": 2, "failures": {"model": 1}, "rate": 0.4, ...}
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from lbi.monitoring.telemetry import STAGE, Attributes, Span, span

EVERY = 10.0  # seconds between lines without a terminal
MONEY_EVERY = 0.5  # seconds between looks at what the run has cost
ProgressStyle = Literal["auto", "bar", "lines", "json", "none"]
STYLES: tuple[ProgressStyle, ...] = ("auto", "bar", "lines", "json", "none")


@dataclass
class Stage:
    """Counts one stage's work."""

    name: str
    total: int
    started: float
    report: Callable[[Stage], None]
    done: int = 0
    known: int = 0  # part of ``done`` that an earlier process did, or another one
    in_flight: int = 0
    span: Span | None = None
    failures: Counter[str] = field(default_factory=Counter)  # by kind: environment, model, parse

    def advance(self, count: int = 1) -> None:
        self.done += count
        self.report(self)

    def have(self, count: int) -> None:
        """Count work that was done before this process began; it is no part of the rate."""
        self.known += count
        self.advance(count)

    def expect(self, count: int) -> None:
        """Add work that nobody knew of when the stage began."""
        self.total += count
        self.report(self)

    def fail(self, kind: str = "failed") -> None:
        self.failures[kind] += 1
        self.report(self)

    @contextlib.contextmanager
    def working(self, name: str = "work", attributes: Attributes | None = None) -> Iterator[Span]:
        """One piece of the work is in flight; a span of that name below the stage's."""
        self.in_flight += 1
        try:
            with span(name, attributes, parent=self.span) as opened:
                yield opened
        finally:
            self.in_flight -= 1

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    def rate(self, now: float) -> float:
        """Done per second, by this process."""
        return (self.done - self.known) / max(now - self.started, 1e-6)

    def left(self, now: float) -> float | None:
        """Seconds to the end at this rate; None while nobody can know."""
        if self.done >= self.total:
            return 0.0
        rate = self.rate(now)
        return (self.total - self.done) / rate if rate > 0 else None


class Progress:
    """Shows stages and remembers how long each took. Without a console nothing is shown."""

    def __init__(
        self,
        console: Console | None = None,
        *,
        quiet: bool = False,
        money: Callable[[], float] = lambda: 0.0,
        unpriced: Callable[[], int] = lambda: 0,
        style: ProgressStyle = "auto",
    ) -> None:
        self.quiet = quiet or style == "none" or console is None
        self.console = console or Console(quiet=True)
        self.times: dict[str, float] = {}
        self._style = ("bar" if self.console.is_terminal else "lines") if style == "auto" else style
        self._read_money, self._read_unpriced = money, unpriced
        self._money, self._unpriced, self._looked = 0.0, 0, float("-inf")
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._ended: dict[str, TaskID] = {}  # of the same display

    def watch(self, *, money: Callable[[], float], unpriced: Callable[[], int]) -> None:
        """From now on show what a run has cost, and how many of its calls nobody knows the price of."""
        self._read_money, self._read_unpriced = money, unpriced

    def money(self) -> tuple[float, int]:
        """US dollars, and calls of which nobody knows what they cost, as of the last look."""
        now = time.monotonic()
        if now - self._looked >= MONEY_EVERY:
            self._money, self._unpriced, self._looked = self._read_money(), self._read_unpriced(), now
        return self._money, self._unpriced

    def say(self, text: str) -> None:
        """A line that matters beyond the stage, such as that a provider does not answer; also kept in the run's log."""
        logging.getLogger(__name__).warning("%s", text)
        if self.quiet:
            return
        if self._style == "json":
            self._print(json.dumps({"said": text}, ensure_ascii=False))
        else:
            self._print(text)

    @contextlib.contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """One stage, from its first piece of work to its last."""
        began = time.monotonic()
        show = self._bar(name, total) if self._style == "bar" and not self.quiet else self._lines(name, total)
        try:
            with show as stage, span(name, {STAGE: name}, current=False) as stage.span:
                yield stage
        finally:
            self.times[name] = self.times.get(name, 0.0) + time.monotonic() - began

    @contextlib.contextmanager
    def _bar(self, name: str, total: int) -> Iterator[Stage]:
        """A bar among those of the other stages that are open; the last one to end takes the display down."""
        if self._bars is None:
            self._bars = Bars(*_columns(), console=self.console)
            self._bars.start()
        bars = self._bars
        if name in self._ended:  # a stage of several rounds has one bar
            bars.remove_task(self._ended.pop(name))
        task = self._tasks[name] = bars.add_task(name, total=total, status="")

        def report(stage: Stage) -> None:
            bars.update(task, completed=stage.done, total=stage.total, status=_status(stage, *self.money()))

        stage = Stage(name, total, time.monotonic(), report)
        try:
            yield stage
        finally:
            report(stage)
            self._ended[name] = self._tasks.pop(name)
            if not self._tasks:
                bars.stop()
                self._bars = None
                self._ended.clear()

    @contextlib.contextmanager
    def _lines(self, name: str, total: int) -> Iterator[Stage]:
        last = time.monotonic()

        def report(stage: Stage) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= EVERY and not self.quiet:
                last = now
                self._print(self._line(stage, now, ended=False))

        stage = Stage(name, total, time.monotonic(), report)
        try:
            yield stage
        finally:
            if not self.quiet:
                self._print(self._line(stage, time.monotonic(), ended=True))

    def _line(self, stage: Stage, now: float, *, ended: bool) -> str:
        if self._style == "json":
            return json.dumps(_object(stage, now, *self.money(), ended), ensure_ascii=False)
        failed = f", {stage.failed} failed ({_kinds(stage)})" if stage.failed else ""
        flight = f", {stage.in_flight} in flight" if stage.in_flight and not ended else ""
        left = stage.left(now)
        rest = "" if ended else f", {'?' if left is None else f'{left:.0f}'} s left"
        return (
            f"{stage.name:<18} {stage.done}/{stage.total}{failed}{flight}  {stage.rate(now):.1f}/s  "
            f"{now - stage.started:.0f} s{rest}  {_spent(*self.money())}"
        )

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=self._style == "json")


def _columns() -> tuple[Any, ...]:
    return (
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[status]}"),
    )


def _spent(money: float, unpriced: int) -> str:
    """An unknown price is not 0."""
    return f"${money:.2f}" + (f" and {unpriced:,} calls of unknown price" if unpriced else "")


def _status(stage: Stage, money: float, unpriced: int) -> str:
    """What stands beside a bar."""
    now = time.monotonic()
    left = stage.left(now)
    parts = [f"{stage.rate(now):.1f}/s", _spent(money, unpriced)]
    if left:
        parts.insert(1, f"{left:.0f} s left")
    if stage.in_flight:
        parts.insert(1, f"{stage.in_flight} in flight")
    if stage.failed:
        parts.append(f"{stage.failed} failed ({_kinds(stage)})")
    return ", ".join(parts)


def _kinds(stage: Stage) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(stage.failures.items()))


def _object(stage: Stage, now: float, money: float, unpriced: int, ended: bool) -> dict[str, Any]:
    """Times in seconds, money in US dollars; ``left`` is null while nobody can know."""
    left = stage.left(now)
    return {
        "stage": stage.name,
        "done": stage.done,
        "total": stage.total,
        "known": stage.known,
        "in_flight": stage.in_flight,
        "failures": dict(stage.failures),
        "rate": round(stage.rate(now), 3),
        "seconds": round(now - stage.started, 2),
        "left": None if left is None else round(left, 1),
        "money": round(money, 6),
        "calls_without_price": unpriced,
        "ended": ended,
    }
