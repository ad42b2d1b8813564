"""Writes what the pages of MiniWoB++ say: their instructions, and the table of which can be solved by our actions.

python scripts/miniwob.py instructions    writes src/lbi/benchmarks/miniwob/instructions.json
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

from lbi.benchmarks.miniwob.environment import MiniwobEnvironments
from lbi.benchmarks.miniwob.site import pages_folder
from lbi.records import Task

SEEDS = range(5)
STORED = Path(__file__).parents[1] / "src/lbi/benchmarks/miniwob/instructions.json"


def tasks() -> list[str]:
    """The tasks that the wheel registers and has a page of."""
    registered = (pages_folder().parent / "registration.py").read_text("utf-8")
    pages = {page.stem for page in (pages_folder() / "miniwob").glob("*.html")}
    return sorted(pages & set(re.findall(r'id="miniwob/([\w-]+)-v\d+"', registered)))


async def instructions() -> dict[str, list[str]]:
    """Of each task, what the page says with each seed."""
    environments = MiniwobEnvironments("", False, lambda image: "")
    try:
        environment = await environments.open()
        found: dict[str, list[str]] = {}
        for name in tasks():
            for seed in SEEDS:
                task = Task(
                    instruction="", environment=environments.name, start_url=f"/miniwob/{name}.html?seed={seed}"
                )
                await environment.reset(task)
                found.setdefault(name, []).append(await environment.query())
        return found
    finally:
        await environments.close()


if __name__ == "__main__":
    if sys.argv[1:] != ["instructions"]:
        sys.exit(str(__doc__).strip())
    STORED.write_text(json.dumps(asyncio.run(instructions()), indent=1, ensure_ascii=False) + "\n", "utf-8")
