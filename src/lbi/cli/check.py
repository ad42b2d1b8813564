"""check: does a browser start, a page offer all, an application reset, a config make sense, a benchmark score?"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from lbi import plugins
from lbi.cli import open_console
from lbi.cli.committee import check_committee
from lbi.cli.coverage import check_page
from lbi.cli.instances import WAYS, check_instances
from lbi.cli.preflight import check_config
from lbi.cli.proposed import check_tasks
from lbi.cli.retrieval import check_retrieval
from lbi.cli.shipped import find_application, find_config
from lbi.cli.trials import Row, check_benchmark
from lbi.config import Config, load_config
from lbi.documents.corpus import read_corpus
from lbi.environments import described, open_environments, own_documents
from lbi.environments.desktop.application import load_desktop, shipped_desktops
from lbi.environments.desktop.session import missing_packages
from lbi.environments.web.application import Application, load_application, shipped_applications
from lbi.errors import LbiError, UserError
from lbi.evaluation.benchmark import is_plug_in, load_benchmark, load_benchmarks, shipped_benchmarks
from lbi.monitoring.terminal import say
from lbi.protocols import NeedsPackages
from lbi.records import Task
from lbi.report.words import sections

if TYPE_CHECKING:
    from lbi.environments.web.proof import Proof

KINDS = ("browser", "page", "application", "desktop", "benchmark", "config", "tasks", "retrieval", "committee", "all")
PUT_BACK = (
    'What the server keeps in memory is put back by state.reset = "restart" or reset_request; what changes by itself '
    "is left out by state.ignore_tables, ignore_columns or digest_ignore"
)


def check(
    what: str,
    name: str,
    checkout: str,
    task: str,
    pages: int,
    workers: int,
    as_json: bool,
    quiet: bool,
    *,
    sweep: bool = False,
    limit: int = 0,
    unsafe: bool = False,
) -> int:
    """Print what was found; 1 if anything failed."""
    if checkout and what not in ("benchmark", "application"):
        raise UserError(f"only a benchmark takes a checkout, so leave {checkout} away")
    if what == "page":
        return check_page(_named(what, name), pages, as_json)
    if what == "tasks":
        return check_tasks(name, as_json)
    if what == "retrieval":
        return check_retrieval(name, sweep, as_json)
    if what == "committee":
        return check_committee(name, limit, as_json, quiet)
    rows = asyncio.run(_checked(what, name, checkout, task, workers, quiet or as_json, unsafe))
    if as_json:
        say(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        open_console().print(_table(rows))
    failed = [row for row in rows if not row["passed"]]
    if not as_json:
        say(_counted(rows))
    return 1 if failed else 0


def _counted(rows: list[Row]) -> str:
    """``12 of 15 passed; 2 not runnable, 1 faulty``: what was not tried, or tells little, counts as neither."""
    apart = {kind: sum(row["found"].startswith(f"{kind}: ") for row in rows) for kind in ("not runnable", "faulty")}
    rest = len(rows) - sum(apart.values())
    failed = sum(not row["passed"] for row in rows)
    proved = sum(row["found"].startswith("not runnable: ") and row.get("gold") == 1 for row in rows)
    told = ", ".join(f"{number} {kind}" for kind, number in apart.items() if number)
    told += f" ({proved} of them proved without their sites)" if proved else ""
    return f"{rest - failed} of {rest} passed" + (f"; {told}" if told else "") + _reasons(rows)


def _reasons(rows: list[Row]) -> str:
    """How many are not runnable for which reason, where several reasons begin alike: what stands before a colon."""
    said = [row["found"].split(": ") for row in rows if row["found"].startswith("not runnable: ")]
    counts = Counter(parts[1].partition(";")[0] for parts in said if len(parts) > 2)
    return "".join(f"\n  {number} {reason}" for reason, number in counts.most_common())


async def _checked(
    what: str, name: str, checkout: str, task: str, workers: int, quiet: bool, unsafe: bool
) -> list[Row]:
    if what == "browser":
        return [await _row("browser", check_browser())]
    if what == "application":
        application = _of_benchmark(name, checkout) if is_plug_in(name) else name
        return [await _row(f"application {_named(what, name)}", check_application(application))]
    if what == "desktop":
        rows = [await _row(f"desktop {each}", check_desktop(each)) for each in ([name] if name else shipped_desktops())]
        return rows if name else [*rows, *_desktops_of_benchmarks()]
    if what == "config":
        return [await _row(f"config {_named(what, name)}", _config(name))]
    if what == "benchmark":
        return await _benchmark(_named(what, name), checkout, task, workers, quiet, unsafe)
    if what != "all":
        raise UserError(f"cannot check {what!r}; choose {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    rows = [await _row("browser", check_browser())]
    rows += [await _row(f"application {each}", check_application(each)) for each in shipped_applications()]
    lacking = {each: missing_packages(load_desktop(each)) for each in shipped_desktops()}
    for each in shipped_desktops():
        rows.append(_lacks(f"desktop {each}", lacking[each]) or await _row(f"desktop {each}", check_desktop(each)))
    for each in shipped_benchmarks():
        if lacks := _lacks(each, lacking.get(load_benchmark(each).application, [])):
            rows.append(lacks)
        else:
            rows += await _benchmark(each, "", task, workers, quiet, unsafe)
    return rows


def _desktops_of_benchmarks() -> Iterator[Row]:
    """A row for each benchmark that brings a desktop of its own; on another machine only its tasks are not runnable."""
    for name in plugins.available("benchmarks"):
        try:
            plug_in = plugins.load("benchmarks", name)
        except UserError:  # one of another distribution, which `lbi list` names
            continue
        if isinstance(plug_in, NeedsPackages):
            there = {"what": f"desktop of {name}", "passed": True, "found": "all that its tasks start is installed"}
            yield _lacks(f"desktop of {name}", plug_in.packages()) or there


def _of_benchmark(name: str, checkout: str) -> str:
    """The application that a benchmark's tasks are on. Raises UserError."""
    if application := load_benchmark(name, checkout).application:
        return application
    raise UserError(f"the benchmark {name} is on no application of its own")


