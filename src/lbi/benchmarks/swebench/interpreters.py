"""Virtual environments for instances, made from exact requirements by uv and cached; sandboxes see them read-only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lbi.benchmarks.swebench.sdists import cache_folder, uv
from lbi.errors import UserError
from lbi.records import digest_of
from lbi.storage.build_once import build_once


def interpreter(requirements: Sequence[str], cache: Path | None = None) -> Path:
    """The folder of a virtual environment with these packages. Blocking, seconds the first time. Raises UserError."""
    key = digest_of([sorted(requirements), sys.version_info[:2], sys.base_prefix])
    folder = (cache or cache_folder()) / "interpreters" / key
    with build_once(folder) as empty:
        if empty is not None:
            action = f"installing {', '.join(requirements)}"
            uv("venv", "-q", "--allow-existing", "--python", sys.executable, str(folder), action=action)
            # compiled now, as a sandbox cannot write to it and would compile everything at each run
            options = ("--compile-bytecode", "--link-mode", "copy", "--python", str(folder / "bin" / "python"))
            uv("pip", "install", "-q", *options, *requirements, action=action)
    return folder


def binds(folder: Path) -> tuple[Path, ...]:
    """The folders that a sandbox must show for such an environment to run: its own, and that of its Python."""
    return folder, Path(sys.base_prefix)


def prefixes(python: Path) -> tuple[Path, ...]:
    """The same folders for any interpreter. Raises UserError where it does not run."""
    code = "import sys; print(sys.prefix); print(sys.base_prefix)"
    try:
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f"the interpreter {python} does not run: {error}") from None
    return tuple(Path(line) for line in dict.fromkeys(done.stdout.split("\n")) if line)
