"""Tasks in rounds: what a round is told of those before it, what comes last, and what is said to be impossible."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import lbi.context
import lbi.rollouts.set_up
from evaluating import learn, proposed_at_once
from fake_environment import LampEnvironments
from lbi.config import Config, resolve
from lbi.context import RunContext
from lbi.evaluation.holdout import split_held_out
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.monitoring.progress import Progress
from lbi.pipeline import run
from lbi.protocols import Fields, Request
from lbi.records import Document, Example, Impossible, Observation, ProposalRound, Task, Trajectory
from lbi.report.counts import funnel
from lbi.report.gather import gather
from lbi.rollouts.look_around import look_around
from lbi.rollouts.schedule import at_once, attempt_tasks
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import examples_of_seed, stored_tasks
from lbi.synthesis.propose import Proposals, would_end

DOCUMENTS = [Document(text=f"Section {at}. Press Save.", source=f"page {at}") for at in range(12)]
PAINT = ["click('link \"Lamps\"')", "click('link \"Green lamp\"')", 'fill(\'textbox "Colour"\', "red")',
         "click('button \"Save\"')", 'finish("")']  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder(tmp_path / "run") as opened:
        yield opened


def config_of(rollouts: int, *, round_: int = 4, benchmark: str = "lamps.toml", **more: object) -> Config:
    synthesis = {"rollouts": rollouts, "tasks_per_document": 2, "tasks_per_round": round_, "step_limit": 6}
    raw = {"benchmark": benchmark, "workers": 2, "synthesis": {**synthesis, "agent": "react", "filters": []}, **more}
    return resolve(raw, "test")


def context_of(folder: RunFolder, config: Config, reply: Callable[[Request], str]) -> RunContext:
    seen = Progress(Console(file=StringIO()), quiet=True)
    context = RunContext(folder=folder, config=config, progress=seen, environments=LampEnvironments(), prices=Prices())
    context._models["offline"] = Scripted(reply)
    return context


def requests(context: RunContext, role: str) -> list[Fields]:
    model = context._models["offline"]
    assert isinstance(model, Scripted)
    return [request.fields for request in model.requests if request.role == role]


def painting(request: Request) -> str:
    """Proposes two tasks of a section; attempts paint a lamp; labels say so."""
    fields = request.fields
    if request.role == "propose":
        assert fields.document is not None
        name = fields.document.text.split(".")[0]
        return json.dumps([{"instruction": f"{name}, task {at}", "quote": ""} for at in range(2)])
    if request.role == "act":
        return f"REASON: as told\nACTION: {PAINT[len(fields.history)]}"
    return json.dumps(dict.fromkeys(fields.span_names, "Paint the green lamp")) if fields.spans else "Paint it"


async def synthesised(context: RunContext) -> Proposals:
    """The rounds of a run, each attempted before the next is proposed."""
    proposals = Proposals(context, DOCUMENTS, "", context.config.synthesis.rollouts)
    await look_around(context)
    await attempt_tasks(context, proposals, 0)
    return proposals


# rounds


async def test_a_later_round_is_told_what_was_asked_for_and_what_was_carried_out(folder: RunFolder) -> None:
    context = context_of(folder, config_of(8), painting)
    await synthesised(context)
    first, second = requests(context, "propose")[:2], requests(context, "propose")[2:]
    assert len(second) == 2
    assert all(fields.instructions == fields.operations == () for fields in first)
    told = {task.instruction for task in stored_tasks(context) if task.instruction not in second[0].instructions}
    assert len(second[0].instructions) == 4
    assert not told & set(second[0].instructions)
    assert second[0].operations == ('click button "Save" after textbox "Colour"',)
    assert second[0].instructions == second[1].instructions


async def test_the_map_of_a_later_round_has_the_pages_that_roll_outs_came_to(folder: RunFolder) -> None:
    config = config_of(8)
    config = config.model_copy(update={"synthesis": config.synthesis.model_copy(update={"map_pages": 1})})
    context = context_of(folder, config, painting)
    await synthesised(context)
    maps = [fields.map for fields in requests(context, "propose")]
    assert "/lamps/7" not in maps[0]
    assert '/lamps/7 "Green lamp"' in maps[-1]
    assert 'textbox "Colour"' in maps[-1]


async def test_the_map_shows_what_later_episodes_find_and_nothing_that_an_episode_made(folder: RunFolder) -> None:
    made = ["click('link \"New lamp\"')", 'fill(\'textbox "Name"\', "Moon")', 'fill(\'textbox "Colour"\', "grey")',
            "click('button \"Create\"')", "click('link \"Lamps\"')", 'finish("")']  # fmt: skip

    def reply(request: Request) -> str:
        act = request.role == "act"
        return f"REASON: so\nACTION: {made[len(request.fields.history)]}" if act else painting(request)

    context = context_of(folder, config_of(8), reply)
    await synthesised(context)
    last = requests(context, "propose")[-1]
    assert last.operations == ('click button "Create" after textbox "Colour", textbox "Name"',)
    assert "Moon" not in last.map
    assert "Old lamp" in last.map


async def test_what_a_section_falls_short_of_is_made_up_for_within_its_round(folder: RunFolder) -> None:
    def reply(request: Request) -> str:
        said = painting(request)
        few = request.role == "propose" and len(requests(context, "propose")) <= 2
        return json.dumps(json.loads(said)[:1]) if few else said

    context = context_of(folder, config_of(8), reply)
    proposals = await synthesised(context)
    told = [len(fields.instructions) for fields in requests(context, "propose")]
    assert told == [0, 0, 0, 4, 4], "two sections, then one that makes up for them, and then the next round"
    assert folder.store.count("round") == 2
    assert len({task.document for task in proposals.tasks[:3]}) == 3, "the first tasks of all its sections come first"


async def test_without_rounds_all_is_asked_for_before_anything_is_attempted(folder: RunFolder) -> None:
    context = context_of(folder, config_of(8, round_=0), painting)
    await synthesised(context)
    assert len(requests(context, "propose")) == 4
    assert all(fields.instructions == () for fields in requests(context, "propose"))
    assert folder.store.count("round") == 1


@pytest.mark.parametrize("keep", range(16))
async def test_a_run_that_was_stopped_in_a_round_asks_the_rest_of_it_the_same(tmp_path: Path, keep: int) -> None:
    with RunFolder(tmp_path / "whole") as whole:
        context = context_of(whole, config_of(8), painting)
        proposals = await synthesised(context)
        rows = {
            "page": whole.store.all("page", Observation),
            "round": whole.store.all("round", ProposalRound),
            "task": whole.store.all("task", Task),
            "trajectory": whole.store.all("trajectory", Trajectory),
        }
        prompts = {fields.document.id: fields for fields in requests(context, "propose") if fields.document}
    # what there was of it when it was stopped, in the order in which it comes to be
    in_order: list[tuple[str, Any]] = [("page", rows["page"])]
    made: list[tuple[str, Any]] = []
    attempted = dict(rows["trajectory"])
    for key, round_ in rows["round"]:
        in_order.append(("round", [(key, round_)]))
        for section in round_.sections:  # whose tasks are written together
            of_section = [(name, task) for name, task in rows["task"] if task.document == section]
            in_order.append(("task", of_section))
            made += [("trajectory", [(f"0/{t.id}/0", attempted[f"0/{t.id}/0"])]) for _, t in of_section]
        in_order += made
        made = []
    with RunFolder(tmp_path / "stopped") as stopped:
        for kind, some in in_order[:keep]:
            stopped.store.put_many(kind, some)
        context = context_of(stopped, config_of(8), painting)
        assert (await synthesised(context)).tasks == proposals.tasks
        for fields in requests(context, "propose"):
            assert fields.document is not None
            assert fields == prompts[fields.document.id]
        assert dict(stopped.store.all("trajectory", Trajectory)).keys() == attempted.keys()


async def test_several_seeds_attempt_the_tasks_of_the_same_rounds(folder: RunFolder) -> None:
    context = context_of(folder, config_of(8), painting)
    proposals = await synthesised(context)
    asked = len(requests(context, "propose"))
    second = await attempt_tasks(context, proposals, 1)
    assert [trajectory.task for trajectory in second] == proposals.tasks
    assert len(requests(context, "propose")) == asked


@pytest.mark.parametrize("tasks", [0, 1, 3])
async def test_without_a_benchmark_no_round_learns_from_what_another_holds_out(folder: RunFolder, tasks: int) -> None:
    config = config_of(12, benchmark="", evaluation={"tasks": tasks})
    context = context_of(folder, config, painting)
    await attempt_tasks(context, proposals := Proposals(context, DOCUMENTS, "", 20), 0)
    held_out = split_held_out(context, stored_tasks(context))
    learnt = {trajectory.task.document for _, trajectory in folder.store.all("trajectory", Trajectory)}
    apart = folder.store.keys("apart")
    assert {task.document for task in held_out} <= apart
    assert len(apart) == round(0.2 * len({task.document for task in proposals.tasks})) == 2
    assert not learnt & apart
    assert len(held_out) == (tasks or 4)
    again = context_of(folder, config, painting)
    await attempt_tasks(again, Proposals(again, DOCUMENTS, "", 20), 0)
    assert folder.store.keys("apart") == apart
    assert requests(again, "act") == [], "what was learnt from stays what it was"


# what comes last


@pytest.mark.parametrize(
    ("instruction", "ending"),
    [
        ("Log out of the application.", True),
        ("Sign me out", True),
        ("Delete my account for good", True),
        ("Change my password to \"x\"", True),
        ("Delete the comment on lamp 7", False),
        ("Find out who signed the log", False),
        ("Reset the filter", False),
    ],
)  # fmt: skip
def test_a_task_that_ends_the_session_is_known_by_its_words_too(instruction: str, ending: bool) -> None:
    assert would_end(instruction) == ending


def ended(*names: str, ending: Sequence[str] = ()) -> list[Task]:
    return [Task(instruction=name, environment="lamps", ending=name in ending) for name in names]


async def test_what_would_end_the_session_comes_after_everything_else(folder: RunFolder) -> None:
    context = context_of(folder, config_of(7), painting)

    async def rounds() -> object:
        yield ended("leave", "a", "b", ending=["leave"])
        yield ended("c", "destroy", ending=["destroy"])

    trajectories = await attempt_tasks(context, rounds(), 0)  # type: ignore[arg-type]
    order = [(trajectory.task.instruction, trajectory.attempt) for trajectory in trajectories]
    assert order == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1), ("leave", 0), ("destroy", 0)]


async def test_there_is_no_room_for_them_where_others_are_enough_and_alone_they_are_like_others(
    folder: RunFolder,
) -> None:
    tasks = ended("leave", "a", "b", ending=["leave"])
    some = await attempt_tasks(context_of(folder, config_of(2), painting), at_once(tasks), 0)
    assert [trajectory.task.instruction for trajectory in some] == ["a", "b"]
    alone = await attempt_tasks(context_of(folder, config_of(3), painting), at_once(tasks[:1]), 1)
    assert [trajectory.attempt for trajectory in alone] == [0, 1, 2]


async def test_a_proposed_task_is_labelled_by_the_model_or_by_its_words(folder: RunFolder) -> None:
    said = [
        {"instruction": "Throw everything away", "quote": "", "ending": True},
        {"instruction": "Log out", "quote": "", "ending": False},
        {"instruction": "Paint a lamp", "quote": ""},
    ]
    config = config_of(3)
    config = config.model_copy(update={"synthesis": config.synthesis.model_copy(update={"tasks_per_document": 3})})
    context = context_of(folder, config, lambda _: json.dumps(said))
    tasks = await proposed_at_once(context, DOCUMENTS[:1], "", 3)
    assert [task.ending for task in tasks] == [True, True, False]
    assert "ending" not in tasks[2].model_dump(), "ids of other tasks are what they were"
    assert funnel(gather(folder))[1].note == "2 of them would end the session, and came last"


# what is impossible


def giving_up(request: Request) -> str:
    """Paints a lamp and then gives up the task "fly"; paints and is content otherwise."""
    last = request.role == "act" and len(request.fields.history) == len(PAINT) - 1
    if last and request.fields.task is not None and request.fields.task.instruction == "fly":
        return 'REASON: no lamp can fly\nACTION: finish("N/A")'
    return painting(request)


async def test_a_task_that_an_agent_gives_up_is_recorded_and_not_attempted_again(folder: RunFolder) -> None:
    context = context_of(folder, config_of(6), giving_up)
    trajectories = await attempt_tasks(context, at_once(ended("fly", "paint")), 0)
    order = [(trajectory.task.instruction, trajectory.attempt) for trajectory in trajectories]
    assert order == [("fly", 0), ("paint", 0), ("paint", 1), ("paint", 2), ("paint", 3), ("paint", 4)]
    fly = trajectories[0].task
    assert folder.store.all("impossible", Impossible) == [
        (f"0/{fly.id}/0", Impossible(task=fly.id, reason="no lamp can fly"))
    ]


async def test_where_every_task_was_given_up_they_are_attempted_again_after_all(folder: RunFolder) -> None:
    context = context_of(folder, config_of(3), giving_up)
    assert len(await attempt_tasks(context, at_once(ended("fly")), 0)) == 3


async def test_the_roll_out_of_an_impossible_task_still_teaches_what_it_did(folder: RunFolder) -> None:
    context = context_of(folder, config_of(1), giving_up)
    [trajectory] = await learn(context, ended("fly"), 0)
    assert trajectory.answer == "N/A"
    labels = [example for _, example in examples_of_seed(context, 0) if example.kind == "abstract"]
    assert (
        Example(kind="abstract", instruction="Paint the green lamp", trajectory=trajectory.id, start=0, end=4) in labels
    )
    assert all(example.end <= 4 for example in labels), "giving up is no part of what is learnt"


async def test_the_report_counts_what_was_given_up(folder: RunFolder) -> None:
    context = context_of(folder, config_of(2), giving_up)
    tasks = ended("fly", "paint")
    folder.store.put_many("task", [(task.instruction, task) for task in tasks])
    await attempt_tasks(context, at_once(tasks), 0)
    parts = {part.label: part.number for part in funnel(gather(folder))[1].parts}
    assert parts == {"attempted": 1, "given up as impossible": 1}


# all of it


async def test_a_whole_run_looks_around_and_proposes_in_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_documents(config: Config, environments: object) -> tuple[()]:
        return ()

    monkeypatch.setattr(lbi.context, "open_environments", lambda config, save_image: LampEnvironments())
    monkeypatch.setattr(lbi.rollouts.set_up, "own_documents", no_documents)
    documents = [{"title": f"Guide {at}", "text": f'To make lamp {at}, press "New lamp".'} for at in range(9)]
    config = resolve(
        {
            "documents": documents,
            "workers": 2,
            "synthesis": {"rollouts": 6, "tasks_per_document": 1, "tasks_per_round": 3, "step_limit": 4, "compose": 0},
            "evaluation": {"tasks": 1, "step_limit": 2, "arms": [{"name": "baseline", "agent": "react"}]},
        },
        "test",
    )
    outcome = await run(config, tmp_path / "run", Progress(Console(file=StringIO()), quiet=True))
    assert len(outcome.results) == 1
    with RunFolder(tmp_path / "run", writing=False) as folder:
        rounds = [round_ for _, round_ in folder.store.all("round", ProposalRound)]
        assert folder.store.count("trajectory") == 6
        assert folder.store.count("page") > 3
    assert len(rounds) >= 3
    assert len(rounds[0].sections) == 3
    assert not rounds[0].operations
    assert "On every page" in rounds[0].map
    assert len(rounds[1].instructions) == 3
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["impossible"] == 0
