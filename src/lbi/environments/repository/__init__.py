"""The family ``repository``: instances of SWE-bench's kind, by the name of a shipped benchmark or by a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lbi.benchmarks.swebench.build import Built
from lbi.benchmarks.swebench.catalog import open_shelf
from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.environments.repository.environment import RepositoryEnvironments, variables
from lbi.environments.shell.actions import ACTIONS
from lbi.environments.shell.environment import Setting
from lbi.errors import UserError
from lbi.sandbox.open import Limits

__all__ = ["ACTIONS", "create", "documents"]

MIB = 1024 * 1024
#: inside, a repository lies here
WORKDIR = "/repo"


def create(config: Config, save_image: Callable[[bytes], str]) -> RepositoryEnvironments:
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

    return RepositoryEnvironments(
        open_shelf(place), setting, backend=said.backend, unsafe=said.unsafe, seconds=said.seconds
    )


async def documents(environments: RepositoryEnvironments) -> tuple[DocumentSource, ...]:
    """The repositories themselves, each as old as its base, so that none holds a later fix."""
    return await environments.documents()
