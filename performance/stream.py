"""Learning with its stages one after the other beside learning as a stream: the same work, the same dataset.

    python benchmarks/stream.py [--latency 1.0] [--rollouts 24] [--workers 2] [--rounds 1]

A small application (tests/larder.py) in a real browser, and a model server in a process of its own that takes --latency
seconds for each reply and makes it up by the prompt's hash (`lbi.models.testing`). `apart` attempts everything, then
labels and filters everything, then replays everything; `stream` is what `lbi run` does. Both in fresh run folders, in
turns. Printed: seconds, how busy environments and models were, and the ratio; the datasets are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from rich.console import Console

from kill import Server, timeless
from larder import write_larder
from lbi.config import Config, load_config
from lbi.context import RunContext
from lbi.environments import open_environments
from lbi.models.pricing import Prices
from lbi.monitoring.progress import Progress
from lbi.records import Example, Task, Trajectory
from lbi.rollouts.schedule import attempt_tasks, roll_out
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import store_trimmed
from lbi.synthesis.label import PARALLEL_CALLS, label
from lbi.synthesis.stream import run_stages
from lbi.synthesis.verify import replayer, verify


async def apart(context: RunContext, tasks: list[Task]) -> None:
    """One stage after the other, each as parallel as it is in the stream."""
    found = [await store_trimmed(context, each, 0) for each in await attempt_tasks(context, tasks, 0)]
    found = [each for each in found if each.steps]
    with label(context, 0).opened as label_one:
        await asyncio.gather(*map(label_one, found))
    gate = asyncio.Semaphore(PARALLEL_CALLS)
    with context.progress.stage("replay (seed 0)", 0) as stage:
        verify = replayer(context, 0, stage)

        async def one(trajectory: Trajectory) -> None:
            async with gate:
                await verify(trajectory)

        await asyncio.gather(*map(one, found))


async def stream(context: RunContext, tasks: list[Task]) -> None:
    await run_stages(context, 0, roll_out(context, tasks, 0), label(context, 0), verify(context, 0))


async def measured(way: Any, config: Config, out: Path, tasks: list[Task]) -> tuple[float, dict[str, Any], Any]:
    """(seconds, shares, dataset)"""
    with RunFolder(out) as folder:
        seen = Progress(Console(file=StringIO()), quiet=True)
        environments = open_environments(config, folder.save_image)
        context = RunContext(folder=folder, config=config, progress=seen, environments=environments, prices=Prices())
        try:
            await (await environments.open()).close()  # installing and starting the browser are not measured
            began = time.perf_counter()
            await way(context, tasks)
            seconds = time.perf_counter() - began
            shares = context.shares()
        finally:
            await context.close()
        kinds: dict[str, Any] = {"trajectory": Trajectory, "example": Example}
        found = {
            kind: {key: timeless(record.model_dump(mode="json")) for key, record in folder.store.all(kind, type_)}
            for kind, type_ in kinds.items()
        }
    return seconds, shares, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=1.0)
    parser.add_argument("--rollouts", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    tasks = [Task(instruction=f"Look after matter {at}", environment="larder") for at in range(given.rollouts)]
    seconds: dict[str, list[float]] = {"apart": [], "stream": []}
    found: list[Any] = []
    with tempfile.TemporaryDirectory() as place:
        server = Server(Path(place) / "journal", given.latency)
        try:
            overrides = {
                "models.default": "openai:improvised",
                "models.base_url": f"{server.start()}/v1",
                "synthesis.rollouts": given.rollouts,
                "workers": given.workers,
            }
            config = load_config(write_larder(Path(place) / "app"), overrides)
            for turn in range(given.rounds):
                for name, way in (("apart", apart), ("stream", stream)):
                    took, shares, dataset = asyncio.run(measured(way, config, Path(place) / f"{name}-{turn}", tasks))
                    seconds[name].append(took)
                    found.append(dataset)
                    environments, models = shares["environments"], shares["models"]
                    print(
                        f"{name:<8}{took:>7.1f} s   environments {environments.used / environments.possible:>6.1%} of "
                        f"{given.workers}   models {models.some / models.elapsed:>6.1%} of the time, "
                        f"{models.used / models.elapsed:.1f} at once",
                        flush=True,
                    )
        finally:
            server.stop()
    ratio = statistics.median(seconds["apart"]) / statistics.median(seconds["stream"])
    same = "equal" if all(each == found[0] for each in found) else "NOT equal"
    sizes = ", ".join(f"{len(rows)} {kind}" for kind, rows in found[0].items())
    print(f"apart / stream: {ratio:.2f}; datasets: {same} ({sizes})")


if __name__ == "__main__":
    main()
