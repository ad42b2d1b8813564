"""act: one instruction -> carried out on the application, told step by step, and kept.

Exit codes: 0 the agent says that it has finished, 1 it failed or says that it cannot be done, 4 the steps were
used up, 130 stopped by a person.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lbi.cli import open_console
from lbi.cli.act_view import Narrator, SpanNarrator
from lbi.cli.ask import Terminal
from lbi.cli.retrieve import print_preview
from lbi.errors import UserError
from lbi.monitoring import terminal
from lbi.monitoring.terminal import say
from lbi.rollouts.act import ActOptions
from lbi.rollouts.act import act as carry_out
from lbi.rollouts.kept import Act, Status
from lbi.rollouts.learnt import first_page, folder_for_now, open_learnt, read_run
from lbi.rollouts.play_span import span_of_run, task_of
from lbi.rollouts.preview import preview

EXIT_CODES: dict[Status, int] = {"finished": 0, "failed": 1, "impossible": 1, "step limit": 4, "stopped": 130}


@dataclass(frozen=True)
class ActOutput:
    """What is asked and shown beside the act itself."""

    confirm: bool = False
    dry_run: bool = False
    as_json: bool = False
    quiet: bool = False


def act(run: Path, instruction: str, options: ActOptions, output: ActOutput) -> int:
    """Raises UserError for --confirm without anybody who could be asked, before anything is opened."""
    if output.dry_run and options.span:
        return _dry_run_of_span(run, options, output.as_json)
    if output.dry_run:
        return _dry_run(run, instruction, options, output.as_json)
    if output.confirm and not sys.stdin.isatty():
        raise UserError("--confirm asks in the terminal, and stdin is none; run it in a terminal, or leave it out")
    console = terminal.open_console(stderr=True) if output.as_json else open_console()
    asker = Terminal(console)
    # a window that closes at once shows nothing of what was done
    hold = asker.wait if options.use.live and options.use.live.headed and sys.stdin.isatty() else _at_once
    told = SpanNarrator if options.span else Narrator
    narrator = told(console, quiet=output.quiet, hold=hold)
    confirm = asker.confirm if output.confirm else None
    try:
        done = asyncio.run(carry_out(run, instruction, options, watcher=narrator, confirm=confirm))
    except KeyboardInterrupt:
        narrator.was_interrupted()
        raise
    if output.as_json:
        say(json.dumps(_as_data(done), indent=2, ensure_ascii=False))
    return EXIT_CODES[done.status]


def values_of(settings: Sequence[str]) -> dict[str, str]:
    """{"name": "Salt"} of what --set was given. Raises UserError."""
    values: dict[str, str] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UserError(f'--set takes NAME=VALUE, such as name="Salt", not "{text}"')
        if name.strip() in values:
            raise UserError(f"--set gives {name.strip()} twice")
        values[name.strip()] = value
    return values


async def _at_once() -> None:
    return None


def _as_data(done: Act) -> dict[str, object]:
    """What act.json says, and where it is."""
    told = json.loads((done.folder / "act.json").read_text(encoding="utf-8"))
    rest = {"rest": [action.written for action in done.rest]} if done.rest else {}
    return {"folder": str(done.folder), **told, **rest}


def _dry_run_of_span(run: Path, options: ActOptions, as_json: bool) -> int:
    """What would be done, step by step; nothing is opened."""
    span = span_of_run(read_run(run, options.use), options.span, options.values)
    task, steps = task_of(span, ""), [action.written for action in span.actions]
    if as_json:
        told = {"span": span.span.example.id, "instruction": task.instruction, "start": task.start_url, "steps": steps}
        say(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        say("\n".join([f"{task.instruction}\nfrom {task.start_url or 'the page where episodes begin'}:", *steps]))
    return 0


def _dry_run(run: Path, instruction: str, options: ActOptions, as_json: bool) -> int:
    """What would be retrieved for the first page, where nothing is done and nothing is kept."""

    async def look() -> None:
        read = await asyncio.to_thread(read_run, run, options.use)
        with folder_for_now() as folder:
            async with open_learnt(run, read, options.use, folder) as learnt:
                page = await first_page(learnt)
                found = await preview(learnt, instruction, page)
                print_preview(open_console(), found, as_json=as_json, place=learnt.place)

    asyncio.run(look())
    return 0
