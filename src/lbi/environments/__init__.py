"""Environments that an agent can work in, one package each: the config's ``environment`` is the package's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

from lbi import plugins
from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.errors import UserError
from lbi.protocols import Environments


class EnvironmentPlugIn(Protocol):
    """What a package of environments (or another distribution's module) must have."""

    ACTIONS: str
    """The actions that its environments take, in words for the model."""

    def create(self, config: Config, save_image: Callable[[bytes], str]) -> Environments:
        """Raises UserError for a config that describes nothing to open. ``save_image`` returns a screenshot's hash."""
        ...

    async def documents(self, environments: Any) -> tuple[DocumentSource, ...]:
        """The documentation that comes with what ``create`` returned."""
        ...


def open_environments(config: Config, save_image: Callable[[bytes], str]) -> Environments:
    """The environments that a config describes. Raises UserError for what cannot be opened."""
    return _plug_in(config).create(config, save_image)


async def own_documents(config: Config, environments: Environments) -> tuple[DocumentSource, ...]:
    """The documentation that comes with the environment itself."""
    return await _plug_in(config).documents(environments)


def actions_of(config: Config) -> str:
    """The actions that the config's environment takes, in words for the model."""
    return _plug_in(config).ACTIONS


def described(config: Config) -> str:
    """What the environment is, in a few words, for reports and progress."""
    return config.application or config.url or Path(config.shell.repository).name or config.environment


def _plug_in(config: Config) -> EnvironmentPlugIn:
    """One of the environments, or a benchmark that brings its own."""
    name = config.environment
    brought = name not in plugins.available("environments") and name in plugins.available("benchmarks")
    plug_in = plugins.load("benchmarks" if brought else "environments", name)
    if not all(hasattr(plug_in, part) for part in ("ACTIONS", "create", "documents")):
        raise UserError(f"the benchmark {name!r} brings no environment of its own; set environment to the one it names")
    return cast(EnvironmentPlugIn, plug_in)
