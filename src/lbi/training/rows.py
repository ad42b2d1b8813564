"""Rows of an export -> token ids, with how many of them are the prompt: Row(ids=[151644, ...], prompt=640).

Only replies are learned: the loss is taken where a token of the reply is to be told, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from lbi.errors import UserError
from lbi.protocols import Json
from lbi.training.tokens import ChatTokenizer

READABLE = ("trl", "jsonl")
NO_ROW = "has no row to train on"


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
    report = read_report(folder)
    sides: dict[str, list[Row]] = {}
    digest = hashlib.sha256()
    for side in ("train", "validation"):
        file = folder / f"{side}.jsonl"
        content = file.read_bytes() if file.is_file() else b""
        digest.update(side.encode() + content)
        sides[side] = list(_read(content, file, tokenizer))
    if not sides["train"]:
        raise UserError(f"{folder} {NO_ROW}")
    _refuse_longer([*sides["train"], *sides["validation"]], max_length, tokenizer.name)
    return TrainingSet(sides["train"], sides["validation"], digest.hexdigest(), report)


def read_report(folder: Path) -> Json:
    """What export.json says. Raises UserError where it cannot be read, and for a format that is not trained on."""
    try:
        report = json.loads((folder / "export.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}/export.json cannot be read: {error}; export again") from None
    fmt = report.get("format") if isinstance(report, dict) else None
    if fmt not in READABLE:
        raise UserError(
            f"{folder} is an export of the format {fmt}; lbi train reads {' and '.join(READABLE)}: "
            f"lbi export RUN --format trl --out {folder}"
        )
    return cast(Json, report)


def _read(content: bytes, file: Path, tokenizer: ChatTokenizer) -> Iterator[Row]:
    for number, line in enumerate(_lines(content), 1):
        try:
            pair = json.loads(line)
            both, told = [*pair["prompt"], *pair["completion"]], len(pair["prompt"])
            messages = [{"role": each["role"], "content": each["content"]} for each in both]
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{file}: row {number} has no prompt and completion that can be read; export again"
            ) from None
        ids, learned = tokenizer.masked(messages, [False] * told + [True] * (len(messages) - told))
        yield Row(ids, learned.index(True))


def _lines(content: bytes) -> list[str]:
    return [line for line in content.decode("utf-8", errors="replace").split("\n") if line.strip()]


def _refuse_longer(rows: Sequence[Row], max_length: int, name: str) -> None:
    lengths = sorted(len(row.ids) for row in rows)
    longer = sum(length > max_length for length in lengths)
    if longer:
        raise UserError(
            f"{longer:,} of {len(lengths):,} rows have more than {max_length:,} tokens of {name}, the longest "
            f"{lengths[-1]:,}; none is cut: raise --max-length to {lengths[-1]:,}, or lower --max-chars, by which "
            "older steps are left out of a prompt"
        )
