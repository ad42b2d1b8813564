"""A file of held-out tasks -> tasks with checks and gold solutions. One TOML file per benchmark (docs/formats.md)."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lbi import plugins
from lbi.benchmarks.swebench.hub import fetch, is_on_hub
from lbi.benchmarks.swebench.instance import ENDINGS as DATA_SETS
from lbi.benchmarks.swebench.instance import Instance, load_instances
from lbi.benchmarks.swebench.recipes import draft, parse_recipes
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
    date: str = ""
    seen: bool = False
    """Somebody looked at how agents fail at it while the method was made; reports tell these tasks apart."""


class Benchmark(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    environment: str = "web"
    """Family of environments that its tasks are done in."""
    application: str = ""
    seen: bool = False
    """Of every task of the file."""
    task: tuple[HeldOut, ...] = Field(min_length=1)

    def tasks(self, environment: str) -> list[Task]:
        found = [Task(environment=environment, **task.model_dump()) for task in self.task]
        return [task.model_copy(update={"seen": True}) for task in found] if self.seen else found


def shipped_benchmarks() -> tuple[str, ...]:
    folder = resources.files("lbi.benchmarks")
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def load_benchmark(name_or_path: str) -> Benchmark:
    """A shipped benchmark by name, or the user's own by path. Raises UserError.

    Instances of repositories with bugs are held-out tasks too: a file of recipes, or a data set of SWE-bench's format
    by path or on a hub.
    """
    if is_on_hub(name_or_path):
        return _of_repositories(load_instances(fetch(name_or_path)), name_or_path)
    if name_or_path in plugins.names("benchmarks"):
        return _brought(name_or_path)
    if Path(name_or_path).suffix in DATA_SETS:
        return _of_repositories(load_instances(Path(name_or_path).expanduser()), name_or_path)
    text = _text(name_or_path)
    try:
        raw: dict[str, Any] = tomllib.loads(text)
        if "instance" in raw:
            recipes = parse_recipes(text, f"benchmark {name_or_path}")
            return _of_repositories([draft(recipe) for recipe in recipes.instance], name_or_path, recipes.name)
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


def load_benchmarks(names: str | Sequence[str]) -> Benchmark:
    """One benchmark, or several as one, whose tasks are then called BENCHMARK/TASK. Raises UserError."""
    if isinstance(names, str):
        return load_benchmark(names)
    if len(names) == 1:
        return load_benchmark(names[0])
    parts = [load_benchmark(name) for name in names]
    for one in parts[1:]:
        for key in ("environment", "application"):
            if getattr(one, key) != getattr(parts[0], key):
                raise UserError(
                    f"benchmarks {parts[0].name} and {one.name} differ in their {key}; a run has one, so run them apart"
                )
    called = [one.name for one in parts]
    twice = sorted({name for name in called if called.count(name) > 1})
    if twice:
        raise UserError(f"two benchmarks are called {twice[0]!r}; each needs a name of its own")
    return Benchmark(
        name=", ".join(called),
        environment=parts[0].environment,
        application=parts[0].application,
        task=tuple(
            task.model_copy(update={"name": f"{one.name}/{task.name}", "seen": task.seen or one.seen})
            for one in parts
            for task in one.task
        ),
    )


def _brought(name: str) -> Benchmark:
    """The benchmark of another distribution: its plug-in has ``load() -> Benchmark``."""
    benchmark = plugins.load("benchmarks", name).load()
    if not isinstance(benchmark, Benchmark):
        raise UserError(f"the benchmark {name!r} is no lbi.evaluation.benchmark.Benchmark; ask whoever made it")
    return benchmark


def _text(name_or_path: str) -> str:
    if name_or_path in shipped_benchmarks():
        return (resources.files("lbi.benchmarks") / f"{name_or_path}.toml").read_text("utf-8")
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        raise UserError(
            f"no benchmark {name_or_path!r}: neither a file nor one of those shipped "
            f"or installed ({', '.join((*shipped_benchmarks(), *plugins.names('benchmarks')))})"
        )
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the benchmark {path}: {error}") from None


def _of_repositories(instances: Sequence[Instance], name_or_path: str, name: str = "") -> Benchmark:
    """What is asked for is the problem statement, and the check is that the instance's tests pass."""
    return Benchmark(
        name=name or Path(name_or_path).stem,
        environment="repository",
        application=name_or_path,
        task=tuple(
            HeldOut(
                name=instance.instance_id,
                instruction=instance.problem_statement or instance.instance_id,
                category=instance.repo.rstrip("/").rpartition("/")[2],
                check=Check(tests=instance.fail_to_pass),
                date=instance.created_at,
            )
            for instance in instances
        ),
    )
