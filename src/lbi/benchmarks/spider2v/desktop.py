"""The desktop of the tasks of one program: desktop.toml, with the interpreter that ``conda activate`` chooses there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

from lbi.benchmarks.spider2v import interpreters
from lbi.environments.desktop.application import Desktop, load_desktop
from lbi.environments.desktop.session import missing_packages
from lbi.sandbox.host import program as program_on_host

FILE = "desktop.toml"
BROWSER = "chromium"
#: programs of the desktop without which the tasks of a program cannot be; all have the terminal, and a browser if any
USED = {
    "excel": ("calc",),
    "jupyter": ("browser", "editor"),
    "dbt": ("editor",),
    "dagster": ("browser", "editor"),
}
CONDA = ("jupyter", "dbt", "dagster")
SHIMS_FOR_PYTHON = ".shims/python"
SHIMS = "chmod -R a+x ~/.shims/bin"  # files of the home folder begin as plain ones


def desktop_for(app: str, folders: Mapping[str, Path]) -> Desktop:
    """The desktop for the tasks of ``app``; ``folders`` are its interpreters by name. Raises UserError."""
    desktop = load_desktop(str(resources.files(__package__).joinpath(FILE)))
    used = (*USED.get(app, ()), *(["browser"] if program_on_host(BROWSER) else []), "terminal")
    envs = {f"anaconda3/envs/{name}": str(folder) for name, folder in folders.items()}
    return desktop.model_copy(
        update={
            "name": f"{desktop.name}-{app}",
            "program": tuple(each for each in desktop.program if each.name in used),
            "settings": {**desktop.settings, **envs},
            "tools": (*desktop.tools, *([BROWSER] if "browser" in used else [])),
            "show": (*desktop.show, *interpreters.shown(list(folders.values()))),
        }
    )


def packages() -> list[str]:
    """What is not installed of what the tasks of any of these programs need."""
    return list(dict.fromkeys(each for app in USED for each in missing_packages(desktop_for(app, {}))))


@cache
def lacking(app: str) -> str:
    """Which packages this machine does not have that the tasks of ``app`` need, as a reason; "" if none."""
    packages = missing_packages(desktop_for(app, {}))
    return f"needs what is not installed: {' '.join(packages)}" if packages else ""
