"""A checkout of OSWorld with what belongs to it on this machine: its tasks, their files, their evaluators."""

from __future__ import annotations

import difflib
from functools import cached_property

from lbi.benchmarks.osworld.evaluators import Evaluators
from lbi.benchmarks.osworld.interpreter import Interpreter, find_interpreter
from lbi.benchmarks.osworld.places import HOW, Places, read_places
from lbi.benchmarks.osworld.task import TaskFile, read_task
from lbi.errors import UserError
from lbi.records import Task

ALL = "all"


class Suite:
    """What is read once, and when it is asked for first."""

    def __init__(self, checkout: str) -> None:
        """Raises UserError for what is no checkout."""
        self.places: Places = read_places(checkout)
        self._read: dict[str, TaskFile | str] = {}

    @cached_property
    def interpreter(self) -> Interpreter:
        """Raises UserError."""
        return find_interpreter(self.places)

    @cached_property
    def evaluators(self) -> Evaluators:
        return self.interpreter.evaluators()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """APP/ID of every task: those of the list of all, which a checkout that is not whole may lack files of."""
        if ALL in self.places.lists():
            names = tuple(f"{app}/{task}" for app, task in self.places.listed(ALL))
            if any((self.places.examples / f"{name}.json").is_file() for name in names):
                return names
            raise UserError(f"{self.places.checkout} has none of the tasks that its list names: is it OSWorld's? {HOW}")
        found = sorted(self.places.examples.glob("*/*.json"))
        if not found:
            raise UserError(f"{self.places.examples} has no tasks")
        return tuple(f"{file.parent.name}/{file.stem}" for file in found)

    def read(self, name: str) -> TaskFile | str:
        """A task by APP/ID, or why there is none."""
        if name not in self._read:
            self._read[name] = read_task(name.partition("/")[0], self.places.examples / f"{name}.json")
        return self._read[name]

    def task(self, task: Task) -> TaskFile | None:
        """The file of a held-out task; None of one that is none of this checkout's."""
        name = task.check.grader if task.check else ""
        found = self.read(name) if name in self.names else ""
        return found if isinstance(found, TaskFile) else None

    def chosen(self, selection: str) -> list[str]:
        """``libreoffice_calc,os``: of an application; ``small``: of a list; or by the beginning of their id."""
        parts = [part.strip() for part in selection.split(",") if part.strip()]
        kept: list[str] = []
        for part in parts:
            if part in self.places.lists():
                kept += [f"{app}/{task}" for app, task in self.places.listed(part)]
            elif found := [name for name in self.names if _is_meant(name, part)]:
                kept += found
            else:
                raise UserError(self._unknown(part))
        return list(dict.fromkeys(kept)) if parts else list(self.names)

    def _unknown(self, part: str) -> str:
        known = [*self.places.lists(), *dict.fromkeys(name.partition("/")[0] for name in self.names)]
        near = difflib.get_close_matches(part, known, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"choose of {', '.join(known)}, or by an id's first 8 digits"
        return f"osworld has no tasks {part!r} in this checkout; {hint}"


def _is_meant(name: str, part: str) -> bool:
    app, _, task = name.partition("/")
    return part in (app, name) or (len(part) >= 8 and task.startswith(part))
