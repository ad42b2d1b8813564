"""What people said of examples is kept line by line, and held against what the committee said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from lbi.errors import UserError
from lbi.evaluation.calibration import COMMITTEE, Calibration, by_people, calibrations
from lbi.evaluation.statistics import wilson
from lbi.records import Example
from lbi.storage import secrets
from lbi.storage.judgements import FILE, Judgements, accepted_by_people, standing
from test_calibration import example


def at_noon() -> datetime:
    return datetime(2026, 11, 30, 12, tzinfo=UTC)


def beside_people(examples: list[Example], people: dict[str, bool]) -> list[Calibration]:
    return calibrations(examples, "people", by_people(people))


def test_of_several_judgements_of_one_person_the_last_holds_and_all_are_kept(tmp_path: Path) -> None:
    kept = Judgements(tmp_path, at_noon)
    kept.add("e1", "ada", "accept")
    kept.add("e1", "ada", "reword", "Close the ticket", "it was closed, not deleted")
    kept.add("e1", "ben", "accept")
    kept.add("e2", "ben", "reject")
    assert len(kept.all()) == 4
    assert [(each.judge, each.decision) for each in standing(kept.all())["e1"]] == [
        ("ada", "reword"),
        ("ben", "accept"),
    ]
    assert accepted_by_people(kept.all()) == {"e2": False}, "of e1 as many say yes as no"
    kept.add("e1", "cy", "accept")
    assert accepted_by_people(kept.all()) == {"e1": True, "e2": False}
    assert kept.all()[0].time == "2026-11-30T12:00:00+00:00"


def test_a_line_that_was_written_half_costs_only_itself(tmp_path: Path) -> None:
    kept = Judgements(tmp_path)
    kept.add("e1", "ada", "accept")
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"example": "e2", "judge')
    Judgements(tmp_path).add("e3", "ada", "reject")
    assert [each.example for each in kept.all()] == ["e1", "e3"]


def test_no_secret_is_kept_and_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    secrets.learn("correct-horse-battery", "PASSWORD")
    Judgements(tmp_path).add("e1", "ada", "reject", reason="it shows correct-horse-battery \ud800")
    assert "correct-horse" not in (tmp_path / FILE).read_text()
    with pytest.raises(UserError, match="cannot keep what was judged in"):
        Judgements(tmp_path / "nowhere").add("e1", "ada", "accept")


def test_precision_and_its_interval_are_those_of_what_people_accept() -> None:
    examples = [example(number, strict=number < 4, easy=number < 9) for number in range(10)]
    people = {each.id: number < 6 for number, each in enumerate(examples)}
    rows = {row.member: row for row in beside_people(examples, people)}
    assert rows.keys() == {"strict", "easy", COMMITTEE}
    strict, easy = rows["strict"], rows["easy"]
    assert (strict.precision, strict.recall, strict.base) == (1.0, 4 / 6, 0.6)
    assert (easy.precision, easy.recall) == (6 / 9, 1.0)
    assert (easy.low, easy.high) == wilson(6, 9)
    assert rows[COMMITTEE].accepted == 4


def test_only_what_people_judged_counts_and_one_member_is_told_once() -> None:
    examples = [example(0, a=True), example(1, a=True)]
    (row,) = beside_people(examples, {examples[0].id: False})
    assert (row.member, row.examples, row.accepted, row.precision, row.recall) == ("a", 1, 1, 0.0, None)
    unvoted = Example(kind="forward", instruction="i", trajectory="t", start=0, end=1)
    assert beside_people([unvoted], {unvoted.id: True}) == []
