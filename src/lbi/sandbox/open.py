"""A folder -> a sandbox over it, by the backend that this machine has: overlay and bubblewrap, Podman or Docker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from lbi.sandbox.protocol import Completed, Limits, Sandbox

__all__ = ["Completed", "Limits", "Sandbox", "open_sandbox"]


@asynccontextmanager
async def open_sandbox(
    source: Path,
    *,
    backend: str = "auto",
    limits: Limits | None = None,
    binds: Sequence[Path] = (),
    env: Mapping[str, str] | None = None,
    unsafe: bool = False,
) -> AsyncIterator[Sandbox]:
    """A sandbox over a changeable view of ``source``, which itself is never written to.

    ``binds`` are visible inside at the same path, and read-only; ``env`` is added to a small environment of its own,
    nothing of this process's is passed on. ``unsafe`` runs without any sandbox, on a copy. Raises UserError where there
    is no backend, or not the one that is asked for.
    """
    from lbi.sandbox.backends import open_backend

    opened = await open_backend(Path(source), backend, limits or Limits(), tuple(binds), dict(env or {}), unsafe)
    try:
        yield opened
    finally:
        await opened.close()
