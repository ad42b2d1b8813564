"""lbi knowledge counts what people said in `lbi view`: rejected examples go, reworded ones go on under new words."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import lbi
from lbi.evaluation.calibration import by_people, calibrations
from lbi.interop.judged import reworded
from lbi.records import Example, Trajectory, Verdict, Vote
from lbi.storage.judgements import Judgements
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import example_key, read_examples
from running import answer, lbi_here
from skilled_run import make_skilled_run

WORDS = 'Put a lamp called "Desk lamp" into the list, in blue'


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return asyncio.run(make_skilled_run(tmp_path))


def live(run: Path) -> dict[str, Example]:
    with RunFolder(run, writing=False) as folder:
        return {example.id: example for example, _ in read_examples(folder, 0)}


def asked(run: Path, *arguments: str) -> Any:
    return answer("knowledge", run, *arguments, here=True)


def item(run: Path, id_: str) -> Any:
    return next(each for each in asked(run)["items"] if each["item"] == id_)


def changes(run: Path) -> list[tuple[str, str]]:
    return [(each["item"], each["change"]) for each in asked(run, "update")]


def test_a_rejected_example_is_retired_and_its_record_stays(run: Path) -> None:
    bad, *others = live(run)
    before = live(run)[bad]
    said = Judgements(run)
    said.add(bad, "ada", "reject", reason="it is another lamp")
    said.add(others[0], "ben", "accept")
    assert item(run, bad)["people"] == {"accept": 0, "reject": 1, "reword": 0}
    assert bad in live(run), (
        "until somebody asks for it nothing changes, or an evaluation would change what it measures"
    )
    told = lbi_here("knowledge", run).stdout
    assert "by what people said, 1 item changes at the next `lbi knowledge RUN update`" in told
    assert " 0/1  " in told
    assert " 1/1  " in told
    assert changes(run) == [(bad, "retired")]
    assert set(live(run)) == set(others)
    assert (item(run, bad)["status"], item(run, bad)["reason"]) == ("retired", "rejected by ada: it is another lamp")
    with RunFolder(run, writing=False) as folder:
        assert before in [example for _, example in folder.store.all("example", Example)]
    assert "by what people said" not in lbi_here("knowledge", run).stdout


def test_what_was_rejected_is_found_by_nobody(run: Path) -> None:
    with lbi.load_run(run) as learnt:
        (shown, *_) = learnt.retrieve("Add a lamp", lbi.Observation(text="", url="/"))
        Judgements(run).add(shown.example.id, "ada", "reject")
    asked(run, "update")
    with lbi.load_run(run) as learnt:
        found = learnt.retrieve("Add a lamp", lbi.Observation(text="", url="/"))
        assert found
        assert shown.example.id not in [each.example.id for each in found]


def test_a_reworded_example_goes_on_under_the_new_words_beside_the_old_record(run: Path) -> None:
    old, *others = live(run)
    Judgements(run).add(old, "ada", "reword", WORDS, "nobody says it so")
    (first, second) = changes(run)
    assert (first, second[1]) == ((old, "retired"), "learnt")
    new = live(run)[second[0]]
    assert set(live(run)) == {new.id, *others}
    assert (new.instruction, new.tier) == (WORDS, "replayed")
    assert item(run, old)["reason"] == f"reworded by ada as {new.id}"
    assert f"reworded from {old}, document" in item(run, new.id)["origin"]
    with RunFolder(run, writing=False) as folder:
        stored = {example.id: example for _, example in folder.store.all("example", Example)}
    assert stored[old].instruction != WORDS
    assert (stored[old].trajectory, stored[old].start, stored[old].end) == (new.trajectory, new.start, new.end)
    with lbi.load_run(run) as learnt:
        indexed = {example.id: example.instruction for example, _ in learnt.examples}
    assert indexed[new.id] == WORDS
    assert old not in indexed
    assert changes(run) == []


def test_the_last_wording_holds_and_one_that_is_rejected_goes_too(run: Path) -> None:
    old, *others = live(run)
    said = Judgements(run)
    said.add(old, "ada", "reword", WORDS)
    first = changes(run)[1][0]
    said.add(old, "ada", "reword", f"{WORDS}, please")
    assert {change for _, change in changes(run)} == {"retired", "learnt"}
    assert item(run, first)["status"] == "retired"
    assert [each.instruction for each in live(run).values() if each.id not in others] == [f"{WORDS}, please"]
    said.add(old, "ada", "reword", WORDS)
    asked(run, "update")
    assert [each.id for each in live(run).values() if each.id not in others] == [first]
    said.add(first, "ben", "reject")
    asked(run, "update")
    assert set(live(run)) == set(others)


def test_whoever_changes_their_mind_gets_the_example_back(run: Path) -> None:
    bad, *_ = live(run)
    every = set(live(run))
    said = Judgements(run)
    said.add(bad, "ada", "reject")
    assert changes(run) == [(bad, "retired")]
    said.add(bad, "ada", "accept")
    assert changes(run) == [(bad, "restored")]
    said.add(bad, "ada", "reword", WORDS)
    new = changes(run)[1][0]
    said.add(bad, "ada", "accept")
    assert sorted(changes(run)) == sorted([(bad, "restored"), (new, "retired")])
    assert set(live(run)) == every
    assert [each["decision"] for each in asked(run, "show", bad)["judgements"]] == [
        "reject",
        "accept",
        "reword",
        "accept",
    ]


def test_a_tie_decides_nothing_and_more_wish_for_it_gone_than_for_other_words(run: Path) -> None:
    one, other, *_ = live(run)
    said = Judgements(run)
    said.add(one, "ada", "accept")
    said.add(one, "ben", "reject")
    assert changes(run) == []
    said.add(other, "ada", "reword", WORDS)
    said.add(other, "ben", "reject")
    assert changes(run) == [(other, "retired")]
    assert item(run, other)["people"] == {"accept": 0, "reject": 1, "reword": 1}


def test_what_somebody_takes_back_by_hand_stays_so_until_it_is_judged_again(run: Path) -> None:
    bad, *_ = live(run)
    said = Judgements(run)
    said.add(bad, "ada", "reject")
    asked(run, "update")
    asked(run, "restore", bad, "--reason", "it is right")
    assert changes(run) == []
    assert bad in live(run)
    said.add(bad, "ben", "reject")
    assert changes(run) == [(bad, "retired")]


def test_what_was_retired_for_another_reason_no_acceptance_brings_back(run: Path) -> None:
    bad, *_ = live(run)
    asked(run, "retire", bad)
    Judgements(run).add(bad, "ada", "accept")
    assert changes(run) == []
    assert item(run, bad)["status"] == "retired"


def test_votes_on_other_words_are_no_votes_on_these(run: Path) -> None:
    old = next(iter(live(run).values()))
    vote = Vote(model="m", aligned=True, coherent=True, natural=True, reasonable=True)
    verdicts = (Verdict(filter="committee", keep=True, votes=(vote,)), Verdict(filter="replay", keep=True))
    said = Judgements(run).add(old.id, "ada", "reword", WORDS)
    new = reworded(old.model_copy(update={"verdicts": verdicts}), said)
    assert calibrations([new], "people", by_people({new.id: True})) == [], "nobody has voted on these words"
    assert [verdict.filter for verdict in new.verdicts] == ["replay", "reworded"]
    assert example_key(0, new) == f"{example_key(0, old)}/{new.id}", (
        "or a replay's verdict would take the old one's row"
    )


def test_judgements_of_other_examples_change_nothing(run: Path) -> None:
    Judgements(run).add("no such example", "ada", "reject")
    with RunFolder(run) as folder:
        walk = next(walk for _, walk in folder.store.all("trajectory", Trajectory))
        gone = Verdict(filter="loop", keep=False, reason="goes in circles")
        dropped = Example(kind="summary", instruction="i", trajectory=walk.id, start=0, end=1, verdicts=(gone,))
        folder.store.put("example", example_key(0, dropped), dropped)
    Judgements(run).add(dropped.id, "ada", "reword", WORDS)
    assert changes(run) == []
