"""report: a run folder -> report.html anew, and its tables."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

from lbi.cli import open_console
from lbi.cli.tables import print_summary, summary
from lbi.report import write_report
from lbi.storage.run_folder import RunFolder


def report(run: Path, show: bool, as_json: bool) -> int:
    """Reads only, so it also works while the run goes on."""
    with RunFolder(run, writing=False) as folder:
        file = write_report(folder)
        found = summary(folder)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        console = open_console()
        print_summary(console, found)
        console.print(f"Report: {file}", soft_wrap=True, highlight=False)
    if show:
        webbrowser.open(file.resolve().as_uri())
    return 0
