"""Documents or pages that changed -> the examples concerned, carried out again: renewed or retired, and no other.

No model is asked: what an example says of itself stays true as long as its actions do the same. What did not change is
neither carried out again nor labelled anew. An environment that fails decides nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lbi.context import RunContext
from lbi.documents.corpus import Corpus, read_corpus
from lbi.errors import EnvironmentFailure, UserError
from lbi.monitoring.progress import Stage
from lbi.observations.normalise import kind_of_place, observation_key, place
from lbi.protocols import Environment
from lbi.records import Action, Document, Example, Observation, Record, Step, Task, Trajectory, Verdict
from lbi.rollouts.set_up import set_up
from lbi.storage.knowledge import Entry, KnowledgeLog
from lbi.synthesis.examples import example_key, read_examples
from lbi.synthesis.filter import REPLAY
from lbi.synthesis.origins import UNKNOWN, application_version, learnt

PROBE, RENEWED = "probe", "renewed"
_COMING = ("click", "goto")  # actions after which a page is as whoever opens it sees it
Pair = tuple[Example, Trajectory]


class Probe(Record):
    """How a page looked when it was last looked at, in the state in which every episode begins."""

    address: str
    key: str


@dataclass
class Refreshed:
    """What was found and what became of it."""

    documents: tuple[str, ...] = ()  # ids of those that are gone or say something else
    pages: tuple[str, ...] = ()  # kinds of addresses of pages that look different
    concerned: int = 0  # trajectories
    same: list[str] = field(default_factory=list)  # ids of examples whose steps show just what they showed
    renewed: dict[str, str] = field(default_factory=dict)  # by new ones
    retired: dict[str, str] = field(default_factory=dict)  # why
    failed: int = 0  # trajectories that the environment failed to carry out; they are left as they are
    unsettled: set[str] = field(default_factory=set)  # kinds of their pages, which are looked at again next time


@dataclass(frozen=True)
class Changes:
    """What is not as it was."""

    documents: Mapping[str, str]  # id of one that is gone or says something else -> what it is now, in words
    kinds: frozenset[str]  # of pages
    version: str  # of the application now
    probed: frozenset[str]  # kinds of pages that were looked at

    def concern(self, pair: Pair, log: ItemLog) -> tuple[str, ...]:
        """Why an example may no longer be true; nothing = it is not concerned."""
        example, trajectory = pair
        kinds = {kind_of(page) for page in trajectory.observations[example.start : example.end + 1]}
        reasons = [f"page {kind} looks different" for kind in sorted(kinds & self.kinds)]
        if example.document in self.documents and f"document {example.document}" not in log.settled:
            reasons.append(f"document {example.document} {self.documents[example.document]}")
        if kinds - self.probed and log.version not in (self.version, UNKNOWN, "") and self.version != UNKNOWN:
            reasons.append(f"another version of the application than {log.version}")
        return tuple(reasons)


@dataclass
class ItemLog:
    """What the table says of one example: the last version that it is known to be of, and what is settled."""

    version: str = ""
    settled: str = ""


async def refresh(context: RunContext) -> Refreshed:
    """Look for changes, and settle the examples that they concern.

    Raises UserError where nothing can be put back, and EnvironmentFailure.
    """
    if not context.restores:
        raise UserError(
            f"{context.environments.name} cannot be put back, and examples that are carried out again would change it; "
            "retire by hand what is no longer true, or give its file a way to reset it"
        )
    _, sources = await set_up(context)
    log, store = KnowledgeLog(context.folder.store), context.folder.store
    pairs = {
        seed: [pair for pair in read_examples(context.folder, seed) if pair[0].kept] for seed in context.config.seeds
    }
    before = [document for _, document in store.all("document", Document)]
    gone, new = _changed_documents(before, read_corpus(sources))
    looked = await _look(
        context, [pair for of_seed in pairs.values() for pair in of_seed], dict(store.all(PROBE, Probe))
    )
    version = application_version(context.environments)
    changes = Changes(gone, frozenset(looked.changed), version, frozenset(looked.probes))
    done = Refreshed(tuple(sorted(gone)), tuple(sorted(looked.changed)))
    logs = _logs(log)
    for seed, of_seed in pairs.items():
        concerned = {pair[0].id: why for pair in of_seed if (why := changes.concern(pair, logs[pair[0].id]))}
        walks = {t.id: t for e, t in of_seed if e.id in concerned}
        done.concerned += len(walks)
        with context.progress.stage(f"carry out again (seed {seed})", len(walks)) as stage:
            for walk in walks.values():
                mine = [e for e, t in of_seed if t.id == walk.id and e.id in concerned]
                await _settle(context, seed, walk, mine, concerned, version, done, stage)
                stage.advance()
    after = 1 + max((int(key) for key in store.keys("document")), default=-1)
    await store.put_many("document", [(f"{at:05d}", document) for at, document in enumerate(new, start=after)])
    await store.put_many(PROBE, [row for row in looked.probes.items() if row[0] not in done.unsettled])
    return done


def kind_of(page: Observation) -> str:
    """The kind of a page's address, "/ticket/0"; "" where there are no addresses."""
    return kind_of_place(place(page)).partition("?")[0] if page.url else ""


