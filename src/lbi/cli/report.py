"""report: a run folder -> report.html anew, and its result or all its tables."""

from __future__ import annotations

import json
import sys
import webbrowser
from pathlib import Path

from lbi.cli import open_console
from lbi.cli.salvage import opened as salvaged
from lbi.cli.tables import print_result, print_tables, summary
from lbi.monitoring.terminal import say
from lbi.report import write_report
from lbi.storage.run_folder import RunFolder


def report(run: Path, tables: bool, show: bool, as_json: bool, salvaging: bool = False) -> int:
    """Reads only, so it also works while the run goes on. ``salvaging``: of what can be read in a damaged run."""
    opened, left_out = salvaged(run) if salvaging else (RunFolder(run, writing=False), [])
    with opened as folder:
        file = write_report(folder)
        result = summary(folder)
    if salvaging:
        say(f"What can be read of {run} is in {opened.path}; left out:", file=sys.stderr)
        say("\n".join(f"  {line}" for line in left_out or ["nothing"]), file=sys.stderr)
        result = {**result, "left_out": left_out}
    if as_json:
        say(json.dumps(result, indent=2, ensure_ascii=False))
    elif tables:
        console = open_console()
        print_tables(console, result)
        console.print(f"Report: {file}", soft_wrap=True, markup=False, highlight=False)
    else:
        print_result(open_console(), result)
    if show:
        webbrowser.open(file.resolve().as_uri())
    return 0
