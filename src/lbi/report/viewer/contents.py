"""A run and what is asked of it -> what one page shows: a function for each page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from lbi.errors import UserError
from lbi.records import TIERS, Example, Observation
from lbi.report import charts, counts, evaluation, page
from lbi.report.gather import Entry
from lbi.report.pages import eyebrow_of, facts_of, label_of, scoring_of
from lbi.report.viewer import compare as comparing
from lbi.report.viewer import examples as searching
from lbi.report.viewer.live import holder, stages
from lbi.report.viewer.source import RunView
from lbi.report.viewer.steps import call_addresses, short, span_of, steps_of
from lbi.report.words import cut
from lbi.storage.calls import one, opened

PER_PAGE = 100
MOST_FAILURES = 50
MOST_OF_A_FACT = 300  # characters
MOST_OF_A_PLACE = 100
Shown = dict[str, Any]


class NotThere(LookupError):
    """What an address asks for is not in the run."""


def place(seen: Observation) -> str:
    """Where an observation was: "Title · /path". The page below says all of a long address."""
    return " · ".join(cut(part, MOST_OF_A_PLACE) for part in (seen.title, seen.url) if part)


def overview(view: RunView, request: Request) -> Shown:
    """The page of a run, and what is looked at again while it is open: all of it but the heading."""
    snapshot = view.read()
    run, arms = snapshot.gathered, snapshot.arms
    return {
        "stages": stages(view.run, run),
        "holder": holder(view.run.path),
        "tiles": page.tiles(run),
        "funnel": charts.funnel("chart-funnel", "From documents to examples", counts.funnel(run))
        if run.documents or run.tasks or run.entries
        else "",
        "title": page.title(run),
        "headline": snapshot.headline,
        "facts": [(name, cut(value, MOST_OF_A_FACT)) for name, value in page.facts(run)],
        "notes": run.notes,
        "arms": arms,
        "measured": run.measured,
        "chart_of_arms": evaluation.chart_of_arms(arms) if arms and run.measured else "",
        "failures": run.failures[:MOST_FAILURES],
        "left_out": max(len(run.failures) - MOST_FAILURES, 0),
        "beside": [*snapshot.beside, *view.beside_people()],
    }


def trajectories(view: RunView, request: Request) -> Shown:
    asked = {name: request.query_params.get(name, "") for name in ("words", "source", "end")}
    entries = view.read().gathered.entries
    found = [entry for entry in entries if _fits(entry, asked)]
    return {
        "asked": asked,
        "all": len(entries),
        "sources": list(dict.fromkeys(entry.source for entry in entries)),
        "ends": sorted({entry.outcome or entry.stop for entry in entries}),
        **_paged(found, request),
    }


def _fits(entry: Entry, asked: dict[str, str]) -> bool:
    text = f"{entry.instruction} {entry.key} {entry.result.task if entry.result else ''}".lower()
    return (
        all(word in text for word in asked["words"].lower().split())
        and asked["source"] in ("", entry.source)
        and asked["end"] in ("", entry.outcome or entry.stop)
    )


def _paged(found: Sequence[Any], request: Request) -> Shown:
    stated = request.query_params.get("page", "1")
    last = max((len(found) - 1) // PER_PAGE + 1, 1)
    number = min(max(int(stated), 1), last) if stated.isdecimal() and len(stated) < 10 else 1
    rows = found[(number - 1) * PER_PAGE : number * PER_PAGE]
    return {"rows": rows, "found": len(found), "page": number, "last_page": last}


def trajectory(view: RunView, request: Request) -> Shown:
    entry, walked = _walked(view, request.path_params["anchor"])
    run = view.read().gathered
    result = entry.result
    return {
        "entry": entry,
        "title": walked.task.instruction,
        "eyebrow": eyebrow_of(entry, walked),
        "facts": facts_of(entry, walked, run.documents.get(walked.task.document)),
        "scoring": scoring_of(walked),
        "proposed": call_addresses(view, walked.task.calls),
        "scored": call_addresses(view, result.calls) if result else [],
        "others": [each for each in view.read().of_task.get(result.task, []) if each is not entry] if result else [],
        "steps": steps_of(view, walked),
        "unnoted": _keeps_calls(view, "act") and any(step.usage.calls and not step.calls for step in walked.steps),
        "more": max(len(walked.steps) - len(steps_of(view, walked)), 0),
        "last": short(walked.last),
        "spans": [_span(view, example) for example in entry.examples],
    }


def _keeps_calls(view: RunView, *roles: str) -> bool:
    """Whether calls of one of these roles are stored; those of a model that costs nothing are not."""
    return any(role in roles for role, _, _ in view.read().gathered.models)


def _walked(view: RunView, anchor: str) -> tuple[Entry, Any]:
    entry = view.read().entries.get(anchor)
    walked = view.trajectory(entry) if entry else None
    if entry is None or walked is None:
        raise NotThere("no such trajectory is in this run; it may have been set aside")
    return entry, walked


def _span(view: RunView, example: Example) -> Shown:
    """An example as it stands in a list."""
    votes = [vote for verdict in example.verdicts for vote in verdict.votes]
    return {
        "example": example,
        "label": label_of(example),
        "address": view.to(f"example/{example.id}"),
        "verdicts": [verdict for verdict in example.verdicts if verdict.reason or not verdict.keep],
        "votes": [
            (vote.model, counts.vote_in_words(vote), vote.reason, call_addresses(view, vote.calls)) for vote in votes
        ],
        "accepting": sum(vote.accepts for vote in votes),
        "judged": view.judged().get(example.id, []),
    }


def call(view: RunView, request: Request) -> Shown:
    try:
        with opened(view.run.path) as db:
            found = one(db, request.path_params["key"])
    except UserError as error:
        raise NotThere(str(error)) from None
    return {"call": found, "part": "part" in request.query_params}


def tasks(view: RunView, request: Request) -> Shown:
    snapshot = view.read()
    run = snapshot.gathered
    return {"matrix": evaluation.matrix(run, frozenset(snapshot.entries)), "measured": run.measured}


def task(view: RunView, request: Request) -> Shown:
    name = request.query_params.get("name", "")
    snapshot = view.read()
    held, episodes = snapshot.gathered.heldout.get(name), snapshot.of_task.get(name, [])
    if held is None and not episodes:
        raise NotThere(f'no held-out task "{name}" is in this run')
    walked = view.trajectory(episodes[0]) if episodes else None
    others = [entry for entry in episodes if entry.outcome != episodes[0].outcome]  # what one wants to know more of
    return {
        "name": name,
        "task": held,
        "episodes": episodes,
        "beside": next(iter(others or episodes[-1:]), None),
        "scoring": scoring_of(walked) if walked else "",
    }


def examples(view: RunView, request: Request) -> Shown:
    asked = {name: request.query_params.get(name, "") for name in ("words", "kind", "tier", "state", "filter")}
    every, judged = view.read().gathered.examples, view.judged()
    search = searching.Search(**asked)
    found = [example for example in every if search.finds(example, judged)]
    paged = _paged(found, request)
    return {
        "asked": asked,
        "all": len(every),
        "kinds": sorted({example.kind for example in every}),
        "tiers": TIERS,
        "states": searching.STATES,
        "filters": sorted({searching.dropped_by(example) for example in every} - {""}),
        **paged,
        "rows": [_span(view, example) for example in paged["rows"]],
    }


def _example(view: RunView, example: Example) -> Shown:
    origin = view.origin(example)
    walked = view.trajectory(origin) if origin else None
    whole = walked is not None and example.end < len(walked.observations)
    part = span_of(walked, example) if walked is not None and whole else None
    span = _span(view, example)
    return {
        **span,
        "span": span,
        "origin": view.to(f"trajectory/{origin.anchor}") if origin else "",
        "steps": steps_of(view, part) if part else [],
        "last": short(part.last) if part else None,
        "wanted": walked.task.instruction if walked else "",
        "worded": call_addresses(view, example.calls),
        "asks": _keeps_calls(view, "abstract", "summarise"),
    }


def example(view: RunView, request: Request) -> Shown:
    found = view.read().examples.get(request.path_params["id"])
    if found is None:
        raise NotThere("no such example is in this run")
    return {**_example(view, found), "shown": view.read().episodes_shown.get(found.id, [])}


def to_judge(view: RunView, request: Request) -> Shown:
    snapshot, judged = view.read(), view.judged()
    chosen = searching.next_to_judge(snapshot.gathered.examples, judged)
    last = snapshot.examples.get(request.query_params.get("last", ""))
    return {
        "number": len(judged),
        "all": len(snapshot.gathered.examples),
        "before": _span(view, last) if last else None,
        "beside": view.beside_people(),
        **(_example(view, chosen) if chosen else {"example": None}),
    }


def compare(views: Sequence[RunView], view: RunView, request: Request) -> Shown:
    """Two trajectories, named left and right; one of the second run has "other:" before its name."""
    left, right = (_side(views, view, request.query_params.get(name, "")) for name in ("left", "right"))
    rows = comparing.rows_of(left, right)
    return {"left": left, "right": right, "rows": rows, "first": comparing.first_difference(rows)}


def _side(views: Sequence[RunView], view: RunView, named: str) -> comparing.Side:
    run, _, anchor = named.rpartition(":")
    of = views[-1] if run == "other" else view
    return comparing.Side(of, *_walked(of, anchor))


def runs(left: RunView, right: RunView) -> Shown:
    one_, other = left.read().gathered, right.read().gathered
    pairs = comparing.task_pairs(one_, other)
    return {
        "sides": [(each, live_of(each)) for each in (left, right)],
        "settings": comparing.different_settings(one_.config, other.config),
        "rates": comparing.rates(one_, other) if one_.measured and other.measured else [],
        "pairs": pairs[:500],
        "different": sum(pair.left.outcome != pair.right.outcome for pair in pairs),
        "all": len(pairs),
    }


def live_of(view: RunView) -> Shown:
    """The head of one of two runs."""
    snapshot = view.read()
    run, name = snapshot.gathered, f"chart-funnel-{view.base.count('/')}"
    return {
        "title": page.title(run),
        "headline": snapshot.headline,
        "tiles": page.tiles(run),
        "funnel": charts.funnel(name, "From documents to examples", counts.funnel(run)),
    }
