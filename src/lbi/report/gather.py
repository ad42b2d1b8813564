"""A run folder -> what the report says of it: counts, results and one entry per trajectory."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from lbi.evaluation.calibration import JUDGED
from lbi.models.used import Played, is_language_model, without_language_model
from lbi.records import INFRASTRUCTURE, Document, Example, Impossible, Result, Task, Trajectory, UsedModel, digest_of
from lbi.storage.database import address
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.filters.replay import Replayed

SOURCES = {
    "trajectory": "synthesis",
    "trimmed": "without idle steps",
    "composition": "composition",
    "renewed": "carried out again after a change",
    "episode": "evaluation",
}
NO_LANGUAGE_MODEL = "a program with rules of its own, not a language model"


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)


class Growth(_Loose):
    """Success with so many examples."""

    examples: float  # mean over seeds
    rate: float
    low: float | None = None
    high: float | None = None


class Contamination(_Loose):
    """A held-out task, and the synthesised instruction that comes nearest to it."""

    task: str
    nearest: str = ""
    similarity: float = Field(0.0, validation_alias=AliasChoices("similarity", "score"))
    flag: str = Field("", validation_alias=AliasChoices("flag", "duplicate"))  # exact, near, or empty

    @field_validator("flag", mode="before")
    @classmethod
    def _yes_means_near(cls, value: object) -> object:
        return {True: "near", False: ""}.get(value, value) if isinstance(value, bool) else value


class Summary(_Loose):
    """What the evaluation left in summary.json, as far as the report shows it."""

    growth: tuple[Growth, ...] = ()
    contamination: tuple[Contamination, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What is told of a trajectory without its steps."""

    id: str
    task: str  # id
    instruction: str
    attempt: int  # 0 = the first
    stop: str
    steps: int
    agent: str
    document: str
    shown: frozenset[str]  # ids of the examples that were in its prompts
    checked: bool  # a program scores it


@dataclass(frozen=True, kw_only=True)
class Entry(Brief):
    """One trajectory of the run: its place in the store, and what the list of trajectories says of it."""

    kind: str  # "trajectory", "composition" or "episode"
    key: str
    result: Result | None
    examples: tuple[Example, ...]
    measured: bool = True  # False: the offline model judged it, which says nothing

    @cached_property
    def anchor(self) -> str:
        return "t-" + digest_of([self.kind, self.key])

    @property
    def source(self) -> str:
        return self.result.arm if self.result else SOURCES[self.kind]

    @property
    def kept(self) -> int:
        return sum(example.kept for example in self.examples)

    @property
    def outcome(self) -> str:
        return outcome_of(self.result, self.measured) if self.result else ""


def outcome_of(result: Result, measured: bool = True) -> str:
    """solved, part, missed, error (of environment or harness, which is not the agent's), or ran: nothing is known."""
    if result.fault in INFRASTRUCTURE:
        return "error"
    if not measured:
        return "ran"
    return "solved" if result.score >= 1 else "part" if result.score > 0 else "missed"


@dataclass(frozen=True)
class Gathered:
    """Everything the report needs, but for the steps of the trajectories."""

    name: str
    config: dict[str, Any]
    documents: dict[str, Document]
    tasks: list[Task]
    entries: list[Entry]
    examples: list[Example]
    heldout: dict[str, Task]
    results: list[Result]
    failures: list[dict[str, Any]]
    meters: dict[str, dict[str, float]]
    candidates: int  # compositions that were tried
    impossible: set[str]  # ids of tasks that an agent gave up as impossible
    replays: dict[str, Replayed]  # by the trajectory's id
    judged_episodes: list[Example]  # one for each filter and episode that it was asked about
    models: list[tuple[str, str, int]]  # role, model, calls
    used_models: dict[str, UsedModel]  # by the name that the config gives it
    span: tuple[float, float] | None  # first and last record, seconds since 1970
    summary: Summary
    notes: list[str] = field(default_factory=list)

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The config's part about the evaluation."""
        stated = self.config.get("evaluation")
        return stated if isinstance(stated, dict) else {}

    def is_language_model(self, model: str) -> bool:
        return is_language_model(model, self.used_models)

    def without_language_model(self, role: Played) -> bool:
        """Whether no language model plays a role."""
        return without_language_model(self.config, self.used_models, role)

    @cached_property
    def arms(self) -> list[str]:
        """Arms with results, in the config's order; an arm on a share of its data is a point of the growth, no arm."""
        present = {result.arm for result in self.results}
        named = [str(row.get("name", "")) for row in self.evaluation.get("arms", []) if isinstance(row, dict)]
        shares = {name for name in present if name.rpartition(" @")[0] in named and name not in named}
        return [name for name in named if name in present] + sorted(present - set(named) - shares)

    @cached_property
    def measured(self) -> bool:
        """Whether scores say anything: not where tasks without checks were judged by what is no language model."""
        tasks = {result.task for result in self.results}
        unchecked = any(task.check is None for name, task in self.heldout.items() if name in tasks)
        return not (unchecked and self.without_language_model("judge"))

    @cached_property
    def reference(self) -> str:
        """The arm that the others are compared with."""
        stated = str(self.evaluation.get("reference", ""))
        return stated if stated in self.arms else next(iter(self.arms), "")

    @cached_property
    def episodes(self) -> dict[tuple[str, int, str], Entry]:
        """The episode of an arm, a seed and a task."""
        return {
            (entry.result.arm, entry.result.seed, entry.result.task): entry for entry in self.entries if entry.result
        }

    @cached_property
    def origin(self) -> dict[str, Entry]:
        """The roll-out or composition that a trajectory's id means."""
        return {entry.id: entry for entry in self.entries if entry.kind != "episode"}


