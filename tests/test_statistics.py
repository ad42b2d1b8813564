"""Known values, and what must hold for any results."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbi.evaluation.statistics import bootstrap, compare, holm, sign_flip, success, summarise, wilson
from lbi.records import Fault, Result


def result_of(task: str, arm: str, score: float, seed: int = 0, fault: Fault = "") -> Result:
    return Result(task=task, arm=arm, seed=seed, score=score, steps=3, fault=fault)


def results_of(arm: str, rows: list[list[float]]) -> list[Result]:
    return [result_of(f"task {t}", arm, score, seed) for t, row in enumerate(rows) for seed, score in enumerate(row)]


def test_wilson_gives_the_published_values() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_contains_the_rate_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    low, high = wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


def test_faults_of_environment_and_harness_are_in_no_rate_and_counted_apart() -> None:
    results = [
        result_of("a", "icl", 1.0),
        result_of("b", "icl", 0.0, fault="model"),
        result_of("c", "icl", 0.0, fault="environment"),
        result_of("d", "icl", 0.0, fault="harness"),
    ]
    summary = summarise(results)[0]
    assert (summary.results, summary.solved, summary.rate, summary.mean) == (2, 1, 0.5, 0.5)
    assert (summary.environment_faults, summary.harness_faults) == (1, 1)


@pytest.mark.parametrize(
    ("fair", "broken", "why"),
    [
        (27, 3, ""),
        (26, 4, "no number: 4 of 30 episodes failed by environment or harness"),
        (2, 1, ""),
        (0, 1, "no number: 1 of 1 episodes failed by environment or harness"),
    ],
)
def test_an_arm_of_which_too_much_failed_by_environment_or_harness_has_no_number(
    fair: int, broken: int, why: str
) -> None:
    results = [result_of(f"t{n}", "icl", 1.0) for n in range(fair)]
    results += [result_of(f"x{n}", "icl", 0.0, fault="harness" if n % 2 else "environment") for n in range(broken)]
    (summary,) = summarise(results, resamples=10)
    assert summary.no_number == why


def test_seeds_are_averaged_within_their_task() -> None:
    summary = summarise(results_of("icl", [[1, 1, 1, 1], [0]]))[0]
    assert (summary.tasks, summary.seeds, summary.results) == (2, 4, 5)
    assert summary.mean == 0.5
    assert summary.rate == 0.8


def test_more_seeds_of_the_same_outcome_do_not_narrow_the_interval() -> None:
    rows = [[1.0], [0.0], [1.0], [0.0], [0.0]]
    once = summarise(results_of("icl", rows))[0]
    often = summarise(results_of("icl", [row * 10 for row in rows]))[0]
    assert (once.low, once.high) == (often.low, often.high)


def test_partial_scores_count_for_the_mean_and_not_as_solved() -> None:
    summary = summarise(results_of("icl", [[0.5], [1.0]]))[0]
    assert (summary.solved, summary.mean) == (1, 0.75)


def test_one_task_alone_tells_nothing_about_others() -> None:
    summary = summarise(results_of("icl", [[1, 1]]))[0]
    assert (summary.low, summary.high) == (0.0, 1.0)
    assert summarise([]) == ()


def test_nothing_solved_is_not_certainty() -> None:
    mean, low, high = success(results_of("icl", [[0.0, 0.0]] * 28))
    assert (mean, low) == (0.0, 0.0)
    assert high == pytest.approx(wilson(0, 28)[1])
    assert success(results_of("icl", [[1.0]] * 28))[1] < 0.9
    assert success([]) == (0.0, 0.0, 1.0)


def test_a_result_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="two results for task 'a'"):
        summarise([result_of("a", "icl", 1.0), result_of("a", "icl", 1.0)])


def test_the_bootstrap_is_near_the_normal_interval_for_many_tasks() -> None:
    values = np.array([0.0, 1.0] * 200)
    low, high = bootstrap(values, bounds=(0, 1))
    assert low == pytest.approx(0.5 - 1.96 * 0.5 / 20, abs=0.005)
    assert high == pytest.approx(0.5 + 1.96 * 0.5 / 20, abs=0.005)
    assert bootstrap(values, bounds=(0, 1)) == (low, high)


def mcnemar(better: int, worse: int) -> float:
    discordant = better + worse
    tail = sum(math.comb(discordant, k) for k in range(min(better, worse) + 1)) / 2**discordant
    return min(1.0, 2 * tail)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_with_one_seed_the_test_is_mcnemars_exact_one(better: int, worse: int, equal: int) -> None:
    p, exact = sign_flip(np.array([1.0] * better + [-1.0] * worse + [0.0] * equal))
    assert exact
    assert p == pytest.approx(mcnemar(better, worse), rel=1e-9)


@given(st.lists(st.sampled_from([-1, -2 / 3, -1 / 3, 0, 1 / 3, 0.5, 2 / 3, 1]), max_size=9))
@settings(max_examples=60, deadline=None)
def test_the_p_value_is_the_share_of_sign_patterns_that_are_as_extreme(differences: list[float]) -> None:
    observed = abs(sum(differences)) - 1e-7
    patterns = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    p, _ = sign_flip(np.array(differences, dtype=np.float64))
    assert p == pytest.approx(sum(value >= observed for value in patterns) / len(patterns))


def test_too_many_different_sums_are_drawn_and_close_to_the_normal_value() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0.2, 1.0, size=60)
    p, exact = sign_flip(values)
    z = values.sum() / math.sqrt((values**2).sum())
    assert not exact
    assert p == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), abs=0.02)


def test_holm_gives_the_textbook_values() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(values: list[float]) -> None:
    corrected = holm(values)
    assert all(value <= p <= 1 for value, p in zip(values, corrected, strict=True))
    assert all(
        corrected[a] <= corrected[b] for a in range(len(values)) for b in range(len(values)) if values[a] < values[b]
    )


def test_arms_are_compared_on_the_tasks_and_seeds_that_both_have() -> None:
    results = [
        *results_of("icl", [[1, 1], [1, 0], [0, 0]]),
        *results_of("baseline", [[0, 0], [1]]),
        result_of("task 2", "baseline", 0.0, seed=0, fault="environment"),
    ]
    comparison = compare(results, [("icl", "baseline")])[0]
    assert (comparison.tasks, comparison.pairs, comparison.unpaired) == (2, 3, 3)
    assert comparison.difference == 0.5
    assert (comparison.better, comparison.worse, comparison.equal) == (1, 0, 1)
    assert comparison.p == 1.0


def test_several_comparisons_are_corrected_together() -> None:
    rows = [[1.0]] * 8 + [[0.0]] * 4
    results = [*results_of("a", rows), *results_of("b", [[0.0]] * 12), *results_of("c", [[0.0]] * 12)]
    alone = compare(results, [("a", "b")])[0]
    first, second = compare(results, [("a", "b"), ("b", "c")])
    assert alone.p == alone.p_holm == first.p == pytest.approx(2 / 2**8)
    assert first.p_holm == pytest.approx(4 / 2**8)
    assert (second.p, second.p_holm, second.difference) == (1.0, 1.0, 0.0)


table = st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=3), min_size=1, max_size=6)


@given(table, table, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_swapping_arms_turns_the_sign_and_the_order_of_results_does_not_matter(
    ours: list[list[float]], theirs: list[list[float]], random: object
) -> None:
    results = [*results_of("a", ours), *results_of("b", theirs)]
    forth, back = (compare(results, [pair], resamples=500)[0] for pair in (("a", "b"), ("b", "a")))
    assert forth.difference == pytest.approx(-back.difference)
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low))
    assert (forth.p, forth.better) == (pytest.approx(back.p), back.worse)
    assert forth.low <= forth.high
    random.shuffle(results)  # type: ignore[attr-defined]
    assert compare(results, [("a", "b")], resamples=500)[0] == forth
