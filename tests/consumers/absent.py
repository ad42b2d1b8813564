"""Stands in for modules that a consumer imports and that reading data never calls."""

import importlib.machinery
import sys
import types
from importlib.machinery import ModuleSpec
from typing import Any


class Absent(types.ModuleType):
    """Every name of it is a class that does nothing."""

    __path__: list[str] = []  # noqa: RUF012 - so that it may have modules below it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        ignoring = {"__init__": lambda self, *_, **__: None, "__class_getitem__": classmethod(lambda cls, _: cls)}
        return type(name, (), ignoring)


class Finder:
    """Finds modules of these names where nothing else did."""

    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name.split(".")[0] in self.names else None

    def create_module(self, spec: ModuleSpec) -> Absent:
        return Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def stand_in_for(*names: str) -> None:
    sys.meta_path.append(Finder(set(names)))
