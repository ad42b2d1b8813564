"""Arms with skills: the same held-out tasks with and without each, and which skills are kept by that."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fake_environment import LampEnvironments, click, fill
from lbi.cli.estimate import Planned, plan
from lbi.config import FURTHER_ARMS, Arm, resolve
from lbi.context import RunContext
from lbi.errors import ModelError
from lbi.evaluation.after import count_uses
from lbi.evaluation.indexes import index_examples
from lbi.evaluation.runner import evaluate
from lbi.evaluation.skills import KIND, SkillVerdict, judge_skills
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.monitoring.progress import Progress
from lbi.pipeline import measure
from lbi.prompts import render
from lbi.protocols import Request
from lbi.records import Check, Document, Result, Skill, Statement, Step, Task, Trajectory, Usage
from lbi.report import write_report
from lbi.retrieval.skills import SkillShelf
from lbi.storage.knowledge import KnowledgeLog, Uses
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.skills.write import write_skills
from running import answer, lbi_here
from skilled_run import RECUR, keep, make_skilled_run, pairs_of

ARMS = (
    Arm(name="baseline", agent="react"),
    Arm(name="backward", agent="icl", data="backward"),
    *FURTHER_ARMS,
)
ADD = Task(
    name="add",
    category="lamps",
    level=1,
    instruction='Add a lamp with the name "Reading lamp" and the colour "brass"',
    environment="lamps",
    check=Check(shows=("Reading lamp brass",)),
)
TASKS = [ADD.model_copy(update={"name": f"add {number}"}) for number in range(7)]
WAY = [click("link", "New lamp"), fill("Name", "Reading lamp"), fill("Colour", "brass"), click("button", "Create")]


def follows_skills(request: Request) -> str:
    """A model that knows the way only if a skill tells it."""
    told = "\n".join(message.content for message in render(request))
    if request.role == "query":
        return "add a lamp"
    at = len(request.fields.history)
    if "SKILLS that may help" in told and at < len(WAY):
        return f"REASON: the skill says so\nACTION: {WAY[at]}"
    return 'REASON: nothing to go by\nACTION: finish("")'


def gives_up(request: Request) -> str:
    return 'REASON: no\nACTION: finish("")'


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder(tmp_path / "run") as opened:
        keep(opened, asyncio.run(pairs_of(RECUR)))
        yield opened


def context_of(folder: RunFolder, model: Any = None, environments: LampEnvironments | None = None) -> RunContext:
    config = resolve({"workers": 2, "evaluation": {"arms": [arm.model_dump() for arm in ARMS]}}, "test")
    seen = Progress(Console(file=StringIO()), quiet=True)
    context = RunContext(
        folder=folder, config=config, progress=seen, environments=environments or LampEnvironments(), prices=Prices()
    )
    context._models["offline"] = model or Scripted(follows_skills)
    return context


async def test_paired_runs_keep_the_skill_that_helps(folder: RunFolder) -> None:
    results = await measure(context_of(folder), TASKS, [], 0)
    scores = {arm.name: {r.score for r in results if r.arm == arm.name} for arm in ARMS}
    assert scores == {"baseline": {0.0}, "backward": {0.0}, "skill": {1.0}, "examples + skill": {1.0}}
    kept = {v.name: v for _, v in folder.store.all(KIND, SkillVerdict)}["lamps-new"]
    assert kept.status == "kept"
    assert (kept.tasks, kept.better, kept.worse, kept.difference) == (7, 7, 0, 1.0)
    assert [(p.arm, p.beside, p.tasks, p.rate, p.rate_without) for p in kept.pairs] == [
        ("skill", "baseline", 7, 1.0, 0.0),
        ("examples + skill", "backward", 7, 1.0, 0.0),
    ]
    assert kept.reason.startswith("it helps: 100% in skill, 0% in baseline; 100% in examples + skill, 0% in backward")
    assert "on the same 7 tasks (7 better, 0 worse, p " in kept.reason
    first = kept.pairs[0]
    assert (first.steps, first.steps_without) == (5, 1)
    assert first.tokens > first.tokens_without > 0


async def test_a_skill_that_changes_nothing_is_not_kept(folder: RunFolder) -> None:
    await measure(context_of(folder, Scripted(gives_up)), TASKS, [], 0)
    verdict = {verdict.name: verdict for _, verdict in folder.store.all(KIND, SkillVerdict)}["lamps-new"]
    assert verdict.status == "dropped"
    assert verdict.reason.startswith("not shown to help: 0% in skill, 0% in baseline; 0% in examples + skill")


async def test_one_that_is_shown_for_nothing_is_untried(folder: RunFolder) -> None:
    skills = await write_skills(context_of(folder), 0)
    assert {v.status for v in judge_skills(ARMS, skills, [], {})} == {"untried"}


def result(arm: str, task: int, score: float, fault: Any = "") -> Result:
    usage, id_ = Usage(input_tokens=100), f"{arm} {task}"
    return Result(task=f"t{task}", arm=arm, seed=0, score=score, steps=3, usage=usage, fault=fault, trajectory=id_)


async def test_results_of_outages_are_in_no_pair(folder: RunFolder) -> None:
    (skill, *_) = await write_skills(context_of(folder), 0)
    walk = (await pairs_of(RECUR))[0][1]
    shown = (Step(observation=walk.last, action=walk.actions[0], examples=(skill.item,)),)
    episode = Trajectory(task=ADD, agent="react", steps=shown, last=walk.last, stop="done")
    episodes = {f"skill {at}": episode for at in range(12)}
    harmed = [*(result("baseline", at, 1.0) for at in range(12)), *(result("skill", at, 0.0) for at in range(12))]
    (verdict,) = judge_skills(ARMS, [skill], harmed, episodes)
    assert (verdict.status, verdict.worse) == ("dropped", 12)
    assert "it does harm" in verdict.reason
    for fault in ("environment", "harness", "model"):
        ill = [*harmed[:12], *(result("skill", at, 0.0, fault) for at in range(12))]
        (verdict,) = judge_skills(ARMS, [skill], ill, episodes)
        assert (verdict.status, verdict.pairs) == ("untried", ())


# what an agent is shown


async def test_an_agent_is_shown_the_skills_that_fit_and_not_more_than_the_config_says(folder: RunFolder) -> None:
    context, model = context_of(folder), Scripted(follows_skills)
    context._models["offline"] = model
    await write_skills(context, 0)
    async with index_examples(context, [], 0) as indexes:
        results = await evaluate(context, TASKS[:1], 0, indexes)
    requests = [request for request in model.requests if request.role == "act" and request.fields.skills]
    assert {request.fields.skills[0].name for request in requests} == {"lamps-new"}
    assert max(len(request.fields.skills) for request in requests) <= context.config.skills.shown
    told = [message.content for message in render(requests[0])]
    assert sum("SKILLS that may help" in text for text in told) == 1
    assert '2. On /new: fill textbox "Name" with your value' in "\n".join(told)
    count_uses(context, results)
    uses = KnowledgeLog(folder.store).uses()
    assert uses[requests[0].fields.skills[0].item] == Uses(shown=2, helped=2)


def skill_of(name: str, text: str, source: str) -> Skill:
    said = Statement(text=text, steps=("do it",), examples=(source,))
    return Skill(name=name, description=text, statements=(said,), sources=(source,))


def test_a_task_with_a_date_is_shown_no_skill_that_rests_on_anything_later() -> None:
    early, late = skill_of("early", "Paint a lamp", "a"), skill_of("late", "Paint a lamp red", "b")
    shelf = SkillShelf([early, late], {early.id: "2026-01-01", late.id: "2026-06-01"}, 2)
    task = Task(instruction="Paint the lamp red", environment="lamps")
    assert {skill.name for skill in shelf.best(task)} == {"early", "late"}
    assert shelf.best(task.model_copy(update={"date": "2026-03-01"})) == (early,)
    assert shelf.best(task.model_copy(update={"instruction": "Something else entirely"})) == ()


async def test_without_verified_examples_arms_with_skills_have_none_and_it_is_said(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "other") as folder:
        keep(folder, await pairs_of(RECUR, "committee"))
        context, heard = context_of(folder), StringIO()
        context.progress = Progress(Console(file=heard))
        results = await measure(context, TASKS[:1], [], 0)
    assert {result.score for result in results} == {0.0}
    assert "the arms with skills have none" in heard.getvalue()


async def test_a_model_that_fails_in_the_evaluation_is_no_vote(folder: RunFolder) -> None:
    context = context_of(folder, Scripted(lambda _: ModelError("the provider is down")))
    results = await measure(context, TASKS[:2], [], 0)
    assert {result.fault for result in results} == {"model"}
    assert KnowledgeLog(folder.store).uses() == {}


# lbi skills after that


def test_lbi_skills_writes_what_is_kept_or_untried_and_says_why_not_the_others(tmp_path: Path) -> None:
    run = asyncio.run(make_skilled_run(tmp_path))
    assert lbi_here("skills", run).returncode == 0
    with RunFolder(run) as folder:
        skills = {skill.name: skill for skill in asyncio.run(write_skills(context_of(folder), 0))}
        for name, status in (("lamps-new", "kept"), ("lamps-rooms", "dropped")):
            verdict = SkillVerdict(skill=skills[name].id, name=name, status=status, reason=f"because {status}")  # type: ignore[arg-type]
            folder.store.put(KIND, f"0/{name}", verdict)
        of_another = SkillVerdict(skill="another wording", name="lamps-lamps", status="dropped", reason="then")
        folder.store.put(KIND, "0/lamps-lamps", of_another)
    ran = lbi_here("skills", run)
    assert "left out  lamps-rooms: because dropped" in ran.stdout
    assert sorted(file.parent.name for file in run.glob("skills/*/SKILL.md")) == ["lamps-lamps", "lamps-new"]
    assert 'status: "kept"' in (run / "skills" / "lamps-new" / "SKILL.md").read_text()
    assert 'status: "untried"' in (run / "skills" / "lamps-lamps" / "SKILL.md").read_text()
    assert lbi_here("skills", run, "--all").returncode == 0
    assert 'status: "dropped"' in (run / "skills" / "lamps-rooms" / "SKILL.md").read_text()


def test_another_agent_can_use_the_arms_by_their_names(tmp_path: Path) -> None:
    run = asyncio.run(make_skilled_run(tmp_path))
    ran = lbi_here("retrieve", run, ADD.instruction, "--arm", "skill", "--prompt")
    assert ran.returncode == 2
    assert "has no skills of seed 0" in ran.stderr
    assert lbi_here("skills", run).returncode == 0
    for arm in ("skill", "examples + skill"):
        ran = lbi_here("retrieve", run, ADD.instruction, "--arm", arm, "--prompt")
        assert ran.returncode == 0, ran.stderr
        assert "SKILLS that may help" in ran.stdout
    assert "SKILLS" not in lbi_here("retrieve", run, ADD.instruction, "--prompt").stdout


@pytest.mark.slow
def test_a_skill_that_was_retired_or_whose_examples_were_is_shown_to_nobody(tmp_path: Path) -> None:
    run = asyncio.run(make_skilled_run(tmp_path))
    (new,) = [each for each in answer("skills", run, here=True) if each["name"] == "lamps-new"]

    def told() -> str:
        ran = lbi_here("retrieve", run, ADD.instruction, "--arm", "skill", "--prompt")
        return ran.stdout + ran.stderr

    assert new["description"] in told()
    for gone in ("lamps-new", new["statements"][0]["examples"][0]):
        assert lbi_here("knowledge", run, "retire", gone).returncode == 0
        assert new["description"] not in told()
        assert lbi_here("knowledge", run, "restore", gone).returncode == 0
        assert new["description"] in told()


# what is said of it


async def test_the_report_shows_success_tokens_and_steps_of_each_skill_with_and_without_it(folder: RunFolder) -> None:
    await measure(context_of(folder), TASKS, [], 0)
    page = write_report(folder).read_text()
    section = page.partition('<section id="skills">')[2].partition("</section>")[0]
    row = section.partition("lamps-new")[2].partition("</tr>")[0]
    assert "<td>kept</td><td>skill, baseline</td>" in row
    assert ">100.0%, 0.0%<" in row
    assert ">5.0, 1.0<" in row
    assert "it helps: 100% in skill, 0% in baseline" in row
    verdict = {each.name: each for _, each in folder.store.all(KIND, SkillVerdict)}["lamps-new"]
    assert f"{verdict.pairs[0].tokens:,.0f}, {verdict.pairs[0].tokens_without:,.0f}" in row


def test_a_report_without_skills_says_so(folder: RunFolder) -> None:
    assert "No skills were measured in this run." in write_report(folder).read_text()


def test_the_plan_counts_what_skills_cost(tmp_path: Path) -> None:
    def planned(*arms: Arm) -> dict[str, Planned]:
        config = resolve({"seeds": [0, 1], "evaluation": {"arms": [arm.model_dump() for arm in arms]}}, "test")
        return {row.stage: row for row in plan(config, [Document(text="x", source="y")], 3, "") if row.role != "query"}

    without, rows = planned(*ARMS[:2]), planned(*ARMS)
    assert "skills" not in without
    assert (rows["skills"].role, rows["skills"].calls) == ("skill", 2 * 7)
    steps = rows["evaluate: baseline"].calls
    more = rows["evaluate: skill"].input_tokens - rows["evaluate: baseline"].input_tokens
    assert 2 * 600 * steps <= more <= 2 * 700 * steps
