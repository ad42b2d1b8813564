"""The report shows what was trained on a run: how far it is, its curve, what it was made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lbi.errors import UserError
from lbi.report.training import trainings
from lbi.training.curve import Curve, read
from lbi.training.recipe import PAPER
from lbi.training.run import refuse_another


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(status: str, **more: Any) -> str:
    facts = {
        "status": status,
        "model": "tiny.gguf",
        "backend": "loop",
        "recipe": PAPER.model_dump(mode="json"),
        "rows": {"train": 500, "validation": 40},
        "tokens": {"all": 90_000, "learned": 4_500},
        "longest": 1_234,
        "planned_steps": 10,
        "versions": {"torch": "2.13.0"},
    }
    return json.dumps({**facts, **more})


def curve_of(folder: Path, steps: int, **options: Any) -> tuple[Curve, Clock]:
    folder.mkdir(exist_ok=True)
    clock = Clock()
    curve = Curve(folder, 10, clock=clock, **options)
    curve.begin(0)
    for step in range(1, steps + 1):
        clock.now += 60
        more = {"validation": 3.0 - step / 10} if step % 5 == 0 else {}
        curve.add(step, 3.0 - step / 5, 1e-5, 128, 20_000, **more)
    return curve, clock


def test_a_training_that_goes_on_says_how_far_it_is_and_how_long_it_takes(tmp_path: Path) -> None:
    curve_of(tmp_path / "adapter", 4)
    (tmp_path / "adapter" / "training.json").write_text(record("running"))
    (shown,) = trainings(tmp_path)
    assert shown.name == "adapter"
    assert shown.state == "4 of 10 steps in 4 min 0 s, loss 2.8000 to 2.2000; about 6 min 0 s left while it goes on"
    assert dict(shown.facts)["learned"] == "4,500 of 90,000 tokens"
    assert "<polyline" in shown.chart


def test_a_finished_one_has_both_curves(tmp_path: Path) -> None:
    curve_of(tmp_path / "adapter", 10)
    (tmp_path / "adapter" / "training.json").write_text(record("finished", validation_loss=2.0))
    (shown,) = trainings(tmp_path)
    assert "left" not in shown.state
    assert str(shown.chart).count("<polyline") == 2
    assert dict(shown.facts)["loss on validation rows"] == "2.0000"


def test_a_record_that_cannot_be_read_spoils_no_report(tmp_path: Path) -> None:
    for name, text in (("a", "{"), ("b", "{}"), ("c", "[]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "training.json").write_text(text)
        curve_of(tmp_path / name, 2)
    assert ["cannot be read" in shown.state for shown in trainings(tmp_path)] == [True] * 3
    assert trainings(tmp_path / "none") == []


def test_progress_is_told_now_and_then_with_the_time_left_and_at_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int, float, float]] = []
    curve_of(tmp_path / "adapter", 10, show=lambda *each: told.append(each))
    assert [step for step, *_ in told] == list(range(1, 11))  # a minute apart
    assert told[3] == (4, 10, pytest.approx(2.2), pytest.approx(360))
    assert told[-1][3] == 0


def test_what_was_written_after_the_checkpoint_is_written_again_and_time_is_not_lost(tmp_path: Path) -> None:
    curve_of(tmp_path, 7)
    with (tmp_path / "losses.jsonl").open("a") as file:
        file.write('{"step": 8, "lo')  # cut short by a kill
    again, clock = Curve(tmp_path, 10, clock=(clock := Clock())), clock
    again.begin(6)
    assert [entry["step"] for entry in read(tmp_path)] == list(range(1, 7))
    clock.now += 30
    again.add(7, 1.0, 1e-5, 128, 20_000)
    assert [entry["step"] for entry in read(tmp_path)] == list(range(1, 8))
    assert read(tmp_path)[-1]["seconds"] == 390


def test_another_model_or_recipe_is_told_by_name(tmp_path: Path) -> None:
    began = {"model": "a", "recipe": "b", "training set": "c"}
    with pytest.raises(UserError, match="another model and another recipe; choose another --out"):
        refuse_another(tmp_path, began, {**began, "model": "x", "recipe": "y"})
    refuse_another(tmp_path, began, began)
