"""Votes of the committee beside replays and checks: precision, recall, and members no better than chance."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbi.config import Config, Models, Synthesis
from lbi.context import context_of
from lbi.errors import ModelError
from lbi.evaluation.calibration import (
    COMMITTEE,
    JUDGED,
    RULE,
    Calibration,
    at_least,
    by_check,
    by_replay,
    calibrations,
)
from lbi.evaluation.judged_episodes import Judged, judge_episodes
from lbi.monitoring.progress import Progress
from lbi.protocols import ModelInfo, Reply, Request
from lbi.records import (
    Action,
    Check,
    Example,
    Fault,
    Observation,
    Result,
    Step,
    Task,
    Trajectory,
    Usage,
    Verdict,
    Vote,
)
from lbi.report import write_report
from lbi.rollouts.learnt import NoEnvironments
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.filters.replay import Replayed
from running import lbi_here


def vote(model: str, accepts: bool) -> Vote:
    return Vote(model=model, aligned=accepts, coherent=True, natural=True, reasonable=True)


def example(number: int, **votes: bool) -> Example:
    verdict = Verdict(
        filter="committee", keep=all(votes.values()), votes=tuple(vote(name, said) for name, said in votes.items())
    )
    return Example(kind="abstract", instruction="i", trajectory=f"t{number}", start=0, end=1, verdicts=(verdict,))


def replay(number: int, proved: bool) -> Replayed:
    return Replayed(trajectory=f"t{number}", matched=(True, proved))


def beside_replay(examples: list[Example], replays: dict[str, Replayed]) -> list[Calibration]:
    return calibrations(examples, "replay", by_replay(replays))


def of(rows: list[Calibration]) -> dict[str, Calibration]:
    return {row.member: row for row in rows}


def test_a_member_that_sees_what_can_be_replayed_is_told_from_one_that_guesses() -> None:
    proved = [number % 2 == 0 for number in range(40)]
    examples = [example(number, sees=proved[number], guesses=number % 4 < 2) for number in range(40)]
    rows = of(beside_replay(examples, {f"t{number}": replay(number, proved[number]) for number in range(40)}))
    assert rows.keys() == {"sees", "guesses", COMMITTEE}
    sees, guesses = rows["sees"], rows["guesses"]
    assert (sees.precision, sees.recall, sees.base, sees.verdict) == (1.0, 1.0, 0.5, "better than chance")
    assert (guesses.precision, guesses.recall, guesses.verdict) == (0.5, 0.5, "no better than chance")
    assert (rows[COMMITTEE].precision, rows[COMMITTEE].recall) == (1.0, 0.5)


def test_only_what_was_both_voted_on_and_replayed_counts() -> None:
    examples = [example(0, a=True), example(1, a=True), example(2), example(3, a=False)]
    rows = beside_replay(examples, {"t0": replay(0, True), "t2": replay(2, True), "t3": replay(3, False)})
    [row] = rows
    assert (row.member, row.examples, row.accepted, row.right, row.both) == ("a", 2, 1, 1, 1)


@pytest.mark.parametrize(
    ("votes", "proved", "verdict"),
    [
        ([True, True, True], [True, False, True], "tells nothing: it accepts all"),
        ([False, False, False], [True, False, True], "tells nothing: it rejects all"),
        ([True, False, True], [True, True, True], "cannot be told: all of them could be replayed"),
        ([True, False, True], [False, False, False], "cannot be told: none could be replayed"),
    ],
)
def test_where_nothing_can_be_told_it_is_said(votes: list[bool], proved: list[bool], verdict: str) -> None:
    examples = [example(number, a=said) for number, said in enumerate(votes)]
    [row] = beside_replay(examples, {f"t{number}": replay(number, each) for number, each in enumerate(proved)})
    assert row.verdict == verdict


def test_the_chance_is_that_of_a_draw_without_returning() -> None:
    assert at_least(2, 4, 2, 2) == pytest.approx(1 / 6)
    assert at_least(0, 4, 2, 2) == 1.0
    assert at_least(1, 4, 2, 2) == pytest.approx(5 / 6)


def judged(number: int, *verdicts: Verdict) -> Example:
    return Example(kind="abstract", instruction="i", trajectory=f"t{number}", start=0, end=1, verdicts=verdicts)


def test_votes_are_counted_by_filter_and_by_provider() -> None:
    def asked(name: str, **votes: bool) -> Verdict:
        said = tuple(vote(member.replace("_", ":"), accepts) for member, accepts in votes.items())
        return Verdict(filter=name, keep=all(votes.values()), votes=said)

    proved = [number % 2 == 0 for number in range(40)]
    examples = [
        judged(
            number,
            Verdict(filter="net_effect", keep=True),
            asked("committee", openai_a=proved[number], openai_b=True, local_c=proved[number]),
            asked("strict", openai_a=number % 4 < 2),
            Verdict(filter="replay", keep=proved[number]),
            Verdict(filter="reworded", keep=True),
        )
        for number in range(40)
    ]
    examples.append(judged(0, Verdict(filter="net_effect", keep=False)))
    found = {
        (row.filter, row.member): row
        for row in beside_replay(examples, {f"t{number}": replay(number, proved[number]) for number in range(40)})
    }
    committee = [(name, member) for name, member in found if name == "committee"]
    assert [member for _, member in committee] == ["openai:a", "openai:b", "local:c", "all of openai", COMMITTEE]
    assert (found["committee", "openai:a"].precision, found["strict", "openai:a"].precision) == (1.0, 0.5)
    assert found["strict", "openai:a"].verdict == "no better than chance"
    together = found["committee", "all of openai"]
    assert (together.examples, together.accepted, together.both) == (80, 60, 40)
    assert found.keys() - committee == {("strict", "openai:a"), ("net_effect", RULE)}
    rule = found["net_effect", RULE]
    assert (rule.examples, rule.accepted, rule.both) == (41, 40, 20)


# beside checks


def episode(name: str, arm: str, score: float, *, done: int, fault: Fault = "") -> tuple[str, Trajectory, Result]:
    """Of the task ``name``, in which the first ``done`` of two lamps were lit."""
    task = Task(instruction=f"Light both lamps of {name}", environment="web", name=name, check=Check(sql="x"))
    pages = [Observation(text=f"{count} lamps of {name} burn", digest=str(count)) for count in range(done + 1)]
    steps = tuple(Step(observation=page, action=Action(text="light()", kind="light")) for page in pages[:-1])
    walked = Trajectory(task=task, agent="a", steps=steps, last=pages[-1], stop="done")
    result = Result(task=name, arm=arm, seed=0, score=score, steps=len(steps), fault=fault, trajectory=walked.id)
    return f"{arm}/0/{name}", walked, result


async def evaluated(folder: RunFolder) -> None:
    rows = [episode(f"room {at}", "a", float(at % 2), done=2 if at % 2 else 1) for at in range(8)]
    rows += [episode("room 1", "b", 1.0, done=2), episode("room 2", "b", 0.0, done=2, fault="environment")]
    rows.append(episode("nothing", "a", 0.0, done=0))
    unchecked = episode("by judges", "a", 1.0, done=2)
    for key, walked, result in [*rows, unchecked]:
        await folder.store.put("episode", key, walked)
        await folder.store.put("result", key, result)
        held = walked.task.model_copy(update={"check": None}) if walked is unchecked[1] else walked.task
        await folder.store.put("heldout", held.name, held)


class Judge:
    """Accepts what lit two lamps; or whatever it is asked about."""

    info = ModelInfo()

    def __init__(self, name: str, looks: bool) -> None:
        self.name, self._looks, self.asked = name, looks, 0

    async def complete(self, request: Request) -> Reply:
        self.asked += 1
        walked = request.fields.trajectory
        assert walked is not None
        assert request.fields.instruction == walked.task.instruction
        yes = not self._looks or walked.last.text.startswith("2")
        vote = dict.fromkeys(("aligned", "coherent", "natural", "reasonable"), yes)
        return Reply(text=json.dumps(vote), model=self.name, usage=Usage(calls=1))

    async def close(self) -> None:
        pass


async def test_members_are_held_against_the_checks_of_held_out_tasks(tmp_path: Path) -> None:
    judges = {"x:looks": Judge("x:looks", True), "y:nods": Judge("y:nods", False)}
    config = Config(name="r", models=Models(judges=tuple(judges)), synthesis=Synthesis(filters=("repeat", "committee")))
    with RunFolder(tmp_path / "run", config.identity()) as folder:
        await evaluated(folder)
        context = context_of(folder, config, Progress(), NoEnvironments("web"))
        context._models.update(judges)
        assert await judge_episodes(context, 0) == Judged(scored=8, judged=8, failed=0)
        votes = [each for _, each in folder.store.all(JUDGED, Example)]
        results = [result for _, result in folder.store.all("result", Result)]
        rows = {(row.filter, row.member): row for row in calibrations(votes, "check", by_check(results))}
        assert await judge_episodes(context, 0) == Judged(scored=8, judged=8, failed=0)
        assert [judge.asked for judge in judges.values()] == [8, 8], "nothing is asked twice"
        assert folder.store.count("example") == 0, "nobody learns from them"
        report = write_report(folder).read_text()
        await context.close()
    assert rows.keys() == {
        ("committee", "x:looks"),
        ("committee", "y:nods"),
        ("committee", COMMITTEE),
        ("repeat", RULE),
    }
    looks, nods = rows["committee", "x:looks"], rows["committee", "y:nods"]
    assert (looks.examples, looks.accepted, looks.precision, looks.recall) == (8, 4, 1.0, 1.0)
    assert looks.verdict == "better than chance"
    assert (nods.accepted, nods.precision, nods.verdict) == (8, 0.5, "tells nothing: it accepts all")
    assert '<table id="beside-checks">' in report
    assert "tells nothing: it accepts all" in report


async def test_a_judge_that_fails_at_an_episode_has_no_vote_on_it(tmp_path: Path) -> None:
    judge = Judge("x:looks", True)

    async def fails_once(request: Request) -> Reply:
        if judge.asked == 3:
            judge.asked += 1
            raise ModelError("no answer")
        return await Judge.complete(judge, request)

    judge.complete = fails_once  # type: ignore[method-assign]
    config = Config(name="r", models=Models(judges=("x:looks",)), synthesis=Synthesis(filters=("committee",)))
    with RunFolder(tmp_path / "run", config.identity()) as folder:
        await evaluated(folder)
        context = context_of(folder, config, Progress(), NoEnvironments("web"))
        context._models["x:looks"] = judge
        assert (await judge_episodes(context, 0)).failed == 1
        assert folder.store.count(JUDGED) == 7
        assert [failure["kind"] for failure in folder.store.failures()] == [JUDGED]
        assert await judge_episodes(context, 3) == Judged(scored=8, judged=3, failed=0)
        await context.close()


def test_a_run_without_scored_episodes_is_told_in_one_line(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", Config(name="r").identity()):
        pass
    ran = lbi_here("check", "committee", tmp_path / "run")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "has no held-out episode that a program scored" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
