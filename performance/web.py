"""Steps per second of the web environment and of BrowserGym's, on the same pages, servers and browser.

    python performance/web.py [--application trac] [--contexts 1,2,4] [--rounds 2] [--alone]

BrowserGym needs its own version of Playwright, so it is installed from PyPI into a virtual environment in the cache,
and run as one process for each context. ``--alone`` leaves it out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from lbi.environments.web.browser import find_chromium
from lbi.environments.web.environment import WebEnvironment, WebEnvironments
from lbi.environments.web.install import default_cache
from lbi.errors import UserError
from lbi.observations.parse import parse_observation
from lbi.records import Task

PAGES = 6
KINDS = ("reset", "load", "fill")
FAILED = "failed"


@dataclass
class Measured:
    """Seconds of each call by kind, and of the whole loop (``wall``)."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in (*KINDS, FAILED)})
    wall: float = 0.0

    @property
    def rate(self) -> float:
        """Steps per second, resets included in the time."""
        return (len(self.seconds["load"]) + len(self.seconds["fill"])) / self.wall

    def line(self, name: str, contexts: int) -> str:
        shown = "  ".join(f"{kind} {median(self.seconds[kind]):.3f} s" for kind in KINDS)
        failed = f"   ({len(self.seconds[FAILED])} fills failed)" if self.seconds[FAILED] else ""
        return f"{name:12} {contexts} contexts  {self.rate:6.2f} steps/s   medians: {shown}{failed}"


async def pages_of(web: WebEnvironment) -> list[str]:
    """The first PAGES pages that the start page links to and that have a text box."""
    first = await web.reset(Task(instruction="measure", environment=web.name))
    links = [element.url for element in parse_observation(first.text).elements if element.url.startswith("/")]
    paths = []
    for path in dict.fromkeys(links):
        observation = (await web.step(f'goto("{path}")')).observation
        if not observation.error and any(
            e.role in ("textbox", "searchbox") for e in parse_observation(observation.text).elements
        ):
            paths.append(path)
        if len(paths) == PAGES:
            break
    return paths


async def ours(web: WebEnvironment, paths: list[str], rounds: int, into: Measured) -> None:
    """Make the same calls as browsergym_loop.py."""
    for _ in range(rounds):
        start = time.perf_counter()
        observation = await web.reset(Task(instruction="measure", environment=web.name, start_url=paths[0]))
        into.seconds["reset"].append(time.perf_counter() - start)
        for path in paths:
            start = time.perf_counter()
            observation = (await web.step(f'goto("{path}")')).observation
            into.seconds["load"].append(time.perf_counter() - start)
        elements = parse_observation(observation.text).elements
        box = next(element for element in elements if element.role in ("textbox", "searchbox"))
        for number in range(len(paths)):
            start = time.perf_counter()
            observation = (await web.step(f'fill({box.ref}, "text {number}")')).observation
            into.seconds["fill"].append(time.perf_counter() - start)
            if observation.error:
                raise SystemExit(observation.error)


async def measure_ours(
    environments: WebEnvironments, webs: list[WebEnvironment], paths: list[str], rounds: int
) -> Measured:
    measured = Measured()
    await asyncio.gather(*(ours(web, paths, 1, Measured()) for web in webs))  # warm, as the cache of an episode is
    start = time.perf_counter()
    await asyncio.gather(*(ours(web, paths, rounds, measured) for web in webs))
    measured.wall = time.perf_counter() - start
    return measured


def browsergym_python() -> str:
    """Python of a virtual environment with BrowserGym. Raises UserError if it cannot be installed."""
    folder = default_cache().parent / "benchmarks" / "browsergym"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        print("installing browsergym-core ...", file=sys.stderr)
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "-q", "browsergym-core"],
        ):
            completed = subprocess.run(command, capture_output=True, text=True, check=False)
            if completed.returncode:
                raise UserError(f"BrowserGym cannot be installed: {completed.stderr.strip()[-500:]}")
        (folder / "made").touch()
    return str(python)


async def measure_browsergym(python: str, urls: list[str], paths: list[str], rounds: int) -> Measured:
    """Run one process for each server. The wall time is that of the slowest one's loop, without imports."""
    script = Path(__file__).with_name("browsergym_loop.py")

    async def run_loop(url: str) -> dict[str, list[float]]:
        process = await asyncio.create_subprocess_exec(
            python,
            str(script),
            url,
            json.dumps(paths),
            str(rounds),
            find_chromium(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
        out, problem = await process.communicate()
        if process.returncode:
            raise UserError(f"BrowserGym does not run here: {problem.decode()[-800:]}")
        seconds: dict[str, list[float]] = json.loads(out.decode().strip().splitlines()[-1])
        return seconds

    measured = Measured()
    for seconds in await asyncio.gather(*(run_loop(url) for url in urls)):
        for kind in (*KINDS, FAILED):
            measured.seconds[kind] += seconds[kind]
        measured.wall = max(measured.wall, sum(sum(seconds[kind]) for kind in KINDS))
    return measured


async def run(application: str, counts: list[int], rounds: int, alone: bool) -> None:
    environments = WebEnvironments(application)
    print(f"{application}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, browser {find_chromium() or 'own'}")
    try:
        webs = [await environments.open() for _ in range(max(counts))]
        paths = await pages_of(webs[0])
        for count in counts:
            mine = await measure_ours(environments, webs[:count], paths, rounds)
            print(mine.line("lbi", count), flush=True)
            if alone:
                continue
            urls = [web.url for web in webs[:count]]
            theirs = await measure_browsergym(browsergym_python(), urls, paths, rounds)
            print(theirs.line("BrowserGym", count))
            print(f"{'ratio':12} {count} contexts  {mine.rate / theirs.rate:6.1f} x", flush=True)
    finally:
        await environments.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--application", default="trac")
    parser.add_argument("--contexts", default="1,2,4")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--alone", action="store_true", help="without BrowserGym")
    options = parser.parse_args()
    try:
        counts = [int(count) for count in options.contexts.split(",")]
        asyncio.run(run(options.application, counts, options.rounds, options.alone))
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
