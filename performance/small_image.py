"""Makes a container image from this machine's own programs, without a registry: bash, coreutils, find, grep, tar.

    python performance/small_image.py [--engine podman] [--name localhost/lbi-test]

For performance/sandbox.py, and for tests/test_sandbox.py, which uses localhost/lbi-test if an engine has it.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

NAME = "localhost/lbi-test"
PROGRAMS = (
    *("bash", "cat", "chmod", "cp", "dirname", "du", "echo", "env", "find", "grep", "head", "kill", "ln", "ls"),
    *("mkdir", "mv", "pwd", "rm", "seq", "sh", "sleep", "tail", "tar", "test", "touch", "true", "wc"),
)
#: mount points of a container whose own root is read-only
FOLDERS = ("dev", "etc", "proc", "sys", "tmp", "home/agent", "repo", "lbi", "lbi-source", "usr/bin")


def libraries(program: Path) -> set[str]:
    """Paths of the shared libraries that a program loads, including the loader."""
    printed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return set(re.findall(r"(/\S+)(?= \(0x)", printed))


def packed() -> bytes:
    """A tar archive of the root folder."""
    programs = [Path(path) for name in PROGRAMS if (path := shutil.which(name))]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in FOLDERS:
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        link = tarfile.TarInfo("bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        tar.addfile(link)
        for program in programs:
            tar.add(program.resolve(), f"usr/bin/{program.name}")
        for library in sorted(set().union(*map(libraries, programs))):
            tar.add(Path(library).resolve(), library.lstrip("/"))
    return archive.getvalue()


def build(engine: str, name: str = NAME) -> bool:
    """Make the image, unless the engine has one of that name. Whether it has one now; nothing is downloaded."""
    if shutil.which(engine) is None:
        return False
    if subprocess.run([engine, "image", "inspect", name], capture_output=True).returncode == 0:
        return True
    return subprocess.run([engine, "import", "-", name], input=packed(), capture_output=True).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="podman")
    parser.add_argument("--name", default=NAME)
    options = parser.parse_args()
    if not build(options.engine, options.name):
        raise SystemExit(f"{options.engine} is not installed, or made no image")
    print(f"{options.engine} has {options.name}")


if __name__ == "__main__":
    main()
