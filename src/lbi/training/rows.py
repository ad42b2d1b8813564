"""Rows of an export -> token ids, with how many of them are the prompt: Row(ids=[151644, ...], prompt=640).

Only replies are learned: the loss is taken where a token of the reply is to be told, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lbi.errors import UserError
from lbi.protocols import Json
from lbi.training.tokens import ChatTokenizer

READABLE = ("trl", "jsonl")


class Row(NamedTuple):
    """One prompt and its reply, in tokens."""

    ids: list[int]
    prompt: int  # so many of them are the prompt

    @property
    def learned(self) -> int:
        """How many tokens the loss is taken on."""
        return len(self.ids) - self.prompt


class TrainingSet(NamedTuple):
    """What is trained on, and what is only measured."""

    train: list[Row]
    validation: list[Row]
    digest: str  # of the files' content
    report: Json  # export.json


def is_export(folder: Path) -> bool:
    return (folder / "export.json").is_file()


def load_rows(folder: Path, tokenizer: ChatTokenizer, max_length: int) -> TrainingSet:
    """The rows of an export of the format trl or jsonl. None is cut: a row longer than ``max_length`` is an error."""
    report = json.loads((folder / "export.json").read_text("utf-8"))
    if report.get("format") not in READABLE:
        raise UserError(
            f"{folder} is an export of the format {report.get('format')}; lbi train reads {' and '.join(READABLE)}: "
            f"lbi export RUN --format trl --out {folder}"
        )
    sides: dict[str, list[Row]] = {}
    digest = hashlib.sha256()
    for side in ("train", "validation"):
        file = folder / f"{side}.jsonl"
        content = file.read_bytes() if file.is_file() else b""
        digest.update(side.encode() + content)
        lines = content.decode("utf-8").split("\n")
        sides[side] = [_row(json.loads(line), tokenizer) for line in lines if line.strip()]
    if not sides["train"]:
        raise UserError(f"{folder} has no row to train on")
    _refuse_longer([*sides["train"], *sides["validation"]], max_length, tokenizer.name)
    return TrainingSet(sides["train"], sides["validation"], digest.hexdigest(), report)


def _row(pair: Json, tokenizer: ChatTokenizer) -> Row:
    messages = [*pair["prompt"], *pair["completion"]]
    ids, learned = tokenizer.masked(messages, [False] * len(pair["prompt"]) + [True])
    return Row(ids, learned.index(True))


def _refuse_longer(rows: Sequence[Row], max_length: int, name: str) -> None:
    lengths = sorted(len(row.ids) for row in rows)
    longer = sum(length > max_length for length in lengths)
    if longer:
        raise UserError(
            f"{longer:,} of {len(lengths):,} rows have more than {max_length:,} tokens of {name}, the longest "
            f"{lengths[-1]:,}; none is cut: raise --max-length to {lengths[-1]:,}, or lower --max-chars, by which "
            "older steps are left out of a prompt"
        )
