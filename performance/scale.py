"""What one unit of a run costs the process that drives it: a record, a model call, an answer from another machine.

    python performance/scale.py RUN [--calls 2000]

RUN is a run folder, only read; docs/scale.md multiplies these numbers. Bytes are those of a new database that holds
this run's trajectories (or calls) alone, after it is closed, so texts that pages share are there once. CPU is of this
process with all its threads, the server's apart, in milliseconds; it depends little on what else the machine does.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import pickle
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from engine import Load
from engine import run as measure_engine
from lbi.environments._cluster.wire import Answer
from lbi.protocols import Outcome
from lbi.records import Trajectory
from lbi.storage.database import Store
from lbi.storage.run_folder import RunFolder


def told(what: str, bytes_: float, cpu: float, more: str = "") -> None:
    print(f"{what:<52}{bytes_:>10,.0f} bytes {cpu:>8.3f} ms CPU  {more}", flush=True)


async def stored(file: Path, keys: int, put: Callable[[Store, int], Awaitable[object]]) -> tuple[float, float]:
    """(bytes, CPU ms) of each of so many rows in a new database."""
    store = Store(file, writing=True)
    began = time.process_time()
    await asyncio.gather(*(put(store, number) for number in range(keys)))
    cpu = time.process_time() - began
    store.close()
    return sum(each.stat().st_size for each in file.parent.glob(f"{file.name}*")) / keys, 1000 * cpu / keys


def calls_of(run: Path) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{run / 'run.db'}?mode=ro", uri=True)) as db:
        return db.execute("SELECT length(messages), length(reply) FROM call").fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--calls", type=int, default=2_000)
    options = parser.parse_args()
    with RunFolder(options.run, writing=False) as folder:
        trajectories = [trajectory for _, trajectory in folder.store.all("trajectory", Trajectory)]
        trajectories += [trajectory for _, trajectory in folder.store.all("episode", Trajectory)]
    steps = statistics.mean(len(trajectory.steps) for trajectory in trajectories)
    print(f"{len(trajectories)} trajectories and episodes of {steps:.1f} steps each (load {os.getloadavg()[0]:.0f})")
    with tempfile.TemporaryDirectory() as temporary:
        size, cpu = asyncio.run(
            stored(
                Path(temporary) / "run.db",
                len(trajectories),
                lambda store, number: store.put("trajectory", str(number), trajectories[number]),
            )
        )
    told("a trajectory, written and synced", size, cpu, f"{size / steps:,.0f} bytes and {cpu / steps:.3f} ms a step")
    if calls := calls_of(options.run):
        sizes = [sum(int(str(part or 0)) for part in call) for call in calls]
        told(f"a call's prompt and reply, compressed ({len(calls)})", statistics.mean(sizes), 0.0)
    outcomes = [
        Answer(Outcome(action=step.action, observation=step.observation))
        for each in trajectories
        for step in each.steps
    ]
    began, packed = time.process_time(), [pickle.dumps(outcome) for outcome in outcomes]
    for each in packed:
        pickle.loads(each)
    cpu = 1000 * (time.process_time() - began) / len(packed)
    told("a step's answer over the wire, packed and unpacked", statistics.mean(map(len, packed)), cpu)
    print("a call through the engine, stored, with prompts of 2 kB, 200 in flight:")
    measure_engine("lbi", Load(options.calls, 200, 0.0))


if __name__ == "__main__":
    main()
