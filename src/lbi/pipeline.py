"""The whole method in one function: documents -> tasks -> trajectories -> examples -> agent -> results -> report."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from lbi.benchmark import load_benchmarks
from lbi.claims import Claims, Place
from lbi.config import Config
from lbi.contamination import nearest
from lbi.contracts import Environment
from lbi.embed import Embedder, open_embedder
from lbi.errors import EnvironmentFailure, UserError
from lbi.evaluate import evaluate, examples_for, stratified
from lbi.money import Budget
from lbi.prices import Prices
from lbi.progress import Form, Seen
from lbi.records import Document, Example, Result, Task, Trajectory
from lbi.report import write_report
from lbi.statistics import success
from lbi.store import RunFolder, write_atomically
from lbi.stream import learn
from lbi.synthesis import compose_examples, propose_tasks, read_documents, seeded_examples
from lbi.telemetry import RUN, Nowhere, Telemetry, span, used
from lbi.workshop import Workshop, calls_without_price, money_spent
from lbi.worlds import open_world, own_documents

#: of the proposed tasks, when there is no benchmark
HELD_OUT_SHARE = 0.2
NO_TASKS = "no task was proposed from any section, so there is nothing to learn from: give documents on how to use it"
NOTHING_TO_LEARN = (
    "all tasks come from {} section of the documents and are held out to measure with, so nothing is left to learn "
    "from: give more documents, or held-out tasks of your own (a benchmark file)"
)
Only = Literal["", "synthesis", "evaluation"]


@dataclass(frozen=True)
class Ended:
    """What a run came to."""

    results: tuple[Result, ...]
    report: Path
    times: dict[str, float]  # seconds per stage of this process


async def run(
    config: Config,
    out: Path,
    console: Console,
    *,
    progress: Form = "auto",
    only: Only = "",
    join: bool = False,
    telemetry: Telemetry | None = None,
) -> Ended:
    """Run or continue a run. Everything finished is taken from the folder; the rest is done.

    With ``join``, together with the process that works on it already, if there is one.
    """
    if join and config.models.budget is not None:
        raise UserError("a run with a budget takes one process, as only that one knows what it has under way")
    began = time.monotonic()
    prices = Prices(config.models.prices)
    with RunFolder(out, config.identity(), joining=join) as folder:
        seen = Seen(
            console, form=progress, money=lambda: money_spent(folder), unpriced=lambda: calls_without_price(folder)
        )
        claims = Claims(folder.store)
        await claims.enter(alone=folder.alone)
        folder.let_in(joined=join)
        shop = Workshop(
            run=folder,
            config=config,
            progress=seen,
            claims=claims,
            world=open_world(config, folder.save_image),
            prices=prices,
            budget=Budget(config.models.budget, money_spent(folder)) if config.models.budget is not None else None,
            embedder=_embedder(config, folder),
        )
        try:
            with contextlib.ExitStack() as cut_short:
                cut_short.callback(_write_down_what_there_is, shop)  # however it ended, interrupted by hand too
                with used(telemetry or Nowhere()), span("run", {RUN: config.name}):
                    results = await _stages(shop, only)
                cut_short.pop_all()
        finally:
            await shop.close()
            with contextlib.suppress(UserError):
                await claims.leave()
        times = {**seen.times, "in all": time.monotonic() - began}
        return Ended(tuple(results), _write_down(shop), times)


def _write_down_what_there_is(shop: Workshop) -> None:
    """What stopped the run says more than what may now keep its report from being written."""
    with contextlib.suppress(OSError, UserError):
        _write_down(shop)


def _write_down(shop: Workshop) -> Path:
    """The times of this process's stages, how busy its resources were, and the report."""
    folder, store = shop.run, shop.run.store
    for name, seconds in shop.progress.times.items():
        store.add(name, seconds=seconds)
    for name, share in shop.shares().items():
        store.add(f"busy: {name}", **share._asdict())
    return write_report(folder)


