"""WebArena-Verified: 812 tasks on six sites, judged by requests and answers; webarena:SITE, NUMBER, hard, original."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbi.benchmarks.webarena import oracle, original
from lbi.benchmarks.webarena.faults import FAULTS
from lbi.benchmarks.webarena.sites import NAMES, load_sites
from lbi.config import Config
from lbi.documents.corpus import DocumentSource
from lbi.environments.web.actions import ACTIONS as WEB_ACTIONS
from lbi.errors import ScoreError, UserError
from lbi.evaluation.benchmark import Benchmark, HeldOut
from lbi.protocols import CheckedTask
from lbi.records import Check, Task

if TYPE_CHECKING:
    from lbi.benchmarks.webarena.environment import WebArenaEnvironments
    from lbi.benchmarks.webarena.evaluate import Grader

__all__ = ["ACTIONS", "RESOURCE", "check", "config", "create", "documents", "load"]

RESOURCE = "browser"  # of a machine of a cluster

Json = dict[str, Any]
VERIFIED, ORIGINAL, HARD = "webarena-verified.json", "test.raw.json", "subsets/webarena-verified-hard.json"
ANSWER = """
The answer of finish is a JSON object in quotation marks, such as
finish('{"task_type": "RETRIEVE", "status": "SUCCESS", "retrieved_data": ["Quest Band"], "error_details": null}')
task_type: RETRIEVE = data was asked for, MUTATE = something was to be made, changed or deleted, NAVIGATE = a page was
to be shown. status: SUCCESS, ACTION_NOT_ALLOWED_ERROR, PERMISSION_DENIED_ERROR, NOT_FOUND_ERROR,
DATA_VALIDATION_ERROR or UNKNOWN_ERROR. retrieved_data: a list for RETRIEVE, numbers and true or false without quotation
marks; else null. error_details: null for SUCCESS, else why in a few words."""
#: addresses of sites that there are not, for proofs that ask none
NOWHERE = {f"__{name.upper()}__": f"http://{name.replace('_', '-')}.test" for name in NAMES}
#: with how the answers of the verified tasks are written; those of the original ones are plain text
ACTIONS = WEB_ACTIONS + "\n" + ANSWER


def load(selection: str = "", checkout: str = "") -> Benchmark:
    """All tasks or those selected, on the sites that the file ``checkout`` names; those of others are not runnable.

    ``gitlab,44`` are all tasks on one site alone and one more; ``hard`` a subset; ``original`` WebArena's own checks of
    the same tasks, as in ``original,gitlab``. Raises UserError.
    """
    parts = [part.strip() for part in selection.split(",") if part.strip()]
    sites = load_sites(checkout)
    judged_by = ORIGINAL if "original" in parts else VERIFIED
    chosen = _chosen(_tasks(judged_by), [part for part in parts if part != "original"])
    missing = {task["task_id"]: sorted(set(task["sites"]) - sites.of(NAMES).keys()) for task in chosen}
    return Benchmark(
        name="webarena",
        environment="webarena",
        task=tuple(_held_out(task, missing[task["task_id"]], judged_by) for task in chosen),
    )


def config(selection: str, checkout: str) -> Json:
    """The sites have one state, so one worker uses them; nothing is learnt on tasks that change somebody's sites."""
    arms = [{"name": "baseline", "agent": "react"}]
    return {
        "environment": "webarena",
        "workers": 1,
        "synthesis": {"rollouts": 1},
        "evaluation": {"arms": arms, "step_limit": 30},
    }


def create(config: Config, save_image: Callable[[bytes], str]) -> WebArenaEnvironments:
    """Raises UserError where no sites are named, or several workers would change one state."""
    if not config.checkout:
        raise UserError(
            "where are WebArena's sites? Give a file that says so: --checkout SITES.toml (docs/webarena.md)"
        )
    if config.workers > 1:
        raise UserError("WebArena's sites have one state for all, so set workers = 1")
    from lbi.benchmarks.webarena.environment import WebArenaEnvironments  # loads the browser's driver

    tasks = {f"{kind}:{task['task_id']}": task for kind in (VERIFIED, ORIGINAL) for task in _tasks(kind)}
    actions = WEB_ACTIONS if "original" in str(config.benchmark) else ACTIONS
    return WebArenaEnvironments(tasks, load_sites(config.checkout), actions, config.web.screenshots, save_image)


async def documents(environments: WebArenaEnvironments) -> tuple[DocumentSource, ...]:
    """A line, as a run has to read something; the sites' own manuals are named in a config."""
    return (
        DocumentSource(title="WebArena", text="# Start page\n\nRead the start page of the site.", format="markdown"),
    )


