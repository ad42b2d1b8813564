"""Reads instances from data sets of SWE-bench's format (Parquet, JSON or JSON Lines), and writes them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from lbi.errors import UserError
from lbi.records import Record
from lbi.storage.names import name_problem, same_but_for_case
from lbi.storage.validation import explain

#: columns that are left out where empty
OPTIONAL = ("image", "eval_script", "log_parser", "eval_type", "image_assets", "mutation")
ENDINGS = (".parquet", ".jsonl", ".json")
SHOWN = 8  # columns in an error
#: column that only one data set has -> what grades that data set
HARNESSES = {
    "selected_test_files_to_run": "SWE-bench Pro's own harness (github.com/scaleapi/SWE-bench_Pro-os)",
    "image_name": "SWE-smith's own harness (`pip install swesmith`), as its patches put the bugs in",
    "install_config": "SWE-rebench's own fork of the harness (github.com/SWE-rebench/SWE-bench-fork)",
    "docker_image": "the harness of its authors, which names images in another way",
}


class Mutated(Record):
    """A bug that was made on purpose: ``patch`` puts it into the folder ``repo``, whose tests are run by ``python``."""

    patch: str
    operator: str
    function: str
    line: int
    python: str
    tests: tuple[str, ...] = ()


class Instance(Record):
    """One bug of one repository. The names are those of the official data sets, in small letters.

    ``created_at`` is an ISO date: nothing later than it may be shown to an agent that is measured on this instance.
    ``patch`` and ``test_patch`` are unified diffs with ``a/`` and ``b/`` before their paths.
    """

    instance_id: str
    repo: str
    problem_statement: str
    base_commit: str = ""
    patch: str = ""
    test_patch: str = ""
    fail_to_pass: tuple[str, ...] = ()
    pass_to_pass: tuple[str, ...] = ()
    created_at: str = ""
    version: str = ""
    environment_setup_commit: str = ""
    hints_text: str = ""
    image: str = ""
    """Container image of its repository, in the official files of today; so are the next three."""
    eval_script: str = ""
    log_parser: str = ""
    eval_type: str = ""
    image_assets: dict[str, Any] = Field(default_factory=dict)
    """Binaries that the patches of SWE-bench Multimodal need; the official harness fetches them."""
    harness: str = Field(default="", exclude=True)
    """What grades it, where that is neither this nor the official harness."""
    mutation: Mutated | None = None
    """Where the bug was made on purpose; official files have none."""

    @field_validator("instance_id")
    @classmethod
    def _named(cls, value: str) -> str:
        """It becomes a folder and a key."""
        if problem := name_problem(value):
            raise ValueError(problem)
        return value

    @field_validator("fail_to_pass", "pass_to_pass", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Some of the official files hold the tests as a list, others as the JSON of one; SWE-bench Pro's as Python."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value or "[]")
        except (ValueError, RecursionError):
            return _python(value)

    @field_validator("image_assets", mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        """JSON on the hub, a table in files."""
        return json.loads(value or "{}") if isinstance(value, str) else value

    @field_validator("created_at", mode="before")
    @classmethod
    def _dated(cls, value: Any) -> Any:
        """Parquet has moments where JSON has text."""
        return value.isoformat() if hasattr(value, "isoformat") else value

    def official(self) -> dict[str, Any]:
        """A row as the official files have it."""
        row = self.model_dump(mode="json")
        for name in ("fail_to_pass", "pass_to_pass"):
            row[name.upper()] = row.pop(name)
        return {name: value for name, value in row.items() if name not in OPTIONAL or value}


def _python(text: str) -> Any:
    """The value of a Python literal. Raises ValueError."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ValueError("is neither a list nor the JSON of one") from None


def load_instances(file: Path) -> list[Instance]:
    """All instances of a file, or of a folder of such files as a hub's snapshot has them. Raises UserError."""
    files = _files(file)
    instances = [_instance(row, f"{path}: row {number}") for path in files for number, row in enumerate(_rows(path), 1)]
    if not instances:
        raise UserError(f"{file} holds no instances")
    names = [instance.instance_id for instance in instances]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{file}: the instance {twice[0]!r} is there twice; name one file instead of the folder")
    if alike := same_but_for_case(names):
        raise UserError(f"{file}: the instances {alike[0]!r} and {alike[1]!r} differ in case only; rename one of them")
    return instances


def write_instances(file: Path, instances: Iterable[Instance]) -> None:
    """JSON Lines that this and the official tools can read."""
    lines = [json.dumps(instance.official(), ensure_ascii=False) + "\n" for instance in instances]
    file.write_text("".join(lines), encoding="utf-8")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in ENDINGS and not file.name.startswith("."))
        test = [file for file in files if file.name.startswith("test")]  # beside the dev and train parts
        return test or files
    if not path.is_file():
        raise UserError(f"no instances at {path}: neither a file nor a folder of {', '.join(ENDINGS)} files")
    if path.suffix not in ENDINGS:
        raise UserError(f"cannot read instances from {path}: its name should end with one of {', '.join(ENDINGS)}")
    return [path]


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        if file.suffix == ".parquet":
            yield from _parquet(file)
        elif file.suffix == ".jsonl":
            yield from (json.loads(line) for line in file.read_text("utf-8").split("\n") if line.strip())
        else:
            content = json.loads(file.read_text("utf-8"))
            by_name = isinstance(content, dict) and "instance_id" not in content
            yield from content.values() if by_name else _as_list(content)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read instances from {file}: {error}") from None


def _as_list(content: Any) -> list[Any]:
    return content if isinstance(content, list) else [content]


def _parquet(file: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"reading {file} needs pyarrow: pip install 'learn-by-interact[parquet]'") from None
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(file).to_pylist()
    return rows


def _instance(row: Any, where: str) -> Instance:
    """The instance of a row; columns that other tools add to the official ones are left out."""
    if not isinstance(row, Mapping):
        raise UserError(f"{where}: an instance is a table of names and values, not {type(row).__name__}")
    columns = {str(name).lower(): value for name, value in row.items() if value is not None}
    if "instance_id" not in columns:
        shown = ", ".join(sorted(columns)[:SHOWN]) + (", ..." if len(columns) > SHOWN else "")
        raise UserError(f"{where}: instance_id: is missing, so these are no instances of repositories (it has {shown})")
    columns.setdefault("harness", next((HARNESSES[name] for name in HARNESSES if name in columns), ""))
    try:
        return Instance.model_validate({name: columns[name] for name in Instance.model_fields if name in columns})
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, Instance)}") from None
