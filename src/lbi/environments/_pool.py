"""Work -> environments: as many at a time as there are workers, the urgent first, each on an environment of its own.

An environment that failed is closed and a fresh one opened; the work is tried again, up to ATTEMPTS times in all.
Environments stay open between stages.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lbi.environments._timeouts import open_guarded
from lbi.errors import EnvironmentFailure
from lbi.monitoring.utilisation import Utilisation
from lbi.protocols import Environment, Environments
from lbi.storage.leases import POLL, Leases, WorkKey

#: a job that fails because of the infrastructure is tried so often
ATTEMPTS = 3
Work = Callable[[Environment], Awaitable[None]]
Failed = Callable[[EnvironmentFailure, bool], None]


@dataclass
class _Slot:
    """A place for one environment, which is opened when it is first needed."""

    environment: Environment | None = None


class Pool:
    """Environments at work. Whoever opens it closes it."""

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

    async def do(self, work: Work, *, failed: Failed, place: WorkKey | None = None, urgency: int = 0) -> None:
        """Have ``work`` done; returns when it is, whether here or by another process, or when it is given up.

        Lower ``urgency`` comes first. ``failed(error, last)`` is told of each failure of the infrastructure.
        Raises what else the work raises.
        """
        attempt = 1
        while True:
            slot = await self._acquire(urgency)
            try:
                state = await self._leases.take(place) if self._leases and place and attempt == 1 else "mine"
                error = await self._tried(slot, work, place) if state == "mine" else None
            finally:
                self._release(slot)
            if state == "theirs":
                await asyncio.sleep(POLL)
            elif error is None:
                return
            else:
                failed(error, attempt >= ATTEMPTS)
                attempt += 1
                if attempt > ATTEMPTS:
                    if self._leases and place:
                        self._leases.give_up(place)
                    return

    async def close(self) -> None:
        """Close the environments; harmless when done before."""
        slots, self._all, self._free = self._all, [], []
        await asyncio.gather(*(slot.environment.close() for slot in slots if slot.environment is not None))

    async def _tried(self, slot: _Slot, work: Work, place: WorkKey | None) -> EnvironmentFailure | None:
        """Nothing if the work is done; the failure, if the infrastructure failed."""
        with contextlib.ExitStack() as cut_short:
            # cancelled, or an error that ends the run: another process may do this work, without waiting for this one
            if self._leases and place:
                cut_short.callback(self._leases.free, place)
            failure = await self._worked(slot, work)
            cut_short.pop_all()
        if failure is None and self._leases and place:
            self._leases.done(place)
        return failure

    async def _worked(self, slot: _Slot, work: Work) -> EnvironmentFailure | None:
        """The work on an environment; one that failed is closed, and the next work gets a fresh one."""
        try:
            with self.utilisation.use():
                slot.environment = slot.environment or await open_guarded(self._environments)
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
            self._all.append(_Slot())
            return self._all[-1]
        self._count += 1
        turn: asyncio.Future[_Slot] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, self._count, turn))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release(turn.result())
            raise

    def _release(self, slot: _Slot) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(slot)
                return
        self._free.append(slot)
