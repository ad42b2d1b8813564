"""--dry-run: a config -> the config as it was resolved, and the calls, tokens and money that a run would take."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.table import Table

from lbi.cli import open_console
from lbi.cli.estimate import Planned, counts, plan
from lbi.cli.preflight import base_url, check_config
from lbi.config import Config
from lbi.documents.corpus import Corpus, read_corpus
from lbi.environments import actions_of, open_environments, own_documents
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmarks
from lbi.models.middleware.batching import WAITING
from lbi.models.pricing import Prices
from lbi.models.registry import open_model
from lbi.pipeline import Only
from lbi.records import Usage
from lbi.report.words import count, money

STAGES: dict[Only, tuple[str, ...]] = {
    "": ("",),
    "synthesis": ("propose", "attempt", "label", "filter"),
    "evaluation": ("evaluate",),
}


def show_plan(config: Config, out: Path, only: Only, as_json: bool) -> int:
    """Reads the documents, which may install the application; asks no model and makes no run folder."""
    found = asyncio.run(_planned(config, only))
    if as_json:
        print(json.dumps({"out": str(out), **found}, indent=2, ensure_ascii=False))
    else:
        _print(found, out)
    return 0


async def _planned(config: Config, only: Only) -> dict[str, Any]:
    corpus = await _documents(config)
    held_out = len(load_benchmarks(config.benchmark).task) if config.benchmark else 0
    rows = plan(config, corpus.documents, held_out, actions_of(config))
    notes = await _notes(config)
    rows = [await _priced(config, row) for row in rows if row.stage.startswith(STAGES[only])]
    costs = [row.cost for row in rows]
    work = counts(config, len(corpus.documents), held_out)
    return {
        "config": config.model_dump(mode="json"),
        "documents": len(corpus.documents),
        "skipped": [skipped.model_dump() for skipped in corpus.skipped],
        "tasks_proposed": work.proposed,
        "rollouts": work.rollouts,
        "held_out_tasks": work.held_out,
        "stages": [row.model_dump() for row in rows],
        "calls": sum(row.calls for row in rows),
        "input_tokens": sum(row.input_tokens for row in rows),
        "output_tokens": sum(row.output_tokens for row in rows),
        "cost": None if None in costs else sum(cost for cost in costs if cost is not None),
        "notes": notes,
    }


async def _documents(config: Config) -> Corpus:
    environments = open_environments(config, lambda png: "")
    try:
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
        name, endpoint, free, batches = model.name, model.info.endpoint, model.info.free, model.info.batches
        if batches is not None and WAITING.get(row.stage) in config.models.batch:
            share = batches.share
        await model.close()
    usage = Usage(calls=row.calls, input_tokens=row.input_tokens, output_tokens=row.output_tokens)
    # asked for one call, since prices may depend on how long a prompt is
    each = Usage(calls=1, input_tokens=usage.input_tokens // row.calls, output_tokens=usage.output_tokens // row.calls)
    cost = 0.0 if free else prices.cost(name, each, endpoint)
    return row.model_copy(update={"cost": None if cost is None else cost * row.calls * share})


def _print(found: dict[str, Any], out: Path) -> None:
    console = open_console()
    for key, value in _flat(found["config"]):
        console.print(f"{key} = {json.dumps(value, ensure_ascii=False)}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"\n{found['documents']} documents, {found['tasks_proposed']} tasks, {found['rollouts']} roll-outs, "
        f"{found['held_out_tasks']} held-out tasks. Run folder: {out}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(_table(found))
    budget = found["config"]["models"]["budget"]
    if budget is not None and found["cost"] is not None and found["cost"] > budget:
        console.print(f"The budget of {money(budget)} may stop it before the end.", highlight=False)
    for note in (*found["notes"], *(f"skipped {each['source']}: {each['reason']}" for each in found["skipped"])):
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)


def _table(found: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, caption_justify="left", show_footer=True)
    table.add_column("stage", footer="at most")
    table.add_column("role")
    table.add_column("model")
    for name, key in (("calls", "calls"), ("tokens in", "input_tokens"), ("tokens out", "output_tokens")):
        table.add_column(name, justify="right", footer=count(found[key]))
    table.add_column("money", justify="right", footer=money(found["cost"]))
    for row in found["stages"]:
        numbers = (count(row["calls"]), count(row["input_tokens"]), count(row["output_tokens"]))
        table.add_row(row["stage"], row["role"], row["model"], *numbers, money(row["cost"]))
    table.caption = (
        "Upper bounds: every episode at its step limit, nothing dropped, nothing answered before. "
        "Where sections give fewer tasks than asked for, further ones are asked."
    )
    return table


def _flat(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys, as --set takes them."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner
