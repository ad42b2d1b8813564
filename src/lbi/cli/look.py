"""look: a page as an agent sees it, actions on it one after another, and what each of them changed."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from lbi.cli.look_view import Shown, print_step, shown_step, write_picture
from lbi.cli.sites import open_site
from lbi.environments.web.actions import UnreadableAction, parse_action
from lbi.errors import UserError
from lbi.monitoring.terminal import say
from lbi.records import Task


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
