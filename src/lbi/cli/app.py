"""The command line ``lbi``: arguments -> a function of lbi.cli, and its errors -> one line and an exit code.

0 done, 1 a check failed or the program is wrong, 2 bad input, 3 the budget is used up, 4 the steps of ``lbi act`` are
used up, 130 interrupted.
"""

from __future__ import annotations

from lbi.cli.base import app
from lbi.cli.commands import learn, look, tools, use

__all__ = ["app", "learn", "look", "main", "tools", "use"]


def main() -> None:
    app(prog_name="lbi")
