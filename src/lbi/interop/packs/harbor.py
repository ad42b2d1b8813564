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
from lbi.environments import Image
from lbi.interop.packs.tasks import Packed, PackedTask
from lbi.interop.packs.write import session_files, told, write

FOLDER = "/task"  # in the container
VERIFIED = "harbor 0.26.0, schema 1.4"
SOURCE = "learn-by-interact"  # what pip installs into the image

DOCKERFILE = """\
FROM @BASE@
@SETUP@
# tasks and solutions that come with the package are nothing for an agent to find
RUN rm -f "$(python -c 'import lbi; print(lbi.__path__[0])')"/benchmarks/*.toml
COPY session/ @FOLDER@/
RUN install -m 755 @FOLDER@/app /usr/local/bin/app && mkdir -p /work
WORKDIR /work
"""

PACKAGES = """\
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
        @PACKAGES@ \\
    && rm -rf /var/lib/apt/lists/*
"""

# beside Dockerfile, for harnesses that use Docker or Podman
COMPOSE = """\
# what is private in here is so by namespaces, which a container may not make unless it is less closely confined
services:
  main:
    security_opt:
@OPTIONS@
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
memory_mb = {memory}
"""


def write_harbor(packs: Packed, folder: Path, package: str = "") -> list[str]:
    """Write a folder for each task. Returns their names. ``package``: what pip installs in place of our release."""
    image = image_files(packs.image, package or f"{SOURCE}=={__version__}")
    for packed in packs.tasks:
        write(folder / packed.name, _files(packed, packs.config, packs.image) | image)
    return [packed.name for packed in packs.tasks]


def image_files(image: Image, package: str) -> dict[str, str]:
    """The definition of the container: {name: content}."""
    install = " && ".join([f'pip install --no-cache-dir "{package}"', *image.commands])
    packages = PACKAGES.replace("@PACKAGES@", " ".join(image.packages)) if image.packages else ""
    made = DOCKERFILE.replace("@BASE@", image.base).replace("@SETUP@", f"{packages}RUN {install}")
    files = {"environment/Dockerfile": made.replace("@FOLDER@", FOLDER)}
    if image.security:
        options = "\n".join(f"      - {option}" for option in image.security)
        files["environment/docker-compose.yaml"] = COMPOSE.replace("@OPTIONS@", options)
    return files


def _files(packed: PackedTask, config: Config, image: Image) -> dict[str, str]:
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
            memory=image.memory,
        ),
        **{f"environment/session/{name}": content for name, content in session.items()},
        "solution/solve.sh": SOLVE.replace("@ACTIONS@", actions),
        "tests/test.sh": TEST,
        "tests/check.json": json.dumps(packed.check, indent=2, ensure_ascii=False) + "\n",
    }
