"""Arguments of run, synthesize and evaluate -> the resolved config and the run folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbi import plugins
from lbi.cli.shipped import find_config
from lbi.config import Config, anchor, load_config, parts_of, resolve
from lbi.errors import UserError
from lbi.models.middleware.budget import parse_budget
from lbi.protocols import Configures, Json
from lbi.storage.run_folder import RunFolder
from lbi.storage.toml import TomlError, parse_toml

DEFAULT = Path("lbi.toml")


@dataclass(frozen=True)
class RunOptions:
    """Which run, and what the command line says of its config; where an option is empty, the config decides."""

    source: Path | None
    out: Path | None = None
    model: str = ""
    base_url: str = ""
    budget: str = ""
    seeds: str = ""
    workers: int | None = None
    settings: list[str] | tuple[str, ...] = ()
    repo: Path | None = None
    unsafe: bool = False
    checkout: Path | None = None
    ray: str = ""

    @property
    def continues(self) -> bool:
        """Whether the source is a run."""
        return self.source is not None and (self.source / "run.db").is_file()


def configured(options: RunOptions) -> tuple[Config, Path]:
    """The resolved config and the run folder. Raises UserError that names the key at fault."""
    overrides = _overrides(options)
    if options.continues and options.source is not None:
        with RunFolder(options.source, writing=False) as folder:
            config = resolve(folder.config, str(options.source / "config.json"), overrides)
        return config, options.out or options.source
    if options.source is None and options.repo is not None:  # a repository needs no config file
        name = re.sub(r"[^\w.+ -]+", "-", options.repo.resolve().name).strip(".- ")[:60] or "repository"
        config = load_config(find_config(Path("repo")), {"name": name, **overrides})
        return config, options.out or Path("runs") / name
    if (benchmark := _benchmark(options.source)) is not None:
        name, configured_by = benchmark
        checkout = str(options.checkout.resolve()) if options.checkout else ""
        raw = {"name": name, **configured_by(checkout), "benchmark": str(options.source), "checkout": checkout}
        return resolve(raw, str(options.source), overrides), options.out or Path("runs") / name
    file = _file(options.source)
    config = load_config(file, overrides)
    name = config.name if config.name != Config.model_fields["name"].default else file.stem
    return config, options.out or Path("runs") / name


def _file(source: Path | None) -> Path:
    if source is None and not DEFAULT.is_file():
        raise UserError(f"which config? There is no {DEFAULT} here; name a file, or let `lbi init` write one")
    file = find_config(source or DEFAULT)
    if file.is_dir():
        raise UserError(f"{file} is a folder without a run (no run.db); name a config file, or the folder of a run")
    return file


def _benchmark(source: Path | None) -> tuple[str, Callable[[str], Json]] | None:
    """(name of the run, checkout -> config) of a benchmark that needs no config file; None for any other source."""
    plug_in, _, selection = str(source or "").partition(":")
    if source is None or source.exists() or plug_in not in plugins.available("benchmarks"):
        return None
    benchmark = plugins.load("benchmarks", plug_in)
    if not isinstance(benchmark, Configures):
        raise UserError(f"the benchmark {plug_in} names no config; write one with benchmark = {str(source)!r}")
    name = re.sub(r"[^\w.+-]+", "-", str(source)).strip(".-")[:60]
    return name, lambda checkout: benchmark.config(selection, checkout)


def _overrides(options: RunOptions) -> dict[str, Any]:
    overrides: dict[str, Any] = dict(_setting(text) for text in options.settings)
    if options.repo is not None:
        if not options.repo.is_dir():
            raise UserError(f"no folder {options.repo}; --repo takes the folder of a repository")
        overrides["environment"] = "shell"
        overrides["shell.repository"] = str(options.repo.resolve())
    if options.checkout is not None:
        overrides["checkout"] = str(options.checkout.resolve())
    if options.unsafe:
        overrides["shell.unsafe"] = True
    if options.model:
        overrides["models.default"] = options.model
    if options.base_url:
        overrides["models.base_url"] = options.base_url
    if options.budget:
        overrides["models.budget"] = parse_budget(options.budget)
    if options.seeds:
        overrides["seeds"] = numbers(options.seeds)
    if options.workers is not None:
        overrides["workers"] = options.workers
    if options.ray:
        overrides["cluster.ray"] = options.ray
    return overrides


def _setting(text: str) -> tuple[str, Any]:
    """``evaluation.tasks=10`` -> ("evaluation.tasks", 10). The value is TOML; a bare word is a text.

    Paths are meant from the folder in which the command runs, not from that of the config.
    """
    key, equals, written = (part.strip() for part in text.partition("="))
    while equals and key.count('"') % 2:  # an equals sign within a quoted part of the key
        more, equals, written = written.partition("=")
        key = f"{key}={more}".strip()
    if not equals or not key:
        raise UserError(f'--set takes KEY=VALUE, such as evaluation.tasks=10, not "{text}"')
    *parents, leaf = parts_of(key)
    nested: dict[str, Any] = {leaf: _value(key, written)}
    for parent in reversed(parents):
        nested = {parent: nested}
    anchor(nested, Path())
    for parent in parents:
        nested = nested[parent]
    return key, nested[leaf]


def _value(key: str, written: str) -> Any:
    """A TOML value of any kind, tables and arrays too; what begins like none is a text."""
    try:
        table = parse_toml(f"value = {written}")
    except TomlError as error:
        if written.startswith(("[", "{", '"', "'")):
            raise UserError(
                f"--set {key}: {written} is no TOML value ({error}); single quotes keep it from the shell"
            ) from None
        return written
    if len(table) > 1:
        raise UserError(f"--set takes one KEY=VALUE, and {key} has several; repeat --set for each")
    return table["value"]


def numbers(text: str) -> list[int]:
    """``0,1,2`` -> [0, 1, 2]."""
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f'seeds are whole numbers by comma, such as 0,1,2, not "{text}"') from None
    return list(dict.fromkeys(seeds))
