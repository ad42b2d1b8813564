"""What installed packages say of themselves -> documents: help texts of commands, read-me files, a page's own menus.

`dbt snapshot --help` -> "# dbt snapshot", "Use `dbt snapshot` to execute snapshots ...", and a line for each option
"""

from __future__ import annotations

import json
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lbi.benchmarks.spider2v.desktop import CONDA, SHIMS_FOR_PYTHON, desktop_for
from lbi.benchmarks.spider2v.environment import Spider2VEnvironments
from lbi.benchmarks.spider2v.interpreters import shown
from lbi.benchmarks.swebench.sdists import cache_folder
from lbi.documents.corpus import DocumentSource
from lbi.environments.desktop.home import make_home
from lbi.errors import EnvironmentFailure
from lbi.records import digest_of
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.protocol import WORKDIR
from lbi.storage.build_once import build_once

#: where a program defines its commands, all of which are asked in one process; or commands that are asked one by one
GROUPS = {"dbt": "dbt.cli.main:cli", "dagster": "dagster._cli:cli"}
COMMANDS = {
    "jupyter": (
        "jupyter lab",
        "jupyter server list",
        "jupyter kernelspec list",
        "jupyter kernelspec install",
        "jupyter kernelspec remove",
        "jupyter nbconvert",
    )
}
#: prints the help text of a command and of all below it
TELL = """
import click, importlib, sys
place, name = sys.argv[1:]
module, _, attribute = place.partition(":")
def tell(command, context):
    print(chr(30) + context.command_path)
    print(command.get_help(context))
    for below in sorted(getattr(command, "commands", {})):
        each = command.commands[below]
        if not each.hidden:
            tell(each, click.Context(each, info_name=below, parent=context))
group = getattr(importlib.import_module(module), attribute)
tell(group, click.Context(group, info_name=name, terminal_width=300, max_content_width=300))
"""
#: files of a package that are read as they are
FILES = {
    "dbt": ("dbt/include/starter_project/README.md", "dbt/include/global_project/docs/overview.md"),
    "dagster": ("dagster/_generate/templates/PROJECT_NAME_PLACEHOLDER/README.md",),
}
#: what a page in the browser says of its menus and keys
SCHEMAS = {"jupyter": "share/jupyter/lab/schemas/@jupyterlab"}
SPREADSHEET = "/usr/share/libreoffice/help/en-US/text/scalc/guide"
FILE = "commands.md"
FORM = 2  # of what is kept, so that what an earlier version kept is made anew
MARK = "\x1e"
SECONDS = 600.0
_OPTION = re.compile(r"^ {1,6}(-\S.*?)(?: {2,}(.*))?$")
_USAGE = re.compile(r"\s*usage:\s*(.+?)\s*\n\s*(.+)", re.IGNORECASE)
_LEFT_OUT = re.compile(r"\s*\[[^\]]*\](?:\.\.\.)?")  # of a usage, what may be left out
_NO_VERB = ("a", "an", "the", "options", "commands")


async def manuals_of(environments: Spider2VEnvironments) -> tuple[DocumentSource, ...]:
    """Raises EnvironmentFailure where a program of the chosen tasks cannot be installed."""
    found: list[DocumentSource] = []
    for app in environments.apps:
        if app in CONDA:
            found += await _of(app, await environments.made(app))
        elif Path(SPREADSHEET).exists():
            found.append(DocumentSource(path=SPREADSHEET, title="Calc", licence="MPL-2.0"))
    return tuple(found)


async def _of(app: str, folder: Path) -> list[DocumentSource]:
    found = [
        DocumentSource(path=str(path), title=app)
        for name in FILES.get(app, ())
        for path in folder.glob(f"lib/python3*/site-packages/{name}")
    ]
    if app in SCHEMAS:
        pages = "\n\n".join(_schemas(folder / SCHEMAS[app]))
        found.append(DocumentSource(text=pages, title=f"Menus and keys of {app}", format="markdown"))
    if commands := await _kept(app, folder):
        found.append(DocumentSource(text=commands, title=f"Commands of {app}", format="markdown"))
    return found


