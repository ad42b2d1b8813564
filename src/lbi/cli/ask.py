"""Questions in the terminal while an episode goes on: one line each, and Ctrl-C ends them as it ends everything."""

from __future__ import annotations

import asyncio
import os
import sys

from rich.console import Console

from lbi.cli.act_view import print_part
from lbi.protocols import Foreseen
from lbi.rollouts.watching import Answer

QUESTION = "Do it? [y]es, [n]o, [a]ll from here on, [q]uit: "
ANSWERS: dict[str, Answer] = {"y": "yes", "yes": "yes", "n": "no", "no": "no", "a": "all", "all": "all"}
ENDS = ("q", "quit", "")  # and the end of the input: who cannot answer has not said yes


class Terminal:
    """Asks whoever sits at the terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def confirm(self, foreseen: Foreseen) -> Answer:
        """Asked again until it is answered."""
        print_part(self._console, "asks", f"{foreseen.action.written}  ({foreseen.changes})", style="bold yellow")
        while True:
            self._console.print(f"           {QUESTION}", end="", markup=False, highlight=False)
            line = await read_line()
            if not line:
                self._console.print()
                return "stop"
            written = line.strip().casefold()
            if written in ANSWERS:
                return ANSWERS[written]
            if written in ENDS[:2]:
                return "stop"

    async def wait(self) -> None:
        """Until Enter is pressed."""
        self._console.print("The window stays open until you press Enter. ", end="", markup=False, highlight=False)
        await read_line()


async def read_line() -> str:
    """A line from the terminal, without holding up what else goes on; "" at the end of the input.

    ``input`` would have to run in a thread, which nothing could end.
    """
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(stdin, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(stdin)
    return os.read(stdin, 65_536).decode(errors="replace")
