"""Weights -> a server process of our own that runs them: started, watched, started again when it dies, ended with us.

A server that dies is a failure of the provider: what it was working on is asked again, and no agent is charged for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from lbi.models.local import fit
from lbi.models.local.catalog import EngineName
from lbi.models.local.failures import LocalFailure, Name
from lbi.models.local.gguf import Header
from lbi.models.local.serving.protocol import Order
from lbi.sandbox.host import plain, start_on_host

_START = 900.0  # seconds until it answers: a large model, on a disk that is slow and a machine that is busy
_PASSED_ON = ("PYTHONPATH", "LD_LIBRARY_PATH")
_DEATHS, _WITHIN = 4, 600.0  # so many ends within so many seconds are no accident any more
_SHOWN = 400  # characters of its last words


@dataclass(frozen=True)
class Weights:
    """What a server is to run."""

    name: str  # as the user calls it
    file: Path
    header: Header
    engine: EngineName
    adapter: Path | None = None


@dataclass(frozen=True)
class Address:
    """Where a server answers, and to whom."""

    url: str
    key: str


class LocalServer:
    """The process for one model. ``say`` gets a line when it was started again."""

    def __init__(self, weights: Weights, say: Callable[[str], None], *, start_timeout: float = _START) -> None:
        self._weights, self._say, self._start_timeout = weights, say, start_timeout
        self._process: asyncio.subprocess.Process | None = None
        self._address: Address | None = None
        self._log: IO[bytes] | None = None
        self._lock = asyncio.Lock()
        self._ends: deque[float] = deque(maxlen=_DEATHS)
        self.starts = 0
        self.fit: fit.Fit | None = None

    @property
    def pid(self) -> int:
        """0 while it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    async def running(self) -> Address:
        """Where it answers; started, or started again, if it has to be. Raises LocalFailure."""
        async with self._lock:
            if self._address is not None and self.pid:
                return self._address
            if self._process is not None:
                self._note_end()
            self._address = await self._start()
            return self._address

    async def stop(self) -> None:
        """Harmless when done before."""
        process, self._process, self._address = self._process, None, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # it holds nothing that could be lost
            await process.wait()
        if process is not None and process.stdin is not None:
            process.stdin.close()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _note_end(self) -> None:
        """It has died. Raises LocalFailure where that happens again and again."""
        how = self._how_it_ended()
        self._ends.append(time.monotonic())
        if len(self._ends) == _DEATHS and self._ends[-1] - self._ends[0] < _WITHIN:
            raise LocalFailure(
                self._name_of_end(),
                f"the process that runs {self._weights.name} {how}, {_DEATHS} times within "
                f"{self._ends[-1] - self._ends[0]:.0f} s",
            )
        self._say(f"local model {self._weights.name}: its process {how}; starting it again")

    def _name_of_end(self) -> Name:
        killed = self._process is not None and self._process.returncode == -signal.SIGKILL
        return "killed" if killed else "ended"

    def _how_it_ended(self) -> str:
        code = self._process.returncode if self._process is not None else None
        if code == -signal.SIGKILL:
            return "was killed, which the system does where memory runs out"
        how = f"ended with signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        return f"{how} ({words})" if (words := self._last_words()) else how

    async def _start(self) -> Address:
        await self._close_log()
        weights, self.fit = self._weights, self._fitted()
        order = Order(
            engine=weights.engine,
            file=str(weights.file),
            adapter=str(weights.adapter or ""),
            threads=self.fit.threads,
            context=self.fit.context,
            slots=self.fit.slots,
            cache_bytes=self.fit.context * weights.header.cache_bytes_per_token,
            chat_template=weights.header.chat_template,
            key=secrets.token_hex(32),
        )
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it is open for as long as the process runs
        environ = plain() | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self._process = await start_on_host(
            [sys.executable, "-m", "lbi.models.local.serving"],
            env=environ,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C at the terminal is for us; it ends with us
        )
        self.starts += 1
        try:
            port = await self._port(order)
        except BaseException:
            await self.stop()
            raise
        return Address(f"http://127.0.0.1:{port}", order["key"])

    async def _port(self, order: Order) -> int:
        """The port that the process names. Raises LocalFailure."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(json.dumps(order).encode() + b"\n")
            await process.stdin.drain()
        try:
            async with asyncio.timeout(self._start_timeout):
                line = await process.stdout.readline()
        except TimeoutError:
            raise LocalFailure(
                "cannot be loaded", f"{self._weights.name} was not ready within {self._start_timeout:.0f} s"
            ) from None
        if not line:
            await process.wait()
            message = f"the process that runs {self._weights.name} {self._how_it_ended()} while it started"
            raise LocalFailure(self._name_of_end(), message)
        said = json.loads(line)
        if "port" not in said:
            raise LocalFailure(said["kind"], f"{self._weights.name} with {self._weights.engine}: {said['error']}")
        return int(said["port"])

    def _fitted(self) -> fit.Fit:
        """One that is started again keeps its threads: with others, sums round otherwise and a reply may differ."""
        weights = self._weights
        size = weights.file.stat().st_size + (weights.adapter.stat().st_size if weights.adapter else 0)
        now = fit.fitted(
            weights.header, size, weights.engine, memory=fit.free_memory(), cores=fit.cores(), load=fit.load()
        )
        return replace(now, threads=self.fit.threads) if self.fit is not None else now

    def _last_words(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        lines = self._log.read()[-20_000:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:_SHOWN] if lines else ""

    async def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
