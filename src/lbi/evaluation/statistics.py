"""Results -> rates with intervals, and comparisons of arms: ArmSummary(arm="icl", rate=0.42, low=0.31, high=0.54, ...).

Tasks are the unit: seeds of one task are no independent evidence, so they are averaged within it, tasks are resampled.
Results whose fault is the environment's or the harness's are in no rate; they are counted apart, and an arm with too
many of them has no rate at all.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lbi.records import INFRASTRUCTURE, Record, Result

RESAMPLES = 10_000
MOST_BROKEN = 0.1  # of an arm's episodes that environment or harness may have failed; beyond it has no number
Z95 = 1.959963984540054
_SUPPORT = 200_000  # different sums of signed differences that are followed exactly; beyond, signs are drawn
_TOLERANCE = 1e-9

Floats = npt.NDArray[np.float64]
Scores = dict[str, dict[int, float]]  # task -> seed -> score


class ArmSummary(Record):
    """One arm: how much it solves and how sure that is."""

    arm: str
    tasks: int
    seeds: int
    results: int  # that count
    solved: int  # results with the full score
    rate: float  # solved / results
    wilson_low: float  # 95%, as if results were independent: honest for one seed, too narrow for several
    wilson_high: float
    mean: float  # score, over tasks, of the mean over seeds
    low: float  # 95%, over tasks: the interval to report
    high: float
    environment_faults: int
    harness_faults: int

    @property
    def no_number(self) -> str:
        """Why its rate is none; "" where it is one.

        What is left after many failures is no fair part of the tasks: what breaks is mostly long and hard. One episode
        alone is no pattern, and is only counted.
        """
        broken = self.environment_faults + self.harness_faults
        episodes = self.results + broken
        if self.results and (broken < 2 or broken <= MOST_BROKEN * episodes):
            return ""
        if not broken:
            return "no number: no episode counts"
        return f"no number: {broken} of {episodes} episodes failed by environment or harness"


class Comparison(Record):
    """Two arms on the same tasks and seeds; ``difference`` is arm minus baseline."""

    arm: str
    baseline: str
    tasks: int
    pairs: int
    unpaired: int  # results that count and have no partner
    difference: float
    low: float  # 95%, tasks resampled
    high: float
    p: float  # two-sided, signs of the tasks' differences flipped; with one seed and 0/1 scores McNemar's exact test
    p_holm: float  # corrected for all comparisons that were made together
    exact: bool  # False: too many different sums to follow, signs were drawn at random
    better: int  # tasks
    worse: int
    equal: int


def summarise(results: Sequence[Result], *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[ArmSummary, ...]:
    """One summary per arm, in the order in which the arms first occur. Raises ValueError for a repeated result."""
    arms = dict.fromkeys(result.arm for result in results)
    return tuple(_summary(arm, [result for result in results if result.arm == arm], seed, resamples) for arm in arms)


def _summary(arm: str, results: Sequence[Result], seed: int, resamples: int) -> ArmSummary:
    scores = _scores(results)
    flat = [score for seeds in scores.values() for score in seeds.values()]
    solved = sum(score >= 1 - _TOLERANCE for score in flat)
    wilson_low, wilson_high = wilson(solved, len(flat))
    mean, low, high = success(results, seed=seed, resamples=resamples)
    faults = Counter(result.fault for result in results)
    return ArmSummary(
        arm=arm,
        tasks=len(scores),
        seeds=len({seed for seeds in scores.values() for seed in seeds}),
        results=len(flat),
        solved=solved,
        rate=solved / len(flat) if flat else 0.0,
        wilson_low=wilson_low,
        wilson_high=wilson_high,
        mean=mean,
        low=low,
        high=high,
        environment_faults=faults["environment"],
        harness_faults=faults["harness"],
    )


def success(results: Sequence[Result], *, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float, float]:
    """(mean, low, high) of one arm: the score over tasks of the mean over seeds, and its 95% interval.

    Where no task, or every task, is solved, no resample can differ; Wilson's interval over tasks stands in.
    """
    means = _task_means(_scores(results))
    if len(means) > 1 and (np.all(means == 0) or np.all(means == 1)):
        return (_mean(means), *wilson(int(means.sum()), len(means)))
    return (_mean(means), *bootstrap(means, seed=seed, resamples=resamples, bounds=(0.0, 1.0)))


def compare(
    results: Sequence[Result], pairs: Iterable[tuple[str, str]], *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[Comparison, ...]:
    """Compare each (arm, baseline) on the tasks and seeds that both have, with Holm's correction over all of them."""
    compared = [_compared(results, arm, baseline, seed, resamples) for arm, baseline in pairs]
    corrected = holm([comparison.p for comparison in compared])
    return tuple(comparison.model_copy(update={"p_holm": p}) for comparison, p in zip(compared, corrected, strict=True))


