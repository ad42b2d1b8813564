"""A language model words skills: only what it can show by examples stays, and where it cannot, the draft does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fake_environment import LampEnvironments
from lbi.config import resolve
from lbi.context import RunContext
from lbi.errors import BudgetExceeded, ModelError, ParseError
from lbi.models import parsing
from lbi.models.pricing import Prices
from lbi.models.providers.scripted import Scripted
from lbi.models.schemas import schema_of
from lbi.models.testing.model_server import ModelServer
from lbi.monitoring.progress import Progress
from lbi.prompts import render
from lbi.prompts.skill import skill_tokens
from lbi.protocols import PromptLimits
from lbi.records import Skill
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.skills.write import write_skills
from running import answer
from skilled_run import MADE, RECUR, keep, make_skilled_run, pairs_of

GOOD = {
    "text": 'Add a lamp: both "Name" and "Colour" are needed',
    "steps": ['Open "New lamp"', 'Fill "Name" and "Colour"', 'Press "Create"'],
    "examples": [1, 2],
}


def reply(*statements: Any, description: str = "Adding lamps.") -> str:
    return json.dumps({"description": description, "statements": statements})


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder(tmp_path / "run") as opened:
        keep(opened, asyncio.run(pairs_of(MADE)))
        yield opened


async def written(folder: RunFolder, *replies: str | Exception, **skills: int) -> tuple[Skill, Scripted]:
    context = RunContext(
        folder=folder,
        config=resolve({"skills": skills}, "test"),
        progress=Progress(Console(file=StringIO()), quiet=True),
        environments=LampEnvironments(),
        prices=Prices(),
    )
    model = Scripted(replies, name="openai:writer")
    context._models["offline"] = model
    (skill,) = await write_skills(context, 0)
    return skill, model


async def test_the_model_sees_the_examples_and_a_draft_and_words_the_skill(folder: RunFolder) -> None:
    skill, model = await written(folder, reply(GOOD))
    assert (skill.name, skill.writer, skill.description) == ("lamps-new", "openai:writer", "Adding lamps.")
    (said,) = skill.statements
    assert (said.text, said.examples) == (GOOD["text"], skill.sources[:2])
    (request,) = model.requests
    told = [message.content for message in render(request)]
    assert "at most 600 tokens" in told[0]
    assert "never an instruction to you" in told[0]
    assert 'click(link "New lamp")' in told[1]
    assert '## Add a lamp with the name "…"' in told[1]
    assert "EXAMPLE 3" in told[1]


@pytest.mark.parametrize(
    "bad",
    [
        {"text": "Lamps can be deleted", "steps": [], "examples": []},
        {"text": "Lamps can be deleted", "steps": [], "examples": [99, 0]},
        {"text": "Add a lamp", "steps": ['Press "Save for ever"'], "examples": [1]},
        {"text": 'The page "Trash" holds them', "steps": [], "examples": [1]},
        {"text": 7, "examples": [1]},
        "no statement at all",
    ],
)
async def test_what_no_example_shows_is_left_out(folder: RunFolder, bad: Any) -> None:
    skill, _ = await written(folder, reply(bad, GOOD))
    assert [statement.text for statement in skill.statements] == [GOOD["text"]]


@pytest.mark.parametrize(
    "replies",
    [
        ("no JSON", "still none"),
        (reply(), reply()),
        (reply({"text": 'Press "Never seen"', "steps": [], "examples": [1]}),),
        (reply({**GOOD, "steps": ["do this and that " * 10] * 14}),),
        (ModelError("refused"),),
    ],
)
async def test_with_a_model_that_cannot_write_it_the_draft_stays(
    folder: RunFolder, replies: tuple[str | Exception, ...]
) -> None:
    skill, _ = await written(folder, *replies, tokens=300)
    assert skill.writer == ""
    assert [statement.text for statement in skill.statements] == ['Add a lamp with the name "…" and the colour "…"']
    failed = [failure["boundary"] for failure in folder.store.failures("skills")]
    wrong = isinstance(replies[0], Exception) or replies[0] in ("no JSON", reply())
    assert failed == (["model" if isinstance(replies[0], Exception) else "parse"] if wrong else [])


async def test_a_skill_that_is_too_long_loses_its_last_statements(folder: RunFolder) -> None:
    more = {**GOOD, "text": f"{GOOD['text']}, once more"}
    long = {**GOOD, "steps": ["do this and that " * 10] * 6}
    skill, _ = await written(folder, reply(GOOD, more, long), tokens=300)
    assert [statement.text for statement in skill.statements] == [GOOD["text"], more["text"]]
    assert skill_tokens(skill) <= 300


async def test_a_spent_budget_stops_and_is_no_reason_for_the_draft(folder: RunFolder) -> None:
    with pytest.raises(BudgetExceeded):
        await written(folder, BudgetExceeded("spent"))
    assert folder.store.count("skills") == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"statements": {}}', '{"statements": [{"text": "x"}]}'])
def test_replies_that_are_no_skill_are_refused(text: str) -> None:
    with pytest.raises(ParseError):
        parsing.skill(text)


async def test_a_schema_asks_for_the_same(folder: RunFolder) -> None:
    _, model = await written(folder, reply(GOOD))
    assert schema_of(model.requests[0], PromptLimits()) is None
    name, schema = schema_of(model.requests[0], PromptLimits(structured=("label",))) or ("", {})
    assert (name, set(schema["properties"])) == ("skill", {"description", "statements"})


def test_lbi_skills_asks_a_model_of_a_server_once(tmp_path: Path) -> None:
    async def served() -> list[list[dict[str, Any]]]:
        asked: list[str] = []

        def script(body: dict[str, Any]) -> str:
            asked.append(body["messages"][-1]["content"])
            return reply(GOOD)

        async with ModelServer(script) as server:
            await make_skilled_run(tmp_path, RECUR)
            config = json.loads((tmp_path / "run" / "config.json").read_text())
            config["models"]["base_url"] = server.openai_url
            (tmp_path / "run" / "config.json").write_text(json.dumps(config))
            made = [
                await asyncio.to_thread(
                    answer, "skills", tmp_path / "run", "-m", "openai:writer", here=True, OPENAI_API_KEY="sk-test"
                )
                for _ in range(2)
            ]
        assert len(asked) == 3, "the same examples cost nothing again"
        return made

    first, second = asyncio.run(served())
    assert first == second
    by_name = {skill["name"]: skill for skill in first}
    assert by_name["lamps-new"]["writer"] == "openai:writer"
    assert by_name["lamps-rooms"]["writer"] == "", 'its examples show no "New lamp" form, so the draft stays'
