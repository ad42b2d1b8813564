"""lbi knowledge: what was learnt is counted, retired, merged, put back and compared; an outage is none of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

import lbi
from fake_environment import click, fill
from lbi.config import Arm, resolve
from lbi.evaluation.uses import votes_of
from lbi.interop.library import Library, open_library, reported_votes
from lbi.interop.server.served import Served
from lbi.records import Example, Result, Step, Task, Trajectory
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.knowledge import hurtful, near_duplicates
from lbi.rollouts.learnt import Use, read_run
from lbi.storage.database import Store
from lbi.storage.knowledge import Entry, KnowledgeLog, State, Uses
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import read_examples
from running import answer, lbi_here
from skilled_run import MADE, ONCE, RECUR, keep, make_skilled_run, pairs_of


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return asyncio.run(make_skilled_run(tmp_path))


def ids_of(run: Path) -> list[str]:
    with RunFolder(run, writing=False) as folder:
        return [example.id for example, _ in read_examples(folder, 0)]


def asked(run: Path, *arguments: str) -> Any:
    return answer("knowledge", run, *arguments, here=True)


def refused(run: Path, *arguments: str) -> str:
    ran = lbi_here("knowledge", run, *arguments)
    assert ran.returncode == 2
    assert ran.stderr.count("\n") == 1
    return ran.stderr


# the table


def test_the_table_only_grows_and_what_is_written_twice_is_one_row(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as folder:
        log = KnowledgeLog(folder.store)
        assert log.append([Entry("a", "shown", "r1"), Entry("a", "shown", "r2"), Entry("a", "shown", "r1")]) == 2
        assert log.append([Entry("a", "shown", "r1"), Entry("a", "hurt", "r1", "missed")]) == 1
        assert log.uses() == {"a": Uses(shown=2, hurt=1)}
        assert [event.event for event in log.events("a")] == ["shown", "shown", "hurt"]


def test_every_version_can_be_looked_at_and_gone_back_to(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run") as folder:
        log = KnowledgeLog(folder.store)
        log.append([Entry("a", "learnt", "v"), Entry("b", "learnt", "v")])
        first = log.version()
        log.append([Entry("a", "retired", "u1", "hurts"), Entry("b", "sank", "u1")])
        log.append([Entry("c", "learnt", "v")])
        assert log.states() == {"a": State("retired", "hurts"), "b": State("sunk", "")}
        assert (log.away(), log.sunk()) == ({"a"}, {"b"})
        assert set(log.states(first)) == {"c"}
        log.append([Entry("", "rolled back", f"{first} now")])
        assert (log.away(), log.sunk()) == ({"c"}, set())
        log.append([Entry("c", "restored", "by hand"), Entry("a", "retired", "u2")])
        assert log.away() == {"a"}


def test_a_run_from_before_the_table_has_everything_live(run: Path) -> None:
    with RunFolder(run) as folder:
        folder.store.write(lambda db: db.execute("DROP TABLE knowledge")).wait()
    store = Store(run / "run.db", writing=False)
    assert (KnowledgeLog(store).away(), KnowledgeLog(store).version(), KnowledgeLog(store).uses()) == (set(), 0, {})
    store.close()
    assert {item["status"] for item in asked(run)["items"]} == {"live"}


# votes


def result(arm: str, score: float, fault: Any = "", task: str = "t") -> Result:
    return Result(task=task, arm=arm, seed=0, score=score, steps=1, fault=fault, trajectory=f"{arm}/{task}")


async def episodes_showing(item: str, *results: Result) -> dict[str, Trajectory]:
    ((_, walk),) = await pairs_of(dict([next(iter(MADE.items()))]))
    step = Step(observation=walk.last, action=walk.actions[0], examples=(item, item))
    return {r.trajectory: walk.model_copy(update={"steps": (step, step)}) for r in results if r.arm != "baseline"}


@pytest.mark.parametrize(
    ("with_it", "without", "votes"),
    [(1.0, 0.0, {"shown", "helped"}), (0.0, 1.0, {"shown", "hurt"}), (1.0, 1.0, {"shown"}), (0.0, 0.0, {"shown"})],
)
async def test_an_example_helped_or_hurt_beside_the_same_run_without_it(
    run: Path, with_it: float, without: float, votes: set[str]
) -> None:
    config = Library(open_library(run, writing=False)).config
    results = [result("backward", with_it), result("baseline", without)]
    entries = list(votes_of(config, results, await episodes_showing("e1", *results)))
    assert ({entry.event for entry in entries}, {entry.item for entry in entries}) == (votes, {"e1"})


async def test_an_arm_is_compared_with_that_of_the_same_model_and_skills(run: Path) -> None:
    arms = [
        Arm(name="baseline", agent="react"),
        Arm(name="skill", agent="react", skills=True),
        Arm(name="both", agent="icl", data="backward", skills=True),
        Arm(name="tuned", agent="icl", data="backward", model="local:tuned"),
        Arm(name="shuffled", agent="icl", data="shuffled"),
    ]
    config = resolve({"evaluation": {"arms": [arm.model_dump() for arm in arms]}}, "test")
    scores = {"baseline": 1.0, "skill": 0.0, "both": 1.0, "tuned": 0.0, "shuffled": 0.0}
    results = [result(arm, score) for arm, score in scores.items()]
    entries = list(votes_of(config, results, await episodes_showing("e1", *results)))
    found = {(entry.source.partition("/")[0], entry.event) for entry in entries}
    assert found == {("skill", "shown"), ("both", "shown"), ("both", "helped"), ("tuned", "shown")}


@pytest.mark.parametrize("fault", ["environment", "harness", "model"])
@pytest.mark.parametrize("where", ["backward", "baseline"])
async def test_an_outage_in_either_run_never_becomes_knowledge(run: Path, fault: str, where: str) -> None:
    config = Library(open_library(run, writing=False)).config
    results = [result("backward", 0.0), result("baseline", 1.0)]
    entries = list(votes_of(config, results, await episodes_showing("e1", *results)))
    assert "hurt" in {entry.event for entry in entries}, "without the outage it is a vote"
    ill = [each.model_copy(update={"fault": fault}) if each.arm == where else each for each in results]
    entries = list(votes_of(config, ill, await episodes_showing("e1", *ill)))
    assert {entry.event for entry in entries} <= {"shown"}


def test_what_servers_are_told_is_counted_once_and_outages_are_not(run: Path) -> None:
    first, second, *_ = ids_of(run)
    served = Served(run / "served")
    served.show([first, second], by="mcp")
    served.show([first], by="proxy")
    served.report([first], True, "the lamp is there")
    served.report([second], False, "the page said: a lamp needs a colour")
    served.report([first, second], False, "503 Service Unavailable")
    served.report([first], False, "net::ERR: connection refused")
    served.report(["no such example"], True, "")
    for _ in range(2):
        asked(run, "update")
        uses = {item["item"]: Uses(**item["uses"]) for item in asked(run)["items"]}
        assert uses[first] == Uses(shown=2, succeeded=1)
        assert uses[second] == Uses(shown=1, failed=1)
        assert "no such example" not in uses


@pytest.mark.parametrize("row", [{}, {"ids": 7}, {"ids": ["a", 3], "success": None}, {"ids": None, "success": True}])
def test_a_line_of_a_server_that_is_no_report_breaks_nothing(row: dict[str, object]) -> None:
    assert len(list(reported_votes("outcomes.jsonl:1", row))) <= 1


def test_a_line_that_was_written_half_is_passed_over_and_the_numbers_of_others_stay(run: Path) -> None:
    first, *_ = ids_of(run)
    served = Served(run / "served")
    served.report([first], True, "one")
    with served.outcomes.open("ab") as file:
        file.write(b'{"ids": ["' + first.encode() + b'"], "succ\n')
    served.report([first], True, "two")
    asked(run, "update")
    (item,) = [each for each in asked(run)["items"] if each["item"] == first]
    assert item["uses"]["succeeded"] == 2


# what follows from votes


@pytest.mark.parametrize(
    ("uses", "hurts"),
    [
        (Uses(hurt=3), False),  # too few to be sure
        (Uses(hurt=4), True),
        (Uses(hurt=7, helped=1), True),
        (Uses(hurt=6, helped=4), False),
        (Uses(failed=3), False),
        (Uses(failed=6), True),
        (Uses(failed=6, succeeded=5), False),
    ],
)
def test_what_keeps_hurting_is_found_and_what_may_be_chance_is_not(uses: Uses, hurts: bool) -> None:
    assert ("a" in hurtful({"a": uses, "b": Uses(shown=20, succeeded=16, failed=4)})) == hurts


def test_where_everything_fails_nobody_is_to_blame() -> None:
    assert hurtful({name: Uses(shown=9, failed=9) for name in "abc"}) == {}


def test_what_keeps_hurting_is_retired_nobody_is_shown_it_and_it_can_be_restored(run: Path) -> None:
    bad, *others = ids_of(run)
    with RunFolder(run) as folder:
        KnowledgeLog(folder.store).append(Entry(bad, vote, f"r{at}") for at in range(5) for vote in ("shown", "hurt"))
    changes = {each["item"]: each for each in asked(run, "update")}
    assert (changes[bad]["change"], changes[bad]["reason"]) == (
        "retired",
        "hurt in 5 of 5 paired runs that it changed",
    )
    assert bad not in ids_of(run)
    assert bad not in {example.id for example, _ in read_run(run, Use()).examples}
    assert set(others) == set(ids_of(run))
    assert asked(run, "restore", bad[:8], "--reason", "it was another one")[0]["status"] == "live"
    asked(run, "update")
    assert bad in ids_of(run), "old votes count no more"
    events = asked(run, "show", bad)["events"]
    assert [event["event"] for event in events][-2:] == ["retired", "restored"]
    assert events[-1]["reason"] == "it was another one"


def test_what_is_never_shown_sinks_and_rises_when_it_is(run: Path) -> None:
    used, *others = ids_of(run)
    with RunFolder(run) as folder:
        log = KnowledgeLog(folder.store)
        log.append([Entry(used, "shown", "r1")])
        before = ids_of(run)
    asked(run, "update")
    statuses = {item["item"]: item["status"] for item in asked(run)["items"]}
    assert {item for item, status in statuses.items() if status == "sunk"} == set(others)
    assert ids_of(run) == before, "what sank is not gone"
    with RunFolder(run) as folder:
        KnowledgeLog(folder.store).append([Entry(others[0], "shown", "r2")])
    assert [(each["item"], each["change"]) for each in asked(run, "update")] == [(others[0], "rose")]
    assert asked(run, "restore", others[1])[0]["status"] == "live"


async def test_of_examples_that_fit_alike_one_that_sank_comes_last(tmp_path: Path) -> None:
    way = (click("link", "New lamp"), fill("Name", "Lamp"))
    pairs = await pairs_of({"Write a name for the first lamp": way, "Write a name for the other lamp": way})
    walks = {walk.id: walk for _, walk in pairs}
    (a, _), (b, _) = sorted(pairs, key=lambda pair: pair[0].id)
    for last, order in (((), [a.id, b.id]), ((a.id,), [b.id, a.id])):
        folder = tmp_path / str(len(last))
        index = ExampleIndex.build(folder, [a, b], walks, last=last)
        page = pairs[0][1].observations[0]
        found = index.search(Task(instruction="lamp", environment=""), page, "Write a name for a lamp", m1=0)
        assert [shown.example.id for shown in found][:1] == order[:1]
        index.close()


async def test_near_duplicates_become_one_and_others_do_not() -> None:
    way = next(iter(MADE.values()))
    alike = {
        'Add a lamp with the name "Desk lamp" and the colour "blue"': way,
        'Add a lamp with the name "Shelf lamp" and the colour "red".': (
            click("link", "New lamp"),
            fill("Name", "Shelf lamp"),
            fill("Colour", "red"),
            click("button", "Create"),
        ),
        'Make a lamp called "Desk lamp"': way,
    }
    pairs = await pairs_of({**alike, **ONCE})
    (first, _), (second, _), *_ = pairs
    # what is typed shows on the pages after it; the whole way is the same only where that is, too
    assert near_duplicates(pairs, {}) == {}
    short = [(example.model_copy(update={"end": 2}), walk) for example, walk in pairs]
    found = near_duplicates(short, {})
    ids = {short[0][0].id, short[1][0].id}
    assert {*found} | {*found.values()} == ids
    kept = near_duplicates(short, {next(iter(ids)): Uses(shown=3, helped=2)})
    assert list(kept.values()) == [next(iter(ids))]
    assert first.id != second.id


def test_an_example_of_two_seeds_is_merged_only_where_both_have_its_like(run: Path, tmp_path: Path) -> None:
    way = (click("link", "Rooms"),)
    same = asyncio.run(pairs_of({"Look at the rooms": way, "Look at the rooms!": way}))
    with RunFolder(run) as folder:
        config = json.loads((run / "config.json").read_text()) | {"seeds": [0, 1]}
        (run / "config.json").write_text(json.dumps(config))
        keep(folder, same)
        keep(folder, same[:1], seed=1)
        keep(folder, same[1:], seed=1)
    merged = [each for each in asked(run, "update") if each["change"] == "merged"]
    assert len(merged) == 1
    with RunFolder(run) as folder:
        KnowledgeLog(folder.store).append([Entry("", "rolled back", "0 now")])
        folder.store.write(lambda db: db.execute("DELETE FROM record WHERE key LIKE '1/%'")).wait()
        keep(folder, same[:1], seed=1)
    with open_library(run, writing=True) as folder:
        library = Library(folder)
        changes = {entry.item for entry in library.update() if entry.event == "merged"}
    assert changes <= {same[1][0].id}


# by hand


def test_versions_are_compared_and_gone_back_to(run: Path) -> None:
    first, second, *_ = ids_of(run)
    asked(run, "retire", first)
    version = asked(run)["version"]
    asked(run, "retire", second, "--reason", "wrong")
    assert asked(run, "diff", str(version)) == {"version": version + 1, "come": [], "gone": [second]}
    assert asked(run, "diff", "0", str(version)) == {"version": version + 1, "come": [], "gone": [first]}
    assert asked(run, "rollback", str(version))["come"] == [second]
    assert first not in ids_of(run)
    assert asked(run, "rollback", "0")["come"] == [first]
    assert len(ids_of(run)) == len(RECUR)


def test_mistakes_are_told_in_a_line_and_change_nothing(run: Path, tmp_path: Path) -> None:
    first, *_ = ids_of(run)
    assert 'no action "forget"; there are list, show' in refused(run, "forget")
    assert "no example and no skill 'zzz'" in refused(run, "show", "zzz")
    assert "show takes the id of an example or skill" in refused(run, "show")
    assert "diff takes one or two versions" in refused(run, "diff", "1", "2", "3")
    assert '"first" is no version' in refused(run, "rollback", "first")
    assert "no version 7; the last one is 0" in refused(run, "rollback", "7")
    assert f"{first} is live already" in refused(run, "restore", first)
    assert "no example and no skill 'zzz'" in refused(run, "retire", first, "zzz")
    assert "may be" in refused(run, "retire", "skill:") if lbi_here("skills", run).returncode else True
    assert asked(run)["version"] == 0
    assert "no run in" in refused(tmp_path / "none", "list")
    assert not (tmp_path / "none").exists()


def test_a_skill_can_be_retired_and_is_then_written_no_more(run: Path) -> None:
    assert lbi_here("skills", run).returncode == 0
    (item,) = [each for each in asked(run)["items"] if each["item"].startswith("skill:lamps-new")]
    assert item["what"] == "skill"
    assert asked(run, "retire", "lamps-new", "--reason", "misleads")[0]["status"] == "retired"
    assert "left out  lamps-new: retired: misleads" in lbi_here("skills", run).stdout
    assert not (run / "skills" / "lamps-new").exists()


def test_a_skill_rests_on_live_examples_only(run: Path) -> None:
    with RunFolder(run, writing=False) as folder:
        made = [e.id for _, e in folder.store.all("example", Example) if e.instruction in MADE]
    asked(run, "retire", *made[:2])
    assert lbi_here("skills", run).returncode == 0
    told = "".join(file.read_text() for file in run.glob("skills/*/references/sources.json"))
    assert not any(id_ in told for id_ in made)


def test_the_list_says_what_was_counted(run: Path) -> None:
    first, *_ = ids_of(run)
    with RunFolder(run) as folder:
        KnowledgeLog(folder.store).append([Entry(first, "shown", "a"), Entry(first, "helped", "a", "1 here, 0 there")])
    lines = lbi_here("knowledge", run).stdout.splitlines()
    assert lines[1].split()[:7] == ["live", "1", "1", "0", "0", "0", first]
    assert lines[-1] == "7 of 7 items live; version 0"
    shown = lbi_here("knowledge", run, "show", first).stdout
    assert "1 here, 0 there" in shown


# who asks for what is live


def test_what_was_retired_is_not_trained_on(run: Path, tmp_path: Path) -> None:
    first, *others = ids_of(run)

    def exported(out: str) -> int:
        folder = tmp_path / out
        ran = lbi_here("export", run, "-f", "jsonl", "--out", folder, "--allow-offline", "--validation", "0", "--json")
        assert ran.returncode == 0, ran.stderr
        return sum(first in file.read_text() for file in folder.glob("*.jsonl"))

    assert exported("before") > 0
    asked(run, "retire", first)
    assert exported("after") == 0
    assert others


def test_a_program_that_loads_the_run_is_shown_what_is_live(run: Path) -> None:
    first, *others = ids_of(run)
    asked(run, "retire", first)
    with lbi.load_run(run) as learnt:
        assert {example.id for example, _ in learnt.examples} == set(others)
