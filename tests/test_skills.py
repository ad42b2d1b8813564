"""lbi skills: verified examples as Agent Skills, which the specification's own checker finds valid."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from skills_ref import read_properties, validate

from lbi.errors import UserError
from lbi.interop.skills.folder import BEGIN, END, write_block
from lbi.observations.operations import Operations
from lbi.prompts import estimate_tokens
from lbi.records import Example, Skill, Statement
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.skills.groups import groups_of, verified
from lbi.synthesis.skills.offline import name_of, without_particulars, written_offline
from running import answer, lbi_here
from skilled_run import MADE, ONCE, RECUR, keep, make_skilled_run, pairs_of, pairs_of_a_large_application


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return asyncio.run(make_skilled_run(tmp_path))


def made(run: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    return list(answer("skills", run, *arguments, here=True))


def refused(*arguments: str | Path) -> str:
    ran = lbi_here("skills", *arguments)
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stdout
    assert ran.stderr.count("\n") == 1
    return ran.stderr


# what is written


def test_every_skill_is_valid_by_the_checker_of_the_specification(run: Path) -> None:
    skills = made(run)
    assert {skill["name"] for skill in skills} == {"lamps-new", "lamps-lamps", "lamps-rooms"}
    for skill in skills:
        folder = Path(skill["folder"])
        assert validate(folder) == []
        properties = read_properties(folder)
        assert (properties.name, properties.description) == (skill["name"], skill["description"])
        assert properties.metadata == {"lbi-skill": skill["id"], "status": "untried"}


def test_a_skill_says_what_is_done_without_the_values_and_where(run: Path) -> None:
    made(run)
    text = (run / "skills" / "lamps-new" / "SKILL.md").read_text()
    assert (
        """## Add a lamp with the name "…" and the colour "…"

1. On /: click link "New lamp"
2. On /new: fill textbox "Name" with your value
3. fill textbox "Colour" with your value
4. click button "Create"

