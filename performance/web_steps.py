"""Carries out what it is asked for in an environment, and says how long each call took: a part of web_versions.py.

    python performance/web_steps.py APPLICATION|URL

Each line of the input is ["reset", start address], ["step", action] or ["coverage", ""], which compares the open page's
controls with what is offered; each line of the output is [seconds, text of the page, error]. The package that it finds
may be any version since commit 926ffe4.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from typing import Any

from lbi.records import Task


def environments_of(named: str) -> Any:
    """Of an application by name or file, or of a site that runs."""
    try:
        kind = importlib.import_module("lbi.environments.web.environment").WebEnvironments
    except ModuleNotFoundError:
        kind = importlib.import_module("lbi.environments.web").WebWorld  # as it was called once
    return kind(base_url=named) if named.startswith("http") else kind(named)


async def serve(named: str) -> None:
    environments = environments_of(named)
    try:
        web = await environments.open()
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            what, value = json.loads(line)
            start = time.perf_counter()
            if what == "coverage":
                await web.coverage()
            elif what == "reset":
                observation = await web.reset(Task(instruction="measure", environment=web.name, start_url=value))
            else:
                observation = (await web.step(value)).observation
            print(json.dumps([time.perf_counter() - start, observation.text, observation.error]), flush=True)
    finally:
        await environments.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
