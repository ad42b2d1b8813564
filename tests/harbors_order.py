"""What Harbor does in a container of a task, in its order, on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from running import environ

#: what root may do in a container of Docker's, if nothing else is said
DOCKERS = """
chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw
sys_chroot mknod audit_write setfcap
"""


def as_in_docker() -> list[str]:
    """The beginning of a command line that has no more capabilities than root in such a container."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return []
    return ["setpriv", "--bounding-set", ",".join(["-all", *(f"+{name}" for name in DOCKERS.split())])]


def rewards_of(folder: Path, place: Path, before: list[str] | None = None) -> dict[str, str]:
    """The reward of a task's folder where nothing was done, and where its solution was carried out."""
    rewards = {}
    for what in ("nothing", "oracle"):
        here = place / what
        shutil.copytree(folder / "environment" / "session", here / "task")
        (here / "bin").mkdir()
        shutil.copy(here / "task" / "app", here / "bin" / "app")
        more = {"LBI_TASK": str(here / "task"), "LBI_PYTHON": sys.executable, "LBI_REWARD": str(here / "reward.txt")}
        known = environ(**more, PATH=f"{here / 'bin'}:/usr/bin:/bin")
        scripts = [folder / "solution" / "solve.sh"] if what == "oracle" else []
        for script in (*scripts, folder / "tests" / "test.sh"):
            command = [*(before or []), str(script)]
            ran = subprocess.run(command, capture_output=True, text=True, timeout=600, env=known)
            assert ran.returncode == 0, ran.stdout + ran.stderr
        rewards[what] = (here / "reward.txt").read_text().strip()
        (here / "task" / "session.sock").unlink()  # ends it
    return rewards
