"""Trajectories -> the data of one page each, as many as fit; the report's script builds a page when it is opened.

Data and texts are kept compressed as base64: no untrusted text stands inside a script element, the same observation is
kept once however often it was seen, and a report of thousands of trajectories can be mailed. They lie in packs, one a
line, and a page is made of the few packs that it needs: what a page costs does not grow with the report.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Container
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from lbi.records import Document, Example, Observation, Step, Trajectory, Verdict
from lbi.report.counts import vote_in_words
from lbi.report.gather import Entry, Gathered
from lbi.report.words import count, in_words, money
from lbi.storage.run_folder import RunFolder

MAX_PAGES = 2_000
MAX_BYTES = 15_000_000
RESERVE = 4_000_000  # kept free for everything that is no trajectory
MAX_CHARACTERS = 30_000  # of one observation
MAX_STEPS = 200  # on one page
MAX_IMAGE_BYTES = 3_000_000
PAGE_BYTES = 200_000  # of a pack, before it is compressed
TEXT_BYTES = 400_000

Seen = tuple[str, str, int, int, int]  # place, title, length, numbers of text and image (0 = none)


class Packs:
    """Items in packs of about so many bytes each, every pack a line: base64 of the gzip of a JSON list or object."""

    def __init__(self, marks: str, bytes_each: int) -> None:
        self._marks, self._most = marks, bytes_each
        self.lines: list[str] = []
        self.starts: list[int] = []  # the number of the first item of each pack
        self.count = 0
        self._bytes = 0  # of finished packs
        self._open: list[str] = []
        self._left = 0

    def add(self, item: str) -> int:
        """The number of the pack that an item, which is JSON, comes into."""
        if not self._open:
            self.starts.append(self.count)
            self._left = self._most
        self._open.append(item)
        self.count += 1
        self._left -= len(item)
        number = len(self.lines)
        if self._left <= 0:
            self._end()
        return number

    def _end(self) -> None:
        self.lines.append(packed(self._marks[0] + ",".join(self._open) + self._marks[1]))
        self._bytes += len(self.lines[-1])
        self._open = []

    @property
    def size(self) -> int:
        """About the bytes used in the page so far: a pack that is open is taken to shrink as those before did."""
        open_ = self._most - self._left if self._open else 0
        return self._bytes + int(open_ * (self._bytes / (len(self.lines) * self._most) if self.lines else 0.5))

    def finish(self, head: str) -> str:
        """The lines; the first is ``head``, which says where what is."""
        if self._open:
            self._end()
        return "\n".join([packed(head), *self.lines])


def packed(text: str) -> str:
    """Base64 of gzip."""
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()


@dataclass(frozen=True)
class Pages:
    """The trajectories that fit, in the order of the list, and the data that the script reads."""

    entries: list[Entry]
    left_out: int
    data: str  # lines: {anchor: line of its page}, then packs {anchor: page}
    texts: str  # lines: {"starts": [...], "examples": [[label, instruction, anchor], ...]}, then packs [text, ...]

    @property
    def anchors(self) -> frozenset[str]:
        return frozenset(entry.anchor for entry in self.entries)


class Writer:
    """Writes pages until the report is full."""

    def __init__(self, run: RunFolder, gathered: Gathered) -> None:
        self._run, self._gathered = run, gathered
        self._texts, self._data = Packs("[]", TEXT_BYTES), Packs("{}", PAGE_BYTES)
        self._known: dict[str, int] = {}  # text -> its number
        self._numbers: dict[str, int] = {}  # example id -> its number
        self._images = 0
        self._examples = {example.id: example for example in gathered.examples}
        self._same = _same_task(gathered)

    def write(self) -> Pages:
        """Evaluation and synthesis take turns, so that both are there when not all fits."""
        written: dict[str, int] = {}  # anchor -> line
        for entry in _in_turns(self._gathered)[:MAX_PAGES]:
            if self._data.size + self._texts.size > MAX_BYTES - RESERVE:
                break
            trajectory = self._run.store.get(entry.kind, entry.key, Trajectory)
            if trajectory is not None:
                page = json.dumps(self._page(entry, trajectory), ensure_ascii=False)
                written[entry.anchor] = self._data.add(f'"{entry.anchor}":{page}') + 1
        examples = [self._reference(id_, written) for id_ in self._numbers]
        return Pages(
            entries=[entry for entry in self._gathered.entries if entry.anchor in written],
            left_out=len(self._gathered.entries) - len(written),
            data=self._data.finish(json.dumps(written)),
            texts=self._texts.finish(json.dumps({"starts": self._texts.starts, "examples": examples})),
        )

    def _page(self, entry: Entry, trajectory: Trajectory) -> dict[str, Any]:
        pairs = zip(trajectory.steps, trajectory.observations[1:], strict=True)
        steps = [self._step(step, after) for step, after in list(pairs)[:MAX_STEPS]]
        return {
            "eyebrow": eyebrow_of(entry, trajectory),
            "title": trajectory.task.instruction,
            "outcome": entry.outcome,
            "facts": facts_of(entry, trajectory, self._gathered.documents.get(trajectory.task.document)),
            "scoring": scoring_of(trajectory),
            "others": self._others(entry),
            "steps": steps,
            "more": len(trajectory.steps) - len(steps),
            "last": self._seen(trajectory.last),
            "spans": None if entry.kind == "episode" else [_span(example) for example in entry.examples],
        }

    def _step(self, step: Step, after: Observation) -> list[Any]:
        """[seen, reason, action, the same by names, error of this action, numbers of the examples in the prompt]."""
        written = step.action.written
        shown = [self._numbers.setdefault(id_, len(self._numbers)) for id_ in step.examples]
        text = step.action.text
        return [
            self._seen(step.observation),
            step.reason,
            text,
            written if written != text else "",
            after.error,
            shown,
        ]

    def _seen(self, observation: Observation) -> Seen:
        text = observation.text
        if len(text) > MAX_CHARACTERS:
            more = len(text) - MAX_CHARACTERS
            text = f"{text[:MAX_CHARACTERS]}\n… {count(more)} more characters are in the run's database"
        number, image = self._text(text), self._image(observation.image)
        return observation.url, observation.title, len(observation.text), number, image

    def _text(self, text: str) -> int:
        if not text:
            return 0
        if text not in self._known:
            self._known[text] = len(self._known) + 1
            self._texts.add(json.dumps(text, ensure_ascii=False))
        return self._known[text]

    def _image(self, name: str) -> int:
        if not name or self._images > MAX_IMAGE_BYTES:
            return 0
        try:
            png = self._run.load_image(name)
        except OSError:
            return 0
        self._images += len(png)
        return self._text("data:image/png;base64," + base64.b64encode(png).decode())

    def _others(self, entry: Entry) -> list[tuple[str, str, str]]:
        """The same held-out task under other arms and seeds: (label, outcome, anchor)."""
        if entry.result is None:
            return []
        return [
            (f"{other.result.arm}, seed {other.result.seed}", other.outcome, other.anchor)
            for other in self._same.get(entry.result.task, [])
            if other.result and other is not entry
        ]

    def _reference(self, id_: str, written: Container[str]) -> tuple[str, str, str]:
        """(label, instruction, anchor of its trajectory) of an example that was in a prompt."""
        if id_.startswith("skill:"):
            return f"skill {id_.split(':')[1]}", "instructions that fitted; see Skills", ""
        example = self._examples.get(id_)
        if example is None:
            return f"example {id_}", "not stored under this id; its label was exchanged, or it is not of this run", ""
        origin = self._gathered.origin.get(example.trajectory)
        anchor = origin.anchor if origin and origin.anchor in written else ""
        return label_of(example), example.instruction[:400], anchor


def facts_of(entry: Entry, trajectory: Trajectory, document: Document | None) -> list[tuple[str, str]]:
    """What is told of a trajectory above its steps, as (name, value). ``document`` is the one its task came from."""
    task, result, usage = trajectory.task, entry.result, trajectory.usage
    cached = f" ({count(usage.cached_tokens)} read from a cache)" if usage.cached_tokens else ""
    tokens = f"{count(usage.input_tokens)} tokens in{cached}, {count(usage.output_tokens)} out"
    facts = [
        ("Outcome", _outcome(entry)),
        ("Scorer said", result.reason if result else ""),
        ("Ended by", f"{in_words(trajectory.stop)} after {_steps(entry.steps)}"),
        ("Failure", trajectory.error),
        ("Answer", trajectory.answer),
        ("Agent", trajectory.agent),
        ("Spent", f"{count(usage.calls)} calls, {tokens}, {money(usage.cost)}"),
        ("Document", " › ".join(filter(None, (document.title, *document.headings))) if document else ""),
        ("Read from", document.source if document else ""),
        ("Quoted", task.quote),
        ("Task", task.name),
        ("Key", f"{entry.kind} {entry.key}"),
    ]
    return [(name, value) for name, value in facts if value]


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{count(number)} steps"


def eyebrow_of(entry: Entry, trajectory: Trajectory) -> str:
    result = entry.result
    if result is None:
        words = {
            "trajectory": f"Roll-out, attempt {trajectory.attempt + 1}",
            "trimmed": "Synthesis, steps without effect left out",
            "composition": "Composition, carried out again",
        }
        return words.get(entry.kind, "Episode of the evaluation, not scored")
    level = f"level {result.level}" if result.level else ""
    return " · ".join(filter(None, ("Episode", result.arm, f"seed {result.seed}", result.category, level)))


def _outcome(entry: Entry) -> str:
    result = entry.result
    if result is None:
        return ""
    score = f", score {result.score:.2f}" if entry.outcome == "part" else ""
    return in_words(entry.outcome) + score + (f", fault of the {result.fault}" if result.fault else "")


def scoring_of(trajectory: Trajectory) -> str:
    """The check of a held-out task, and its solution, as text."""
    task = trajectory.task
    if task.check is None:
        return ""
    check = json.dumps(task.check.model_dump(exclude_defaults=True), indent=2, ensure_ascii=False)
    return "\n".join([check, *(["", "A solution:"] if task.gold else []), *task.gold])


def label_of(example: Example) -> str:
    """Kind and steps: "abstract, steps 2-4"."""
    steps = f"step {example.end}" if example.end == example.start + 1 else f"steps {example.start + 1}–{example.end}"
    return f"{example.kind}, {steps}"


def _span(example: Example) -> list[Any]:
    """[kept, label, tier, instruction, what the filters said, votes]."""
    verdicts = [_verdict(verdict) for verdict in example.verdicts if verdict.reason or not verdict.keep]
    votes = [(vote.model, vote_in_words(vote), vote.reason) for verdict in example.verdicts for vote in verdict.votes]
    return [int(example.kept), label_of(example), example.tier, example.instruction, verdicts, votes]


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.filter}: {verdict.reason or 'dropped without a reason'}"


def _same_task(gathered: Gathered) -> dict[str, list[Entry]]:
    order = {arm: index for index, arm in enumerate(gathered.arms)}
    scored = [(entry, entry.result) for entry in gathered.entries if entry.result and entry.result.arm in order]
    entries: dict[str, list[Entry]] = {}
    for entry, result in sorted(scored, key=lambda pair: (order[pair[1].arm], pair[1].seed)):
        entries.setdefault(result.task, []).append(entry)
    return entries


def _in_turns(gathered: Gathered) -> list[Entry]:
    rollouts = [entry for entry in gathered.entries if entry.kind != "episode"]
    episodes = [entry for entry in gathered.entries if entry.kind == "episode"]
    # seed by seed, so that what is left out are further seeds, and the arms of a task stay together
    episodes.sort(key=lambda e: (e.result.seed, e.result.task, e.result.arm) if e.result else (0, e.key, ""))
    pairs = zip_longest(rollouts, episodes)
    return [entry for pair in pairs for entry in pair if entry is not None]
