"""Whether the levers of labelling change what is learnt: with and without them, from the same attempts, to the end.

    python performance/levers.py FOLDER [--config configs/spirit.toml] [--rollouts 12] [--tasks 12] [--compose 6]

One run with the levers as they are by default (`on`) and one with all of them off (`off`), the naive method; all spans
are labelled in both. `off` starts from a copy of the attempts of `on` and of their replays, which know nothing of
labels: its labels, verdicts, compositions and episodes are made anew. Compared are the examples (ids, texts, verdicts)
and the episodes by the benchmark's own checks.
The folder keeps both runs; what it has is not done again.
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
#: what follows the attempts and their replays
LATER = ("example", "candidate", "composition", "episode", "result")


def run(config: Path, out: Path, levers: dict[str, Any], more: dict[str, Any]) -> None:
    given = {**more, **{f"labelling.{key}": value for key, value in {"spans": "all", **levers}.items()}}
    sets = [part for key, value in given.items() for part in ("--set", f"{key}={_toml(value)}")]
    subprocess.run([sys.executable, "-m", "lbi", "run", config, "--out", out, "-q", *sets], check=True)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        rows = ("{" + ", ".join(f"{key} = {json.dumps(said)}" for key, said in each.items()) + "}" for each in value)
        return f"[{', '.join(rows)}]"
    return value if isinstance(value, str) else json.dumps(value)


def attempts_of(one: Path, other: Path) -> None:
    """A copy of a run up to its attempts, for the naive method to go on from."""
    shutil.copytree(one, other, ignore=shutil.ignore_patterns("lock*", "index*", "report*"))
    with closing(sqlite3.connect(other / "run.db")) as db, db:
        db.execute(f"DELETE FROM record WHERE kind IN ({', '.join('?' * len(LATER))})", LATER)
        db.execute("DELETE FROM meter")
        db.execute("DELETE FROM failure")
    config = json.loads((other / "config.json").read_text())
    config["labelling"].update(OFF)
    (other / "config.json").write_text(json.dumps(config))


def found(out: Path) -> tuple[dict[str, Example], dict[str, Result]]:
    """Constructed examples and results by their keys. Composed ones hang on how their replays went."""
    with RunFolder(out, writing=False) as folder:
        examples = dict(folder.store.all("example", Example))
        composed = sum(example.kind == "composed" for example in examples.values())
        print(f"{out.name}: {folder.config['labelling']}; {composed} composed examples")
        made = {key: example for key, example in examples.items() if example.kind != "composed"}
        return made, dict(folder.store.all("result", Result))


def compare(one: Path, other: Path) -> None:
    (on, won), (off, lost) = found(one), found(other)
    for what, tell in {
        "ids": lambda example: example.id,
        "texts": lambda example: example.instruction,
        "verdicts": lambda example: [verdict.model_dump() for verdict in example.verdicts],
    }.items():
        same = sum(key in off and tell(example) == tell(off[key]) for key, example in on.items())
        print(f"examples, same {what}: {same:,} of {len(on):,} with the levers and {len(off):,} without")
    kept = [sum(example.kept for example in each.values()) for each in (on, off)]
    print(f"kept: {kept[0]:,} with, {kept[1]:,} without")
    for arm in sorted({result.arm for result in won.values()}):
        rows = {key: result for key, result in won.items() if result.arm == arm}
        scores = [sum(results[key].score for key in rows if key in results) for results in (won, lost)]
        other_way = [key for key in rows if key not in lost or lost[key].score != rows[key].score]
        faults = Counter(results[key].fault for results in (won, lost) for key in rows if key in results)
        faults.pop("", None)
        print(
            f"{arm}: {scores[0]:g} of {len(rows)} tasks solved with, {scores[1]:g} without; another outcome in "
            f"{len(other_way)}; faults {dict(faults) or 'none'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--config", type=Path, default=Path("configs/spirit.toml"))
    parser.add_argument("--rollouts", type=int, default=12)
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--compose", type=int, default=6)
    given = parser.parse_args()
    more = {
        "synthesis.rollouts": given.rollouts,
        "synthesis.compose": given.compose,
        "evaluation.tasks": given.tasks,
        "evaluation.arms": ARMS,
    }
    on, off = given.folder / "on", given.folder / "off"
    run(given.config, on, ON, more)
    if not off.exists():
        attempts_of(on, off)
    run(given.config, off, OFF, more)
    compare(on, off)


if __name__ == "__main__":
    main()
