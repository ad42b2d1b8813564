"""How much later a reply comes through `lbi serve --upstream` than by a direct call, side by side in one run.

    python performance/serve.py               100,000 made-up examples
    python performance/serve.py 2000          this number of examples
    python performance/serve.py 100000 RUN    keeps the run folder RUN, or takes one that an earlier measurement kept

The examples are those of performance/retrieve.py. Provider and proxy are processes of their own. Requests go in turns
to the provider, to the proxy with nothing to look up, and to the proxy with an instruction and a page, all of them new.
Before that the same look-ups without HTTP, by CPU time too: what the machine does beside this does not count there.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).parent))
from lbi.config import resolve
from lbi.evaluation.indexes import index_name, records_mark
from lbi.interop.server.finder import Finder, Situation
from lbi.interop.server.observed import observation_of
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.versions import note_source
from lbi.rollouts.learnt import Use
from lbi.storage.run_folder import RunFolder
from retrieve import NOUNS, VERBS, WORDS, make, page

REQUESTS = 300
ROOM = 800  # characters of a look-up's examples, as in the run's own prompts


def make_run(folder: Path, count: int) -> Path:
    """A run folder with made-up examples."""
    run = folder / "run"
    if (run / "run.db").is_file():
        return run
    examples, trajectories = make(count)
    config = resolve({"name": "made-up", "url": "http://127.0.0.1:9/"}, "performance/serve.py")
    with RunFolder(run, config.identity()) as kept:
        kept.store.put_many("trajectory", [(f"0/{at:07d}", one) for at, one in enumerate(trajectories.values())])
        kept.store.put_many("example", [(f"0/{at:07d}", one) for at, one in enumerate(examples)])
        mark = records_mark(kept.store)
    start = time.process_time()
    ExampleIndex.build(run / "index" / index_name("backward", 0), examples, trajectories).close()
    note_source(run / "index" / index_name("backward", 0), mark)
    print(f"index built in {time.process_time() - start:.1f} s of CPU time")
    return run


def situations() -> Iterator[tuple[str, str]]:
    """(instruction, page), no two alike."""
    rng = random.Random(1)
    while True:
        noun, verb = rng.choice(NOUNS), rng.choice(VERBS)
        item = rng.randrange(300)
        seen = page(rng, noun, verb, item)
        yield (
            f"{verb} {noun} {item} with {' '.join(rng.sample(WORDS, 3))}",
            f"URL: {seen.url}\nTitle: {seen.title}\n{seen.text}",
        )


def body(instruction: str, seen: str) -> dict[str, Any]:
    """A request of an agent with tools, after its first step."""
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    return {
        "model": "m",
        "tools": [{"type": "function", "function": {"name": "look"}}],
        "messages": [
            {"role": "system", "content": "You act on pages."},
            {"role": "user", "content": instruction},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": seen},
        ],
    }


async def timed(session: aiohttp.ClientSession, address: str, request: dict[str, Any]) -> float:
    """Milliseconds until a reply is there."""
    start = time.perf_counter()
    async with session.post(f"{address}/v1/chat/completions", json=request) as reply:
        await reply.read()
        assert reply.status == 200
    return 1000 * (time.perf_counter() - start)


def cpu_milliseconds(process: int) -> float:
    """CPU time of all threads of a process so far, which other work on the machine does not lengthen."""
    files = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1e6


@contextlib.asynccontextmanager
async def process(*arguments: str, ready: str) -> AsyncIterator[tuple[str, int]]:
    """A program until the end: its line with ``ready``, and its number."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert started.stdout is not None
    try:
        while ready not in (line := (await started.stdout.readline()).decode()):
            assert line, f"{arguments} ended"
        yield line, started.pid
    finally:
        started.terminate()  # not SIGINT, which a shell lets programs behind `&` ignore
        rest = await started.stdout.read()
        await started.wait()
        print("  ", rest.decode().strip().splitlines()[-1] if rest.strip() else "")


async def measure_http(run: Path) -> None:
    served = ("lbi", "serve", str(run), "--port", "0", "--upstream")
    async with process("lbi.models.testing.model_server", ready="http://") as (told, _):
        upstream = told.strip()
        async with process(*served, upstream, ready="Proxy: ") as (line, pid):
            rows = await in_turns(upstream, line.split()[1], pid)
    print(f"{'request':<22} {'p50 ms':>8} {'p99 ms':>8} {'ratio':>7} {'added p50':>10} {'CPU of the proxy, p50':>22}")
    direct = statistics.median(wall for wall, _ in rows["direct"])
    for name, pairs in rows.items():
        walls, used = zip(*pairs, strict=True)
        p50 = statistics.median(walls)
        numbers = f"{p50:>8.2f} {p99(walls):>8.2f} {p50 / direct:>6.1f}x {p50 - direct:>10.2f}"
        print(f"{name:<22} {numbers} {statistics.median(used):>22.2f}")


async def in_turns(upstream: str, proxy: str, pid: int) -> dict[str, list[tuple[float, float]]]:
    """(milliseconds, CPU milliseconds of the proxy) of each request."""
    rows: dict[str, list[tuple[float, float]]] = {"direct": [], "nothing to look up": [], "with examples": []}
    asked = situations()
    async with aiohttp.ClientSession() as session:
        for at in range(REQUESTS + 20):
            request = body(*next(asked))
            empty = {**request, "messages": request["messages"][:1]}
            requests = (upstream, request), (proxy, empty), (proxy, request)
            for name, (address, sent) in zip(rows, requests, strict=True):
                before = cpu_milliseconds(pid)
                wall = await timed(session, address, sent)
                if at >= 20:
                    rows[name].append((wall, cpu_milliseconds(pid) - before))
    return rows


async def measure_look_ups(run: Path) -> None:
    finder = Finder(run, Use())
    start, used = time.perf_counter(), time.process_time()
    finder.open()
    gc.freeze()  # as the server does
    clock, cpu_time = time.perf_counter() - start, time.process_time() - used
    print(f"opened in {clock:.2f} s ({cpu_time:.2f} s of CPU time), {finder.learnt.count:,} examples")
    wall, cpu = [], []
    try:
        asked = situations()
        for at in range(REQUESTS + 20):
            instruction, seen = next(asked)
            situation = Situation(instruction, observation_of(seen))
            began, used = time.perf_counter(), time.process_time()
            await finder.find_here(situation, ROOM)
            if at >= 20:
                wall.append(1000 * (time.perf_counter() - began))
                cpu.append(1000 * (time.process_time() - used))
    finally:
        finder.close()
    for name, times in (("look-up, wall", wall), ("look-up, CPU", cpu)):
        print(f"{name:<22} {statistics.median(times):>8.2f} {p99(times):>8.2f}")


def p99(times: Sequence[float]) -> float:
    return sorted(times)[int(0.99 * len(times))]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(temporary)
        run = make_run(folder, count)
        asyncio.run(measure_look_ups(run))
        asyncio.run(measure_http(run))


if __name__ == "__main__":
    main()
