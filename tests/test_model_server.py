"""The test server as a process of its own, and what it does that no provider of ours asks for."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from lbi.models.registry import open_model
from lbi.models.testing.model_server import ModelServer
from lbi.protocols import Fields, Request
from lbi.records import Observation, Task

REQUEST = Request(
    role="query", fields=Fields(task=Task(instruction="Go", environment="web"), observation=Observation(text="a"))
)


async def test_the_server_runs_in_a_process_of_its_own_with_the_answers_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('"first"\n\n{"text": "then", "input_tokens": 7}\n')
    command = [sys.executable, "-m", "lbi.models.testing.model_server", "--answers", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 (nothing else runs)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        model = open_model("anthropic:any", base_url=url)
        replies = [await model.complete(REQUEST) for _ in range(3)]
        await model.close()
        process.terminate()
    assert [reply.text for reply in replies] == ["first", "then", "then"]
    assert replies[1].usage.input_tokens == 7


async def test_requests_that_need_not_be_kept_are_only_counted() -> None:
    async with ModelServer(keep=False) as server:
        model = open_model("google:any", base_url=server.google_url)
        await model.complete(REQUEST)
        await model.close()
    assert (server.requests, server.served, server.most_at_once) == ([], 1, 1)


def test_an_address_that_no_provider_has_is_404() -> None:
    command = [sys.executable, "-m", "lbi.models.testing.model_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            urllib.request.urlopen(f"{url}/v1/embeddings", data=b"{}")
        said = json.load(caught.value)
        process.terminate()
    assert said == {"error": {"message": "nothing is at /v1/embeddings"}}
