"""init: address and documentation of one's own application -> lbi.toml and a template for held-out tasks, checked."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from lbi.cli import open_console
from lbi.cli.check import elements
from lbi.cli.plan import enough
from lbi.config import Config, load_config
from lbi.documents.corpus import DocumentSource, read_corpus
from lbi.environments import open_environments
from lbi.errors import EnvironmentFailure, UserError
from lbi.monitoring.terminal import say
from lbi.records import Task
from lbi.report.words import sections
from lbi.storage.files import write_atomically
from lbi.storage.names import address_problem, without_password

EXAMPLE = "anthropic:claude-sonnet-4-5"  # the language model in the commands that are suggested
CONFIG = """# {name}: learns from its documentation, by interaction. `lbi run {file} --dry-run` says what that costs.
name = "{name}"

# The site as it runs. Use a copy that may be changed: attempts fill in forms and press buttons, and a site that lbi
# does not start itself cannot be put back between two attempts. At the end of this file is how lbi starts it itself.
url = "{url}"

# Your own held-out tasks, with a check each: see {tasks}. Without them, tasks of held-out documents stand in, which a
# model judges; the offline model cannot, so without a language model nothing is measured then.
# benchmark = "{tasks}"

seeds = [0]
workers = 2

{documents}
[models]
# "offline" needs no key and is no language model. For one: "anthropic:NAME", "openai:NAME", "google:NAME" with the key
# in ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY, or "openai:NAME" with base_url for a server of your own.
default = "offline"
# base_url = "http://localhost:8000/v1"
# budget = 20.0   # US dollars; the run stops before more is spent. With --dry-run, lbi says how much is enough

# The following keep a first run cheap. To go on with more, raise rollouts or tasks and run the same command again.
[synthesis]
rollouts = 30           # attempts to learn from
compose = 8             # joined examples that are replayed

[labelling]
spans = "informative"   # a few labels of each attempt; "all" costs several times as much

[evaluation]
tasks = 20              # held-out tasks; 0 = all

# [[evaluation.arms]]   # without any, all seven are measured; two of them alone cost less than a third:
# name = "baseline"
# agent = "react"
# [[evaluation.arms]]
# name = "backward"
# agent = "icl"
# data = "backward"

# How lbi can start the application itself, so that every attempt begins with the same state: put the lines below into
# a file application.toml without their comment signs, write application = "application.toml" at the top of this file
# instead of the url, and try it with `lbi check application application.toml`. All keys are in docs/applications.md.
#
# name = "{name}"
# requirements = ["my-application==1.0"]     # from PyPI, into a virtual environment of the application's own
# start = ["{{python}}", "-m", "my_application", "--data", "{{state}}", "--port", "{{port}}"]
# start_url = "/"
#
# [prepare]                                  # makes the pristine state once, in the folder {{state}}
# script = '''
# import pathlib
# pathlib.Path("settings.ini").write_text("demo = yes")
# '''
#
# [state]
# database = "data.db"                       # the SQLite file that SQL checks of tasks read
#
# [login]                                    # only if there is one; ${{NAME}} comes from the environment
# form = {{ url = "/login", steps = ['fill(textbox "Password", "${{MY_PASSWORD}}")', 'click(button "Sign in")'] }}
"""
DOCUMENTS = """[[documents]]
path = "{path}"
"""
TASKS = """# Held-out tasks on {name}: what the agent is measured on. The format is explained in docs/formats.md.
# Take the comment signs away, write your own, and set benchmark = "{file}" in the config.
name = "{name}-tasks"

