"""Tasks -> Harbor's task folders: NAME/{instruction.md, task.toml, environment/, solution/, tests/}.

An agent has a shell in the container, and the command ``app``. Check and solution are not in the image: Harbor copies
them into the container when it scores, and for its oracle.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from lbi import __version__
from lbi.config import Config
from lbi.interop.packs.tasks import PackedTask
from lbi.interop.packs.write import session_files, told, write

FOLDER = "/task"  # in the container
VERIFIED = "harbor 0.26.0, schema 1.4"
SOURCE = "learn-by-interact"  # what pip installs into the image

DOCKERFILE = """\
FROM python:3.12-slim
RUN pip install --no-cache-dir "@PACKAGE@" && playwright install --with-deps chromium
# tasks and solutions that come with the package are nothing for an agent to find
RUN rm -f "$(python -c 'import lbi; print(lbi.__path__[0])')"/benchmarks/*.toml
COPY session/ @FOLDER@/
RUN install -m 755 @FOLDER@/app /usr/local/bin/app && mkdir -p /work
WORKDIR /work
"""

SOLVE = """\
#!/bin/sh
set -e
@ACTIONS@
"""

TEST = """\
#!/bin/sh
# the score of the application's state, which is 0 where nothing was done
here=$(cd "$(dirname "$0")" && pwd)
exec app score "$here/check.json" "${LBI_REWARD:-/logs/verifier/reward.txt}"
"""

TASK = """\
schema_version = "1.4"

[task]
name = {name}
description = {description}
keywords = ["learn-by-interact", {origin}]

[metadata]
origin = {origin}
category = {category}
level = {level}

[verifier]
timeout_sec = 300.0

[agent]
timeout_sec = 1800.0

[environment]
build_timeout_sec = 1800.0
cpus = 2
memory_mb = 4096
"""


def write_harbor(tasks: tuple[PackedTask, ...], config: Config, folder: Path, package: str = "") -> list[str]:
    """Write a folder for each task. Returns their names. ``package``: what pip installs in place of our release."""
    names = []
    for packed in tasks:
        write(folder / packed.name, _files(packed, config, package or f"{SOURCE}=={__version__}"))
        names.append(packed.name)
    return names


def _files(packed: PackedTask, config: Config, package: str) -> dict[str, str]:
    session = session_files(packed, config, FOLDER)
    actions = "\n".join(f"app do {shlex.quote(action)}" for action in packed.gold)
    return {
        "instruction.md": told(packed, config),
        "task.toml": TASK.format(
            name=json.dumps(f"lbi/{packed.name}"),
            description=json.dumps(packed.task.instruction[:200]),  # a TOML string, as JSON writes it
            origin=json.dumps(packed.origin),
            category=json.dumps(packed.category),
            level=packed.level,
        ),
        "environment/Dockerfile": DOCKERFILE.replace("@PACKAGE@", package).replace("@FOLDER@", FOLDER),
        **{f"environment/session/{name}": content for name, content in session.items()},
        "solution/solve.sh": SOLVE.replace("@ACTIONS@", actions),
        "tests/test.sh": TEST,
        "tests/check.json": json.dumps(packed.check, indent=2, ensure_ascii=False) + "\n",
    }
