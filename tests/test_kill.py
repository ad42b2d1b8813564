"""A few of the points of performance/kill.py: kill -9 of each kind of process costs nothing that was finished."""

from __future__ import annotations

import importlib.util
import os
import random
import resource
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from running import command, environ
from small_application import write_application

FILE = Path(__file__).parents[1] / "performance" / "kill.py"
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def kill() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["kill"] = module  # its dataclasses look for it there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def setting(kill, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kill")
    config = write_application(folder / "app")
    extra = ("--set", "evaluation.tasks=1", "--set", "synthesis.rollouts=4", "--set", "workers=2")
    return kill.Setting(config, str(folder / "cache"), folder, latency=0.02, spread=3.0, extra=extra)


@pytest.fixture(scope="module")
def expected(kill, setting):
    out, _ = kill.undisturbed(setting)
    return kill.content_of(out)


@pytest.mark.parametrize("target", ["lbi", "browser", "driver", "application", "model"])
def test_a_killed_process_costs_nothing_that_was_finished(kill, setting, expected, target):
    counts = kill.Counts()
    while counts.points < 2:
        out = kill.disturbed(setting, target, 2, random.Random(f"{target}/{counts.runs}"), counts)
        assert kill.content_of(out) == expected
    assert (counts.lost, counts.repeated, counts.errors) == (0, 0, 0), counts


def test_a_disk_that_is_full_ends_the_run_in_one_line_and_with_room_it_goes_on(kill, setting, expected, tmp_path):
    """No file of ours may grow further; with more room it is the browser that meets the limit first."""
    room = 40_000
    out = tmp_path / "out"
    with kill.served(setting, out) as (_, url):
        model = ("--model", kill.MODEL, "--base-url", f"{url}/v1", "-q")
        arguments = command("run", setting.config, "--out", out, *model, *setting.extra)

        def little_room() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

        env = environ(XDG_CACHE_HOME=setting.cache)
        ran = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=300, preexec_fn=little_room)
        assert ran.returncode == 2, ran.stderr
        (line,) = ran.stderr.strip().splitlines()
        assert "make room" in line
        assert os.path.getsize(out / "run.db") <= room
        again = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=300)
        assert again.returncode == 0, again.stderr
    assert kill.content_of(out) == expected
