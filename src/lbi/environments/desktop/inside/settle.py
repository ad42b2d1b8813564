"""Waits until a desktop has done what it was told, by asking: programs answer, and nothing goes on.

Times are those that the programs have (`activity.py`), so that a busy machine changes no outcome.
"""

from __future__ import annotations

import select
from errno import ETIMEDOUT
from typing import Any

from .accessibility import ACCESSIBLE, REGISTRY, ROOT, states_of, walk
from .activity import Activity
from .dbus import BusError, Call
from .services import Services

LOOKS = 3  # in a row that are the same
BETWEEN = 0.025  # seconds from one look to the next
WORKING = 2.0  # seconds that it is waited for programs which work and show nothing new
ANSWERING = 2.0  # seconds that programs have to answer
PRESSED = 1.0  # seconds that a button may stay pressed by itself


def settle(services: Services, seconds: float, working: float = WORKING) -> bool:
    """Whether the desktop came to rest within the time: the same is shown, by the same processes, and none works.

    After ``working`` seconds work alone is no reason to wait.
    """
    activity = Activity()
    services.display.sync()
    before, same = (services.screen.mark(), activity.processes), 1
    while same < LOOKS:
        if activity.is_past(seconds):
            return False
        select.select([], [], [], BETWEEN)
        activity.look()  # before programs are asked anything, which is work too
        _all_answer(services)
        now = (services.screen.mark(), activity.processes)
        works = activity.works and not activity.is_past(working)
        same = same + 1 if now == before and not works else 1
        before = now
    return True


def wait_for_change(services: Services, seconds: float, mark: int) -> bool:
    """Whether the screen shows something else than at ``mark``, or comes to within the time."""
    activity = Activity()
    while services.screen.mark() == mark:
        if activity.is_past(seconds):
            return False
        select.select([], [], [], BETWEEN)
        activity.look()
    return True


def answers(services: Services) -> None:
    """Ask each program something: it answers when it has gone through what came before, such as a key."""
    activity = Activity()
    while not _all_answer(services):
        activity.look()
        if not activity.works or activity.is_past(ANSWERING):
            return


def _all_answer(services: Services) -> bool:
    """False where a program did not answer in time; an error is an answer too."""
    try:
        programs = services.bus.ask(Call(REGISTRY, ROOT, ACCESSIBLE, "GetChildren"), ANSWERING)
        told = services.bus.ask_all([Call(to, path, ACCESSIBLE, "GetRole") for to, path in programs], ANSWERING)
    except BusError as error:
        return error.errno != ETIMEDOUT
    return not any(isinstance(each, BusError) and each.errno == ETIMEDOUT for each in told)


def let_go(services: Services, windows: list[dict[str, Any]], stuck: set[tuple[str, str]]) -> bool:
    """Whether a button that is shown pressed was let go, so that what it does has begun and there is more to see.

    A button that a key presses, as Enter does a dialog's, is shown so for some time before it does anything; meanwhile
    its program rests. ``stuck`` are those that stayed pressed, as their program means something else by it.
    """
    nodes = [node for window in windows for node in walk(window)]
    pressed = {
        (node["to"], node["path"]) for node in nodes if node["role"] == "push button" and "armed" in node["states"]
    } - stuck
    if not pressed or services.display.button_is_held():  # the mouse's, which no program lets go
        return False
    activity = Activity()
    while still := _armed(services, pressed):
        if activity.is_past(PRESSED):
            stuck |= still
            break
        select.select([], [], [], BETWEEN)
        activity.look()
    return still != pressed


def _armed(services: Services, buttons: set[tuple[str, str]]) -> set[tuple[str, str]]:
    asked = sorted(buttons)
    told = services.bus.ask_all([Call(to, path, ACCESSIBLE, "GetState") for to, path in asked], ANSWERING)
    return {
        each for each, bits in zip(asked, told, strict=True) if isinstance(bits, list) and "armed" in states_of(bits)
    }
