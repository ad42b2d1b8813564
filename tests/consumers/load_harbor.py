"""Harbor: loads a folder of tasks by its own class: WHEEL FOLDER -> {"name": {"instruction": ..., ...}}."""

import json
import sys
import typing
from pathlib import Path

wheel, folder = sys.argv[1:]
sys.path.insert(0, wheel)

if not hasattr(typing, "override"):  # Harbor wants Python 3.12; of that, its tasks need only this name
    typing.override = lambda method: method  # type: ignore[attr-defined]

from harbor.models.task.task import Task  # noqa: E402

told = {}
for place in sorted(Path(folder).iterdir()):
    assert Task.is_valid_dir(place), place
    task = Task(place)
    told[place.name] = {
        "name": task.name,
        "instruction": task.instruction,
        "metadata": task.config.metadata,
        "timeout": task.config.agent.timeout_sec,
    }
print(json.dumps(told))
