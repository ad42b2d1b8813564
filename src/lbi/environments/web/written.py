"""Actions that somebody did -> TOML, as benchmarks and applications have it: a solution, or the steps of a log-in."""

from __future__ import annotations

import json
import re

from lbi.environments.web.actions import parse_action
from lbi.environments.web.application import SECRET
from lbi.records import Action

#: actions that only look, and do nothing when they are repeated
LOOKING = ("find", "wait", "scroll")
#: names of fields whose values no file should hold
PRIVATE = re.compile(r"passwor|passphrase|secret|token|\bpin\b", re.IGNORECASE)


class ActionsDone:
    """What was done from the first page on, by role and name, as references hold for one page only.

    ``start`` is the address that a task has to name to begin there; "" = where every episode begins. ``first`` is where
    the first page was.
    """

    def __init__(self, start: str, first: str) -> None:
        self.start, self.first = start, first
        self.written: list[str] = []

    def add(self, done: Action, typed: str) -> None:
        """``typed`` is how it was written; each ${NAME} in it stands in place of its value."""
        if done.kind in LOOKING:
            return
        value = parse_action(typed).value if SECRET.search(typed) else done.value
        if done.kind in ("fill", "type") and PRIVATE.search(done.name) and not SECRET.search(value):
            value = "${PASSWORD}"
        self.written.append(done.model_copy(update={"value": value}).written)

    def forget(self) -> str:
        """Leave out the last one, which is returned; "" = there is none."""
        return self.written.pop() if self.written else ""


def as_gold(done: ActionsDone) -> str:
    """A held-out task without its instruction and check, which somebody has to write."""
    actions = done.written if done.written and done.written[-1].startswith("finish(") else [*done.written, 'finish("")']
    start = [f"start_url = {_text(done.start)}"] if done.start else []
    lines = [
        "[[task]]",
        'name = "..."',
        'instruction = "..."',
        *start,
        *_list("gold", actions),
        'check = { shows = ["..."] }   # or answer, url, sql, command: docs/formats.md',
    ]
    return "\n".join(lines)


def as_login(done: ActionsDone) -> str:
    """The log-in of an application's file."""
    steps = [action for action in done.written if not action.startswith("finish(")]
    return "\n".join(["[login.form]", f"url = {_text(done.first or '/')}", *_list("steps", steps)])


def _list(name: str, actions: list[str]) -> list[str]:
    return [f"{name} = [", *(f"  {_text(action)}," for action in actions), "]"]


def _text(text: str) -> str:
    """A literal string, or one with escapes where it cannot be literal."""
    if "'" in text or any(ord(character) < 32 or ord(character) == 127 for character in text):
        return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"'{text}'"
