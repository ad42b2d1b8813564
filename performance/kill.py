"""What kill -9 costs a run: of our process, the browser, its driver, the application's server, the model's, at random.

    python performance/kill.py [--target lbi|browser|driver|application|model] [--points 50] [--seed 0] [--config FILE]

A small application (tests/small_application.py), or with --config any other, is learnt with a model server in a
process of its own that makes its replies up by the prompts' hash (`lbi.models.testing`): twice undisturbed, and then
with kills. A killed process of ours is started again with the same command; after any other kill the run has to go on
by itself. Printed for each target:

  points   kills that hit a process at work                runs    runs that took them, each to its end
  equal    of these runs, those with the undisturbed one's dataset: tasks, trajectories, examples, episodes, results,
           all of their content and ids, but not what the calls took
  lost     rows that could be read before a kill, and not after it
  flight   calls that had arrived at the model's server, and no reply to them was stored when the kill came
  repeated calls that came again although their reply was stored, or without a kill while they were in flight
  faults   results whose fault is another than in the undisturbed run: put down as the agent's, or as lost
  errors   times that a run ended with an error and was started again by the same command
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
STARTS = 12  # of one run by the same command after it ended with an error; each is counted


@dataclass
class Counts:
    """Of one target."""

    points: int = 0
    runs: int = 0
    equal: int = 0
    lost: int = 0
    flight: int = 0
    repeated: int = 0
    faults: int = 0
    errors: int = 0  # times that a run ended with an error and was started again
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """A config, and where the model is."""

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
        with (out / "stderr.txt").open("a") as said:
            return subprocess.Popen(
                command(*arguments), env=env, stdout=subprocess.DEVNULL, stderr=said, text=True, start_new_session=True
            )


@dataclass
class Server:
    """The model's server as a process; started again on its own port."""

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

    def asked(self) -> list[str]:
        """Hashes of the calls that arrived, in order."""
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
    """Everything a run came to, without the times at which it did."""
    with RunFolder(out, writing=False) as folder:
        return {
            kind: {key: timeless(record.model_dump(mode="json")) for key, record in folder.store.all(kind, type_)}
            for kind, type_ in TYPES.items()
        }


def timeless(value: Any) -> Any:
    """A record without what calls took: one that is answered from the store costs nothing and no time."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if key not in ("seconds", "cost", "calls")}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def rows_of(out: Path) -> dict[tuple[str, str], str]:
    """(kind, key) -> id, of all records and calls."""
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
    turns = [[turn["content"] for turn in json.loads(unpack.decompress(row[0]))] for row in rows]
    return {digest_of_turns(each) for each in turns}


# processes


def descendants(pid: int) -> list[tuple[int, str]]:
    """(pid, command line) of all processes below one, by /proc."""
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
    found, above = [], [pid]
    while above:
        for child in parents.get(above.pop(), []):
            found.append((child, lines[child]))
            above.append(child)
    return found


def victim(target: str, pid: int, chance: random.Random) -> int | None:
    """The process to kill; None where there is none at this moment."""
    if target == "lbi":
        return pid
    below = descendants(pid)
    if target == "browser":
        found = [p for p, line in below if "--remote-debugging-pipe" in line and "--type=" not in line]
    elif target == "driver":  # Playwright's, by which we speak to the browser
        found = [p for p, line in below if "playwright" in line and "run-driver" in line]
    else:
        # the application's server is the leader of a group of its own, and no part of the browser
        found = [p for p, line in below if "chrom" not in line and "playwright" not in line and os.getpgid(p) == p]
    return chance.choice(found) if found else None


# one run


def undisturbed(setting: Setting) -> tuple[Path, float]:
    out = setting.folder / "undisturbed"
    with served(setting, out) as (_, url):
        began = time.monotonic()
        process = setting.start(out, url)
        if process.wait() != 0:
            raise SystemExit(f"the undisturbed run failed:\n{(out / 'stderr.txt').read_text()}")
        return out, time.monotonic() - began


@dataclass
class Marks:
    """At each kill: how many calls had arrived at the model's server, and which replies were stored."""

    at: list[tuple[int, set[str]]] = field(default_factory=list)

    def set(self, server: Server, out: Path) -> int:
        """Returns how many calls were in flight."""
        time.sleep(0.05)  # what the dead process had sent arrives
        asked, stored = server.asked(), answered(out)
        self.at.append((len(asked), stored))
        return len(set(asked) - stored)

    def repeated(self, asked: list[str]) -> int:
        """Calls that came again although no kill had met the one before in flight."""
        found, last = 0, dict[str, int]()
        for at, call in enumerate(asked):
            if call in last:
                found += not any(last[call] < kill <= at and call not in stored for kill, stored in self.at)
            last[call] = at
        return found