def _embedder(config: Config, folder: RunFolder) -> Embedder | None:
    if not config.models.embeddings:
        return None
    return open_embedder(
        config.models.embeddings, base_url=config.models.embeddings_url, cache=folder.path / "embeddings.db"
    )


async def _stages(shop: Workshop, only: Only) -> list[Result]:
    config = shop.config
    _check_models(shop)
    if only == "evaluation":
        documents, proposed = _stored(shop)
    else:
        documents, proposed = await _proposed(shop)
    held_out, tasks = _split(shop, proposed)
    results: list[Result] = []
    for seed in config.seeds:
        examples = stored_examples(shop, seed) if only == "evaluation" else await synthesize(shop, tasks, seed)
        if only != "synthesis":
            results += await evaluate(shop, held_out, seed, examples, documents)
            _summarise(shop, held_out, results)
    return results


async def _proposed(shop: Workshop) -> tuple[Sequence[Document], list[Task]]:
    """Read the documents and propose tasks from them."""
    with shop.progress.stage("set up", 1) as stage:
        actions = await _tried_out(shop)
        sources = (*await own_documents(shop.config, shop.world), *shop.config.documents)
        stage.advance()
    documents = read_documents(shop, sources).documents
    async with shop.turn(
        Place("stage", "propose")
    ) as mine:  # one process asks, as a section may answer otherwise again
        return documents, await propose_tasks(shop, documents, actions, tasks_wanted(shop.config) if mine else 0)


async def _tried_out(shop: Workshop) -> str:
    """The actions. A site, a browser or a log-in that does not work ends the run here, before any call is paid for."""
    actions = ""

    async def one(environment: Environment) -> None:
        nonlocal actions
        await environment.reset(Task(instruction="", environment=shop.world.name))
        actions = environment.actions

    def failed(error: EnvironmentFailure, last: bool) -> None:
        if last:
            raise error

    await shop.pool.do(one, failed=failed)
    return actions


def _stored(shop: Workshop) -> tuple[Sequence[Document], list[Task]]:
    """What an earlier synthesis left in the folder."""
    store = shop.run.store
    if not store.count("example"):
        raise UserError(f"{shop.run.path} has no examples to evaluate; `lbi synthesize` makes them")
    documents = [document for _, document in store.all("document", Document)]
    return documents, [task for _, task in store.all("task", Task)]


def _check_models(shop: Workshop) -> None:
    """A missing key or an unknown name ends the run before any work is done."""
    for role in ("propose", "act", "query", "abstract"):
        shop.role(role)
    _ = shop.judges


def held_out_sections(sections: int) -> int:
    """Of so many sections with tasks, those whose tasks stand in for a benchmark."""
    return max(1, round(HELD_OUT_SHARE * sections))


def tasks_wanted(config: Config) -> int:
    """How many tasks to propose: one for each roll-out, and without a benchmark those to hold out beside them."""
    each = max(1, config.synthesis.tasks_per_document)
    if config.benchmark:
        return config.synthesis.rollouts
    sections = 2
    while (
        each * (sections - held_out_sections(sections)) < config.synthesis.rollouts
        or each * held_out_sections(sections) < config.evaluation.tasks
    ):
        sections += 1
    return each * sections


def _split(shop: Workshop, proposed: Sequence[Task]) -> tuple[list[Task], list[Task]]:
    """(held-out tasks, tasks to learn from). Without a benchmark, those of some documents are held out."""
    config, store = shop.config, shop.run.store
    if config.benchmark:
        held_out = load_benchmarks(config.benchmark).tasks(shop.world.name)
        tasks = list(proposed)
        if not tasks:
            shop.progress.say(NO_TASKS)
    else:
        documents = sorted({task.document for task in proposed})
        apart = set(documents[: held_out_sections(len(documents))])
        held_out = [
            t.model_copy(update={"name": t.id, "category": "synthesised"}) for t in proposed if t.document in apart
        ]
        tasks = [task for task in proposed if task.document not in apart]
        if not tasks:
            shop.progress.say(NOTHING_TO_LEARN.format(len(documents)))
    held_out = stratified(held_out, config.evaluation.tasks)
    known = store.keys("heldout")
    store.put_many("heldout", [(task.name, task) for task in held_out if task.name not in known])
    return held_out, tasks[: config.synthesis.rollouts]


