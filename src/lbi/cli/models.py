"""models: the language models of this machine: what there is, fetch one, try how fast it is, remove it."""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Callable
from pathlib import Path

from rich.table import Table

from lbi.cli import open_console
from lbi.errors import ModelError, UserError
from lbi.models.local import store
from lbi.models.local.catalog import catalog, entry_of
from lbi.models.local.choice import chosen
from lbi.models.local.trial import Trial, measure
from lbi.models.local.weights import obtain
from lbi.monitoring.terminal import say

Act = Callable[[str, bool], int]


def models(action: str, name: str, as_json: bool) -> int:
    """Carry out one of ``ACTIONS``. Raises UserError."""
    if action not in ACTIONS:
        near = difflib.get_close_matches(action, ACTIONS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(ACTIONS)}"
        raise UserError(f"`lbi models` cannot {action}; {hint}")
    if action != "list" and not name:
        raise UserError(f"which model? `lbi models {action} NAME`; known are {', '.join(catalog())}")
    return ACTIONS[action](name.removeprefix("local:"), as_json)


def _list(name: str, as_json: bool) -> int:
    rows = [
        {
            "name": entry.name,
            "description": entry.description,
            "licence": entry.licence,
            "bytes": entry.size,
            "engine": entry.engine,
            "here": store.bytes_of(entry.name),
            "fetched": (store.folder_of(entry.name) / entry.file).exists(),
        }
        for entry in catalog().values()
        if name in ("", entry.name)
    ]
    if not rows:
        entry_of(name)  # says what may have been meant
    if as_json:
        say(json.dumps(rows, indent=2))
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "", "licence", "size", "on this disk", "run by"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        here = _megabytes(row["here"]) if row["fetched"] else "part of it" if row["here"] else "no"
        size = _megabytes(row["bytes"])
        table.add_row(
            f"local:{row['name']}", str(row["description"]), str(row["licence"]), size, here, str(row["engine"])
        )
    open_console().print(table, highlight=False)
    say("Any other GGUF file: local:FILE. docs/local.md says how each is run.")
    return 0


def _fetch(name: str, as_json: bool) -> int:
    weights = obtain(chosen(name), _say(as_json))
    size = weights.file.stat().st_size
    if as_json:
        say(json.dumps({"model": weights.name, "file": str(weights.file), "bytes": size, "engine": weights.engine}))
    else:
        say(f"{weights.name} is here: {weights.file} ({_megabytes(size)}), run by {weights.engine}")
    return 0


def _try(name: str, as_json: bool) -> int:
    weights = obtain(chosen(name), _say(as_json))
    try:
        trial = asyncio.run(measure(weights))
    except ModelError as error:
        raise UserError(str(error)) from None
    if as_json:
        say(json.dumps({"model": weights.name, **trial.model_dump(mode="json")}))
    else:
        _print_trial(weights.name, trial)
    return 0


def _print_trial(name: str, trial: Trial) -> None:
    say(
        f"{name} by {trial.engine}, {trial.threads} threads, {trial.slots} slots, context of {trial.context:,} tokens, "
        f"ready after {trial.seconds_to_start:.1f} s"
    )
    say(f"reads   {trial.read:8,.0f} tokens/s   (a new prompt of {trial.prompt_tokens:,} tokens)")
    say(f"again   {trial.again:8.2f} s          (the same prompt, {trial.again_cached:,} tokens of it from the cache)")
    say(f"writes  {trial.written:8,.1f} tokens/s")


def _remove(name: str, as_json: bool) -> int:
    entry = entry_of(name)
    size = store.bytes_of(entry.name)
    if size == 0:
        raise UserError(f"{entry.name} is not on this disk")
    folder: Path = store.remove(entry.name)
    if as_json:
        say(json.dumps({"model": entry.name, "bytes": size}))
    else:
        say(f"removed {folder} ({_megabytes(size)})")
    return 0


def _say(as_json: bool) -> Callable[[str], None]:
    return (lambda line: None) if as_json else say


def _megabytes(size: int | object) -> str:
    return f"{size / 1e6:,.0f} MB" if isinstance(size, int) else ""


ACTIONS: dict[str, Act] = {"list": _list, "fetch": _fetch, "try": _try, "remove": _remove}
