"""Trajectories -> one HTML article each, as many as fit, and the texts that they show on demand.

The same page is observed again and again, so texts are kept once, compressed, as base64: no untrusted text stands
inside a script element, and a report of 300 roll-outs stays small enough to mail.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Container
from dataclasses import dataclass
from itertools import zip_longest

from jinja2 import Template

from lbi.records import Document, Example, Observation, Result, Task, Trajectory
from lbi.report.gather import Entry, Gathered
from lbi.store import RunFolder

MAX_PAGES = 1_000
MAX_BYTES = 15_000_000
RESERVE = 3_000_000  # kept free for everything that is no trajectory
MAX_CHARACTERS = 30_000  # of one observation
MAX_STEPS = 200  # on one page
MAX_IMAGE_BYTES = 3_000_000


class Texts:
    """Numbered texts, compressed as they come, so that their size on the page is known at any time."""

    def __init__(self) -> None:
        self._pack = zlib.compressobj(level=6, wbits=31)
        self._parts = [self._pack.compress(b'{"texts":[""')]
        self._bytes = 0
        self._known: dict[str, int] = {}

    def add(self, text: str) -> int:
        """The number under which a text is found; 0 is the empty text."""
        if not text:
            return 0
        if text not in self._known:
            self._known[text] = len(self._known) + 1
            self._append("," + json.dumps(text))
        return self._known[text]

    def _append(self, text: str) -> None:
        self._parts.append(self._pack.compress(text.encode()))
        self._bytes += len(self._parts[-1])

    @property
    def size(self) -> int:
        """About the bytes used in the page so far."""
        return self._bytes * 4 // 3

    def finish(self, examples: list[list[str]]) -> str:
        """Everything as base64 of gzip; nothing can be added afterwards."""
        self._append('],"examples":' + json.dumps(examples) + "}")
        self._parts.append(self._pack.flush())
        return base64.b64encode(b"".join(self._parts)).decode()


@dataclass(frozen=True)
class Seen:
    """An observation: where it was, and the numbers of its text and image among the texts (0 = none)."""

    place: str
    title: str
    length: int
    text: int
    image: int


@dataclass(frozen=True)
class Turn:
    """One step as the page shows it."""

    number: int
    seen: Seen
    reason: str
    action: str
    grounded: str
    error: str  # of this action
    examples: str  # numbers of the examples in the prompt, joined by blanks
    shown: int


@dataclass(frozen=True)
class Other:
    """The same held-out task under another arm or seed."""

    label: str
    outcome: str
    anchor: str


@dataclass(frozen=True)
class Article:
    """What one trajectory's page shows."""

    entry: Entry
    trajectory: Trajectory
    task: Task
    turns: list[Turn]
    left_out: int  # steps
    last: Seen
    document: Document | None
    others: list[Other]

    @property
    def result(self) -> Result | None:
        return self.entry.result


@dataclass(frozen=True)
class Pages:
    """The articles that fit, in the order of the list, and the data that their script reads."""

    articles: list[str]
    entries: list[Entry]
    left_out: int
    data: str

    @property
    def anchors(self) -> frozenset[str]:
        return frozenset(entry.anchor for entry in self.entries)


