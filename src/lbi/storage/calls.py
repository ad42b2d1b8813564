"""The model calls of a run, read while it goes on: which there are, and one with its prompt and its reply.

Secrets are masked, also those of this process's environment, and what looks like a key.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import zstandard

from lbi.errors import UserError
from lbi.storage.database import address
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


@contextmanager
def opened(run: Path) -> Iterator[sqlite3.Connection]:
    """The database of a run folder, to read only."""
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


def listed(db: sqlite3.Connection, chosen: CallFilter) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The chosen calls, a row each, and what all that were chosen come to, also those beyond the limit.

    Raises UserError for an order that there is not.
    """
    if chosen.order not in ORDERS:
        raise UserError(f'cannot sort calls by "{chosen.order}"; choose one of {", ".join(ORDERS)}')
    where, values = _conditions(chosen)
    source = f"FROM ({_source(db, chosen.failed)}) WHERE {where}"
    limit = f" LIMIT {chosen.limit}" if chosen.limit else ""
    records = db.execute(f"SELECT * {source} ORDER BY {ORDERS[chosen.order]}{limit}", values).fetchall()
    whole = db.execute(
        "SELECT count(*) AS calls, sum(failure != '') AS failed, sum(input_tokens) AS input_tokens, "
        "sum(cached_tokens) AS cached_tokens, sum(written_tokens) AS written_tokens, "
        f"sum(output_tokens) AS output_tokens, sum(cost) AS cost, sum(cost IS NULL) AS unpriced {source}",
        values,
    ).fetchone()
    total = {name: whole[name] or 0 for name in whole.keys()}  # noqa: SIM118 - a row iterates over its values
    return [_row(row) for row in records], total


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


def one(db: sqlite3.Connection, start: str) -> dict[str, Any]:
    """The call whose id begins so, with its messages and its reply. Raises UserError for none, and for several."""
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


def masked(text: str) -> str:
    """A text without the secrets of this process's environment and without what looks like a key."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET_NAMES.search(name):
            learn(value, name)
    return _SECRETS.sub(MASK, mask(text))
