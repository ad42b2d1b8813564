"""What labelling costs per kept example, naively and with each lever, on long walks through a real application.

    python performance/walks.py FOLDER          # first: walks in a real browser, kept in FOLDER
    python performance/labelling.py FOLDER [--lengths 5,10,20,40] [--kind abstract]

The real labelling stage runs, with the offline labeller wrapped in a model that counts what two providers would bill.
Four bytes are a token. A prompt cache holds the beginning of every request that has *finished*, if it has at least
1,024 tokens, and forgets nothing (providers do after five minutes). Prices are those of the price list. Whether a
language model writes labels of the same quality is not measured here.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console

from lbi.config import Config, Labelling
from lbi.context import RunContext
from lbi.errors import UserError
from lbi.models.pricing import Prices
from lbi.monitoring.progress import Progress
from lbi.observations.diff import difference, restored, without_references
from lbi.prompts import estimate_tokens, render
from lbi.protocols import Message, ModelInfo, PromptLimits, Reply, Request
from lbi.records import Trajectory, Usage, digest_of
from lbi.storage.run_folder import RunFolder
from lbi.synthesis import filters
from lbi.synthesis.examples import examples_of_seed
from lbi.synthesis.filter import filter_examples
from lbi.synthesis.filters.replay import Replayed
from lbi.synthesis.label import label
from lbi_offline.model import OfflineModel
from walks import walks_of

CLAUDE, GPT = "anthropic:claude-sonnet-4-5", "openai:gpt-5"
LEAST = 1024  # tokens of the shortest beginning that a prompt cache holds
BACK = 20  # number of blocks before a breakpoint in which Anthropic looks for a cached beginning
LATENCY = 0.001  # seconds, so that calls made at the same time are in flight together
OFF: dict[str, Any] = {"spans": "all", "whole": False, "together": 1, "differences": False, "ordered": False}
TOGETHER = Labelling().together
LEVERS: dict[str, dict[str, Any]] = {
    "naive": {},
    "a: ordered for caches": {"ordered": True},
    "a: ordered, whole": {"ordered": True, "whole": True},
    "b: ends in one call": {"together": TOGETHER},
    "c: differences": {"differences": True},
    "d: informative spans": {"spans": "informative"},
    "a + b + c, not whole": {"ordered": True, "together": TOGETHER, "differences": True},
    "a + b + c, the default": Labelling().model_dump(),
    "all four": {**Labelling().model_dump(), "spans": "informative"},
}


class Counted:
    """The offline model, counted as two providers would bill it."""

    name = "offline"

    def __init__(self, limits: PromptLimits) -> None:
        self.info, self._inner = ModelInfo(limits=limits), OfflineModel()
        self._known: dict[str, set[str]] = {CLAUDE: set(), GPT: set()}
        self.billed: Counter[tuple[str, str]] = Counter()  # input tokens, as if none had its price reduced
        self.sent: Counter[str] = Counter()  # input tokens
        self.calls: Counter[str] = Counter()
        self._prices = Prices()
        self._one = {name: self._cost(name, Usage(calls=1, input_tokens=1000)) / 1000 for name in self._known}

    async def complete(self, request: Request) -> Reply:
        messages = render(request, self.info.limits)
        ends, sizes = _beginnings(messages)
        read = {CLAUDE: self._read_marked(ends, request.reused), GPT: self._read(ends[:-1], self._known[GPT])}
        await asyncio.sleep(LATENCY)
        self._known[GPT].update(ends)
        self._count(request, sizes, read)
        if request.reused:
            self._known[CLAUDE].update((ends[0], ends[-2]))
        return await self._inner.complete(request)

    def _read_marked(self, ends: list[str], reused: bool) -> int:
        """As ``_read``; Anthropic looks back only from its breakpoints: the system message, and before the question."""
        return self._read(ends[max(0, len(ends) - 1 - BACK) : -1], self._known[CLAUDE], len(ends)) if reused else -1

    @staticmethod
    def _read(ends: list[str], known: set[str], length: int = 0) -> int:
        """The index of the last message of the longest beginning that is cached, or -1."""
        first = max(0, length - 1 - BACK) if length else 0
        return max((first + at for at, end in enumerate(ends) if end in known), default=-1)

    def _count(self, request: Request, sizes: list[int], read: dict[str, int]) -> None:
        tokens = sizes[-1]
        self.calls[request.role] += 1
        self.sent[request.role] += tokens
        for name, at in read.items():
            cached = sizes[at] if at >= 0 and sizes[at] >= LEAST else 0
            kept = sizes[-2] if name == CLAUDE and request.reused and sizes[-2] >= LEAST else cached
            usage = Usage(calls=1, input_tokens=tokens, cached_tokens=cached, written_tokens=kept - cached)
            self.billed[request.role, name] += round(self._cost(name, usage) / self._one[name])

    def _cost(self, name: str, usage: Usage) -> float:
        cost = self._prices.cost(name, usage)
        if cost is None:
            raise UserError(f"the price list has no price for {name}")
        return cost

    async def close(self) -> None:
        return None


def _beginnings(messages: tuple[Message, ...]) -> tuple[list[str], list[int]]:
    """For each message the hash of everything up to it, and the tokens of everything up to it."""
    ends, sizes, so_far, size = [], [], "", 0
    for message in messages:
        so_far = digest_of([so_far, message.role, message.content])
        size += estimate_tokens(message.content)
        ends.append(so_far)
        sizes.append(size)
    return ends, sizes


@dataclass
class Outcome:
    """The labels of one way of labelling, and what they cost."""

    model: Counted
    labels: dict[str, str] = field(default_factory=dict)  # span -> label
    kept: list[str] = field(default_factory=list)  # labels that all filters and the replay keep
    replayed: int = 0  # number of labels whose span the replay confirmed, whatever the other filters say

    def tokens(self, provider: str, *roles: str) -> int:
        """Input tokens of these roles as the provider bills them, or as they are sent if it is ""."""
        calls = self.model
        return sum(calls.billed[role, provider] if provider else calls.sent[role] for role in roles)


async def labelled(walks: list[tuple[Trajectory, Replayed]], settings: Labelling, kind: str) -> Outcome:
    """Run the labelling stage as in a run, in a temporary folder."""
    config = Config.model_validate({"labelling": settings.model_dump(), "synthesis": {"kinds": [kind]}})
    outcome = Outcome(Counted(PromptLimits(differences=settings.differences)))
    with tempfile.TemporaryDirectory() as folder, RunFolder(Path(folder)) as run:
        environments: Any = None  # labelling opens no environment
        context = RunContext(run, config, Progress(Console(), quiet=True), environments, Prices())
        context._models["offline"] = outcome.model
        with label(context, 0, filter_examples(context)).opened as label_one:
            await asyncio.gather(*(label_one(walked) for walked, _ in walks))
        replays = {replayed.trajectory: replayed for _, replayed in walks}
        (replay_filter,) = filters.open_filters(["replay"], filters.FilterParts(replays=replays))
        by_id = {walked.id: walked for walked, _ in walks}
        for _, example in examples_of_seed(context, 0):
            if example.kind == kind:
                confirmed = (await replay_filter.judge(example, by_id[example.trajectory])).keep
                outcome.labels[f"{example.trajectory} {example.start}-{example.end}"] = example.instruction
                outcome.replayed += confirmed
                outcome.kept += [example.instruction] if confirmed and example.kept else []
    return outcome


def beginning(walked: Trajectory, replayed: Replayed, steps: int) -> tuple[Trajectory, Replayed]:
    """The first steps of a walk, with their replay: a real trajectory of that length."""
    shortened = walked.model_copy(update={"steps": walked.steps[:steps], "last": walked.observations[steps]})
    return shortened, Replayed(trajectory=shortened.id, matched=replayed.matched[: steps + 1])


def print_table(steps: int, walks: int, label: str, rows: dict[str, Outcome]) -> None:
    naive = rows["naive"]
    columns = {
        "sent": ("", label),
        "billed, Claude": (CLAUDE, label),
        "billed, GPT": (GPT, label),
        "Claude, judge too": (CLAUDE, label, "judge"),
        "GPT, judge too": (GPT, label, "judge"),
    }
    print(f"\n{steps} steps, {walks} trajectories; input tokens per kept example (in brackets: so many times fewer)")
    head = "   ".join(name.rjust(17) for name in columns)
    counted = f"{'':22}{'labels':>7}{'kept':>6}{'unlike':>7}{'calls':>6}"
    print(f"{counted}   {head}   {'in all, Cl.':>11}{'replayed':>9}{'same labels':>13}")
    for name, row in rows.items():
        cells = [_per_kept(row, naive, *column) for column in columns.values()]
        same = sum(naive.labels.get(span) == text for span, text in row.labels.items())
        counts = f"{len(row.labels):7}{len(row.kept):6}{len(set(row.kept)):7}{row.model.calls[label]:6}"
        in_all = f"{row.tokens(CLAUDE, label):,}"
        ends = f"{in_all:>11}{row.replayed / max(len(row.labels), 1):9.1%}{f'{same}/{len(row.labels)}':>13}"
        print(f"{name:22}{counts}   {'   '.join(cells)}   {ends}", flush=True)


def _per_kept(row: Outcome, naive: Outcome, provider: str, *roles: str) -> str:
    if not row.kept or not naive.kept:
        return "none kept".rjust(17)
    per_example, naive_per_example = (outcome.tokens(provider, *roles) / len(outcome.kept) for outcome in (row, naive))
    return f"{per_example:,.0f} ({naive_per_example / per_example:.1f})".rjust(17)


def print_differences(walks: list[tuple[Trajectory, Replayed]]) -> None:
    """Check that pages can be restored from the differences that are sent, and print the length of these."""
    pages_sent = sent_size = full_size = 0
    for walked, _ in walks:
        pages = [without_references(page.text) for page in walked.observations]
        for before, after in pairwise(pages):
            changes = difference(before, after)
            if restored(before, changes) != after:
                raise SystemExit("a page cannot be restored from its difference to the one before")
            pages_sent += 1
            sent_size += min(len(changes), len(after))
            full_size += len(after)
    share = f"{sent_size / full_size:.0%} of their length"
    print(f"\n{pages_sent} pages as differences to the one before: all can be restored, {share}")


async def run(folder: Path, lengths: list[int], kind: str) -> None:
    walks = walks_of(folder)
    for steps in lengths:
        long = [beginning(walked, replayed, steps) for walked, replayed in walks if len(walked.steps) >= steps]
        if not long:
            raise UserError(f"no walk in {folder} has {steps} steps; make longer ones: performance/walks.py --steps")
        rows = {name: await labelled(long, Labelling(**{**OFF, **settings}), kind) for name, settings in LEVERS.items()}
        print_table(steps, len(long), "abstract" if kind == "abstract" else "summarise", rows)
    print_differences(walks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--lengths", default="5,10,20,40")
    parser.add_argument("--kind", choices=["abstract", "summary"], default="abstract")
    options = parser.parse_args()
    try:
        asyncio.run(run(options.folder, [int(steps) for steps in options.lengths.split(",")], options.kind))
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