# [[task]]
# name = "create-item"            # unique
# category = "items"              # for the report
# level = 1                       # 1 easy, 2, 3 hard
# instruction = 'Create an item called "Door is stuck".'
# gold = [                        # optional: actions that solve it
#     'goto("/items/new")',
#     'fill(textbox "Name", "Door is stuck")',
#     'click(button "Save")',
#     'finish("")',
# ]
# [task.check]                    # every condition that is given must hold
# shows = ["Door is stuck"]       # on the final page
# # url = "^/items/"              # regular expression on the final path and query
# # answer = ["42"]               # contained in the answer the agent gives
# # sql = "SELECT count(*) FROM item WHERE name = 'Door is stuck'"   # for an application that lbi starts
# # equals = "1"
# # command = ["python", "check.py"]   # exits with 0; for an application that lbi starts
"""


def init(url: str, docs: list[str], out: Path, tasks: Path | None, force: bool) -> int:
    """Nothing is written before all three checks have passed."""
    template = tasks or out.with_name("tasks.toml")
    for file in (out, template):
        if file.exists() and not force:
            raise UserError(f"{file} is there already; choose another --out, or replace it with --force")
    address = _address(url)
    name = re.sub(r"[^a-z0-9]+", "-", urlsplit(address).netloc.lower()).strip("-")
    sources = [_source(each) for each in docs]
    corpus = read_corpus([DocumentSource(path=source) for source in sources])
    for skipped in corpus.skipped:
        say(f"skipped {skipped.source}: {skipped.reason}")
    if not corpus.documents:
        raise UserError(
            f"no document could be read from {', '.join(docs)}; name Markdown, HTML, text or reStructuredText"
        )
    files = len({document.source for document in corpus.documents})
    say(f"documents: {sections(len(corpus.documents), files)} read from {', '.join(docs)}")
    say(f"site: {asyncio.run(_look(address))}")
    _write(out, template, name, address, sources)
    priced = load_config(out, {"models.default": EXAMPLE})
    _say_what_next(out, template, asyncio.run(enough(priced, corpus.documents)))
    return 0


def _address(url: str) -> str:
    shown = without_password(url)
    if shown == url and (problem := address_problem(url)):
        raise UserError(
            f'--url takes the address of a site that runs, such as http://localhost:3000, not "{url}": {problem}'
        )
    if shown != url:
        raise UserError("--url holds a password; leave it out and describe the log-in in an application file")
    return url.rstrip("/")


def _source(path: str) -> str:
    if "://" not in path and not Path(path).expanduser().exists():
        raise UserError(f"--docs names {path}, which is not there; give a file, a folder or an address")
    return path


async def _look(address: str) -> str:
    """Open the page as a run will, and say what is on it."""
    environments = open_environments(Config(url=address), lambda png: "")
    try:
        environment = await environments.open()
        seen = await environment.reset(Task(instruction="", environment=environments.name))
    except EnvironmentFailure as error:
        raise UserError(f"{address} does not answer in the browser: {error}; start the application first") from error
    finally:
        await environments.close()
    usable = elements(seen.text)
    if not usable:
        raise UserError(f"{address} shows no element that could be used; is it the page that a user begins with?")
    return f'"{seen.title}" at {address} shows {usable} elements that can be used'


def _write(out: Path, template: Path, name: str, address: str, sources: list[str]) -> None:
    documents = "\n".join(DOCUMENTS.format(path=_quoted(_from(out, source))) for source in sources)
    config = CONFIG.format(
        name=name,
        file=out.name,
        url=_quoted(address),
        tasks=_from(out, str(template)),
        documents=documents,
    )
    for file, text in ((out, config), (template, TASKS.format(name=name, file=_from(out, str(template))))):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, text.encode())
        except OSError as error:
            raise UserError(f"cannot write {file}: {error.strerror or error}; choose another --out") from None
    load_config(out)  # what was written is what a run reads


def _from(out: Path, source: str) -> str:
    """A path as the config names it: from the folder of the config."""
    if "://" in source:
        return source
    path, folder = Path(os.path.realpath(Path(source).expanduser())), out.resolve().parent
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _say_what_next(out: Path, template: Path, budget: int) -> None:
    """``budget`` is what a run with the model EXAMPLE should need, in US dollars; 0 = no price is known."""
    config = shlex.quote(str(out))
    spend = f" --budget {budget}usd" if budget else ""
    steps = {
        f"lbi run {config}": "offline, without a key: shows that everything works",
        f"lbi run {config} --model {EXAMPLE} --dry-run": "what a language model would cost",
        f"lbi run {config} --model {EXAMPLE}{spend}": "with a language model",
    }
    console = open_console()
    console.print(f"\nWritten: {out} (the config) and {template} (a template for held-out tasks of your own).")
    console.print(
        "Attempts press buttons and fill in forms: let them work on a copy of the site that may be changed.\n"
    )
    for command, purpose in steps.items():
        console.print(f"{purpose}:\n  {command}", soft_wrap=True, markup=False, highlight=False)
