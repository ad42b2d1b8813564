"""Commands that list, check and prepare."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from lbi.cli.base import app, command
from lbi.cli.parameters import (
    Json,
    Quiet,
    Unsafe,
)


@command
def list_(
    what: Annotated[
        str,
        typer.Argument(help="applications, benchmarks, agents, models, configs, examples and so on; empty = all."),
    ] = "",
    json: Json = False,
) -> int:
    """List applications, benchmarks, agents, models and configs to pick from."""
    from lbi.cli.list import list_all

    return list_all(what, json)


@command
def check(
    what: Annotated[
        str,
        typer.Argument(
            help="browser, page, application, desktop, benchmark, config, tasks, retrieval, committee or all."
        ),
    ] = "all",
    name: Annotated[
        str,
        typer.Argument(help="Name or file of the application, benchmark or config; a page's address; a run."),
    ] = "",
    checkout: Annotated[str, typer.Argument(help="What the benchmark does not bring: its repository or sites.")] = "",
    task: Annotated[str, typer.Option(help="Only these tasks of the benchmark: NAME,NAME.")] = "",
    all_: Annotated[
        int, typer.Option("--all", metavar="N", min=0, help="Of a page: also what links and clicks lead to, N pages.")
    ] = 0,
    sweep: Annotated[bool, typer.Option("--sweep", help="Of retrieval: with other numbers of examples.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="Of a committee: ask about N episodes; 0 = all.")
    ] = 0,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, max=64, help="How many environments work at a time.")
    ] = 3,
    unsafe: Unsafe = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Try out the browser, a page, an application, a desktop, a config or a benchmark; or what a run proposed.

    The browser shows a page; of a page, 99% of what can be acted on has a reference; an application starts, and resets
    to the same state; every gold solution of a benchmark scores 1 and doing nothing 0. Of the tasks that a run
    proposed, those are counted that name things which exist; of its held-out tasks, those that are shown an example of
    what they ask for. A run's committee is asked about held-out episodes that a program scored, and told how often it
    is right. Exits with 1 if anything fails.
    """
    from lbi.cli.check import check

    return check(what, name, checkout, task, all_, workers, json, quiet, sweep=sweep, limit=limit, unsafe=unsafe)


@command
def models(
    action: Annotated[str, typer.Argument(help="list, fetch, try or remove.", metavar="ACTION")] = "list",
    name: Annotated[str, typer.Argument(help="Name of the catalogue; to try one, also a GGUF file.")] = "",
    json: Json = False,
) -> int:
    """List, fetch, try and remove language models that run on this machine.

    To try one says how many tokens per second it reads and writes here. A run fetches what it needs by itself.
    """
    from lbi.cli.models import models

    return models(action, name, json)


@command
def serve_desktop(
    name: Annotated[str, typer.Argument(help="Shipped desktop, or the path of its file.")],
    start: Annotated[str, typer.Option("--start", help="What is open: /PROGRAM or /PROGRAM/FILE.")] = "",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 = any that is free.")] = 5000,
) -> int:
    """Serve a private desktop to agents written for OSWorld, by the HTTP protocol of its machines.

    It listens on this machine's own address. What is asked for is done in the desktop's sandbox, without network.
    """
    from lbi.cli.serve_desktop import serve_desktop

    return serve_desktop(name, start, port)


tasks_ = typer.Typer(name="tasks", help="Make tasks out of a repository.", no_args_is_help=True)
app.add_typer(tasks_)


@functools.partial(command, of=tasks_)
def mutate(
    repository: Annotated[Path, typer.Argument(help="Folder of a repository with pytest tests.", metavar="REPO")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File of tasks to write.")] = Path("mutations.jsonl"),
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many tasks to make.")] = 20,
    limit: Annotated[int, typer.Option(min=0, help="How many mutations to try; 0 = all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the order in which mutations are tried.")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="File or folder to mutate; may be repeated.")] = None,
    tests: Annotated[list[str] | None, typer.Option(help="File or folder of tests; may be repeated.")] = None,
    python: Annotated[
        Path | None, typer.Option(help="Interpreter with what it needs.", show_default="REPO/.venv's, else a fresh one")
    ] = None,
    with_: Annotated[
        list[str] | None, typer.Option("--with", help="Requirement of the fresh interpreter; may be repeated.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, max=64, help="Sandboxes at a time.")] = 2,
    seconds: Annotated[
        float, typer.Option(min=1, help="Time limit for all tests of the unchanged repository.")
    ] = 300.0,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Run without a sandbox, on a copy.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Put bugs into a repository on purpose, as tasks whose solution is known.

    Only those that break a test which passed before; the repository itself is not written to. Stopped or killed, the
    same command continues where it was.
    """
    from lbi.cli.mutate import MutationOptions, mutate

    options = MutationOptions(
        repository, out, count, limit, seed, only or [], tests or [], python, with_ or [], workers, seconds, unsafe
    )
    return mutate(options, json, quiet)