async def check(tasks: Sequence[Task], checkout: str) -> list[CheckedTask]:
    """Each task by an answer and requests that are made up from its own checks: no site is needed, nor asked."""
    from lbi.benchmarks.webarena.evaluate import Grader  # the evaluator is opened when it is first asked

    grader = Grader(NOWHERE)
    checked = []
    for task in tasks:
        kind, _, number = (task.check.grader if task.check else "").rpartition(":")
        raw = _by_number(kind)[int(number)]
        checked.append(
            _proved(grader, task.name, raw, NOWHERE) if kind == VERIFIED else await _proved_original(task.name, raw)
        )
    return checked


async def _proved_original(name: str, task: Json) -> CheckedTask:
    """As above, for the original checks that can be judged here; pages show what is asked of them, or nothing."""
    if original.not_runnable(task):
        return CheckedTask(task=name)
    pages = [page["required_contents"] for page in task["eval"]["program_html"]]
    shown = iter([str(each.get("exact_match") or " ".join(each.get("must_include", []))) for each in pages])

    async def right(url: str, script: str) -> object:
        return next(shown)

    async def wrong(url: str, script: str) -> object:
        return ""

    answer, url = original.oracle(task, NOWHERE)
    start = oracle.filled_in(task["start_url"], NOWHERE)
    gold, why = await original.grade(task, answer, url, NOWHERE, right)
    nothing, _ = await original.grade(task, "", start, NOWHERE, wrong)
    problems = ([] if gold == 1 else [f"gold: {why}"]) + (["passes when nothing is done"] if nothing else [])
    return CheckedTask(task=name, gold=gold, nothing=nothing, problem="; ".join(problems))


def _proved(grader: Grader, name: str, task: Json, addresses: dict[str, str]) -> CheckedTask:
    """The oracle's score, and the higher one of saying nothing and of saying the right thing without having done it."""
    first = oracle.first_page(task, addresses)
    number, right, problems = task["task_id"], oracle.answer(task), []

    def score(answer: str, entries: list[Json]) -> float | None:
        try:
            return grader.score(number, answer, entries)[0]
        except ScoreError as error:
            problems.append(str(error)[:300])
            return None

    gold = score(right, [first, *oracle.entries(task, addresses)])
    if gold == 0:
        problems.append("the right answer with the right requests does not pass")
    wanted = [each for each in task["eval"] if each["evaluator"] == "NetworkEventEvaluator"]
    asks_for_requests = any(not each.get("should_not_exist") for each in wanted)
    idle = [score(said, [first]) for said in ["", *([right] if asks_for_requests else [])]]
    if any(idle):
        problems.append("passes without a request")
    nothing = None if None in idle else max(each for each in idle if each is not None)
    return CheckedTask(task=name, gold=gold, nothing=nothing, problem="; ".join(dict.fromkeys(problems)))


def _held_out(task: Json, missing: list[str], judged_by: str) -> HeldOut:
    number, verified = task["task_id"], judged_by == VERIFIED
    why = f"no address is given for {', '.join(missing)}" if missing else ""
    return HeldOut(
        name=str(number),
        instruction=task["intent"],
        category="+".join(task["sites"]),
        check=Check(grader=f"{judged_by}:{number}"),
        faulty=FAULTS.get(number, "") if verified else "",
        not_runnable=why if verified else original.not_runnable(task) or why,
    )


def _chosen(tasks: list[Json], parts: list[str]) -> list[Json]:
    if not parts:
        return tasks
    kept: list[Json] = []
    for part in parts:
        if part in NAMES:
            kept += [task for task in tasks if task["sites"] == [part]]
        elif part == "hard":
            numbers = set(json.loads(_asset(HARD))["task_ids"])
            kept += [task for task in tasks if task["task_id"] in numbers]
        elif part.isdigit() and int(part) < len(tasks):
            kept += [task for task in tasks if task["task_id"] == int(part)]
        else:
            near = difflib.get_close_matches(part, [*NAMES, "hard", "original"], n=1, cutoff=0.4)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else f"choose numbers up to {len(tasks) - 1}, or of {', '.join(NAMES)}"
            )
            raise UserError(f"webarena has no tasks {part!r}; {hint}")
    return list({task["task_id"]: task for task in kept}.values())


@cache
def _by_number(file: str) -> dict[int, Json]:
    return {task["task_id"]: task for task in _tasks(file)}


@cache
def _tasks(file: str) -> list[Json]:
    read: list[Json] = json.loads(_asset(file))
    return read


def _asset(file: str) -> str:
    try:
        path = distribution("webarena-verified").locate_file(f"webarena_verified/assets/dataset/{file}")
    except PackageNotFoundError:
        raise UserError("WebArena-Verified is not installed: pip install 'learn-by-interact[webarena]'") from None
    return Path(str(path)).read_text("utf-8")
