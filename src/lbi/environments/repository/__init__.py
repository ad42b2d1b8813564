"""The environments ``repository``: instances of SWE-bench's kind, from a shipped benchmark or a file."""

from __future__ import annotations

from collections.abc import Callable

from lbi.benchmarks.swebench.build import Built
from lbi.benchmarks.swebench.catalog import open_catalog
from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.environments.repository.environment import RepositoryEnvironments, variables
from lbi.environments.shell import sandbox_limits
from lbi.environments.shell.actions import ACTIONS
from lbi.environments.shell.environment import ShellSettings
from lbi.errors import UserError
from lbi.sandbox.protocol import WORKDIR

__all__ = ["ACTIONS", "create", "documents"]


def create(config: Config, save_image: Callable[[bytes], str]) -> RepositoryEnvironments:
    """Raises UserError where there are no instances. Nothing is downloaded or built before it is needed."""
    source = config.application or config.benchmark
    if not source or not isinstance(source, str):
        raise UserError('no instances: set application = "..." to a shipped benchmark of repositories, or to a file')
    shell = config.shell

    def settings(built: Built) -> ShellSettings:
        return ShellSettings(
            repository=built.tree,
            backend=shell.backend,
            limits=sandbox_limits(shell),
            binds=built.binds,
            env={**variables(built, WORKDIR), **shell.env},
            unsafe=shell.unsafe,
            max_chars=shell.output,
        )

    return RepositoryEnvironments(
        open_catalog(source), settings, backend=shell.backend, unsafe=shell.unsafe, seconds=shell.seconds
    )


async def documents(environments: RepositoryEnvironments) -> tuple[DocumentSource, ...]:
    """The repositories themselves, each in the state that has the bug, so that none holds a later fix."""
    return await environments.documents()