async def _benchmark(name: str, checkout: str, task: str, workers: int, quiet: bool, unsafe: bool) -> list[Row]:
    if not is_plug_in(name) and load_benchmark(name).environment == "repository":
        return await check_instances(name, task, workers, quiet)
    return await check_benchmark(name, checkout, task, workers, quiet, unsafe=unsafe)


def _named(what: str, name: str) -> str:
    if not name:
        if what == "page":
            raise UserError("which page? Write `lbi check page http://localhost:3000`, or the name of an application")
        raise UserError(f"which {what}? Write `lbi check {what} NAME`; `lbi list` shows what there is")
    return name


def _lacks(what: str, packages: list[str]) -> Row | None:
    """A row for what cannot be tried on this machine."""
    found = f"not runnable: these packages are not installed: {' '.join(packages)} (scripts/setup.sh desktop)"
    return {"what": what, "passed": True, "found": found} if packages else None


async def check_desktop(name: str) -> str:
    """Start a desktop, look at it, and throw it away; says what is missing."""
    from lbi.environments.desktop.environment import DesktopEnvironments

    environments = DesktopEnvironments(name)
    began = time.monotonic()
    try:
        environment = await environments.open()
        started = time.monotonic() - began
        await environment.reset(Task(instruction="", environment=name))
        programs = ", ".join(program.name for program in environments.desktop.program)
        corpus = read_corpus(environments.documents[:1])
        manuals = f"; the first manual has {sections(len(corpus.documents), 1)}" if corpus.documents else "; no manuals"
        return f"starts in {started:.2f} s; programs: {programs}{manuals}"
    finally:
        await environments.close()


async def _row(what: str, finding: Awaitable[str]) -> Row:
    try:
        return {"what": what, "passed": True, "found": await finding}
    except LbiError as error:
        return {"what": what, "passed": False, "found": str(error)}


