"""WebArena-Infinity (web-arena-x): single-page applications with tasks and their own verifiers, from a checkout.

Nothing of it is shipped. Server, pages, tasks, verifiers and manuals are read where the checkout lies; the server runs
unchanged, for each worker on a copy of the pages without tasks and verifiers, and reachable on this machine only.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

from lbi.environments.web.install import default_cache
from lbi.errors import UserError
from lbi.evaluation.benchmark import Benchmark, load_benchmark
from lbi.records import digest_of
from lbi.storage.toml import TomlError, parse_toml

#: what the pages do not need: tasks, verifiers and what tests them
LEFT_OUT = re.compile(r".*-tasks(?:\.json)?|sanity_check.*|results|Dockerfile|.*\.md|__pycache__|\..*")
LINK = re.compile(r"\]\(([^)#\s:]+\.md)(?:#[^)\s]*)?\)")
VERIFY = "verify.py"
#: what the suite got wrong, by application and task
FAULTS = {("xero-invoicing", "task_m20"): "scores 1 when nothing is done"}
APPLICATION = """\
# Of a checkout of WebArena-Infinity; written anew by every `lbi run`.
name = {name}
description = {description}
requirements = {requirements}
start = ["{{python}}", "{{loopback}}", "{{state}}/server.py", "--port", "{{port}}"]
health = "/"
start_url = "/"

[prepare]
copy = {copy}

[state]
reset_request = "POST /api/reset"
digest_url = "/api/state"

[policy]
# of all documents only the application's page: no state, no task, no verifier; its scripts ask for what they want
allow_urls = ['^/(index\\.html)?($|[?#])']

[checks]
# verifiers run in a sandbox, and see these beside the state
show = {show}
"""
DOCUMENT = """
[[documents]]
path = {path}
format = "markdown"
"""
TASKS = """\
name = {name}
application = "application.toml"

[from_json]
file = {file}
name = "{{id}}"
instruction = "{{instruction}}"
category = "{{difficulty}}"
level = "{{difficulty}}"
levels = {{ easy = 1, medium = 2, hard = 3, hardening = 3 }}
gold = {gold}

[from_json.check]
command = ["{{python}}", {verify}, {checkout}, "{{verify}}", "{{url}}"]
"""
CONFIG = """\
name = {name}
application = "application.toml"
benchmark = "tasks.toml"
"""


def load(selection: str = "", checkout: str = "") -> Benchmark:
    """The tasks of the application ``selection`` of a checkout. Raises UserError."""
    folder = _written(selection, checkout)
    benchmark = load_benchmark(str(folder / "tasks.toml"))
    tasks = [task.model_copy(update={"faulty": FAULTS.get((selection, task.name), "")}) for task in benchmark.task]
    return benchmark.model_copy(update={"application": str(folder / "application.toml"), "task": tuple(tasks)})


def config(selection: str, checkout: str) -> dict[str, Any]:
    """The application alone; all else is as for any other."""
    return {"application": str(_written(selection, checkout) / "application.toml")}


def _written(name: str, checkout: str) -> Path:
    """The folder with the files of one application, written anew."""
    if not name or not checkout:
        raise UserError("webarena-infinity:APPLICATION needs --checkout FOLDER, where the suite lies that you fetched")
    if not Path(checkout).is_dir():
        raise UserError(f"--checkout {checkout} is no folder")
    folder = default_cache().with_name("benchmarks") / f"webarena-infinity-{name}-{digest_of(checkout)}"
    return write(name, Path(checkout), folder).parent


def members(checkout: Path) -> tuple[str, ...]:
    """The applications of a checkout."""
    return tuple(sorted(file.parent.name for file in checkout.glob("apps/*/real-tasks.json")))


def write(name: str, checkout: Path, folder: Path) -> Path:
    """The files of one application, in ``folder``; returns its config. Raises UserError for what is not there."""
    checkout = checkout.expanduser().resolve()
    place = checkout / "apps" / name
    if not (place / "server.py").is_file() or name not in members(checkout):
        known = ", ".join(members(checkout)) or "none; it has no apps/NAME/real-tasks.json"
        raise UserError(f"{checkout} has no application {name!r}; there are: {known}")
    pages = [str(path) for path in sorted(place.iterdir()) if not LEFT_OUT.fullmatch(path.name)]
    values = {
        "name": _toml(name.lower()),
        "description": _toml(_described(place)),
        "requirements": _toml(["requests"] if _asks_by_requests(place) else []),
        "copy": _toml(pages),
        "show": _toml([_verify(), str(place)]),
    }
    manual = "".join(DOCUMENT.format(path=_toml(str(path))) for path in manual_of(name, checkout))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "application.toml").write_text(APPLICATION.format(**values) + manual, "utf-8")
    gold = folder / "gold.json"
    gold.write_text(json.dumps(gold_of(name), indent=1, ensure_ascii=False), "utf-8")
    tasks = TASKS.format(
        name=_toml(name),
        file=_toml(str(place / "real-tasks.json")),
        gold=_toml(str(gold.resolve())),
        verify=_toml(_verify()),
        checkout=_toml(str(place)),
    )
    (folder / "tasks.toml").write_text(tasks, "utf-8")
    config = folder / "lbi.toml"
    config.write_text(CONFIG.format(name=_toml(f"webarena-infinity-{name}")), "utf-8")
    return config


def _verify() -> str:
    return str(Path(str(resources.files(__package__) / VERIFY)))


def gold_of(name: str) -> dict[str, list[str]]:
    """Our own solutions of an application's tasks, in grounded actions, by the task's id."""
    file = resources.files(__package__) / "gold" / f"{name}.toml"
    try:
        return dict(parse_toml(file.read_text("utf-8"))) if file.is_file() else {}
    except TomlError as error:
        raise UserError(f"{file}: {error}") from None


def manual_of(name: str, checkout: Path) -> list[Path]:
    """The application's manual: what the suite's manifest names, and the pages that a single page leads to.

    Without a manifest: the folder of the product, and in it the one of the part, such as ``gmail/compose-and-send``.
    """
    named = _named_manual(name, checkout)
    if named is None:
        product, _, part = name.partition("-")
        folder = checkout / "apps" / "user-manuals" / product
        named = folder / part if part and (folder / part).is_dir() else folder
    if not named.is_file():
        return [named] if named.is_dir() else []
    links = [(named.parent / link).resolve() for link in LINK.findall(named.read_text("utf-8", "replace"))]
    return list(dict.fromkeys([named, *(page for page in links if page.is_file())]))


def _named_manual(name: str, checkout: Path) -> Path | None:
    manifest = checkout / "infra" / "env_manifest.jsonl"
    if not manifest.is_file():
        return None
    for line in manifest.read_text("utf-8").splitlines():
        row = json.loads(line) if line.strip() else {}
        if row.get("env_id") == name and row.get("docs_path"):
            path = checkout / row["docs_path"]
            return path if path.exists() else None
    return None


def _described(place: Path) -> str:
    file = place / "APP_DESCRIPTION.md"
    lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
    text = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return text.strip()[:300]


def _asks_by_requests(place: Path) -> bool:
    """Whether the verifiers need the package that the authors' do."""
    return any("import requests" in file.read_text("utf-8", "replace") for file in place.glob("real-tasks/*.py"))


def _toml(value: str | list[str]) -> str:
    """As a TOML value, which a JSON string or array of strings is too."""
    return json.dumps(value, ensure_ascii=False)
