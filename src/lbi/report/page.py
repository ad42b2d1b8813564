"""A run folder -> report.html: one file that needs no network, and runs nothing that a page, a task or a model said."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from markupsafe import Markup

from lbi import __version__
from lbi.protocols import Role
from lbi.records import INFRASTRUCTURE, TIERS, Result
from lbi.report import charts, counts, evaluation, words
from lbi.report.committee import beside_people, beside_replay_and_checks
from lbi.report.gather import NO_LANGUAGE_MODEL, Gathered, gather
from lbi.report.halves import halves
from lbi.report.pages import Pages, Writer
from lbi.report.skills import skill_rows
from lbi.report.training import trainings
from lbi.report.words import count, duration, money
from lbi.storage.files import write_atomically
from lbi.storage.judgements import Judgements, accepted_by_people
from lbi.storage.run_folder import RunFolder

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "templates"
SECTIONS = (
    ("summary", "Summary"),
    ("arms", "Success"),
    ("comparisons", "Differences"),
    ("categories", "By category"),
    ("growth", "Growth"),
    ("funnel", "Funnel"),
    ("filters", "Filters"),
    ("committee", "Committee"),
    ("spent", "What it took"),
    ("contamination", "Contamination"),
    ("skills", "Skills"),
    ("training", "Training"),
    ("failures", "Failures"),
    ("tasks", "Held-out tasks"),
    ("trajectories", "Trajectories"),
    ("config", "Configuration"),
)
MAX_ROWS = 200  # of tables that may grow without end
METERS = {
    "done": "done",
    "calls": "calls",
    "hits": "from cache",
    "failures": "failed calls",
    "seconds": "time of calls",
    "input_tokens": "tokens in",
    "cached_tokens": "of them cached",
    "written_tokens": "of them written to a cache",
    "output_tokens": "tokens out",
    "cost": "money",
    "unpriced": "calls without price",
}
MARKS = {"solved": "✓", "part": "◐", "missed": "✗", "error": "!", "ran": "·"}
SECRET = re.compile(r"(api_?key|password|passwd|secret|authorization|credential)", re.IGNORECASE)


def write_report(run: RunFolder) -> Path:
    """Write report.html into the run folder and return its path; works at any point of a run."""
    gathered = gather(run)
    pages = Writer(run, gathered).write()
    file = run.path / "report.html"
    people = accepted_by_people(Judgements(run.path).all())
    template, shown = environment().get_template("report.html"), _context(gathered, pages)
    html = template.render(
        **shown,
        training=trainings(run.path),
        skills=skill_rows(run),
        beside=[*beside_replay_and_checks(gathered), *beside_people(gathered, people)],
    )
    write_atomically(file, html.encode("utf-8", "replace"))
    return file


def environment(*folders: Path) -> Environment:
    """What templates are rendered by: all text is escaped. ``folders`` of templates are looked in first."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader([*folders, FOLDER]), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    made.filters.update(
        count=words.count,
        money=words.money,
        percent=words.percent,
        decimal=words.decimal,
        signed=words.signed,
        chance=words.chance,
        interval_of_rate=evaluation.interval_of_rate,
        interval_of_difference=evaluation.interval_of_difference,
        words=words.in_words,
        cut=words.cut,
        mark=lambda text: MARKS.get(text, "–"),
        pretty=lambda value: json.dumps(value, indent=2, ensure_ascii=False, default=str),
    )
    return made


def _context(run: Gathered, pages: Pages) -> dict[str, Any]:
    script = (FOLDER / "script.js").read_text()
    style = (FOLDER / "style.css").read_text()
    arms = evaluation.arms(run)
    compared = evaluation.comparisons(run) if run.measured else []
    return {
        "policy": _policy(script, style),
        "script": Markup(script),
        "style": Markup(style),
        "version": __version__,
        "title": title(run),
        "sections": SECTIONS,
        "headline": evaluation.headline(run, arms, compared) if arms else unfinished(run),
        "facts": facts(run),
        "notes": [*run.notes, *_incomplete(run)],
        "tiles": tiles(run),
        "arms": arms,
        "measured": run.measured,
        "not_measured": evaluation.NOT_MEASURED,
        "chart_of_arms": evaluation.chart_of_arms(arms) if arms and run.measured else "",
        "comparisons": compared,
        "chart_of_comparisons": evaluation.chart_of_comparisons(compared) if compared else "",
        "groups": evaluation.groups(run) if run.measured else [],
        "halves": halves(run) if run.measured else [],
        "growth": _growth(run) if run.measured else "",
        "cost_charts": evaluation.charts_of_cost(arms) if arms and run.measured else [],
        "funnel": charts.funnel("chart-funnel", "From documents to examples", counts.funnel(run))
        if run.documents or run.tasks or run.entries
        else "",
        "tiers": TIERS,
        "examples": {
            "written": len(run.examples),
            "kinds": counts.kinds_by_tier(run.examples),
            "dropped": counts.dropped(run.examples),
            "members": counts.members(run.examples),
            "agreement": counts.agreement(run.examples, run.replays),
            "replays": len(run.replays),
        },
        "times": [*_times(run.meters), *_busy(run.meters)],
        "stages": _stages(run.meters),
        "models": [(role, _model(run, model), calls) for role, model, calls in run.models],
        "contamination": _contamination(run),
        "failures": _failures(run, pages.anchors),
        "matrix": evaluation.matrix(run, pages.anchors),
        "pages": pages,
        "sources": list(dict.fromkeys(entry.source for entry in pages.entries)),
        "ends": sorted({entry.outcome or entry.stop for entry in pages.entries}),
        "config": _without_secrets(run.config),
    }