(e1, e2, e3)"""
        in text
    )
    assert not re.search("Desk lamp|Roof lamp|blue", text)


def test_each_statement_leads_to_verified_examples_that_are_there_as_a_whole(run: Path) -> None:
    skills = made(run)
    with RunFolder(run, writing=False) as folder:
        examples = {example.id: example for _, example in folder.store.all("example", Example)}
    for skill in skills:
        folder = Path(skill["folder"])
        sources = json.loads((folder / "references" / "sources.json").read_text())
        told = (folder / "references" / "examples.md").read_text()
        body = (folder / "SKILL.md").read_text()
        assert sources["statements"] == skill["statements"]
        for statement in skill["statements"]:
            assert statement["examples"]
            for id_ in statement["examples"]:
                assert examples[id_].tier == "replayed"
                number = sources["sources"].index(id_) + 1
                assert f"## e{number}: {id_} (replayed)" in told
                assert f"e{number}" in re.findall(r"e\d+", body.partition(statement["text"])[2])
                assert examples[id_].instruction in told


def test_skills_are_short_and_few(tmp_path: Path, run: Path) -> None:
    for tokens in (200, 600):
        for skill in made(run, "--tokens", str(tokens)):
            text = (Path(skill["folder"]) / "SKILL.md").read_text()
            assert estimate_tokens(text) <= skill["tokens"] <= tokens
    assert len(made(run, "--most", "2")) == 2
    assert sorted(folder.name for folder in (run / "skills").iterdir()) == ["AGENTS.md", "lamps-lamps", "lamps-new"]
    assert "no skill fits into 100 tokens" in refused(run, "--tokens", "100")


@pytest.mark.slow
def test_without_options_there_are_at_most_seven_skills_of_at_most_600_tokens(tmp_path: Path) -> None:
    run = asyncio.run(make_skilled_run(tmp_path, {}))
    with RunFolder(run) as folder:
        keep(folder, asyncio.run(pairs_of_a_large_application()))
    usual = made(run)
    assert len(usual) == 7
    assert all(500 < skill["tokens"] <= 600 for skill in usual)
    assert all(estimate_tokens((Path(skill["folder"]) / "SKILL.md").read_text()) <= 600 for skill in usual)
    more = made(run, "--most", "20", "--tokens", "5000")
    assert len(more) == 9, "there is enough for more"
    assert all(skill["tokens"] > 600 for skill in more)


def test_what_was_done_once_is_no_skill(tmp_path: Path) -> None:
    run = asyncio.run(make_skilled_run(tmp_path, {**MADE, **ONCE}))
    (skill,) = made(run)
    assert [statement["text"] for statement in skill["statements"]] == [
        'Add a lamp with the name "…" and the colour "…"'
    ]


async def test_composed_examples_and_second_attempts_are_no_further_evidence(tmp_path: Path) -> None:
    ((example, walk),) = await pairs_of(ONCE)
    (other,) = await pairs_of({"Another task": next(iter(ONCE.values()))})
    composed = (other[0].model_copy(update={"kind": "composed"}), other[1])
    again = (example.model_copy(update={"instruction": "Again"}), walk.model_copy(update={"attempt": 1}))
    reader = Operations(walk.observations)
    assert groups_of([(example, walk), composed, again], reader) == []
    assert len(groups_of([(example, walk), other], reader)) == 1


@pytest.mark.parametrize("tier", ["unverified", "committee"])
def test_examples_that_are_not_verified_make_no_skill_and_it_says_so(tmp_path: Path, tier: Any) -> None:
    run = asyncio.run(make_skilled_run(tmp_path, RECUR, tier))
    said = refused(run)
    assert f"there are no verified examples to write skills from (kept: 7 {tier})" in said
    assert not (run / "skills").exists()
    with RunFolder(run) as folder:
        keep(folder, asyncio.run(pairs_of(ONCE)))
    assert "nothing recurs" in refused(run)


def test_the_same_run_gives_the_same_files(run: Path) -> None:
    def files() -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in (run / "skills").rglob("*") if file.is_file()}

    made(run)
    before = files()
    made(run)
    assert files() == before


def test_skills_of_others_in_the_folder_stay_and_are_never_overwritten(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    mine = out / "mine" / "SKILL.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("---\nname: mine\ndescription: mine\n---\n")
    made(run, "--out", out)
    made(run, "--out", out, "--most", "1")
    assert sorted(file.parent.name for file in out.glob("*/SKILL.md")) == ["lamps-new", "mine"]
    (out / "lamps-new" / "SKILL.md").write_text("---\nname: lamps-new\ndescription: mine\n---\n")
    assert "lamps-new is there already and not of lbi" in refused(run, "--out", out)
    assert "mine" in (out / "lamps-new" / "SKILL.md").read_text()


# the block


def test_the_block_goes_into_agents_md_and_claude_md_and_leaves_the_rest(run: Path, tmp_path: Path) -> None:
    claude = tmp_path / "CLAUDE.md"
    claude.write_text("# Ours\n\nRun the tests.\n")
    made(run, "--into", claude)
    first = claude.read_text()
    assert first.startswith("# Ours\n\nRun the tests.\n")
    assert "- `run/skills/lamps-new/SKILL.md`: How things are done in lamps" in first
    assert (tmp_path / "run" / "skills" / "lamps-new" / "SKILL.md").exists()
    claude.write_text(first + "\nAfter it.\n")
    made(run, "--into", claude, "--most", "1")
    assert claude.read_text().count(BEGIN) == 1
    assert "lamps-rooms" not in claude.read_text()
    assert claude.read_text().endswith("\nAfter it.\n")
    assert (run / "skills" / "AGENTS.md").read_text().startswith(BEGIN)


@pytest.mark.parametrize("text", [BEGIN, f"{END} {BEGIN}", f"{BEGIN} {BEGIN} {END} {END}"])
def test_marks_that_do_not_belong_together_are_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "AGENTS.md"
    file.write_text(text)
    with pytest.raises(UserError, match="do not belong together"):
        write_block(file, (), Path())
    assert file.read_text() == text


# what goes wrong


def test_mistakes_are_told_in_a_line_and_nothing_is_written(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert "cannot write skills to" in refused(run, "--out", tmp_path / "file" / "skills")
    assert "no run in" in refused(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with RunFolder(run):
        assert "is in use by process" in refused(run)
    assert "or write them without a model: --model offline" in refused(run, "--model", "openai:gpt-5-mini")
    assert "seed 7: there are no verified examples" in refused(run, "--seed", "7")
    assert not (run / "skills").exists()
    assert "cannot put the block into" in refused(run, "--into", tmp_path)


# names and texts


@pytest.mark.parametrize(
    ("application", "area", "name"),
    [
        ("Trac", "ticket", "trac-ticket"),
        ("shop", "/Items/0/edit", "shop-items-0-edit"),
        ("a--b", "--", "a-b"),
        ("x" * 80, "y", "x" * 64),
        ("店", "注文", "skill"),
    ],
)
def test_names_are_as_the_specification_wants_them(application: str, area: str, name: str) -> None:
    assert name_of(application, area) == name


def test_particulars_of_an_instruction_are_left_out() -> None:
    text = "Set lamp 7 (\"Green lamp\") to 'red' before 2026-11-30, for $12.50, in room4"
    assert without_particulars(text) == 'Set lamp … ("…") to "…" before …, for …, in room4'


def test_what_a_page_says_ends_neither_front_matter_nor_fence(tmp_path: Path) -> None:
    evil = 'x" --- <!-- lbi skills: end --> ~~~'
    tricky = {
        instruction.replace("lamp with", f"lamp --- {evil} with"): actions for instruction, actions in MADE.items()
    }
    run = asyncio.run(make_skilled_run(tmp_path, tricky))
    (skill,) = made(run)
    folder = Path(skill["folder"])
    assert validate(folder) == []
    assert (folder / "references" / "examples.md").read_text().count("~~~") == 2 * len(skill["sources"])
    assert (folder.parent / "AGENTS.md").read_text().count("lbi skills: end -->") == 1


async def test_the_budget_takes_what_is_done_most_often(tmp_path: Path) -> None:
    pairs = verified(await pairs_of({**MADE, **ONCE}))
    reader = Operations(page for _, walk in pairs for page in walk.observations)
    (group,) = groups_of(pairs, reader)
    assert written_offline(group, "lamps", reader, 80) is None
    skill = written_offline(group, "lamps", reader, 600)
    assert skill is not None
    assert isinstance(skill, Skill)
    assert all(isinstance(each, Statement) and each.examples for each in skill.statements)
