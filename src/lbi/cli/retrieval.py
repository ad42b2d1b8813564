"""check retrieval: for how many held-out tasks of a run is an example of the operation among those that are shown?"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.markup import escape
from rich.table import Table

from lbi.cli import open_console
from lbi.config import resolve
from lbi.errors import UserError
from lbi.evaluation.arms import examples_for
from lbi.evaluation.indexes import embedded
from lbi.evaluation.relevance import Relevance, Search, StoredOperations, TaskFound, measure, measure_left_out
from lbi.models.sentence_encoder import SentenceEncoder, open_encoder
from lbi.monitoring.terminal import say
from lbi.prompts.known import examples_shown
from lbi.protocols import LookUp, Shown
from lbi.records import Observation, Task
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.texts import texts_of, without_values
from lbi.storage.run_folder import RunFolder

TOP = (1, 3, 5)


class Way(NamedTuple):
    """How examples are looked up."""

    by_page: int = 5
    by_query: int = 5
    room: int = 0  # characters of a prompt, where those are meant that it tells; 0 = all that are found
    own: bool = False  # for the run's own examples, not for the held-out tasks
    by_words: bool = True  # else by meaning alone


_WAYS = {"as an agent is shown them": Way(), "by the instruction alone": Way(by_page=0)}
_BY_MEANING = {f"{name}, by meaning too": way for name, way in _WAYS.items()} | {
    f"{name}, by meaning alone": way._replace(by_words=False) for name, way in _WAYS.items()
}
_LEFT_OUT = "its own examples, left out"
_NUMBERS = (0, 1, 3, 5, 10)
_SWEPT = {f"m1 = {m1}, m2 = {m2}": Way(m1, m2) for m1 in _NUMBERS for m2 in _NUMBERS if m1 + m2} | {
    f"told in {room} characters": Way(room=room) for room in (400, 800, 1600, 3200)
}


def check_retrieval(run: str, sweep: bool, as_json: bool) -> int:
    """Print what was found for the held-out tasks of a run, and of those that found nothing why.

    ``sweep``: instead, what other numbers of examples would find.
    """
    if not run:
        raise UserError("which run? Write `lbi check retrieval RUN`, with the folder of a run that has examples")
    with RunFolder(Path(run), writing=False) as folder:
        config = resolve(folder.config, run)
        stored = StoredOperations(folder)
        if not stored.tasks:
            raise UserError(f"{run} has no held-out tasks to look up; `lbi run` stores them when it comes to measure")
        wanted = _SWEPT if sweep else _WAYS | {_LEFT_OUT: Way(own=True)}
        ways = _measured(stored, config.seeds, None, wanted)
        if (encoder := open_encoder()) is not None and not sweep:
            ways |= _measured(stored, config.seeds, encoder, _BY_MEANING)
    if not any(relevance.found for name, relevance in ways.items() if name != _LEFT_OUT):
        raise UserError(
            f"nothing tells what the held-out tasks of {run} ask for: no gold, and no episode that solved one"
        )
    if as_json:
        say(json.dumps({name: _as_json(found) for name, found in ways.items()}, indent=2, ensure_ascii=False))
    else:
        _print(ways)
    return 0


def _measured(
    stored: StoredOperations, seeds: Sequence[int], embedder: SentenceEncoder | None, ways: dict[str, Way]
) -> dict[str, Relevance]:
    together = {name: Relevance() for name in ways}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as place:
            index = _index(Path(place), stored, seed, embedder)
            for name, way in ways.items():
                look_up = measure_left_out if way.own else measure
                found = look_up(stored, seed, _search(index, embedder, way), way.by_page + way.by_query)
                together[name].found += found.found
                together[name].without_operation = found.without_operation
            index.close()
    return together


def _index(place: Path, stored: StoredOperations, seed: int, embedder: SentenceEncoder | None) -> ExampleIndex:
    """An index as the arm "backward" has it, in a folder of its own: the run is only read."""
    pairs = examples_for("backward", stored.examples(seed), seed)
    examples, trajectories = [example for example, _ in pairs], {walk.id: walk for _, walk in pairs}
    vectors = asyncio.run(embedded(embedder, texts_of(examples, trajectories)))
    return ExampleIndex.build(place, examples, trajectories, vectors)


def _search(index: ExampleIndex, embedder: SentenceEncoder | None, way: Way) -> Search:
    def search(task: Task, page: Observation, shown: int, exclude: Collection[str] = ()) -> Sequence[Shown]:
        vector = None if embedder is None else embedder.encode([without_values(task.instruction)])[0]
        most = max(way.by_query, shown - way.by_page)
        found = index.search(
            task,
            page,
            task.instruction,
            m1=way.by_page,
            m2=most,
            exclude=exclude,
            vector=vector,
            task_vector=vector,
            by_words=way.by_words,
        )
        if not way.room:
            return found
        [told] = examples_shown([LookUp(step=0, found=found)], way.room, way.room)
        return [shown for shown, _ in told]

    return search


def _print(ways: dict[str, Relevance]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in (
        "",
        *(f"recall@{k}" for k in TOP),
        *(f"@{k}, same field" for k in TOP),
        "found",
        "told",
        "right one told",
        "ms",
    ):
        table.add_column(name, justify="right" if name else "left")
    for name, relevance in ways.items():
        recalls = [f"{relevance.recall(k, fields=fields):.1%}" for fields in (False, True) for k in TOP]
        shown, told = (
            statistics.mean(numbers) if numbers else 0.0
            for numbers in ([each.shown for each in relevance.found], [each.told for each in relevance.found])
        )
        took = statistics.median(each.milliseconds for each in relevance.found) if relevance.found else 0.0
        right = f"{relevance.recall_of_told:.1%}"
        table.add_row(name, *recalls, f"{shown:.1f}", f"{told:.1f}", right, f"{took:.1f}")
    console = open_console()
    first = next(iter(ways.values()))
    tasks = len({each.task.id for each in first.found})
    console.print(f"{len(first.found)} look-ups: {tasks} held-out tasks, each with the examples of every seed")
    console.print(table)
    for line in _lines(first):
        console.print(escape(line))


def _lines(found: Relevance) -> Iterator[str]:
    there, with_field = found.share(lambda each: each.exists), found.share(lambda each: each.exists_with_fields)
    yield f"An example of the operation is in the index for {there:.1%}, with the same field for {with_field:.1%}"
    nothing = found.share(lambda each: not each.rank)
    yield f"Nothing fitted: {nothing:.1%}; no example was shown at all: {found.share(lambda each: not each.shown):.1%}"
    for reason, count in found.reasons.most_common():
        yield f"{count:5}  {reason}"
    if found.without_operation:
        yield f"Left out, as neither gold nor an episode tells their operation: {', '.join(found.without_operation)}"


def _as_json(found: Relevance) -> dict[str, Any]:
    return {
        "recall": {str(k): found.recall(k) for k in TOP},
        "recall_same_field": {str(k): found.recall(k, fields=True) for k in TOP},
        "recall_of_told": found.recall_of_told,
        "in_the_index": found.share(lambda each: each.exists),
        "nothing_fitted": found.share(lambda each: not each.rank),
        "without_operation": found.without_operation,
        "tasks": [_row(each) for each in found.found],
    }


def _row(found: TaskFound) -> dict[str, Any]:
    return {
        "task": found.task.name or found.task.id,
        "seed": found.seed,
        "operation": str(found.operation),
        "rank": found.rank,
        "rank_same_field": found.rank_of_fields,
        "shown": found.shown,
        "told": found.told,
        "why": found.why,
        "detail": found.detail,
    }
