"""Long walks through a real application by the explorer in a real browser: what labelling is measured on.

    python performance/walks.py FOLDER [--application trac] [--walks 4] [--steps 60]

At first the explorer does not know where to go, so a few episodes come first that are not counted. Each walk is
replayed once from a reset, so that the replay can judge its spans. The folder keeps the walks; what is in it is not
done again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from lbi.environments.web.environment import WebEnvironments
from lbi.errors import UserError
from lbi.records import Task, Trajectory
from lbi.rollouts.loop import rollout
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.backward import without_idle_steps
from lbi.synthesis.filters.replay import Replayed, replay
from lbi_offline.explore import Explorer

BEFORE = 4  # episodes that only let the explorer get to know the application


async def walk(folder: Path, application: str, walks: int, steps: int) -> None:
    """Walk, and store the walks without their idle steps (kind "walk") and their replays (kind "replay")."""
    environments = WebEnvironments(application)
    with RunFolder(folder, {"application": application, "steps": steps}) as run:
        try:
            environment = await environments.open()
            agent = Explorer(seed=0, aims=steps)  # enough aims for the step limit to end a walk
            for number in range(-BEFORE, walks):
                kind, key = ("walk", f"{number:02d}") if number >= 0 else ("before", f"{number + BEFORE:02d}")
                task = Task(instruction=f"Look around, {number}.", environment=environments.name)
                agent.prepare([task])
                walked = run.store.get(kind, key, Trajectory)
                if walked is None:
                    walked = without_idle_steps(await rollout(environment, agent, task, steps))
                    run.store.put(kind, key, walked)
                agent.learn([walked])
                if kind == "walk" and key not in run.store.keys("replay"):
                    run.store.put("replay", key, await replay(environment, walked))
                print(f"{kind} {key}: {len(walked.steps)} steps of {steps} had an effect", file=sys.stderr, flush=True)
        finally:
            await environments.close()


def walks_of(folder: Path) -> list[tuple[Trajectory, Replayed]]:
    """The walks of a folder with their replays."""
    with RunFolder(folder, writing=False) as run:
        replays = dict(run.store.all("replay", Replayed))
        return [(walked, replays[key]) for key, walked in run.store.all("walk", Trajectory) if key in replays]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--application", default="trac")
    parser.add_argument("--walks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    try:
        asyncio.run(walk(options.folder, options.application, options.walks, options.steps))
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
