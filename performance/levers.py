"""Whether the levers of labelling change what is learnt: with and without them, from the same attempts, to the end.

    python performance/levers.py FOLDER [--config configs/spirit.toml] [--rollouts 12] [--tasks 12] [--compose 6]

One run has the levers as they are by default (`on`), the other has all of them off (`off`), which is the naive method.
Both label all spans. `off` starts from a copy of the attempts of `on` and of their replays, which do not depend on
labels; its labels, verdicts, compositions and episodes are made anew. The examples (ids, texts, verdicts) are compared,
and the episodes by the benchmark's own checks. The folder keeps both runs; what is in it is not done again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from lbi.config import Labelling
from lbi.records import Example, Result
from lbi.storage.run_folder import RunFolder

OFF: dict[str, Any] = {"whole": False, "together": 1, "differences": False, "ordered": False}
ON = {key: value for key, value in Labelling().model_dump().items() if key in OFF}
ARMS = [{"name": "baseline", "agent": "react"}, {"name": "backward", "agent": "icl", "data": "backward"}]
#: kinds of records that are made after the attempts and their replays
LATER = ("example", "candidate", "composition", "episode", "result")


def run(config: Path, out: Path, levers: dict[str, Any], overrides: dict[str, Any]) -> None:
    all_overrides = {**overrides, **{f"labelling.{key}": value for key, value in {"spans": "all", **levers}.items()}}
    arguments = [part for key, value in all_overrides.items() for part in ("--set", f"{key}={_toml(value)}")]
    subprocess.run([sys.executable, "-m", "lbi", "run", config, "--out", out, "-q", *arguments], check=True)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        rows = (
            "{" + ", ".join(f"{key} = {json.dumps(inner)}" for key, inner in table.items()) + "}" for table in value
        )
        return f"[{', '.join(rows)}]"
    return value if isinstance(value, str) else json.dumps(value)


def attempts_of(source: Path, target: Path) -> None:
    """Copy a run up to its attempts and their replays, for the naive method to continue."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("lock*", "index*", "report*"))
    with closing(sqlite3.connect(target / "run.db")) as db, db:
        db.execute(f"DELETE FROM record WHERE kind IN ({', '.join('?' * len(LATER))})", LATER)
        db.execute("DELETE FROM meter")
        db.execute("DELETE FROM failure")
    config = json.loads((target / "config.json").read_text())
    config["labelling"].update(OFF)
    (target / "config.json").write_text(json.dumps(config))


def read_run(out: Path) -> tuple[dict[str, Example], dict[str, Result]]:
    """Constructed examples and results by key. Composed examples are left out, as they depend on how replays went."""
    with RunFolder(out, writing=False) as folder:
        examples = dict(folder.store.all("example", Example))
        composed = sum(example.kind == "composed" for example in examples.values())
        print(f"{out.name}: {folder.config['labelling']}; {composed} composed examples")
        constructed = {key: example for key, example in examples.items() if example.kind != "composed"}
        return constructed, dict(folder.store.all("result", Result))


def compare(first: Path, second: Path) -> None:
    (on, results_on), (off, results_off) = read_run(first), read_run(second)
    for what, part_of in {
        "ids": lambda example: example.id,
        "texts": lambda example: example.instruction,
        "verdicts": lambda example: [verdict.model_dump() for verdict in example.verdicts],
    }.items():
        same = sum(key in off and part_of(example) == part_of(off[key]) for key, example in on.items())
        print(f"examples, same {what}: {same:,} of {len(on):,} with the levers and {len(off):,} without")
    kept = [sum(example.kept for example in examples.values()) for examples in (on, off)]
    print(f"kept: {kept[0]:,} with, {kept[1]:,} without")
    for arm in sorted({result.arm for result in results_on.values()}):
        rows = {key: result for key, result in results_on.items() if result.arm == arm}
        scores = [sum(results[key].score for key in rows if key in results) for results in (results_on, results_off)]
        changed = [key for key in rows if key not in results_off or results_off[key].score != rows[key].score]
        faults = Counter(results[key].fault for results in (results_on, results_off) for key in rows if key in results)
        faults.pop("", None)
        print(
            f"{arm}: {scores[0]:g} of {len(rows)} tasks solved with, {scores[1]:g} without; another outcome in "
            f"{len(changed)}; faults {dict(faults) or 'none'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--config", type=Path, default=Path("configs/spirit.toml"))
    parser.add_argument("--rollouts", type=int, default=12)
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--compose", type=int, default=6)
    options = parser.parse_args()
    overrides = {
        "synthesis.rollouts": options.rollouts,
        "synthesis.compose": options.compose,
        "evaluation.tasks": options.tasks,
        "evaluation.arms": ARMS,
    }
    on, off = options.folder / "on", options.folder / "off"
    run(options.config, on, ON, overrides)
    if not off.exists():
        attempts_of(on, off)
    run(options.config, off, OFF, overrides)
    compare(on, off)


if __name__ == "__main__":
    main()
