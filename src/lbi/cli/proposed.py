"""check tasks: could the tasks that a run proposed be carried out, and how much did its roll-outs find?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.evaluation.named_things import Named, checked, things_in
from lbi.monitoring.terminal import say
from lbi.records import Impossible, Observation, ProposalRound, Task, Trajectory
from lbi.report.words import percent, plural
from lbi.rollouts.operations import operations_in
from lbi.storage.run_folder import RunFolder

SHOWN = 40  # tasks that name something which was not seen


def check_tasks(name: str, as_json: bool) -> int:
    """Print the numbers of a run folder. Nothing fails here: they are measurements."""
    if not name:
        raise UserError("which run? Write `lbi check tasks RUN` with the folder of a run")
    with RunFolder(Path(name), writing=False) as run:
        numbers, missing = measured(run)
    if as_json:
        say(json.dumps({**numbers, "tasks": missing}, indent=2, ensure_ascii=False))
    else:
        _print(numbers, missing)
    return 0


def measured(run: RunFolder) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(counts, one row for each task that names something which no page has shown)."""
    store = run.store
    tasks = [task for _, task in store.all("task", Task)]
    rollouts = [trajectory for _, trajectory in store.all("trajectory", Trajectory)]
    episodes = [trajectory for _, trajectory in store.all("episode", Trajectory)]
    pages = [page for _, page in store.all("page", Observation)]
    seen = things_in(pages, [*rollouts, *episodes], restores=_restores(rollouts))
    named = checked(tasks, seen)
    impossible = [record for _, record in store.all("impossible", Impossible)]
    operations = operations_in(rollouts)
    numbers = {
        "proposed": len(tasks),
        "rounds": len(store.all("round", ProposalRound)),
        "naming": sum(bool(row.needs) for row in named),
        "existing": sum(bool(row.needs) and row.possible for row in named),
        "ending": sum(task.ending for task in tasks),
        "rollouts": len(rollouts),
        "impossible": len({record.task for record in impossible}),
        "operations": len({operation.alike for operation in operations}),
        "operations_with_fields": len(operations),
    }
    return numbers, [_row(row) for row in named if not row.possible]


def _restores(rollouts: list[Trajectory]) -> bool:
    """Whether the episodes of a run began with the same state, as their digests tell."""
    return len({trajectory.observations[0].digest for trajectory in rollouts}) <= 1


def _row(row: Named) -> dict[str, Any]:
    return {"instruction": row.task.instruction, "missing": list(row.missing)}


def _print(numbers: dict[str, Any], missing: list[dict[str, Any]]) -> None:
    naming, proposed = numbers["naming"], numbers["proposed"]
    for row in missing[:SHOWN]:
        say(f"not seen: {', '.join(row['missing'])}  in  {row['instruction']}")
    if len(missing) > SHOWN:
        say(f"not seen: {len(missing) - SHOWN} more tasks; --json has all")
    share = f" ({percent(numbers['existing'] / naming)})" if naming else ""
    say(
        f"{plural(proposed, 'task')} proposed in {plural(numbers['rounds'], 'round')}; {naming} name something that "
        f"has to be there, and in {numbers['existing']} of them{share} all of it was seen on the run's pages"
    )
    say(f"{numbers['ending']} would end the session or take the account away")
    say(f"{numbers['impossible']} tasks were given up as impossible in {plural(numbers['rollouts'], 'roll-out')}")
    say(
        f"{numbers['operations']} distinct operations that changed something (verb, role and name), "
        f"{numbers['operations_with_fields']} with the fields that were filled for them"
    )
