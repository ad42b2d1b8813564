"""What is kept of an act: a folder with act.json for people, and in run.db the trajectory and all model calls.

Both are written after every step, so that what was done can be read at any time, also after a kill:

    {"instruction": "Close ticket 7", "status": "running", "steps": [{"page": "#7 /ticket/7", "action": ...}], ...}
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args

from lbi.errors import UserError
from lbi.records import Action, Observation, Step, StopReason, Task, Trajectory
from lbi.rollouts.impossible import said_impossible
from lbi.rollouts.learnt import Learnt
from lbi.storage.damage import DamagedRun
from lbi.storage.files import write_atomically
from lbi.storage.run_folder import RunFolder
from lbi.storage.secrets import mask

Status = Literal["running", "finished", "impossible", "step limit", "stopped", "failed"]
STATUS: Mapping[StopReason, Status] = {
    "done": "finished",
    "step_limit": "step limit",
    "stopped": "stopped",
    "budget": "stopped",
    "model_failure": "failed",
    "environment_failure": "failed",
}
FILE, PATCH, KEY = "act.json", "submission.patch", "act"
ACTS = "acts"  # the folder of a run in which its acts lie


@dataclass(frozen=True)
class Act:
    """One instruction that was carried out, as far as it was.

    ``finished`` and ``impossible`` are what the agent says: nobody has checked it. ``running`` is also what a killed
    act was last.
    """

    instruction: str
    status: Status
    answer: str
    error: str
    trajectory: Trajectory
    folder: Path
    submission: str = ""  # what was handed in beside the answer, such as a patch
    seconds: float = 0.0
    rest: tuple[Action, ...] = ()  # of a span that stopped, the steps that were not taken; not read back


def status_of(trajectory: Trajectory) -> Status:
    """How an act ended: ``impossible`` where the agent says that it cannot be done."""
    return "impossible" if said_impossible(trajectory) else STATUS[trajectory.stop]


def load_act(folder: str | Path) -> Act:
    """Read an act back, also while it goes on. Raises UserError where there is none."""
    place = Path(folder)
    try:
        told = json.loads((place / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"no act in {place}: there is no {FILE}; `lbi act RUN INSTRUCTION` says where it keeps one"
        ) from None
    except ValueError as error:
        raise DamagedRun(place / FILE, f"no JSON: {error}") from None
    with RunFolder(place, writing=False) as opened:
        trajectory = opened.store.get("episode", KEY, Trajectory)
    if trajectory is None or told.get("status") not in get_args(Status):
        raise DamagedRun(place / FILE, "it is that of no act")
    parts = ("instruction", "status", "answer", "error", "submission", "seconds")
    return Act(trajectory=trajectory, folder=place, **{part: told[part] for part in parts})


def new_folder(run: Path, out: Path | None) -> Path:
    """A new folder for an act: ``out``, or RUN/acts and the time. Raises UserError where something lies already."""
    try:
        if out is None:
            return _numbered(run / ACTS / time.strftime("%Y%m%d-%H%M%S"))
        if out.is_dir() and any(out.iterdir()):
            what = "an act" if (out / FILE).exists() else "a run" if (out / "run.db").exists() else "something"
            raise UserError(f"{out} holds {what} already; choose another --out")
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        place = out or run / ACTS
        raise UserError(
            f"cannot write to {place}: {error.strerror}; choose a folder that can be written with --out"
        ) from None
    return out


def _numbered(folder: Path) -> Path:
    """The folder, or with a number behind it if another act of this moment has it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        free = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            free.mkdir()
        except FileExistsError:
            continue
        return free
    raise AssertionError


class Keeper:
    """Writes one act's folder."""

    def __init__(self, learnt: Learnt, task: Task) -> None:
        self._learnt, self._task = learnt, task
        self._folder = learnt.context.folder
        self._began = datetime.now().astimezone().isoformat(timespec="seconds")

    @staticmethod
    def holds_act(folder: Path) -> bool:
        return (folder / FILE).exists()

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove the folder of an act that did not begin."""
        shutil.rmtree(folder, ignore_errors=True)
        if folder.parent.name == ACTS and folder.parent.is_dir() and not any(folder.parent.iterdir()):
            folder.parent.rmdir()

    def keep(self, trajectory: Trajectory, seconds: float) -> None:
        """What was done so far."""
        self._folder.store.put("episode", KEY, trajectory)
        self._write(trajectory, "running", "", seconds)

    def end(self, trajectory: Trajectory, submission: str, seconds: float) -> Act:
        submission, status = mask(submission), status_of(trajectory)
        self._folder.store.put("episode", KEY, trajectory)
        self._folder.store.flush()
        if submission:
            write_atomically(self._folder.path / PATCH, submission.encode())
        self._write(trajectory, status, submission, seconds)
        return Act(
            instruction=self._task.instruction,
            status=status,
            answer=mask(trajectory.answer),
            error=mask(trajectory.error),
            trajectory=trajectory,
            folder=self._folder.path,
            submission=submission,
            seconds=seconds,
        )

    def _write(self, trajectory: Trajectory, status: Status, submission: str, seconds: float) -> None:
        learnt, usage = self._learnt, trajectory.usage
        told = {
            "instruction": self._task.instruction,
            "status": status,
            "answer": trajectory.answer,
            "error": trajectory.error,
            "run": str(learnt.run),
            "on": learnt.place,
            "arm": learnt.arm.name,
            "agent": learnt.arm.agent,
            "seed": learnt.seed,
            "model": learnt.context.config.models.of("act"),
            "began": self._began,
            "seconds": round(seconds, 1),
            "usage": usage.model_dump(mode="json"),
            "steps": [
                self._step(step, after)
                for step, after in zip(trajectory.steps, trajectory.observations[1:], strict=True)
            ],
            "last": _place(trajectory.last),
            "submission": submission,
        }
        write_atomically(self._folder.path / FILE, json.dumps(told, indent=2, ensure_ascii=False).encode())

    def _step(self, step: Step, after: Observation) -> dict[str, Any]:
        examples = self._learnt.examples
        return {
            "page": _place(step.observation),
            "reason": step.reason,
            "action": step.action.written,
            "error": after.error,
            "examples": [
                {"id": id_, "instruction": examples[id_].instruction if id_ in examples else ""}
                for id_ in step.examples
            ],
        }


def _place(page: Observation) -> dict[str, str]:
    return {"title": page.title, "url": page.url}
