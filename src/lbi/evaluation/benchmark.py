"""Benchmarks: held-out tasks with checks and gold solutions, one TOML file for each benchmark (docs/formats.md)."""

from __future__ import annotations

import inspect
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
from lbi.errors import UserError
from lbi.evaluation.task_mistakes import task_mistakes
from lbi.evaluation.tasks_from_json import tasks_from_json
from lbi.records import Check, Task
from lbi.storage.toml import TomlError, parse_toml
from lbi.storage.validation import explain, several


class HeldOut(BaseModel):
    """One held-out task."""

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
    """Somebody looked at how agents fail at it while the method was being developed. Reports show such tasks apart."""
    faulty: str = ""
    """A known fault of the benchmark in this task, such as that doing nothing passes. No run measures with it."""
    not_runnable: str = ""
    """Why it cannot be run or judged here. No run measures with it, as that would score 0 whatever an agent does."""


class Benchmark(BaseModel):
    """Held-out tasks of one environment and application; the content of a benchmark's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    environment: str = "web"
    """Kind of environment: web, shell, repository, desktop; or the benchmark's own, by the name of its plug-in."""
    application: str = ""
    seen: bool = False
    """Every task counts as seen (``HeldOut.seen``)."""
    task: tuple[HeldOut, ...] = Field(min_length=1)

    @property
    def runnable(self) -> tuple[HeldOut, ...]:
        """The tasks that a run measures with: those that can be run here, and have no known fault."""
        return tuple(task for task in self.task if not task.faulty and not task.not_runnable)

    def tasks(self, environment: str, held_out: Sequence[HeldOut] | None = None) -> list[Task]:
        """The runnable tasks, or those given, as records for the environment of this name."""
        chosen = self.runnable if held_out is None else held_out
        fields = [task.model_dump(exclude={"faulty", "not_runnable"}) for task in chosen]
        tasks = [Task(environment=environment, **each) for each in fields]
        return [task.model_copy(update={"seen": True}) for task in tasks] if self.seen else tasks


def shipped_benchmarks() -> tuple[str, ...]:
    folder = resources.files("lbi.benchmarks")
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


def load_benchmark(name_or_path: str, checkout: str = "") -> Benchmark:
    """A shipped or installed benchmark by name, or any other by path. Raises UserError.

    One of a plug-in may be given a selection, as in ``NAME:TASK,TASK``, and a ``checkout`` of what it does not bring.
    A path may also lead to repositories with bugs: a file of recipes, or a data set in the format of SWE-bench. Such a
    data set can be read from a hub, too.
    """
    if is_on_hub(name_or_path):
        return _from_instances(load_instances(fetch(name_or_path)), name_or_path)
    if is_plug_in(name_or_path):
        return _from_plug_in(name_or_path, checkout)
    if Path(name_or_path).suffix in DATA_SETS:
        return _from_instances(load_instances(Path(name_or_path).expanduser()), name_or_path)
    text = _text(name_or_path)
    try:
        raw: dict[str, Any] = parse_toml(text)
        if "instance" in raw:
            recipes = parse_recipes(text, f"benchmark {name_or_path}")
            return _from_instances([draft(recipe) for recipe in recipes.instance], name_or_path, recipes.name)
        if "from_json" in raw:
            raw = {**raw, "task": [*raw.get("task", []), *tasks_from_json(raw["from_json"], name_or_path)]}
            del raw["from_json"]
        benchmark = Benchmark.model_validate(raw)
    except TomlError as error:
        raise UserError(f"benchmark {name_or_path}: {error}") from None
    except ValidationError as error:
        raise UserError(f"benchmark {name_or_path}: {explain(error, Benchmark)}") from None
    names = [task.name for task in benchmark.task]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"benchmark {name_or_path}: the name {repeated[0]!r} is used twice; each task needs its own")
    return _without_mistakes(benchmark, name_or_path)


def _without_mistakes(benchmark: Benchmark, where: str) -> Benchmark:
    if mistakes := task_mistakes(benchmark):
        raise several(f"benchmark {where}", mistakes)
    return benchmark


def is_plug_in(name: str) -> bool:
    """Whether ``name`` is that of a benchmark's plug-in, with or without a selection of its tasks."""
    return name.partition(":")[0] in plugins.names("benchmarks")


def load_benchmarks(names: str | Sequence[str], checkout: str = "") -> Benchmark:
    """One benchmark, or several joined into one, whose tasks are then called BENCHMARK/TASK. Raises UserError."""
    if isinstance(names, str):
        return load_benchmark(names, checkout)
    if len(names) == 1:
        return load_benchmark(names[0], checkout)
    parts = [load_benchmark(name, checkout) for name in names]
    for benchmark in parts[1:]:
        for field in ("environment", "application"):
            if getattr(benchmark, field) != getattr(parts[0], field):
                raise UserError(
                    f"benchmarks {parts[0].name} and {benchmark.name} differ in their {field}; "
                    "a run has one, so run them apart"
                )
    benchmark_names = [benchmark.name for benchmark in parts]
    repeated = sorted({name for name in benchmark_names if benchmark_names.count(name) > 1})
    if repeated:
        raise UserError(f"two benchmarks are called {repeated[0]!r}; each needs a name of its own")
    return Benchmark(
        name=", ".join(benchmark_names),
        environment=parts[0].environment,
        application=parts[0].application,
        task=tuple(
            task.model_copy(update={"name": f"{benchmark.name}/{task.name}", "seen": task.seen or benchmark.seen})
            for benchmark in parts
            for task in benchmark.task
        ),
    )


def _from_plug_in(name: str, checkout: str) -> Benchmark:
    """The benchmark of a plug-in, whose function ``load`` may take a selection and a checkout."""
    plug_in, _, selection = name.partition(":")
    load = plugins.load("benchmarks", plug_in).load
    parameters = inspect.signature(load).parameters
    if selection and not parameters:
        raise UserError(f"the benchmark {plug_in!r} has no parts to choose from, so leave {selection!r} away")
    benchmark = load(selection, checkout) if parameters else load()
    if not isinstance(benchmark, Benchmark):
        raise UserError(f"the benchmark {plug_in!r} is no lbi.evaluation.benchmark.Benchmark; ask whoever made it")
    return _without_mistakes(benchmark, name)


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


def _from_instances(instances: Sequence[Instance], name_or_path: str, name: str = "") -> Benchmark:
    """Instances of SWE-bench's kind as tasks: the instruction is the problem statement, the check that tests pass."""
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
