"""The family ``repository``: instances of SWE-bench's kind, by the name of a shipped benchmark or by a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lbi.config import Config
from lbi.documents import DocumentSource
from lbi.environments.commands import ACTIONS
from lbi.environments.repository import RepositoryWorld, variables
from lbi.environments.shell import Setting
from lbi.errors import UserError
from lbi.sandbox import Limits
from lbi.swe.build import Built
from lbi.swe.shelf import open_shelf

__all__ = ["ACTIONS", "EXPLORER", "create", "documents"]

EXPLORER = "try_commands"
MIB = 1024 * 1024
#: inside, a repository lies here
WORKDIR = "/repo"


def create(config: Config, save_image: Callable[[bytes], str]) -> RepositoryWorld:
    """Raises UserError where there are no instances. Nothing is downloaded or built before it is needed."""
    place = config.application or config.benchmark
    if not place or not isinstance(place, str):
        raise UserError('no instances: set application = "..." to a shipped benchmark of repositories, or to a file')
    said = config.shell
    limits = Limits(
        memory_bytes=said.memory * MIB,
        disk_bytes=said.disk * MIB,
        processes=said.processes,
        wall_seconds=said.seconds,
        cpu_seconds=max(round(4 * said.seconds), 1),
    )

    def setting(built: Built) -> Setting:
        plain = Setting(built.tree, said.backend, limits, unsafe=said.unsafe, max_chars=said.output)
        return replace(plain, binds=built.binds, env={**variables(built, WORKDIR), **said.env})

    return RepositoryWorld(open_shelf(place), setting, backend=said.backend, unsafe=said.unsafe, seconds=said.seconds)


async def documents(world: RepositoryWorld) -> tuple[DocumentSource, ...]:
    """The repositories themselves, each as old as its base, so that none holds a later fix."""
    return await world.documents()
