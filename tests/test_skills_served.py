"""Skills of a run in `lbi serve`: read as resources, counted, and left out where their examples are gone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextResourceContents

from lbi.interop.server.added import Adder
from lbi.interop.server.finder import Finder
from lbi.interop.server.requests import CHAT
from lbi.interop.server.serve import stale_skills
from lbi.interop.server.served import Served
from lbi.interop.server.tools import experience_server
from lbi.rollouts.learnt import Use
from running import answer, lbi_here
from served_run import opened
from skilled_run import make_skilled_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = asyncio.run(make_skilled_run(tmp_path_factory.mktemp("skilled")))
    ran = lbi_here("skills", run)
    assert ran.returncode == 0, ran.stderr
    return run


@pytest.fixture(scope="module")
def finder(run: Path) -> Iterator[Finder]:
    with opened(run) as finder:
        yield finder


async def read(client: Client, uri: str) -> str:
    (content,) = (await client.read_resource(uri)).contents
    assert isinstance(content, TextResourceContents)
    return content.text


async def reported(client: Client, *ids: str) -> dict[str, Any]:
    result = await client.call_tool("report_outcome", {"ids": list(ids), "success": True, "evidence": "it is there"})
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content


async def test_a_client_reads_a_skill_and_says_how_it_went_and_both_are_counted(run: Path, finder: Finder) -> None:
    served = Served(run / "served")
    (skill,) = [
        each for each in (await asyncio.to_thread(answer, "skills", run, here=True)) if each["name"] == "lamps-new"
    ]
    item = f"skill:lamps-new:{skill['id']}"
    async with Client(experience_server(finder, served, run / "skills")) as client:
        uris = {str(each.uri) for each in (await client.list_resources()).resources}
        assert "skill://lamps-new/references/examples.md" in uris
        told = await read(client, "skill://lamps-new/SKILL.md")
        assert told == (run / "skills" / "lamps-new" / "SKILL.md").read_text()
        await read(client, "skill://lamps-new/references/examples.md")
        assert await reported(client, "lamps-new", "lamps-none") == {"kept": 1, "unknown": ["lamps-none"]}
        assert (await reported(client, "skill://lamps-new/SKILL.md", "lamps-new"))["kept"] == 1
    assert served.uses()[item] == {"shown": 1, "succeeded": 2, "failed": 0}
    assert lbi_here("knowledge", run, "update").returncode == 0
    (counted,) = [
        each for each in (await asyncio.to_thread(answer, "knowledge", run, here=True))["items"] if each["item"] == item
    ]
    assert counted["uses"] == {"shown": 1, "helped": 0, "hurt": 0, "succeeded": 2, "failed": 0}


async def test_a_skill_whose_examples_are_gone_is_left_out_with_one_line(run: Path, tmp_path: Path) -> None:
    example = (await asyncio.to_thread(answer, "skills", run, here=True))[0]
    gone = example["statements"][0]["examples"][0]
    assert lbi_here("knowledge", run, "retire", gone).returncode == 0
    with opened(run) as finder:
        (line,) = stale_skills(run / "skills", finder)
        assert f"skills/{example['name']} is left out: its examples are gone ({gone})" in line
        assert "`lbi skills" in line
        async with Client(experience_server(finder, Served(tmp_path), run / "skills")) as client:
            uris = {str(each.uri) for each in (await client.list_resources()).resources}
    assert not any(example["name"] in uri for uri in uris)
    assert any(uri.startswith("skill://") for uri in uris), "the others stay"
    assert lbi_here("knowledge", run, "restore", gone).returncode == 0


@pytest.mark.parametrize(("tokens", "told"), [(None, True), (100, False)])
async def test_by_an_arm_with_skills_requests_get_them_whole_and_they_are_counted(
    run: Path, tokens: int | None, told: bool
) -> None:
    finder = Finder(run, Use(arm="examples + skill"))
    await asyncio.to_thread(finder.open)
    try:
        adder = Adder(finder, tokens)
        wish = 'Add a lamp with the name "Reading lamp" and the colour "brass"'
        tools = [{"type": "function", "function": {"name": "click"}}]
        body = json.dumps({"messages": [{"role": "user", "content": wish}], "tools": tools})
        added = await adder.added(body.encode(), CHAT)
    finally:
        await asyncio.to_thread(finder.close)
    text = added.body.decode()
    assert ("SKILLS that may help" in text) is told
    assert ('fill textbox \\"Colour\\" with your value\\n4. click button' in text) is told
    assert any(item.startswith("skill:lamps-new:") for item in added.ids) is told
    if told:
        assert any(not item.startswith("skill:") for item in added.ids), "the examples are there, too"
        assert "ADDITIONAL INFORMATION" in text
