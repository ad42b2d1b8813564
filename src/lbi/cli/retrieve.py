"""retrieve: instruction and page -> what an agent would be shown there and why, or the whole prompt."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from lbi.cli import open_console
from lbi.cli.act_view import place as page_name
from lbi.cli.act_view import print_part
from lbi.monitoring.terminal import say
from lbi.report.words import count, cut, plural
from lbi.retrieval.spans import executable
from lbi.rollouts.learnt import Use
from lbi.rollouts.preview import Preview, RetrievedExample, read_page
from lbi.rollouts.preview import retrieve as look_up
from lbi.storage.calls import masked

MOST_ACTIONS = 4  # of an example that are shown
LONGEST_ACTION = 100
WHY = {"observation": "by the page", "query": "by the query", "content": "by content"}


@dataclass(frozen=True)
class RetrieveOutput:
    """How what was found is printed."""

    prompt: bool = False
    all_: bool = False
    as_json: bool = False


def retrieve(run: Path, instruction: str, page: str, use: Use, ask: bool, output: RetrieveOutput) -> int:
    """``page``: a file, "-" for stdin, the URL of a page, or "" for none."""
    seen = read_page(sys.stdin.read(), "stdin") if page == "-" else page
    found = asyncio.run(look_up(run, instruction, seen, use, ask=ask))
    if output.prompt and not output.as_json:
        print_prompt(found)
    else:
        print_preview(open_console(), found, as_json=output.as_json, all_=output.all_)
    return 0


def print_prompt(found: Preview) -> None:
    """The messages as they would be sent, secrets masked."""
    for message in found.prompt:
        say(f"--- {message.role}\n{masked(message.content)}\n")


def print_preview(
    console: Console, found: Preview, *, as_json: bool = False, all_: bool = False, place: str = ""
) -> None:
    """The examples, best first, each with why it was found and what it adds to the prompt.

    Those for which the prompt has no room are only counted, unless ``all_`` are wanted.
    """
    if as_json:
        say(json.dumps(as_data(found, place), indent=2, ensure_ascii=False))
        return

    def tell(text: str = "") -> None:
        console.print(text, soft_wrap=True, markup=False, highlight=False)

    if place:
        tell(f"It would act on {place}.")
    without = _NO_PAGE if found.indexed else "Page: none"
    tell(f"Page: {page_name(found.page)}" if found.page.text else without)
    if found.query:
        by = f"(written by {found.asked})" if found.asked else "(the instruction; --ask lets the model write one)"
        tell(f"Query: {found.query}  {by}")
    for example in found.examples:
        if all_ or example.tokens:
            _print_example(console, example, bool(found.page.text))
    for passage in found.passages:
        tell(f"\n{passage.rank:>2}  a passage of the documentation, {count(passage.tokens)} tokens")
        print_part(console, "from", passage.title)
    tell(f"\n{_sum(found, hint='' if all_ or place else ': --all')}")
    if found.note:
        tell(f"Note: {found.note}.")


_NO_PAGE = "Page: none, so nothing is found by the page; give one with --page FILE or URL"


def _print_example(console: Console, example: RetrievedExample, on_page: bool) -> None:
    record = example.shown.example
    room = f"{count(example.tokens)} tokens" if example.tokens else "not in the prompt"
    header = f"\n{example.rank:>2}  found {WHY[example.why]}, {record.tier}, {room}"
    console.print(header, style="bold", soft_wrap=True, markup=False, highlight=False)
    print_part(console, "task", example.instruction)
    like = ("  (the same page)" if example.same_page else "  (most like it)") if on_page else ""
    print_part(console, "page", f"{page_name(example.page)}{like}")
    actions = [cut(action.written, LONGEST_ACTION) for action in example.actions]
    more = [f"… {len(actions) - MOST_ACTIONS} more"] if len(actions) > MOST_ACTIONS else []
    print_part(console, "steps", "\n".join([*actions[:MOST_ACTIONS], *more]))
    if span := executable(record, example.shown.trajectory):
        settings = "".join(f" --set {each.name}=..." for each in span.parameters)
        print_part(console, "run by", f"lbi act RUN --span {span.id}{settings}")


def _sum(found: Preview, hint: str) -> str:
    """8 examples in the prompt, of 61 found among 218 (arm backward, agent icl)."""
    arm = f"(arm {found.arm}, agent {found.agent})"
    prompt = f"The prompt has about {count(found.tokens)} tokens"
    if found.examples:
        fit = sum(example.tokens > 0 for example in found.examples)
        rest = len(found.examples) - fit
        among = f"of {count(len(found.examples))} found among {count(found.indexed)} {arm}"
        why = f"; {count(rest)} more have no room or add nothing{hint}" if rest else ""
        added = sum(example.tokens for example in found.examples)
        return f"{plural(fit, 'example')} in the prompt, {among}{why}.\n{prompt}, {count(added)} of them for examples."
    if found.passages:
        return f"{plural(len(found.passages), 'passage')} of the documentation {arm}. {prompt}."
    nothing = (
        f"Nothing fits among {plural(found.indexed, 'example')}" if found.indexed else "No examples are looked for"
    )
    return f"{nothing} {arm}. {prompt}."


def as_data(found: Preview, place: str = "") -> dict[str, Any]:
    """What a program wants to know of it."""
    return {
        "instruction": found.instruction,
        "on": place,
        "page": {"title": found.page.title, "url": found.page.url, "given": bool(found.page.text)},
        "query": found.query,
        "query_written_by": found.asked,
        "arm": found.arm,
        "agent": found.agent,
        "indexed": found.indexed,
        "examples": [
            {
                "rank": example.rank,
                "why": example.why,
                "instruction": example.instruction,
                "id": example.shown.example.id,
                "kind": example.shown.example.kind,
                "tier": example.shown.example.tier,
                "tokens": example.tokens,
                "page": {"title": example.page.title, "url": example.page.url},
                "same_page": example.same_page,
                "actions": [action.written for action in example.actions],
            }
            for example in found.examples
        ],
        "passages": [vars(passage) for passage in found.passages],
        "tokens": found.tokens,
        "note": found.note,
        "prompt": [{"role": message.role, "content": masked(message.content)} for message in found.prompt],
    }
