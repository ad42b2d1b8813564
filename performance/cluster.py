"""What environments on other machines cost and bring, and what it costs to lose a machine. Needs the extra `ray`.

    python performance/cluster.py                     overhead beside one process, and growth with 1, 2 and 4 actors
    python performance/cluster.py --kills 10          a node is killed in the middle of a run, ten times

The machines are Ray nodes that are processes of this one (tests/ray_nodes.py); none is left at the end.
Beside each number stands the load of the machine (the first of `uptime`), as other work counts too.

Overhead and growth are those of an environment whose steps wait (--step seconds, a page of 12,000 characters): two
cores can show neither with steps that compute. `here` is one process with as many environments, `ray` the same number
of actors; both are timed in turns, --rounds times, and the ratio is that of the medians. The last row has no waiting:
what a step costs beyond the environment's own work.

Kills: `lbi synthesize` of a small repository with the offline policy, its shells on the second of two
nodes. In the middle of a run everything on that node is killed at once, and a new one joins; counted are kills that
ended some work. Printed for each: whether the dataset (tasks,
trajectories, examples, compositions with all of their content and ids) is the undisturbed run's, rows that could be
read before the kill and not after it, failures that were recorded, and whether the run had to be started again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

from kill import content_of, lost, rows_of
from lbi.config import Config, resolve
from lbi.environments import open_environments
from lbi.environments._cluster.elsewhere import open_elsewhere
from lbi.environments._pool import Pool
from lbi.protocols import Decision, Environment, Environments
from lbi.records import Observation, Step, Task, Trajectory
from lbi.rollouts.loop import rollout
from lbi.storage.run_folder import RunFolder
from ray_nodes import ray_nodes
from running import command, environ

SOURCE = str(Path(__file__).parents[1] / "src")
PLUG_IN = "waiting_lbi"
OPENS_WITHIN = 600.0  # seconds for all environments of one side, on a busy machine
CLOCK = 'shell.env={TIME_STYLE = "+-"}'  # or `ls -l` says what time it is, which no two runs agree on
ENVIRONMENT = '''
"""Pages that take a while, and no work."""
import asyncio
from lbi.protocols import CallTimeouts, Outcome
from lbi.records import Action, Observation

ACTIONS = "next()"
PAGE = "".join(f"link \\"Entry {number}\\" [e{number}] -> /entry/{number}\\n" for number in range(300))[:12_000]

def create(config, save_image):
    return Waits(float(config.url.rpartition("/")[2]))

async def documents(environments):
    return ()

class Waits:
    name, restores, timeouts = "waits", True, CallTimeouts()
    def __init__(self, seconds):
        self.seconds = seconds
    async def open(self):
        return Wait(self.seconds)
    async def close(self):
        pass

class Wait:
    name, actions = "waits", ACTIONS
    def __init__(self, seconds):
        self.seconds = seconds
    async def reset(self, task):
        return Observation(text=PAGE, url="/")
    async def step(self, action):
        await asyncio.sleep(self.seconds)
        return Outcome(action=Action(text=action, kind="click"), observation=Observation(text=PAGE, url="/" + action))
    async def score(self, task, answer):
        return 1.0, ""
    async def close(self):
        pass
'''


def load() -> str:
    return f"load {os.getloadavg()[0]:.0f}"


# overhead and growth


class Next:
    """Takes the next step at once."""

    name = "next"

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        return Decision(action=f"next({len(history)})")


def write_plug_in(folder: Path) -> Path:
    """A folder with an environment of another distribution, as pip leaves it."""
    info = folder / f"{PLUG_IN}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{PLUG_IN}.py").write_text(ENVIRONMENT)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PLUG_IN}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[lbi.environments]\nwaits = {PLUG_IN}\n")
    return folder


def config_for(step: float, workers: int, address: str = "") -> Config:
    cluster = {"ray": address, "cores": 0.25, "memory": 128} if address else {}
    url = f"http://waits.invalid/{step}"
    return resolve({"environment": "waits", "url": url, "workers": workers, "cluster": cluster}, "here")


class Side:
    """Environments that stay open, and roll-outs on them whose trajectories are stored."""

    def __init__(self, environments: Environments, workers: int, folder: RunFolder) -> None:
        self.environments, self.workers, self.folder = environments, workers, folder
        self.pool = Pool(environments, workers)
        self.number = 0

    async def run(self, episodes: int, steps: int) -> float:
        """Seconds for so many episodes."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(episodes):
                self.number += 1
                group.create_task(self._episode(self.number, steps))
        return time.monotonic() - began

    async def _episode(self, number: int, steps: int) -> None:
        async def work(environment: Environment) -> None:
            task = Task(instruction=f"{number}", environment="waits")
            trajectory: Trajectory = await rollout(environment, Next(), task, steps)
            await self.folder.store.put("trajectory", f"{self.workers}/{id(self)}/{number}", trajectory)

        await self.pool.do(work, failed=lambda error, last: print(error, file=sys.stderr))

    async def open_all(self) -> float:
        """Seconds until all environments are open, each after one step.

        Each piece of work waits for the others: else who is there first does all of it, while the others still start.
        """
        began, together = time.monotonic(), asyncio.Barrier(self.workers)

        async def work(environment: Environment) -> None:
            await rollout(environment, Next(), Task(instruction="begin", environment="waits"), 1)
            await together.wait()

        try:
            async with asyncio.timeout(OPENS_WITHIN), asyncio.TaskGroup() as group:
                for _ in range(self.workers):
                    group.create_task(self.pool.do(work, failed=lambda error, last: print(error, file=sys.stderr)))
        except TimeoutError:
            raise SystemExit(
                f"{together.n_waiting} of {self.workers} environments opened in {OPENS_WITHIN:.0f} s ({load()})"
            ) from None
        return time.monotonic() - began

    async def close(self) -> None:
        await self.pool.close()
        await self.environments.close()


