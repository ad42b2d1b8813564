"""Sessions of Claude Code as the SDK of its makers reads them: the same instructions, calls and results as ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from claude_session import ClaudeSession, usual
from lbi.interop.events import Asked, Called, Returned
from lbi.interop.readers.claude_code import read
from lbi.interop.source import Source
from own_environments import needs_a_large_download, wheel_of
from running import environ
from test_consumers import PROGRAMS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

SDK = "claude_agent_sdk==0.2.189"  # 178 MB, as the program is in it, which is not run
ID = "3f2a0001-0000-4000-8000-000000000001"


def two_at_once() -> ClaudeSession:
    session = ClaudeSession()
    session.ask("Look at both.")
    session.reply(
        {"type": "thinking", "thinking": "Two at once."},
        {"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "a.py"}},
        {"type": "tool_use", "id": "t2", "name": "Read", "input": {"file_path": "b.py"}},
    )
    session.result("t2", "b")
    session.result("t1", "a")
    session.say("Both are read.")
    session.add("system", subtype="turn_duration")
    session.ask("<local-command-stdout>one more</local-command-stdout>", isMeta=True)
    session.ask("Thank you.")
    session.say("You are welcome.")
    return session


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_a_large_download(178)
    return wheel_of(SDK, tmp_path_factory.mktemp("sdk"))


@pytest.mark.parametrize("made", [usual, two_at_once])
def test_what_the_sdk_reads_is_what_we_read(made: Callable[[], ClaudeSession], wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "projects" / "-home-carla-shop"
    folder.mkdir(parents=True)
    file = made().write(folder / f"{ID}.jsonl")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAMS / "read_claude_session.py"), str(wheel), ID],
        capture_output=True,
        text=True,
        timeout=300,
        env=environ(PYTHONWARNINGS="ignore", CLAUDE_CONFIG_DIR=str(tmp_path), HOME=str(tmp_path)),
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    theirs: dict[str, Any] = json.loads(ran.stdout)
    events = list(read(Source(file)))
    assert theirs["typed"] == [event.text for event in events if isinstance(event, Asked)] != []
    assert theirs["calls"] == [[e.call, e.name, e.arguments] for e in events if isinstance(e, Called)] != []
    ours = {event.call: event.text for event in events if isinstance(event, Returned)}
    assert theirs["results"].keys() == ours.keys()
    assert all(theirs["results"][call].endswith(text) for call, text in ours.items()), "less the line of the exit code"
