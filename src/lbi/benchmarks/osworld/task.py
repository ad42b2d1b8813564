"""OSWorld's task files as they are: examples/libreoffice_calc/ID.json -> TaskFile, or why a file is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Json = dict[str, Any]
INFEASIBLE = "infeasible"
LOOKS_UP = ("result", "expected")  # parts of an evaluator that getters look up


class Step(BaseModel):
    """One step of a ``config`` or ``postconfig``."""

    model_config = ConfigDict(frozen=True)

    type: str
    parameters: Json = Field(default_factory=dict)

    @property
    def commands(self) -> str:
        """Its command line as text; "" where it has none."""
        command = self.parameters.get("command", "")
        return command if isinstance(command, str) else " ".join(str(word) for word in command)


class TaskFile(BaseModel):
    """What of a task's file is used here; what else it holds is left alone."""

    model_config = ConfigDict(frozen=True)

    id: str
    instruction: str = Field(min_length=1)
    evaluator: Json
    config: tuple[Step, ...] = ()
    related_apps: tuple[str, ...] = ()
    proxy: bool = False
    app: str = ""
    """The folder that it lies in; set as it is read."""

    @property
    def name(self) -> str:
        return f"{self.app}/{self.id}"

    @property
    def infeasible(self) -> bool:
        return bool(self.evaluator.get("func") == INFEASIBLE)

    @property
    def postconfig(self) -> tuple[Step, ...]:
        return tuple(Step.model_validate(step) for step in self.evaluator.get("postconfig") or ())

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the functions that judge it; none of a task that is to be called infeasible."""
        func = self.evaluator.get("func")
        names = tuple(str(name) for name in func) if isinstance(func, list) else (str(func),)
        return () if self.infeasible else names

    @property
    def looked_up(self) -> tuple[Json, ...]:
        """What its getters are given, each with its ``type``."""
        return tuple(each for part in LOOKS_UP for each in _listed(self.evaluator.get(part)) if each)

    @property
    def downloads(self) -> tuple[tuple[str, str], ...]:
        """(address, file name) of every file that is fetched from elsewhere, to begin with or to be judged by."""
        return tuple(dict.fromkeys([*self._inputs(), *self.references]))

    @property
    def references(self) -> tuple[tuple[str, str], ...]:
        """(address, file name) of those that a result is compared with."""
        found: list[tuple[str, str]] = []
        for getter in self.looked_up:
            if getter.get("type") == "cloud_file":
                found += zip(_texts(getter.get("path")), _texts(getter.get("dest")), strict=False)
        return tuple(found)

    def _inputs(self) -> Iterator[tuple[str, str]]:
        for step in (*self.config, *self.postconfig):
            if step.type == "download":
                for file in step.parameters.get("files", ()):
                    yield file["url"], file["path"].rpartition("/")[2]


def read_task(app: str, file: Path) -> TaskFile | str:
    """The task, or in a few words why the file is none."""
    try:
        raw = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return "its file is missing"
    except (OSError, ValueError) as error:
        return f"its file cannot be read: {str(error).splitlines()[0]}"
    try:
        task = TaskFile.model_validate({**raw, "app": app} if isinstance(raw, dict) else raw)
        return _problem(task) or task
    except ValidationError as error:
        first = error.errors()[0]
        return f"its file is none of OSWorld's: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"


def _problem(task: TaskFile) -> str:
    """What of the evaluator is not as the official runner takes it; "" if nothing is."""
    func = task.evaluator.get("func")
    if not func or not isinstance(func, str | list):
        return "its file is none of OSWorld's: evaluator.func names no metric"
    lengths = {len(part) for part in map(task.evaluator.get, LOOKS_UP) if isinstance(part, list) and part}
    if isinstance(func, list) and lengths - {len(func)}:
        return "its file is none of OSWorld's: evaluator.func, result and expected differ in length"
    try:
        for text in (part for download in task.downloads for part in download):
            text.encode()
        for step in (*task.config, *task.postconfig):
            step.commands  # noqa: B018  (is read)
            list(step.parameters.get("urls_to_open", ()))
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = "of another form" if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        return f"its file is none of OSWorld's: its steps or what they fetch ({why})"
    return ""


def _listed(part: Any) -> list[Any]:
    return part if isinstance(part, list) else [part] if part else []


def _texts(part: Any) -> list[str]:
    return [str(each) for each in part] if isinstance(part, list) else [str(part)]
