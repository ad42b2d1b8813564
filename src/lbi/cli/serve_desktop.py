"""serve-desktop: one private desktop, by the protocol of OSWorld's machines."""

from __future__ import annotations

import asyncio

from lbi.environments.desktop.environment import DesktopEnvironments
from lbi.environments.desktop.serve import DesktopServer
from lbi.monitoring.terminal import say


def serve_desktop(name: str, start: str, port: int) -> int:
    """Serve until it is stopped."""
    asyncio.run(_served(name, start, port))
    return 0


async def _served(name: str, start: str, port: int) -> None:
    async with DesktopServer(DesktopEnvironments(name), start, port) as server:
        say(f"{server.address} is the desktop {name}; POST /reset makes it anew, Control+C ends it")
        await asyncio.Event().wait()
