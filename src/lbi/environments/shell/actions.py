"""Reads the text of a shell action: ``view("a.py", 1, 20)`` -> Command("view", ("a.py", 1, 20)).

Every command can be written in one way only, and means the same on another day, so it is its own grounded form.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from lbi.environments._arguments import Argument, bound, read_arguments

MAX_CHARS = 10_000  # of output, where a config says nothing else
_EXPLAINED = """\
You work in a shell on a copy of a repository. After each action you see the folder you are in, the exit code and the
output of a command, or the lines of a file; of over {most} characters the middle is left out. There is no network,
and nothing can be typed into a command that runs.

run("pytest -q")                 run commands, many if need be, in a bash that stays open (cd and export carry over)
view("src/a.py", 10, 60)         show lines of a file with their numbers; without numbers, its first 100 lines
replace("src/a.py", "old", "new")  replace a text that occurs exactly once in the file
create("src/b.py", "text")       write a whole file, new or in place of the old one
insert("src/a.py", 12, "text")   insert lines after line 12; 0 = at the beginning
finish("answer")                 end the task; the answer may be empty
Texts are written as in Python or JSON: \\n is a new line, \\" a quote, \\\\ a backslash, and \"\"\"...\"\"\" holds
several lines."""


def explained(max_chars: int = MAX_CHARS) -> str:
    """The actions, where so much of an output is shown."""
    return _EXPLAINED.format(most=f"{max_chars:,}")


ACTIONS = explained()
KINDS = ("run", "view", "replace", "create", "insert", "finish")
#: the arguments of each: S = text, N = number; in small letters those that may be left out
SHAPES = {"run": "S", "view": "Snn", "replace": "SSS", "create": "SS", "insert": "SNS", "finish": "s"}
_PATH = ("file", "filename", "file_path")
#: the arguments of each action by name, and other names for them
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "run": {"command": ("cmd", "bash", "code")},
    "view": {"path": _PATH, "start": ("start_line", "first"), "end": ("end_line", "last")},
    "replace": {"path": _PATH, "old": ("old_str", "old_text"), "new": ("new_str", "new_text")},
    "create": {"path": _PATH, "text": ("content", "file_text")},
    "insert": {"path": _PATH, "line": ("insert_line", "after"), "text": ("content", "new_str")},
    "finish": {"answer": ("text", "message", "result", "value")},
}
EXAMPLES = {line.split("(")[0]: re.split(r"\s{2,}", line)[0] for line in ACTIONS.splitlines() if "(" in line[:10]}
_CALL = re.compile(r"(?<![\w.])(" + "|".join(KINDS) + r")\s*\(")


class UnreadableCommand(ValueError):
    """The message is one line for the model."""


@dataclass(frozen=True)
class Command:
    """An action that could be read: texts and numbers in the order of SHAPES."""

    kind: str
    arguments: tuple[str | int, ...] = ()

    @property
    def text(self) -> str:
        """The one way in which it is written."""
        return f"{self.kind}({', '.join(json.dumps(value, ensure_ascii=False) for value in self.arguments)})"

    @property
    def path(self) -> str:
        return str(self.arguments[0]) if self.kind in ("view", "replace", "create", "insert") else ""

    @property
    def value(self) -> str:
        """What it is about apart from its file: the command, the new text, the line numbers, the answer."""
        rest = self.arguments[1:] if self.path else self.arguments
        return str(rest[-1]) if self.kind in ("replace", "insert") else ", ".join(str(value) for value in rest)


def parse_command(text: str) -> Command:
    """Read the first action in ``text``. Raises UnreadableCommand."""
    call = _CALL.search(text)
    if call is None:
        if re.fullmatch(r"(?:.*[:\s])?finish[.`\s]*", text.strip(), re.S):
            return Command("finish", ("",))
        raise UnreadableCommand(f"no action found; write one of: {', '.join(KINDS)}, as in {EXAMPLES['run']}")
    kind = call[1]
    try:
        arguments = [each.text for each in bound(kind, _read(kind, text, call.end()), NAMES[kind])]
    except ValueError as error:
        raise UnreadableCommand(f"{error}; it is written {EXAMPLES[kind]}") from None
    shape = SHAPES[kind]
    if kind in ("run", "finish") and len(arguments) > 1:  # quotes were forgotten around a text with commas
        arguments = [", ".join(arguments)]
    needed = sum(letter.isupper() for letter in shape)
    if not needed <= len(arguments) <= len(shape):
        raise UnreadableCommand(f"{kind} is written {EXAMPLES[kind]}; {len(arguments)} arguments were given")
    values = tuple(_value(kind, letter, argument) for letter, argument in zip(shape.upper(), arguments, strict=False))
    if kind == "finish" and not values:
        values = ("",)
    if values and kind != "finish" and not str(values[0]).strip():
        raise UnreadableCommand(f"{kind} needs a {'command' if kind == 'run' else 'path'}, as in {EXAMPLES[kind]}")
    return Command(kind, values)


def _read(kind: str, text: str, at: int) -> list[Argument]:
    """The arguments; of a command or an answer whose quotes were forgotten, FOO=1 is a part and no name."""
    arguments = read_arguments(text, at)
    if kind not in ("run", "finish"):
        return arguments
    known = {name for own, others in NAMES[kind].items() for name in (own, *others)}
    return [
        Argument(f"{each.name}={each.text}", False)
        if each.name and not each.quoted and each.name not in known
        else each
        for each in arguments
    ]


def _value(kind: str, letter: str, text: str) -> str | int:
    if letter == "S":
        return text
    if not re.fullmatch(r"\s*\d+\s*", text):
        raise UnreadableCommand(f"{text!r} is no line number; {kind} is written {EXAMPLES[kind]}")
    return int(text)