def _policy(script: str, style: str) -> str:
    """Only this script and this style sheet, by their hashes, and images that are in the file."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def title(run: Gathered) -> str:
    name = str(run.config.get("name") or run.name)
    about = _application(run)
    return name if about in ("", name) else f"{name}: {about}"


def _application(run: Gathered) -> str:
    stated = str(run.config.get("application") or run.config.get("url") or run.config.get("environment") or "")
    return stated.rsplit("/", 1)[-1].removesuffix(".toml") if stated.endswith(".toml") else stated


def _model(run: Gathered, name: str) -> str:
    return name if run.is_language_model(name) else f"{name} ({NO_LANGUAGE_MODEL})"


def _models(run: Gathered) -> str:
    stated = run.config.get("models")
    if not isinstance(stated, dict):
        return "; ".join(f"{role}: {_model(run, model)}" for role, model, _ in run.models) or "not stated"
    default = str(stated.get("default") or "")
    roles = {role: stated.get(role) for role in ("propose", "act", "label", "query")}
    special = [f"{role}: {_model(run, str(name))}" for role, name in roles.items() if name and name != default]
    judges = stated.get("judges") or ()
    if judges:
        special.append("judges: " + ", ".join(_model(run, str(judge)) for judge in judges))
    return "; ".join([_model(run, default) if default else "not stated", *special])


def _benchmarks(stated: str | list[str]) -> str:
    names = [stated] if isinstance(stated, str) else stated
    return ", ".join(name.rsplit("/", 1)[-1].removesuffix(".toml") for name in names)


def facts(run: Gathered) -> list[tuple[str, str]]:
    facts = [("Application", _application(run) or "not stated"), ("Model", _models(run))]
    if run.config.get("benchmark"):
        facts.append(("Held-out tasks", _benchmarks(run.config["benchmark"])))
    seeds = sorted({result.seed for result in run.results}) or run.config.get("seeds") or []
    if seeds:
        facts.append(("Seeds", ", ".join(str(seed) for seed in seeds)))
    if run.span:
        first, last = (time.strftime("%Y-%m-%d %H:%M", time.gmtime(moment)) for moment in run.span)
        facts.append(("Ran", f"{first} to {last} UTC, {duration(run.span[1] - run.span[0])} from first to last record"))
    facts.append(("Run folder", run.name))
    return facts


def tiles(run: Gathered) -> list[tuple[str, str]]:
    kept = sum(example.kept for example in run.examples)
    rollouts = sum(entry.kind == "trajectory" for entry in run.entries)
    spent = sum(meter.get("cost", 0.0) for meter in run.meters.values())
    unpriced = sum(meter.get("unpriced", 0.0) for meter in run.meters.values())
    calls = sum(meter.get("calls", 0.0) for meter in run.meters.values())
    tiles = [
        ("Sections of documents", count(len(run.documents))),
        ("Roll-outs", count(rollouts)),
        ("Examples kept", count(kept)),
        ("Episodes", count(len(run.results))),
        ("Model calls", count(calls)),
    ]
    return (
        [*tiles, ("Spent", _cost(spent, unpriced))] if any("cost" in meter for meter in run.meters.values()) else tiles
    )


def unfinished(run: Gathered) -> str:
    kept = sum(example.kept for example in run.examples)
    if not run.entries:
        return "This run has not attempted any task yet."
    return f"This run has no evaluation yet. Its synthesis has kept {kept:,} of {len(run.examples):,} examples."


def _incomplete(run: Gathered) -> list[str]:
    """What a run that was stopped leaves unmeasured."""
    measured = evaluation.complete_tasks(run)
    if not run.results or measured >= len(run.heldout):
        return []
    return [f"Not all is measured: {measured} of {len(run.heldout)} held-out tasks have results of every arm and seed."]


def _growth(run: Gathered) -> Markup | str:
    data = [charts.Point(row.examples, row.rate, row.low, row.high) for row in run.summary.growth]
    data.sort(key=lambda point: point.x)
    return charts.line("chart-growth", "Success with the number of examples", "examples", data) if data else ""


def _times(meters: dict[str, dict[str, float]]) -> list[tuple[str, str]]:
    """Stages of which nothing but their time on the clock is known: (stage, duration)."""
    plain = {stage: meter["seconds"] for stage, meter in meters.items() if set(meter) == {"seconds"}}
    return [(stage, duration(plain[stage])) for stage in sorted(plain, key=_place)]


def _busy(meters: dict[str, dict[str, float]]) -> list[tuple[str, str]]:
    """How much of the time the environments and the models were at work."""
    return [(f"{name} at work", share) for name, share in counts.busy(meters).items()]


def _stages(meters: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Everything else that was metered, a row per stage and role."""
    metered = {stage: meter for stage, meter in meters.items() if "calls" in meter or "hits" in meter}
    present = {name for meter in metered.values() for name, value in meter.items() if value or name == "cost"}
    names = [name for name in METERS if name in present] + sorted(present - set(METERS))
    sums = {name: sum(meter.get(name, 0.0) for meter in metered.values()) for name in present}
    rows = [(*_stage(key), [_amount(name, metered[key]) for name in names]) for key in sorted(metered, key=_place)]
    return {
        "names": [METERS.get(name, name) for name in names],
        "rows": rows,
        "sums": [_amount(n, sums) for n in names],
    }


