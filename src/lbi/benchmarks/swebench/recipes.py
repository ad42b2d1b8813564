"""Recipes of instances that are built from a package registry: the bug is what differs between two releases.

A recipe is data: the package, two of its releases, the tests that tell them apart, and the problem in our own words. It
holds nothing of the repositories; the patches are computed from the two source archives when it is built.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lbi.benchmarks.swebench.instance import Instance
from lbi.errors import UserError
from lbi.storage.names import LONGEST, same_but_for_case
from lbi.storage.toml import TomlError, parse_toml
from lbi.storage.validation import explain

#: name==version of a package, never a path, an address or an option of the installer
Requirement = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?==[\w.!+-]+$")]


class Release(BaseModel):
    """A source archive of a package registry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str = Field(pattern=r"^[\w.!+-]+$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    date: str
    """ISO moment of its upload."""


class Recipe(BaseModel):
    """One instance: the release with the bug, the one without it, and the tests that tell them apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9_][\w-]*(\.[\w-]+)*$", max_length=LONGEST)
    package: str = Field(pattern=r"^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$")
    repo: str
    base: Release
    fixed: Release
    problem: str
    tests: tuple[str, ...] = Field(min_length=1)
    """Files that are run, all of them named by the tests below."""
    requirements: tuple[Requirement, ...]
    """Exact versions of other packages that the tests need."""
    source: str = ""
    """Folder below the archive's root from which the package is imported: "" or "src"."""
    fail_to_pass: tuple[str, ...] = Field(min_length=1)
    pass_to_pass: tuple[str, ...]


def draft(recipe: Recipe) -> Instance:
    """The instance of a recipe without its patches, which are known only when it is built."""
    return Instance(
        instance_id=recipe.name,
        repo=recipe.repo,
        base_commit=recipe.base.version,
        version=recipe.base.version,
        created_at=recipe.base.date,
        problem_statement=recipe.problem.strip(),
        fail_to_pass=recipe.fail_to_pass,
        pass_to_pass=recipe.pass_to_pass,
    )


class Recipes(BaseModel):
    """A file of recipes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    environment: str = "repository"
    instance: tuple[Recipe, ...] = Field(min_length=1)


def parse_recipes(text: str, where: str) -> Recipes:
    """Raises UserError."""
    try:
        raw: dict[str, Any] = parse_toml(text)
        recipes = Recipes.model_validate(raw)
    except TomlError as error:
        raise UserError(f"{where}: {error}") from None
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, Recipes)}") from None
    names = [recipe.name for recipe in recipes.instance]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{where}: the name {twice[0]!r} is used twice; each instance needs its own")
    if alike := same_but_for_case(names):
        raise UserError(f"{where}: the names {alike[0]!r} and {alike[1]!r} differ in case only; rename one of them")
    return recipes


def load_recipes(file: Path) -> Recipes:
    """Raises UserError."""
    try:
        return parse_recipes(file.read_text("utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the recipes in {file}: {error}") from None
