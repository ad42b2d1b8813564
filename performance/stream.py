"""How much time overlapping stages save: the same run with its stages one after the other, and as a stream.

    python performance/stream.py [--latency 1.0] [--rollouts 24] [--workers 2] [--rounds 1]

A small application (tests/small_application.py) runs in a real browser. The model server is a process of its own that
takes --latency seconds for each reply and derives it from the prompt's hash (`lbi.models.testing`). `apart` attempts
everything, then labels and filters everything, then replays everything; `stream` is what `lbi run` does. They run in
turns, in fresh run folders. Prints seconds, how busy environments and models were, and the ratio of the times; compares
the datasets, which must be equal.
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
from lbi.config import Config, load_config
from lbi.context import RunContext
from lbi.environments import open_environments
from lbi.models.pricing import Prices
from lbi.monitoring.progress import Progress
from lbi.records import Example, Task, Trajectory
from lbi.rollouts.schedule import at_once, attempt_tasks, roll_out
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import PARALLEL_CALLS, store_trimmed
from lbi.synthesis.filter import filter_examples
from lbi.synthesis.label import label
from lbi.synthesis.stream import run_stages
from lbi.synthesis.verify import replayer, verify
from small_application import write_application


async def apart(context: RunContext, tasks: list[Task]) -> None:
    """One stage after the other, each as parallel as it is in the stream."""
    rollouts = await attempt_tasks(context, at_once(tasks), 0)
    trajectories = [await store_trimmed(context, rollout, 0) for rollout in rollouts]
    trajectories = [trajectory for trajectory in trajectories if trajectory.steps]
    with label(context, 0, filter_examples(context)).opened as label_one:
        await asyncio.gather(*map(label_one, trajectories))
    semaphore = asyncio.Semaphore(PARALLEL_CALLS)
    with context.progress.stage("replay (seed 0)", 0) as stage:
        verify = replayer(context, 0, stage)

        async def verify_one(trajectory: Trajectory) -> None:
            async with semaphore:
                await verify(trajectory)

        await asyncio.gather(*map(verify_one, trajectories))


async def stream(context: RunContext, tasks: list[Task]) -> None:
    await run_stages(
        context,
        0,
        roll_out(context, at_once(tasks), 0),
        label(context, 0, filter_examples(context)),
        verify(context, 0),
    )


async def measured(method: Any, config: Config, out: Path, tasks: list[Task]) -> tuple[float, dict[str, Any], Any]:
    """(seconds, shares, dataset)"""
    with RunFolder(out) as folder:
        progress = Progress(Console(file=StringIO()), quiet=True)
        environments = open_environments(config, folder.save_image)
        context = RunContext(
            folder=folder, config=config, progress=progress, environments=environments, prices=Prices()
        )
        try:
            await (await environments.open()).close()  # installing and starting the browser are not measured
            start = time.perf_counter()
            await method(context, tasks)
            seconds = time.perf_counter() - start
            shares = context.shares()
        finally:
            await context.close()
        kinds: dict[str, Any] = {"trajectory": Trajectory, "example": Example}
        datasets = {
            kind: {key: timeless(record.model_dump(mode="json")) for key, record in folder.store.all(kind, type_)}
            for kind, type_ in kinds.items()
        }
    return seconds, shares, datasets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=1.0)
    parser.add_argument("--rollouts", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    tasks = [Task(instruction=f"Look after matter {at}", environment="larder") for at in range(options.rollouts)]
    seconds: dict[str, list[float]] = {"apart": [], "stream": []}
    datasets: list[Any] = []
    with tempfile.TemporaryDirectory() as temporary:
        server = Server(Path(temporary) / "journal", options.latency)
        try:
            overrides = {
                "models.default": "openai:improvised",
                "models.base_url": f"{server.start()}/v1",
                "synthesis.rollouts": options.rollouts,
                "workers": options.workers,
            }
            config = load_config(write_application(Path(temporary) / "app"), overrides)
            for number in range(options.rounds):
                for name, method in (("apart", apart), ("stream", stream)):
                    elapsed, shares, dataset = asyncio.run(
                        measured(method, config, Path(temporary) / f"{name}-{number}", tasks)
                    )
                    seconds[name].append(elapsed)
                    datasets.append(dataset)
                    environments, models = shares["environments"], shares["models"]
                    print(
                        f"{name:<8}{elapsed:>7.1f} s   "
                        f"environments {environments.used / environments.possible:>6.1%} of {options.workers}   "
                        f"models {models.some / models.elapsed:>6.1%} of the time, "
                        f"{models.used / models.elapsed:.1f} at once",
                        flush=True,
                    )
        finally:
            server.stop()
    ratio = statistics.median(seconds["apart"]) / statistics.median(seconds["stream"])
    same = "equal" if all(rows_by_kind == datasets[0] for rows_by_kind in datasets) else "NOT equal"
    sizes = ", ".join(f"{len(rows)} {kind}" for kind, rows in datasets[0].items())
    print(f"apart / stream: {ratio:.2f}; datasets: {same} ({sizes})")


if __name__ == "__main__":
    main()
