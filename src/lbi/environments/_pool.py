"""A pool of environments, one for each worker, on which work is done: the most urgent first.

An environment that failed is closed and the work is tried again later on a fresh one, up to ATTEMPTS times in all, and
more often where machines of a cluster were lost.
Environments stay open between stages.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lbi.environments._timeouts import open_with_timeouts
from lbi.errors import EnvironmentFailure
from lbi.monitoring.utilisation import Utilisation
from lbi.protocols import Environment, Environments, NeedsRoom
from lbi.storage.leases import POLL, Leases, WorkKey

ATTEMPTS = 3  # at work that fails because of the infrastructure
MACHINES = 10  # of a cluster that work may lose: they come and go, but work that ends each one must end, too
FIRST_WAIT = 1.0  # seconds before the second attempt; each further wait is longer by the factor
FACTOR = 5.0
Work = Callable[[Environment], Awaitable[None]]
Failed = Callable[[EnvironmentFailure, bool], None]


@dataclass
class _Slot:
    """Room for one environment, which is opened when it is first needed."""

    environment: Environment | None = None


class Pool:
    """At most ``workers`` open environments. Whoever opens the pool closes it."""

    def __init__(
        self,
        environments: Environments,
        workers: int,
        *,
        leases: Leases | None = None,
        utilisation: Utilisation | None = None,
    ) -> None:
        self._environments, self._leases = environments, leases
        self.utilisation = utilisation or Utilisation(workers)
        self._unused = workers
        self._free: list[_Slot] = []
        self._all: list[_Slot] = []
        self._waiting: list[tuple[int, int, asyncio.Future[_Slot]]] = []  # a heap: (urgency, number, whoever waits)
        self._count = 0
        self._needs_room = environments if isinstance(environments, NeedsRoom) else None
        self._finding_room: set[asyncio.Task[None]] = set()

    async def do(self, work: Work, *, failed: Failed, key: WorkKey | None = None, urgency: int = 0) -> None:
        """Do ``work`` on an environment; returns when it is done, here or by another process, or given up.

        ``key`` is what other processes know the work by. Lower ``urgency`` comes first. ``failed(error, last)`` is
        called for each failure of the infrastructure. Raises whatever else the work raises.
        """
        failures = lost = 0
        while True:
            slot = await self._acquire(urgency)
            try:
                first = failures + lost == 0
                state = await self._leases.take(key) if self._leases and key and first else "mine"
                error = await self._try(slot, work, key) if state == "mine" else None
            finally:
                self._release(slot)
            if state == "theirs":
                await asyncio.sleep(POLL)
            elif error is None:
                return
            else:
                lost += error.kind == "machine"
                failures += error.kind != "machine"
                last = failures >= ATTEMPTS or lost >= MACHINES
                failed(error, last)
                if last:
                    if self._leases and key:
                        self._leases.give_up(key)
                    return
                await asyncio.sleep(FIRST_WAIT * FACTOR ** max(failures - 1, 0))  # what is out of order may come back

    async def close(self) -> None:
        """Close the environments; harmless when done before."""
        for finding in self._finding_room:
            finding.cancel()
        await asyncio.gather(*self._finding_room, return_exceptions=True)
        slots, self._all, self._free = self._all, [], []
        await asyncio.gather(*(slot.environment.close() for slot in slots if slot.environment is not None))

    async def _try(self, slot: _Slot, work: Work, key: WorkKey | None) -> EnvironmentFailure | None:
        """Do the work once: None if it is done, the error if the infrastructure failed."""
        with contextlib.ExitStack() as cut_short:
            # cancelled, or an error that ends the run: another process may do this work, without waiting for this one
            if self._leases and key:
                cut_short.callback(self._leases.free, key)
            failure = await self._run(slot, work)
            cut_short.pop_all()
        if failure is None and self._leases and key:
            self._leases.done(key)
        return failure

    async def _run(self, slot: _Slot, work: Work) -> EnvironmentFailure | None:
        """Do the work on the slot's environment. One that failed is closed, so that the next work gets a fresh one."""
        try:
            with self.utilisation.use():
                slot.environment = slot.environment or await open_with_timeouts(self._environments)
                await work(slot.environment)
        except EnvironmentFailure as error:
            environment, slot.environment = slot.environment, None
            if environment is not None:
                await environment.close()
            return error
        return None

    async def _acquire(self, urgency: int) -> _Slot:
        if self._free:
            return self._free.pop()
        if self._unused:
            self._unused -= 1
            self._all.append(slot := _Slot())
            if self._needs_room is None:
                return slot
            self._release(slot)
        self._count += 1
        slot_given: asyncio.Future[_Slot] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, self._count, slot_given))
        try:
            return await slot_given
        except asyncio.CancelledError:
            if slot_given.done() and not slot_given.cancelled():
                self._release(slot_given.result())
            raise

    def _release(self, slot: _Slot) -> None:
        """Hand a slot on, once its environment has room. Work waits for any slot, so none is held up by one."""
        if slot.environment is None and self._needs_room is not None:
            finding = asyncio.create_task(self._hand_on_with_room(slot, self._needs_room))
            self._finding_room.add(finding)
            finding.add_done_callback(self._finding_room.discard)
        else:
            self._hand_on(slot)

    async def _hand_on_with_room(self, slot: _Slot, environments: NeedsRoom) -> None:
        await environments.room()
        self._hand_on(slot)

    def _hand_on(self, slot: _Slot) -> None:
        while self._waiting:
            _, _, slot_given = heapq.heappop(self._waiting)
            if not slot_given.done():
                slot_given.set_result(slot)
                return
        self._free.append(slot)