async def opened(step: float, workers: int, folder: RunFolder, address: str = "") -> tuple[Side, float]:
    """A side with all of its environments open, and how many seconds that took."""
    config = config_for(step, workers, address)
    here = open_environments(config, folder.save_image)
    placed = await open_elsewhere(here, config, folder.save_image, print) if address else None
    side = Side(placed or here, workers, folder)
    return side, await side.open_all()


async def compare(address: str, folder: RunFolder, step: float, workers: int, rounds: int, steps: int) -> None:
    """One process beside as many actors, in turns."""
    here, _ = await opened(step, workers, folder)
    there, starting = await opened(step, workers, folder, address)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for side, seconds in zip((here, there), times, strict=True):
            seconds.append(await side.run(2 * workers, steps))
    first, second = (statistics.median(each) for each in times)
    done = 2 * workers * steps
    ratio = f"{second / first:.3f} of one process"
    each = f"{1000 * (second - first) * workers / done:.1f} ms more for each step"
    print(
        f"{workers} environments, steps of {step:g} s: here {done / first:.1f} steps/s, ray {done / second:.1f}; "
        f"{ratio}, {each}; actors started in {starting:.1f} s ({load()})",
        flush=True,
    )
    await here.close()
    await there.close()


async def growth(address: str, folder: RunFolder, step: float, steps: int) -> None:
    """Steps per second with 1, 2 and 4 actors, beside as many times what one does."""
    one = 0.0
    for workers in (1, 2, 4):
        side, starting = await opened(step, workers, folder, address)
        seconds = await side.run(2 * workers, steps)
        rate = 2 * workers * steps / seconds
        one = one or rate
        print(
            f"{workers} actors: {rate:.2f} steps/s, {rate / one:.2f} times one (ideal {workers}); "
            f"{rate / (workers / step):.2f} of what waiting alone allows; started in {starting:.1f} s ({load()})",
            flush=True,
        )
        await side.close()


