"""Name -> the module of that file name in a folder of plug-ins: open("lbi.agents", "icl") -> lbi.agents.icl."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from types import ModuleType

from lbi.errors import UserError


def names(package: str) -> tuple[str, ...]:
    """The plug-ins that lie in a folder, without importing any of them."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    return tuple(sorted(found.name for found in pkgutil.iter_modules(places or []) if not found.name.startswith("_")))


def load(package: str, name: str) -> ModuleType:
    """The plug-in called ``name``; a name that no file has is a UserError with the nearest that one has."""
    known = names(package)
    if name in known:
        return importlib.import_module(f"{package}.{name}")
    folder = package.rpartition(".")[2]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    raise UserError(f"{folder} has no {name!r}; {hint}")
