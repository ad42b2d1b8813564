"""A run folder -> what the report says of it: counts, results and one entry per trajectory."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from lbi.records import Document, Example, Result, Task, Trajectory, digest_of
from lbi.store import RunFolder

OFFLINE = "offline policy, not a language model"


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)


class Growth(_Loose):
    """Success with so many examples."""

    examples: int
    rate: float
    low: float | None = None
    high: float | None = None


class Contamination(_Loose):
    """A held-out task, and the synthesised instruction that comes nearest to it."""

    task: str
    nearest: str = ""
    similarity: float = 0.0
    flag: bool = False


class Summary(_Loose):
    """What the evaluation left in summary.json, as far as the report shows it."""

    growth: tuple[Growth, ...] = ()
    contamination: tuple[Contamination, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One trajectory of the run: its place in the store, and what the list of trajectories says of it."""

    kind: str  # "trajectory" or "episode"
    key: str
    id: str
    task: str  # id
    instruction: str
    stop: str
    steps: int
    agent: str
    document: str
    result: Result | None
    examples: tuple[Example, ...]

    @cached_property
    def anchor(self) -> str:
        return "t-" + digest_of([self.kind, self.key])

    @property
    def source(self) -> str:
        return self.result.arm if self.result else "synthesis" if self.kind == "trajectory" else "evaluation"

    @property
    def kept(self) -> int:
        return sum(example.kept for example in self.examples)

    @property
    def outcome(self) -> str:
        return outcome_of(self.result) if self.result else ""


def outcome_of(result: Result) -> str:
    """solved, part, missed, or error (of environment or harness, which is not the agent's)."""
    if result.fault in ("environment", "harness"):
        return "error"
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
    models: list[tuple[str, str, int]]  # role, model, calls
    span: tuple[float, float] | None  # first and last record, seconds since 1970
    summary: Summary
    notes: list[str] = field(default_factory=list)

    @cached_property
    def arms(self) -> list[str]:
        """Arms with results, in the config's order."""
        present = {result.arm for result in self.results}
        stated = self.config.get("evaluation", {})
        rows = stated.get("arms", []) if isinstance(stated, dict) else []
        named = [str(row.get("name", "")) for row in rows if isinstance(row, dict)]
        return [name for name in named if name in present] + sorted(present - set(named))

    @cached_property
    def episodes(self) -> dict[tuple[str, int, str], Entry]:
        """The episode of an arm, a seed and a task."""
        return {
            (entry.result.arm, entry.result.seed, entry.result.task): entry for entry in self.entries if entry.result
        }

    @cached_property
    def origin(self) -> dict[str, Entry]:
        """The roll-out that a trajectory's id means."""
        return {entry.id: entry for entry in self.entries if entry.kind == "trajectory"}


def gather(run: RunFolder) -> Gathered:
    """Read everything once; trajectories are read one at a time, since their texts may not fit in memory together."""
    store = run.store
    notes: list[str] = []
    summary = _read_summary(run, notes)
    examples = [example for _, example in store.all("example", Example)]
    results = dict(store.all("result", Result))
    models, span = _ask_database(run)
    return Gathered(
        name=run.path.resolve().name,
        config=run.config if (run.path / "config.json").is_file() else {},
        documents={document.id: document for _, document in store.all("document", Document)},
        tasks=[task for _, task in store.all("task", Task)],
        entries=_entries(run, examples, results),
        examples=examples,
        heldout=dict(store.all("heldout", Task)),
        results=list(results.values()),
        failures=store.failures(),
        meters=store.meters(),
        models=models,
        span=span,
        summary=summary,
        notes=[*summary.notes, *notes],
    )


def _entries(run: RunFolder, examples: list[Example], results: dict[str, Result]) -> list[Entry]:
    spans: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        spans[example.trajectory].append(example)
    found = []
    for kind in ("trajectory", "episode"):
        for key in sorted(run.store.keys(kind)):
            trajectory = run.store.get(kind, key, Trajectory)
            if trajectory is not None:
                mine = spans.get(trajectory.id, []) if kind == "trajectory" else []
                result = results.get(key) if kind == "episode" else None
                found.append(_entry(kind, key, trajectory, result, mine))
    return found


def _entry(kind: str, key: str, trajectory: Trajectory, result: Result | None, spans: list[Example]) -> Entry:
    return Entry(
        kind=kind,
        key=key,
        id=trajectory.id,
        task=trajectory.task.id,
        instruction=trajectory.task.instruction,
        stop=trajectory.stop,
        steps=len(trajectory.steps),
        agent=trajectory.agent,
        document=trajectory.task.document,
        result=result,
        examples=tuple(sorted(spans, key=lambda example: (example.start, example.end, example.kind))),
    )


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
    db = sqlite3.connect(f"{(run.path / 'run.db').resolve().as_uri()}?mode=ro", uri=True)
    try:
        models = db.execute(
            "SELECT role, model, count(*) FROM call GROUP BY role, model ORDER BY role, model"
        ).fetchall()
        first, last = db.execute("SELECT min(created), max(created) FROM record").fetchone()
    finally:
        db.close()
    return [(role, model, int(calls)) for role, model, calls in models], (first, last) if first else None
