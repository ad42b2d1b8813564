"""Tables that train: a real model of a few thousand weights is trained on a run's examples, run here and measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbi.cli.reproduce import reproduce
from lbi.cli.run import RunOptions
from lbi.cli.train_arms import Training
from lbi.errors import UserError
from lbi.storage.run_folder import RunFolder
from test_reproduce import QUIET, config, results
from training_model import need_libraries, write_gguf, write_model

__all__ = ["config"]

RECIPE = "batch=4,epochs=1,learning_rate=0.001"
SMALL = ["prompts.history=1500", "prompts.observation=3000", "synthesis.rollouts=3", "evaluation.step_limit=2"]


@pytest.mark.slow
@pytest.mark.train
def test_models_are_trained_where_they_are_missing_and_stand_beside_the_papers(config: Path, tmp_path: Path) -> None:
    need_libraries("peft", "xllamacpp")
    base = str(write_gguf(write_model(tmp_path / "qwen2", "qwen2"), tmp_path / "tiny.gguf"))
    out = tmp_path / "run"
    options, training = RunOptions(config, out, settings=SMALL), Training(base, RECIPE, rows=6, allow_offline=True)
    assert reproduce("table3", options, QUIET, training) == 0
    # no attempt of so few did what it was asked to, so the run has nothing for the arm of forward rows
    assert {each.arm for each in results(out).values()} == {"untrained", "trained backward"}
    record = json.loads((out / "trained" / "backward" / "training.json").read_text())
    assert (record["status"], record["recipe"]["batch"], record["replies"]) == ("finished", 4, "json")
    assert 0 < record["rows"]["train"] <= 6
    with RunFolder(out, writing=False) as folder:
        models = {arm["name"]: arm["model"] for arm in folder.config["evaluation"]["arms"]}
    assert models == {"untrained": f"local:{base}", "trained backward": f"local:{out / 'trained' / 'backward'}"}
    text = (out / "tables" / "training.md").read_text()
    (backward,) = [line for line in text.splitlines() if line.startswith("| trained backward |")]
    assert [cell.strip() for cell in backward.split("|")[-3:-1]] == ["14.6 / 6.5", "24.2 / 11.7"]
    assert f"trained backward: {base} trained on {record['rows']['train']} rows" in text
    assert "Not trained, as the run has no such example, or --train was not given: trained forward." in text
    assert "| trained forward | not run |" in text

    # the same again needs no option, and neither trains nor measures anything; another model is refused
    assert reproduce("table3", options, QUIET) == 0
    assert json.loads((out / "trained" / "backward" / "training.json").read_text()) == record
    with pytest.raises(UserError, match="take another --out for qwen"):
        reproduce("table3", options, QUIET, Training("qwen2.5-coder-0.5b"))


@pytest.mark.parametrize(
    ("training", "told"),
    [
        (Training(), "this table trains a model; name one"),
        (Training("qwen2.5-coder-0.5c"), "qwen2.5-coder-0.5b"),
        (Training("qwen2.5-coder-0.5b", "batches=8"), "--recipe takes method, backend, epochs, batch"),
        (Training("qwen2.5-coder-0.5b", "batch=many"), "--batch = many"),
    ],
)
def test_what_cannot_be_trained_is_told_before_anything_is_done(
    training: Training, told: str, config: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        reproduce("training", RunOptions(config, tmp_path / "run"), QUIET, training)
    assert not (tmp_path / "run").exists()
