"""Writes per second of a run's database, with one commit for each and one for many; and kill -9 while it writes.

    python performance/store.py [--rows 20000] [--tasks 500] [--kills 8]

`each` is what the store did before decision 0013: every write is a transaction of its own, in the thread that asks for
it, not synced to the disk (synchronous=NORMAL) or synced (FULL). `grouped` is the store: --tasks tasks each write and
await one row after the other. Rows are replies to model calls with prompts of 2 kB. For kill -9 a process prints the
number of each row that was acknowledged; when it has been killed, the stored rows are counted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import zstandard

from lbi.protocols import Reply
from lbi.records import Usage
from lbi.storage.database import SCHEMA, Store

PROMPT = " ".join(f"line {at}: the quick brown fox jumps over the lazy dog" for at in range(40))
REPLY = Reply(text="REASON: it is there\nACTION: click(e12)", model="m", usage=Usage(calls=1, input_tokens=500))


def each(folder: Path, rows: int, synchronous: str) -> float:
    """Rows per second with a transaction for each."""
    db = sqlite3.connect(folder / f"{synchronous}.db", isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={synchronous}")
    db.executescript(SCHEMA)
    pack = zstandard.ZstdCompressor(level=3)
    start = time.perf_counter()
    for at in range(rows):
        packed = (pack.compress(f"{PROMPT} {at}".encode()), pack.compress(REPLY.text.encode()))
        row = (str(at), "act", "s", "m", *packed, REPLY.usage.model_dump_json(), time.time())
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT OR IGNORE INTO call VALUES(?, ?, ?, ?, ?, ?, ?, ?)", row)
        db.execute("DELETE FROM failed_call WHERE key = ?", (str(at),))
        db.execute("COMMIT")
    seconds = time.perf_counter() - start
    db.close()
    return rows / seconds


async def grouped(folder: Path, rows: int, tasks: int) -> float:
    """Acknowledged rows per second with this number of tasks."""
    store = Store(folder / f"grouped-{tasks}.db")
    remaining = iter(range(rows))

    async def write() -> None:
        for at in remaining:
            await store.put_call(str(at), "act", "s", "m", f"{PROMPT} {at}", REPLY)

    start = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(tasks)))
    seconds = time.perf_counter() - start
    store.close()
    return rows / seconds


async def acknowledge(file: Path, tasks: int) -> None:
    """Write until killed, and print the number of each row that was acknowledged."""
    store = Store(file)
    begin = len(store.call_keys())
    numbers = iter(range(begin, 10**9))

    async def write() -> None:
        for at in numbers:
            await store.put_call(str(at), "act", "s", "m", f"{PROMPT} {at}", REPLY)
            os.write(1, f"{at}\n".encode())

    await asyncio.gather(*(write() for _ in range(tasks)))


def killed(folder: Path, kills: int, tasks: int) -> tuple[int, int]:
    """(rows acknowledged, rows of these that were lost) over this number of kills of a writing process."""
    file, acknowledged = folder / "killed.db", set[str]()
    for number in range(kills):
        arguments = [sys.executable, __file__, "--acknowledge", str(file), "--tasks", str(tasks)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline()]
            stop = time.monotonic() + 0.2 + 0.15 * number
            while time.monotonic() < stop:
                lines.append(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines(keepends=True)
        acknowledged |= {line.strip() for line in lines if line.endswith("\n")}
    store = Store(file)
    stored = store.call_keys()
    store.close()
    return len(acknowledged), len(acknowledged - stored)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--acknowledge", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.acknowledge:
        asyncio.run(acknowledge(options.acknowledge, options.tasks))
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("LBI_BENCH_DIR")) as temporary:
        folder = Path(temporary)
        before = {name: each(folder, options.rows, name) for name in ("NORMAL", "FULL")}
        for name, rate in before.items():
            print(f"each, synchronous={name:<8}{rate:>10,.0f} rows/s")
        for tasks in (1, options.tasks):
            rate = asyncio.run(grouped(folder, options.rows, tasks))
            ratios = ", ".join(f"{rate / other:.2f} x each {name}" for name, other in before.items())
            print(f"grouped, {tasks:>4} tasks     {rate:>12,.0f} rows/s   {ratios}")
        acknowledged, missing = killed(folder, options.kills, options.tasks)
        print(f"kill -9 x {options.kills}: {acknowledged:,} rows acknowledged, {missing} of them lost")


if __name__ == "__main__":
    main()
