"""`pipeline.py` -> the picture in docs/how-it-works.md: its stages in the order of their calls, and where each lies.

    python scripts/picture.py            # prints the picture
    python scripts/picture.py --write    # puts it into docs/how-it-works.md

So the picture cannot drift from the code: a test compares the two.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PIPELINE = ROOT / "src" / "lbi" / "pipeline.py"
PAGE = ROOT / "docs" / "how-it-works.md"
BEGIN, END = "<!-- picture: scripts/picture.py -->\n", "<!-- end of the picture -->"
#: functions of pipeline.py that hold stages, and what a reader calls them
PARTS = {"learn_by_interact": "once", "synthesize": "for each seed: learn", "measure": "for each seed: measure"}
LAST = "for each seed: sum up"
#: where belongs what learn_by_interact calls after one of the other two
AFTER = {"synthesize": PARTS["measure"], "measure": LAST}
#: what no stage is: it joins stages, or looks into the folder
NO_STAGES = {"run_stages", "stored_documents", "stored_tasks", "Task", "list"}


class Stage(NamedTuple):
    name: str
    module: str
    note: str  # the comment beside the call


def stages_of(source: str) -> dict[str, list[Stage]]:
    """Title of a group -> its stages, in the order in which they are called."""
    tree, lines = ast.parse(source), source.splitlines()
    modules = {
        alias.asname or alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    functions = {node.name: node for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}
    groups: dict[str, list[Stage]] = {title: [] for title in (*PARTS.values(), LAST)}
    for part, title in PARTS.items():
        for line, name in sorted(_calls(functions[part])):
            if name in PARTS:
                title = AFTER[name]
            elif name not in NO_STAGES and modules.get(name, "").startswith("lbi."):
                groups[title].append(Stage(name, modules[name], lines[line - 1].partition("  # ")[2]))
    return groups


def _calls(function: ast.AsyncFunctionDef) -> Iterator[tuple[int, str]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.lineno, node.func.id


def picture(source: str) -> str:
    """A Mermaid flowchart."""
    lines = ["```mermaid", "flowchart TB"]
    previous = ""
    for number, (title, stages) in enumerate(stages_of(source).items()):
        lines.append(f'  subgraph group{number} ["{title}"]')
        for stage in stages:
            file = stage.module.removeprefix("lbi.").replace(".", "/") + ".py"
            note = f"<br/>{stage.note}" if stage.note else ""
            lines.append(f'    {stage.name}["<b>{stage.name}</b><br/>{file}{note}"]')
        lines.append("  end")
        for stage in stages:
            lines += [f"  {previous} --> {stage.name}"] if previous else []
            previous = stage.name
    return "\n".join([*lines, "```"]) + "\n"


def main() -> int:
    drawn = picture(PIPELINE.read_text("utf-8"))
    if "--write" not in sys.argv:
        print(drawn, end="")
        return 0
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(before + BEGIN + drawn + END + rest.partition(END)[2], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
