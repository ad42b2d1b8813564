"""What all commands share: the app, how commands are registered, and how their errors end the process."""

from __future__ import annotations

import functools
import logging
import os
import select
import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn, ParamSpec

import typer
from typer.core import TyperCommand, TyperGroup

from lbi.monitoring.terminal import say

P = ParamSpec("P")
#: headings of `lbi --help`, in the order in which somebody new needs them, and the commands below each
GROUPS = {
    "Learn": ("init", "run", "synthesize", "evaluate", "reproduce", "import"),
    "Look": ("report", "view", "calls", "look"),
    "Use": ("act", "retrieve", "serve", "skills", "knowledge", "export", "train", "grade"),
    "Tools": ("list", "check", "models", "tasks", "serve-desktop"),
}


class GroupedCommands(TyperGroup):
    """Prints the commands under their headings; typer itself does that only with rich, which loads too slowly."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.commands))
        placed = {name for names in GROUPS.values() for name in names}
        others = tuple(name for name in self.commands if name not in placed)
        for heading, names in {**GROUPS, "Commands": others}.items():
            commands = [(name, self.commands[name]) for name in names if name in self.commands]
            lines = [
                (name.ljust(width), each.get_short_help_str(formatter.width - width - 6)) for name, each in commands
            ]
            if lines:
                with formatter.section(heading):
                    formatter.write_dl(lines)


class Command(TyperCommand):
    """A command that takes no empty text: one comes of a variable that is not set, and as a path it would mean here."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        for before, written in zip(["", *args], args, strict=False):
            if not written.strip() or (written.startswith("--") and written.endswith("=")):
                what = written.rstrip("= ") or (before if before.startswith("-") else "an argument")
                raise typer.BadParameter(f"{what} is empty; give it a value, or leave it out", ctx=ctx)
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="lbi",
    cls=GroupedCommands,
    help="Makes an agent better at one application: it learns by using it. No labels are needed, and no key to try.",
    epilog="Start: lbi init --url http://localhost:3000 --docs ./docs",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich takes longer to load than --help may take
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def command(function: Callable[P, int], of: typer.Typer = app) -> Callable[P, int]:
    """Register a command whose errors end the process as they should."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            code = function(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            from lbi.cli.errors import interrupted

            _end(interrupted(), 130)
        except Exception as error:  # the top of the command line
            if isinstance(error, BrokenPipeError) and _unread():
                raise  # `lbi list | head`: typer ends the process without a word
            from lbi.cli.errors import explained

            _end(*explained(error))
        raise typer.Exit(code)

    of.command(function.__name__.rstrip("_").replace("_", "-"), cls=Command)(guarded)
    return guarded


def _unread() -> bool:
    """Whether nobody reads any more what is printed."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
    except (AttributeError, OSError, ValueError):  # no such call here, or no real file
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _end(message: str, code: int) -> NoReturn:
    say(f"lbi: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _version(asked_for: bool) -> None:
    if asked_for:
        from lbi import __version__

        say(f"lbi {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    from lbi.monitoring.logs import MaskingFormatter
    from lbi.storage.secrets import learn_usual

    learn_usual(os.environ)
    if logging.lastResort is not None:  # what nobody keeps goes to the terminal
        logging.lastResort.setFormatter(MaskingFormatter("%(message)s"))
