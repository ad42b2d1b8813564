"""Writes what the pages of MiniWoB++ say: their instructions, and the table of what our actions can do on them.

python scripts/miniwob.py instructions    writes src/lbi/benchmarks/miniwob/instructions.json and practice.json
python scripts/miniwob.py table           writes docs/miniwob.md (some minutes)
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from lbi.benchmarks.miniwob import PRACTICE, PROBLEMS, load, solver
from lbi.benchmarks.miniwob.environment import MiniwobEnvironment, MiniwobEnvironments
from lbi.benchmarks.miniwob.site import pages_folder
from lbi.observations.parse import parse_observation
from lbi.records import Task
from lbi.rollouts.loop import rollout

SEEDS = range(10)
TRIED = (0, 1, 2)  # seeds that solutions are tried with
STEPS = 400  # of a solution: a slider goes by single keys
ROOT = Path(__file__).parents[1]
STORED = {
    ROOT / "src/lbi/benchmarks/miniwob/instructions.json": SEEDS,
    ROOT / "src/lbi/benchmarks/miniwob/practice.json": range(PRACTICE, PRACTICE + PROBLEMS),
}
TABLE = ROOT / "docs/miniwob.md"
#: what the page itself says: how much is drawn, what has words, and whether it changes while nobody does anything
FACTS = """(async () => {
  const area = document.getElementById('area') || document.body;
  const drawn = area.querySelectorAll('svg *, canvas').length;
  const empty = [...area.querySelectorAll('div,span,td')].filter(one => !one.childElementCount
    && !one.textContent.trim() && one.getBoundingClientRect().width > 3).length;
  let changes = 0;
  const watcher = new MutationObserver(records => { changes += records.length; });
  watcher.observe(area, {subtree: true, childList: true, attributes: true, characterData: true});
  await new Promise(done => setTimeout(done, 2500));
  watcher.disconnect();
  const style = getComputedStyle(area.querySelector('textarea') || area);
  const resizes = /^(?:both|vertical)$/.test(style.resize);
  return {drawn, empty, changes, resizes, selects: /highlight/i.test(document.title)};
})()"""
HEAD = """# MiniWoB++: what our actions can do

`lbi run miniwob` or `lbi run miniwob:click-button,click-tab@3` (extra `miniwob`). Each task is one page of the wheel
`miniwob`, served on loopback; the page makes its problem from a seed, and says itself whether it was solved. The score
is its raw reward, without the discount for time, and 0 for everything below 0. **The time limit of the pages (5 to 50
s) is lifted**, their count-down and score board are hidden: how fast a model answers is no part of what is measured, so
these scores are not comparable with those under the limit. An episode ends with `finish(...)` or when the page says
that it is over.

This file is written by `python scripts/miniwob.py table`. Solved: of the seeds 0, 1 and 2, those on which the program
in `src/lbi/benchmarks/miniwob/solutions.py` scores 1 through our own actions and observations. Offered: elements with a
reference at the start. Drawn: shapes of drawings, and boxes without words. Moves: changes of the page in 2.5 s without
an action. What is not solved has a reason that follows from these figures, or says that nobody has written a solution.

"""


def tasks() -> list[str]:
    """The tasks that the wheel registers and has a page of."""
    registered = (pages_folder().parent / "registration.py").read_text("utf-8")
    pages = {page.stem for page in (pages_folder() / "miniwob").glob("*.html")}
    return sorted(pages & set(re.findall(r'id="miniwob/([\w-]+)-v\d+"', registered)))


async def instructions(environment: MiniwobEnvironment, seeds: range) -> dict[str, list[str]]:
    """Of each task, what the page says with each seed."""
    found: dict[str, list[str]] = {}
    for name in tasks():
        for seed in seeds:
            task = Task(instruction="", environment=environment.name, start_url=f"/miniwob/{name}.html?seed={seed}")
            await environment.reset(task)
            found.setdefault(name, []).append(await environment.query())
    return found


async def row(environment: MiniwobEnvironment, name: str) -> dict[str, Any]:
    """What was measured of one task."""
    task = load(name).tasks(environment.name)[0]
    first = await environment.reset(task)
    nothing, _ = await environment.score(task, "")
    facts = await environment.facts(FACTS)
    inside = [element for element in parse_observation(first.text).elements if element.name != "Submit"]
    solved = [seed for seed in TRIED if await solves(environment, f"{name}@{seed}")] if solver(task) else []
    roles = Counter(element.role for element in inside)
    return {"task": name, "nothing": nothing, "solved": solved, "offered": len(inside), "roles": roles, **facts}


async def solves(environment: MiniwobEnvironment, name: str) -> bool:
    task = load(name).tasks(environment.name)[0]
    agent = solver(task)
    if agent is None:
        return False
    await rollout(environment, agent, task, STEPS)
    return (await environment.score(task, ""))[0] == 1


def why_not(measured: dict[str, Any]) -> str:
    """The reason why a task is not solved, from what was measured of its page."""
    if measured["solved"]:
        missing = [str(seed) for seed in TRIED if seed not in measured["solved"]]
        return f"the solution does not fit seed {', '.join(missing)}" if missing else ""
    if measured["selects"]:
        return "selection: text has to be marked, and no action marks a part of a text"
    if measured["resizes"] and "resize" in measured["task"]:
        return "grip: the corner of a text area has to be dragged, which is no element"
    if measured["roles"]["img"]:
        return "place: where on a drawing one presses counts, and actions press elements"
    if measured["drawn"] and not measured["offered"]:
        return f"pixels: {measured['drawn']} drawn shapes, none of which can be pressed"
    if measured["task"].startswith(("drag", "draw", "hot-cold")):
        return "place: something has to be moved to a place that is no element"
    if measured["changes"] > 3:
        return f"timing: the page changes by itself ({measured['changes']} changes in 2.5 s)"
    if measured["drawn"]:
        return f"pixels: the answer is in the look of {measured['drawn']} drawn shapes (size, colour, number)"
    if measured["empty"] > 5:
        return f"pixels: {measured['empty']} boxes without words make a picture"
    return "open: no solution is written; nothing that was measured stands against it"


def table(rows: list[dict[str, Any]]) -> str:
    solved = [each for each in rows if each["solved"]]
    kinds = Counter(why_not(each).partition(":")[0] for each in rows if not each["solved"])
    told = ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())
    lines = [
        f"{len(rows)} tasks start and score; doing nothing scores 0 on {sum(not each['nothing'] for each in rows)}. "
        f"{len(solved)} are solved; the others: {told}.",
        "",
        "| task | solved | offered | drawn | moves | why not |",
        "|---|---|---|---|---|---|",
    ]
    for each in rows:
        seeds = f"{len(each['solved'])} of {len(TRIED)}" if each["solved"] else "-"
        drawn = each["drawn"] + each["empty"]
        lines.append(
            f"| {each['task']} | {seeds} | {each['offered']} | {drawn} | {each['changes']} | {why_not(each)} |"
        )
    return HEAD + "\n".join(lines) + "\n"


async def main(what: str) -> None:
    environments = MiniwobEnvironments("", False, lambda image: "")
    try:
        environment = await environments.open()
        if what == "instructions":
            for path, seeds in STORED.items():
                found = await instructions(environment, seeds)
                path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
        else:
            TABLE.write_text(table([await row(environment, name) for name in tasks()]), "utf-8")
    finally:
        await environments.close()


if __name__ == "__main__":
    if sys.argv[1:] not in (["instructions"], ["table"]):
        sys.exit(str(__doc__).strip())
    asyncio.run(main(sys.argv[1]))
