"""Waits until a desktop has done what it was told, by asking: programs answer, and the screen stays as it is."""

from __future__ import annotations

import select
import time

from .accessibility import ACCESSIBLE, REGISTRY, ROOT
from .dbus import BusError, Call
from .services import Services

LOOKS = 3  # in a row that are the same
BETWEEN = 0.025  # seconds from one look to the next
ANSWERING = 2.0  # seconds that programs have to answer


def settle(services: Services, seconds: float) -> bool:
    """Whether the desktop came to rest within the time."""
    deadline = time.monotonic() + seconds
    services.display.sync()
    mark, same = services.screen.mark(), 1
    while same < LOOKS:
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], BETWEEN)
        answers(services)
        now = services.screen.mark()
        same = same + 1 if now == mark else 1
        mark = now
    return True


def wait_for_change(services: Services, seconds: float) -> bool:
    """Whether the screen changed by itself within the time."""
    deadline, mark = time.monotonic() + seconds, services.screen.mark()
    while time.monotonic() < deadline:
        select.select([], [], [], BETWEEN)
        if services.screen.mark() != mark:
            return True
    return False


def answers(services: Services) -> None:
    """Ask each program something: it answers when it has gone through what came before, such as a key."""
    try:
        programs = services.bus.ask(Call(REGISTRY, ROOT, ACCESSIBLE, "GetChildren"), ANSWERING)
        calls = [Call(to, path, ACCESSIBLE, "GetRole") for to, path in programs]
        services.bus.ask_all(calls, ANSWERING)
    except BusError:
        return
