"""Tasks -> a package with a taskset of verifiers: NAME/{pyproject.toml, PACKAGE/{__init__.py, tasks.jsonl, app}}.

    uv pip install -e NAME && vf-validate PACKAGE      and vf-eval PACKAGE, with any harness that has a shell

The package imports verifiers and nothing of ours: where a task is carried out, in a container or on this machine,
lbi is installed. Checks and solutions stay with the package, and are no part of a task's data, which traces hold.
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

from lbi.config import Config
from lbi.interop.packs.tasks import Packed, PackedTask
from lbi.interop.packs.write import session_files, told, write

FOLDER = "session"  # in the folder in which an agent begins
VERIFIED = "verifiers 0.4.0"

PYPROJECT = """\
[project]
name = "{distribution}"
version = "0.1.0"
description = "Tasks on {application}, exported by learn-by-interact"
requires-python = ">=3.11"
dependencies = ["verifiers>=0.4,<0.5"]

[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]
"""


def write_verifiers(packs: Packed, folder: Path) -> list[str]:
    """Write the package. Returns the names of its tasks."""
    tasks, config = packs.tasks, packs.config
    name = re.sub(r"[^a-z0-9]+", "-", config.name.lower()).strip("-") or "run"
    package = f"lbi_{name.replace('-', '_')}"
    rows = [_row(packed, config) for packed in tasks]
    content = {
        "pyproject.toml": PYPROJECT.format(distribution=f"lbi-{name}", package=package, application=config.name),
        f"{package}/__init__.py": (files("lbi.interop.packs") / "taskset.py.txt").read_text(encoding="utf-8"),
        f"{package}/tasks.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
    }
    write(folder, content)
    return [packed.name for packed in tasks]


def _row(packed: PackedTask, config: Config) -> dict[str, object]:
    return {
        "name": packed.name,
        "origin": packed.origin,
        "prompt": told(packed, config).replace("`app", "`./app").replace("    app ", "    ./app "),
        "files": session_files(packed, config, FOLDER),
        "check": packed.check,
        "gold": list(packed.gold),
    }
