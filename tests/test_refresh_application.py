"""A page of a real application changes: `lbi knowledge refresh` finds it, and settles the examples that it concerns."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lbi.storage.run_folder import RunFolder
from lbi.synthesis.examples import read_examples
from learnt_run import COUNT, LEARNT, STORE, make_run
from running import answer, lbi

pytestmark = [pytest.mark.browser, pytest.mark.slow]

STORING, COUNTING = (next(text for text, actions in LEARNT.items() if actions is way) for way in (STORE, COUNT))


def live(run: Path) -> dict[str, str]:
    """{instruction of a live example: the text of its last page but one}."""
    with RunFolder(run, writing=False) as folder:
        return {
            example.instruction: walk.observations[example.end - 1].text for example, walk in read_examples(folder, 0)
        }


def changed(run: Path, old: str, new: str) -> None:
    file = run.parent / "app" / "larder.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_page_of_the_application_changes_and_only_what_it_concerns_is_settled(tmp_path: Path) -> None:
    run = asyncio.run(make_run(tmp_path))
    same = answer("knowledge", run, "refresh")
    assert (same["pages"], same["carried_out"]) == ([], 0)

    changed(run, "<label>Name ", "<p>Nothing that spoils.</p><label>Name ")
    renewed = answer("knowledge", run, "refresh")
    assert (renewed["pages"], renewed["carried_out"], renewed["failed"]) == (["/new"], 1, 0)
    assert (len(renewed["renewed"]), renewed["retired"]) == (1, {})
    assert "Nothing that spoils." in live(run)[STORING]
    assert answer("knowledge", run, "refresh")["carried_out"] == 0

    changed(run, "<button>Store item</button>", "<button>Put away</button>")
    retired = answer("knowledge", run, "refresh")
    assert (retired["pages"], retired["carried_out"]) == (["/new"], 1)
    (why,) = retired["retired"].values()
    assert why.startswith("page /new looks different, and step 4 is no longer possible")
    assert set(live(run)) == {COUNTING}

    ran = lbi("knowledge", run)
    assert ran.returncode == 0, ran.stderr
    assert "1 of 3 items live" in ran.stdout