def _compared(results: Sequence[Result], arm: str, baseline: str, seed: int, resamples: int) -> Comparison:
    ours, theirs = (_scores([result for result in results if result.arm == name]) for name in (arm, baseline))
    paired = {
        task: {seed: score - theirs[task][seed] for seed, score in seeds.items() if seed in theirs[task]}
        for task, seeds in ours.items()
        if task in theirs and seeds.keys() & theirs[task].keys()
    }
    pairs = sum(map(len, paired.values()))
    differences = _task_means(paired)
    low, high = bootstrap(differences, seed=seed, resamples=resamples, bounds=(-1.0, 1.0))
    p, exact = sign_flip(differences, seed=seed)
    better, worse = (differences > _TOLERANCE).sum(), (differences < -_TOLERANCE).sum()
    return Comparison(
        arm=arm,
        baseline=baseline,
        tasks=len(paired),
        pairs=pairs,
        unpaired=sum(len(seeds) for scores in (ours, theirs) for seeds in scores.values()) - 2 * pairs,
        difference=_mean(differences),
        low=low,
        high=high,
        p=p,
        p_holm=p,
        exact=exact,
        better=int(better),
        worse=int(worse),
        equal=len(paired) - int(better) - int(worse),
    )


def _scores(results: Sequence[Result]) -> Scores:
    """Scores by task and seed, without those that say nothing of the agent."""
    scores: Scores = {}
    for result in results:
        if result.fault in INFRASTRUCTURE:
            continue
        seeds = scores.setdefault(result.task, {})
        if result.seed in seeds:
            raise ValueError(f"two results for task {result.task!r}, arm {result.arm!r}, seed {result.seed}")
        seeds[result.seed] = result.score
    return scores


def _task_means(scores: Scores) -> Floats:
    """One number per task, in the order of their names: the draws below must not depend on the results' order."""
    return np.array([math.fsum(scores[task].values()) / len(scores[task]) for task in sorted(scores)], dtype=np.float64)


def _mean(values: Floats) -> float:
    return math.fsum(values) / len(values) if len(values) else 0.0


def wilson(solved: int, results: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a rate; (0, 1) where there is no result."""
    if not results:
        return 0.0, 1.0
    rate, share = solved / results, z * z / results
    middle = (rate + share / 2) / (1 + share)
    half = z * math.sqrt(rate * (1 - rate) / results + share / (4 * results)) / (1 + share)
    # at the ends the interval reaches the rate, which rounding would miss
    return (0.0 if solved == 0 else max(0.0, middle - half)), (1.0 if solved == results else min(1.0, middle + half))


def bootstrap(
    values: Floats, *, seed: int = 0, resamples: int = RESAMPLES, bounds: tuple[float, float]
) -> tuple[float, float]:
    """95% percentile interval of the mean of one value per task; ``bounds`` where fewer than two tasks tell nothing."""
    count = len(values)
    if count < 2:
        return bounds
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for start in range(0, resamples, 1_000):
        size = min(1_000, resamples - start)
        means[start : start + size] = values[rng.integers(0, count, size=(size, count))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def sign_flip(differences: Floats, *, seed: int = 0, draws: int = 100_000) -> tuple[float, bool]:
    """Two-sided p-value of the sum of differences when each task's sign is a coin, and whether it is exact.

    Sums are followed one task after the other: seeds make few different values, so many sign patterns share one.
    """
    sizes = np.abs(differences[np.abs(differences) > _TOLERANCE])
    observed = abs(math.fsum(differences)) - _TOLERANCE * max(1, len(sizes))
    sums: Floats = np.zeros(1)
    chances: Floats = np.ones(1)
    for size in np.sort(sizes):
        both = np.round(np.concatenate((sums - size, sums + size)), 9)
        sums, place = np.unique(both, return_inverse=True)
        weights = np.concatenate((chances, chances)) / 2
        chances = np.asarray(np.bincount(place, weights=weights), dtype=np.float64)
        if len(sums) > _SUPPORT:
            return _drawn(sizes, observed, seed, draws), False
    return min(1.0, float(chances[np.abs(sums) >= observed].sum())), True


def _drawn(sizes: Floats, observed: float, seed: int, draws: int) -> float:
    """The p-value from random signs; the observed pattern counts as one draw, so that it is never 0."""
    rng = np.random.default_rng(seed)
    extreme = 0
    for start in range(0, draws, 1_000):
        signs = rng.integers(0, 2, size=(min(1_000, draws - start), len(sizes))) * 2 - 1
        extreme += int((np.abs(signs @ sizes) >= observed).sum())
    return (extreme + 1) / (draws + 1)


def holm(values: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down correction of p-values, in their order."""
    corrected = [1.0] * len(values)
    highest = 0.0
    for rank, at in enumerate(sorted(range(len(values)), key=lambda at: values[at])):
        highest = max(highest, min(1.0, (len(values) - rank) * values[at]))
        corrected[at] = highest
    return tuple(corrected)
