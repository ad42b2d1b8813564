"""calls: a run folder -> the model calls in it, as a list or one with its prompt and its reply; secrets are masked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.table import Table

from lbi.cli import open_console
from lbi.monitoring.terminal import say
from lbi.report.words import count, money
from lbi.storage.calls import CallFilter, listed, one, opened
from lbi.storage.run_folder import RunFolder

#: numbers stand to the right, and words give way where the room is narrow
_WORDS = ("stage", "role", "model", "failure")


def calls(run: Path, call: str, chosen: CallFilter, as_json: bool) -> int:
    """Reads only, so it also works while the run goes on. Raises UserError for a run or a call that is not there."""
    with RunFolder(run, writing=False), opened(run) as db:
        if call:
            _show(one(db, call), as_json)
        else:
            _list(db, chosen, as_json)
    return 0


def _list(db: sqlite3.Connection, chosen: CallFilter, as_json: bool) -> None:
    rows, total = listed(db, chosen)
    if as_json:
        say(json.dumps({"total": total, "calls": rows}, indent=2, ensure_ascii=False))
    else:
        _print(rows, total)


def _columns(rows: list[dict[str, Any]]) -> dict[str, Callable[[dict[str, Any]], str]]:
    """What is told of each call. What none of them has would only take the room of what they have."""
    columns: dict[str, Callable[[dict[str, Any]], str]] = {
        "id": lambda row: str(row["id"][:10]),
        "stage": lambda row: str(row["stage"]),
        "role": lambda row: str(row["role"]),
        "model": lambda row: str(row["model"]),
        "tokens in": lambda row: count(row["input_tokens"]),
        "cached": lambda row: count(row["cached_tokens"]),
        "written": lambda row: count(row["written_tokens"]),
        "out": lambda row: count(row["output_tokens"]),
        "money": lambda row: "unknown" if row["cost"] is None else money(row["cost"]),
        "s": lambda row: f"{row['seconds']:.1f}" if row["seconds"] else "–",
        "failure": lambda row: f"{row['failure'][:80]} ({row['attempts']} attempts)" if row["failure"] else "",
    }
    for name, held in {"cached": "cached_tokens", "written": "written_tokens", "failure": "failure"}.items():
        if not any(row[held] for row in rows):
            del columns[name]
    return columns


def _print(rows: list[dict[str, Any]], total: dict[str, Any]) -> None:
    console = open_console()
    if not total["calls"]:
        console.print(
            "No such call is stored. (Calls of a model that costs nothing, as the offline one, are not kept.)"
        )
        return
    table = Table(box=None, pad_edge=False)
    columns = _columns(rows)
    for name in columns:
        number = name not in _WORDS
        table.add_column(name, justify="right" if number and name != "id" else "left", no_wrap=number, overflow="fold")
    for row in rows:
        table.add_row(*(tell(row) for tell in columns.values()))
    console.print(table, markup=False)
    shown = f"{count(len(rows))} of {count(total['calls'])} calls shown, {count(total['failed'])} failed; in all"
    unpriced = f" and {count(total['unpriced'])} calls of unknown price" if total["unpriced"] else ""
    tokens = f"{count(total['input_tokens'])} tokens in ({count(total['cached_tokens'])} read from a cache, "
    tokens += f"{count(total['written_tokens'])} written to one), {count(total['output_tokens'])} out"
    console.print(f"{shown} {tokens}, {money(total['cost'])}{unpriced}", highlight=False, soft_wrap=True)


def _show(call: dict[str, Any], as_json: bool) -> None:
    if as_json:
        say(json.dumps(call, indent=2, ensure_ascii=False))
        return
    tokens = f"{count(call['input_tokens'])} tokens in, {count(call['output_tokens'])} out"
    say(f"{call['id']}  {call['time']}  {call['stage']}/{call['role']}  {call['model']}")
    say(f"{tokens}, {money(call['cost'])}, {call['seconds']:.1f} s, cached {count(call['cached_tokens'])}, ", end="")
    say(f"written {count(call['written_tokens'])}")
    for message in call["messages"]:
        say(f"\n--- {message['role']}\n{message['content']}")
        for image in message["images"]:
            say(f"(image {image})")
    if call["failure"]:
        say(f"\n--- failed after {call['attempts']} attempts\n{call['failure']}")
    else:
        say(f"\n--- reply\n{call['reply']}")
