"""A checkout of Spider2-V -> its tasks, with why one cannot be run or judged here, which is never a score of 0.

A task as its authors wrote it: {"id": "1d17d234-...", "instruction": "Create a new sheet ...", "config": [{"type":
"copyfile_from_host_to_guest", ...}], "evaluator": {"func": "compare_table", "result": ..., "expected": ...}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from lbi.benchmarks.spider2v.known import NOT_RUNNABLE
from lbi.errors import UserError
from lbi.storage.lfs import is_lfs_pointer

Json = dict[str, Any]
LIST = "evaluation_examples/test_all.json"
TASKS = "evaluation_examples/examples"
METRICS = "desktop_env/evaluators/metrics"
#: programs of which tasks run here, and what those of the others need
RUN = ("excel", "jupyter", "dbt", "dagster")
COMMANDS = ("dbt", "dagster")  # those of them that are worked with by commands
DOCKER = ("airbyte", "airflow", "metabase", "superset")
#: the steps and getters that are carried out here (steps.py, getters.py), and the texts that they cannot do without
STEPS: dict[str, tuple[str, ...]] = {
    "copyfile_from_host_to_guest": ("src", "dest"),
    "script_and_execute": ("src",),
    "execute": (),
    "launch": (),
    "open": ("path",),
    "activate_window": ("window_name",),
    "sleep": (),
    "google_chrome_browser": (),
    "dagster_webui_init": (),
}
GETTERS: dict[str, tuple[str, ...]] = {
    "rule": (),
    "local_file": ("path",),
    "vm_file": ("path",),
    "vm_script_output": ("src", "dest"),
    "dbt_profiles": ("dest",),
    "active_tab_info": (),
    "validate_correct_url": ("src", "dest"),
}


class Official(BaseModel):
    """A task's file: what is used of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    instruction: str
    config: tuple[Json, ...] = ()
    evaluator: Json
    tags: tuple[str, ...] = ()
    related_apps: tuple[str, ...] = ()
    counterpart: str = ""
    """The task that says the same in other words."""
    app: str = ""

    @property
    def name(self) -> str:
        return f"{self.app}-{self.id[:8]}"

    @property
    def functions(self) -> list[str]:
        return list(map(str, _several(self.evaluator.get("func"))))

    @property
    def results(self) -> list[Json]:
        return _several(self.evaluator.get("result"))

    @property
    def expected(self) -> list[Json | None]:
        return [each or None for each in _several(self.evaluator.get("expected"))] or [None] * len(self.functions)

    @property
    def options(self) -> list[Json]:
        given = _several(self.evaluator.get("options")) or [{}] * len(self.functions)
        return [each or {} for each in given]

    @property
    def steps(self) -> Iterator[Json]:
        """Those before the episode, and those before it is judged."""
        yield from self.config
        yield from self.evaluator.get("postconfig", ())


