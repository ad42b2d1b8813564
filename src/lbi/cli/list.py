"""list: what there is to pick from, without importing any of it."""

from __future__ import annotations

import difflib
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from lbi import plugins
from lbi.cli import open_console
from lbi.cli.shipped import shipped_configs, shipped_examples
from lbi.environments.web.application import load_application, shipped_applications
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmark, shipped_benchmarks
from lbi.monitoring.terminal import say
from lbi.storage.toml import TomlError, parse_toml

COLUMNS = ("name", "description", "distribution", "path")
Rows = list[tuple[str, ...]]  # name, description, the distribution that it comes from; of a file its path


def list_all(what: str, as_json: bool) -> int:
    if what and what not in KINDS:
        near = difflib.get_close_matches(what, KINDS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(KINDS)}"
        raise UserError(f"cannot list {what!r}; {hint}")
    rows_by_kind = {kind: rows() for kind, rows in KINDS.items() if not what or kind == what}
    if as_json:
        answer = {kind: [dict(zip(COLUMNS, row, strict=False)) for row in rows] for kind, rows in rows_by_kind.items()}
        say(json.dumps(answer[what] if what else answer, indent=2, ensure_ascii=False))
    else:
        _print(rows_by_kind)
    return 0


def _print(rows_by_kind: dict[str, Rows]) -> None:
    console = open_console()
    for kind, rows in rows_by_kind.items():
        table = Table(title=kind, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")  # a path is of no use without its end
        for name, text, distribution, *path in rows:
            description = text if distribution in ("", plugins.OURS) else f"{text} [{distribution}]"
            table.add_row(f"  {name}", escape("\n".join([description, *(each for each in path if each != name)])))
        console.print(table if rows else f"[bold]{kind}[/bold]\n  none", highlight=False)


def _files(kind: str) -> Callable[[], Rows]:
    """Plug-ins: their names, the line that each opens with, and the distribution that brings them."""
    return lambda: [
        (plug_in.name, plugins.described(plug_in), plug_in.distribution)
        for _, plug_in in sorted(plugins.available(kind).items())
    ]


def _models() -> Rows:
    """Providers by how a config names their models, such as openai:NAME."""
    return [
        (plugins.constant(plug_in, "SPEC") or plug_in.name, plugins.described(plug_in), plug_in.distribution)
        for _, plug_in in sorted(plugins.available("models").items())
    ]


def _applications() -> Rows:
    return [(name, load_application(name).description, plugins.OURS) for name in shipped_applications()]


def _benchmarks() -> Rows:
    rows = []
    for name in shipped_benchmarks():
        benchmark = load_benchmark(name)
        counts = Counter(task.category for task in benchmark.task)
        categories = ", ".join(f"{category or 'other'} {count}" for category, count in sorted(counts.items()))
        text = f"{len(benchmark.task)} held-out tasks on {benchmark.application}: {categories}"
        rows.append((name, text, plugins.OURS))
    return rows + _files("benchmarks")()


def _configs() -> Rows:
    """Config files here and in ./configs by their paths, and those shipped by their names."""
    files = [*sorted(Path().glob("*.toml")), *sorted(Path("configs").glob("*.toml"))]
    shipped = shipped_configs()
    ours = {os.path.realpath(file) for file in shipped.values()}
    return _files_listed(
        {str(file): file for file in files if os.path.realpath(file) not in ours and _is_config(file)}, ""
    ) + (_files_listed(shipped, plugins.OURS))


def _examples() -> Rows:
    return _files_listed(shipped_examples(), plugins.OURS)


def _files_listed(files: dict[str, Path], distribution: str) -> Rows:
    """Name, first comment and path of each, the path from here where it lies below."""
    here = Path.cwd()
    return [
        (name, _first_comment(file), distribution, str(file.relative_to(here) if file.is_relative_to(here) else file))
        for name, file in files.items()
    ]


def _is_config(file: Path) -> bool:
    try:
        tables = parse_toml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, TomlError):
        return False
    named = tables.get("application") or tables.get("url") or tables.get("environment")
    return isinstance(named, str) and not {"task", "start"} & tables.keys()


def _first_comment(file: Path) -> str:
    line = file.read_text(encoding="utf-8").partition("\n")[0]
    return line.lstrip("# ") if line.startswith("#") else ""


KINDS: dict[str, Callable[[], Rows]] = {
    "applications": _applications,
    "benchmarks": _benchmarks,
    "agents": _files("agents"),
    "filters": _files("filters"),
    "models": _models,
    "environments": _files("environments"),
    "readers": _files("readers"),
    "exporters": _files("exporters"),
    "traces": _files("traces"),
    "configs": _configs,
    "examples": _examples,
}
