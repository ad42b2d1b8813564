"""lbi act --headed: the browser is seen on a display while it acts, and where there is none it says so."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbi.environments.web.browser import ON_PATH
from lbi.models.testing.model_server import Answer
from learnt_run import ActingModel, make_run
from running import lbi

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: what the application's pages are painted in (tests/small_application.py), as a display has it: blue, green, red
LIST, FORM = bytes((0xB5, 0xE4, 0xFF)), bytes((0xFF, 0xE4, 0xB5))
MUCH = 50_000  # points, of more than a million
needs_display = pytest.mark.skipif(not shutil.which("Xvfb"), reason="Xvfb is not installed (Debian: xvfb)")
needs_windows = pytest.mark.skipif(
    not any(map(shutil.which, ON_PATH)), reason=f"no browser with windows on PATH ({', '.join(ON_PATH)})"
)


class Display:
    """A display that nobody sees, and that draws into a file."""

    def __init__(self, folder: Path) -> None:
        reading, writing = os.pipe()
        options = ["-displayfd", str(writing), "-screen", "0", "1400x1000x24", "-nolisten", "tcp", "-fbdir"]
        self.process = subprocess.Popen(["Xvfb", *options, folder], pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        with os.fdopen(reading) as told:
            self.name = f":{told.readline().strip()}"
        self._drawn = folder / "Xvfb_screen0"

    def points(self, colour: bytes) -> int:
        return self._drawn.read_bytes().count(colour)

    def shows(self, colour: bytes) -> bool:
        """Whether much of this colour is seen, now or soon: a page is painted a little after it is read."""
        end = time.monotonic() + 60
        while self.points(colour) < MUCH and time.monotonic() < end:
            time.sleep(0.1)
        return self.points(colour) >= MUCH


class LookingModel(ActingModel):
    """Looks at the display each time that it is asked for an action."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self.display = display
        self.expected: list[bytes] = []
        self.seen: list[bool] = []

    def _answer(self, body: dict[str, Any]) -> Answer | str:
        if "ACTION:" in body["messages"][0]["content"] and self.expected:
            self.seen.append(self.display.shows(self.expected.pop(0)))
        return super()._answer(body)


@pytest.fixture
def display(tmp_path: Path) -> Iterator[Display]:
    (tmp_path / "screen").mkdir()
    display = Display(tmp_path / "screen")
    yield display
    display.process.terminate()
    display.process.wait(30)


@needs_display
@needs_windows
def test_the_browser_is_seen_on_the_display_while_it_acts_and_is_gone_afterwards(
    display: Display, tmp_path: Path
) -> None:
    with LookingModel(display) as model:
        run = asyncio.run(make_run(tmp_path / "learnt", model.url))
        model.takes("click(e2)", "click(e1)", 'finish("I looked.")')
        model.expected = [LIST, FORM, LIST]
        assert display.points(LIST) == display.points(FORM) == 0
        ran = lbi("act", run, "Look at the form", "--headed", DISPLAY=display.name, WAYLAND_DISPLAY="")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert 'does    click(link "New item")' in ran.stdout
    assert model.seen == [True, True, True]
    assert display.points(LIST) == display.points(FORM) == 0


@needs_windows
def test_a_display_that_nobody_shows_is_one_line_and_nothing_is_begun(tmp_path: Path) -> None:
    run = asyncio.run(make_run(tmp_path / "learnt"))
    ran = lbi("act", run, "Look at the form", "--headed", DISPLAY=":4711", WAYLAND_DISPLAY="")
    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "lbi: --headed shows the browser, and no display answers at DISPLAY=:4711, or it lets no window in; "
        "leave it out, or run this on a desktop"
    ]
    assert not (run / "acts").exists()
