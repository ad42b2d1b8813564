"""Commands that learn and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbi.cli.base import command
from lbi.cli.parameters import (
    BaseUrl,
    Budget,
    Checkout,
    Config,
    DryRun,
    Join,
    Json,
    Model,
    Otel,
    Out,
    Progress,
    Quiet,
    Repo,
    Seeds,
    Set,
    Unsafe,
    Workers,
)


@command
def init(
    url: Annotated[str, typer.Option(help="Where the application runs, such as http://localhost:3000.")],
    docs: Annotated[list[str], typer.Option(help="Its documentation: file, folder or URL; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Config file to write.")] = Path("lbi.toml"),
    tasks: Annotated[
        Path | None, typer.Option(help="Template for held-out tasks to write.", show_default="tasks.toml beside it")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace files that are there.")] = False,
) -> int:
    """Write a config for an application of your own.

    Checks first that the site answers, that the documents can be read, and that the browser works.
    """
    from lbi.cli.init import init

    return init(url, docs, out, tasks, force)


@command
def run(
    config: Config = None,
    out: Out = None,
    model: Model = "",
    base_url: BaseUrl = "",
    budget: Budget = "",
    seeds: Seeds = "",
    workers: Workers = None,
    set_: Set = None,
    repo: Repo = None,
    checkout: Checkout = None,
    unsafe: Unsafe = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    progress: Progress = "auto",
    join: Join = False,
    otel: Otel = False,
) -> int:
    """Learn from documents and measure on held-out tasks.

    Stopped or killed, the same command continues where it was. With more roll-outs or held-out tasks than before it
    extends the run.
    """
    from lbi.cli.run import OutputOptions, RunOptions, run

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [], repo, unsafe, checkout)
    return run(options, "", OutputOptions(dry_run, json, quiet, progress, join, otel))


@command
def synthesize(
    config: Config = None,
    out: Out = None,
    model: Model = "",
    base_url: BaseUrl = "",
    budget: Budget = "",
    seeds: Seeds = "",
    workers: Workers = None,
    set_: Set = None,
    repo: Repo = None,
    checkout: Checkout = None,
    unsafe: Unsafe = False,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    progress: Progress = "auto",
    join: Join = False,
    otel: Otel = False,
) -> int:
    """Learn only, and stop when the examples are made."""
    from lbi.cli.run import OutputOptions, RunOptions, run

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [], repo, unsafe, checkout)
    return run(options, "synthesis", OutputOptions(dry_run, json, quiet, progress, join, otel))


@command
def evaluate(
    config: Annotated[Path, typer.Argument(help="Folder of a run with examples.", metavar="RUN")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Evaluate the same examples again in this folder.")
    ] = None,
    model: Model = "",
    base_url: BaseUrl = "",
    budget: Budget = "",
    seeds: Seeds = "",
    workers: Workers = None,
    set_: Set = None,
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
    progress: Progress = "auto",
    join: Join = False,
    otel: Otel = False,
) -> int:
    """Measure only, with the examples of a run.

    With --out, the examples are copied there first, and other tasks, arms or models may be chosen.
    """
    from lbi.cli.run import OutputOptions, RunOptions, run

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [])
    return run(options, "evaluation", OutputOptions(dry_run, json, quiet, progress, join, otel))