def _logs(log: KnowledgeLog) -> defaultdict[str, ItemLog]:
    logs: defaultdict[str, ItemLog] = defaultdict(ItemLog)
    for change in log.changes():
        if change.event in ("learnt", "renewed"):
            logs[change.item].version = change.source.partition("application ")[2].partition(";")[0]
            logs[change.item].settled += change.source
    return logs


def _changed_documents(before: Sequence[Document], corpus: Corpus) -> tuple[dict[str, str], list[Document]]:
    """Those that are gone or different, and the new ones. One that cannot be read at present is neither."""
    now = {document.id: document for document in corpus.documents}
    unread = {skipped.source for skipped in corpus.skipped}
    places = {(document.source, document.headings) for document in now.values()}
    gone = {
        document.id: "says something else" if (document.source, document.headings) in places else "is gone"
        for document in before
        if document.id not in now and document.source not in unread
    }
    known = {document.id for document in before}
    return gone, [document for id_, document in now.items() if id_ not in known]


# pages


@dataclass
class Looked:
    """The pages that were looked at, by kind, and the kinds of those that look different."""

    probes: dict[str, Probe] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)


async def _look(context: RunContext, pairs: Sequence[Pair], known: Mapping[str, Probe]) -> Looked:
    """One page of each kind, in the state in which every episode begins, beside how it looked in that state before."""
    expected = _expected(pairs)
    for kind, probe in known.items():
        expected[kind] = (probe.address, {probe.key})
    found = Looked()

    async def look(environment: Environment) -> None:
        found.probes.clear()
        await environment.reset(Task(instruction="", environment=environment.name))
        for kind, (address, _) in sorted(expected.items()):
            page = (await environment.step(Action(text="", kind="goto", value=address).grounded)).observation
            found.probes[kind] = Probe(address=address, key=_key(page))

    def failed(error: EnvironmentFailure, last: bool) -> None:
        if last:
            raise error

    if expected and context.one_application:
        with context.progress.stage("look at pages", 1) as stage:
            await context.pool.do(look, failed=failed)
            stage.advance()
    found.changed = {kind for kind, probe in found.probes.items() if probe.key not in expected[kind][1]}
    return found


def _expected(pairs: Sequence[Pair]) -> dict[str, tuple[str, set[str]]]:
    """{kind of page: (an address, how it looked)}, of pages that were come to while nothing had been changed."""
    walks = {trajectory.id: trajectory for _, trajectory in pairs}
    found: dict[str, tuple[str, set[str]]] = {}
    for walk in (walks[id_] for id_ in sorted(walks)):
        first = walk.observations[0]
        for at, page in enumerate(walk.observations):
            came = not at or (walk.actions[at - 1].kind in _COMING and page.url != walk.observations[at - 1].url)
            if page.url and came and not page.error and page.digest == first.digest:
                address, keys = found.setdefault(kind_of(page), (page.url, set()))
                if page.url == address:
                    keys.add(_key(page))
    return found


