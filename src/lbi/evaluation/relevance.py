"""A stored run -> how well retrieval finds, for each held-out task, an example of the operation that the task asks for.

The operation of a task is that of its gold solution or, where it has none, of an episode that solved it. Nothing is
asked of a model. For a task that finds nothing, the chain is looked through: what was never rolled out cannot be
labelled, and what was not labelled cannot be found.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from lbi.evaluation.arms import examples_for
from lbi.observations.operations import Operation, Operations
from lbi.protocols import Shown
from lbi.records import Example, Observation, Result, Task, Trajectory
from lbi.retrieval.texts import in_other_words, without_values
from lbi.storage.run_folder import RunFolder
from lbi.storage.secrets import mask
from lbi.synthesis.examples import read_examples

NEVER_ROLLED_OUT, NOT_LABELLED = "never rolled out", "rolled out and not labelled"
DROPPED, IN_THE_INDEX = "dropped", "in the index"
LONG = 1000  # examples of the ranking in which one that is not shown is looked for
Alike = tuple[str, str, str]
LEFT_OUT = 300  # about so many of a run's own examples are asked for
#: a task, the page it starts on, how many, what they must not come from -> the examples that are found, best first
Search = Callable[[Task, Observation, int, Collection[str]], Sequence[Shown]]


@dataclass(frozen=True)
class TaskFound:
    """What was found for one held-out task with the examples of one seed."""

    task: Task
    seed: int
    operation: Operation
    rank: int  # of the first example of the operation, from 1; 0 = none is shown
    rank_of_fields: int  # of the first that enters something into the same field, too
    shown: int
    told: int  # of these, the first so many are for a prompt, the others add nothing to them
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
    def recall_of_told(self) -> float:
        """The share of the tasks for which one of the examples for a prompt is of the operation."""
        return self.share(lambda each: 0 < each.rank <= each.told)

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
            page = stored.start_of(task)
            relevance.found.append(_looked_up(stored, chain, task, page, operation, search, shown))
    return relevance


def measure_left_out(stored: StoredOperations, seed: int, search: Search, shown: int) -> Relevance:
    """Look the run's own examples up, each by half of its words and on its first page, among those of other roll-outs.

    No held-out task has a part in it. Operations that one roll-out alone has are left out, as nothing could be found.
    """
    relevance, chain = Relevance(), _Chain(stored, seed)
    pairs = sorted(examples_for("backward", stored.examples(seed), seed), key=lambda pair: pair[0].id)
    known = [(*pair, operation) for pair in pairs if (operation := stored.of_example(*pair))]
    roll_outs: dict[Alike, set[str]] = {}
    for _, walk, operation in known:
        roll_outs.setdefault(operation.alike, set()).add(walk.id)
    asked = [each for each in known if len(roll_outs[each[2].alike]) > 1]
    for example, walk, operation in asked[:: max(1, len(asked) // LEFT_OUT)]:
        task = Task(
            instruction=in_other_words(without_values(mask(example.instruction))), environment=walk.task.environment
        )
        page = walk.observations[example.start]
        relevance.found.append(_looked_up(stored, chain, task, page, operation, search, shown, {walk.id}))
    return relevance


def _looked_up(
    stored: StoredOperations,
    chain: _Chain,
    task: Task,
    page: Observation,
    operation: Operation,
    search: Search,
    shown: int,
    exclude: Collection[str] = (),
) -> TaskFound:
    started = time.perf_counter()
    hits = search(task, page, shown, exclude)
    milliseconds = 1000 * (time.perf_counter() - started)
    found = _operations(stored, hits)
    rank = _rank(found, operation)
    why, detail = ("", "") if rank else chain.why(operation)
    if why == IN_THE_INDEX:
        last = _rank(_operations(stored, search(task, page, LONG, exclude)), operation)
        detail = f"ranked after {shown}" if last else "behind others like it, or below the threshold"
    return TaskFound(
        task=task,
        seed=chain.seed,
        operation=operation,
        rank=rank,
        rank_of_fields=_rank(found, operation, fields=True),
        shown=len(found),
        told=sum(hit.adds for hit in hits),
        milliseconds=milliseconds,
        exists=operation.alike in chain.indexed,
        exists_with_fields=any(operation.same_fields(other) for other in chain.indexed.get(operation.alike, ())),
        why=why,
        detail=detail,
    )


def _operations(stored: StoredOperations, hits: Sequence[Shown]) -> list[Operation | None]:
    return [stored.of_example(hit.example, hit.trajectory) for hit in hits]


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
