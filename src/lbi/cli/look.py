"""look: a page as an agent sees it, actions on it one after another, and what each of them changed."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path

from lbi.cli.sites import open_site
from lbi.environments.web.actions import UnreadableAction, parse_action
from lbi.errors import UserError
from lbi.monitoring.terminal import say
from lbi.observations.diff import changes
from lbi.protocols import Outcome
from lbi.records import Action, Observation, Task


@dataclass(frozen=True)
class Shown:
    """One action, what it did, and how long it took until the page was seen again."""

    action: str
    named: str  # the same with role and name, which hold on another visit too; "" where it is written so
    error: str
    changed: str  # as a difference to the page before; "" if nothing was
    seconds: float


def look(
    where: str,
    actions: list[str],
    whole: bool,
    picture: Path | None,
    as_json: bool,
    interactive: bool = False,
) -> int:
    """Print pages; 1 if an action could not be carried out, after which no more are tried."""
    for action in actions:
        try:
            parse_action(action)
        except UnreadableAction as error:
            raise UserError(f"{action!r}: {error}") from None
    if picture is not None and not picture.resolve().parent.is_dir():
        raise UserError(f"no folder {picture.resolve().parent} for the picture")
    if picture is not None and picture.is_dir():
        raise UserError(f"{picture} is a folder; --picture takes the name of a PNG file")
    if interactive and as_json:
        raise UserError("--interactive is for people; with --json, name the actions")
    return asyncio.run(_look(where, actions, whole, picture, as_json, interactive))


async def _look(
    where: str, actions: list[str], whole: bool, picture: Path | None, as_json: bool, interactive: bool
) -> int:
    environments, start = open_site(where)
    steps: list[Shown] = []
    try:
        web = await environments.open()
        started = time.monotonic()
        first = page = await web.reset(Task(instruction="", environment=web.name, start_url=start))
        if not as_json:
            say(f"{page.text}\n\n[{time.monotonic() - started:.2f} s]")
        if interactive:
            from lbi.cli.look_prompt import Prompt

            await Prompt(environments, web, start, page).run(actions)
            page = await web.observe()
        for action in actions if not interactive else ():
            started = time.monotonic()
            outcome = await web.step(action)
            after = outcome.observation
            steps.append(shown_step(page, outcome, time.monotonic() - started))
            if not as_json:
                print_step(steps[-1], after, whole)
            page = after
            if after.error or outcome.done:
                break
        if picture is not None:
            await asyncio.to_thread(write_picture, picture, await web.picture())
    finally:
        await environments.close()
    if as_json:
        found = {"first": first.text, "steps": [vars(step) for step in steps], "last": page.text}
        say(json.dumps(found, indent=2, ensure_ascii=False))
    return 1 if page.error else 0


def shown_step(before: Observation, outcome: Outcome, seconds: float) -> Shown:
    done, after = outcome.action, outcome.observation
    return Shown(done.text, _named(done), after.error, changes(before.text, after.text), seconds)


def _named(done: Action) -> str:
    return done.written if done.role and done.written != done.text.strip() else ""


def print_step(step: Shown, after: Observation, whole: bool) -> None:
    """The action, its error, and what it changed or the whole page."""
    say(f"\n> {step.action}" + (f"  =  {step.named}" if step.named else ""))
    if step.error:
        say(f"error: {step.error}")
    if whole:
        say(after.text)
    elif step.changed:
        say(step.changed)
    elif not step.error:
        say("nothing changed")
    say(f"[{step.seconds:.2f} s]")


def write_picture(file: Path, picture: bytes) -> None:
    """Raises UserError for a file that cannot be written."""
    try:
        file.write_bytes(picture)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None
