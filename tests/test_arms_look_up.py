"""How an arm looks examples up, how many, and of which lengths: each is a key of the arm."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_notes import NEW, NOTES, SAVE, title, walk
from lbi.cli.estimate import plan
from lbi.config import Among, Arm, ArmRetrieval, Retrieval, resolve
from lbi.errors import UserError
from lbi.evaluation.arms import examples_for
from lbi.evaluation.indexes import index_name
from lbi.records import Example, Trajectory, Verdict

USUAL = Retrieval(m1=4, m2=6, m3=1)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ArmRetrieval(4, 6, 1, True)),
        ({"by": "instruction"}, ArmRetrieval(0, 6, 0, False)),
        ({"by": "observation"}, ArmRetrieval(4, 0, 0, False)),
        ({"by": "model"}, ArmRetrieval(0, 6, 0, True)),
        ({"k": 2}, ArmRetrieval(2, 2, 0, True)),
        ({"k": 0}, ArmRetrieval(0, 0, 0, False)),
        ({"k": 3, "by": "observation"}, ArmRetrieval(3, 0, 0, False)),
    ],
)
def test_what_an_arm_looks_up(keys: dict[str, object], expected: ArmRetrieval) -> None:
    arm = Arm.model_validate({"name": "a", "agent": "icl", "data": "backward", **keys})
    assert arm.retrieval(USUAL) == expected


async def test_only_examples_of_the_lengths_that_an_arm_names() -> None:
    notes = await walk("a note", NOTES, NEW, title("A"), title("B"), title("C"), SAVE)
    examples = [
        Example(kind="abstract", instruction=f"to {end}", trajectory=notes.id, start=0, end=end) for end in (2, 4, 5, 6)
    ]
    pairs = [(example, notes) for example in examples]

    def ends(*lengths: str) -> list[int]:
        return [example.end for example, _ in examples_for("backward", pairs, 0, among=Among(lengths))]  # type: ignore[arg-type]

    assert (ends(), ends("short"), ends("medium"), ends("long")) == ([2, 4, 5, 6], [2, 4], [5, 6], [])
    assert ends("short", "medium") == [2, 4, 5, 6]


def test_an_arm_that_asks_no_query_is_planned_without() -> None:
    keys = ({}, {"by": "instruction"}, {"by": "observation"}, {"by": "model"}, {"k": 0})
    arms = [{"name": str(at), "agent": "icl", "data": "backward", **each} for at, each in enumerate(keys)]
    config = resolve({"evaluation": {"arms": arms, "reference": "0"}}, "test")
    rows = [row for row in plan(config, [], 5, "click(e12)") if "evaluate" in row.stage]
    assert {row.stage for row in rows if row.role == "query"} == {"evaluate: 0", "evaluate: 3"}
    tokens = {row.stage: row.input_tokens for row in rows if row.role == "act"}
    assert tokens["evaluate: 4"] < tokens["evaluate: 2"]


def test_an_unknown_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"evaluation\.arms\.0\.by"):
        resolve({"evaluation": {"arms": [{"name": "a", "agent": "icl", "data": "backward", "by": "luck"}]}}, "test")


@pytest.mark.parametrize("ranking", ["dense", "hybrid"])
def test_an_arm_that_ranks_by_vectors_needs_what_makes_them(ranking: str) -> None:
    arms = [{"name": "a", "agent": "icl", "data": "backward", "ranking": ranking}]
    stated = {"evaluation": {"arms": arms, "reference": "a"}}
    with pytest.raises(UserError, match=r"ranks by vectors .*name what makes them in models\.embeddings"):
        resolve(stated, "test")
    assert resolve({**stated, "models": {"embeddings": "local"}}, "test").evaluation.arms[0].ranking == ranking


def _example(walk: Trajectory, end: int, **more: object) -> Example:
    return Example.model_validate(
        {"kind": "abstract", "instruction": f"to {end}", "trajectory": walk.id, "start": 0, "end": end, **more}
    )


async def test_an_arm_has_examples_by_kind_tier_filter_and_part() -> None:
    notes = await walk("a note", NOTES, NEW, title("A"), SAVE)
    dropped = [Verdict(filter="committee", keep=False)]
    pairs = [
        (_example(notes, 1, tier="replayed"), notes),
        (_example(notes, 2, kind="summary", tier="committee"), notes),
        (_example(notes, 3, verdicts=dropped), notes),
        (_example(notes, 4, verdicts=[*dropped, Verdict(filter="loop", keep=False)]), notes),
    ]

    def ends(among: Among) -> list[int]:
        return [example.end for example, _ in examples_for("backward", pairs, 0, among=among)]

    assert ends(Among()) == [1, 2]
    assert ends(Among(kinds=("summary",))) == [2]
    assert ends(Among(tier="replayed")) == [1]
    assert ends(Among(without=("committee",))) == [1, 2, 3], "what another filter dropped stays away"
    assert ends(Among(part=("/notes/new*",))) == [1], "the second step leads to the form"
    different = (Among(), Among(tier="replayed"), Among(("short",)))
    assert len({index_name("backward", 0, 1.0, each) for each in different}) == 3
    assert index_name("backward", 0) == "backward-0-1", "indexes that runs have are found as before"


def test_an_arm_without_a_part_needs_the_part_to_be_named() -> None:
    arms = [{"name": "a", "agent": "icl", "data": "backward", "own_part": False}]
    with pytest.raises(UserError, match=r"name it in evaluation\.part"):
        resolve({"evaluation": {"arms": arms, "reference": "a"}}, "test")
    config = resolve({"evaluation": {"arms": arms, "reference": "a", "part": ["/x*"]}}, "test")
    assert config.evaluation.arms[0].among(config.evaluation) == Among(part=("/x*",))
