"""The pipeline's own calls through `transformers serve`: a real server, tokenizer and model behind the wire.

What the model says is nonsense (tests/tiny_model.py), so it is the way there and back that is tested.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from evaluating import evaluated, labelled, proposed_at_once
from fake_environment import LampEnvironments, click, fill, walk
from lbi.config import resolve
from lbi.context import RunContext
from lbi.models.pricing import Price, Prices
from lbi.monitoring.progress import Progress
from lbi.records import Document, Example, Result, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from tiny_model import prompt_tokens, served

pytestmark = [pytest.mark.serve, pytest.mark.slow]

DOCUMENTS = [Document(text=f'Open "{name}" and press "Save".', source=name, title=name) for name in ("Lamps", "Rooms")]
PAINT = Task(name="paint", instruction='Set the colour of lamp 9 to "blue"', environment="lamps", start_url="/lamps")
Served = tuple[str, str, Path]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("serve")) as up:
        yield up


def arrived(server: Served) -> int:
    """Calls that the server has answered, by its own log."""
    return server[2].read_text(errors="replace").count('"POST /v1/chat/completions HTTP/1.1" 200')


def opened(folder: RunFolder, server: Served, **labelling: Any) -> RunContext:
    address, name, _ = server
    config = resolve(
        {
            "models": {"default": name, "base_url": address},
            "labelling": labelling,
            "synthesis": {"rollouts": 4, "tasks_per_document": 2, "filters": ["committee"], "spans_per_trajectory": 3},
            "evaluation": {
                "step_limit": 2,
                "arms": [
                    {"name": "baseline", "agent": "react"},
                    {"name": "backward", "agent": "icl", "data": "backward"},
                ],
            },
        },
        "test",
    )
    prices = Prices({name: Price(input=1.0, output=2.0)})
    return RunContext(folder, config, Progress(Console(file=StringIO()), quiet=True), LampEnvironments(), prices)


async def everything(context: RunContext, trajectory: Trajectory) -> list[Result]:
    """Propose, label, judge, query and act: each role of a run, with what it stores."""
    assert await proposed_at_once(context, DOCUMENTS, "click, fill, finish", 4) == []
    await labelled(context, [trajectory], 0)
    example = Example(kind="abstract", instruction="Paint", trajectory=trajectory.id, start=0, end=2, document="x")
    return await evaluated(context, [PAINT], 0, [(example, trajectory)], [])


def rows(folder: RunFolder) -> list[tuple[str, str, list[dict[str, Any]], dict[str, Any]]]:
    """(role, reply, messages, usage) of every call in the run's store."""
    store = folder.store
    found = store._rows("SELECT role, reply, messages, usage FROM call ORDER BY created")
    unpack = store._unpack.decompress
    return [
        (role, unpack(said).decode(), json.loads(unpack(asked)), json.loads(usage))
        for role, said, asked, usage in found
    ]


@pytest.mark.parametrize("together", [1, 16], ids=["a label a call", "labels in one call"])
async def test_every_role_goes_over_the_wire_and_a_second_run_asks_nothing(server, tmp_path, together) -> None:
    trajectory = await walk("paint", fill("Colour", "red"), click("button", "Save"), start_url="/lamps/7")
    before = arrived(server)
    with RunFolder(tmp_path / "run") as folder:
        context = opened(folder, server, together=together, whole=together > 1, spans="all")
        results = await everything(context, trajectory)
        await context.close()
        calls, meters, failures = rows(folder), folder.store.meters(), folder.store.failures()
    came = arrived(server) - before

    # no call is lost: what the server answered is what is stored, and what is counted
    assert came == len(calls) == sum(meter["calls"] for meter in meters.values()) > 0
    assert {role for role, *_ in calls} == {"propose", "abstract", "judge", "query", "act"}
    for _, said, asked, usage in calls:
        assert usage["input_tokens"] == prompt_tokens(asked)  # one a byte: counted here without the server
        assert 0 < usage["output_tokens"] == pytest.approx(len(said), abs=2)  # a byte that is no letter may end it
        assert usage["cost"] == pytest.approx((usage["input_tokens"] + 2 * usage["output_tokens"]) / 1e6)
    for name in ("input_tokens", "output_tokens", "cost"):
        assert sum(meter[name] for meter in meters.values()) == pytest.approx(sum(call[3][name] for call in calls))

    # what could not be read was asked for once more, with what was wrong with it, and is the model's failure then
    asked_again = [asked for role, _, asked, _ in calls if asked[-2]["role"] == "assistant"]
    for again in asked_again:
        assert sum(again[:-2] == asked for _, _, asked, _ in calls) == 1
        assert again[-2]["content"] in {said.strip() for _, said, _, _ in calls}
    assert not any(asked[-4]["role"] == "assistant" for asked in asked_again if len(asked) > 4)
    assert {failure["boundary"] for failure in failures} == {"parse"}
    assert {failure["kind"] for failure in failures} == {"task", "example"}
    roles = [role for role, _, asked, _ in calls if asked in asked_again]
    assert roles.count("propose") == len(DOCUMENTS)
    assert roles.count("act") == len(results) == 2
    assert roles.count("judge") > 0
    assert roles.count("query") == 0
    assert roles.count("abstract") == (0 if together == 1 else 1)
    assert {(result.score, result.fault) for result in results} == {(0.0, "model")}

    # a second process finds all of it
    with RunFolder(tmp_path / "run") as folder:
        context = opened(folder, server, together=together, whole=together > 1, spans="all")
        again = await everything(context, trajectory)
        await context.close()
        assert len(rows(folder)) == len(calls)
        assert sum(meter["calls"] for meter in folder.store.meters().values()) == came
    assert arrived(server) - before == came
    assert [(result.task, result.arm, result.score, result.fault) for result in again] == [
        (result.task, result.arm, result.score, result.fault) for result in results
    ]
