"""export: the examples of a run -> a training set (lbi.training.export.dataset), and what made them, in export.json."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from lbi.benchmarks.swebench.predictions import Prediction, write_predictions
from lbi.cli import open_console
from lbi.cli.export_results import export_results
from lbi.cli.options import numbers
from lbi.config import resolve
from lbi.environments import actions_of
from lbi.errors import UserError
from lbi.evaluation.contamination import nearest
from lbi.models.used import without_language_model
from lbi.monitoring.terminal import say
from lbi.prompts import prompt_hash
from lbi.protocols import PromptLimits, Role
from lbi.records import TIERS, Document, Example, Kind, Result, Task, Tier, Trajectory, UsedModel
from lbi.report.words import plural
from lbi.storage.knowledge import KnowledgeLog
from lbi.storage.leases import is_alive
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import WALKS
from lbi.training.export.choose import Selection
from lbi.training.export.dataset import MAX_CHARS, NOT_ASKED_FOR, RETIRED, ExportReport, remove_earlier, write_export
from lbi.training.export.exporters import open_exporter
from lbi.training.export.lengths import sentences
from lbi.training.export.splits import TOLD
from lbi.training.export.turns import Replies, TrainingExample

#: the prompts that stand behind an example
PROMPTS: tuple[Role, ...] = ("propose", "act", "abstract", "summarise", "judge")
PACKS = ("harbor", "verifiers")  # formats of tasks for other harnesses
OFFLINE = "the offline model, which is no language model"


@dataclass(frozen=True)
class ExampleChoice:
    """Which examples of a run, as the command line says it; empty seeds = all."""

    tier: str = "unverified"
    kinds: str = "abstract,summary,composed"
    seeds: str = ""


@dataclass(frozen=True)
class ExportOptions:
    """How an export is written, as the command line says it."""

    fmt: str
    out: Path | None = None
    rows: str = ""
    validation: float = 0.1
    tokenizer: str = ""
    max_chars: int = MAX_CHARS
    replies: str = "text"
    ends: bool = False
    allow_offline: bool = False
    dry_run: bool = False
    tokenizer_name: str = ""  # as it is told, where that is another name than the one it is opened by


def export(run: Path, options: ExportOptions, choice: ExampleChoice, selection: Selection, as_json: bool) -> int:
    """Write train.*, validation.*, configs and export.json; of predictions, a file per arm and seed.

    A dry run writes them beside the target, and keeps none.
    """
    folder = options.out or run / f"export-{options.fmt}"
    if options.fmt == "predictions":
        seeds = set(numbers(choice.seeds)) if choice.seeds else None
        return _predictions(run, folder, seeds, as_json)
    if options.fmt in PACKS:
        return _pack(run, folder, options.fmt, options.dry_run, as_json)
    if options.fmt == "results":
        return export_results(run, folder, set(numbers(choice.seeds)) if choice.seeds else None, as_json)
    report = write_training_set(run, folder, options, choice, selection)
    if as_json:
        say(json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        print_report(report, folder, options.dry_run)
    return 0


def write_training_set(
    run: Path, folder: Path, options: ExportOptions, choice: ExampleChoice, selection: Selection
) -> ExportReport:
    """Export the examples of a run into a folder, all of it or nothing."""
    with RunFolder(run, writing=False) as opened:
        open_exporter(options.fmt)  # an unknown format is told before anything is read
        seeds = set(numbers(choice.seeds)) if choice.seeds else None
        lessons = _lessons(opened, _tier(choice.tier), _kinds(choice.kinds), seeds)
        origin = _origin(opened, lessons)
        if origin["offline"] and not options.allow_offline:
            raise UserError(f"{run} was made by {OFFLINE}; add --allow-offline to export what it made all the same")
        with all_or_nothing(folder, dry_run=options.dry_run) as part:
            return write_export(
                lessons,
                options.fmt,
                part,
                actions=_actions(opened),
                split=options.validation,
                tokenizer=options.tokenizer,
                tokenizer_name=options.tokenizer_name,
                max_chars=options.max_chars,
                rows_are=options.rows,
                selection=selection,
                limits=_limits(opened, options.replies),
                ends=options.ends,
                made_by=origin,
            )


def print_report(report: ExportReport, folder: Path, dry_run: bool) -> None:
    """What a training set is made of, what trainers would cut of it, and where it lies."""
    print_composition(report, sentences(report.lengths, sum(report.rows.values())))
    names = ", ".join([*report.files, *report.configs, "export.json"])
    told = "Nothing is written (--dry-run); it would be" if dry_run else f"Written to {folder}:"
    open_console().print(f"{told} {names}", soft_wrap=True, highlight=False)


def print_composition(report: ExportReport, lengths: Sequence[str] = ()) -> None:
    """What a training set is made of; ``lengths``: what is to be told of those."""
    console, origin = open_console(), report.made_by
    for side, rows in report.rows.items():
        examples, documents = plural(report.examples[side], "example"), plural(report.lineages[side], "document")
        console.print(f"{side}: {plural(rows, 'row')} of {examples} from {documents}", highlight=False)
    if report.split and not report.rows["validation"]:
        known = any(TOLD in reason for reason in report.left_out)
        none = "Nothing is left on the validation side" if known else "No document falls to the validation side"
        console.print(f"{none}; --validation 0.3 holds more back.", highlight=False)
    about = "about " if report.lengths.estimated else ""
    console.print(f"Tokens: {about}{sum(report.tokens.values()):,}. {_composition(report)}", highlight=False)
    for reason, count in report.left_out.items():
        console.print(f"left out: {count} ({reason})", highlight=False)
    for line in lengths:
        console.print(line, highlight=False)
    judges = ", ".join(origin["judges"])
    console.print(f"Made by {origin['act']} (labels: {origin['label']}; judges: {judges}).", highlight=False)
    if origin["offline"]:
        console.print(f"That is {OFFLINE}: a model trained on it learns the habits of a program.", highlight=False)


def _composition(report: ExportReport) -> str:
    """Such as "Examples: 12 abstract, 3 summary; 9 short, 6 medium; 15 replayed."."""
    parts = [", ".join(f"{count} {name}" for name, count in counts.items()) for counts in _counted(report)]
    return f"Examples: {'; '.join(parts)}."


def _counted(report: ExportReport) -> tuple[dict[str, int], ...]:
    return report.kinds, report.spans, report.tiers


def _origin(run: RunFolder, lessons: Sequence[TrainingExample]) -> dict[str, Any]:
    """Which models attempted, labelled and judged, by which prompts, and how near this is to the held-out tasks."""
    config = resolve(run.config, str(run.path / "config.json"))
    used = dict(run.store.all("model", UsedModel))
    return {
        "act": config.models.of("act"),
        "label": config.models.of("label"),
        "judges": list(config.models.judges or (config.models.default,)),
        "offline": any(without_language_model(run.config, used, role) for role in ("act", "label")),
        "prompts": {role: prompt_hash(role) for role in PROMPTS},
        "contamination": _contamination(run, lessons),
    }


def _contamination(run: RunFolder, lessons: Sequence[TrainingExample]) -> dict[str, Any] | None:
    """How near the instructions come to the run's held-out tasks; None where it has none."""
    tasks = [task for _, task in run.store.all("heldout", Task)]
    kept = [(lesson.example.id, lesson.example.instruction) for lesson in lessons if lesson.example.kept]
    if not tasks or not kept:
        return None
    compared = nearest(tasks, kept)
    return {
        "tasks": len(tasks),
        "duplicates": sum(each.flag for each in compared),
        "nearest": round(max((each.similarity for each in compared if not each.flag), default=0.0), 4),
    }


