"""How many model calls one process keeps in flight, compared with Inspect AI's model layer and litellm.

    pip install -e .[bench]             the two others; without them only ours is measured
    pip install -U openai               ... as their requirements for it contradict each other; a new one suits both
    python performance/engine.py         rates: 500 in flight at 1 s, all sides; many: 1,000 in flight at 10 s, ours;
                                        memory: 100,000 calls, ours
    python performance/engine.py rates   only that part

The test server runs in a process of its own, and each side in a fresh one. `raw` is a bare socket per worker that sends
the same request repeatedly and looks for the end of the reply: what the server can do. `wire` is our provider without
its wrappers; `lbi` is all of ours: cached in a run folder on disk, retried, rate-limited, metered and priced. Rates
depend on what else the machine does, CPU time per call much less so.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

TEXT = " ".join(f"line {at}: the quick brown fox jumps over the lazy dog" for at in range(40))  # about 2 kB
SIDES = {"raw": "", "wire": "", "lbi": "", "inspect": "inspect_ai", "litellm": "litellm"}
Call = Callable[[int], Awaitable[Any]]


class Load(NamedTuple):
    """What is asked of a side."""

    calls: int
    flight: int  # calls in flight at a time
    latency: float  # seconds that the server takes for each

    @property
    def ideal(self) -> float:
        """Calls per second if nothing but the server took any time."""
        return self.flight / self.latency if self.latency else float("inf")


RATES = Load(calls=2_500, flight=500, latency=1.0)
MANY = Load(calls=10_000, flight=1_000, latency=10.0)
MEMORY = Load(calls=100_000, flight=200, latency=0.0)


# sides: each is opened, called, and closed


@contextlib.asynccontextmanager
async def raw(url: str, flight: int) -> Any:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": TEXT}]}).encode()
    lines = ("POST /v1/chat/completions HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", "", "")
    head = "\r\n".join(lines)
    free: list[Any] = []

    async def call(at: int) -> None:
        reader, writer = free.pop() if free else await asyncio.open_connection(host, port)
        writer.write(head.encode() + body)
        head_of_reply = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head_of_reply.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        free.append((reader, writer))

    yield call


def question(at: int) -> Any:
    from lbi.protocols import Fields, Request
    from lbi.records import Observation, Task

    fields = Fields(task=Task(instruction="Go", environment="web"), observation=Observation(text=TEXT))
    return Request(role="query", fields=fields, sample=at, max_tokens=64, stage="benchmark")


@contextlib.asynccontextmanager
async def wire(url: str, flight: int) -> Any:
    from lbi.models.registry import open_model

    model = open_model("openai:m", base_url=f"{url}/v1")

    async def call(at: int) -> None:
        assert (await model.complete(question(at))).text == "ok"

    yield call
    await model.close()


@contextlib.asynccontextmanager
async def lbi(url: str, flight: int) -> Any:
    from lbi.models.middleware.budget import Budget
    from lbi.models.middleware.stack import wrapped
    from lbi.models.pricing import Prices
    from lbi.models.registry import open_model
    from lbi.storage.run_folder import RunFolder

    with tempfile.TemporaryDirectory() as folder, RunFolder(Path(folder)) as run:
        inner, prices = open_model("openai:m", base_url=f"{url}/v1"), Prices({"m": (1.0, 1.0)})
        model = wrapped(inner, calls=run.store, meters=run.store, prices=prices, budget=Budget(1e9))

        async def call(at: int) -> None:
            assert (await model.complete(question(at))).text == "ok"

        yield call
        await model.close()


@contextlib.asynccontextmanager
async def inspect(url: str, flight: int) -> Any:
    from inspect_ai.model import ChatMessageUser, GenerateConfig, get_model

    config = GenerateConfig(max_connections=flight, max_tokens=64, max_retries=0)
    options = {"base_url": f"{url}/v1", "api_key": "none", "responses_api": False}
    async with get_model("openai/m", config=config, **options) as model:

        async def call(at: int) -> None:
            assert (await model.generate([ChatMessageUser(content=TEXT)])).completion == "ok"

        yield call


@contextlib.asynccontextmanager
async def litellm(url: str, flight: int) -> Any:
    import litellm as library

    library.suppress_debug_info = True
    turns = [{"role": "user", "content": TEXT}]

    async def call(at: int) -> None:
        reply = await library.acompletion(
            model="openai/m", messages=turns, api_base=f"{url}/v1", api_key="none", max_tokens=64, num_retries=0
        )
        assert reply.choices[0].message.content == "ok"

    yield call


# one side in a process of its own


async def measured(side: str, url: str, load: Load) -> dict[str, Any]:
    """Measure one side: each worker makes its next call as soon as its last one is answered."""
    remaining, answered, first_seconds = iter(range(load.calls)), 0, 0.0
    memory: list[int] = []
    async with globals()[side](url, load.flight) as call:
        await call(-1)  # loads what is loaded at the first call

        async def worker() -> None:
            nonlocal answered, first_seconds
            for at in remaining:
                await call(at)
                answered += 1
                first_seconds = time.perf_counter() - start if answered == load.flight else first_seconds
                if answered % max(1, load.calls // 10) == 0:
                    memory.append(resident())

        before, start = cpu(), time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(load.flight)))
        wall, used = time.perf_counter() - start, cpu() - before
    lost = {"first": first_seconds - load.latency, "in all": wall - load.calls / load.ideal}
    return {"rate": load.calls / wall, "cpu": 1000 * used / load.calls, "memory": memory, "lost": lost}


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident() -> int:
    """Memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