class Checkout:
    """The tasks of one checkout, by name: ``excel-1d17d234``."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError for what is no checkout, half of one or one of another version."""
        self.folder = folder.expanduser().resolve()
        if not self.folder.is_dir():
            raise UserError(f"--checkout {folder} is no folder; give the one of the repository xlang-ai/Spider2-V")
        for part in (LIST, TASKS, METRICS):
            if not (self.folder / part).exists():
                raise UserError(f"{folder} is no whole checkout of Spider2-V: it has no {part}")
        self.metrics = _metrics(self.folder / METRICS)
        self.tasks: dict[str, Official] = {}
        self.not_runnable: dict[str, str] = {}
        listed = [(app, task_id) for app, ids in self._listed() for task_id in ids]
        if not any(self._file(app, task_id).is_file() for app, task_id in listed):
            raise UserError(f"{folder} has none of the tasks that its list names; is it a checkout of Spider2-V?")
        for app, task_id in listed:
            self._read(app, task_id)

    def path(self, said: str) -> Path:
        """A file that a task names from where the checkout lies. Raises UserError for one outside of it."""
        path = (self.folder / said).resolve()
        if not path.is_relative_to(self.folder):
            raise UserError(f"{said} leads out of the checkout")
        return path

    def _listed(self) -> list[tuple[str, list[str]]]:
        try:
            listed = json.loads((self.folder / LIST).read_text("utf-8"))
            return [(str(app), [str(each) for each in ids]) for app, ids in listed.items()]
        except (OSError, ValueError, AttributeError, TypeError):
            raise UserError(f"{self.folder / LIST} is no list of tasks by program; is it another version?") from None

    def _file(self, app: str, task_id: str) -> Path:
        return self.folder / TASKS / app / task_id / f"{task_id}.json"

    def _read(self, app: str, task_id: str) -> None:
        file = self._file(app, task_id)
        name = f"{app}-{task_id[:8]}"
        try:
            raw = json.loads(file.read_text("utf-8"))
            json.dumps(raw, ensure_ascii=False).encode()  # raises for half a character
            task = Official.model_validate({**raw, "id": task_id, "app": app})
            why = self._why_not(task)
        except UserError as error:
            task, why = _unknown(app, task_id), str(error)
        except FileNotFoundError:
            task, why = _unknown(app, task_id), f"the checkout lacks {file.relative_to(self.folder)}"
        except (OSError, ValueError, ValidationError, AttributeError, TypeError, KeyError):
            task, why = _unknown(app, task_id), f"{file.relative_to(self.folder)} is no task as Spider2-V writes them"
        self.tasks[name] = task
        if why:
            self.not_runnable[name] = why

    def _why_not(self, task: Official) -> str:
        if "account" in task.tags:
            return "needs an account"
        if docker := [app for app in (task.app, *task.related_apps) if app in DOCKER]:
            return f"needs Docker ({docker[0]})"
        if why := NOT_RUNNABLE.get(task.id[:8]) or NOT_RUNNABLE.get(task.counterpart[:8]):
            return why
        if task.app not in RUN:
            return f"needs {task.app}, for which there is nothing here"
        return self._unknown_part(task) or _lacking_part(task) or self._missing_file(task)

    def _unknown_part(self, task: Official) -> str:
        whole = all(task.results)
        if not whole or not len(task.functions) == len(task.results) == len(task.expected) == len(task.options) > 0:
            return "its evaluator does not fit together: as many results, expected and options as functions are needed"
        found = {
            "step": [each["type"] for each in task.steps if each["type"] not in STEPS],
            "getter": [
                each["type"] for each in (*task.results, *task.expected) if each and each["type"] not in GETTERS
            ],
            "evaluator": [each for each in task.functions if each not in self.metrics],
        }
        return next((f"unknown {kind} {names[0]!r}" for kind, names in found.items() if names), "")

    def _missing_file(self, task: Official) -> str:
        for said in files_of(task):
            if not self.path(said).is_file():
                return f"the checkout lacks {said}"
            if is_lfs_pointer(self.path(said)):
                return f"the checkout has a pointer of Git LFS in place of {said}: `git lfs pull` brings the file"
        return ""


def apps_of(chosen: Collection[str]) -> tuple[str, ...]:
    """The programs that are chosen, in the order of RUN; all of them where none is."""
    return tuple(app for app in RUN if app in chosen) or RUN


@cache
def opened(folder: str) -> Checkout:
    """One for each folder, as reading takes half a second. Raises UserError."""
    if not folder:
        raise UserError("spider2v needs --checkout FOLDER, where the repository xlang-ai/Spider2-V lies")
    return Checkout(Path(folder))


def files_of(task: Official) -> list[str]:
    """The files of the checkout that a task reads."""
    steps = [step.get("parameters", {}).get("src", "") for step in task.steps]
    parts = [each for each in (*task.results, *task.expected) if each]
    got = [each.get("src", "") or (each["path"] if each["type"] == "local_file" else "") for each in parts]
    return list(dict.fromkeys(filter(None, [*steps, *got])))


def _lacking_part(task: Official) -> str:
    """The first text that a step or getter cannot do without and that is not there."""
    steps = [(each["type"], each.get("parameters", {}), STEPS[each["type"]]) for each in task.steps]
    got = [(each["type"], each, GETTERS[each["type"]]) for each in (*task.results, *task.expected) if each]
    lacking = [(kind, name) for kind, given, needed in (*steps, *got) for name in needed if not _is_text(given, name)]
    return f"its {lacking[0][0]} has no {lacking[0][1]!r}" if lacking else ""


def _is_text(given: Json, name: str) -> bool:
    return isinstance(given.get(name), str)


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _unknown(app: str, task_id: str) -> Official:
    return Official(id=task_id, instruction="(not in the checkout)", evaluator={}, app=app)


def _metrics(folder: Path) -> dict[str, str]:
    """{function: its module} of the authors' metrics, which are not imported for it."""
    found = {}
    for file in sorted(folder.glob("*.py")):
        text = file.read_text("utf-8", "replace")
        found.update(dict.fromkeys(re.findall(r"^def ([a-z]\w*)\(", text, re.M), file.stem))
    return found
