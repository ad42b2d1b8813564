"""One package per family of environments: its name is the config's ``environment``, ``create(...)`` opens it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from lbi import plugins
from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.protocols import Environments


def open_environments(config: Config, save_image: Callable[[bytes], str]) -> Environments:
    """The environments that a config describes. Raises UserError for what cannot be opened."""
    return cast(Environments, plugins.load("environments", config.environment).create(config, save_image))


async def own_documents(config: Config, environments: Environments) -> tuple[DocumentSource, ...]:
    """The documentation that comes with the environment itself."""
    found = await plugins.load("environments", config.environment).documents(environments)
    return cast(tuple[DocumentSource, ...], found)


def actions_of(config: Config) -> str:
    """The actions that an environment of this family takes, in words for the model."""
    return str(plugins.load("environments", config.environment).ACTIONS)


def described(config: Config, base: Path | None = None) -> str:
    """What the environment is, in a few words, for reports and progress."""
    return config.application or config.url or Path(config.shell.repository).name
