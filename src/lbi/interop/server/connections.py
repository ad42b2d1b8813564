"""A connection of a client that may stall before it has asked for anything: it is closed after a while.

uvicorn ends connections that idle between requests; one that sends half of its headers would be kept for ever.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 20.0  # seconds for the headers of a request


class BoundedConnection(H11Protocol):
    """Closes itself where no request is under way for so long."""

    _until_asked: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """From the end of a request on, or the beginning; not anew with each byte that trickles in."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._until_asked is None:
            self._until_asked = self.loop.call_later(PATIENCE, self._close)

    def _stop_waiting(self) -> None:
        if self._until_asked is not None:
            self._until_asked.cancel()
            self._until_asked = None

    def _close(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
