"""`make train-demo` in small: stored roll-outs -> an adapter -> a table with the untrained and the trained model."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from running import answer, environ
from training_model import need_libraries, write_gguf, write_model

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.long, pytest.mark.train]
SCRIPT = Path(__file__).parents[1] / "scripts" / "train_demo.sh"


def test_the_demo_of_training_ends_in_a_table_of_both_models(tmp_path: Path) -> None:
    need_libraries("peft", "xllamacpp")
    model = write_gguf(write_model(tmp_path / "qwen2", "qwen2"), tmp_path / "tiny.gguf")
    out = tmp_path / "run"
    ran = subprocess.run(
        [SCRIPT, out, model, "6", "llama.cpp", "2", "5"],
        env=environ(XDG_CACHE_HOME=str(tmp_path / "cache"), PYTHONWARNINGS="default"),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    record = json.loads((out / "adapter" / "training.json").read_text())
    assert (record["status"], record["rows"]["train"], record["replies"]) == ("finished", 6, "json")
    table = answer("report", out / "measured", here=True)
    assert [(arm["arm"], arm["tasks"]) for arm in table["arms"]] == [("untrained", 2), ("trained", 2)]
    (compared,) = table["comparisons"]
    assert (compared["arm"], compared["baseline"], compared["pairs"]) == ("trained", "untrained", 2)
    calls = answer("calls", out / "measured", "--limit", "0", here=True)["calls"]
    assert {(call["stage"], call["model"].startswith("local:tiny.gguf#")) for call in calls} == {
        ("evaluate: untrained", True),
        ("evaluate: trained", False),
    }