class Writer:
    """Writes articles until the page is full."""

    def __init__(self, run: RunFolder, gathered: Gathered, template: Template) -> None:
        self._run, self._gathered, self._template = run, gathered, template
        self._texts = Texts()
        self._images = 0
        self._numbers: dict[str, int] = {}  # example id -> place in the list that the script reads
        self._examples = {example.id: example for example in gathered.examples}
        self._places = _places(gathered)

    def write(self) -> Pages:
        """Evaluation and synthesis take turns, so that both are there when not all fits."""
        articles: dict[str, str] = {}
        used = 0
        for entry in _in_turns(self._gathered)[:MAX_PAGES]:
            if used + self._texts.size > MAX_BYTES - RESERVE:
                break
            trajectory = self._run.store.get(entry.kind, entry.key, Trajectory)
            if trajectory is not None:
                articles[entry.anchor] = self._template.render(page=self._article(entry, trajectory))
                used += len(articles[entry.anchor].encode("utf-8", "replace"))
        kept = [entry for entry in self._gathered.entries if entry.anchor in articles]
        return Pages(
            articles=[_unlink(articles[entry.anchor], articles) for entry in kept],
            entries=kept,
            left_out=len(self._gathered.entries) - len(kept),
            data=self._texts.finish([self._reference(id_, frozenset(articles)) for id_ in self._numbers]),
        )

    def _article(self, entry: Entry, trajectory: Trajectory) -> Article:
        return Article(
            entry=entry,
            trajectory=trajectory,
            task=trajectory.task,
            turns=[self._turn(trajectory, index) for index in range(len(trajectory.steps))[:MAX_STEPS]],
            left_out=max(len(trajectory.steps) - MAX_STEPS, 0),
            last=self._seen(trajectory.last),
            document=self._gathered.documents.get(trajectory.task.document),
            others=self._others(entry),
        )

    def _turn(self, trajectory: Trajectory, index: int) -> Turn:
        step = trajectory.steps[index]
        return Turn(
            number=index + 1,
            seen=self._seen(step.observation),
            reason=step.reason,
            action=step.action.text,
            grounded=step.action.grounded,
            error=trajectory.observations[index + 1].error,
            examples=" ".join(str(self._numbers.setdefault(id_, len(self._numbers))) for id_ in step.examples),
            shown=len(step.examples),
        )

    def _seen(self, observation: Observation) -> Seen:
        text = observation.text
        if len(text) > MAX_CHARACTERS:
            more = len(text) - MAX_CHARACTERS
            text = f"{text[:MAX_CHARACTERS]}\n… {more:,} more characters are in the run's database"
        number, image = self._texts.add(text), self._image(observation.image)
        return Seen(observation.url, observation.title, len(observation.text), number, image)

    def _image(self, name: str) -> int:
        if not name or self._images > MAX_IMAGE_BYTES:
            return 0
        try:
            png = self._run.load_image(name)
        except OSError:
            return 0
        self._images += len(png)
        return self._texts.add("data:image/png;base64," + base64.b64encode(png).decode())

    def _others(self, entry: Entry) -> list[Other]:
        if entry.result is None:
            return []
        return [
            Other(f"{other.result.arm}, seed {other.result.seed}", other.outcome, other.anchor)
            for other in self._places.get(entry.result.task, [])
            if other.result and other is not entry
        ]

    def _reference(self, id_: str, anchors: frozenset[str]) -> list[str]:
        """[label, instruction, link] of an example that was in a prompt."""
        example = self._examples.get(id_)
        if example is None:
            return [f"example {id_}", "not among the examples of this run", ""]
        origin = self._gathered.origin.get(example.trajectory)
        link = f"#{origin.anchor}" if origin and origin.anchor in anchors else ""
        return [label_of(example), example.instruction[:400], link]


def _unlink(article: str, anchors: Container[str]) -> str:
    """Take away the links to pages that were left out. What is untrusted cannot look like a link: it is escaped."""
    return re.sub(r' href="#(t-[0-9a-f]{16})"', lambda link: link[0] if link[1] in anchors else "", article)


def label_of(example: Example) -> str:
    """Kind and steps: "abstract, steps 2-4"."""
    steps = f"step {example.end}" if example.end == example.start + 1 else f"steps {example.start + 1}–{example.end}"
    return f"{example.kind}, {steps}"


def _places(gathered: Gathered) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for arm in gathered.arms:
        for entry in gathered.entries:
            if entry.result and entry.result.arm == arm:
                found.setdefault(entry.result.task, []).append(entry)
    return found


def _in_turns(gathered: Gathered) -> list[Entry]:
    rollouts = [entry for entry in gathered.entries if entry.kind == "trajectory"]
    episodes = [entry for entry in gathered.entries if entry.kind == "episode"]
    # seed by seed, so that what is left out are further seeds, and the arms of a task stay together
    episodes.sort(key=lambda e: (e.result.seed, e.result.task, e.result.arm) if e.result else (0, e.key, ""))
    pairs = zip_longest(rollouts, episodes)
    return [entry for pair in pairs for entry in pair if entry is not None]
