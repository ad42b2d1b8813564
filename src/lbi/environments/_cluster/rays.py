"""Workers as actors of a Ray cluster, each placed on a machine that has what one environment takes.

The only module that knows Ray, which is an extra. Ray restarts nothing and repeats nothing here: what fails is told to
the run, which knows what has been done.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import math
import os
import socket
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from lbi.config import Cluster
from lbi.environments._cluster.wire import Answer
from lbi.environments._cluster.worker import Worker
from lbi.errors import EnvironmentFailure, UserError

ANSWERS = 5.0  # seconds in which a cluster's address must take a connection
MIB = 2**20
#: resources that every machine of a cluster has by itself
_USUAL = ("CPU", "memory", "object_store_memory")


async def connect(cluster: Cluster, resource: str) -> RayMachines:
    """Join the cluster. ``resource`` is what the environment takes one of, where machines declare it.

    Raises UserError without Ray, where nothing answers, and where no machine has what one environment takes and none
    will be added.
    """
    _require_answer(cluster.ray)
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        await asyncio.to_thread(_join, ray, cluster.ray)
    machines = RayMachines(ray, cluster, resource, ours=ours)
    try:
        if not cluster.autoscales:  # else what is asked for makes the machine that has it
            machines.require()
    except UserError:
        await machines.close()
        raise
    return machines


def _ray() -> ModuleType:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UserError("--ray needs Ray, which is not installed; `pip install 'learn-by-interact[ray]'`") from None


def _join(ray: ModuleType, address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)  # it would write its notes between our progress
    try:
        ray.init(address, log_to_driver=False, configure_logging=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError, OSError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"no Ray cluster can be joined at {address!r}: {said} `ray start --head` starts one, and "
            "`ray start --address HOST:PORT` makes this machine part of it, which it has to be"
        ) from None


def _require_answer(address: str) -> None:
    """Ray itself tries for a long time, and ends the process."""
    if address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UserError(
            f"{address!r} is no address of a Ray cluster; write HOST:PORT, or auto for that of this machine"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS).close()
    except OSError as error:
        raise UserError(
            f"nothing answers at {address} ({error.strerror or error}); `ray start --head` says a cluster's address"
        ) from None


class RayMachines:
    """The machines of a cluster. ``ours``: this joined the cluster, and leaves it at the end."""

    def __init__(self, ray: ModuleType, cluster: Cluster, resource: str, *, ours: bool) -> None:
        self._ray, self._cluster, self._ours = ray, cluster, ours
        resources = dict(cluster.resources)
        if resource and any(resource in machine for machine in self._machines()):
            resources.setdefault(resource, 1.0)
        self._takes = {"CPU": cluster.cores, "memory": float(cluster.memory * MIB), **resources}
        self._worker = ray.remote(
            num_cpus=cluster.cores,
            memory=cluster.memory * MIB,
            resources=resources,
            scheduling_strategy="SPREAD",
            max_restarts=0,
            max_task_retries=0,
        )(Worker)

    @property
    def needs(self) -> str:
        return _told(self._takes)

    def require(self) -> None:
        """Raises UserError where no machine has what one environment takes, not even when nothing else runs there."""
        machines = list(self._machines())
        if self._room(machines):
            return
        have = "; ".join(_told({name: machine.get(name, 0.0) for name in self._shown(machine)}) for machine in machines)
        missing = [
            name for name in self._takes if all(machine.get(name, 0.0) < self._takes[name] for machine in machines)
        ]
        lacking = " and ".join(_named(name, self._takes[name]) for name in missing) or "all of that"
        raise UserError(
            f"no machine of the Ray cluster has {lacking}, and one environment takes {self.needs} (there are: "
            f"{have or 'no machines'}); lower cluster.cores, cluster.memory or cluster.resources with --set, or add "
            "a machine that has it (ray start --resources); where machines are added as they are asked for, "
            "-s cluster.autoscales=true waits for one"
        )

    def room(self) -> int:
        """How many environments all machines together have room for when nothing else runs there."""
        return self._room(list(self._machines()))

    def _room(self, machines: list[Mapping[str, float]]) -> int:
        return sum(
            min(math.floor(machine.get(name, 0.0) / amount + 1e-9) for name, amount in self._takes.items())
            for machine in machines
        )

    def _machines(self) -> Iterator[Mapping[str, float]]:
        return (node["Resources"] for node in self._ray.nodes() if node["Alive"])

    def _shown(self, machine: Mapping[str, float]) -> list[str]:
        own = [name for name in machine if name not in _USUAL and not name.startswith("node:")]
        return ["CPU", "memory", *sorted(own)]

    async def start(self) -> RayActor:
        """A worker, as soon as a machine has room for it. Raises EnvironmentFailure if that leaves at once."""
        actor = RayActor(self._ray, self._worker.remote())
        async with contextlib.AsyncExitStack() as failed:
            failed.callback(actor.kill)
            actor.machine = (await actor.call("where")).value
            failed.pop_all()
        return actor

    async def close(self) -> None:
        if self._ours and self._ray.is_initialized():
            await asyncio.to_thread(self._ray.shutdown)


class RayActor:
    """A ``Worker`` that lives in the cluster."""

    machine = "that it was meant for"

    def __init__(self, ray: ModuleType, handle: Any) -> None:
        self._ray, self._handle = ray, handle

    async def call(self, method: str, *arguments: Any) -> Answer:
        """What our code raised on purpose is in the answer; what else was raised there is raised here as it was."""
        try:
            answer: Answer = await getattr(self._handle, method).remote(*arguments)
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            said = (str(error).strip().splitlines() or [""])[0]
            raise EnvironmentFailure(
                f"the machine {self.machine} was lost: {type(error).__name__}: {said}", kind="machine"
            ) from None
        return answer

    def kill(self) -> None:
        self._ray.kill(self._handle)


def _told(amounts: Mapping[str, float]) -> str:
    return ", ".join(_named(name, amount) for name, amount in amounts.items())


def _named(name: str, amount: float) -> str:
    if name == "CPU":
        return f"{amount:g} core{'' if amount == 1 else 's'}"
    return f"{amount / MIB:.0f} MiB" if name == "memory" else f"{name}={amount:g}"
