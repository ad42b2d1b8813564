"""import: traces of other agents -> a run folder with examples, and what was read, left out and masked of them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from lbi.cli import FOLDER, open_console
from lbi.cli.options import RunOptions, configured
from lbi.cli.preflight import check_config
from lbi.config import Config
from lbi.errors import UserError
from lbi.interop.importing import ALSO, Imported, ImportOptions, import_traces, open_traces
from lbi.interop.masking import Masker
from lbi.interop.source import text
from lbi.monitoring import terminal
from lbi.monitoring.progress import Progress
from lbi.monitoring.terminal import say
from lbi.report.words import count, plural
from lbi.synthesis.backward import PER_END

MOST_TOLD = 12  # lines of one list


@dataclass(frozen=True)
class ImportOutput:
    """What is shown, and whether anything is done."""

    dry_run: bool = False
    as_json: bool = False
    quiet: bool = False


def import_(files: list[Path], options: RunOptions, format: str, also: str, output: ImportOutput) -> int:
    """Exit code 0; 1 if some of the files could not be read. Raises UserError where none could, before any work."""
    if not files:
        raise UserError("which traces? Name files or folders, such as ~/.claude/projects or runs/*.jsonl")
    taken = ImportOptions(format, _also(also))
    if not output.dry_run and options.out is None:
        raise UserError("--out RUN says where to: the folder of a new run, or of one that was made by importing")
    config, out = configured(options)
    console = terminal.open_console(stderr=True)
    looking = Progress(console if console.is_terminal and not output.quiet else None)
    imported = open_traces(files, taken, looking)
    if output.dry_run:
        imported.read_all(looking)  # once more, with everything that was found to be secret
        _tell(imported, output, None)
        if not output.as_json:
            say(_plan(imported, config))
        return int(bool(imported.refused))
    if not imported.counts.trajectories:
        _tell(imported, output, None)
        raise UserError("there is nothing to learn from in these files; what they hold instead is told above")
    asyncio.run(check_config(config))
    FOLDER.set(out)
    asyncio.run(import_traces(imported, config, out, Progress(None if output.quiet else console)))
    _tell(imported, output, out)
    return int(bool(imported.refused))


def _plan(imported: Imported, config: Config) -> str:
    """What would be asked of the models, at most."""
    labels = len(config.synthesis.kinds) * sum(
        number * most_labels(length, config) for length, number in imported.counts.lengths.items()
    )
    judges = config.models.judges or (config.models.default,)
    asked = f" and as many judgements by {', '.join(judges)}" if "committee" in config.synthesis.filters else ""
    return f"At most {plural(labels, 'label')} by {config.models.of('abstract')}{asked}"


def most_labels(steps: int, config: Config) -> int:
    """Spans of a trajectory that are labelled in one way, at most."""
    every = steps * (steps + 1) // 2
    if config.labelling.spans == "all":
        return every
    return min(every, config.synthesis.spans_per_trajectory, PER_END * steps)


def _also(names: str) -> frozenset[str]:
    also = frozenset(filter(None, (name.strip() for name in names.split(","))))
    if unknown := also - set(ALSO):
        raise UserError(f"--also takes {' and '.join(ALSO)}, by comma; not {', '.join(sorted(unknown))}")
    return also


def mask_test(given: str, as_json: bool) -> int:
    """Print a text, or what is in a file, as an import would keep it, and what was masked in it."""
    path = Path(given)
    try:
        whole = path.read_text(encoding="utf-8", errors="replace") if len(given) < 4096 and path.is_file() else given
    except OSError as error:
        raise UserError(f"cannot read {given}: {error.strerror or error}") from None
    masker = Masker()
    masker.begin("text")
    masker.text(text(whole))
    masker.found.clear()
    masked = masker.text(text(whole))  # once more, with what was learnt at its end
    if as_json:
        say(json.dumps({"masked": masker.totals(), "text": masked}, indent=2, ensure_ascii=False))
        return 0
    say(masked)
    say()
    for kind, times in masker.totals().items() or {"nothing": 0}.items():
        say(f"{times:5}  {kind}" if times else "nothing was masked")
    return 0


def as_data(imported: Imported, out: Path | None) -> dict[str, Any]:
    """What a program wants to know of it."""
    counts = imported.counts
    return {
        "run": str(out) if out else None,
        "files": imported.readable,
        "formats": imported.formats(),
        "refused": imported.refused,
        "passed_over": imported.passed_over,
        "instructions": counts.instructions,
        "trajectories": counts.trajectories,
        "steps": counts.steps,
        "carried_out_again": imported.again,
        "examples": imported.examples,
        "kept": imported.kept,
        "not_understood": dict(counts.unknown.most_common()),
        "left_out": dict(counts.left_out.most_common()),
        "outages": dict(counts.outages.most_common()),
        "masked": imported.masker.totals(),
        "masked_in": {
            file: {kind: {"count": each.count, "lines": each.lines} for kind, each in kinds.items()}
            for file, kinds in imported.masker.found.items()
            if kinds
        },
    }


def _tell(imported: Imported, output: ImportOutput, out: Path | None) -> None:
    if output.as_json:
        say(json.dumps(as_data(imported, out), indent=2, ensure_ascii=False))
        return
    console, counts = open_console(), imported.counts
    kinds = ", ".join(f"{name} {number}" for name, number in imported.formats().items())
    others = f"; {plural(imported.passed_over, 'other file')} of folders hold no traces" if imported.passed_over else ""
    _line(console, f"Read {plural(imported.readable, 'file')} ({kinds}){others}")
    made = f"{count(counts.trajectories)} {'trajectory' if counts.trajectories == 1 else 'trajectories'}"
    _line(console, f"{plural(counts.instructions, 'instruction')}, {made} with {plural(counts.steps, 'step')}")
    if out is not None:
        again = f", {count(imported.again)} carried out again here" if imported.again else ", none replayed"
        _line(console, f"{plural(imported.examples, 'example')}, {count(imported.kept)} kept{again}")
    _list(console, "Not understood, and kept as it is", dict(counts.unknown.most_common()))
    _list(console, "Left out", dict(counts.left_out.most_common()))
    _list(console, "Infrastructure or a person prevented it, so nothing is learnt of it", dict(counts.outages))
    _list(console, "Would be masked" if out is None else "Masked", imported.masker.totals())
    if out is None:
        _where(console, imported)
    for file, why in imported.refused.items():
        _line(console, f"Not read: {file}: {why}")
    if out is not None and imported.kept:
        _line(console, f'Look: lbi retrieve {out} "what you want to do"')


def _line(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def _list(console: Console, title: str, amounts: dict[str, int]) -> None:
    if not amounts:
        return
    _line(console, f"{title}:")
    for what, times in list(amounts.items())[:MOST_TOLD]:
        _line(console, f"  {times:>6}  {what}")
    if len(amounts) > MOST_TOLD:
        _line(console, f"          and {len(amounts) - MOST_TOLD} more kinds; --json tells all")


def _where(console: Console, imported: Imported) -> None:
    """Of each file what would be masked in it, and the first lines; never what it is."""
    for file, kinds in list(imported.masker.found.items())[:MOST_TOLD]:
        for kind, each in kinds.items():
            lines = f", line{'s' * (len(each.lines) > 1)} {', '.join(map(str, each.lines))}" if each.lines else ""
            _line(console, f"  {file}: {each.count} of {kind}{lines}")
