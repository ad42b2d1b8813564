"""Votes of the committee beside replays: precision, recall, and members that are no better than chance."""

from __future__ import annotations

import pytest

from lbi.evaluation.calibration import COMMITTEE, RULE, Calibration, at_least, calibrations
from lbi.records import Example, Verdict, Vote
from lbi.synthesis.filters.replay import Replayed


def vote(model: str, accepts: bool) -> Vote:
    return Vote(model=model, aligned=accepts, coherent=True, natural=True, reasonable=True)


def example(number: int, **votes: bool) -> Example:
    verdict = Verdict(
        filter="committee", keep=all(votes.values()), votes=tuple(vote(name, said) for name, said in votes.items())
    )
    return Example(kind="abstract", instruction="i", trajectory=f"t{number}", start=0, end=1, verdicts=(verdict,))


def replay(number: int, proved: bool) -> Replayed:
    return Replayed(trajectory=f"t{number}", matched=(True, proved))


def of(rows: list[Calibration]) -> dict[str, Calibration]:
    return {row.member: row for row in rows}


def test_a_member_that_sees_what_can_be_replayed_is_told_from_one_that_guesses() -> None:
    proved = [number % 2 == 0 for number in range(40)]
    examples = [example(number, sees=proved[number], guesses=number % 4 < 2) for number in range(40)]
    rows = of(calibrations(examples, {f"t{number}": replay(number, proved[number]) for number in range(40)}))
    assert rows.keys() == {"sees", "guesses", COMMITTEE}
    sees, guesses = rows["sees"], rows["guesses"]
    assert (sees.precision, sees.recall, sees.base, sees.verdict) == (1.0, 1.0, 0.5, "better than chance")
    assert (guesses.precision, guesses.recall, guesses.verdict) == (0.5, 0.5, "no better than chance")
    assert (rows[COMMITTEE].precision, rows[COMMITTEE].recall) == (1.0, 0.5)


def test_only_what_was_both_voted_on_and_replayed_counts() -> None:
    examples = [example(0, a=True), example(1, a=True), example(2), example(3, a=False)]
    rows = calibrations(examples, {"t0": replay(0, True), "t2": replay(2, True), "t3": replay(3, False)})
    [row] = rows
    assert (row.member, row.examples, row.accepted, row.replayed, row.both) == ("a", 2, 1, 1, 1)


@pytest.mark.parametrize(
    ("votes", "proved", "verdict"),
    [
        ([True, True, True], [True, False, True], "tells nothing: it accepts all"),
        ([False, False, False], [True, False, True], "tells nothing: it rejects all"),
        ([True, False, True], [True, True, True], "cannot be told: all of them could be replayed"),
        ([True, False, True], [False, False, False], "cannot be told: none could"),
    ],
)
def test_where_nothing_can_be_told_it_is_said(votes: list[bool], proved: list[bool], verdict: str) -> None:
    examples = [example(number, a=said) for number, said in enumerate(votes)]
    [row] = calibrations(examples, {f"t{number}": replay(number, each) for number, each in enumerate(proved)})
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
        for row in calibrations(examples, {f"t{number}": replay(number, proved[number]) for number in range(40)})
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
