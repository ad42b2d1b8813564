"""A file of held-out tasks -> tasks with checks and gold solutions. One TOML file per benchmark (docs/formats.md)."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lbi.config import explain
from lbi.errors import UserError
from lbi.records import Check, Task


class HeldOut(BaseModel):
    """One task of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    instruction: str = Field(min_length=1)
    check: Check
    category: str = ""
    level: int = Field(default=0, ge=0, le=3)
    gold: tuple[str, ...] = ()
    start_url: str = ""


class Benchmark(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    application: str = ""
    task: tuple[HeldOut, ...] = Field(min_length=1)

    def tasks(self, environment: str) -> list[Task]:
        return [Task(environment=environment, **task.model_dump()) for task in self.task]


def shipped_benchmarks() -> tuple[str, ...]:
    folder = resources.files("lbi.benchmarks")
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def load_benchmark(name_or_path: str) -> Benchmark:
    """A shipped benchmark by name, or the user's own by path. Raises UserError."""
    if name_or_path in shipped_benchmarks():
        text = (resources.files("lbi.benchmarks") / f"{name_or_path}.toml").read_text()
    else:
        path = Path(name_or_path).expanduser()
        if not path.is_file():
            raise UserError(
                f"no benchmark {name_or_path!r}: neither a file nor one of those shipped "
                f"({', '.join(shipped_benchmarks())})"
            )
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read the benchmark {path}: {error}") from None
    try:
        raw: dict[str, Any] = tomllib.loads(text)
        benchmark = Benchmark.model_validate(raw)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"benchmark {name_or_path}: {error}") from None
    except ValidationError as error:
        raise UserError(f"benchmark {name_or_path}: {explain(error, Benchmark)}") from None
    names = [task.name for task in benchmark.task]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"benchmark {name_or_path}: the name {twice[0]!r} is used twice; each task needs its own")
    return benchmark
