"""serve: a run folder -> a server of what was learnt in it, until it is stopped."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from lbi.errors import UserError
from lbi.interop.server.options import ServeOptions, Transport
from lbi.monitoring.terminal import say
from lbi.rollouts.learnt import Use


def serve(run: Path, use: Use, options: ServeOptions) -> int:
    """What is printed goes to stderr: with stdio, stdout is the protocol's. Raises UserError."""
    if importlib.util.find_spec("mcp") is None:
        raise UserError("the server needs the extra mcp; install it with: pip install 'learn-by-interact[mcp]'")
    from lbi.interop.server.serve import serve_run

    def tell(line: str) -> None:
        say(line, file=sys.stderr)

    return serve_run(run, use, options, tell)


def transport(name: str) -> Transport:
    """Raises UserError for one that there is not."""
    known: dict[str, Transport] = {"http": "http", "stdio": "stdio"}
    if name not in known:
        raise UserError(f'no transport "{name}"; there are {" and ".join(known)}')
    return known[name]
