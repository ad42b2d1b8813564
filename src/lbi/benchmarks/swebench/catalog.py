"""The instances of a benchmark, opened by name or file: recipes, mutations, or official data sets."""

from __future__ import annotations

import difflib
import re
import tempfile
import threading
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from lbi.benchmarks.swebench.build import Built, build, build_mutated
from lbi.benchmarks.swebench.hub import fetch, is_on_hub
from lbi.benchmarks.swebench.instance import ENDINGS, Instance, load_instances
from lbi.benchmarks.swebench.recipes import Recipe, Recipes, draft, parse_recipes
from lbi.errors import UserError
from lbi.records import digest_of


class Catalog:
    """Instances by name, each built when it is asked for. ``close`` removes what was built for this process alone."""

    def __init__(self, name: str, instances: list[Instance], recipes: Mapping[str, Recipe], cache: Path | None) -> None:
        self.name = name
        self.instances = {instance.instance_id: instance for instance in instances}
        self._recipes = recipes
        self._cache = cache
        self._built: dict[str, Built] = {}
        self._lock = threading.Lock()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def build(self, name: str) -> Built:
        """Build an instance. Blocking, seconds the first time. Raises UserError where it cannot be built here."""
        with self._lock:
            if name not in self._built:
                self._built[name] = self._make(name)
            return self._built[name]

    def buildable(self, name: str) -> bool:
        """Whether an instance can be built here; others come as container images."""
        return name in self._recipes or self.instances[name].mutation is not None

    def _make(self, name: str) -> Built:
        if name not in self.instances:
            near = difflib.get_close_matches(name, self.instances, n=1, cutoff=0.4)
            raise UserError(f"{self.name} has no instance {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        if name in self._recipes:
            return build(self._recipes[name], self._cache)
        if harness := self.instances[name].harness:
            raise UserError(f"{name} is graded by {harness}, and not here")
        if not self.buildable(name):
            raise UserError(
                f"{name} is of an official data set, whose repositories come as container images: "
                "grade its predictions with `lbi grade` where Docker or Podman runs"
            )
        self._scratch = self._scratch or tempfile.TemporaryDirectory(prefix="lbi-mutated-")
        folder = name if re.fullmatch(r"[\w-][\w.-]*", name) else digest_of(name)  # no path that a data set names
        return build_mutated(self.instances[name], Path(self._scratch.name) / folder)

    def close(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None
        self._built.clear()


def open_catalog(source: str, cache: Path | None = None) -> Catalog:
    """A shipped file of recipes by name, somebody's own by path, or a data set by path or on a hub.

    Raises UserError.
    """
    if is_on_hub(source):
        return Catalog(source, load_instances(fetch(source)), {}, cache)
    path = Path(source).expanduser()
    if path.is_dir() or path.suffix in ENDINGS:
        return Catalog(source, load_instances(path), {}, cache)
    recipes = _recipes(source, path)
    by_name = {recipe.name: recipe for recipe in recipes.instance}
    return Catalog(recipes.name, [draft(recipe) for recipe in recipes.instance], by_name, cache)


def _recipes(source: str, path: Path) -> Recipes:
    shipped = resources.files("lbi.benchmarks") / f"{source}.toml"
    if "/" not in source and shipped.is_file():
        return parse_recipes(shipped.read_text("utf-8"), source)
    if not path.is_file():
        raise UserError(f"no instances at {source}: neither the name of a shipped benchmark nor a file")
    try:
        return parse_recipes(path.read_text("utf-8"), source)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {source}: {error}") from None
