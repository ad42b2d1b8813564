"""Finds plug-ins by kind and name: ("agents", "icl") -> the module lbi.agents.icl, or one of another distribution.

Our own plug-ins are the files of a folder. Those of other distributions are entry points: the group is "lbi.KIND", and
the value a module or object with the same functions as ours. If two have the same name, ours is used.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple

from lbi.errors import UserError

#: kinds of plug-ins, and the package that holds ours
FOLDERS = {
    "models": "lbi.models.providers",
    "agents": "lbi.agents",
    "environments": "lbi.environments",
    "filters": "lbi.synthesis.filters",
    "readers": "lbi.documents.readers",
    "exporters": "lbi.training.export.exporters",
    "traces": "lbi.interop.readers",
    "benchmarks": "lbi.benchmarks",  # besides the TOML files there (lbi.evaluation.benchmark)
}
#: a function that tells a plug-in from other packages of its folder
TOLD_BY = {"benchmarks": "load"}
OURS = "learn-by-interact"
#: what messages call a plug-in of each kind
CALLED = {
    "models": "model provider",
    "agents": "agent",
    "environments": "kind of environment",
    "filters": "filter",
    "readers": "document format",
    "exporters": "export format",
    "traces": "trace format",
    "benchmarks": "benchmark",
}


class PlugIn(NamedTuple):
    """A plug-in that has not been imported yet."""

    name: str
    module: str
    distribution: str
    entry: EntryPoint | None = None  # None = one of ours


def available(kind: str) -> dict[str, PlugIn]:
    """{name: plug-in} of a kind, without importing any of them. Ours replace others of the same name."""
    ours = {plug_in.name: plug_in for plug_in in _ours(kind)}
    return {**{plug_in.name: plug_in for plug_in in _entries(kind) if plug_in.name not in ours}, **ours}


def _ours(kind: str) -> Iterator[PlugIn]:
    folder = FOLDERS[kind]
    for module in _files(folder):
        name = module.replace("_", "-") if kind in TOLD_BY else module
        plug_in = PlugIn(name, f"{folder}.{module}", OURS)
        if kind not in TOLD_BY or TOLD_BY[kind] in _functions(plug_in):
            yield plug_in


def names(kind: str) -> tuple[str, ...]:
    return tuple(sorted(available(kind)))


def load(kind: str, name: str) -> Any:
    """Import a plug-in. Raises UserError for a broken one and for an unknown name, for which it says the nearest."""
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
    """The first line of a plug-in's docstring, or why it cannot be loaded. Ours are read without being imported."""
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


def _functions(plug_in: PlugIn) -> set[str]:
    """Names that it defines or imports at its top level, without being imported itself."""
    defined = {node.name for node in _tree(plug_in).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    imports = [node for node in _tree(plug_in).body if isinstance(node, ast.ImportFrom)]
    return defined | {alias.asname or alias.name for node in imports for alias in node.names}


def _tree(plug_in: PlugIn) -> ast.Module:
    spec = importlib.util.find_spec(plug_in.module)
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else "")


def broken(error: Exception) -> str:
    """Why a plug-in of another distribution cannot be used, in one line."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _files(package: str) -> Iterator[str]:
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    return (module.name for module in pkgutil.iter_modules(folders or []) if not module.name.startswith("_"))


def _entries(kind: str) -> Iterator[PlugIn]:
    for entry in _scanned(f"lbi.{kind}", tuple(sys.path)):
        distribution = entry.dist.name if entry.dist is not None else "an unnamed distribution"
        yield PlugIn(entry.name, entry.value, distribution, entry)


@cache
def _scanned(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """What is installed along ``path``: looking through all of it takes a while, and is asked for often."""
    return tuple(entry_points(group=group))


def _hint(kind: str, name: str) -> str:
    known = names(kind)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known) or 'none'}"
