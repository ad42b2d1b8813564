"""Live progress per stage: done / total, rate, time left, money so far; now and then a line where is no terminal."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVERY = 10.0  # seconds between lines without a terminal


@dataclass
class Stage:
    """Counts one stage's work."""

    name: str
    total: int
    started: float
    report: Callable[[Stage], None]
    done: int = 0
    failed: int = 0
    notes: dict[str, float] = field(default_factory=dict)

    def advance(self, count: int = 1) -> None:
        self.done += count
        self.report(self)

    def fail(self) -> None:
        self.failed += 1
        self.report(self)

    def rate(self, now: float) -> float:
        """Done per second."""
        return self.done / max(now - self.started, 1e-6)


class Seen:
    """Shows stages and remembers how long each took."""

    def __init__(self, console: Console, *, quiet: bool = False, money: Callable[[], float] = lambda: 0.0) -> None:
        self.console = console
        self.quiet = quiet
        self.money = money
        self.times: dict[str, float] = {}

    def say(self, text: str) -> None:
        """A line that matters beyond the stage, such as that a provider does not answer; also kept in the run's log."""
        logging.getLogger(__name__).warning("%s", text)
        if not self.quiet:
            self.console.print(text, highlight=False, markup=False)

    @contextlib.contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """One stage, from its first piece of work to its last."""
        shown = self._bar(name, total) if self.console.is_terminal and not self.quiet else self._lines(name, total)
        started = time.monotonic()
        try:
            with shown as stage:
                yield stage
        finally:
            self.times[name] = self.times.get(name, 0.0) + time.monotonic() - started

    @contextlib.contextmanager
    def _bar(self, name: str, total: int) -> Iterator[Stage]:
        columns = (
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[money]}"),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(name, total=total, rate="", money="")

            def report(stage: Stage) -> None:
                rate = f"{stage.rate(time.monotonic()):.1f}/s" + (f", {stage.failed} failed" if stage.failed else "")
                progress.update(task, completed=stage.done, rate=rate, money=f"${self.money():.2f}")

            yield Stage(name, total, time.monotonic(), report)

    @contextlib.contextmanager
    def _lines(self, name: str, total: int) -> Iterator[Stage]:
        last = time.monotonic()

        def report(stage: Stage) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= EVERY and not self.quiet:
                last = now
                self.console.print(self._line(stage, now), highlight=False)

        stage = Stage(name, total, time.monotonic(), report)
        yield stage
        if not self.quiet:
            self.console.print(self._line(stage, time.monotonic()), highlight=False)

    def _line(self, stage: Stage, now: float) -> str:
        rate = stage.rate(now)
        left = (stage.total - stage.done) / rate if rate > 0 else 0.0
        failed = f", {stage.failed} failed" if stage.failed else ""
        return (
            f"{stage.name:<14} {stage.done}/{stage.total}{failed}  {rate:.1f}/s  "
            f"{now - stage.started:.0f} s, {left:.0f} s left  ${self.money():.2f}"
        )
