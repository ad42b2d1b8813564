"""What several tools' observations offer of what can be acted on, side by side on the same pages.

    python performance/coverage.py [APP|URL ...] [--pages 8] [--only ours,before] [--python browser-use=PATH]

A crawl by our own environment gives the pages of each site, by addresses and by clicks. Then each tool opens every page
in the same browser and makes its observation: ours, ours at commit 7842d62 (Playwright's snapshot, rendered),
playwright-mcp's (Playwright's snapshot for models, as it is), BrowserGym's (its accessibility tree as text, with what
is visible and clickable) and browser-use's (its own tree, of the whole page, where its default is 1,000 pixels below
the window). The measure is that of `lbi check page`: page/actionable.js, whose choice of what can be acted on does not
depend on what is offered.

BrowserGym and browser-use are installed from PyPI into virtual environments in the cache, unless --python names one.
References that cannot be acted on are those that no press on points all over them hits; idle ones are of elements for
which the browser knows no reason why a press should do anything.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lbi.cli.coverage import WHOLE
from lbi.cli.sites import open_site
from lbi.environments.web.actions import parse_target
from lbi.environments.web.browser import SHELLS_ON_PATH, find_chromium
from lbi.environments.web.coverage import script_text
from lbi.environments.web.crawl import State, crawl
from lbi.environments.web.environment import WebEnvironment
from lbi.environments.web.install import default_cache
from lbi.environments.web.look import handle_of
from lbi.environments.web.perform import find
from lbi.errors import EnvironmentFailure, UserError
from lbi.observations.parse import parse_observation
from lbi.records import Task

COMMIT = "7842d62"
ROUNDS = 3
HERE = Path(__file__).resolve().parent
PACKAGES = {"browsergym": "browsergym-core", "browser-use": "browser-use"}
TOOLS = ("ours", "before", "playwright-mcp", "browsergym", "browser-use")
Row = dict[str, Any]
SELECTOR = """one => {
  const steps = [];
  for (let at = one; at.parentElement; at = at.parentElement) {
    steps.unshift(`${at.localName}:nth-child(${[...at.parentElement.children].indexOf(at) + 1})`);
  }
  return steps.join(' > ');
}"""


@dataclass
class Site:
    """A site whose server runs, and the pages that are looked at."""

    name: str
    web: WebEnvironment
    pages: list[State]
    cookies: list[Any]  # of the log-in
    selectors: list[list[str]]  # of what is clicked on each page, for tools that do not know our references


@asynccontextmanager
async def opened(where: str, pages: int) -> AsyncIterator[Site]:
    environments, start = open_site(where, WHOLE)
    try:
        web = await environments.open()
        reached = [state async for state, _ in crawl(web, start, pages, buttons=environments.restores)]
        cookies = [dict(cookie) for cookie in await web.session.context.cookies()]
        site = Site(environments.name, web, reached, cookies, [])
        for state in reached:
            site.selectors.append([])
            await show(web, state, site.selectors[-1])
        yield site
    finally:
        await environments.close()


async def selector_of(web: WebEnvironment, ref: str) -> str:
    handle = await handle_of(web.viewing.look.frames, web.viewing.refs[ref])
    return str(await handle.evaluate(SELECTOR)) if handle else ""


async def show(web: WebEnvironment, state: State, selectors: list[str] | None = None) -> None:
    """Open a page; ``selectors`` is filled with those of what is clicked."""
    observation = await web.reset(Task(instruction="", environment=web.name, start_url=state.url))
    for target in state.clicks:
        if selectors is not None and (found := parse_target(target)):
            element = find(parse_observation(observation.text), found)
            selectors.append(await selector_of(web, element.ref))
        observation = (await web.step(f"click({target})")).observation


async def ours(site: Site) -> list[Row]:
    rows = []
    for state in site.pages:
        await show(site.web, state)
        await asyncio.sleep(0.5)
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            observation = await site.web.viewing.observe(site.web.session)
            seconds.append(time.perf_counter() - start)
        found = await site.web.coverage(blind=True)
        rows.append(
            {
                "url": " > ".join([state.url, *state.clicks]),
                "characters": len(observation.text),
                "seconds": median(seconds),
                "total": found.total,
                "covered": found.covered,
                "unusable": len(found.unusable),
                "idle": len(found.idle),
            }
        )
    return rows


def others(tool: str, python: str, site: Site, chromium: str, script: Path, path: str) -> list[Row]:
    """Rows of a tool, which runs in a process of its own."""
    command = [python, str(HERE / "coverage_tools.py"), tool, chromium, str(script)]
    wanted = zip(site.pages, site.selectors, strict=True)
    pages = [[site.web.url + page.url, clicks] for page, clicks in wanted]
    given = json.dumps({"cookies": site.cookies, "pages": pages})
    environ = os.environ | {"PYTHONPATH": path, "ANONYMIZED_TELEMETRY": "false"}
    ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False, env=environ)
    rows = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    if len(rows) < len(site.pages):
        print(f"{tool} gave {len(rows)} of {len(site.pages)} pages: {ran.stderr[-1500:]}", file=sys.stderr)
    return rows


def pages_alike(found: dict[str, list[Row]]) -> list[int]:
    """The pages on which all tools had the same to act on, within a twentieth: clicks may lead elsewhere."""
    many = min(len(rows) for rows in found.values())
    every = [[rows[at]["total"] for rows in found.values()] for at in range(many)]
    return [at for at, totals in enumerate(every) if max(totals) - min(totals) <= 0.05 * max(totals)]


def python_of(tool: str) -> str:
    """The interpreter of a virtual environment with the tool. Raises UserError if it cannot be installed."""
    folder = default_cache().parent / "benchmarks" / tool
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        print(f"installing {PACKAGES[tool]} ...", file=sys.stderr)
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "-q", PACKAGES[tool]],
        ):
            completed = subprocess.run(command, capture_output=True, text=True, check=False)
            if completed.returncode:
                raise UserError(f"{tool} cannot be installed: {completed.stderr.strip()[-500:]}")
        (folder / "made").touch()
    return str(python)


def earlier_sources(folder: Path) -> str:
    """The sources of the earlier commit, unpacked."""
    archive = subprocess.run(["git", "archive", COMMIT, "src"], cwd=HERE.parent, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return str(folder / "src")


def line(tool: str, rows: list[Row], best: list[Row]) -> str:
    total, covered = sum(row["total"] for row in rows), sum(row["covered"] for row in rows)
    characters = sum(row["characters"] for row in rows)
    ratio = characters / max(1, sum(row["characters"] for row in best))
    return (
        f"| {tool} | {len(rows)} | {covered} of {total} | {covered / max(1, total):.1%} "
        f"| {min((row['covered'] / row['total'] for row in rows if row['total']), default=1):.1%} "
        f"| {sum(row['unusable'] for row in rows)} | {sum(row['idle'] for row in rows)} "
        f"| {characters / max(1, len(rows)):,.0f} | {ratio:.2f} "
        f"| {median(row['seconds'] for row in rows):.3f} |"
    )


async def measured(arguments: argparse.Namespace, folder: Path) -> None:
    chromium = arguments.chromium or next(filter(None, map(shutil.which, SHELLS_ON_PATH)), "") or find_chromium()
    script = folder / "actionable.js"
    script.write_text(script_text())
    tools = [tool for tool in TOOLS if tool in arguments.only.split(",")]
    pythons = dict(pair.split("=", 1) for pair in arguments.python)
    every: dict[str, list[Row]] = defaultdict(list)
    heading = (
        "| tool | pages | covered | share | worst page | cannot be acted on | idle | characters a page | ratio to ours "
        "| seconds a page |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for where in arguments.sites:
        async with opened(where, arguments.pages) as site:
            found: dict[str, list[Row]] = {"ours": await ours(site)}
            for tool in tools[1:] if tools[0] == "ours" else tools:
                path = earlier_sources(folder) if tool == "before" else ""
                python = pythons.get(tool) or (python_of(tool) if tool in PACKAGES else sys.executable)
                found[tool] = await asyncio.to_thread(others, tool, python, site, chromium, script, path)
            same = pages_alike(found)
            found = {tool: [rows[at] for at in same] for tool, rows in found.items()}
            dropped = f", {len(site.pages) - len(same)} pages that did not look the same twice left out"
            print(f"\n{site.name}{dropped if len(same) < len(site.pages) else ''}\n\n{heading}")
            for tool, rows in found.items():
                print(line(tool, rows, found["ours"]) if rows else f"| {tool} | no page |", flush=True)
                every[tool] += rows
            if arguments.verbose:
                print(json.dumps(found, indent=1))
    if len(arguments.sites) > 1:
        print(f"\nall {len(arguments.sites)} sites\n\n{heading}")
        for tool, rows in every.items():
            print(line(tool, rows, every["ours"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sites", nargs="*", default=["trac", "spirit"], help="applications and addresses")
    parser.add_argument("--pages", type=int, default=8, help="of each site")
    parser.add_argument("--only", default=",".join(TOOLS), help="tools, by comma")
    parser.add_argument("--python", action="append", default=[], metavar="TOOL=PATH", help="where a tool is installed")
    parser.add_argument("--chromium", default="", help="the browser of all tools but ours")
    parser.add_argument("--verbose", action="store_true", help="print every page")
    arguments = parser.parse_args()
    if not importlib.util.find_spec("playwright"):
        raise SystemExit("Playwright is missing: install lbi[web]")
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        try:
            asyncio.run(measured(arguments, Path(folder)))
        except (UserError, EnvironmentFailure) as error:
            raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
