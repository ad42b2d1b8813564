"""Document -> tasks: self-instruct from one section of the documentation (paper, sec. 2.2)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from lbi import parse
from lbi.contracts import Fields, Model, Request
from lbi.records import Document, Task, Usage

T = TypeVar("T")


async def propose(
    model: Model, document: Document, count: int, *, environment: str, actions: str, stage: str = "propose"
) -> tuple[list[Task], Usage]:
    """At most ``count`` tasks that the document helps with, each citing the words that it rests on."""
    fields = Fields(document=document, count=count, actions=actions)
    pairs, usage = await parse.ask(model, Request(role="propose", fields=fields, stage=stage), parse.propose)
    tasks = [
        Task(instruction=instruction, environment=environment, document=document.id, quote=cited(quote, document.text))
        for instruction, quote in pairs[:count]
    ]
    return tasks, usage


def cited(quote: str, text: str) -> str:
    """The quote if it stands in the document (blanks folded), else nothing: a made-up citation is none."""
    folded = " ".join(quote.split())
    return folded if folded and folded in " ".join(text.split()) else ""


def take_turns(lists: Sequence[Sequence[T]]) -> list[T]:
    """The first of each, then the second ones ...: a cap on it then cuts depth before breadth."""
    longest = max((len(some) for some in lists), default=0)
    return [some[turn] for turn in range(longest) for some in lists if turn < len(some)]


def in_turns(sections: Sequence[Document], seed: int) -> list[Document]:
    """All sections, seeded, in an order of which any beginning is spread over as many sources as it can be."""
    chance = random.Random(f"sections/{seed}")
    by_source: dict[str, list[Document]] = {}
    for section in sections:
        by_source.setdefault(section.source, []).append(section)
    sources = list(by_source.values())
    chance.shuffle(sources)
    for some in sources:
        chance.shuffle(some)
    return take_turns(sources)
