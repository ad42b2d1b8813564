"""What kill -9 costs a run, at random times: of our process, the browser, its driver, a server (application, model).

    python performance/kill.py [--target lbi|browser|driver|application|model] [--points 50] [--seed 0] [--config FILE]

A small application (tests/small_application.py), or another one with --config, is learnt with a model server in a
process of its own that derives its replies from the prompts' hash (`lbi.models.testing`): twice undisturbed, then with
kills. If our process is killed, it is started again with the same command; after any other kill the run must go on by
itself. Printed for each target:

  points   kills that hit a working process                runs    runs with these kills, each to its end
  equal    runs whose dataset is that of the undisturbed run: tasks, trajectories, examples, episodes and results with
           all of their content and ids, except time and cost of calls
  lost     rows that could be read before a kill and not after it
  flight   calls that had reached the model's server and whose reply was not stored when the kill came
  repeated calls that were sent again although their reply was stored, or no kill came while they were in flight
  faults   results whose fault differs from the undisturbed run: counted as the agent's, or as lost
  errors   times that a run ended with an error and was started again with the same command
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import zstandard

from lbi.models.testing.improvised import digest_of_turns
from lbi.records import Example, Record, Result, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from running import command, environ
from small_application import write_application

TARGETS = ("lbi", "browser", "driver", "application", "model")
TYPES: dict[str, type[Record]] = {
    "task": Task,
    "trajectory": Trajectory,
    "example": Example,
    "composition": Trajectory,
    "episode": Trajectory,
    "result": Result,
}
KILLS_PER_RUN = 5
MODEL = "openai:improvised"
STARTS = 12  # how often one run is started again after it ended with an error; each time is counted


@dataclass
class Counts:
    """The counts of one target; see the module's docstring."""

    points: int = 0
    runs: int = 0
    equal: int = 0
    lost: int = 0
    flight: int = 0
    repeated: int = 0
    faults: int = 0
    errors: int = 0  # times that a run ended with an error and was started again
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """How runs are started: the config, and how the model behaves."""

    config: Path
    cache: str
    folder: Path
    latency: float
    spread: float
    extra: tuple[str, ...] = ()

    def start(self, out: Path, url: str) -> subprocess.Popen[str]:
        arguments = ("run", self.config, "--out", out, "-q", "--model", MODEL, "--base-url", f"{url}/v1", *self.extra)
        env = environ(XDG_CACHE_HOME=self.cache) if self.cache else environ()
        out.mkdir(parents=True, exist_ok=True)
        with (out / "stderr.txt").open("a") as error_file:
            return subprocess.Popen(
                command(*arguments),
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=error_file,
                text=True,
                start_new_session=True,
            )


@dataclass
class Server:
    """The model's server, a process; when it is started again, it has the same port."""

    journal: Path
    latency: float
    port: int = 0
    process: subprocess.Popen[str] | None = None

    def start(self) -> str:
        self.port = self.port or free_port()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "lbi.models.testing.model_server", "--improvise", "--port", str(self.port)),
                *("--latency", str(self.latency), "--journal", str(self.journal)),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()

    def arrived(self) -> list[str]:
        """Hashes of the calls that have arrived, in order."""
        return self.journal.read_text().split() if self.journal.exists() else []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(setting: Setting, out: Path) -> Iterator[tuple[Server, str]]:
    server = Server(out.with_suffix(".journal"), setting.latency)
    try:
        yield server, server.start()
    finally:
        server.stop()


# what a run folder holds


def content_of(out: Path) -> dict[str, dict[str, Any]]:
    """{kind: {key: record}}: everything that a run produced, without what its calls took."""
    with RunFolder(out, writing=False) as folder:
        return {
            kind: {key: timeless(record.model_dump(mode="json")) for key, record in folder.store.all(kind, type_)}
            for kind, type_ in TYPES.items()
        }


