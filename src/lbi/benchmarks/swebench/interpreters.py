"""Virtual environments for instances, made from exact requirements by uv and cached; sandboxes see them read-only."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from lbi.benchmarks.swebench.sdists import cache_folder, uv
from lbi.records import digest_of
from lbi.sandbox.host import plain, run_on_host
from lbi.storage.build_once import build_once


def interpreter(
    requirements: Sequence[str], cache: Path | None = None, version: str = "", overrides: Sequence[str] = ()
) -> Path:
    """The folder of a virtual environment with these packages. Blocking, seconds the first time. Raises UserError.

    ``version``: of Python, such as "3.11", which uv finds or fetches; empty = the one that runs this.
    ``overrides``: requirements in place of whatever the packages ask for.
    """
    key = digest_of([sorted(requirements), *([version] if version else [sys.version_info[:2], sys.base_prefix])])
    if overrides:
        key = digest_of([key, *overrides])
    python = version or sys.executable
    folder = (cache or cache_folder()) / "interpreters" / key
    with build_once(folder) as empty:
        if empty is not None:
            action = f"installing {', '.join(requirements)}"
            uv("venv", "-q", "--allow-existing", "--python", python, str(folder), action=action)
            # wheels alone, as building a source archive would run its code here
            options = ["--no-build", "--link-mode", "copy", "--python", str(folder / "bin" / "python")]
            if overrides:
                file = folder / "overrides.txt"
                file.write_text("\n".join(overrides), "utf-8")
                options += ["--override", str(file)]
            uv("pip", "install", "-q", *options, "--", *requirements, action=action)
            _compile(folder)
    return folder


def binds(folder: Path) -> tuple[Path, ...]:
    """The folders that a sandbox must show for such an environment to run: its own, and that of its Python."""
    return folder, Path(sys.base_prefix)


def _compile(folder: Path) -> None:
    """Compile what was installed, as a sandbox cannot write to it and would compile everything at each run.

    By our own interpreter without its packages: that of the folder would run what wheels hide in .pth files.
    """
    command = [sys.executable, "-I", "-S", "-m", "compileall", "-q", "-j", "0", str(folder / "lib")]
    with contextlib.suppress(OSError):  # what does not compile here is compiled where it runs
        run_on_host(command, env=plain(), timeout=600)