async def check_browser() -> str:
    """Start the browser and say which it is."""
    from lbi.environments.web.browser import SharedBrowser

    browser = SharedBrowser()
    started = time.monotonic()
    try:
        context = await browser.context()
        version = context.browser.version if context.browser else "of unknown version"
        page = await context.new_page()
        await page.goto("data:text/html,<button>here</button>")
        if "here" not in await page.aria_snapshot(mode="ai"):
            raise UserError("the browser starts and shows nothing; try another one")
        return f"Chromium {version} shows a page after {time.monotonic() - started:.1f} s"
    finally:
        await browser.close()


async def check_application(name: str) -> str:
    """Install, start, look at the start page, change everything and put it back, read the documents."""
    from lbi.environments.web.environment import WebEnvironment
    from lbi.environments.web.proof import prove

    name = find_application(name)
    config = Config(application=name)
    environments = open_environments(config, lambda png: "")
    try:
        environment = await environments.open()
        if not isinstance(environment, WebEnvironment):
            raise UserError(f"{name} is no application of the kind web")
        application = load_application(name)
        proof = await prove(environment, application.start_url)
        if proof.kept:
            raise UserError(f"a reset does not put back: {'; '.join(proof.kept)}. {PUT_BACK}")
        started = time.monotonic()
        await environment.reset(Task(instruction="", environment=environment.name))
        seconds = time.monotonic() - started
        corpus = read_corpus(await own_documents(config, environments))
        skipped = f", {len(corpus.skipped)} skipped" if corpus.skipped else ""
        read = sections(len(corpus.documents), len({document.source for document in corpus.documents}))
        return ". ".join(
            [
                f"{elements(proof.first.text)} elements on {proof.first.url}, "
                f"reset in {seconds:.2f} s, {read}{skipped}",
                f"Changed and put back twice: {', '.join(proof.changed)}",
                *_notes(application, proof, environment.exposed()),
                *_blocked(environments),
            ]
        )
    finally:
        await environments.close()


def _blocked(environments: object) -> Iterator[str]:
    if blocked := ", ".join(sorted(getattr(environments, "blocked", ()))):
        yield f"Note: its pages ask other sites in vain: {blocked} (policy.allow_urls allows them)"


def _notes(application: Application, proof: Proof, exposed: Sequence[str]) -> Iterator[str]:
    if not application.restores:
        yield "Note: nothing puts the site's server back; set state.reset_request, reset_command or database_url"
    if not application.state.has_digest:
        yield (
            "Note: no state digest, so fewer than half of the examples survive the filters, which cannot see what an "
            "action did; add one of state.database, database_url, digest_url, digest_files, digest_command"
        )
    elif not any(part.startswith("server's") for part in proof.changed):
        yield "Note: nothing that was tried on its pages changed the server's state, so that part is not proven"
    if exposed:
        yield (
            f"Note: the server listens on {', '.join(exposed)}, so other machines reach it; let it bind to {{host}}, "
            "or start a Python server as {python} {loopback} PROGRAM"
        )


def elements(text: str) -> int:
    """How many elements of an observation can be acted on."""
    from lbi.observations.parse import parse_observation

    return len(parse_observation(text).elements)


async def _config(name: str) -> str:
    config = load_config(find_config(Path(name)))
    await check_config(config)
    held_out = len(load_benchmarks(config.benchmark, config.checkout).runnable) if config.benchmark else 0
    tasks = f"{held_out} held-out tasks" if held_out else "no held-out tasks, so synthesised ones stand in"
    models = ", ".join(config.all_models())
    return f"{described(config)}; {tasks}; {len(config.evaluation.arms)} arms; models: {models}"


def _table(rows: list[Row]) -> Table:
    of_tasks = any("gold" in row for row in rows)
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("checked", overflow="fold")
    ways = [way for way in WAYS if any(way in row for row in rows)] if of_tasks else []
    for way in ways:
        table.add_column(way, justify="right")
    table.add_column("found", overflow="fold")
    for row in rows:
        scores = [score(row.get(way)) for way in ways]
        table.add_row("ok" if row["passed"] else "FAILED", row["what"], *scores, escape(row["found"]))
    return table


def score(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