def _key(page: Observation) -> str:
    return f"{observation_key(page):x}{' error' if page.error else ''}"


# examples


async def _settle(
    context: RunContext,
    seed: int,
    walk: Trajectory,
    examples: Sequence[Example],
    concerned: Mapping[str, tuple[str, ...]],
    version: str,
    done: Refreshed,
    stage: Stage,
) -> None:
    """Carry a trajectory out once, and decide on its examples; an environment that fails leaves them as they are."""
    outcome: list[Trajectory] = []

    async def work(environment: Environment) -> None:
        outcome[:] = [await walked_again(environment, walk)]

    await context.pool.do(work, failed=context.failure_recorder(RENEWED, f"{seed}/{walk.id}", stage))
    if not outcome:
        done.failed += 1
        done.unsettled |= {kind_of(page) for page in walk.observations}
        return
    (new,) = outcome
    log, entries, rows = KnowledgeLog(context.folder.store), list[Entry](), list[tuple[str, Example]]()
    for example in examples:
        why = "; ".join(concerned[example.id])
        source = f"application {version}; {why}; {time.time()}"  # a page may come to look as it did before
        problem = _problem(example, walk, new)
        if problem:
            done.retired[example.id] = f"{why}, and {problem}"
            entries.append(Entry(example.id, "retired", source, done.retired[example.id]))
        elif _as_before(example, walk, new):
            done.same.append(example.id)
            entries.append(Entry(example.id, "renewed", source, "carried out again with the same outcome"))
        else:
            fresh = _fresh(example, new)
            done.renewed[example.id] = fresh.id
            rows.append((example_key(seed, fresh), fresh))
            entries.append(Entry(example.id, "retired", source, f"{why}; renewed as {fresh.id}"))
            entries += learnt([fresh], version, f"renewed from {example.id}, ")
            entries.append(Entry(fresh.id, "renewed", source, f"from {example.id}"))
    if rows:
        context.folder.store.put(RENEWED, f"{seed}/{new.task.id}/{new.id}", new)
        await context.folder.store.put_many("example", rows)
    log.append(entries)


async def walked_again(environment: Environment, trajectory: Trajectory) -> Trajectory:
    """What the same actions lead to now, up to the first that fails and did not before. Raises EnvironmentFailure."""
    expected = trajectory.observations
    seen = await environment.reset(trajectory.task)
    steps: list[Step] = []
    for at, step in enumerate(trajectory.steps):
        outcome = await environment.step(step.action.grounded)
        steps.append(step.model_copy(update={"observation": seen, "action": outcome.action}))
        seen = outcome.observation
        if seen.error and not expected[at + 1].error:
            break
    return trajectory.model_copy(update={"steps": tuple(steps), "last": seen})


def _problem(example: Example, old: Trajectory, new: Trajectory) -> str:
    """Why the steps of an example no longer do the same; "" if they do."""
    for at in range(example.start, example.end + 1):
        if at >= len(new.observations):
            return f"step {len(new.observations) - 1} is no longer possible: {new.last.error}"
        before, now = old.observations[at], new.observations[at]
        if now.error and not before.error:
            return f"step {at} is no longer possible: {now.error}"
        if before.error and not now.error:
            return f"step {at} no longer fails"
        if before.digest != now.digest:
            return f"observation {at}: another state"
        if not before.digest and kind_of(before) != kind_of(now):
            return f"observation {at}: another page ({now.url})"
    return ""


def _as_before(example: Example, old: Trajectory, new: Trajectory) -> bool:
    span = range(example.start, example.end + 1)
    return all(observation_key(old.observations[at]) == observation_key(new.observations[at]) for at in span)


def _fresh(example: Example, new: Trajectory) -> Example:
    """The same instruction, and the pages as they are now."""
    verdict = Verdict(filter=REPLAY, keep=True, reason=f"carried out again after a change, from {example.id}")
    verdicts = (*(each for each in example.verdicts if each.filter != REPLAY), verdict)
    return example.model_copy(update={"trajectory": new.id, "verdicts": verdicts})
