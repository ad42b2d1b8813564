"""Waits until a desktop has done what it was told, by asking: programs answer, and nothing goes on."""

from __future__ import annotations

import os
import select
import time

from .accessibility import ACCESSIBLE, REGISTRY, ROOT
from .dbus import BusError, Call
from .services import Services

LOOKS = 3  # in a row that are the same
BETWEEN = 0.025  # seconds from one look to the next
WORKING = 2.0  # seconds that it is waited for programs which work and show nothing new
ANSWERING = 2.0  # seconds that programs have to answer


def settle(services: Services, seconds: float) -> bool:
    """Whether the desktop came to rest within the time: the same is shown, by the same processes, and none works."""
    deadline, patience = time.monotonic() + seconds, time.monotonic() + WORKING
    services.display.sync()
    before, same = (services.screen.mark(), {*_processes()}), 1
    while same < LOOKS:
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], BETWEEN)
        processes = _processes()  # before they are asked anything, which is work too
        answers(services)
        now = (services.screen.mark(), {*processes})
        works = any(processes.values()) and time.monotonic() < patience
        same = same + 1 if now == before and not works else 1
        before = now
    return True


def _processes() -> dict[int, bool]:
    """The processes there are but this one, and whether each is at work, or waits for a disk."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    found[int(name)] = file.read().rpartition(b") ")[2][:1] in b"RD"
            except OSError:  # it has just ended
                continue
    return found


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
