"""Arguments of run, synthesize and evaluate -> the resolved config and the run folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbi import plugins
from lbi.cli.shipped import find_config
from lbi.config import Config, anchor, load_config, parts_of, resolve
from lbi.errors import UserError
from lbi.models.middleware.budget import parse_budget
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
    if found := suite_of(str(options.source or "")):
        out = options.out or Path("runs") / "-".join(found)
        file = write_suite(*found, options.checkout, out / "benchmark")
        return load_config(file, overrides), out
    if options.checkout is not None:
        raise UserError("--checkout is the folder of a suite of benchmarks: lbi run SUITE:NAME --checkout FOLDER")
    file = _file(options.source)
    config = load_config(file, overrides)
    name = config.name if config.name != Config.model_fields["name"].default else file.stem
    return config, options.out or Path("runs") / name


def suite_of(text: str) -> tuple[str, str] | None:
    """("suite", "application") of SUITE:APPLICATION, where there is such a suite."""
    suite, colon, name = text.partition(":")
    known = {each.replace("_", "-"): each for each in plugins.names("suites")}
    return (suite, name) if colon and suite in known else None


def write_suite(suite: str, name: str, checkout: Path | None, folder: Path) -> Path:
    """The files of one application of a suite; returns its config. Raises UserError."""
    if checkout is None:
        raise UserError(f"{suite}:{name} needs --checkout FOLDER, where the suite lies that you have fetched")
    if not checkout.is_dir():
        raise UserError(f"--checkout {checkout} is no folder")
    loaded = plugins.load("suites", suite.replace("-", "_") if suite not in plugins.names("suites") else suite)
    written: Path = loaded.write(name, checkout, folder)
    return written


def _file(source: Path | None) -> Path:
    if source is None and not DEFAULT.is_file():
        raise UserError(f"which config? There is no {DEFAULT} here; name a file, or let `lbi init` write one")
    file = find_config(source or DEFAULT)
    if file.is_dir():
        raise UserError(f"{file} is a folder without a run (no run.db); name a config file, or the folder of a run")
    return file


def _overrides(options: RunOptions) -> dict[str, Any]:
    overrides: dict[str, Any] = dict(_setting(text) for text in options.settings)
    if options.repo is not None:
        if not options.repo.is_dir():
            raise UserError(f"no folder {options.repo}; --repo takes the folder of a repository")
        overrides["environment"] = "shell"
        overrides["shell.repository"] = str(options.repo.resolve())
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
