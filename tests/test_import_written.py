"""The scripts in tests/traces write the fixtures: where a program is installed, what it writes now reads alike.

LBI_TRACE_PYTHONS names interpreters of other environments, by colon, as these programs exclude one another.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from running import environ
from test_import import TRACES, done, read, seen

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parent / "traces"
VARIABLE = "LBI_TRACE_PYTHONS"


def pythons() -> list[str]:
    return [sys.executable, *filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))]


def has(python: str, module: str) -> bool:
    """Whether an interpreter can import a module."""
    code = f"import importlib.util as u; raise SystemExit(u.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("module", "script", "written"),
    [
        ("minisweagent", "make_mini_swe_agent.py", "mini-swe-agent.traj.json"),
        ("inspect_ai", "make_inspect.py", "inspect.eval"),
        ("openhands", "make_openhands.py", "openhands"),
        ("harbor", "make_atif.py", "atif.json"),
        ("opentelemetry.util.genai", "make_otel.py", "otel-console.jsonl"),
    ],
)
def test_a_program_still_writes_what_is_read(module: str, script: str, written: str, tmp_path: Path) -> None:
    python = next((each for each in pythons() if has(each, module)), "")
    if not python:
        pytest.skip(f"{module} is not installed; it wants an environment of its own, named in {VARIABLE}")
    target = tmp_path / written if written.endswith((".traj.json", "atif.json")) else tmp_path
    ran = subprocess.run(
        [python, "-W", "ignore", str(SCRIPTS / script), str(target)],
        env=environ(PYTHONWARNINGS="ignore"),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    now, counts = read(tmp_path / written)
    kept, counts_kept = read(TRACES / written)
    assert [done(each) for each in now] == [done(each) for each in kept]
    assert [seen(each) for each in now] == [seen(each) for each in kept]
    assert (counts.outages, counts.unknown) == (counts_kept.outages, counts_kept.unknown)
