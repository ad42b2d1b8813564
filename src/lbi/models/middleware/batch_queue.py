"""Calls that can wait -> batches at their provider, and their replies up to a day later.

A batch is written down before it is sent and named as soon as the provider has named it, so a process that is killed at
any moment finds it again: the same calls, asked once more, wait for that batch and are not sent a second time.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

from lbi.errors import LbiError, ModelBusy, ModelError, ModelUnavailable
from lbi.models.middleware.retry import HOPELESS
from lbi.protocols import Batches, Reply, Request
from lbi.records import Record, Sent


class BatchStore(Protocol):
    """Where batches are written down; the run's store is one."""

    def get_call(self, key: str) -> Reply | None: ...

    def begin_batch(self, mark: str, model: str, keys: Sequence[str]) -> None: ...

    def name_batch(self, mark: str, name: str) -> None: ...

    def end_batch(self, mark: str) -> None: ...

    def batch_names(self) -> set[str]: ...

    def open_batches(self, model: str) -> list[Sent]: ...


def _always() -> bool:
    return True


class BatchTiming(Record):
    """Times in seconds."""

    gather: float = 2.0  # a batch is sent when no further call has come for this long
    first: float = 5.0  # the wait before it is looked whether a batch is done; each further wait is longer by half
    longest: float = 60.0
    patience: float = 3600.0  # a provider that does not answer for longer ends the run ...
    first_contact: float = 10.0  # ... and so does, after this time already, one that could never be reached