# all of them, in the first process


@contextlib.contextmanager
def server(latency: float) -> Iterator[str]:
    command = [sys.executable, "-m", "lbi.models.testing.model_server", "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def run(side: str, load: Load) -> dict[str, Any] | None:
    """Measure one side in a process of its own; None if it is another package and does not start."""
    with server(load.latency) as url:
        command = [sys.executable, __file__, "--side", side, url, json.dumps(load)]
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        is_other_package = bool(SIDES[side])
        error = subprocess.PIPE if is_other_package else None
        completed = subprocess.run(command, stdout=subprocess.PIPE, stderr=error, text=True, env=environment)
    if completed.returncode and is_other_package:
        error_lines = [line for line in completed.stderr.splitlines() if line.strip()]
        print(
            f"  {side:<8} left out: {next((line for line in error_lines if 'Error' in line), 'no reason given')}",
            flush=True,
        )
        return None
    completed.check_returncode()
    measurement: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    share = f"  {measurement['rate'] / load.ideal:6.1%} of the ideal rate" if load.latency else ""
    print(
        f"  {side:<8} {measurement['rate']:7.1f} calls/s  {measurement['cpu']:6.2f} ms CPU per call{share}", flush=True
    )
    return measurement


def announce(load: Load) -> None:
    print(f"{load.flight:,} in flight, {load.latency:g} s each, {load.calls:,} calls; at best {load.ideal:.0f} calls/s")


def rates() -> None:
    announce(RATES)
    installed = [side for side, package in SIDES.items() if not package or importlib.util.find_spec(package)]
    measurements = {side: run(side, RATES) for side in installed}
    ours = measurements["lbi"]
    assert ours is not None
    for other in ("inspect", "litellm"):
        if theirs := measurements.get(other):
            ratio, cpus = ours["rate"] / theirs["rate"], theirs["cpu"] / ours["cpu"]
            print(f"  lbi / {other}: {ratio:.2f} times the rate, {cpus:.2f} times fewer CPU seconds per call")


def many() -> None:
    """Time lost beside the ideal, in which all workers start at once and make each next call without delay."""
    announce(MANY)
    print(f"  load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    measurement = run("lbi", MANY)
    assert measurement is not None
    lost = measurement["lost"]
    print(f"  lost: {lost['first']:.1f} s in the first {MANY.flight:,} calls, {lost['in all']:.1f} s in all")


def memory() -> None:
    print(f"{MEMORY.calls:,} calls, {MEMORY.flight} in flight, no latency: resident MiB after each tenth")
    measurement = run("lbi", MEMORY)
    assert measurement is not None
    print("  " + " ".join(str(mebibytes) for mebibytes in measurement["memory"]))


def main() -> None:
    if sys.argv[1:2] == ["--side"]:
        side, url, load = sys.argv[2:]
        print(json.dumps(asyncio.run(measured(side, url, Load(*json.loads(load))))))
        return
    parts = {"rates": rates, "many": many, "memory": memory}
    for name in sys.argv[1:] or parts:
        parts[name]()


if __name__ == "__main__":
    main()
