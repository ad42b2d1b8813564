"""A run that pays: over the wire to a model server, stopped by its budget, continued with more, and looked into."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lbi.models.testing.model_server import Answer, ModelServer
from lbi.records import Example
from lbi.storage.run_folder import RunFolder
from running import lbi
from small_application import write_application

pytestmark = [pytest.mark.browser, pytest.mark.slow]

USED = {"input_tokens": 1000, "cached_tokens": 400, "output_tokens": 5000}
COST = (1000 + 5000) / 1e6  # at a dollar for a million tokens; the user's price knows no cheaper ones


def labeller(asked: dict[str, Any]) -> Answer:
    """Labels each span that the last message asks for."""
    question = asked["messages"][-1]["content"]
    found = re.search(r"from page to page: ([\d, -]+)", question)
    spans = re.findall(r"\d+-\d+", found[1]) if found else []
    said = json.dumps({span: f"Do what leads from {span}" for span in spans}) if spans else "Do it"
    return Answer(said, **USED)


def examples(out: Path) -> dict[str, Example]:
    with RunFolder(out, writing=False) as folder:
        return dict(folder.store.all("example", Example))


async def test_a_run_stopped_by_its_budget_goes_on_with_more_and_pays_for_nothing_twice(tmp_path: Path) -> None:
    config = write_application(tmp_path / "app")
    async with ModelServer(labeller) as server:

        async def synthesize(out: str, *more: str) -> subprocess.CompletedProcess[str]:
            models = ("models.label=openai:mine", f"models.base_url={server.openai_url}", "labelling.together=1")
            price = 'models.prices={"openai:mine"=[1.0, 1.0]}'
            settings = [part for one in (*models, price, "synthesis.compose=0") for part in ("-s", one)]
            arguments = ("synthesize", config, "--out", tmp_path / out, "-q", "--json", *settings, *more)
            return await asyncio.to_thread(lbi, *arguments, XDG_CACHE_HOME=str(tmp_path / "cache"))

        whole = await synthesize("whole")
        assert whole.returncode == 0, whole.stderr
        sent = [json.dumps(asked["messages"]) for asked in server.requests]
        assert len(sent) == len(set(sent)) > 4

        server.requests.clear()
        stopped = await synthesize("part", "--budget", "0.02")
        assert stopped.returncode == 3, stopped.stderr
        assert "the budget of 0.02 USD is used up" in stopped.stderr
        assert 0 < len(server.requests) < len(sent)
        assert len(server.requests) * COST <= 0.02
        before = len(server.requests)

        done = await synthesize("part", "--budget", "1usd")
        assert done.returncode == 0, done.stderr
        assert sorted(json.dumps(asked["messages"]) for asked in server.requests) == sorted(sent)
        assert before < len(server.requests)
    assert examples(tmp_path / "part") == examples(tmp_path / "whole")

    found = json.loads(done.stdout)
    assert found["money"] == pytest.approx(len(sent) * COST)
    (stage,) = [row for row in found["stages"] if row["stage"] == "label/abstract"]
    assert (stage["calls"], stage["cached_tokens"]) == (len(sent), 400 * len(sent))
    assert found["per_kept_example"]["money"] == pytest.approx(found["money"] / found["per_kept_example"]["examples"])
    assert [(price["model"], price["input"]) for price in found["prices"]] == [("openai:mine", 1.0)]
    listed = json.loads(lbi("calls", tmp_path / "part", "--stage", "label", "--json").stdout)
    assert listed["total"]["calls"] == len(sent)
    shown = json.loads(lbi("calls", tmp_path / "part", listed["calls"][0]["id"], "--json").stdout)
    assert "PAGE 0" in shown["messages"][1]["content"]
    assert "Do " in shown["reply"]
