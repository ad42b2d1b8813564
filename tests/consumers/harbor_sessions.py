"""Harbor: native sessions to ATIF and back, by its own converters: WHEEL read|write codex|claude_code FILE OUT.

``read``: the session FILE -> the trajectory OUT. ``write``: the trajectory FILE -> the session OUT, which the program
takes to resume.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

wheel, way, program, file, out = sys.argv[1:]
sys.path.insert(0, wheel)

from harbor.agents.installed.claude_code import ClaudeCode  # noqa: E402
from harbor.agents.installed.codex import Codex  # noqa: E402
from harbor.models.trajectories import Trajectory  # noqa: E402

logs = Path(tempfile.mkdtemp())
agent = {"codex": Codex, "claude_code": ClaudeCode}[program](logs_dir=logs)
if way == "read":
    place = logs / "sessions" / {"codex": "2026/11/30", "claude_code": "projects/-home-carla-shop"}[program]
    place.mkdir(parents=True)
    shutil.copy(file, place / f"rollout-{Path(file).name}")
    trajectory = agent.convert_trajectory(logs)
    Path(out).write_text(trajectory.model_dump_json(exclude_none=True))
else:
    trajectory = Trajectory.model_validate_json(Path(file).read_text())
    _, text = agent.atif_to_native_trajectory(trajectory, "3f2a0002-0000-4000-8000-000000000002")
    Path(out).write_text(text)
print(json.dumps(len(trajectory.steps)))
