"""Writes a trajectory by a tiny real run of mini-swe-agent: its agent, its local environment, its scripted model.

python make_mini_swe_agent.py OUT.traj.json        (tried with mini-swe-agent 2.4.6)
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("MSWEA_SILENT_STARTUP", "1")
os.environ.setdefault("MSWEA_COST_TRACKING", "ignore_errors")

from minisweagent.agents.default import DefaultAgent
from minisweagent.environments.local import LocalEnvironment
from minisweagent.models.test_models import DeterministicToolcallModel, make_toolcall_output

COMMANDS = [
    ("Let me see what is there.", "cat total.py"),
    ("The discount is halved.", "sed -i 's|discount / 2|discount|' total.py"),
    ("Does it work now?", "python3 -c 'from total import total; assert total([60, 40], 20) == 80; print(\"ok\")'"),
    ("There is no such file.", "cat missing.txt"),
    ("Done.", "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && cat total.py"),
]


def outputs() -> list[dict]:
    made = []
    for number, (text, command) in enumerate(COMMANDS):
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
        call["function"]["arguments"] = json.dumps({"command": command})
        made.append(make_toolcall_output(text, [call], [{"command": command, "tool_call_id": f"call_{number}"}]))
        made[-1]["extra"]["timestamp"] = 1_795_000_000.0 + number
    return made


def main(out: Path) -> None:
    out = out.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("total.py").write_text("def total(items, discount):\n    return sum(items) - discount / 2\n")
        agent = DefaultAgent(
            DeterministicToolcallModel(outputs=outputs()),
            LocalEnvironment(),
            system_template="You are a helpful assistant that can do anything.",
            instance_template="Please solve this task: {{task}}",
            cost_limit=100.0,
            output_path=Path("run.traj.json"),
        )
        agent.run("The total of an order with a discount is wrong. Correct it.")
        os.chdir("/")
        shutil.copy(Path(folder) / "run.traj.json", out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
