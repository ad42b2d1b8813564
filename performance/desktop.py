"""How long a private desktop takes to start, to act and be looked at, and to be put back; and four of them at once.

    python performance/desktop.py [--repeat 5] [--side-by-side 4] [--desktop debian] [--start /PROGRAM/FILE]

Prints milliseconds (median, minimum in brackets) and the machine's load, beside start times that others have published,
which were measured elsewhere: compare orders of magnitude. Needs `scripts/setup.sh desktop`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Awaitable
from typing import Any

from lbi.environments.desktop.environment import DesktopEnvironment, DesktopEnvironments
from lbi.records import Task

Times = dict[str, list[float]]
#: what others say of the start of a machine or container to work in, in milliseconds: (what, time, source)
PUBLISHED = (
    ("container: docker run busybox true", "500-6700", "moby/moby, issue 38077: four machines of 2018, no desktop"),
    ("microVM, to /sbin/init, no desktop", "<= 125", "firecracker-microvm/firecracker, SPECIFICATION.md"),
    ("Windows in a VM, from a snapshot", "2000-3000", "lg/osrun, README"),
    ("OSWorld's VM, waited for after reset", "60000", "OSWorld, lib_run_single.py: sleeps before the first look"),
)
STEPS = ('click(cell "B2")', 'fill(cell "F3", "12")', 'press("Control+z")', 'click(tab "Notes")', 'click(tab "Budget")')


async def timed(times: Times, what: str, work: Awaitable[Any]) -> Any:
    began = time.perf_counter()
    result = await work
    times.setdefault(what, []).append(1000 * (time.perf_counter() - began))
    return result


async def one(environments: DesktopEnvironments, start: str, repeat: int) -> Times:
    """The times of one desktop after the other."""
    times: Times = {}
    for _ in range(repeat):
        environment: DesktopEnvironment = await timed(times, "start", environments.open())
        await timed(times, "empty desktop seen", environment.reset(_task("")))
        await timed(times, "put back", environment.session.reset())
        environment._used = False  # it is fresh
        await timed(times, f"{start} seen", environment.reset(_task(start)))
        for action in STEPS:
            outcome = await timed(times, "step with observation", environment.step(action))
            assert not outcome.observation.error, f"{action}: {outcome.observation.error}"
        await timed(times, "look alone", environment.session.ask("look"))
        await timed(times, "picture", environment.session.picture())
        await timed(times, "end", environment.close())
    return times


def _task(start: str) -> Task:
    return Task(instruction="", environment="desktop", start_url=start)


def shown(title: str, times: Times, seconds: float = 0.0) -> None:
    print(f"\n{title}" + (f" ({seconds:.1f} s in all)" if seconds else ""))
    for what, values in times.items():
        print(f"  {what:34} {statistics.median(values):8.0f} ms  [{min(values):.0f}]  n={len(values)}")


async def measured(name: str, start: str, repeat: int, together: int) -> None:
    environments = DesktopEnvironments(name)
    try:
        await environments.home()  # made once, and not measured
        shown("one after the other", await one(environments, start, repeat))
        began = time.perf_counter()
        found = await asyncio.gather(*(one(environments, start, 1) for _ in range(together)))
        merged: Times = {}
        for times in found:
            for what, values in times.items():
                merged.setdefault(what, []).extend(values)
        shown(f"{together} side by side", merged, time.perf_counter() - began)
    finally:
        await environments.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--side-by-side", type=int, default=4)
    parser.add_argument("--desktop", default="debian")
    parser.add_argument("--start", default="/calc/Documents/budget.fods")
    wanted = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    asyncio.run(measured(wanted.desktop, wanted.start, wanted.repeat, wanted.side_by_side))
    print(f"\nload after: {os.getloadavg()[0]:.1f}")
    print("\npublished by others, measured elsewhere")
    for what, milliseconds, source in PUBLISHED:
        print(f"  {what:34} {milliseconds:>8}     {source}")


if __name__ == "__main__":
    main()
