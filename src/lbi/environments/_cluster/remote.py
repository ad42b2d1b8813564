"""Environments on other machines, as a run sees them: they meet the same protocols, and forward each call.

A machine that leaves, or a process there that ends, is a failure of the infrastructure like any other: the pool closes
what failed and tries the work again, somewhere else. Nothing is written anywhere but here, so nothing is there twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

from lbi import __version__
from lbi.config import Config
from lbi.environments._cluster.wire import Answer, Opened
from lbi.errors import EnvironmentFailure, UserError
from lbi.protocols import CallTimeouts, Environments, Foreseen, Outcome, Versioned
from lbi.records import Observation, Task

ON_THE_WAY = 15.0  # seconds that a call may take beyond what it may take on its machine, which notices first
PAUSE = 1.0  # seconds until another machine is asked for, after one went away before it was of use
TOLD_AFTER = 60.0  # seconds without room after which the run says what it waits for


class Actor(Protocol):
    """A ``Worker`` in a process on another machine."""

    machine: str

    async def call(self, method: str, *arguments: Any) -> Answer:
        """Raises EnvironmentFailure (kind "machine") where the process or its machine is gone."""
        ...

    def kill(self) -> None:
        """End the process; harmless when it has ended."""
        ...


class Machines(Protocol):
    """Where workers can be started."""

    @property
    def needs(self) -> str:
        """What one environment takes, in words."""
        ...

    async def start(self) -> Actor:
        """A worker, as soon as a machine has room for it, however long that takes. Raises EnvironmentFailure."""
        ...

    async def close(self) -> None: ...


class RemoteEnvironments:
    """Opens the environments that a config describes on other machines. ``here`` is what the config means here."""

    def __init__(
        self,
        here: Environments,
        config: Config,
        machines: Machines,
        save_image: Callable[[bytes], str],
        say: Callable[[str], None],
    ) -> None:
        self.name, self.restores = here.name, here.restores
        self.timeouts = _longer(here.timeouts)
        self._here, self._config, self._machines = here, config, machines
        self._save_image, self._say = save_image, say
        self._ready: list[Actor] = []
        self._open: set[RemoteEnvironment] = set()
        self._told = False

    async def room(self) -> None:
        """Return once a machine has room for one more. Where none of ours is open, wait only as long as for opening."""
        began = time.monotonic()
        starting = asyncio.create_task(self._started())
        try:
            while not (await asyncio.wait({starting}, timeout=TOLD_AFTER))[0]:
                if not self._open and time.monotonic() - began > self.timeouts.open:
                    return
                if not self._told:
                    self._told = True
                    self._say(f"some environments wait for a machine with {self._machines.needs}")
            self._ready.append(starting.result())
        finally:
            starting.cancel()  # and wait for it: what it has begun is ended while the cluster is still there
            await asyncio.gather(starting, return_exceptions=True)

    async def open(self) -> RemoteEnvironment:
        """Raises EnvironmentFailure, and UserError for what is missing on the machine that had room."""
        actor = self._ready.pop() if self._ready else await self._started()
        async with contextlib.AsyncExitStack() as failed:
            failed.callback(actor.kill)
            opened: Opened = await self.value_of(actor, "open", self._config, __version__, str(Path.cwd()))
            await asyncio.to_thread(self._require_same_version, actor, opened)
            failed.pop_all()
        environment = RemoteEnvironment(self, actor, opened)
        self._open.add(environment)
        return environment

    async def _started(self) -> Actor:
        while True:
            try:
                return await self._machines.start()
            except EnvironmentFailure:  # it left while it was starting
                await asyncio.sleep(PAUSE)

    def _require_same_version(self, actor: Actor, opened: Opened) -> None:
        here = self._here.version if isinstance(self._here, Versioned) else ""
        if here and opened.version and here != opened.version:
            raise UserError(
                f"the machine {actor.machine} runs another version of {self.name} than this one; install the same there"
            )

    async def value_of(self, actor: Actor, method: str, *arguments: Any) -> Any:
        """What a call comes to: images are kept, and an error is raised as if it had come about here."""
        answer = await actor.call(method, *arguments)
        for png in answer.images.values():
            self._save_image(png)
        if answer.raised is not None:
            error = answer.raised.error(f"on the machine {actor.machine}")
            if isinstance(error, UserError):
                await self._still_there(actor)
            raise error
        return answer.value

    async def _still_there(self, actor: Actor) -> None:
        """Raises EnvironmentFailure where its machine is going down: nothing works there, and what it says is of that.

        A run ends with a mistake of a user's, so one that is none would cost the run instead of a retry.
        """
        await asyncio.sleep(PAUSE)
        await actor.call("where")

    def forget(self, environment: RemoteEnvironment) -> None:
        """It was closed."""
        self._open.discard(environment)

    async def close(self) -> None:
        """Close all that is open, and leave the cluster; harmless when done before."""
        await asyncio.gather(*(environment.close() for environment in list(self._open)))
        while self._ready:
            self._ready.pop().kill()
        await self._machines.close()


class RemoteEnvironment:
    """One environment on another machine."""

    def __init__(self, environments: RemoteEnvironments, actor: Actor, opened: Opened) -> None:
        self.name, self.actions = opened.name, opened.actions
        self._environments, self._actor = environments, actor
        self._closed = False

    async def reset(self, task: Task) -> Observation:
        observation: Observation = await self._call("reset", task)
        return observation

    async def step(self, action: str) -> Outcome:
        outcome: Outcome = await self._call("step", action)
        return outcome

    async def foresee(self, action: str) -> Foreseen:
        foreseen: Foreseen = await self._call("foresee", action)
        return foreseen

    async def score(self, task: Task, answer: str) -> tuple[float, str]:
        score: tuple[float, str] = await self._call("score", task, answer)
        return score

    async def submission(self) -> str:
        submission: str = await self._call("submission")
        return submission

    async def close(self) -> None:
        """Close it there, and end its process, which also ends what does not answer. Harmless when done before."""
        if self._closed:
            return
        self._closed = True
        self._environments.forget(self)
        try:
            with contextlib.suppress(EnvironmentFailure, TimeoutError):
                await asyncio.wait_for(self._call("close"), self._environments.timeouts.close)
        finally:
            self._actor.kill()

    async def _call(self, method: str, *arguments: Any) -> Any:
        return await self._environments.value_of(self._actor, method, *arguments)


def _longer(timeouts: CallTimeouts) -> CallTimeouts:
    return CallTimeouts(**{each.name: getattr(timeouts, each.name) + ON_THE_WAY for each in fields(timeouts)})
