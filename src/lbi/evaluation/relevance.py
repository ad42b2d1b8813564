"""A stored run -> how well retrieval finds, for each held-out task, an example of the operation that the task asks for.

The operation of a task is that of its gold solution or, where it has none, of an episode that solved it. Nothing is
asked of a model. For a task that finds nothing, the chain is looked through: what was never rolled out cannot be
labelled, and what was not labelled cannot be found.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lbi.evaluation.arms import examples_for
from lbi.observations.operations import Operation, Operations
from lbi.records import Example, Observation, Result, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import read_examples

NEVER_ROLLED_OUT, NOT_LABELLED = "never rolled out", "rolled out and not labelled"
DROPPED, IN_THE_INDEX = "dropped", "in the index"
LONG = 1000  # examples of the ranking in which one that is not shown is looked for
Alike = tuple[str, str, str]
#: a task, the page it starts on, how many -> the examples that an agent is shown, best first
Search = Callable[[Task, Observation, int], Sequence[tuple[Example, Trajectory]]]


@dataclass(frozen=True)
class TaskFound:
    """What was found for one held-out task with the examples of one seed."""

    task: Task
    seed: int
    operation: Operation
    rank: int  # of the first example of the operation, from 1; 0 = none is shown
    rank_of_fields: int  # of the first that enters something into the same field, too
    shown: int
    milliseconds: float
    exists: bool  # whether an example of the operation is in the index
    exists_with_fields: bool
    why: str = ""  # of a task for which none is shown: how far the operation came
    detail: str = ""  # such as the filter that dropped it


@dataclass
class Relevance:
    """All held-out tasks, once for each seed."""

    found: list[TaskFound] = field(default_factory=list)
    without_operation: list[str] = field(default_factory=list)  # tasks that nobody has solved, and no gold tells

    def recall(self, k: int, *, fields: bool = False) -> float:
        """The share of the tasks for which one of the first ``k`` examples is of the operation."""
        ranks = [each.rank_of_fields if fields else each.rank for each in self.found]
        return sum(0 < rank <= k for rank in ranks) / max(1, len(ranks))

    def share(self, holds: Callable[[TaskFound], bool]) -> float:
        return sum(map(holds, self.found)) / max(1, len(self.found))

    @property
    def reasons(self) -> Counter[str]:
        """Why nothing was found, and how often."""
        return Counter(f"{each.why}: {each.detail}" if each.detail else each.why for each in self.found if each.why)


class StoredOperations:
    """What a run has of operations: its held-out tasks with theirs, and how far each operation came in a seed."""

    def __init__(self, folder: RunFolder) -> None:
        store = folder.store
        self._folder = folder
        self.tasks = [task for _, task in store.all("heldout", Task)]
        self._episodes = dict(store.all("episode", Trajectory))
        self._results = dict(store.all("result", Result))
        self._rollouts = dict(store.all("trajectory", Trajectory))
        walks = [*self._rollouts.values(), *self._episodes.values()]
        self._read = Operations(seen for walk in walks for seen in walk.observations)
        self.start = next((walk.observations[0] for walk in walks if not walk.task.start_url), Observation(text=""))

    def examples(self, seed: int) -> list[tuple[Example, Trajectory]]:
        """Those that were labelled backward, dropped ones included."""
        return [pair for pair in read_examples(self._folder, seed) if pair[0].kind != "forward"]

    def of_task(self, task: Task) -> Operation | None:
        """The operation of a held-out task."""
        if task.gold:
            return self._read.of_actions(task.gold)
        for key, result in sorted(self._results.items()):
            walk = self._episodes.get(key)
            if result.score >= 1 and walk is not None and result.task == (task.name or task.id):
                return self._read.of_span(walk, 0, len(walk.steps))
        return None

    def of_example(self, example: Example, trajectory: Trajectory) -> Operation | None:
        return self._read.of_span(trajectory, example.start, example.end)

    def start_of(self, task: Task) -> Observation:
        """The page on which a held-out task starts."""
        walks = (walk for walk in self._episodes.values() if walk.task.id == task.id)
        return next((walk.observations[0] for walk in walks), self.start)

    def rolled_out(self, seed: int) -> set[Alike]:
        """Every operation that some roll-out of a seed carried out, successful or not."""
        walks = [walk for key, walk in self._rollouts.items() if key.startswith(f"{seed}/")]
        single = (self._read.of_span(walk, at, at + 1) for walk in walks for at in range(len(walk.steps)))
        return {operation.alike for operation in single if operation}


def measure(stored: StoredOperations, seed: int, search: Search, shown: int) -> Relevance:
    """Look all held-out tasks up among the examples of a seed. ``search`` is asked for ``shown`` examples."""
    relevance, chain = Relevance(), _Chain(stored, seed)
    for task in stored.tasks:
        operation = stored.of_task(task)
        if operation is None:
            relevance.without_operation.append(task.name or task.id)
        else:
            relevance.found.append(_looked_up(stored, chain, task, operation, search, shown))
    return relevance


def _looked_up(
    stored: StoredOperations, chain: _Chain, task: Task, operation: Operation, search: Search, shown: int
) -> TaskFound:
    page = stored.start_of(task)
    started = time.perf_counter()
    pairs = search(task, page, shown)
    milliseconds = 1000 * (time.perf_counter() - started)
    found = [stored.of_example(*pair) for pair in pairs]
    rank = _rank(found, operation)
    why, detail = ("", "") if rank else chain.why(operation)
    if why == IN_THE_INDEX:
        last = _rank([stored.of_example(*pair) for pair in search(task, page, LONG)], operation)
        detail = f"ranked after {shown}" if last else "behind others like it, or below the threshold"
    return TaskFound(
        task=task,
        seed=chain.seed,
        operation=operation,
        rank=rank,
        rank_of_fields=_rank(found, operation, fields=True),
        shown=len(found),
        milliseconds=milliseconds,
        exists=operation.alike in chain.indexed,
        exists_with_fields=any(operation.same_fields(other) for other in chain.indexed.get(operation.alike, ())),
        why=why,
        detail=detail,
    )


def _rank(found: Sequence[Operation | None], wanted: Operation, *, fields: bool = False) -> int:
    """The place of the first that is of the wanted operation, from 1; 0 = none is."""
    for rank, other in enumerate(found, 1):
        if other and other.alike == wanted.alike and (not fields or other.same_fields(wanted)):
            return rank
    return 0


class _Chain:
    """How far each operation came with one seed: rolled out, labelled, kept by the filters, in the index."""

    def __init__(self, stored: StoredOperations, seed: int) -> None:
        self.seed = seed
        pairs = stored.examples(seed)
        kept = {example.id for example, _ in examples_for("composed", pairs, seed)}
        self.indexed: dict[Alike, list[Operation]] = {}
        self._rolled_out = stored.rolled_out(seed)
        self._dropped: dict[Alike, Counter[str]] = {}
        for example, trajectory in pairs:
            if (operation := stored.of_example(example, trajectory)) is None:
                continue
            if example.id in kept:
                self.indexed.setdefault(operation.alike, []).append(operation)
            else:
                self._dropped.setdefault(operation.alike, Counter())[_dropped_by(example)] += 1

    def why(self, operation: Operation) -> tuple[str, str]:
        """How far an operation came that was not found, and what stopped it there."""
        if operation.alike in self.indexed:
            return IN_THE_INDEX, ""
        if operation.alike in self._dropped:
            return DROPPED, "by " + self._dropped[operation.alike].most_common(1)[0][0]
        return (NOT_LABELLED if operation.alike in self._rolled_out else NEVER_ROLLED_OUT), ""


def _dropped_by(example: Example) -> str:
    return next((verdict.filter for verdict in example.verdicts if not verdict.keep), "the limit on equal examples")