async def synthesize(shop: Workshop, tasks: Sequence[Task], seed: int) -> list[tuple[Example, Trajectory]]:
    """One seed's examples, kept and dropped, with their trajectories."""
    trajectories = await learn(shop, tasks, seed)
    composed = await compose_examples(shop, trajectories, seed)
    by_id = {trajectory.id: trajectory for trajectory in (*trajectories, *composed)}
    return [(e, by_id[e.trajectory]) for _, e in seeded_examples(shop, seed) if e.trajectory in by_id]


def stored_examples(shop: Workshop, seed: int) -> list[tuple[Example, Trajectory]]:
    """The examples of one seed that are in the folder, with their trajectories."""
    rows = [row for kind in ("trajectory", "trimmed", "composition") for row in shop.run.store.all(kind, Trajectory)]
    by_id = {trajectory.id: trajectory for key, trajectory in rows if key.startswith(f"{seed}/")}
    return [(e, by_id[e.trajectory]) for _, e in seeded_examples(shop, seed) if e.trajectory in by_id]


def _summarise(shop: Workshop, held_out: Sequence[Task], results: Sequence[Result]) -> None:
    """What the report shows beyond the records: growth with the data, contamination, notes."""
    examples = [(key, e) for key, e in shop.run.store.all("example", Example) if e.kept]
    found = nearest(held_out, [(e.id, e.instruction) for _, e in examples])
    summary: dict[str, Any] = {
        "growth": _growth(shop, results),
        "contamination": [item.model_dump(mode="json") for item in found],
        "notes": _notes(shop),
    }
    write_atomically(shop.run.path / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False).encode())


def _growth(shop: Workshop, results: Sequence[Result]) -> list[dict[str, float]]:
    config = shop.config
    name = config.evaluation.growth_arm
    if not config.evaluation.growth:
        return []
    points = []
    for share in (*config.evaluation.growth, 1.0):
        arm = name if share == 1.0 else f"{name} @{share:g}"
        some = [result for result in results if result.arm == arm]
        if some:
            rate, low, high = success(some)
            points.append({"examples": _count(shop, share), "rate": rate, "low": low, "high": high})
    reference = [result for result in results if result.arm == config.evaluation.reference]
    if reference:
        rate, low, high = success(reference)
        points.insert(0, {"examples": 0, "rate": rate, "low": low, "high": high})
    return points


def _count(shop: Workshop, share: float) -> float:
    """Examples per seed that an arm had at this share."""
    config, store = shop.config, shop.run.store
    arm = next(arm for arm in config.evaluation.arms if arm.name == config.evaluation.growth_arm)
    trajectories = {t.id: t for _, t in store.all("trajectory", Trajectory)}
    counts = []
    for seed in config.seeds:
        pairs = [
            (e, trajectories[e.trajectory]) for _, e in seeded_examples(shop, seed) if e.trajectory in trajectories
        ]
        counts.append(len(examples_for(arm.data, pairs, seed, share)))
    return sum(counts) / len(counts)


def _notes(shop: Workshop) -> list[str]:
    config, notes = shop.config, []
    if config.models.of("act") == "offline":
        notes.append("The agent is the offline policy, which is no language model; its numbers are its own.")
    if not config.benchmark:
        notes.append(
            "No held-out tasks were given: synthesised tasks of held-out documents, judged by the committee, stand in."
        )
    if not shop.restores:
        notes.append(
            "The site cannot be put back to its first state: no example was replayed or composed, and each episode "
            "began with what the ones before it had left, in all arms alike."
        )
    return notes
