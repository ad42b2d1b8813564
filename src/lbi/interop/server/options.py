"""What `lbi serve` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PORT = 8640
LOOK_UP_MS = 1_000  # that a request waits for its look-up
RATE = 6_000  # requests a minute of one client


Transport = Literal["http", "stdio"]


@dataclass(frozen=True)
class ServeOptions:
    """How a run is served. ``upstream``: the address of the model's provider, for the proxy; "" = no proxy."""

    mcp: Transport = "http"
    upstream: str = ""
    host: str = "127.0.0.1"
    port: int = PORT
    allow_hosts: tuple[str, ...] = ()
    max_tokens: int | None = None  # that the proxy adds to a request, at most; None = what the run's own prompts take
    look_up_ms: int = LOOK_UP_MS
    instruction: str = ""  # regular expression whose group is the instruction in an agent's first message
    rate: int = RATE
    out: Path | None = None
    log: Path | None = None
