"""Progress: one line now and then without a terminal, a bar with one, and how long each stage took."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from lbi.config import resolve
from lbi.context import RunContext
from lbi.models.pricing import Prices
from lbi.monitoring import progress
from lbi.monitoring.progress import Progress, Stage
from lbi.storage.run_folder import RunFolder


def seen(*, terminal: bool = False, **more: object) -> tuple[Progress, StringIO]:
    said = StringIO()
    return Progress(Console(file=said, force_terminal=terminal, width=120), **more), said


def test_without_a_terminal_a_stage_ends_with_one_line():
    shown, said = seen(money=lambda: 1.5)
    with shown.stage("attempt", 3) as stage:
        for _ in range(2):
            stage.advance()
        stage.fail()
    [line] = said.getvalue().splitlines()
    assert line.startswith("attempt            2/3, 1 failed")
    assert line.endswith("$1.50")


@pytest.mark.parametrize("style", ["lines", "bar", "json"])
def test_an_unknown_price_is_not_shown_as_nothing_spent(style):
    shown, said = seen(terminal=style == "bar", style=style, money=lambda: 0.5, unpriced=lambda: 1200)
    with shown.stage("attempt", 1) as stage:
        stage.advance()
    told = '"money": 0.5, "calls_without_price": 1200' if style == "json" else "$0.50 and 1,200 calls of unknown price"
    assert told in said.getvalue()


def test_a_model_of_unknown_price_is_said_once_and_one_with_a_price_is_not(tmp_path):
    """The same name is refused where there is a budget (test_calls.py)."""
    for prices, lines in (({}, 1), ({"nobodys": (1.0, 2.0)}, 0)):
        models = {"default": "openai:nobodys", "base_url": "http://127.0.0.1:1/v1"}
        shown, said = seen(style="lines")
        with RunFolder(tmp_path / str(lines)) as run:
            context = RunContext(run, resolve({"models": models}, "test"), shown, None, Prices(prices))
            assert context.model("openai:nobodys") is context.model("openai:nobodys")
        told = " ".join(said.getvalue().split())
        assert told.count("the price of openai:nobodys is unknown") == lines


def test_a_long_stage_is_heard_of_on_the_way(monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    shown, said = seen()
    with shown.stage("attempt", 2) as stage:
        stage.advance()
        stage.advance()
    assert [line.split()[1] for line in said.getvalue().splitlines()] == ["1/2", "2/2", "2/2"]


@pytest.mark.parametrize("terminal", [True, False])
def test_whoever_wants_quiet_has_it(terminal):
    shown, said = seen(terminal=terminal, quiet=True)
    with shown.stage("attempt", 1) as stage:
        stage.advance()
    assert said.getvalue() == ""
    assert "attempt" in shown.times


def test_a_terminal_shows_a_bar():
    shown, said = seen(terminal=True, money=lambda: 0.25)
    with shown.stage("evaluate", 4) as stage:
        stage.advance(4)
        stage.fail()
    assert "evaluate" in said.getvalue()
    assert "4/4" in said.getvalue()
    assert "1 failed" in said.getvalue()
    assert "$0.25" in said.getvalue()


def test_a_stage_that_comes_in_rounds_has_one_bar_beside_that_of_the_stage_around_it():
    shown, said = seen(terminal=True)
    with shown.stage("attempt", 6) as attempt:
        for _ in range(3):
            with shown.stage("propose", 6) as stage:
                stage.advance(2)
            attempt.advance(2)
    frames = said.getvalue().split("\x1b[1A")  # each goes up and over the one before
    assert [frame.count("propose") for frame in frames[-2:]] == [1, 1]
    assert frames[-1].count("attempt") == 1


def test_the_time_of_a_stage_adds_up_and_counts_one_that_failed_too():
    shown, _ = seen(quiet=True)
    with shown.stage("attempt", 1):
        pass
    first = shown.times["attempt"]
    with pytest.raises(ZeroDivisionError), shown.stage("attempt", 1):
        raise ZeroDivisionError
    assert shown.times["attempt"] > first > 0


def test_the_rate_is_done_per_second_and_never_divides_by_nothing():
    stage = Stage("attempt", 9, started=10.0, report=lambda stage: None, done=6)
    assert stage.rate(13.0) == 2.0
    assert stage.rate(10.0) > 0
    assert Stage("attempt", 0, started=10.0, report=lambda stage: None).rate(10.0) == 0


def test_a_stage_with_nothing_to_do_is_shown_as_such():
    shown, said = seen()
    with shown.stage("replay", 0):
        pass
    assert "replay             0/0" in said.getvalue()