def timeless(value: Any) -> Any:
    """A record without time and cost of calls: a call that is answered from the store takes neither."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in ("seconds", "cost", "calls")}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def rows_of(out: Path) -> dict[tuple[str, str], str]:
    """{(kind, key): id} of all records and calls."""
    if not (out / "run.db").is_file():
        return {}
    with closing(sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True, timeout=30)) as db:
        try:
            rows = db.execute("SELECT kind, key, id FROM record UNION ALL SELECT 'call', key, '' FROM call").fetchall()
        except sqlite3.OperationalError:  # the tables are not there yet
            return {}
    return {(kind, key): id_ for kind, key, id_ in rows}


def answered(out: Path) -> set[str]:
    """Hashes of the calls whose replies are stored."""
    if not (out / "run.db").is_file():
        return set()
    unpack = zstandard.ZstdDecompressor()
    with closing(sqlite3.connect(f"file:{out / 'run.db'}?mode=ro", uri=True, timeout=30)) as db:
        try:
            rows = db.execute("SELECT messages FROM call").fetchall()
        except sqlite3.OperationalError:
            return set()
    conversations = [[message["content"] for message in json.loads(unpack.decompress(row[0]))] for row in rows]
    return {digest_of_turns(conversation) for conversation in conversations}


# processes


def descendants(pid: int) -> list[tuple[int, str]]:
    """(process id, command line) of all descendants of a process, from /proc."""
    parents: dict[int, list[int]] = {}
    lines: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            lines[int(entry.name)] = line.replace(b"\0", b" ").decode("utf-8", "replace")
            parents.setdefault(parent, []).append(int(entry.name))
    processes, to_visit = [], [pid]
    while to_visit:
        for child in parents.get(to_visit.pop(), []):
            processes.append((child, lines[child]))
            to_visit.append(child)
    return processes


def victim(target: str, pid: int, rng: random.Random) -> int | None:
    """The id of a process to kill; None if there is none at the moment."""
    if target == "lbi":
        return pid
    below = descendants(pid)
    if target == "browser":
        candidates = [
            candidate for candidate, line in below if "--remote-debugging-pipe" in line and "--type=" not in line
        ]
    elif target == "driver":  # Playwright's, by which we speak to the browser
        candidates = [candidate for candidate, line in below if "playwright" in line and "run-driver" in line]
    else:
        # the application's server is the leader of a group of its own, and no part of the browser
        candidates = [
            candidate
            for candidate, line in below
            if "chrom" not in line and "playwright" not in line and os.getpgid(candidate) == candidate
        ]
    return rng.choice(candidates) if candidates else None


# one run


def undisturbed(setting: Setting) -> tuple[Path, float]:
    out = setting.folder / "undisturbed"
    with served(setting, out) as (_, url):
        start = time.monotonic()
        process = setting.start(out, url)
        if process.wait() != 0:
            raise SystemExit(f"the undisturbed run failed:\n{(out / 'stderr.txt').read_text()}")
        return out, time.monotonic() - start


@dataclass
class Marks:
    """For each kill: how many calls had reached the model's server, and which replies were stored."""

    at: list[tuple[int, set[str]]] = field(default_factory=list)

    def set(self, server: Server, out: Path) -> int:
        """Note a kill. Returns how many calls were in flight."""
        time.sleep(0.05)  # let calls arrive that the killed process had sent
        arrived, stored = server.arrived(), answered(out)
        self.at.append((len(arrived), stored))
        return len(set(arrived) - stored)

    def repeated(self, arrived: list[str]) -> int:
        """Number of calls that were sent again although no kill came while they were in flight."""
        count, last_arrival = 0, dict[str, int]()
        for arrival, call in enumerate(arrived):
            if call in last_arrival:
                count += not any(
                    last_arrival[call] < kill <= arrival and call not in stored for kill, stored in self.at
                )
            last_arrival[call] = arrival
        return count


def disturbed(setting: Setting, target: str, kills: int, rng: random.Random, counts: Counts) -> Path:
    """One run from its first start to its end, with kills; returns its folder."""
    out = setting.folder / f"{target}-{counts.runs:02d}"
    counts.runs += 1
    marks = Marks()
    with served(setting, out) as (server, url):
        process = setting.start(out, url)
        for _ in range(kills):
            awaited(target, process)
            pause = time.monotonic() + rng.uniform(0.2, setting.spread)
            while process.poll() is None and time.monotonic() < pause:
                time.sleep(0.01)
            if process.poll() is not None:
                break
            before = rows_of(out)
            if not hit(target, process, server, rng):
                continue
            counts.points += 1
            counts.flight += marks.set(server, out)
            counts.lost += lost(before, rows_of(out))
            if target == "lbi":
                process = setting.start(out, url)
            elif target == "model":
                time.sleep(rng.uniform(0.0, 0.5))
                server.start()
        finish(setting, process, out, url, counts)
        counts.repeated += marks.repeated(server.arrived())
    return out


