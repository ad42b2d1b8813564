"""A call of somebody's tool -> an action: Bash {"command": "ls"} -> run("ls"), book {"seat": "4A"} -> book(seat="4A").

Tools for commands and files are called alike in all agents, so their calls become the actions of the environment
``shell``: there they can be carried out again, and an example of one agent is read by every other. Any other call is
written with its arguments by name, and counts as a command that is run.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from lbi.environments.shell.actions import Command
from lbi.environments.shell.consequences import why_it_may_change
from lbi.records import Action, sound

RUN = frozenset(
    "bash shell sh exec_command execute_bash terminal run_command local_shell shell_command run_terminal_cmd "  # noqa: SIM905
    "execute_command container_exec run_shell_command run_in_terminal cmd bash_session".split()
)
VIEW = frozenset("read read_file view view_file open_file cat_file readfile fs_read".split())  # noqa: SIM905
CREATE = frozenset("write write_file create create_file write_to_file".split())  # noqa: SIM905
REPLACE = frozenset("edit edit_file str_replace replace search_replace replace_in_file".split())  # noqa: SIM905
INSERT = frozenset({"insert"})
EDITORS = frozenset("str_replace_editor str_replace_based_edit_tool file_editor text_editor editor".split())  # noqa: SIM905
PATCH = "apply_patch"

_COMMAND = ("command", "cmd", "commands", "script", "code", "input")
_PATH = ("file_path", "path", "filepath", "target_file", "filename", "file", "absolute_path")
_OLD = ("old_string", "old_str", "old_text", "search", "old")
_NEW = ("new_string", "new_str", "new_text", "replacement", "replace", "new")
_TEXT = ("content", "file_text", "contents", "text", "code_edit")
_SHELLS = frozenset({"bash", "sh", "zsh", "/bin/bash", "/bin/sh", "/bin/zsh"})
#: the first word of what only looks, in the names of tools
_LOOKS = frozenset(
    "get list search read find view show fetch lookup look query describe count check grep glob ls think head tail "  # noqa: SIM905
    "browse open info status inspect explain calculate compute retrieve load web".split()
)
_PATCHED = re.compile(r"^\*\*\* (Add|Update|Delete) File: (.+)$", re.MULTILINE)


def action_of(name: str, arguments: Any) -> Action:
    """The action of a call; ``arguments`` is an object, or a text where the tool takes one."""
    given = arguments if isinstance(arguments, Mapping) else {}
    short = re.sub(r"[.-]", "_", name.rpartition("__")[2].rpartition("/")[2]).lower()
    command = _command(short, given, arguments if isinstance(arguments, str) else "")
    if command is not None:
        return Action(text=sound(command.text), kind=command.kind, name=sound(command.path), value=sound(command.value))
    if short == PATCH:
        return _patch(name, str(given.get("input") or given.get("patch") or arguments))
    return _call(name, arguments)


def finish(answer: str) -> Action:
    """The end, with what the agent said last."""
    return Action(text=f"finish({json.dumps(answer, ensure_ascii=False)})", kind="finish", value=answer)


def may_change(action: Action) -> bool:
    """Whether an action may have changed something: what is not known to look only, by its command or its name."""
    if action.kind == "run" and action.name:
        return _first_word(action.name) not in _LOOKS
    if action.kind in ("run", "view", "replace", "create", "insert"):
        return bool(why_it_may_change(Command(action.kind, (action.name or action.value,))))
    return action.kind not in ("finish", "scroll", "wait", "hover", "find", "tab", "back", "forward", "goto")


def _first_word(name: str) -> str:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name.rpartition("__")[2].rpartition(".")[2])
    return words[0].lower() if words else ""


def _command(short: str, given: Mapping[str, Any], text: str) -> Command | None:
    """The action of the shell that a call is; None if it is none, or has arguments that no action has."""
    if short in EDITORS:
        told = given.get("command")
        short = {"str_replace": "edit"}.get(told, told) if isinstance(told, str) else ""
        given = {key: value for key, value in given.items() if key != "command"}
    path = _text(given, _PATH)
    if short in RUN:
        line = _line(_first(given, _COMMAND)) or text
        return Command("run", (line,)) if line.strip() else None
    if not path:
        return None
    if short in VIEW:
        return Command("view", (path, *_lines(given)))
    if short in CREATE and (content := _first(given, _TEXT)) is not None:
        return Command("create", (path, str(content)))
    if short in REPLACE and isinstance(old := _first(given, _OLD), str) and old and not given.get("replace_all"):
        return Command("replace", (path, old, str(_first(given, _NEW) or "")))
    if short in INSERT and isinstance(at := given.get("insert_line"), int):
        return Command("insert", (path, at, str(_first(given, (*_NEW, *_TEXT)) or "")))
    return None


def _lines(given: Mapping[str, Any]) -> tuple[int, ...]:
    """(first, last) of the lines that are shown; () for all."""
    both = given.get("view_range")
    if isinstance(both, list) and len(both) == 2 and all(isinstance(each, int) for each in both):
        return (both[0], both[1]) if both[1] > 0 else (both[0],)
    first = next((given[key] for key in ("offset", "start_line", "start") if isinstance(given.get(key), int)), None)
    last = next((given[key] for key in ("end_line", "end") if isinstance(given.get(key), int)), None)
    if isinstance(count := given.get("limit"), int) and last is None:
        last = (first or 1) + count - 1
    return (max(first or 1, 1), last) if last is not None and last > 0 else (first,) if first else ()


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((given[name] for name in names if given.get(name) is not None), None)


def _text(given: Mapping[str, Any], names: tuple[str, ...]) -> str:
    found = _first(given, names)
    return found if isinstance(found, str) else ""


def _line(command: Any) -> str:
    """A command line; of a list of words that call a shell the line that it is given."""
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        if len(command) == 3 and command[0] in _SHELLS and command[1] in ("-c", "-lc", "-ic"):
            return str(command[2])
        return shlex.join(command) if len(command) > 1 else str(command[0])
    return command if isinstance(command, str) else ""


def _patch(name: str, patch: str) -> Action:
    """A patch of one file is known by it; its text says the rest."""
    text = sound(f"{name}({json.dumps(patch, ensure_ascii=False)})")
    files = _PATCHED.findall(patch)
    if len(files) != 1 or files[0][0] == "Delete":
        return Action(text=text, kind="run", name=name, value=f"{name} {', '.join(file for _, file in files)}".strip())
    added = "\n".join(line[1:] for line in patch.splitlines() if line.startswith("+"))
    return Action(text=text, kind="create" if files[0][0] == "Add" else "replace", name=files[0][1], value=added)


def _call(name: str, arguments: Any) -> Action:
    if isinstance(arguments, Mapping):
        inside = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in arguments.items())
    else:
        inside = json.dumps(arguments, ensure_ascii=False) if arguments else ""
    text = sound(f"{name}({inside})")
    return Action(text=text, kind="run", name=sound(name), value=text)
