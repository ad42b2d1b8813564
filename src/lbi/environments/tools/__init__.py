"""The environment ``tools``: what somebody else's agent worked with, of which only its traces are here.

Nothing can be opened, so nothing is attempted or replayed: examples come from traces (``lbi import``), and are used by
agents that have these tools themselves (``lbi retrieve``, ``lbi export``).
"""

from __future__ import annotations

from collections.abc import Callable

from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.errors import UserError
from lbi.protocols import CallTimeouts, Environment, Environments

__all__ = ["ACTIONS", "create", "documents"]

ACTIONS = """\
You work with the tools that you have. After each call you see what it returned.

run("pytest -q")                 run a command in a shell
view("src/a.py", 10, 60)         show lines of a file; without numbers, from its beginning
replace("src/a.py", "old", "new")  replace a text in the file
create("src/b.py", "text")       write a whole file
insert("src/a.py", 12, "text")   insert lines after line 12; 0 = at the beginning
TOOL(name="text", other=12)      call any other tool, with its arguments by name, written as in JSON
finish("answer")                 end the task; the answer may be empty"""


class OnlyTraces:
    """Environments that nobody can open."""

    name = "tools"
    restores = False
    timeouts = CallTimeouts()

    async def open(self) -> Environment:
        raise UserError(
            "the tools of these traces are not here, so nothing can be carried out with them; "
            "`lbi retrieve` shows what was learnt, and `lbi import --config CONFIG` replays in an environment of yours"
        )

    async def close(self) -> None:
        return None


def create(config: Config, save_image: Callable[[bytes], str]) -> Environments:
    """Whatever the config says, there is nothing to open."""
    return OnlyTraces()


async def documents(environments: OnlyTraces) -> tuple[DocumentSource, ...]:
    """None: traces have no documentation."""
    return ()
