"""A small checkout of our own that speaks Spider2-V's format: tasks, scripts, metrics, all written by us."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lbi.benchmarks.spider2v import interpreters
from lbi.evaluation.benchmark import load_benchmark
from lbi.records import Task
from lbi.sandbox.host import plain, run_on_host

Json = dict[str, Any]
EXAMPLES = "evaluation_examples/examples"
SNAPSHOT = """\
function setup_dbt() {
    conda create -n dbt python=3.11 -y
    pip install dbt-core==1.7.13 dbt-duckdb==1.7.4 # as it was
    pip install --force-reinstall 'small[extra]>=0.0.8'
    pip install mysqlclient==2.2.4
}
setup_dbt
"""
UTILS = "def lines(path):\n    with open(path) as file:\n        return file.read().splitlines()\n"
TABLE = """\
import a_library_that_is_nowhere
from another_one.deep import Thing
from desktop_env.evaluators.metrics.utils import lines

def compare_csv(result, expected, **options):
    if result is None:
        return 0.0
    return float(lines(result) == lines(expected))

def compare_numbers(result, expected, **options):
    return float([int(line) for line in lines(result)] == [int(line) for line in lines(expected)])

def needs_the_library(result, expected, **options):
    return float(Thing(result) == expected)
"""
GENERAL = """\
def check_include_exclude(result, rules):
    if result is None:
        return 0.0
    return float(all(r in result for r in rules["include"]) and all(r not in result for r in rules["exclude"]))

def raises(result, expected):
    raise ValueError("a fault of the metric")
"""
BROKEN = "raise RuntimeError('not for this machine')\n\ndef compare_broken(result, expected):\n    return 1.0\n"
INIT = """\
#!/bin/bash
exec 1>/dev/null
exec 2>/dev/null
source /home/user/anaconda3/etc/profile.d/conda.sh
conda activate dbt
echo "source /home/user/anaconda3/etc/profile.d/conda.sh" >> ~/.bashrc
echo "conda activate dbt" >> ~/.bashrc
mkdir -p ~/projects
cd ~/projects
mv ~/project.txt .
code ~/projects/project.txt
gnome-terminal --maximize --working-directory=/home/user/projects
"""
EVAL = """\
#!/bin/bash
source ~/anaconda3/etc/profile.d/conda.sh
conda activate dbt
cd ~/projects
python -c "
import sys
assert 'interpreters' in sys.prefix, sys.prefix
print('succeed' if open('project.txt').read() == 'tables' + chr(10) else 'failed')"
"""
BREAKS = "#!/bin/bash\nexit 3\n"


def table(number: str, func: str = "compare_csv", **changed: object) -> Json:
    """A task whose result is a file: its id is ``number`` over and over."""
    folder = f"{EXAMPLES}/excel/{long(number)}"
    return {
        "id": long(number),
        "instruction": f"Sort the table ({number}).",
        "tags": ["cli+gui", "abstract"],
        "related_apps": ["excel"],
        "counterpart": "",
        "config": [
            step("copyfile_from_host_to_guest", src=f"{folder}/sales.csv", dest="/home/user/sales.csv"),
            step("open", path="/home/user/sales.csv"),
        ],
        "evaluator": {
            "postconfig": [step("activate_window", window_name="sales.csv"), step("sleep", seconds=0.5)],
            "func": func,
            "result": {"type": "vm_file", "path": "/home/user/sales.csv", "dest": "sales.csv"},
            "expected": {"type": "local_file", "path": f"{folder}/gold.csv", "dest": "gold.csv"},
        },
        **changed,
    }


def project(number: str) -> Json:
    """A task that scripts begin and judge."""
    folder = f"{EXAMPLES}/dbt/{long(number)}"
    return {
        "id": long(number),
        "instruction": f"Make it tables ({number}).",
        "tags": ["cli", "verbose"],
        "related_apps": ["dbt", "terminal"],
        "counterpart": "",
        "config": [
            step("copyfile_from_host_to_guest", src=f"{folder}/project.txt", dest="/home/user/project.txt"),
            step("script_and_execute", src=f"{folder}/init.sh", dest="/home/user/init.sh"),
        ],
        "evaluator": {
            "func": ["check_include_exclude"],
            "result": [{"type": "vm_script_output", "src": f"{folder}/eval.sh", "dest": "/home/user/eval.sh"}],
            "expected": [{"type": "rule", "rules": {"include": ["succeed"], "exclude": ["failed"]}}],
        },
    }


def step(kind: str, **parameters: object) -> Json:
    return {"type": kind, "parameters": parameters}


def long(number: str) -> str:
    return f"{number * 8}-0000-0000"


TASKS: dict[str, list[Json]] = {
    "excel": [
        table("1"),
        table("2", "raises"),
        table("3", "no_such_metric"),
        table("4"),  # its expected file is not there
        table("5", "compare_numbers"),
        table("6", "needs_the_library"),
        table("b", "compare_broken"),
    ],
    "dbt": [project("7"), project("8")],
    "bigquery": [table("9", tags=["account"])],
    "airbyte": [table("a")],
}


def write_checkout(folder: Path) -> Path:
    metrics = folder / "desktop_env/evaluators/metrics"
    metrics.mkdir(parents=True)
    (metrics / "__init__.py").write_text("raise ImportError('the package is never imported')")
    for name, text in (("utils", UTILS), ("table", TABLE), ("general", GENERAL), ("broken", BROKEN)):
        (metrics / f"{name}.py").write_text(text)
    for app, tasks in TASKS.items():
        for task in tasks:
            place = folder / EXAMPLES / app / task["id"]
            place.mkdir(parents=True)
            (place / f"{task['id']}.json").write_text(json.dumps(task))
            files = {"sales.csv": "2\n1\n", "gold.csv": "1\n2\n"} if app != "dbt" else {"project.txt": "views\n"}
            for name, text in files.items():
                (place / name).write_text(text)
            if app == "dbt":
                (place / "init.sh").write_text(INIT)
                (place / "eval.sh").write_text(EVAL if task["id"].startswith("7") else BREAKS)
    (folder / EXAMPLES / "excel" / long("4") / "gold.csv").unlink()
    (folder / EXAMPLES / "spider2v_snapshot.sh").write_text(SNAPSHOT)
    listed = {app: [task["id"] for task in tasks] for app, tasks in TASKS.items()}
    (folder / "evaluation_examples/test_all.json").write_text(json.dumps(listed))
    return folder


def named(checkout: Path) -> dict[str, Task]:
    benchmark = load_benchmark("spider2v", str(checkout))
    return {task.name: task for task in benchmark.tasks("spider2v", benchmark.task)}


def without_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Interpreters without packages from here on, as no index is asked in tests; what they were asked to hold."""
    asked: list[tuple[str, ...]] = []

    def made(requirements: tuple[str, ...], *others: object) -> Path:
        asked.append(tuple(requirements))
        place = folder / "interpreters" / "one"
        if not place.exists():
            done = run_on_host([sys.executable, "-m", "venv", "--without-pip", str(place)], env=plain(), timeout=120)
            assert done.exit_code == 0, done.errors
        return place

    monkeypatch.setattr(interpreters, "interpreter", made)
    return asked
