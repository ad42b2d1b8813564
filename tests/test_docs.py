"""docs/: the picture is of the code as it is, and every snippet is a file that works."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import picture  # noqa: E402


def test_the_picture_is_of_the_pipeline_as_it_is() -> None:
    drawn = picture.picture(picture.PIPELINE.read_text("utf-8"))
    page = picture.PAGE.read_text("utf-8")
    assert picture.BEGIN + drawn + picture.END in page, "run scripts/picture.py --write"


def test_the_picture_shows_the_stages_of_the_paper_in_their_order() -> None:
    names = re.findall(r"<b>(\w+)</b>", picture.picture(picture.PIPELINE.read_text("utf-8")))
    wanted = ["propose_tasks", "roll_out", "label", "verify", "compose", "index_examples", "evaluate"]
    assert [name for name in names if name in wanted] == wanted


def test_links_between_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"
