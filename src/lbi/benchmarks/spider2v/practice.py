"""What a desktop begins with where no task is given, so that nothing of the held-out tasks is learnt on."""

from __future__ import annotations

import json
from typing import Any

_CONDA = "source /home/user/anaconda3/etc/profile.d/conda.sh"
#: as JupyterLab itself would write it, so that it saves the same when it saves by itself
_CELL: dict[str, Any] = {
    "cell_type": "code",
    "execution_count": None,
    "id": "first",
    "metadata": {},
    "outputs": [],
    "source": ["1 + 1"],
}
_LANGUAGE = {
    "codemirror_mode": {"name": "ipython", "version": 3},
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
    "version": "3.11.0",
}
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_NOTEBOOK = json.dumps(
    {
        "cells": [_CELL],
        "metadata": {"kernelspec": _KERNEL, "language_info": _LANGUAGE},
        "nbformat": 4,
        "nbformat_minor": 5,
    },
    indent=1,
    sort_keys=True,
)
_PROFILE = "practice: {target: dev, outputs: {dev: {type: duckdb, path: practice.duckdb}}}"


def _bash(script: str) -> dict[str, Any]:
    return {"type": "execute", "parameters": {"command": ["bash", "-c", script]}}


def _shell(name: str) -> str:
    return f"echo '{_CONDA}; conda activate {name}' >> ~/.bashrc; {_CONDA}; conda activate {name}"


#: the programs' own first projects: one that `dbt init` makes, one that `dagster project scaffold` makes, a notebook
STEPS: dict[str, list[dict[str, Any]]] = {
    "excel": [{"type": "launch", "parameters": {"command": ["soffice", "--calc", "--norestore", "--nologo"]}}],
    "jupyter": [
        _bash(f"{_shell('jupyter')}; printf '%s\\n' '{_NOTEBOOK}' > ~/Desktop/practice.ipynb"),
        {"type": "google_chrome_browser", "parameters": {}},
        {
            "type": "launch",
            "parameters": {
                "command": [
                    "bash",
                    "-c",
                    f"{_CONDA} && conda activate jupyter && jupyter lab /home/user/Desktop/practice.ipynb",
                ]
            },
        },
    ],
    "dbt": [
        _bash(
            f"{_shell('dbt')}; mkdir -p ~/.dbt ~/projects; echo '{_PROFILE}' > ~/.dbt/profiles.yml; cd ~/projects; "
            "dbt init --skip-profile-setup practice"
        ),
        {
            "type": "launch",
            "parameters": {"command": ["gnome-terminal", "--working-directory=/home/user/projects/practice"]},
        },
    ],
    "dagster": [
        _bash(f"{_shell('dagster')}; mkdir -p ~/projects; cd ~/projects; dagster project scaffold --name practice"),
        {
            "type": "launch",
            "parameters": {"command": ["gnome-terminal", "--working-directory=/home/user/projects/practice"]},
        },
    ],
}
