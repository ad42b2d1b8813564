"""Several processes on one run folder: what is claimed is done once, and a dead one's work is taken over."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lbi.errors import UserError
from lbi.records import Task
from lbi.storage.leases import Leases, WorkKey
from lbi.storage.run_folder import RunFolder
from running import environ

TASKS = [WorkKey("task", f"{at:03d}") for at in range(60)]
#: each process prints what it does; the row says who did it
WORKER = """
import asyncio, os, sys, time
from pathlib import Path
from lbi.storage.leases import Leases, WorkKey
from lbi.records import Task
from lbi.storage.run_folder import RunFolder

async def main():
    joining = sys.argv[2] == "join"
    with RunFolder(Path(sys.argv[1]), {}, joining=joining) as folder:
        leases = Leases(folder.store, beat=0.1, lease=float(sys.argv[3]))
        await leases.enter(alone=folder.alone)
        folder.let_in(joined=joining)
        print("in", flush=True)
        places = [WorkKey("task", f"{at:03d}") for at in range(60)]
        gate = asyncio.Semaphore(4)
        async def one(place):
            async with leases.lease(place, gate) as mine:
                if mine:
                    print(place.key, flush=True)
                    await asyncio.sleep(0.02)
                    while not (folder.path / "go").exists():
                        await asyncio.sleep(0.02)
                    task = Task(instruction=str(os.getpid()), environment="x")
                    await folder.store.put(place.kind, place.key, task)
        await asyncio.gather(*map(one, places))
        await leases.leave()

asyncio.run(main())
"""


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Start]:
    """Starts processes on one run folder, each "alone" or to "join", and ends those that are left."""
    running: list[subprocess.Popen[str]] = []

    def start(how: str, lease: float = 60.0) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, str(tmp_path / "run"), how, str(lease)]
        pipe = subprocess.PIPE
        running.append(subprocess.Popen(command, env=environ(), stdout=pipe, stderr=pipe, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def go(folder: Path) -> None:
    """Nobody ends its first pieces of work before this."""
    (folder / "run" / "go").touch()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def said(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    assert process.stderr is not None
    found = process.stdout.read().split()
    assert process.wait(60) == 0, process.stderr.read()
    return found


def doers(out: Path) -> Counter[str]:
    with RunFolder(out, writing=False) as folder:
        return Counter(task.instruction for _, task in folder.store.all("task", Task))


@pytest.mark.slow
def test_processes_that_join_share_the_work_and_do_nothing_twice(tmp_path, worker):
    one = worker("alone")
    assert first_line(one) == "in"
    first_line(one)  # it is at work, and has leases that only it knows of
    others = [worker("join") for _ in range(2)]
    assert [first_line(other) for other in others] == ["in", "in"]
    with pytest.raises(UserError, match=f"in use by process {one.pid} on .*--join"):
        RunFolder(tmp_path / "run", {})
    go(tmp_path)
    begun = [*said(one), *said(others[0]), *said(others[1])]
    assert len(begun) == len(set(begun)), "nothing was begun twice"
    count = doers(tmp_path / "run")
    assert sum(count.values()) == len(TASKS)
    assert set(count) == {str(process.pid) for process in (one, *others)}, "each of them did some"


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_the_work_of_a_killed_process_is_taken_over(tmp_path, worker, victim):
    one = worker("alone")
    first_line(one)
    two = worker("join")
    first_line(two)
    both = [one, two]
    dead, other = both[victim], both[1 - victim]
    go(tmp_path)
    first_line(dead)
    os.kill(dead.pid, signal.SIGKILL)
    dead.wait()
    said(other)
    assert sum(doers(tmp_path / "run").values()) == len(TASKS)


@pytest.mark.slow
def test_while_one_that_joined_is_at_work_nobody_starts_alone_and_another_may_join(tmp_path, worker):
    one = worker("alone")
    first_line(one)
    two = worker("join")
    first_line(two)
    os.kill(one.pid, signal.SIGKILL)
    one.wait()
    with pytest.raises(UserError, match=f"in use by process {two.pid} on "):
        RunFolder(tmp_path / "run", {})
    with RunFolder(tmp_path / "run", {}, joining=True) as folder:
        assert not folder.alone
    go(tmp_path)
    said(two)
    with RunFolder(tmp_path / "run", {}, joining=True) as folder:
        assert folder.alone, "nobody is there to be joined"


@pytest.mark.slow
def test_a_process_that_stood_still_is_told_so_and_its_work_was_taken_over(tmp_path, worker):
    one = worker("alone", 8.0)
    first_line(one)
    two = worker("join", 8.0)
    first_line(two)
    os.kill(one.pid, signal.SIGSTOP)
    go(tmp_path)
    said(two)
    assert sum(doers(tmp_path / "run").values()) == len(TASKS)
    os.kill(one.pid, signal.SIGCONT)
    one.wait(60)


async def test_alone_nothing_is_written_for_a_claim(tmp_path):
    with RunFolder(tmp_path, {}) as folder:
        leases = Leases(folder.store)
        await leases.enter(alone=True)
        assert await leases.take(TASKS[0]) == "mine"
        leases.done(TASKS[0])
        leases.give_up(TASKS[1])
        assert await leases.take(TASKS[1]) == "done", "given up once is given up"
        leases.done(WorkKey("label", "x"))
        assert await leases.take(WorkKey("label", "x")) == "done"
        folder.store.flush()
        with closing(sqlite3.connect(tmp_path / "run.db")) as db:
            assert db.execute("SELECT count(*) FROM claim").fetchone() == (0,)
        await leases.leave()


async def test_what_was_done_or_given_up_before_another_came_is_known_to_it(tmp_path):
    with RunFolder(tmp_path, {}) as folder:
        first, second = (Leases(folder.store, beat=0.05, lease=5.0) for _ in range(2))
        await first.enter(alone=True)
        first.done(WorkKey("label", "x"))
        await first.take(TASKS[0])
        first.give_up(TASKS[0])
        await first.take(TASKS[1])
        await second.enter(alone=False)
        taken = [await second.take(place) for place in (WorkKey("label", "x"), *TASKS[:3])]
        assert taken == ["done", "done", "theirs", "mine"]
        assert await first.take(TASKS[2]) == "theirs"
        first.free(TASKS[1])
        assert await second.take(TASKS[1]) == "mine"
        await folder.store.put(*TASKS[1], Task(instruction="go", environment="x"))
        assert await first.take(TASKS[1]) == "done", "its record is there"
        await first.leave()
        await second.leave()
