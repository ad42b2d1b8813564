"""run, synthesize, evaluate: a config -> a run folder with its report, and the result in the terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

from lbi.cli import FOLDER, open_console
from lbi.cli.options import DEFAULT, RunOptions, configured
from lbi.cli.preflight import check_config
from lbi.cli.tables import print_result, summary
from lbi.config import Config
from lbi.context import RunOutcome
from lbi.errors import UserError
from lbi.monitoring import terminal
from lbi.monitoring.logs import MaskingFormatter
from lbi.monitoring.progress import STYLES, Progress, ProgressStyle
from lbi.monitoring.telemetry import open_telemetry
from lbi.monitoring.terminal import say
from lbi.pipeline import Only
from lbi.pipeline import run as run_pipeline
from lbi.storage.database import address
from lbi.storage.images import ELSEWHERE
from lbi.storage.run_folder import RunFolder

__all__ = ["OutputOptions", "RunOptions", "run"]


@dataclass(frozen=True)
class OutputOptions:
    """What a command shows and where; and whether it only plans, or works beside another process."""

    dry_run: bool = False
    as_json: bool = False
    quiet: bool = False
    progress: str = "auto"
    join: bool = False
    otel: bool = False

    def style(self) -> ProgressStyle:
        """How progress is shown. Raises UserError for a style that there is not."""
        if self.progress not in STYLES:
            raise UserError(f"there is no progress {self.progress!r}; choose one of {', '.join(STYLES)}")
        if self.quiet:
            return "none"
        if self.progress == "auto" and self.as_json and not sys.stderr.isatty():
            return "json"
        return next(style for style in STYLES if style == self.progress)


def run(options: RunOptions, only: Only, output: OutputOptions) -> int:
    """Everything that the three commands share. The answer goes to stdout, progress to stderr."""
    output.style()  # a mistake in it is told before anything is done
    if only == "evaluation" and not options.continues:
        raise UserError(f"{options.source} is no run folder; `lbi evaluate` measures with the examples of a run")
    config, out = configured(options)
    if output.dry_run:
        from lbi.cli.plan import show_plan

        return show_plan(config, out, only, output.as_json)
    if only == "evaluation" and options.source is not None and out.resolve() != options.source.resolve():
        asyncio.run(check_config(config))
        _copy_examples(options.source, out)
    outcome = carry_out(config, out, only, output)
    with RunFolder(out, writing=False) as folder:
        result = summary(folder, outcome)
    if output.as_json:
        say(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        print_result(open_console(), result, str(options.source or DEFAULT))
    return 0


def carry_out(config: Config, out: Path, only: Only, output: OutputOptions) -> RunOutcome:
    """Check the config, and run what it says in the run folder ``out``, with progress on stderr."""
    style = output.style()
    asyncio.run(check_config(config))
    FOLDER.set(out)
    console = terminal.open_console(stderr=True)
    if style not in ("none", "json"):
        console.print(f"Run folder {out}; the same command continues it at any time.", soft_wrap=True, highlight=False)
    _keep_log(out)
    telemetry = open_telemetry(output.otel)
    try:
        progress = Progress(console, style=style)
        return asyncio.run(run_pipeline(config, out, progress, only=only, join=output.join, telemetry=telemetry))
    finally:
        telemetry.close()


def _keep_log(out: Path) -> None:
    """What libraries have to say, such as of a browser that an interrupt took along, goes to a file."""
    with contextlib.suppress(OSError):  # the run folder's own complaint says more
        out.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(out / "run.log", delay=True)
        file.setFormatter(MaskingFormatter("%(asctime)s %(name)s: %(message)s"))
        logging.basicConfig(handlers=[file], level=logging.WARNING)


def _copy_examples(source: Path, out: Path) -> None:
    """Start another run with what a run has learnt, without its results."""
    if (out / "run.db").exists():
        return  # it was started before, and goes on
    out.mkdir(parents=True, exist_ok=True)
    part = out / "run.db.part"
    with RunFolder(source, writing=False):
        _back_up(source / "run.db", part)
    if (source / "blobs").is_dir():
        shutil.copytree(source / "blobs", out / "blobs", dirs_exist_ok=True)
    if (source / ELSEWHERE).is_file():
        shutil.copyfile(source / ELSEWHERE, out / ELSEWHERE)
    part.replace(out / "run.db")


def _back_up(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    reading, writing = sqlite3.connect(address(source), uri=True), sqlite3.connect(target)
    try:
        reading.backup(writing)
        writing.execute("DELETE FROM record WHERE kind IN ('result', 'episode', 'heldout')")
        writing.execute("DELETE FROM failure WHERE kind = 'result'")
        writing.execute("DELETE FROM meter WHERE stage LIKE 'evaluate%'")
        writing.commit()
    finally:
        reading.close()
        writing.close()
