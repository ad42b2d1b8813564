"""Commands that show what a run did, or what an agent sees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbi.cli.base import command
from lbi.cli.parameters import (
    Json,
)


@command
def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    tables: Annotated[bool, typer.Option("--tables", help="Print all tables.")] = False,
    open_: Annotated[bool, typer.Option("--open", help="Show the report in the browser.")] = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Of a damaged run: what can still be read, copied to RUN/salvaged.")
    ] = False,
    json: Json = False,
) -> int:
    """Print the result of a run and write its report anew.

    Works at any point of a run, also while it goes on.
    """
    from lbi.cli.report import report

    return report(run, tables, open_, json, salvage)


@command
def calls(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    call: Annotated[str, typer.Argument(help="Id of one call, or its beginning: shows its prompt and reply.")] = "",
    stage: Annotated[str, typer.Option(help="Only of this stage: propose, attempt, label, filter, evaluate.")] = "",
    role: Annotated[str, typer.Option(help="Only of this role: propose, act, query, abstract, summarise, judge.")] = "",
    model: Annotated[str, typer.Option("--model", "-m", help="Only of this model.")] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only calls that failed for good.")] = False,
    cost: Annotated[float, typer.Option(help="Only calls that cost this many US dollars or more.", min=0)] = 0.0,
    seconds: Annotated[float, typer.Option(help="Only calls that took this many seconds or more.", min=0)] = 0.0,
    sort: Annotated[str, typer.Option(help="Order: time, cost, tokens or seconds.")] = "time",
    limit: Annotated[int, typer.Option(help="How many calls to show; 0 = all.", min=0)] = 50,
    json: Json = False,
) -> int:
    """Look at the model calls of a run.

    Works at any point of a run, also while it goes on. Secrets are masked.
    """
    from lbi.cli.calls import calls
    from lbi.storage.calls import CallFilter

    return calls(run, call, CallFilter(stage, role, model, failed, cost, seconds, sort, limit), json)


@command
def view(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    other: Annotated[Path | None, typer.Argument(help="Another run, to look at beside it.")] = None,
    judge: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Who judges examples.", show_default="the user's name")
    ] = "",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 = a free one.")] = 0,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> int:
    """Look at a run in the browser: every step and prompt, arms beside each other; judge its examples.

    Works at any point of a run, also while it goes on. Only this machine can reach it. Ctrl-C stops it.
    """
    from lbi.cli.view import view

    return view(run, other, judge, port, open_)


@command
def look(
    where: Annotated[
        str, typer.Argument(help="Address of a page, or an application by name or file.", metavar="URL|APP")
    ],
    actions: Annotated[
        list[str] | None,
        typer.Argument(
            help="What to do there, such as 'click(e3)' or 'fill(textbox \"Name\", \"Jo\")'.", metavar="ACTION"
        ),
    ] = None,
    whole: Annotated[bool, typer.Option("--whole", help="After each action print the page, not what changed.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Save a PNG of what is in view at the end, references marked.")
    ] = None,
    interactive: Annotated[
        bool,
        typer.Option("--interactive", "-i", help="Then take actions from the terminal, one a line."),
    ] = False,
    json: Json = False,
) -> int:
    """Show a page as an agent sees it, act on it, and show what changed.

    Steps of a log-in and solutions of tasks are written this way; with -i they come out as TOML. Exits with 1 if an
    action could not be carried out; those after it are not tried.
    """
    from lbi.cli.look import look

    return look(where, actions or [], whole, picture, json, interactive)
