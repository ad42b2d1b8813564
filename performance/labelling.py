"""What labelling costs per kept example, naively and with each lever, on long walks through a real application.

    python benchmarks/walks.py FOLDER           # first: walks in a real browser, kept in FOLDER
    python benchmarks/labelling.py FOLDER [--lengths 5,10,20,40] [--kind abstract]

The real labelling stage runs, with the offline labeller behind a model that counts what two providers would bill: four
bytes are a token; a cache knows what an earlier request that had *finished* began with; it forgets nothing (providers
do after five minutes); a beginning below 1,024 tokens is not kept. Prices are those of the price list. Whether a
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
from lbi.models.providers.offline import OfflineModel
from lbi.monitoring.progress import Progress
from lbi.observations.diff import difference, restored, without_references
from lbi.prompts import estimate_tokens, render
from lbi.prompts.limits import Limits
from lbi.protocols import Message, Reply, Request
from lbi.records import Trajectory, Usage, digest_of
from lbi.storage.run_folder import RunFolder
from lbi.synthesis import filters
from lbi.synthesis.examples import examples_of_seed
from lbi.synthesis.filters.replay import Replayed
from lbi.synthesis.label import label
from walks import walks_of

CLAUDE, GPT = "anthropic:claude-sonnet-4-5", "openai:gpt-5"
LEAST = 1024  # tokens of a beginning that a cache keeps
BACK = 20  # blocks before a breakpoint among which Anthropic looks for something it knows
LATENCY = 0.001  # s; whatever is asked at once is in flight together
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
    """The offline model, counted as two providers would bill it. Usage by (role, provider)."""

    free = False
    name = "offline"

    def __init__(self, limits: Limits) -> None:
        self.limits, self._inner = limits, OfflineModel()
        self._known: dict[str, set[str]] = {CLAUDE: set(), GPT: set()}
        self.billed: Counter[tuple[str, str]] = Counter()  # input tokens, as if none had its price reduced
        self.asked: Counter[str] = Counter()  # input tokens sent
        self.calls: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self._prices = Prices()
        self._one = {name: self._cost(name, Usage(calls=1, input_tokens=1000)) / 1000 for name in self._known}

    async def complete(self, request: Request) -> Reply:
        messages = render(request, self.limits)
        ends, sizes = _beginnings(messages)
        read = {CLAUDE: self._read_marked(ends, request.reused), GPT: self._read(ends[:-1], self._known[GPT])}
        await asyncio.sleep(LATENCY)
        self._known[GPT].update(ends)
        self._count(request, sizes, read)
        if request.reused:
            self._known[CLAUDE].update((ends[0], ends[-2]))
        reply = await self._inner.complete(request)
        self.said[request.role] += estimate_tokens(reply.text)
        return reply

    def _read_marked(self, ends: list[str], reused: bool) -> int:
        """Anthropic looks back from its breakpoints only, which are at the system message and before the question."""
        return self._read(ends[max(0, len(ends) - 1 - BACK) : -1], self._known[CLAUDE], len(ends)) if reused else -1

    @staticmethod
    def _read(ends: list[str], known: set[str], length: int = 0) -> int:
        """Index of the last message that a cache knows up to, or -1."""
        first = max(0, length - 1 - BACK) if length else 0
        return max((first + at for at, end in enumerate(ends) if end in known), default=-1)

    def _count(self, request: Request, sizes: list[int], read: dict[str, int]) -> None:
        asked = sizes[-1]
        self.calls[request.role] += 1
        self.asked[request.role] += asked
        for name, at in read.items():
            cached = sizes[at] if at >= 0 and sizes[at] >= LEAST else 0
            kept = sizes[-2] if name == CLAUDE and request.reused and sizes[-2] >= LEAST else cached
            usage = Usage(calls=1, input_tokens=asked, cached_tokens=cached, written_tokens=kept - cached)
            self.billed[request.role, name] += round(self._cost(name, usage) / self._one[name])

    def _cost(self, name: str, usage: Usage) -> float:
        cost = self._prices.cost(name, usage)
        if cost is None:
            raise UserError(f"the price list has no price for {name}")
        return cost

    async def close(self) -> None:
        return None


def _beginnings(messages: tuple[Message, ...]) -> tuple[list[str], list[int]]:
    """For each message: the hash of everything up to it, and its tokens."""
    ends, sizes, so_far, size = [], [], "", 0
    for message in messages:
        so_far = digest_of([so_far, message.role, message.content])
        size += estimate_tokens(message.content)
        ends.append(so_far)
        sizes.append(size)
    return ends, sizes


@dataclass
class Found:
    """What one way of labelling came to."""

    model: Counted
    labels: dict[str, str] = field(default_factory=dict)  # span -> label
    kept: list[str] = field(default_factory=list)  # the labels that all filters and the replay keep
    replayed: int = 0  # labels whose span the replay confirmed, whatever the other filters say

    def tokens(self, provider: str, *roles: str) -> int:
        """Input tokens of all labels, as billed, or as sent without a provider."""
        calls = self.model
        return sum(calls.billed[role, provider] if provider else calls.asked[role] for role in roles)


async def labelled(walks: list[tuple[Trajectory, Replayed]], how: Labelling, kind: str) -> Found:
    """The stage as a run does it, in a folder that is thrown away."""
    config = Config.model_validate({"labelling": how.model_dump(), "synthesis": {"kinds": [kind]}})
    found = Found(Counted(Limits(differences=how.differences)))
    with tempfile.TemporaryDirectory() as folder, RunFolder(Path(folder)) as run:
        environments: Any = None  # labelling opens no environment
        context = RunContext(run, config, Progress(Console(), quiet=True), environments, Prices())
        context._models["offline"] = found.model
        with label(context, 0).opened as label_one:
            await asyncio.gather(*(label_one(walked) for walked, _ in walks))
        replays = {replayed.trajectory: replayed for _, replayed in walks}
        (check,) = filters.open_filters(["replay"], filters.Parts(replays=replays))
        by_id = {walked.id: walked for walked, _ in walks}
        for _, example in examples_of_seed(context, 0):
            if example.kind == kind:
                again = (await check.judge(example, by_id[example.trajectory])).keep
                found.labels[f"{example.trajectory} {example.start}-{example.end}"] = example.instruction
                found.replayed += again
                found.kept += [example.instruction] if again and example.kept else []
    return found


def beginning(walked: Trajectory, replayed: Replayed, steps: int) -> tuple[Trajectory, Replayed]:
    """The first steps of a walk: a real trajectory of that length."""
    some = walked.model_copy(update={"steps": walked.steps[:steps], "last": walked.observations[steps]})
    return some, Replayed(trajectory=some.id, matched=replayed.matched[: steps + 1])


def print_table(steps: int, walks: int, label: str, rows: dict[str, Found]) -> None:
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
        same = sum(naive.labels.get(span) == said for span, said in row.labels.items())
        counts = f"{len(row.labels):7}{len(row.kept):6}{len(set(row.kept)):7}{row.model.calls[label]:6}"
        in_all = f"{row.tokens(CLAUDE, label):,}"
        ends = f"{in_all:>11}{row.replayed / max(len(row.labels), 1):9.1%}{f'{same}/{len(row.labels)}':>13}"
        print(f"{name:22}{counts}   {'   '.join(cells)}   {ends}", flush=True)


def _per_kept(row: Found, naive: Found, provider: str, *roles: str) -> str:
    if not row.kept or not naive.kept:
        return "none kept".rjust(17)
    each, most = (found.tokens(provider, *roles) / len(found.kept) for found in (row, naive))
    return f"{each:,.0f} ({most / each:.1f})".rjust(17)


def print_differences(walks: list[tuple[Trajectory, Replayed]]) -> None:
    """Whether the pages can be had back from what is sent of them."""
    sent = size = whole = 0
    for walked, _ in walks:
        pages = [without_references(page.text) for page in walked.observations]
        for before, after in pairwise(pages):
            changes = difference(before, after)
            if restored(before, changes) != after:
                raise SystemExit("a page cannot be had back from its difference to the one before")
            sent, size, whole = sent + 1, size + min(len(changes), len(after)), whole + len(after)
    print(f"\n{sent} pages as differences to the one before: all can be had back, {size / whole:.0%} of their length")


async def run(folder: Path, lengths: list[int], kind: str) -> None:
    walks = walks_of(folder)
    for steps in lengths:
        long = [beginning(walked, replayed, steps) for walked, replayed in walks if len(walked.steps) >= steps]
        if not long:
            raise UserError(f"no walk in {folder} has {steps} steps; make longer ones: benchmarks/walks.py --steps")
        rows = {name: await labelled(long, Labelling(**{**OFF, **how}), kind) for name, how in LEVERS.items()}
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
