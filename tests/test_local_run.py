"""The pipeline with a real small language model that runs here: every role, its replies held to their forms, no key.

The weights (491 MB) are fetched once, by `lbi models fetch`; where they cannot be, the test is skipped and says why.
"""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evaluating import evaluated, labelled
from fake_environment import LampEnvironments, click, fill, walk
from lbi.config import resolve
from lbi.context import RunContext
from lbi.models.pricing import Prices
from lbi.monitoring.progress import Progress
from lbi.records import Document, Example, Result, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.propose import propose_from_section
from tiny_gguf import need

pytestmark = [pytest.mark.serve, pytest.mark.slow, pytest.mark.long]

NAME = "qwen2.5-coder-0.5b"
ACTIONS = (
    'click(e12)   click an element\nfill(e12, "text")   replace the text of a text box\nfinish("answer")   end the task'
)
DOCUMENTS = [Document(text='Open "Lamps", choose a lamp and press "Save".', source="lamps", title="Lamps")]
PAINT = Task(name="paint", instruction='Set the colour of lamp 9 to "blue"', environment="lamps", start_url="/lamps")


@pytest.fixture(scope="module")
def model() -> str:
    """Fetched by another process, as this one stays on this machine. Weights that are wrong are no reason to skip."""
    need("gguf", "openvino_genai", "openvino_tokenizers")
    command = [sys.executable, "-m", "lbi", "models", "fetch", NAME]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    if done.returncode and any(name in done.stderr for name in ("cannot be fetched", "no room")):
        pytest.skip(f"the weights cannot be had: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return f"local:{NAME}"


def opened(folder: RunFolder, model: str) -> RunContext:
    config = resolve(
        {
            "models": {"default": model, "timeout": 900.0},
            "labelling": {"together": 4},
            "synthesis": {"rollouts": 2, "tasks_per_document": 2, "filters": ["committee"], "spans_per_trajectory": 3},
            "evaluation": {
                "step_limit": 1,
                "arms": [
                    {"name": "baseline", "agent": "react"},
                    {"name": "backward", "agent": "icl", "data": "backward"},
                ],
            },
        },
        "test",
    )
    return RunContext(folder, config, Progress(Console(file=StringIO()), quiet=True), LampEnvironments(), Prices())


async def everything(context: RunContext, trajectory: Trajectory) -> tuple[list[Task], list[Result]]:
    """Propose, label, judge, query and act: each role of a run."""
    model = context.role("propose")
    tasks, _ = await propose_from_section(model, DOCUMENTS[0], 2, environment="lamps", actions=ACTIONS)
    await labelled(context, [trajectory], 0)
    example = Example(kind="abstract", instruction="Paint", trajectory=trajectory.id, start=0, end=2, document="x")
    return tasks, await evaluated(context, [PAINT], 0, [(example, trajectory)], [])


def calls_in(folder: RunFolder) -> list[tuple[str, str, dict[str, Any]]]:
    """(role, reply, usage) of every call."""
    unpack = folder.store._unpack.decompress
    rows = folder.store._rows("SELECT role, reply, usage FROM call ORDER BY created")
    return [(role, unpack(said).decode(), json.loads(usage)) for role, said, usage in rows]


async def test_a_run_with_a_model_of_this_machine_and_a_second_one_that_asks_nothing(
    model: str, tmp_path: Path
) -> None:
    trajectory = await walk("paint", fill("Colour", "red"), click("button", "Save"), start_url="/lamps/7")
    with RunFolder(tmp_path / "run") as folder:
        context = opened(folder, model)
        await context.prepare_models()
        tasks, results = await everything(context, trajectory)
        await context.close()
        calls, failures = calls_in(folder), folder.store.failures()
        shares = sum(usage["cached_tokens"] for *_, usage in calls) / sum(usage["input_tokens"] for *_, usage in calls)

    assert {role for role, *_ in calls} == {"propose", "abstract", "judge", "query", "act"}
    assert all(json.loads(said) for _, said, _ in calls)  # held to their form, so none is unreadable
    assert not [failure for failure in failures if failure["boundary"] == "parse"]
    assert 1 <= len(tasks) <= 2
    assert {result.fault for result in results} <= {"", "model"}
    assert len(results) == 2
    assert all(usage["cost"] == 0.0 and usage["input_tokens"] > 100 for *_, usage in calls)
    assert shares > 0.1  # requests of a role begin alike

    # a second process finds all of it, and does not even start the model
    with RunFolder(tmp_path / "run") as folder:
        context = opened(folder, model)
        again = await everything(context, trajectory)
        await context.close()
        assert len(calls_in(folder)) == len(calls)
    assert again == (tasks, results)