def disturbed(setting: Setting, target: str, kills: int, chance: random.Random, counts: Counts) -> Path:
    """One run from its first start to its end, with kills on the way."""
    out = setting.folder / f"{target}-{counts.runs:02d}"
    counts.runs += 1
    marks = Marks()
    with served(setting, out) as (server, url):
        process = setting.start(out, url)
        for _ in range(kills):
            awaited(target, process)
            pause = time.monotonic() + chance.uniform(0.2, setting.spread)
            while process.poll() is None and time.monotonic() < pause:
                time.sleep(0.01)
            if process.poll() is not None:
                break
            before = rows_of(out)
            if not hit(target, process, server, chance):
                continue
            counts.points += 1
            counts.flight += marks.set(server, out)
            counts.lost += lost(before, rows_of(out))
            if target == "lbi":
                process = setting.start(out, url)
            elif target == "model":
                time.sleep(chance.uniform(0.0, 0.5))
                server.start()
        finish(setting, process, out, url, counts)
        counts.repeated += marks.repeated(server.asked())
    return out


def awaited(target: str, process: subprocess.Popen[str]) -> None:
    """Until there is something to kill, or the run has ended: on a busy machine a browser takes its time to start."""
    while process.poll() is None and target != "model" and victim(target, process.pid, random.Random(0)) is None:
        time.sleep(0.05)


def hit(target: str, process: subprocess.Popen[str], server: Server, chance: random.Random) -> bool:
    """Kill one process; False where there is none of its kind at the moment."""
    if target == "model":
        server.stop()
        return True
    pid = victim(target, process.pid, chance)
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
    """To the end; a run that ended with an error is started again by the same command, and that is counted."""
    for _ in range(STARTS):
        if process.wait() == 0:
            return
        counts.errors += 1
        counts.said.append(f"{out.name}: {(out / 'stderr.txt').read_text().splitlines()[-1:]}")
        process = setting.start(out, url)
    process.kill()
    raise SystemExit(f"{out} does not come to its end:\n{(out / 'stderr.txt').read_text()}")


def lost(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]) -> int:
    return sum(after.get(place) != id_ for place, id_ in before.items() if place[0] != "example") + sum(
        place not in after for place in before if place[0] == "example"
    )


def faults(content: dict[str, dict[str, Any]], expected: dict[str, dict[str, Any]]) -> int:
    """Results whose fault is another than in the undisturbed run."""
    wanted = {key: row["fault"] for key, row in expected["result"].items()}
    return sum(row["fault"] != wanted.get(key) for key, row in content["result"].items())


def measure(setting: Setting, target: str, points: int, seed: int, expected: Any) -> Counts:
    counts, chance, began = Counts(), random.Random(f"{target}/{seed}"), time.monotonic()
    while counts.points < points:
        out = disturbed(setting, target, min(KILLS_PER_RUN, points - counts.points), chance, counts)
        content = content_of(out)
        same = content == expected
        counts.equal += same
        counts.faults += faults(content, expected)
        if not same:
            differ = [kind for kind in TYPES if content[kind] != expected[kind]]
            counts.said.append(f"{out.name}: another dataset: {', '.join(differ)}")
    counts.seconds = time.monotonic() - began
    return counts


def _same(one: Any, other: Any) -> str:
    return "equal" if one == other else "NOT equal"


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
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = given.keep or Path(place)
        config = given.config or write_application(Path(place) / "app")
        extra = tuple(part for each in given.set for part in ("--set", each))
        setting = Setting(
            config, "" if given.config else str(Path(place) / "cache"), folder, given.latency, given.spread, extra
        )
        out, whole = undisturbed(setting)
        expected = content_of(out)
        sizes = ", ".join(f"{len(rows)} {kind}s" for kind, rows in expected.items())
        print(f"undisturbed: {whole:.1f} s; {sizes}; {len(answered(out))} calls", flush=True)
        again, whole = undisturbed(replace(setting, folder=folder / "again"))
        print(
            f"undisturbed again: {whole:.1f} s; {'equal' if content_of(again) == expected else 'NOT equal'}", flush=True
        )
        print(f"{'':<12}" + "".join(f"{name:>10}" for name in COLUMNS), flush=True)
        for target in given.target or TARGETS:
            counts = measure(setting, target, given.points, given.seed, expected)
            print(shown(target, counts), flush=True)
            for line in counts.said:
                print(f"  {line}", flush=True)


if __name__ == "__main__":
    main()
