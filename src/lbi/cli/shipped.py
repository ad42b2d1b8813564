"""The configs and examples that come with the project, by name: "notes" -> examples/notes/lbi.toml.

They lie at the top of a checkout, and in ``lbi/_shipped`` of an installed wheel. Nothing is written beside them.
"""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path

from lbi.errors import UserError
from lbi.storage.toml import TomlError, parse_toml

PROJECT = "learn-by-interact"


def shipped_configs() -> dict[str, Path]:
    """The configs by name."""
    folder = _folder()
    return {file.stem: file for file in sorted(folder.glob("configs/*.toml"))} if folder else {}


def shipped_examples() -> dict[str, Path]:
    """The configs of the examples, each in a folder of the example's name with its application and its tasks."""
    folder = _folder()
    return {file.parent.name: file for file in sorted(folder.glob("examples/*/lbi.toml"))} if folder else {}


def find_config(source: Path) -> Path:
    """A config file by its path, or one that is shipped by its name. Raises UserError that names the nearest.

    A file of that name in the current folder wins. A folder is returned as it is, unless a shipped config has its name.
    """
    if source.is_file():
        return source
    shipped = shipped_configs() | shipped_examples()
    if str(source) in shipped:
        return shipped[str(source)]
    if source.is_dir():
        return source
    beside = [str(file) for file in sorted(source.parent.glob("*.toml"))]
    near = difflib.get_close_matches(str(source), [*shipped, *beside], 1) or difflib.get_close_matches(
        source.stem, shipped, 1
    )
    hint = f"did you mean {near[0]}?" if near else "`lbi init` writes one,"
    raise UserError(f"no config file {source}; {hint} `lbi list configs` and `lbi list examples` name those shipped")


def find_application(name: str) -> str:
    """The application file of an example that is shipped, by the example's name; any other name as it is."""
    config = shipped_examples().get(name)
    file = config.with_name("application.toml") if config else None
    return str(file) if file and file.is_file() else name


@cache
def _folder() -> Path | None:
    """Where ``configs`` and ``examples`` lie: in the package, or two levels above it in a checkout of this project."""
    package = Path(__file__).resolve().parents[1]
    if (package / "_shipped").is_dir():
        return package / "_shipped"
    root = package.parents[1]
    return root if root / "src" / "lbi" == package and _is_ours(root / "pyproject.toml") else None


def _is_ours(file: Path) -> bool:
    """Whether the project that a pyproject.toml describes is this one, and not one that has a copy of the package."""
    try:
        project = parse_toml(file.read_text(encoding="utf-8")).get("project", {})
    except (OSError, UnicodeDecodeError, TomlError):
        return False
    return isinstance(project, dict) and project.get("name") == PROJECT