#: by kind, key and number of the row, which is another one where a row is written anew
Briefs = dict[tuple[str, str, int], Brief]


def gather(run: RunFolder, briefs: Briefs | None = None) -> Gathered:
    """Read everything once; trajectories are read one at a time, since their texts may not fit in memory together.

    ``briefs`` are those that were read before, to look again at a run that goes on; new ones are added to them.
    """
    store = run.store
    briefs = {} if briefs is None else briefs
    notes: list[str] = []
    summary = _read_summary(run, notes)
    examples = store.all("example", Example)
    results = dict(store.all("result", Result))
    models, span = _ask_database(run)
    used = dict(store.all("model", UsedModel))
    config = run.config if (run.path / "config.json").is_file() else {}
    return Gathered(
        name=run.path.resolve().name,
        config=config,
        documents={document.id: document for _, document in store.all("document", Document)},
        tasks=[task for _, task in store.all("task", Task)],
        entries=_entries(run, examples, results, without_language_model(config, used, "judge"), briefs),
        examples=[example for _, example in examples],
        heldout=dict(store.all("heldout", Task)),
        results=list(results.values()),
        failures=store.failures(),
        meters=store.meters(),
        candidates=store.count("candidate"),
        impossible={record.task for _, record in store.all("impossible", Impossible)},
        replays={replayed.trajectory: replayed for _, replayed in store.all("replay", Replayed)},
        judged_episodes=[judged for _, judged in store.all(JUDGED, Example)],
        models=models,
        used_models=used,
        span=span,
        summary=summary,
        notes=[*summary.notes, *notes],
    )


def _entries(
    run: RunFolder,
    examples: list[tuple[str, Example]],
    results: dict[str, Result],
    judged_offline: bool,
    briefs: Briefs,
) -> list[Entry]:
    spans: dict[tuple[str, str], list[Example]] = defaultdict(list)
    for key, example in examples:
        spans[key.partition(example.trajectory)[0], example.trajectory].append(example)
    entries = []
    for kind in SOURCES:
        rows = run.store.read("record", "SELECT key, rowid FROM record WHERE kind = ? ORDER BY key", (kind,))
        for key, number in rows:
            brief = briefs.get((kind, key, number)) or _brief(run, kind, key)
            if brief is None:
                continue
            briefs[kind, key, number] = brief
            # seeds may come to the same trajectory: the part of the key before its id says whose example it is
            seed = key.partition("/")[0] + "/"
            mine = [] if kind == "episode" else spans[seed, brief.id] or spans["", brief.id]
            result = results.get(key) if kind == "episode" else None
            entries.append(_entry(kind, key, brief, result, mine, brief.checked or not judged_offline))
    return entries


def _brief(run: RunFolder, kind: str, key: str) -> Brief | None:
    trajectory = run.store.get(kind, key, Trajectory)
    if trajectory is None:
        return None
    task = trajectory.task
    return Brief(
        id=trajectory.id,
        task=task.id,
        instruction=task.instruction,
        attempt=trajectory.attempt,
        stop=trajectory.stop,
        steps=len(trajectory.steps),
        agent=trajectory.agent,
        document=task.document,
        shown=frozenset(id_ for step in trajectory.steps for id_ in step.examples),
        checked=task.check is not None,
    )


def _entry(kind: str, key: str, brief: Brief, result: Result | None, spans: list[Example], measured: bool) -> Entry:
    ordered = tuple(sorted(spans, key=lambda example: (example.start, example.end, example.kind)))
    return Entry(kind=kind, key=key, result=result, examples=ordered, measured=measured, **vars(brief))


def _read_summary(run: RunFolder, notes: list[str]) -> Summary:
    file = run.path / "summary.json"
    if not file.is_file():
        return Summary()
    try:
        return Summary.model_validate(json.loads(file.read_text()))
    except (ValidationError, ValueError) as error:
        notes.append(f"summary.json could not be read, so growth and contamination are missing: {error}")
        return Summary()


def _ask_database(run: RunFolder) -> tuple[list[tuple[str, str, int]], tuple[float, float] | None]:
    """Which model answered which role how often, and when the first and last record were written."""
    db = sqlite3.connect(address(run.path / "run.db"), uri=True)
    try:
        models = db.execute(
            "SELECT role, model, count(*) FROM call GROUP BY role, model ORDER BY role, model"
        ).fetchall()
        first, last = db.execute("SELECT min(created), max(created) FROM record WHERE kind != ?", (JUDGED,)).fetchone()
    finally:
        db.close()
    return [(role, model, int(calls)) for role, model, calls in models], (first, last) if first else None
