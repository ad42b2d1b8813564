"""look --interactive: a line from a person -> an action on the page, and what it changed; at the end as TOML.

> click(link "New note")
> fill(textbox "Title", "Eggs")
> gold
[[task]]
gold = ['click(link "New note")', ...]
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lbi.cli.look_view import Shown, print_step, shown_step, write_picture
from lbi.environments.web.actions import UnreadableAction, parse_action
from lbi.environments.web.application import SECRET, expand
from lbi.environments.web.login import quoted
from lbi.environments.web.written import ActionsDone, as_gold, as_login
from lbi.errors import UserError
from lbi.monitoring.terminal import say
from lbi.records import Observation, Task
from lbi.storage.secrets import learn

if TYPE_CHECKING:
    from lbi.environments.web.environment import WebEnvironment, WebEnvironments

HELP = """An action in an agent's words, such as click(e3) or fill(textbox "Name", "Jo"); ${NAME} in it is a variable of
yours, which is masked, and stays ${NAME} in what is written down. Or one of
  page            the page as it is now        picture FILE   a PNG of it, references marked
  gold [FILE]     what was done, as the solution of a held-out task, in TOML; into FILE, at its end
  login [FILE]    the same, as the steps of a log-in
  forget          leave the last action out of what is written down (the page stays as it is)
  again           open the start page anew, put back as an episode begins; nothing is written down then
  help, quit"""


class Prompt:
    """Reads lines until there are no more, and carries them out one after another."""

    def __init__(self, environments: WebEnvironments, web: WebEnvironment, start: str, first: Observation) -> None:
        self._environments, self._web, self._start = environments, web, start
        self._page = first
        self._done = self._nothing_done(first)

    async def run(self, first: list[str]) -> None:
        """``first`` are actions that are carried out before any line is read."""
        waiting = list(first)
        while (line := waiting.pop(0) if waiting else await asyncio.to_thread(_line)) is not None:
            word, _, rest = line.strip().partition(" ")
            if word in ("quit", "exit"):
                return
            try:
                await self._obey(word, rest.strip(), line.strip())
            except UserError as error:  # a person's slip ends nothing
                say(f"lbi: {error}")

    async def _obey(self, word: str, rest: str, line: str) -> None:
        if not line or word == "page":
            say(self._page.text)
        elif word == "help":
            say(HELP)
        elif word == "picture":
            if not rest:
                raise UserError("picture takes the name of a PNG file")
            await asyncio.to_thread(write_picture, Path(rest), await self._web.picture())
        elif word in ("gold", "login"):
            told = as_gold(self._done) if word == "gold" else as_login(self._done)
            _tell(told, rest)
        elif word == "forget":
            dropped = self._done.forget()
            say(f"left out: {dropped}" if dropped else "nothing was done yet")
        elif word == "again":
            task = Task(instruction="", environment=self._web.name, start_url=self._start)
            self._page = await self._web.reset(task)
            self._done = self._nothing_done(self._page)
            say(self._page.text)
        else:
            await self._act(line)

    def _nothing_done(self, first: Observation) -> ActionsDone:
        usual = self._start in ("/", self._environments.application.start_url)
        return ActionsDone("" if usual else self._start, first.url)

    async def _act(self, line: str) -> None:
        application = self._environments.application
        for name in SECRET.findall(line):
            learn(expand(f"${{{name}}}", application), name)
        action = expand(line, application, quoted)
        try:
            parse_action(action)
        except UnreadableAction as error:
            raise UserError(f"{error}; `help` says what there is") from None
        started = time.monotonic()
        outcome = await self._web.step(action)
        step: Shown = shown_step(self._page, outcome, time.monotonic() - started)
        if not outcome.observation.error:
            self._done.add(outcome.action, line)
        print_step(step, outcome.observation, whole=False)
        self._page = outcome.observation


def _line() -> str | None:
    """None at the end of what is typed."""
    try:
        return input("\n> " if sys.stdin.isatty() else "")
    except EOFError:
        return None


def _tell(toml: str, file: str) -> None:
    if not file:
        say(toml)
        return
    try:
        with Path(file).open("a", encoding="utf-8") as opened:
            opened.write(f"\n{toml}\n")
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None
    say(f"written at the end of {file}")
