"""A config that names a cluster -> its environments on the machines there."""

from __future__ import annotations

from collections.abc import Callable

from lbi.config import Config
from lbi.environments import resource_of
from lbi.environments._cluster.remote import RemoteEnvironments
from lbi.protocols import Environments


async def open_elsewhere(
    here: Environments, config: Config, save_image: Callable[[bytes], str], say: Callable[[str], None]
) -> Environments | None:
    """The environments ``here``, on other machines; None where the config names no cluster.

    Raises UserError for a cluster that cannot be joined, or has no machine with what one environment takes.
    """
    if not config.cluster.ray:
        return None
    from lbi.environments._cluster.rays import connect

    machines = await connect(config.cluster, resource_of(config))
    if (room := machines.room()) < config.workers:
        say(
            f"the cluster has room for {room} of {config.workers} environments with {machines.needs} each; "
            "the others begin when a machine is added"
        )
    return RemoteEnvironments(here, config, machines, save_image, say)
