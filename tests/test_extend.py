"""A run that goes on with more: roll-outs and held-out tasks are added, what was done stays, and less is refused."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import lbi.context
import lbi.rollouts.set_up
from fake_environment import LampEnvironments
from lbi.config import FURTHER_ARMS, Config, resolve
from lbi.errors import UserError
from lbi.monitoring.progress import Progress
from lbi.pipeline import run
from lbi.records import Example, Result, Skills, Task, Trajectory
from lbi.storage.knowledge import KnowledgeLog
from lbi.storage.run_folder import RunFolder

BENCHMARK = "name = 'painting'\n" + "\n".join(
    f"[[task]]\nname = 'paint-{lamp}'\ninstruction = 'Set the colour of lamp {lamp} to \"blue\" and save it'\n"
    f"check = {{ shows = ['{lamp} '] }}\n"
    for lamp in (7, 8, 9)
)
DOCUMENTS = [
    {
        "title": f"Guide {at}",
        "text": f'To make lamp {at}, press "New lamp", enter the name "Lamp {at}", press "Create".',
    }
    for at in range(12)
]


@pytest.fixture(autouse=True)
def without_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_documents(config: Config, environments: Any) -> tuple[()]:
        return ()

    monkeypatch.setattr(lbi.context, "open_environments", lambda config, save_image: LampEnvironments())
    monkeypatch.setattr(lbi.rollouts.set_up, "own_documents", no_documents)


@pytest.fixture
def benchmark(tmp_path: Path) -> str:
    file = tmp_path / "painting.toml"
    file.write_text(BENCHMARK)
    return str(file)


def config_of(benchmark: str, rollouts: int, tasks: int, **more: Any) -> Config:
    arms = [{"name": "baseline", "agent": "react"}, {"name": "backward", "agent": "icl", "data": "backward"}]
    return resolve(
        {
            "benchmark": benchmark,
            "documents": DOCUMENTS,
            "workers": 2,
            "synthesis": {"rollouts": rollouts, "step_limit": 4, "tasks_per_document": 1, "compose": 2},
            "evaluation": {"tasks": tasks, "step_limit": 3, "arms": arms},
            **more,
        },
        "test",
    )


async def carry_out(config: Config, out: Path) -> None:
    await run(config, out, Progress(Console(file=StringIO()), quiet=True))


def stored(out: Path, kind: str, type_: Any) -> dict[str, Any]:
    with RunFolder(out, writing=False) as folder:
        return dict(folder.store.all(kind, type_))


async def test_more_rollouts_and_tasks_extend_a_run(benchmark: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    await carry_out(config_of(benchmark, 3, 1), out)
    attempts, results = stored(out, "trajectory", Trajectory), stored(out, "result", Result)
    assert (len(attempts), len(results)) == (3, 2)
    await carry_out(config_of(benchmark, 6, 2), out)
    after, measured = stored(out, "trajectory", Trajectory), stored(out, "result", Result)
    assert (len(after), len(measured)) == (6, 4)
    assert attempts.items() <= after.items(), "nothing is attempted twice"
    apart = stored(out, "result of 3 roll-outs", Result)
    assert set(apart) == {key for key in results if key.startswith("backward/")}
    assert {key for key in results if key.startswith("baseline/")} < set(measured)
    assert json.loads((out / "config.json").read_text())["synthesis"]["rollouts"] == 6


async def test_more_held_out_tasks_alone_keep_every_result(benchmark: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    await carry_out(config_of(benchmark, 3, 1), out)
    results = stored(out, "result", Result)
    await carry_out(config_of(benchmark, 3, 0), out)
    measured = stored(out, "result", Result)
    assert results.items() <= measured.items()
    assert len(measured) == 6


async def test_an_arm_can_be_added_and_none_taken_away_or_changed(benchmark: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = config_of(benchmark, 3, 1)
    await carry_out(config, out)
    results = stored(out, "result", Result)
    assert {key.partition("/")[0] for key in results} == {"baseline", "backward"}
    baseline, backward = config.evaluation.arms
    more = {"name": "documents", "agent": "rag"}
    await carry_out(config_of(benchmark, 3, 1, evaluation=measured_with(baseline, backward, more)), out)
    measured = stored(out, "result", Result)
    assert results.items() < measured.items()
    assert {key.partition("/")[0] for key in measured} == {"baseline", "backward", "documents"}
    with pytest.raises(UserError, match=r"the arm 'documents' of the run in .* is not in this config"):
        await carry_out(config, out)
    other = {**more, "agent": "react"}
    with pytest.raises(UserError, match=r"the arm 'documents' of the run in .* is another in this config"):
        await carry_out(config_of(benchmark, 3, 1, evaluation=measured_with(baseline, backward, other)), out)


async def test_a_part_may_be_named_later_and_stays_once_an_arm_went_without_it(benchmark: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = config_of(benchmark, 3, 1)
    await carry_out(config, out)
    results = stored(out, "result", Result)
    without = {"name": "without its part", "agent": "icl", "data": "backward", "own_part": False}
    arms = measured_with(*config.evaluation.arms, without)
    await carry_out(config_of(benchmark, 3, 1, evaluation={**arms, "part": ["/a*"]}), out)
    assert results.items() < stored(out, "result", Result).items()
    with pytest.raises(UserError, match=r"'without its part' .* without the examples of /a\*, .* is now /b\*; name"):
        await carry_out(config_of(benchmark, 3, 1, evaluation={**arms, "part": ["/b*"]}), out)


def measured_with(*arms: Any) -> dict[str, Any]:
    dumped = [arm if isinstance(arm, dict) else arm.model_dump(exclude_defaults=True) for arm in arms]
    return {"tasks": 1, "step_limit": 3, "arms": dumped}


async def test_without_a_benchmark_no_task_that_was_learnt_from_is_measured_with(tmp_path: Path) -> None:
    out = tmp_path / "run"
    await carry_out(config_of("", 3, 1), out)
    before = stored(out, "heldout", Task)
    await carry_out(config_of("", 8, 2), out)
    held_out = stored(out, "heldout", Task)
    assert before.items() < held_out.items()
    learnt = {trajectory.task.document for trajectory in stored(out, "trajectory", Trajectory).values()}
    assert not learnt & {task.document for task in held_out.values()}
    measured = {result.task for result in stored(out, "result", Result).values()}
    assert measured == set(held_out)


@pytest.mark.parametrize(
    ("rollouts", "tasks", "line"),
    [
        (2, 2, "made with synthesis.rollouts = 3, and a run can be extended but not made smaller: ask for 3 or more"),
        (3, 1, "made with evaluation.tasks = 2, and a run can be extended but not made smaller: ask for 2 or more"),
    ],
)
def test_less_is_refused(rollouts: int, tasks: int, line: str, tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", config_of("b.toml", 3, 2).identity()) as folder:
        folder.store.put("task", "k", Task(instruction="Look", environment="lamps"))
    with pytest.raises(UserError, match=line):
        RunFolder(tmp_path / "run", config_of("b.toml", rollouts, tasks).identity())


async def test_a_run_from_before_an_option_existed_goes_on(benchmark: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = config_of(benchmark, 3, 1)
    await carry_out(config, out)
    older = json.loads((out / "config.json").read_text())
    del older["labelling"]["whole"], older["web"]
    (out / "config.json").write_text(json.dumps(older))
    await carry_out(config, out)
    assert json.loads((out / "config.json").read_text()) == config.identity()
    (out / "config.json").write_text(json.dumps(older))
    other = config_of(benchmark, 3, 1, labelling={"whole": False})
    with pytest.raises(UserError, match="different: labelling"):
        await carry_out(other, out)


async def test_further_arms_extend_a_run_and_only_these_are_run(benchmark: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    config = config_of(benchmark, 6, 2)
    await carry_out(config, out)
    results = stored(out, "result", Result)
    arms = (*config.evaluation.arms, *FURTHER_ARMS)
    more = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"arms": arms})})
    await carry_out(more, out)
    after = stored(out, "result", Result)
    assert {key: after[key] for key in results} == results
    assert {key.partition("/")[0] for key in after.keys() - results.keys()} == {"skill", "examples + skill"}
    assert len(stored(out, "skills", Skills)) == 1
    with RunFolder(out, writing=False) as folder:
        learnt = [change for change in KnowledgeLog(folder.store).changes() if change.event == "learnt"]
        kept = {example.id for _, example in folder.store.all("example", Example) if example.kept}
    assert {change.item for change in learnt} == kept
    for fewer in (config.evaluation.arms[:1], (*FURTHER_ARMS, *config.evaluation.arms[1:])):
        less = config.evaluation.model_copy(update={"arms": fewer})
        with pytest.raises(UserError, match="arms can be added to a run"):
            await carry_out(config.model_copy(update={"evaluation": less}), out)
    assert stored(out, "result", Result) == after
