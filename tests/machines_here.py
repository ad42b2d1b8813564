"""Machines of a cluster without Ray: workers in this process, to and from which everything is pickled."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

from lbi.environments._cluster.wire import Answer
from lbi.environments._cluster.worker import Worker
from lbi.errors import EnvironmentFailure

GONE = "the machine was lost"


class ActorHere:
    """A worker of a machine; ``calls`` is told of each call before it is made."""

    def __init__(self, machine: MachineHere, calls: Callable[[str], None]) -> None:
        self.machine = machine.name
        self._on, self._calls = machine, calls
        self._worker = Worker()
        self.killed = False

    async def call(self, method: str, *arguments: Any) -> Answer:
        self._calls(method)
        self._require()
        # a machine that leaves in the middle of a call ends it
        working = asyncio.create_task(getattr(self._worker, method)(*pickle.loads(pickle.dumps(arguments))))
        leaving = asyncio.create_task(self._on.gone.wait())
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not working.done():
            working.cancel()
        self._require()
        answer: Answer = pickle.loads(pickle.dumps(await working))
        return answer

    def _require(self) -> None:
        if self.killed or self._on.gone.is_set():
            raise EnvironmentFailure(GONE, kind="machine")

    def kill(self) -> None:
        if not self.killed:
            self.killed = True
            self._on.actors.discard(self)
            self._on.changed()


class MachineHere:
    def __init__(self, name: str, places: int, changed: Callable[[], None]) -> None:
        self.name, self.places, self.changed = name, places, changed
        self.gone = asyncio.Event()
        self.actors: set[ActorHere] = set()


class MachinesHere:
    """As many machines as there are numbers of places."""

    needs = "one place"

    def __init__(self, *places: int, calls: Callable[[str], None] = lambda method: None) -> None:
        self._calls = calls
        self._changed = asyncio.Event()
        self.machines: list[MachineHere] = []
        self.started = 0
        self.closed = 0
        for number in places:
            self.add(number)

    def add(self, places: int) -> MachineHere:
        machine = MachineHere(f"m{len(self.machines)}", places, self._changed.set)
        self.machines.append(machine)
        self._changed.set()
        return machine

    def leave(self, machine: MachineHere) -> None:
        machine.gone.set()
        self.machines.remove(machine)

    async def start(self) -> ActorHere:
        while True:
            for machine in self.machines:
                if len(machine.actors) < machine.places:
                    actor = ActorHere(machine, self._calls)
                    machine.actors.add(actor)
                    self.started += 1
                    return actor
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        self.closed += 1
