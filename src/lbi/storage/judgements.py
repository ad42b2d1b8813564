"""What people said of a run's examples, one line each in a file that only grows: RUN/judgements.jsonl.

{"time": "2026-11-30T05:00:00+00:00", "example": "4be1...", "judge": "ada", "decision": "reject", "reason": "..."}

The run's database has one writer, which may be at work while somebody looks; so this is a file of its own, and no
record of the run is changed by it. Of several judgements of one example by one person the last one holds; all are kept.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from pydantic import ValidationError

from lbi.errors import UserError
from lbi.records import Record, sound
from lbi.storage.secrets import masked

FILE = "judgements.jsonl"
MOST_CHARACTERS = 4_000  # of a text that somebody wrote
Decision = Literal["accept", "reject", "reword"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)


class Judgement(Record):
    """What one person said of one example. ``instruction`` is the better wording, where the decision is reword."""

    time: str  # ISO, UTC
    example: str  # id
    judge: str
    decision: Decision
    instruction: str = ""
    reason: str = ""

    @property
    def accepts(self) -> bool:
        """Whether the example is right as it stands; one that has to be reworded is not."""
        return self.decision == "accept"


def now() -> datetime:
    return datetime.now(UTC)


class Judgements:
    """The judgements of one run folder. Several processes may write them."""

    def __init__(self, run: Path, clock: Callable[[], datetime] = now) -> None:
        self._file = run / FILE
        self._clock = clock

    def add(self, example: str, judge: str, decision: Decision, instruction: str = "", reason: str = "") -> Judgement:
        """On the disk when this returns. Raises UserError for a file that cannot be written."""
        made = Judgement(
            time=self._clock().isoformat(timespec="seconds"),
            example=example,
            judge=sound(judge)[:MOST_CHARACTERS],
            decision=decision,
            instruction=sound(instruction)[:MOST_CHARACTERS],
            reason=sound(reason)[:MOST_CHARACTERS],
        )
        fields = masked(made.model_dump(mode="json", exclude_defaults=True))
        try:
            self._append(json.dumps(fields, ensure_ascii=False))
        except OSError as error:
            raise UserError(f"cannot keep what was judged in {self._file}: {error.strerror or error}") from None
        return made

    def _append(self, line: str) -> None:
        target = os.open(self._file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(target, fcntl.LOCK_EX)
            size = os.fstat(target).st_size
            # a line that a killed process wrote half is ended, so that this one is a line of its own
            halved = size > 0 and os.pread(target, 1, size - 1) != b"\n"
            os.write(target, ("\n" * halved + line + "\n").encode())
            os.fsync(target)
        finally:
            os.close(target)

    def all(self) -> list[Judgement]:
        """Every judgement that can be read, oldest first."""
        if not self._file.is_file():
            return []
        found = []
        for line in self._file.read_bytes().splitlines():
            try:
                found.append(Judgement.model_validate_json(line))
            except ValidationError:
                continue
        return found


def standing(judgements: Iterable[Judgement]) -> dict[str, list[Judgement]]:
    """What holds of each example: the last judgement of each person, by the example's id."""
    last = {(each.example, each.judge): each for each in judgements}
    found: dict[str, list[Judgement]] = {}
    for each in last.values():
        found.setdefault(each.example, []).append(each)
    return found


def accepted_by_people(judgements: Iterable[Judgement]) -> dict[str, bool]:
    """{example: whether most people accept it as it stands}; without those of which as many do as do not."""
    found = {}
    for example, given in standing(judgements).items():
        more = sum(1 if each.accepts else -1 for each in given)
        if more:
            found[example] = more > 0
    return found