def awaited(target: str, process: subprocess.Popen[str]) -> None:
    """Wait until there is a process to kill or the run has ended; on a busy machine a browser is slow to start."""
    while process.poll() is None and target != "model" and victim(target, process.pid, random.Random(0)) is None:
        time.sleep(0.05)


def hit(target: str, process: subprocess.Popen[str], server: Server, rng: random.Random) -> bool:
    """Kill one process; False if there is none of its kind at the moment."""
    if target == "model":
        server.stop()
        return True
    pid = victim(target, process.pid, rng)
    if pid is None:
        return False
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    if target == "lbi":
        process.wait()
    return True


def finish(setting: Setting, process: subprocess.Popen[str], out: Path, url: str, counts: Counts) -> None:
    """Wait for the end of a run. If it ends with an error, start it again with the same command, and count that."""
    for _ in range(STARTS):
        if process.wait() == 0:
            return
        counts.errors += 1
        counts.notes.append(f"{out.name}: {(out / 'stderr.txt').read_text().splitlines()[-1:]}")
        process = setting.start(out, url)
    process.kill()
    raise SystemExit(f"{out} does not come to its end:\n{(out / 'stderr.txt').read_text()}")


def lost(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> int:
    return sum(after.get(row) != id_ for row, id_ in before.items() if row[0] != "example") + sum(
        row not in after for row in before if row[0] == "example"
    )


def faults(content: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]) -> int:
    """Number of results whose fault differs from the undisturbed run."""
    wanted = {key: row["fault"] for key, row in expected["result"].items()}
    return sum(row["fault"] != wanted.get(key) for key, row in content["result"].items())


def measure(setting: Setting, target: str, points: int, seed: int, expected: Any) -> Counts:
    counts, rng, start = Counts(), random.Random(f"{target}/{seed}"), time.monotonic()
    while counts.points < points:
        out = disturbed(setting, target, min(KILLS_PER_RUN, points - counts.points), rng, counts)
        content = content_of(out)
        same = content == expected
        counts.equal += same
        counts.faults += faults(content, expected)
        if not same:
            differ = [kind for kind in TYPES if content[kind] != expected[kind]]
            counts.notes.append(f"{out.name}: another dataset: {', '.join(differ)}")
    counts.seconds = time.monotonic() - start
    return counts


def _same(first: Any, second: Any) -> str:
    return "equal" if first == second else "NOT equal"


COLUMNS = ("points", "runs", "equal", "lost", "flight", "repeated", "faults", "errors")


def shown(target: str, counts: Counts) -> str:
    numbers = "".join(f"{getattr(counts, name):>10}" for name in COLUMNS)
    return f"{target:<12}{numbers}{counts.seconds:>8.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, action="append", help="may be repeated; all of them without it")
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that a call takes")
    parser.add_argument("--spread", type=float, default=8.0, help="seconds of work before a kill, at most")
    parser.add_argument("--config", type=Path, help="another application's config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the config")
    parser.add_argument("--keep", type=Path, help="folder for the runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        config = options.config or write_application(Path(temporary) / "app")
        extra = tuple(part for assignment in options.set for part in ("--set", assignment))
        setting = Setting(
            config,
            "" if options.config else str(Path(temporary) / "cache"),
            folder,
            options.latency,
            options.spread,
            extra,
        )
        out, seconds = undisturbed(setting)
        expected = content_of(out)
        sizes = ", ".join(f"{len(rows)} {kind}s" for kind, rows in expected.items())
        print(f"undisturbed: {seconds:.1f} s; {sizes}; {len(answered(out))} calls", flush=True)
        again, seconds = undisturbed(replace(setting, folder=folder / "again"))
        print(
            f"undisturbed again: {seconds:.1f} s; {'equal' if content_of(again) == expected else 'NOT equal'}",
            flush=True,
        )
        print(f"{'':<12}" + "".join(f"{name:>10}" for name in COLUMNS), flush=True)
        for target in options.target or TARGETS:
            counts = measure(setting, target, options.points, options.seed, expected)
            print(shown(target, counts), flush=True)
            for line in counts.notes:
                print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
