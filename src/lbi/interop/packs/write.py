"""What packs of every kind have: the files of a session, its command, and the words in which a task is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lbi.config import Config
from lbi.environments import actions_of
from lbi.interop.packs.session import APPLICATION
from lbi.interop.packs.tasks import PackedTask
from lbi.storage.secrets import masked

#: begins a session where there is none, and asks it
APP = """\
#!/bin/sh
# app look | app do ACTION | app score CHECK.json [REWARD.txt]
folder=${LBI_TASK:-@FOLDER@}
python=${LBI_PYTHON:-python3}
if [ ! -S "$folder/session.sock" ]; then
    "$python" -m lbi.interop.packs.session "$folder" >"$folder/session.log" 2>&1 </dev/null &
    session=$!
    while [ ! -S "$folder/session.sock" ]; do
        kill -0 "$session" 2>/dev/null || { cat "$folder/session.log" >&2; exit 2; }
        sleep 0.2
    done
fi
exec "$python" -m lbi.interop.packs.ask "$folder" "$@"
"""

TOLD = """\
{instruction}

What is open is seen and used by the command `app`:

    app look              shows it as text; [e12] is the reference of an element
    app do 'ACTION'       does something, and shows what is then open

{actions}

When it is done, `app do 'finish("")'`; where something was asked for, with the answer: `app do 'finish("42")'`.
"""


def session_files(packed: PackedTask, config: Config, folder: str) -> dict[str, str]:
    """{name: content} of what a session needs; ``folder`` is where they will lie."""
    told = masked(config.identity())
    files = {"task.json": packed.task.model_dump_json(indent=2) + "\n"}
    if (file := application_file(config)) is not None:
        files[APPLICATION] = file.read_text(encoding="utf-8")
    told = {**told, "benchmark": "", "documents": []}
    told_application = APPLICATION if APPLICATION in files else told["application"]  # found beside it
    config_json = _as_json({**told, "application": told_application})
    return {**files, "config.json": config_json, "app": APP.replace("@FOLDER@", folder)}


def application_file(config: Config) -> Path | None:
    """The file of an application that is not shipped."""
    path = Path(config.application).expanduser()
    return path if config.application and path.is_file() else None


def told(packed: PackedTask, config: Config) -> str:
    """The instruction, for an agent that has a shell."""
    return TOLD.format(instruction=packed.task.instruction, actions=actions_of(config).strip())


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        if content.startswith("#!"):
            file.chmod(0o755)


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
