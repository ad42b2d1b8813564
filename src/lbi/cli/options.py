"""Arguments of run, synthesize and evaluate -> the resolved config and the run folder."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbi.config import Config, load_config, resolve
from lbi.errors import UserError
from lbi.models.middleware.budget import parse_budget
from lbi.shipped import find_config
from lbi.storage.run_folder import RunFolder

DEFAULT = Path("lbi.toml")
PATHS = ("application", "benchmark")


@dataclass(frozen=True)
class Wanted:
    """What was said on the command line; empty = the config decides."""

    source: Path | None
    out: Path | None = None
    model: str = ""
    base_url: str = ""
    budget: str = ""
    seeds: str = ""
    workers: int = 0
    settings: list[str] | tuple[str, ...] = ()
    repo: Path | None = None
    unsafe: bool = False

    @property
    def continues(self) -> bool:
        """Whether the source is a run."""
        return self.source is not None and (self.source / "run.db").is_file()


def configured(wanted: Wanted) -> tuple[Config, Path]:
    """The resolved config and the run folder. Raises UserError that names the key at fault."""
    overrides = _overrides(wanted)
    if wanted.continues and wanted.source is not None:
        with RunFolder(wanted.source, writing=False) as folder:
            config = resolve(folder.config, str(wanted.source / "config.json"), overrides)
        return config, wanted.out or wanted.source
    if wanted.source is None and wanted.repo is not None:  # a repository needs no config file
        name = wanted.repo.resolve().name
        return resolve({"name": name}, "--repo", overrides), wanted.out or Path("runs") / name
    file = _file(wanted.source)
    config = load_config(file, overrides)
    name = config.name if config.name != Config.model_fields["name"].default else file.stem
    return config, wanted.out or Path("runs") / name


def _file(source: Path | None) -> Path:
    if source is None and not DEFAULT.is_file():
        raise UserError(f"which config? There is no {DEFAULT} here; name a file, or let `lbi init` write one")
    file = find_config(source or DEFAULT)
    if file.is_dir():
        raise UserError(f"{file} is a folder without a run (no run.db); name a config file, or the folder of a run")
    return file


def _overrides(wanted: Wanted) -> dict[str, Any]:
    found: dict[str, Any] = dict(_setting(text) for text in wanted.settings)
    if wanted.repo is not None:
        if not wanted.repo.is_dir():
            raise UserError(f"no folder {wanted.repo}; --repo takes the folder of a repository")
        found["environment"] = "shell"
        found["shell.repository"] = str(wanted.repo.resolve())
    if wanted.unsafe:
        found["shell.unsafe"] = True
    if wanted.model:
        found["models.default"] = wanted.model
    if wanted.base_url:
        found["models.base_url"] = wanted.base_url
    if wanted.budget:
        found["models.budget"] = parse_budget(wanted.budget)
    if wanted.seeds:
        found["seeds"] = numbers(wanted.seeds)
    if wanted.workers:
        found["workers"] = wanted.workers
    return found


def _setting(text: str) -> tuple[str, Any]:
    """``evaluation.tasks=10`` -> ("evaluation.tasks", 10); what is no TOML value is a text."""
    key, equals, said = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f'--set takes KEY=VALUE, such as evaluation.tasks=10, not "{text}"')
    try:
        value = tomllib.loads(f"value = {said}")["value"]
    except tomllib.TOMLDecodeError:
        value = said
    if key.strip() in PATHS:
        value = [_here(one) for one in value] if isinstance(value, list) else _here(value)
    return key.strip(), value


def _here(value: Any) -> Any:
    """A path from where the command runs, not from where the config lies."""
    return str(Path(value).resolve()) if isinstance(value, str) and value.endswith(".toml") else value


def numbers(text: str) -> list[int]:
    """``0,1,2`` -> [0, 1, 2]."""
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f'seeds are whole numbers by comma, such as 0,1,2, not "{text}"') from None
    return list(dict.fromkeys(found))
