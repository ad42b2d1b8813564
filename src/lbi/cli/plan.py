"""--dry-run: a config -> the config as it was resolved, and the calls, tokens and money that a run would take."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from lbi.cli import open_console
from lbi.cli.estimate import Lengths, Planned, basis, counts, expected, lengths_in, plan
from lbi.cli.preflight import base_url, check_config
from lbi.config import Config
from lbi.context import money_spent
from lbi.documents.corpus import Corpus, read_corpus
from lbi.environments import actions_of, open_environments, own_documents
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmarks
from lbi.evaluation.check_names import look_up_names
from lbi.models.middleware.batching import WAITING
from lbi.models.pricing import Prices
from lbi.models.registry import open_model
from lbi.monitoring.terminal import say
from lbi.pipeline import Only
from lbi.records import Document, Usage
from lbi.report.words import money, plural, sections, short
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.seeds import pages_expected, seeded_by_pages

ROOM = 1.5  # a budget that should be enough, as a multiple of what is expected
STAGES: dict[Only, tuple[str, ...]] = {
    "": ("",),
    "synthesis": ("propose", "attempt", "label", "filter"),
    "evaluation": ("evaluate",),
}


def show_plan(config: Config, out: Path, only: Only, as_json: bool, beside: Sequence[tuple[Config, Path]] = ()) -> int:
    """Reads the documents, which may install the application; asks no model and makes no run folder.

    ``beside``: further runs that belong to it, each with its folder.
    """
    planned = asyncio.run(_planned(config, out, only))
    others = [(asyncio.run(_planned(other, folder, only)), folder) for other, folder in beside]
    if as_json:
        told = {"runs": [{"out": str(folder), **other} for other, folder in others]} if others else {}
        say(json.dumps({"out": str(out), **planned, **told}, indent=2, ensure_ascii=False))
        return 0
    for each, folder in [(planned, out), *others]:
        _print(each, folder)
    return 0


async def _planned(config: Config, out: Path, only: Only) -> dict[str, Any]:
    corpus = await _documents(config)
    held_out = len(load_benchmarks(config.benchmark, config.checkout).runnable) if config.benchmark else 0
    lengths, spent = _earlier(out)
    arguments = (config, corpus.documents, held_out, actions_of(config))
    most = [await _priced(config, row) for row in plan(*arguments) if row.stage.startswith(STAGES[only])]
    likely = [await _priced(config, row) for row in expected(*arguments, lengths) if row.stage.startswith(STAGES[only])]
    work = counts(config, len(corpus.documents), held_out)
    return {
        "config": config.model_dump(mode="json"),
        "documents": len({document.source for document in corpus.documents}),
        "sections": len(corpus.documents),
        "skipped": [skipped.model_dump() for skipped in corpus.skipped],
        "tasks_proposed": work.proposed,
        "rollouts": work.rollouts,
        "held_out_tasks": work.held_out,
        "stages": [row.model_dump() for row in most],
        **_sums(most),
        "expected": {
            **_sums(likely),
            "from": str(out) if lengths != Lengths() else "",
            "basis": basis(config, lengths),
            "stages": [row.model_dump() for row in likely],
        },
        "spent": spent,
        "notes": await _notes(config),
    }


def _sums(rows: list[Planned]) -> dict[str, Any]:
    costs = [row.cost for row in rows]
    return {
        "calls": sum(row.calls for row in rows),
        "input_tokens": sum(row.input_tokens for row in rows),
        "output_tokens": sum(row.output_tokens for row in rows),
        "cost": None if None in costs else sum(cost for cost in costs if cost is not None),
    }


def _earlier(out: Path) -> tuple[Lengths, float]:
    """How long things were in the run folder, if it is one already, and what it has spent in US dollars."""
    if not (out / "run.db").is_file():
        return Lengths(), 0.0
    with RunFolder(out, writing=False) as run:
        return lengths_in(run), money_spent(run)


async def enough(config: Config, documents: Sequence[Document]) -> int:
    """A budget in US dollars that a run which has not begun should need; 0 where a price is unknown."""
    held_out = len(load_benchmarks(config.benchmark, config.checkout).runnable) if config.benchmark else 0
    rows = expected(config, documents, held_out, actions_of(config), Lengths())
    likely = _sums([await _priced(config, row) for row in rows])["cost"]
    return math.ceil((likely or 0.0) * ROOM)


async def _documents(config: Config) -> Corpus:
    environments = open_environments(config, lambda png: "")
    try:
        if config.benchmark:
            await look_up_names(load_benchmarks(config.benchmark, config.checkout), environments)
        if seeded_by_pages(config):
            return Corpus(documents=pages_expected(config))
        return read_corpus((*await own_documents(config, environments), *config.documents))
    finally:
        await environments.close()


async def _notes(config: Config) -> list[str]:
    """What a run would stop at: a plan needs no key, so here it is a note."""
    try:
        await check_config(config)
    except UserError as error:
        return [f"as it is, the run would stop at once: {error}"]
    return []


async def _priced(config: Config, row: Planned) -> Planned:
    prices = Prices(config.models.prices)
    name, endpoint, free, share = row.model, base_url(config, row.model), False, 1.0
    try:
        model = open_model(row.model, base_url=endpoint, priced=prices.overrides)
    except UserError:
        pass  # no key, perhaps: the price is known all the same
    else:
        name, endpoint, batches = model.name, model.info.endpoint, model.info.batches
        free = model.info.free or model.info.unpaid
        if batches is not None and WAITING.get(row.stage) in config.models.batch:
            share = batches.share
        await model.close()
    usage = Usage(calls=row.calls, input_tokens=row.input_tokens, output_tokens=row.output_tokens)
    # asked for one call, since prices may depend on how long a prompt is
    each = Usage(calls=1, input_tokens=usage.input_tokens // row.calls, output_tokens=usage.output_tokens // row.calls)
    cost = 0.0 if free else prices.cost(name, each, endpoint)
    return row.model_copy(update={"cost": None if cost is None else cost * row.calls * share})


def _print(planned: dict[str, Any], out: Path) -> None:
    console = open_console()
    for key, value in _flat(planned["config"]):
        console.print(f"{key} = {json.dumps(value, ensure_ascii=False)}", markup=False, highlight=False, soft_wrap=True)
    work = (
        plural(planned["tasks_proposed"], "task"),
        plural(planned["rollouts"], "roll-out"),
        plural(planned["held_out_tasks"], "held-out task"),
    )
    read = sections(planned["sections"], planned["documents"])
    models = ", ".join(dict.fromkeys(row["model"] for row in planned["stages"]))
    console.print(f"\n{read}, {', '.join(work)}", markup=False, highlight=False)
    console.print(f"Run folder: {out}; model: {models or 'none is asked'}", markup=False, highlight=False)
    console.print(_table(planned))
    for line in _in_words(planned):
        console.print(line, markup=False, highlight=False)
    skipped = (f"skipped {each['source']}: {each['reason']}" for each in planned["skipped"])
    for note in (*planned["notes"], *skipped):
        console.print(f"note: {note}", markup=False, highlight=False)


def _table(planned: dict[str, Any]) -> Table:
    models = list(dict.fromkeys(row["model"] for row in planned["stages"]))
    likely = {(row["stage"], row["role"]): row for row in planned["expected"]["stages"]}
    table = Table(box=None, pad_edge=False, show_footer=True)
    table.add_column("stage", footer="in all", overflow="fold")
    table.add_column("role")
    if len(models) > 1:
        table.add_column("model", overflow="fold")
    for name, key in (("calls", "calls"), ("tokens\nin", "input_tokens"), ("tokens\nout", "output_tokens")):
        table.add_column(name, justify="right", footer=short(planned[key]), overflow="fold")
    table.add_column("at most", justify="right", footer=money(planned["cost"]), overflow="fold")
    table.add_column("expected", justify="right", footer=money(planned["expected"]["cost"]), overflow="fold")
    for row in planned["stages"]:
        other = likely.get((row["stage"], row["role"]))
        numbers = (short(row["calls"]), short(row["input_tokens"]), short(row["output_tokens"]))
        names = (row["stage"], row["role"], *([row["model"]] if len(models) > 1 else []))
        table.add_row(*names, *numbers, money(row["cost"]), money(other["cost"]) if other else "")
    return table


def _in_words(planned: dict[str, Any]) -> Iterator[str]:
    """How the numbers are meant, and what they say of the budget."""
    yield (
        "At most: every episode at its step limit, nothing dropped, nothing answered before. "
        "Where sections give fewer tasks than asked for, further ones are asked."
    )
    likely = planned["expected"]
    source = f"as seen in {likely['from']}" if likely["from"] else "assumed, since no run shows it yet"
    yield f"Expected, {source}: {likely['basis']}. Prompt caches make it cheaper."
    if planned["spent"]:
        yield f"Of this, {money(planned['spent'])} is spent already; what was answered is not paid for again."
    yield from _budget_in_words(planned["config"]["models"]["budget"], planned["cost"], likely["cost"])


def _budget_in_words(budget: float | None, most: float | None, likely: float | None) -> Iterator[str]:
    if not most or likely is None:
        return
    fits = min(math.ceil(most), math.ceil(likely * ROOM))
    if budget is None:
        yield f"A budget that should be enough: --budget {fits}usd"
    elif budget < likely:
        yield (
            f"The budget of {money(budget)} will probably stop it before the end; --budget {fits}usd should be enough."
        )
    elif budget < most:
        yield f"The budget of {money(budget)} should be enough; it stops the run before more is spent."


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys, as --set takes them."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