class BatchQueue:
    """One model's calls that can wait. ``say`` gets a line for each batch that is sent, and for what became of it."""

    def __init__(
        self,
        model: str,
        batches: Batches,
        store: BatchStore,
        *,
        timing: BatchTiming | None = None,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        reached: Callable[[], bool] = lambda: False,
    ) -> None:
        """``reached``: whether the model has answered before, by whatever way."""
        self.share = batches.share
        self._model, self._batches, self._store, self._say = model, batches, store, say
        self._timing, self._clock, self._sleep = timing or BatchTiming(), clock, sleep
        self._rows: dict[str, asyncio.Future[Any]] = {}  # by call; a result is a row of a batch, or an error
        self._requests: dict[str, Request] = {}  # calls that somebody waits for
        self._unsent: list[str] = []  # of these, the ones that are in no batch yet
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._resumed = False
        self._reached = reached  # replaced once the provider has been heard of here

    async def ask(self, key: str, request: Request) -> Reply:
        """The reply to a call, from the batch that it is in. Raises ModelBusy, for free, if it was not carried out."""
        self._resume()
        self._requests[key] = request
        try:
            if key not in self._rows:
                self._rows[key] = asyncio.get_running_loop().create_future()
                self._gather(key)
            row = await asyncio.shield(self._rows[key])
            del self._rows[key]
        finally:
            del self._requests[key]
        if isinstance(row, BaseException):
            raise row
        return self._batches.read(row, request)

    def _resume(self) -> None:
        """Wait for what an earlier process sent, as far as it is not answered yet."""
        if self._resumed:
            return
        self._resumed = True
        for sent in self._store.open_batches(self._model):
            waiting = [key for key in sent.keys if self._store.get_call(key) is None]
            if not waiting:
                self._store.end_batch(sent.mark)
                continue
            self._rows.update({key: asyncio.get_running_loop().create_future() for key in waiting})
            self._start(self._continue(sent), waiting)

    # sending

    def _gather(self, *keys: str) -> None:
        self._unsent += keys
        if self._timer is not None:
            self._timer.cancel()
        wait = 0.0 if len(self._unsent) >= self._batches.most else self._timing.gather
        self._timer = asyncio.get_running_loop().call_later(wait, self._send_all)

    def _send_all(self) -> None:
        unsent, self._unsent = [key for key in self._unsent if key in self._requests], []
        for at in range(0, len(unsent), self._batches.most):
            keys = unsent[at : at + self._batches.most]
            self._start(self._send(keys), keys)

    async def _send(self, keys: list[str]) -> None:
        """Send calls as one batch and wait for it; what is too large goes as two."""
        sent = Sent(secrets.token_hex(8), "", keys, self._clock())
        self._store.begin_batch(sent.mark, self._model, keys)
        try:
            named = sent._replace(name=await self._submit(sent))
        except ModelError as error:
            self._store.end_batch(sent.mark)
            if error.kind != "too long" or len(keys) == 1:
                raise
            for half in (keys[: len(keys) // 2], keys[len(keys) // 2 :]):
                self._start(self._send(half), half)
            return
        self._store.name_batch(sent.mark, named.name)
        self._say(f"{self._model}: {len(keys):,} calls wait in the batch {named.name}; this may take a day")
        await self._follow(named)

    async def _submit(self, sent: Sent) -> str:
        """The provider's name of the batch. Where it is not known whether one arrived, it is looked for first."""
        calls = [(key, self._requests[key]) for key in sent.keys]

        async def submit() -> str:
            return await self._batches.submit(calls, sent.mark)

        async def submit_once() -> str:
            return await self._find(sent) or await submit()

        name: str = await self._until_answered(submit, submit_once)
        return name

    async def _find(self, sent: Sent) -> str:
        return await self._batches.find(sent.mark, len(sent.keys), sent.created, self._store.batch_names())

    async def _continue(self, sent: Sent) -> None:
        """Follow a batch of an earlier process; what it was killed before it could send, or name, is looked for."""

        async def find() -> str:
            return await self._find(sent)

        name = sent.name or await self._until_answered(find)
        if name:
            if not sent.name:
                self._store.name_batch(sent.mark, name)
            self._say(f"{self._model}: waiting for the batch {name}, which was sent before")
            await self._follow(sent._replace(name=name))
            return
        self._store.end_batch(sent.mark)
        for key in sent.keys:
            if key in self._requests:
                self._gather(key)
            else:
                self._rows.pop(key, None)

    # waiting

    async def _follow(self, sent: Sent) -> None:
        """Look now and then whether a batch is done, and hand out its rows when it is."""
        wait = self._timing.first
        while True:
            await self._sleep(wait)
            wait = min(self._timing.longest, 1.5 * wait)

            async def fetch() -> dict[str, Any] | None:
                return await self._batches.fetch(sent.name)

            rows = await self._until_answered(fetch)
            if rows is not None:
                break
        lost = ModelBusy(f"the batch {sent.name} says nothing of this call")
        self._settle({key: rows.get(key, lost) for key in sent.keys})

    async def _until_answered(
        self, call: Callable[[], Awaitable[Any]], again: Callable[[], Awaitable[Any]] | None = None
    ) -> Any:
        """Try until it works; ``again`` is what is tried from the second time on.

        Raises ModelError, and ModelUnavailable for a provider that does not answer for too long.
        """
        wait, since = self._timing.first, self._clock()
        while True:
            try:
                answer = await call()
                self._reached = _always
                return answer
            except ModelBusy as error:
                if error.kind != "connection":
                    self._reached = _always
                patience, advice = self._timing.patience, "when it is back,"
                if not self._reached():  # an address that nobody ever answered at is probably a wrong one
                    patience = min(self._timing.first_contact, patience)
                    wait, advice = min(wait, patience / 5), "see that the address is right, then"
                if self._clock() - since >= patience:
                    raise ModelUnavailable(f"{error}; {advice} start the same command again: it continues") from error
            except ModelError as error:
                self._reached = _always
                if error.kind in HOPELESS:
                    raise ModelUnavailable(
                        f"{error}; mend that or leave models.batch away, then start the same command again"
                    ) from error
                raise
            await self._sleep(wait)
            wait, call = min(self._timing.longest, 1.5 * wait), again or call

    # outcomes

    def _start(self, work: Coroutine[Any, Any, None], keys: Sequence[str]) -> None:
        async def guarded() -> None:
            try:
                await work
            except ModelError as error:
                self._say(f"{self._model}: {error}; its {len(keys):,} calls are made one by one, at the full price")
                busy = ModelBusy(str(error), kind=error.kind)
                self._settle(dict.fromkeys(keys, busy))
            except LbiError as error:
                self._settle(dict.fromkeys(keys, error))

        task = asyncio.get_running_loop().create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _settle(self, outcomes: dict[str, Any]) -> None:
        for key, outcome in outcomes.items():
            future = self._rows.get(key)
            if future is not None and not future.done():
                future.set_result(outcome)

    async def close(self) -> None:
        """Stop waiting. The batches go on at their provider."""
        if self._timer is not None:
            self._timer.cancel()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
