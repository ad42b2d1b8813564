"""Synthesis without documentation: tasks are proposed from the pages that a look around found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbi.cli.plan import show_plan
from lbi.cli.run import carry_out
from lbi.config import load_config
from lbi.errors import UserError
from lbi.records import Document, Example, Observation, Task
from lbi.storage.run_folder import RunFolder
from test_reproduce import QUIET, config

__all__ = ["config"]


def seeded(config: Path, **more: object) -> object:
    return load_config(config, {"synthesis.seeding": "environment", **more})


def test_tasks_are_proposed_from_pages_and_no_document_is_read(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    carry_out(seeded(config), out, "synthesis", QUIET)  # type: ignore[arg-type]
    with RunFolder(out, writing=False) as folder:
        documents = [document for _, document in folder.store.all("document", Document)]
        pages = [page for _, page in folder.store.all("page", Observation)]
        tasks = [task for _, task in folder.store.all("task", Task)]
        examples = [example for _, example in folder.store.all("example", Example)]
    assert [document.title for document in documents] == [page.title for page in pages]
    assert "[e" not in documents[0].text
    assert tasks
    assert {task.document for task in tasks} <= {document.id for document in documents}
    assert examples


def test_a_plan_counts_pages_in_place_of_sections(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show_plan(seeded(config, **{"synthesis.map_pages": 5}), tmp_path / "run", "", as_json=True)  # type: ignore[arg-type]
    assert json.loads(capsys.readouterr().out)["sections"] == 5


def test_without_pages_it_is_told(config: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"set synthesis\.map_pages above 0"):
        carry_out(seeded(config, **{"synthesis.map_pages": 0}), tmp_path / "run", "synthesis", QUIET)  # type: ignore[arg-type]
