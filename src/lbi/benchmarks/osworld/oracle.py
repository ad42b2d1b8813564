"""Solutions of OSWorld's tasks by an agent's own actions: our scripts, and files put where results are looked for."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from lbi.benchmarks.osworld.places import Places
from lbi.benchmarks.osworld.task import TaskFile
from lbi.environments.desktop.actions import parse_action
from lbi.errors import UserError
from lbi.observations.parse import parse_observation
from lbi.protocols import Agent, Decision
from lbi.records import Observation, Step, Task
from lbi.storage.toml import TomlError, parse_toml

PART = 60_000  # bytes of a file that one snippet writes
MOST_WAITS = 12  # for one element; each is some seconds, or less where something changes
MOST = 2_500_000  # bytes of a file that is put in place so
WRITE = """import base64, os
os.makedirs(os.path.dirname({path!r}), exist_ok=True)
with open({path!r}, {mode!r}) as file:
    file.write(base64.b64decode({data!r}))"""


@cache
def _scripts() -> dict[str, list[str]]:
    file = resources.files(__package__) / "gold.toml"
    try:
        return dict(parse_toml(file.read_text("utf-8"))) if file.is_file() else {}
    except TomlError as error:
        raise UserError(f"{file}: {error}") from None


def gold_of(task: str) -> tuple[str, ...]:
    """Our own solution of the task of this id; () = none."""
    return tuple(_scripts().get(task, ()))


def solution(task: TaskFile, places: Places) -> Agent | None:
    """Who writes the reference where the result is looked for; None for a task that is not judged so."""
    result, expected = task.evaluator.get("result"), task.evaluator.get("expected")
    pairs = list(zip(result, expected, strict=False)) if isinstance(result, list) and isinstance(expected, list) else []
    pairs = pairs or [(result, expected)]
    wanted: dict[str, Path] = {}
    for found, reference in pairs:
        if not isinstance(found, dict) or not isinstance(reference, dict):
            return None
        paths, addresses = _texts(found.get("path")), _texts(reference.get("path"))
        if found.get("type") != "vm_file" or reference.get("type") != "cloud_file" or len(paths) != len(addresses):
            return None
        for path, address in zip(paths, addresses, strict=True):
            file = places.file(address, task.name)
            if file is None or file.stat().st_size > MOST:
                return None
            wanted[path] = file
    return PutsFiles(wanted) if wanted else None


class Follows:
    """Does the actions of a script, one after the other; an element that is not there yet is waited for."""

    name = "oracle"

    def __init__(self, script: Sequence[str]) -> None:
        self._left, self._waited = list(script), 0

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        if self._left and self._waited < MOST_WAITS and not _is_there(self._left[0], observation):
            self._waited += 1
            return Decision(action="wait()")
        self._waited = 0
        return Decision(action=self._left.pop(0) if self._left else 'finish("")')


def _is_there(action: str, observation: Observation) -> bool:
    target = parse_action(action).target
    if target is None or not target.name:
        return True
    return parse_observation(observation.text).find(target.role, target.name) is not None


class PutsFiles:
    """Writes files in snippets, one after the other, and finishes."""

    name = "oracle"

    def __init__(self, wanted: dict[str, Path]) -> None:
        self._actions = [snippet for path, file in wanted.items() for snippet in _snippets(path, file.read_bytes())]

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        number = len(history)
        return Decision(action=self._actions[number] if number < len(self._actions) else 'finish("")')


def _snippets(path: str, content: bytes) -> list[str]:
    parts = [content[at : at + PART] for at in range(0, len(content), PART)] or [b""]
    snippets = [
        WRITE.format(path=path, mode="ab" if number else "wb", data=base64.b64encode(part).decode())
        for number, part in enumerate(parts)
    ]
    return [f"python({json.dumps(snippet)})" for snippet in snippets]


def _texts(part: object) -> list[str]:
    return [str(each) for each in part] if isinstance(part, list) else [str(part)] if part else []
