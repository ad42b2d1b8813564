"""Our own solutions of tasks, in actions of their environment, by the beginning of a task's or its counterpart's id.

[dbt.1137ff65]
run = ["cd ~/projects/materialize_test", "sed -i s/view/table/ models/test/my_first_dbt_model.sql"]
"""

from __future__ import annotations

import base64
import json
from functools import cache
from importlib import resources
from typing import Any

from lbi.benchmarks.spider2v.checkout import TASKS, Checkout, Official
from lbi.storage.toml import parse_toml

FILE = "gold.toml"


def gold_of(checkout: Checkout, task: Official) -> tuple[str, ...]:
    """The actions; () where there is no solution of ours.

    Some take a file that the authors left beside the task, such as the asset that it asks for.
    """
    solutions = _solutions().get(task.app, {})
    solution = solutions.get(task.id[:8]) or solutions.get(task.counterpart[:8])
    if solution is None or task.name in checkout.not_runnable:
        return ()
    puts = [_put(checkout, task, beside, place) for place, beside in solution.get("put", {}).items()]
    actions = [f"run({json.dumps(each)})" for each in (*puts, *solution.get("run", ()))]
    return (*actions, *solution.get("act", ()), 'finish("")')


def _put(checkout: Checkout, task: Official, beside: str, place: str) -> str:
    """A command that writes a file of the checkout into the home folder."""
    file = checkout.folder / TASKS / task.app / task.id / beside
    content = base64.b64encode(file.read_bytes() if file.is_file() else b"").decode()
    return f"base64 -d <<< {content} > {place}"


@cache
def _solutions() -> dict[str, dict[str, Any]]:
    return parse_toml(resources.files(__package__).joinpath(FILE).read_text("utf-8"))
