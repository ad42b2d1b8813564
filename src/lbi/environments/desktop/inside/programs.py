"""Programs on the desktop: started until they show a window, run to their end, and what they show looked at."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from typing import IO, Any

from . import accessibility, boxes, sheets
from .dbus import BusError
from .services import NotStarted, Services, last_words, run
from .settle import settle

LOOK_AGAIN = 0.02
MOST_OUTPUT = 1 << 20


def open_window(services: Services, name: str, command: list[str], seconds: float) -> None:
    """Start a program and wait until a new window of it is shown, in the accessibility tree too. Raises NotStarted."""
    before = {*services.display.windows()}
    known = {(window["to"], window["path"]) for window in _windows(services)}
    process = run(name, command)
    deadline = time.monotonic() + seconds
    while True:
        window = {*services.display.windows()} - before
        if window and any((one["to"], one["path"]) not in known for one in _windows(services)):
            break
        code = process.poll()
        if code and not window:
            raise NotStarted(5, f"{name} ended with {code}: {last_words(name)}")
        if time.monotonic() > deadline:
            what = "shows a window, but nothing of it in the accessibility tree" if window else "shows no window"
            raise NotStarted(110, f"{name} {what} after {seconds:.0f} s: {last_words(name)}")
        select.select([], [], [], LOOK_AGAIN)
    settle(services, min(10.0, seconds))


def _windows(services: Services) -> list[accessibility.Node]:
    try:
        return accessibility.windows(services.bus)
    except BusError:
        return []


def run_to_end(command: list[str], seconds: float, *, apart: bool = False) -> dict[str, Any]:
    """The exit code and output of a command; None = it was stopped, as it took too long.

    ``apart``: what it complains of is not in "output" but in "errors".
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaints:
        errors = complaints if apart else output
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
            )
        except OSError as error:
            return {"exit_code": 127, "output": f"{command[0]}: {error.strerror}", "errors": ""}
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            code = None
        return {"exit_code": code, "output": _said(output), "errors": _said(complaints)}


def _said(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MOST_OUTPUT).decode("utf-8", "replace")


def look(services: Services) -> dict[str, Any]:
    """The windows with all that is in them, and the order in which they lie, from the lowest to the topmost.

    "mute" are the windows of which the accessibility bus knows nothing, each with its place.
    """
    late: set[str] = set()
    tops = accessibility.windows(services.bus, late)
    accessibility.fill(services.bus, tops)
    sheets.fill(services.bus, tops)
    for top in tops:
        boxes.correct(top)
    display = services.display
    order = [[window, display.text(window, "_NET_WM_NAME")] for window in display.windows()]
    active = display.numbers(display.root, "_NET_ACTIVE_WINDOW")
    told = {"windows": tops, "order": order, "active": active[0] if active else 0}
    return {**told, "mute": _mute(services, tops, order, late)}


def _mute(
    services: Services, tops: list[accessibility.Node], order: list[list[Any]], late: set[str]
) -> list[dict[str, Any]]:
    """Windows by a title that no program tells, and of processes that tell no window: hung, or without a tree."""
    display, told = services.display, {top["name"] for top in tops}
    unknown = [(window, title) for window, title in order if title not in told]
    if not unknown:
        return []
    telling = {accessibility.process_of(services.bus, to) for to in {top["to"] for top in tops}}
    hung = {accessibility.process_of(services.bus, to) for to in late}
    found = []
    for window, title in unknown:
        process = next(iter(display.numbers(window, "_NET_WM_PID")), 0)
        box = display.box(window)
        if box and (not process or process not in telling):
            found.append({"window": window, "title": title, "box": box, "hung": process in hung})
    return found
