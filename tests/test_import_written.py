"""The scripts in tests/traces write the fixtures: what the programs write now reads alike.

Each program is installed into an environment of its own, as they exclude one another. LBI_TRACE_PYTHONS names
interpreters, by colon, which are looked at before anything is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lbi.environments.web.browser import find_chromium
from lbi.errors import UserError
from own_environments import installed, needs_a_large_download, wheel_of
from running import environ
from test_import import TRACES, done, read, seen

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent / "traces"
VARIABLE = "LBI_TRACE_PYTHONS"


@dataclass(frozen=True)
class Writer:
    """A program that writes traces, and what is installed of it."""

    module: str
    script: str
    written: str
    packages: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()  # without what they need, of which the script uses little
    wheel: str = ""  # only unpacked
    python: str = sys.executable
    with_browser: bool = False  # the script takes the path of a Chromium, too
    megabytes: int = 0  # of all that is installed, if that is much

    def __str__(self) -> str:
        return self.module

    def interpreter(self, folder: Path) -> tuple[str, str]:
        """(an interpreter that can import it, what that needs as PYTHONPATH)."""
        for python in (sys.executable, *filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))):
            if has(python, self.module):
                return python, ""
        if self.megabytes:
            needs_a_large_download(self.megabytes)
        if self.wheel:
            return sys.executable, str(wheel_of(self.wheel, folder))
        return str(installed(folder / "venv", *self.packages, alone=self.alone, python=self.python)), ""


def has(python: str, module: str) -> bool:
    """Whether an interpreter can import a module."""
    code = f"import importlib.util as u; raise SystemExit(u.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def chromium_on_path() -> str:
    try:
        return find_chromium()
    except UserError:
        pytest.skip("no Chromium on PATH")


WRITERS = [
    Writer(
        "minisweagent",
        "make_mini_swe_agent.py",
        "mini-swe-agent.traj.json",
        packages=("pydantic", "jinja2", "python-dotenv", "platformdirs", "rich", "tenacity"),
        alone=("mini-swe-agent==2.4.6",),
    ),
    Writer("inspect_ai", "make_inspect.py", "inspect.eval", packages=("inspect-ai==0.3.285",)),
    Writer("openhands", "make_openhands.py", "openhands", packages=("openhands-sdk==1.58.2",), python="3.12"),
    Writer(
        "agentlab",
        "make_agentlab.py",
        "agentlab",
        # what its experiments import; with all that it wants, torch for CUDA and ray among it, it would be 262 packages
        packages=tuple(
            "gymnasium numpy pillow tqdm dataclasses-json tiktoken playwright lxml beautifulsoup4 pyparsing pandas "  # noqa: SIM905
            "openai anthropic pyyaml".split()
        ),
        alone=("agentlab==0.4.2", "browsergym-core==0.14.3", "browsergym-experiments==0.14.3"),
        python="3.12",
        with_browser=True,
        megabytes=363,
    ),
    Writer("harbor", "make_atif.py", "atif.json", wheel="harbor==0.26.0"),
    Writer(
        "opentelemetry.util.genai",
        "make_otel.py",
        "otel-console.jsonl",
        packages=(
            "opentelemetry-sdk==1.45.2",
            "opentelemetry-util-genai==1.3b0",
            "opentelemetry-exporter-otlp-proto-common==1.45.2",
        ),
    ),
]


MARKED = [pytest.param(each, marks=[pytest.mark.browser] * each.with_browser, id=str(each)) for each in WRITERS]


@pytest.mark.parametrize("writer", MARKED)
def test_a_program_still_writes_what_is_read(writer: Writer, tmp_path: Path) -> None:
    python, path = writer.interpreter(tmp_path)
    target = tmp_path / writer.written if writer.written.endswith((".traj.json", "atif.json")) else tmp_path
    chromium = [chromium_on_path()] if writer.with_browser else []
    ran = subprocess.run(
        [python, "-W", "ignore", str(SCRIPTS / writer.script), str(target), *chromium],
        env=environ(PYTHONWARNINGS="ignore", **({"PYTHONPATH": path} if path else {})),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    now, counts = read(tmp_path / writer.written)
    kept, counts_kept = read(TRACES / writer.written)
    assert [done(each) for each in now] == [done(each) for each in kept]
    assert [seen(each) for each in now] == [seen(each) for each in kept]
    assert (counts.outages, counts.unknown) == (counts_kept.outages, counts_kept.unknown)
