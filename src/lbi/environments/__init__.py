"""Environments that an agent can work in, one package each: the config's ``environment`` is the package's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

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


@dataclass(frozen=True)
class Live:
    """Where somebody wants one instruction carried out, beside what the config says."""

    base_url: str = ""
    """Address at which the same application runs; empty = the config's own."""
    reset: bool = False
    """Put the state of a site that somebody else runs back first, as its file says; else it is taken as it is."""
    headed: bool = False
    """In a window that can be looked at."""


@runtime_checkable
class ActsLive(Protocol):
    """A plug-in whose environments may be the application that people really use."""

    def create_live(self, config: Config, save_image: Callable[[bytes], str], live: Live) -> tuple[Environments, str]:
        """Also says in a sentence what is acted on, and what becomes of changes. Raises UserError."""
        ...


def open_live(config: Config, save_image: Callable[[bytes], str], live: Live) -> tuple[Environments, str]:
    """The environments for one instruction, and in a sentence what is acted on and what becomes of changes.

    Raises UserError for what the environment does not have, such as an address.
    """
    plug_in = _plug_in(config)
    if isinstance(plug_in, ActsLive):
        return plug_in.create_live(config, save_image, live)
    if live.base_url:
        raise UserError(f"the environment {config.environment!r} has no address to open; leave --base-url out")
    if live.headed:
        raise UserError(f"the environment {config.environment!r} has no browser to be seen; leave --headed out")
    environments = plug_in.create(config, save_image)
    if environments.restores:
        return environments, f"a copy of {described(config)}, made for this; what is changed ends with it"
    return environments, f"{described(config)} as it is; what is changed stays changed"


@runtime_checkable
class TakesResource(Protocol):
    """A plug-in whose environments need more of a machine than cores and memory."""

    RESOURCE: str
    """One of what each environment takes on a cluster whose machines declare it, such as "browser"."""


def resource_of(config: Config) -> str:
    """What machines of a cluster may declare that the config's environment takes one of; "" = nothing."""
    plug_in = _plug_in(config)
    return plug_in.RESOURCE if isinstance(plug_in, TakesResource) else ""


@runtime_checkable
class OfFamily(Protocol):
    """A plug-in whose environments are worked in as those of another package are."""

    def family(self, config: Config) -> str:
        """That package's name, such as "web" for what is seen as elements with references, or "shell" for commands."""
        ...


def family_of(config: Config) -> str:
    """Which environments those of the config are like, by name; most are like none but their own."""
    plug_in = _plug_in(config)
    return plug_in.family(config) if isinstance(plug_in, OfFamily) else config.environment


@dataclass(frozen=True)
class Image:
    """What a container's image has to bring, so that the environments of a config can be opened in it."""

    base: str
    """The image that it begins with: a Debian with Python and pip."""
    packages: tuple[str, ...] = ()
    """Of the system."""
    commands: tuple[str, ...] = ()
    """Carried out as root once lbi is installed."""
    security: tuple[str, ...] = ()
    """Options of Docker's ``security_opt`` without which a container of it is too closely confined."""
    memory: int = 4096
    """Of a container of it, in MiB."""


@runtime_checkable
class RunsInImage(Protocol):
    """A plug-in whose environments can be opened in a container that somebody else makes."""

    def image(self, config: Config) -> Image:
        """Raises UserError for a config that needs what is in no image."""
        ...


def image_of(config: Config) -> Image:
    """What an image needs for the config's environment. Raises UserError where it can be in none."""
    plug_in = _plug_in(config)
    if isinstance(plug_in, RunsInImage):
        return plug_in.image(config)
    raise UserError(f"the environment {config.environment!r} is opened in no container of other harnesses")


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
