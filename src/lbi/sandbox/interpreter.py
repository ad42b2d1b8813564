"""An interpreter of Python -> the folders that a sandbox must show for it to run; it is not run to find out."""

from __future__ import annotations

import os
from pathlib import Path

from lbi.errors import UserError
from lbi.sandbox.beneath import Beneath


def prefixes(python: Path) -> tuple[Path, ...]:
    """The folder of a virtual environment, and that of its Python. Raises UserError where it is none."""
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