@contextlib.contextmanager
def all_or_nothing(folder: Path, *, dry_run: bool = False) -> Iterator[Path]:
    """A folder beside the target to write into, which takes the target's place at the end; a failure leaves nothing."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"cannot write to {folder}: it is a file; choose another --out")
    _remove_left_over(folder)
    part = folder.parent / f".{folder.name}.{os.getpid()}.part"
    made = [parent for parent in folder.parents if not parent.exists()]
    with contextlib.ExitStack() as cut_short:
        cut_short.callback(_remove, part, made)
        try:
            part.mkdir(parents=True)
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from None
        yield part
        if not dry_run:
            try:
                _take_place(part, folder)
            except OSError as error:
                raise UserError(f"cannot write to {folder}: {error.strerror or error}; choose another --out") from error
            cut_short.pop_all()


def _remove_left_over(folder: Path) -> None:
    """What an export that was killed had begun, by the process that is in its name and no longer there."""
    for part in folder.parent.glob(f".{glob.escape(folder.name)}.*.part"):
        process = part.name.split(".")[-2]
        if process.isdecimal() and not is_alive(int(process)):
            shutil.rmtree(part, ignore_errors=True)


def _remove(part: Path, made: Sequence[Path]) -> None:
    """What an export that failed had begun; folders that were there before stay."""
    shutil.rmtree(part, ignore_errors=True)
    for parent in made:  # the nearest first
        with contextlib.suppress(OSError):
            parent.rmdir()


def _take_place(part: Path, folder: Path) -> None:
    """Files of an earlier export go, whatever its format was, and what else lies in the folder stays. export.json goes
    first and comes back last: files without it are half an export."""
    if folder.exists():
        remove_earlier(folder)
        for file in sorted(part.iterdir(), key=lambda file: file.name == "export.json"):
            file.replace(folder / file.name)
        part.rmdir()
    else:
        part.rename(folder)


def _predictions(run: Path, folder: Path, seeds: set[int] | None, as_json: bool) -> int:
    """What the agents of each arm handed in for the held-out tasks, in the official format."""
    with RunFolder(run, writing=False) as opened:
        results = [result for _, result in opened.store.all("result", Result)]
    files: dict[str, list[Prediction]] = {}
    for result in results:
        if not result.fault and (seeds is None or result.seed in seeds):
            name = re.sub(r"[^\w.-]+", "-", f"{result.arm}-{result.seed}")
            row = Prediction(instance_id=result.task, model_name_or_path=name, model_patch=result.submission)
            files.setdefault(f"{name}.jsonl", []).append(row)
    if not files:
        raise UserError(f"{run} has no results of held-out tasks to write; `lbi run` or `lbi evaluate` makes them")
    with all_or_nothing(folder) as part:
        for name, predictions in files.items():
            write_predictions(part / name, sorted(predictions, key=lambda each: each.instance_id))
    counts = {name: len(predictions) for name, predictions in sorted(files.items())}
    listing = ", ".join(f"{name} ({count})" for name, count in counts.items())
    say(json.dumps(counts, indent=2) if as_json else f"Written to {folder}: {listing}")
    return 0


def _pack(run: Path, folder: Path, fmt: str, dry_run: bool, as_json: bool) -> int:
    """Tasks that other harnesses run, with the checks of their state."""
    from lbi.interop.packs.harbor import write_harbor
    from lbi.interop.packs.tasks import packed_tasks
    from lbi.interop.packs.verifiers import write_verifiers

    packed = packed_tasks(run)
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; choose another --out, or remove it")
    folder_is_new = not folder.exists()
    with all_or_nothing(folder, dry_run=dry_run) as part:
        names = write_harbor(packed, part) if fmt == "harbor" else write_verifiers(packed, part)
        if not folder_is_new:
            folder.rmdir()
    origins = Counter(task.origin for task in packed.tasks)
    if as_json:
        say(json.dumps({"tasks": names, "origins": origins, "left_out": packed.left_out}, indent=2))
        return 0
    told = "Nothing is written (--dry-run)" if dry_run else f"Written to {folder}"
    say(f"{told}: {plural(len(names), 'task')} ({', '.join(f'{n} {origin}' for origin, n in origins.items())}).")
    for reason, count in packed.left_out.items():
        say(f"left out: {count} {reason}")
    return 0


def _lessons(run: RunFolder, least: Tier, kinds: set[str], seeds: set[int] | None) -> list[TrainingExample]:
    """All examples with their trajectories; those not asked for count as dropped ones."""
    store = run.store
    documents = {document.id: document for _, document in store.all("document", Document)}
    places = [(kind, key) for kind in WALKS for key in sorted(store.keys(kind))]
    trajectories = {t.id: t for kind, key in places if (t := store.get(kind, key, Trajectory))}
    examples: dict[str, Example] = {}
    away = KnowledgeLog(store).away()  # what was retired is not trained on
    for key, example in store.all("example", Example):
        of_seed = seeds is None or int(key.partition("/")[0]) in seeds
        wanted = of_seed and example.kind in kinds and TIERS.index(example.tier) >= TIERS.index(least)
        if not wanted or example.id in away:
            verdict = NOT_ASKED_FOR if not wanted else RETIRED
            example = example.model_copy(update={"verdicts": (*example.verdicts, verdict)})
        known = examples.get(example.id)  # seeds may come to the same example
        if known is None or not known.kept:
            examples[example.id] = example
    return [
        TrainingExample(example, trajectories[example.trajectory], documents.get(example.document))
        for example in examples.values()
        if example.trajectory in trajectories
    ]


def _actions(run: RunFolder) -> str:
    """The text on what actions there are, from the environment that the run was made in."""
    return actions_of(resolve(run.config, str(run.path / "config.json")))


def _limits(run: RunFolder, replies: str) -> PromptLimits:
    """Prompts as large as those of the run, so that a tuned model is asked as it was trained."""
    if replies not in get_args(Replies):
        raise UserError(f"there are no replies as {replies!r}; --replies takes {' or '.join(get_args(Replies))}")
    limits = resolve(run.config, str(run.path / "config.json")).limits
    return limits.model_copy(update={"images": (), "structured": ("act",) if replies == "json" else ()})


def _tier(name: str) -> Tier:
    for tier in TIERS:
        if tier == name:
            return tier
    raise UserError(f"there is no tier {name!r}; tiers are, from the least to the most proved: {', '.join(TIERS)}")


def _kinds(text: str) -> set[str]:
    known = get_args(Kind)
    named = [part.strip() for part in text.split(",")]
    for name in named:
        if name not in known:
            raise UserError(f"there is no kind of example {name!r}; kinds are: {', '.join(known)}")
    return set(named)