async def _kept(app: str, folder: Path) -> str:
    """The help texts as sections; a program is asked for its own once, as its answers take seconds."""
    script = _script(app)
    place = cache_folder() / "manuals" / f"{app}-{folder.name}-{digest_of([script, FORM])}"
    with build_once(place) as empty:
        if empty is not None:
            pages = [_help_page(command, text) for command, text in await _help_texts(script, folder)]
            (place / FILE).write_text("\n\n".join(pages), "utf-8")
    return (place / FILE).read_text("utf-8")


def _script(app: str) -> str:
    if app in GROUPS:
        return shlex.join(["python", "-c", TELL, GROUPS[app], app])
    return "\n".join(f"printf '\\036%s\\n' {shlex.quote(each)}; {each} --help" for each in COMMANDS[app])


async def _help_texts(script: str, folder: Path) -> list[tuple[str, str]]:
    """(command, help text), told by the programs in a sandbox with the stand-ins of the desktop."""
    script = f"export PATH={shlex.quote(str(folder / 'bin'))}:$PATH COLUMNS=300 NO_COLOR=1\nexec 2>/dev/null\n{script}"
    with tempfile.TemporaryDirectory(prefix="lbi-manuals-") as scratch:
        make_home(desktop_for("", {}), Path(scratch))
        binds = [Path(path) for path in shown([folder])]
        async with open_sandbox(
            Path(scratch), binds=binds, env={"PYTHONPATH": f"{WORKDIR}/{SHIMS_FOR_PYTHON}"}
        ) as sandbox:
            done = await sandbox.run(script, wall_seconds=SECONDS)
    if done.ended != "exited":
        raise EnvironmentFailure(f"the programs of {folder} do not tell their help: {done.ended}", kind="sandbox")
    parts = done.output.split(MARK)[1:]
    return [(command, text) for command, _, text in (part.partition("\n") for part in parts) if text.strip()]


def _help_page(command: str, text: str) -> str:
    """A help text as a section: a sentence on how it is used for what, and a line for each option."""
    told, kept = _as_sentence(text), [f"# {command}", ""]
    lines = told.strip().splitlines()
    for line in lines:
        option = _OPTION.match(line)
        if option:
            kept.append(f"- `{option[1].strip()}` {(option[2] or '').strip()}".rstrip())
        elif line.startswith("      ") and kept[-1].startswith("- "):
            kept[-1] += f" {line.strip()}"
        elif not set(line.strip()) <= set("-="):
            kept += ["", line.strip()] if kept[-1].startswith("- ") else [line.strip()]
    return "\n".join(kept)


def _as_sentence(text: str) -> str:
    """The usage and what it is for as one sentence, as whoever reads of a command is to see how it is called."""
    if not (told := _USAGE.match(text)) or told[2].split()[0].strip(":").lower() in _NO_VERB:
        return text
    purpose = told[2][0].lower() + told[2][1:]
    return f"Use `{_LEFT_OUT.sub('', told[1])}` to {purpose}{text[told.end() :]}"


def _schemas(folder: Path) -> Iterator[str]:
    """A section for each menu, whose entries are said by several files, and for the keys of each part."""
    schemas = [json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*/*.json"))]
    entries: dict[str, list[str]] = {}
    for menu in (each for schema in schemas for each in schema.get("jupyter.lab.menus", {}).get("main", ())):
        name = str(menu.get("id", "")).rpartition("-")[2].title()
        commands = [str(item.get("command", "")) for item in menu.get("items", ())]
        entries.setdefault(name, []).extend(_words(each) for each in commands if each)
    for name, said in entries.items():
        lines = [f"- Choose {name}, then {words.title()}." for words in dict.fromkeys(said)]
        if lines:
            yield "\n".join([f"# The menu {name}", "", *lines])
    for schema in schemas:
        if lines := list(_keys(schema)):
            yield "\n".join([f"# Keys of {schema.get('title', 'the page')}", "", *lines])


def _keys(schema: Mapping[str, Any]) -> Iterator[str]:
    for each in schema.get("jupyter.lab.shortcuts", ()):
        keys = "+".join(" ".join(each.get("keys", ())).replace("Accel", "Control").split())
        yield f"- Press {keys} to {_words(str(each.get('command', '')))}."


def _words(command: str) -> str:
    """``notebook:run-all-above`` -> run all above"""
    return command.rpartition(":")[2].replace("-", " ")
