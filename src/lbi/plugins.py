"""Kind and name -> the module to use: ("agents", "icl") -> lbi.agents.icl, or what another distribution brings.

Ours are the files of a folder. Those of other distributions are entry points: the group is ``lbi.`` and the kind, the
value a module (or an object) with the same functions as ours. Two with one name: ours wins, and the other is named.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from lbi.errors import UserError

#: what can be plugged in, and the folder that holds ours
FOLDERS = {
    "models": "lbi.models.providers",
    "agents": "lbi.agents",
    "environments": "lbi.environments",
    "filters": "lbi.synthesis.filters",
    "readers": "lbi.documents.readers",
    "exporters": "lbi.export.exporters",
    "benchmarks": "",  # ours are TOML files (lbi.evaluation.benchmark)
}
OURS = "learn-by-interact"
#: what one of a kind is called in messages
CALLED = {
    "models": "model provider",
    "agents": "agent",
    "environments": "kind of environment",
    "filters": "filter",
    "readers": "document format",
    "exporters": "export format",
    "benchmarks": "benchmark",
}


class PlugIn(NamedTuple):
    """What can be picked by its name, without having been imported."""

    name: str
    module: str
    distribution: str
    entry: EntryPoint | None = None  # of another distribution's


def available(kind: str) -> dict[str, PlugIn]:
    """All plug-ins of a kind by their names, ours first, without importing any of them."""
    folder = FOLDERS[kind]
    ours = {name: PlugIn(name, f"{folder}.{name}", OURS) for name in (_files(folder) if folder else ())}
    return {**{each.name: each for each in _entries(kind) if each.name not in ours}, **ours}


def names(kind: str) -> tuple[str, ...]:
    return tuple(sorted(available(kind)))


def load(kind: str, name: str) -> Any:
    """The plug-in called ``name``. Raises UserError for an unknown name, with the nearest, and for a broken one."""
    plug_in = available(kind).get(name)
    if plug_in is None:
        raise UserError(f"there is no {CALLED[kind]} {name!r}; {_hint(kind, name)}")
    if plug_in.entry is None:
        return importlib.import_module(plug_in.module)
    try:
        return plug_in.entry.load()
    except (ImportError, AttributeError, SyntaxError) as error:
        raise UserError(
            f"the {CALLED[kind]} {name!r} of the distribution {plug_in.distribution} cannot be loaded: {broken(error)}"
        ) from None


def described(plug_in: PlugIn) -> str:
    """The first line of its docstring. One of ours is read and not imported; a broken one is said to be broken."""
    if plug_in.entry is None:
        return (ast.get_docstring(_tree(plug_in)) or "").partition("\n")[0]
    try:
        return (plug_in.entry.load().__doc__ or "").strip().partition("\n")[0]
    except (ImportError, AttributeError, SyntaxError) as error:
        return f"cannot be loaded, and is skipped: {broken(error)}"


def constant(plug_in: PlugIn, name: str) -> str:
    """A text that it gives to a name at its top level, or "". As ``described``, ours are not imported for it."""
    if plug_in.entry is None:
        values = [
            node.value.value
            for node in _tree(plug_in).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            if [ast.unparse(target) for target in node.targets] == [name]
        ]
        return next((value for value in values if isinstance(value, str)), "")
    try:
        return str(getattr(plug_in.entry.load(), name, ""))
    except (ImportError, AttributeError, SyntaxError):
        return ""


def _tree(plug_in: PlugIn) -> ast.Module:
    spec = importlib.util.find_spec(plug_in.module)
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else "")


def broken(error: Exception) -> str:
    """Why a plug-in of somebody else's cannot be used, in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _files(package: str) -> Iterator[str]:
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec is not None else None
    return (module.name for module in pkgutil.iter_modules(places or []) if not module.name.startswith("_"))


def _entries(kind: str) -> Iterator[PlugIn]:
    for entry in entry_points(group=f"lbi.{kind}"):
        distribution = entry.dist.name if entry.dist is not None else "an unnamed distribution"
        yield PlugIn(entry.name, entry.value, distribution, entry)


def _hint(kind: str, name: str) -> str:
    known = names(kind)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
