"""Held-out tasks: those of the benchmark or, if there is none, the proposed tasks of some of the documents."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence

from lbi.config import Config
from lbi.context import RunContext
from lbi.evaluation.arms import stratified
from lbi.evaluation.benchmark import load_benchmarks
from lbi.records import KeptApart, Task

#: share of the sections whose tasks are held out if there is no benchmark
HELD_OUT_SHARE = 0.2
MOST_SECTIONS = 10_000_000
NO_TASKS = "no task was proposed from any section, so there is nothing to learn from: give documents on how to use it"
NOTHING_TO_LEARN = (
    "all tasks come from {} section of the documents and are held out to measure with, so nothing is left to learn "
    "from: give more documents, or held-out tasks of your own (a benchmark file)"
)


def held_out_sections(sections: int) -> int:
    """How many of this number of sections have their tasks held out, in place of a benchmark."""
    return max(1, round(HELD_OUT_SHARE * sections))


def tasks_wanted(config: Config) -> int:
    """How many tasks to propose: one for each roll-out and, without a benchmark, those to hold out."""
    per_section = max(1, config.synthesis.tasks_per_document)
    if config.benchmark:
        return config.synthesis.rollouts

    def enough(sections: int) -> bool:
        apart = held_out_sections(sections)
        learnt, measured = per_section * (sections - apart), per_section * apart
        return learnt >= config.synthesis.rollouts and measured >= config.evaluation.tasks

    return per_section * bisect_left(range(MOST_SECTIONS), True, lo=2, key=enough)


def to_learn_from(context: RunContext, proposed: Sequence[Task], given: Collection[str] = ()) -> list[Task]:
    """The tasks to learn from, of those proposed so far; all where there is a benchmark.

    Otherwise the tasks of some documents are held out, and which these are is stored: what was held out stays so, and
    no task that was learnt from comes to be measured with. ``given`` are documents that roll-outs have by now.
    """
    if context.config.benchmark:
        return list(proposed)
    apart = _kept_apart(context, proposed, given)
    return [task for task in proposed if task.document not in apart]


def split_held_out(context: RunContext, proposed: Sequence[Task]) -> list[Task]:
    """The tasks to measure with, once all are proposed: the benchmark's, or those that are not learnt from."""
    config, store = context.config, context.folder.store
    tasks = to_learn_from(context, proposed)
    if config.benchmark:
        held_out = load_benchmarks(config.benchmark, config.checkout).tasks(context.environments.name)
        if not tasks:
            context.progress.say(NO_TASKS)
    else:
        learnt = set(tasks)
        held_out = [t.model_copy(update={"name": t.id, "category": "synthesised"}) for t in proposed if t not in learnt]
        if not tasks:
            context.progress.say(NOTHING_TO_LEARN.format(len({task.document for task in proposed})))
    known = store.keys("heldout")
    held_out = _chosen(held_out, config.evaluation.tasks, known)
    store.put_many("heldout", [(task.name, task) for task in held_out if task.name not in known])
    return held_out


def _kept_apart(context: RunContext, proposed: Sequence[Task], given: Collection[str]) -> set[str]:
    """The documents whose tasks are held out: those that were before, and as many more as their share takes."""
    store = context.folder.store
    documents = sorted({task.document for task in proposed})
    before = [*sorted(store.keys("apart")), *(task.document for _, task in store.all("heldout", Task))]
    attempted = {key.split("/")[1] for key in store.keys("trajectory")}
    learnt = {task.document for task in proposed if task.id in attempted} | set(given)
    free = [document for document in documents if document not in learnt]
    apart = list(dict.fromkeys([*before, *free]))[: max(held_out_sections(len(documents)), len(set(before)))]
    store.put_many("apart", [(document, KeptApart(document=document)) for document in set(apart) - set(before)])
    return set(apart)


def _chosen(tasks: Sequence[Task], count: int, before: set[str]) -> list[Task]:
    """``count`` tasks, spread over categories; of a run that is extended, those that it had are among them."""
    chosen = stratified(tasks, count)
    missing = [task for task in tasks if task.name in before and task not in chosen]
    if not missing:
        return chosen
    had = [task for task in tasks if task.name in before]
    return [*had, *(task for task in chosen if task.name not in before)][: max(count, len(had))]
