"""calls: a run folder -> the model calls in it, as a list or one with its prompt and its reply; secrets are masked."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import zstandard
from rich.table import Table

from lbi.cli import open_console
from lbi.errors import UserError
from lbi.monitoring.terminal import say
from lbi.report.words import count, money
from lbi.storage.database import address
from lbi.storage.run_folder import RunFolder
from lbi.storage.secrets import MASK, learn, mask

ORDERS = {
    "time": "created",
    "cost": "cost DESC, created",
    "tokens": "input_tokens + output_tokens DESC, created",
    "seconds": "seconds DESC, created",
}
_USAGE = ("input_tokens", "output_tokens", "cached_tokens", "written_tokens", "cost", "seconds")
_PARTS = ", ".join(f"json_extract(usage, '$.{name}') AS {name}" for name in _USAGE)
_CALLS = f"SELECT key, role, stage, model, created, 1 AS attempts, '' AS failure, {_PARTS} FROM call"
_FAILED = f"SELECT key, role, stage, model, created, attempts, message AS failure, {_PARTS} FROM failed_call"

#: values of such environment variables are secrets, and so is what looks like a key wherever it stands
_SECRET_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SECRETS = re.compile(
    r"\bsk-[\w-]{16,}|\b(?:ghp|gho|github_pat|xox[abp])[-_]\w{16,}|\bAKIA[0-9A-Z]{16}\b|(?<=Bearer )[\w.~+/-]{16,}=*"
)
#: numbers stand to the right, and words give way where the room is narrow
_WORDS = ("stage", "role", "model", "failure")


@dataclass(frozen=True)
class CallFilter:
    """Which calls; empty = all. ``cost`` and ``seconds`` are the least in US dollars and in seconds."""

    stage: str = ""
    role: str = ""
    model: str = ""
    failed: bool = False
    cost: float = 0.0
    seconds: float = 0.0
    order: str = "time"
    limit: int = 50  # 0 = all


def calls(run: Path, call: str, chosen: CallFilter, as_json: bool) -> int:
    """Reads only, so it also works while the run goes on. Raises UserError for a run or a call that is not there."""
    with RunFolder(run, writing=False), _opened(run) as db:
        if call:
            _show(_one(db, call), as_json)
        else:
            _list(db, chosen, as_json)
    return 0


@contextmanager
def _opened(run: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(address(run / "run.db"), uri=True)
    db.row_factory = sqlite3.Row
    try:
        yield db
    finally:
        db.close()


def _source(db: sqlite3.Connection, failed_only: bool = False) -> str:
    """Both tables as one; a run of an earlier version has no failed calls."""
    known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'failed_call'").fetchone()
    parts = [*([] if failed_only else [_CALLS]), *([_FAILED] if known else [])]
    return " UNION ALL ".join(parts) or f"{_CALLS} WHERE 0"


def _list(db: sqlite3.Connection, chosen: CallFilter, as_json: bool) -> None:
    if chosen.order not in ORDERS:
        raise UserError(f'cannot sort calls by "{chosen.order}"; choose one of {", ".join(ORDERS)}')
    where, values = _conditions(chosen)
    source = f"FROM ({_source(db, chosen.failed)}) WHERE {where}"
    limit = f" LIMIT {chosen.limit}" if chosen.limit else ""
    records = db.execute(f"SELECT * {source} ORDER BY {ORDERS[chosen.order]}{limit}", values).fetchall()
    rows = [_row(row) for row in records]
    whole = db.execute(
        "SELECT count(*) AS calls, sum(failure != '') AS failed, sum(input_tokens) AS input_tokens, "
        "sum(cached_tokens) AS cached_tokens, sum(written_tokens) AS written_tokens, "
        f"sum(output_tokens) AS output_tokens, sum(cost) AS cost, sum(cost IS NULL) AS unpriced {source}",
        values,
    ).fetchone()
    total = {name: whole[name] or 0 for name in whole.keys()}  # noqa: SIM118 - a row iterates over its values
    if as_json:
        say(json.dumps({"total": total, "calls": rows}, indent=2, ensure_ascii=False))
    else:
        _print(rows, total)


def _conditions(chosen: CallFilter) -> tuple[str, list[Any]]:
    """Stages of the evaluation carry their arm: "evaluate: baseline" is of the stage "evaluate" too."""
    conditions: list[tuple[str, Any]] = [
        ("? IN (stage, substr(stage, 1, instr(stage, ':') - 1))", chosen.stage),
        ("role = ?", chosen.role),
        ("model = ?", chosen.model),
        ("cost >= ?", chosen.cost),
        ("seconds >= ?", chosen.seconds),
    ]
    given = [(condition, value) for condition, value in conditions if value]
    return " AND ".join(["1", *(condition for condition, _ in given)]), [value for _, value in given]


def _row(row: sqlite3.Row) -> dict[str, Any]:
    usage = {name: row[name] if name == "cost" else row[name] or 0 for name in _USAGE}
    return {
        "id": row["key"],
        "time": datetime.fromtimestamp(row["created"]).astimezone().isoformat(timespec="seconds"),
        "stage": row["stage"],
        "role": row["role"],
        "model": row["model"],
        **usage,
        "attempts": row["attempts"],
        "failure": masked(row["failure"]),
    }


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


def _one(db: sqlite3.Connection, start: str) -> dict[str, Any]:
    """The call whose id begins so."""
    source = f"FROM ({_source(db)}) WHERE substr(key, 1, ?) = ?"
    matches = db.execute(f"SELECT * {source} ORDER BY key LIMIT 3", (len(start), start)).fetchall()
    if not matches:
        raise UserError(f'no call has an id that begins with "{start}"; `lbi calls RUN` lists them')
    if len(matches) > 1:
        ids = ", ".join(row["key"][:12] for row in matches)
        raise UserError(f'several calls have an id that begins with "{start}": {ids} ...; write more of it')
    row = matches[0]
    table, reply = ("failed_call", "NULL") if row["failure"] else ("call", "reply")
    content = db.execute(f"SELECT messages, {reply} AS reply FROM {table} WHERE key = ?", (row["key"],)).fetchone()
    unpack = zstandard.ZstdDecompressor()
    messages = json.loads(unpack.decompress(content["messages"]))
    text = None if content["reply"] is None else masked(unpack.decompress(content["reply"]).decode())
    shown = [{**message, "content": masked(message["content"])} for message in messages]
    return {**_row(row), "messages": shown, "reply": text}


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


def masked(text: str) -> str:
    """A text without the secrets of this process's environment and without what looks like a key."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAMES.search(name):
            learn(value, name)
    return _SECRETS.sub(MASK, mask(text))