def _stage(key: str) -> tuple[str, str]:
    """Stage and role of a meter's name: "evaluate: rag/act" -> ("evaluate: rag", "act")."""
    stage, _, role = key.rpartition("/")
    return (stage, role) if stage and role in get_args(Role) else (key, "")


def _place(stage: str) -> tuple[int, str]:
    order = ("set up", "doc", "propos", "attempt", "roll", "label", "construct", "filter", "replay", "compos", "eval")
    return next((index for index, word in enumerate(order) if stage.startswith(word)), len(order)), stage


def _amount(name: str, meter: dict[str, float]) -> str:
    value = meter.get(name)
    if value is None:
        return ""
    if name == "cost":
        return _cost(value, meter.get("unpriced", 0.0))
    return duration(value) if name == "seconds" else count(value)


def _cost(value: float, unpriced: float) -> str:
    """Calls of models without a known price are not free."""
    if not unpriced:
        return money(value)
    return f"≥ {money(value)}" if value else "price unknown"


def _contamination(run: Gathered) -> dict[str, Any]:
    rows = sorted(run.summary.contamination, key=lambda row: (not row.flag, -row.similarity, row.task))
    flagged = sum(bool(row.flag) for row in rows)
    about = f"Too close: {flagged} of {len(rows)}."
    if len(rows) > MAX_ROWS:
        about += f" The nearest {MAX_ROWS} are shown."
    return {"rows": rows[:MAX_ROWS], "about": about}


def _failures(run: Gathered, anchors: frozenset[str]) -> dict[str, Any]:
    rows = [{**row, "anchor": ""} for row in run.failures]
    rows += [_fault(run, result, anchors) for result in run.results if result.fault in INFRASTRUCTURE]
    apart = [row for row in rows if row["boundary"] in ("environment", "harness", "score", "EnvironmentFailure")]
    other = [row for row in rows if row not in apart]
    left_out = max(len(apart) - MAX_ROWS, 0) + max(len(other) - MAX_ROWS, 0)
    return {
        "infrastructure": apart[:MAX_ROWS],
        "other": other[:MAX_ROWS],
        "left_out": left_out,
        "outages": ", ".join(f"{number:,} {kind}" for kind, number in counts.outages(run.meters).items()),
    }


def _fault(run: Gathered, result: Result, anchors: frozenset[str]) -> dict[str, Any]:
    entry = run.episodes.get((result.arm, result.seed, result.task))
    return {
        "boundary": result.fault,
        "kind": "result",
        "key": f"{result.arm}/{result.seed}/{result.task}",
        "message": result.reason,
        "attempts": 0,
        "anchor": entry.anchor if entry and entry.anchor in anchors else "",
    }


def _without_secrets(value: Any) -> Any:
    """Keys are never in a config; should one be, it is not shown."""
    if isinstance(value, dict):
        return {key: "…" if SECRET.search(str(key)) and item else _without_secrets(item) for key, item in value.items()}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value
