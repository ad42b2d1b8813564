"""Commands that learn and measure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbi.cli.base import command
from lbi.cli.parameters import (
    AllowOffline,
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
    Ray,
    Repo,
    Seeds,
    Set,
    Size,
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
    ray: Ray = "",
    otel: Otel = False,
) -> int:
    """Learn from documents and measure on held-out tasks.

    Stopped or killed, the same command continues where it was. With more roll-outs, held-out tasks or arms than
    before it extends the run.
    """
    from lbi.cli.run import OutputOptions, RunOptions, run

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [], repo, unsafe, checkout, ray)
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
    ray: Ray = "",
    otel: Otel = False,
) -> int:
    """Learn only, and stop when the examples are made."""
    from lbi.cli.run import OutputOptions, RunOptions, run

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [], repo, unsafe, checkout, ray)
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
    ray: Ray = "",
    otel: Otel = False,
) -> int:
    """Measure only, with the examples of a run.

    With --out, the examples are copied there first, and other tasks, arms or models may be chosen.
    """
    from lbi.cli.run import OutputOptions, RunOptions, run

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [], ray=ray)
    return run(options, "evaluation", OutputOptions(dry_run, json, quiet, progress, join, otel))


@command
def import_(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Traces: files, or folders of them.", metavar="FILES", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder, new or made by importing.")] = None,
    format: Annotated[
        str, typer.Option("--format", "-f", help="Of all files; see `lbi list traces`.", show_default="by content")
    ] = "",
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Of an environment of your own, in which what it can do is done again."),
    ] = None,
    also: Annotated[
        str, typer.Option("--also", help="Learn from sessions that no user led, too: headless, sub-agent.")
    ] = "",
    model: Model = "",
    base_url: BaseUrl = "",
    budget: Budget = "",
    set_: Set = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be imported and masked, and write nothing.")
    ] = False,
    mask_test: Annotated[
        str, typer.Option("--mask-test", metavar="TEXT|FILE", help="Show a text as it would be kept.")
    ] = "",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Learn from what agents did elsewhere: from their traces.

    Sessions of Claude Code and Codex, ATIF, OpenAI messages, OpenHands, Inspect, BrowserGym, mini-swe-agent and
    OpenTelemetry. Secrets and personal data are masked before anything is written or sent to a model. Exits with 1 if
    some of the files could not be read, 2 if none could.
    """
    from lbi.cli.import_ import ImportOutput, import_
    from lbi.cli.import_ import mask_test as test_masking
    from lbi.cli.options import RunOptions

    if mask_test:
        return test_masking(mask_test, json)
    options = RunOptions(config or Path("import"), out, model, base_url, budget, settings=set_ or [])
    return import_(files or [], options, format, also, ImportOutput(dry_run, json, quiet))


@command
def reproduce(
    table: Annotated[str, typer.Argument(help="Which table; without one, they are listed.")] = "",
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
    ray: Ray = "",
    train: Annotated[
        str, typer.Option("--train", help="For tables that train: a model of `lbi models`, or a GGUF file.")
    ] = "",
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            help="How it is trained, such as batch=8,epochs=1,learning_rate=3e-4; options as of lbi train.",
            show_default="the paper's",
        ),
    ] = "",
    size: Size = 0,
    allow_offline: AllowOffline = False,
) -> int:
    """Measure what a table of the paper compares, and write it.

    Only arms that the run does not have yet are measured; several tables may share a run folder. The table lies in
    RUN/tables, with the paper's numbers beside ours.
    """
    from lbi.cli.reproduce import reproduce
    from lbi.cli.run import OutputOptions, RunOptions
    from lbi.cli.train_arms import Training

    options = RunOptions(config, out, model, base_url, budget, seeds, workers, set_ or [], repo, unsafe, checkout, ray)
    training = Training(train, recipe, size, allow_offline)
    return reproduce(table, options, OutputOptions(dry_run, json, quiet, progress), training)
