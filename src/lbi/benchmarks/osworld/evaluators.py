"""What getters and metrics a copy of OSWorld's evaluators has, read from their source without running any of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KINDS = ("getters", "metrics")
ROOT = "desktop_env"


@dataclass(frozen=True)
class Module:
    """One file of theirs: what each of its functions uses, and where what it imports comes from."""

    uses: dict[str, frozenset[str]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)  # name here -> (module, name there)


class Evaluators:
    """``folder`` is one called desktop_env; ``packages`` are the folders in which an interpreter looks for packages."""

    def __init__(self, folder: Path, packages: tuple[Path, ...]) -> None:
        self.folder = folder
        self._packages = packages
        self._modules: dict[tuple[str, str], Module] = {}
        self.unreadable = ""
        """The first file of theirs that is no Python, and why: of half a checkout, or another version's."""
        for kind in KINDS:
            for file in sorted((folder / "evaluators" / kind).glob("*.py")):
                try:
                    self._modules[kind, file.stem] = _module(file)
                except (OSError, SyntaxError, ValueError) as error:
                    why = error.msg if isinstance(error, SyntaxError) else str(error).partition("\n")[0]
                    self.unreadable = self.unreadable or f"{kind}/{file.name} cannot be read: {why}"

    def module_of(self, kind: str, name: str) -> str:
        """The module in which a function is, by its name as tasks say it; "" where there is none such."""
        exported = self._modules.get((kind, "__init__"), Module()).imports.get(name)
        if exported and exported[1] in self._modules.get((kind, exported[0]), Module()).uses:
            return exported[0]
        return next((stem for (of, stem), module in self._modules.items() if of == kind and name in module.uses), "")

    def function_of(self, kind: str, name: str) -> str:
        """Its name in its own module, which may be another one."""
        exported = self._modules.get((kind, "__init__"), Module()).imports.get(name)
        return exported[1] if exported and self.module_of(kind, name) == exported[0] else name

    def lacks(self, kind: str, name: str) -> list[str]:
        """The packages that a function needs, itself or through others of theirs, and that are not installed."""
        pending, seen, needed = [(kind, self.module_of(kind, name), self.function_of(kind, name))], set(), set[str]()
        while pending:
            of, stem, function = pending.pop()
            if (of, stem, function) in seen or (of, stem) not in self._modules:
                continue
            seen.add((of, stem, function))
            module = self._modules[of, stem]
            for used in module.uses.get(function, frozenset()):
                if used in module.uses:
                    pending.append((of, stem, used))
                elif used in module.imports:
                    source, there = module.imports[used]
                    ours = self._ours(of, source)
                    if ours is None:
                        needed.add(source.partition(".")[0])
                    else:
                        pending.append((*ours, there))
        return sorted(package for package in needed if not self._has(package))

    def missing(self) -> list[str]:
        """The packages that any of their modules imports, and that are not installed."""
        sources = {source for module in self._modules.values() for source, _ in module.imports.values()}
        packages = {source.partition(".")[0] for source in sources if not source.startswith((".", ROOT))}
        ours = {stem for _, stem in self._modules}
        return sorted(package for package in packages - ours if package and not self._has(package))

    def _ours(self, kind: str, source: str) -> tuple[str, str] | None:
        """Which of their modules is meant by the source of an import; None for one of a package."""
        stem = source.rpartition(".")[2]
        of = next((each for each in KINDS if f"evaluators.{each}" in source), kind)
        return (of, stem) if (of, stem) in self._modules and (source == stem or ROOT in source) else None

    def _has(self, package: str) -> bool:
        if package in sys.stdlib_module_names or package == ROOT:
            return True
        return any(
            (folder / package).is_dir() or (folder / f"{package}.py").is_file() or any(folder.glob(f"{package}.*.so"))
            for folder in self._packages
        )


def _module(file: Path) -> Module:
    tree = ast.parse(file.read_text("utf-8"))
    imports = {name: source for node in ast.walk(tree) for name, source in _imported(node)}
    uses = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            uses[node.name] = _names(node)
        elif isinstance(node, ast.Assign):  # another name of a function, or a value that functions read
            uses |= {target.id: _names(node) for target in node.targets if isinstance(target, ast.Name)}
    return Module({name: used - {name} for name, used in uses.items()}, imports)


def _imported(node: ast.AST) -> Iterator[tuple[str, tuple[str, str]]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0], (alias.name, "")
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, (node.module or alias.name, alias.name)


def _names(node: ast.AST) -> frozenset[str]:
    """Names that are read within, but for those of annotations, which no call needs."""
    skipped = {id(part) for each in ast.walk(node) for part in _annotations(each)}
    found: set[str] = set()
    pending = [node]
    while pending:
        each = pending.pop()
        if id(each) in skipped:
            continue
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load):
            found.add(each.id)
        pending += ast.iter_child_nodes(each)
    return frozenset(found)


def _annotations(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.returns] if node.returns else []
    if isinstance(node, ast.arg | ast.AnnAssign):
        return [node.annotation] if node.annotation else []
    return []