def measure(step: float, rounds: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        plug_in = write_plug_in(Path(temporary) / "site")
        sys.path.insert(0, str(plug_in))
        with ray_nodes(PYTHONPATH=f"{SOURCE}:{plug_in}") as nodes:
            nodes.start(1)
            nodes.start(1)
            with RunFolder(Path(temporary) / "run") as folder:
                asyncio.run(compare(nodes.address, folder, step, 4, rounds, steps))
                asyncio.run(growth(nodes.address, folder, step, steps))
                asyncio.run(compare(nodes.address, folder, 0.0, 4, rounds, steps))


# kills


def write_repository(folder: Path) -> Path:
    """A small program with documents that say how to use it."""
    (folder / "docs").mkdir(parents=True)
    (folder / "README.md").write_text("# Tally\n\nRun `python tally.py 1 2 3` to add numbers.\n")
    (folder / "tally.py").write_text("import sys, time\ntime.sleep(1)\nprint(sum(map(int, sys.argv[1:])))\n")
    for word in ("sums", "lists", "files", "errors", "words", "lines"):
        (folder / "docs" / f"{word}.md").write_text(
            f"# About {word}\n\nRun `python tally.py 1 2 3` for {word}. List the folder with `ls`, read `tally.py`.\n\n"
            f"## More on {word}\n\nWrite `{word}.txt` with `echo 5 > {word}.txt` and add it: `python tally.py 5 6`.\n"
        )
    return folder


@contextmanager
def started(repository: Path, out: Path, address: str, rollouts: int) -> Iterator[subprocess.Popen[str]]:
    arguments = ("synthesize", "--repo", repository, "--out", out, "-q", "-w", "2")
    settings = [f"synthesis.rollouts={rollouts}", "synthesis.step_limit=5", "synthesis.compose=4", CLOCK]
    where = ("--ray", address) if address else ()
    extra = [part for setting in settings for part in ("--set", setting)]
    out.mkdir(parents=True, exist_ok=True)
    with (out / "stderr.txt").open("a") as errors:
        process = subprocess.Popen(
            command(*arguments, *where, *extra), env=environ(), stdout=subprocess.DEVNULL, stderr=errors, text=True
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def whole(repository: Path, out: Path, address: str, rollouts: int, meanwhile: Callable[[Any], None]) -> int:
    """A run to its end; how often it had to be started again. ``meanwhile`` is told of the first process."""
    for start in range(5):
        with started(repository, out, address, rollouts) as process:
            if start == 0:
                meanwhile(process)
            if process.wait() == 0:
                return start
    raise SystemExit(f"{out} does not come to its end:\n{(out / 'stderr.txt').read_text()}")


def trajectories(out: Path) -> int:
    return sum(kind == "trajectory" for kind, _ in rows_of(out))


def failures_of(out: Path) -> dict[str, int]:
    """{what failed: how often}, as the run recorded it."""
    with RunFolder(out, writing=False) as folder:
        meters = folder.store.meters()
    return {
        name.removeprefix("environment: "): int(meter.get("failures", 0))
        for name, meter in meters.items()
        if name.startswith("environment: ")
    }


def kill_nodes(kills: int, rollouts: int, seed: int, keep: Path | None) -> None:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary, ray_nodes(PYTHONPATH=SOURCE) as nodes:
        folder = keep or Path(temporary)
        repository = write_repository(Path(temporary) / "tally")
        began = time.monotonic()
        whole(repository, folder / "here", "", rollouts, lambda process: None)
        expected = content_of(folder / "here")
        sizes = ", ".join(f"{kind} {len(rows)}" for kind, rows in expected.items() if rows)
        print(f"one process, no cluster: {time.monotonic() - began:.0f} s; {sizes} ({load()})", flush=True)
        nodes.start(0)  # the head, and whoever drives the run; environments are on the second one only
        second = nodes.start(2)
        began = time.monotonic()
        whole(repository, folder / "undisturbed", nodes.address, rollouts, lambda process: None)
        same = "equal" if content_of(folder / "undisturbed") == expected else "NOT equal"
        print(f"on the cluster, undisturbed: {time.monotonic() - began:.0f} s; {same} ({load()})", flush=True)
        equal = hit = number = 0
        while hit < kills and number < 2 * kills:
            out, gone = folder / f"kill-{number:02d}", [0, 0]

            def disturb(process: subprocess.Popen[str], out: Path = out, gone: list[int] = gone) -> None:
                nonlocal second
                wanted = rng.randrange(1, rollouts - 3)
                while process.poll() is None and trajectories(out) < wanted:
                    time.sleep(0.2)
                time.sleep(rng.uniform(0, 1))
                before = rows_of(out)
                second.kill()
                gone[0], gone[1] = trajectories(out), lost(before, rows_of(out))
                second = nodes.start(2)

            began = time.monotonic()
            again = whole(repository, out, nodes.address, rollouts, disturb)
            content = content_of(out)
            differ = [kind for kind in expected if content[kind] != expected[kind]]
            failures = failures_of(out)
            hit += failures.get("machine", 0) > 0
            equal += not differ
            number += 1
            verdict = "NOT equal: " + ", ".join(differ) if differ else "equal"
            print(
                f"kill {number:2} after {gone[0]} roll-outs: {verdict}; "
                f"lost rows {gone[1]}; failures {json.dumps(failures)}; started again {again}; "
                f"{time.monotonic() - began:.0f} s ({load()})",
                flush=True,
            )
            if not differ and keep is None:
                shutil.rmtree(out)
        print(f"{number} kills, {hit} of which ended some work; {equal} runs equal to the undisturbed one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--step", type=float, default=0.5, help="seconds that a step of the waiting environment takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="of one episode")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the runs")
    options = parser.parse_args()
    if options.kills:
        kill_nodes(options.kills, options.rollouts, options.seed, options.keep)
    else:
        measure(options.step, options.rounds, options.steps)


if __name__ == "__main__":
    main()
