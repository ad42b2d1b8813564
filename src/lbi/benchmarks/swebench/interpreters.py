"""Virtual environments for instances, made from exact requirements by uv and cached; sandboxes see them read-only."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lbi.benchmarks.swebench.sdists import cache_folder, uv
from lbi.errors import UserError
from lbi.records import digest_of
from lbi.sandbox.beneath import Beneath
from lbi.sandbox.host import plain, run_on_host
from lbi.storage.build_once import build_once


def interpreter(requirements: Sequence[str], cache: Path | None = None) -> Path:
    """The folder of a virtual environment with these packages. Blocking, seconds the first time. Raises UserError."""
    key = digest_of([sorted(requirements), sys.version_info[:2], sys.base_prefix])
    folder = (cache or cache_folder()) / "interpreters" / key
    with build_once(folder) as empty:
        if empty is not None:
            action = f"installing {', '.join(requirements)}"
            uv("venv", "-q", "--allow-existing", "--python", sys.executable, str(folder), action=action)
            # wheels alone, as building a source archive would run its code here
            options = ("--no-build", "--link-mode", "copy", "--python", str(folder / "bin" / "python"))
            uv("pip", "install", "-q", *options, "--", *requirements, action=action)
            _compile(folder)
    return folder


def binds(folder: Path) -> tuple[Path, ...]:
    """The folders that a sandbox must show for such an environment to run: its own, and that of its Python."""
    return folder, Path(sys.base_prefix)


def prefixes(python: Path) -> tuple[Path, ...]:
    """The same folders for any interpreter, which is not run. Raises UserError where it is none."""
    folder = python.absolute().parent.parent
    try:
        with Beneath(folder) as tree:
            lines = tree.read("pyvenv.cfg").decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    said = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    is_virtual = os.path.isabs(said.get("home", ""))
    if not is_virtual:
        found = tuple(dict.fromkeys(place for place in (folder, _installation(python)) if _is_python(place)))
    else:
        home = Path(said["home"])
        places = (home.parent, _installation(home / "python3"), _installation(python))
        found = (folder, *dict.fromkeys(place for place in places if _is_python(place)))
    if not python.is_file() or len(found) < (2 if is_virtual else 1):
        raise UserError(f"{python} is not the interpreter of a Python: its standard library is not where it should be")
    return found


def _installation(python: Path) -> Path:
    return Path(os.path.realpath(python)).parent.parent


def _is_python(folder: Path) -> bool:
    """An installation of Python, and not just any folder that a repository or a data set names."""
    return folder != Path("/") and any(folder.glob("lib*/py*3*/os.py"))


def _compile(folder: Path) -> None:
    """Compile what was installed, as a sandbox cannot write to it and would compile everything at each run.

    By our own interpreter without its packages: that of the folder would run what wheels hide in .pth files.
    """
    command = [sys.executable, "-I", "-S", "-m", "compileall", "-q", "-j", "0", str(folder / "lib")]
    with contextlib.suppress(OSError):  # what does not compile here is compiled where it runs
        run_on_host(command, env=plain(), timeout=600)
