"""A run folder -> served over stdio or HTTP until it is stopped; then everything is closed, and the ports are free."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable
from pathlib import Path

from lbi.errors import UserError
from lbi.interop.server.finder import Finder
from lbi.interop.server.http import until_stopped
from lbi.interop.server.options import ServeOptions
from lbi.interop.server.served import FOLDER, Served
from lbi.interop.server.skills import resting_on_nothing
from lbi.rollouts.learnt import Use

Tell = Callable[[str], None]


def serve_run(run: Path, use: Use, options: ServeOptions, tell: Tell) -> int:
    """Serve until stdin ends or the process is told to stop; returns 0. ``tell`` gets a line for a person.

    Raises UserError for what cannot be served, and for a port that is in use.
    """
    if options.mcp == "stdio" and options.upstream:
        raise UserError("--mcp stdio and --upstream exclude each other; start two servers of the run")
    with contextlib.ExitStack() as stack:
        if options.mcp == "http":
            from lbi.interop.server.listen import check_options, listening

            check_options(options)
            socket = stack.enter_context(listening(options))
        finder = Finder(run, use)
        finder.open()
        stack.callback(finder.close)
        gc.freeze()  # what was read stays; to go through all of it now and then would cost look-ups up to a second
        served = Served(options.out or run / FOLDER)
        skills = run / "skills"
        for line in stale_skills(skills, finder):
            tell(line)
        if options.mcp == "stdio":
            from lbi.interop.server.stdio import serve_stdio

            asyncio.run(until_stopped(serve_stdio(finder, served, skills)))
        else:
            from lbi.interop.server.listen import serve_http

            asyncio.run(until_stopped(serve_http(socket, finder, served, skills, options, tell)))
    return 0


def stale_skills(skills: Path, finder: Finder) -> list[str]:
    """A line for each skill that is left out, as it would be told as if it held."""
    return [
        f"The skill {skills / name} is left out: its examples are gone ({', '.join(gone[:3])}); "
        f"`lbi skills {finder.run}` writes it anew."
        for name, gone in resting_on_nothing(skills, finder.knows).items()
    ]
