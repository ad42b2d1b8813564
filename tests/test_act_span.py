"""lbi act --span: a verified example is carried out on examples/notes, in a real browser and without any model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import lbi
from lbi.config import load_config
from lbi.environments.web.environment import WebEnvironments
from lbi.records import Example, Step, Task, Tier, Trajectory
from lbi.storage.run_folder import RunFolder
from running import answer, lbi_here

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOTES = Path(__file__).parent.parent / "examples" / "notes" / "lbi.toml"
WAY = (
    """click('link "New note"')""",
    """fill('textbox "Title"', "Milk")""",
    """fill('textbox "Text"', "Two litres")""",
    """click('button "Save note"')""",
)
INSTRUCTION = 'Write a note titled "Milk" that says "Two litres"'


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asyncio.run(make_run(tmp_path_factory.mktemp("notes")))


async def make_run(folder: Path) -> Path:
    """A run folder with one walk, and examples of it: verified, as an older application had it, and not verified."""
    config = load_config(NOTES)
    environments = WebEnvironments(config.application)
    web = await environments.open()
    try:
        page = await web.reset(task := Task(instruction=INSTRUCTION, environment=environments.name))
        steps = []
        for action in WAY:
            outcome = await web.step(action)
            steps.append(Step(observation=page, action=outcome.action))
            page = outcome.observation
            assert not page.error, page.error
        walk = Trajectory(task=task, agent="explore", steps=tuple(steps), last=page, stop="done")
    finally:
        await environments.close()
    older = Trajectory.model_validate_json(walk.model_dump_json().replace("Save note", "Keep note"))
    with RunFolder(folder / "run", config.identity()) as kept:
        for number, (walked, tier) in enumerate([(walk, "replayed"), (older, "checked"), (walk, "committee")]):
            keep(kept, number, walked, tier)  # type: ignore[arg-type]
    return folder / "run"


def keep(folder: RunFolder, number: int, walk: Trajectory, tier: Tier) -> None:
    kind = "summary" if tier == "committee" else "abstract"
    example = Example(kind=kind, instruction=INSTRUCTION, trajectory=walk.id, start=0, end=len(WAY), tier=tier)
    folder.store.put("trajectory", f"0/{walk.task.id}/{number}", walk)
    folder.store.put("example", f"0/{walk.id}/{kind}/000-{len(WAY):03d}", example)


def example_of(run: Path, tier: Tier) -> str:
    with RunFolder(run, writing=False) as folder:
        [found] = [example.id for _, example in folder.store.all("example", Example) if example.tier == tier]
    return found


def test_a_span_is_carried_out_with_other_values_and_without_a_model(run: Path) -> None:
    id_ = example_of(run, "replayed")
    told = answer("act", run, "--span", id_[:8], "--set", "title=Eggs", "--set", "text=A dozen = 12", here=True)
    assert told["status"] == "finished"
    assert told["instruction"] == 'Write a note titled "Eggs" that says "A dozen = 12"'
    assert told["usage"]["calls"] == 0
    assert [step["action"] for step in told["steps"]] == [
        'click(link "New note")',
        'fill(textbox "Title", "Eggs")',
        'fill(textbox "Text", "A dozen = 12")',
        'click(button "Save note")',
        'finish("")',
    ]
    assert {each["id"] for step in told["steps"][:-1] for each in step["examples"]} == {id_}
    page = lbi.load_act(told["folder"]).trajectory.last.text
    assert "Eggs" in page
    assert "A dozen = 12" in page
    assert "Two litres" not in page


def test_where_the_page_changed_it_stops_and_the_rest_is_told(run: Path) -> None:
    values = ("--set", "title=Eggs", "--set", "text=A dozen")
    ran = lbi_here("act", run, "--span", example_of(run, "checked"), *values)
    assert ran.returncode == 1
    told = ran.stdout.partition("\nStopped after ")[2].splitlines()
    assert told[:3] == [
        '3 steps: there is no button "Keep note" on this page',
        "What is left, as the example says it:",
        '    click(button "Keep note")',
    ]
    assert 'fill(textbox "Text", "A dozen")' in ran.stdout


def test_a_program_has_a_span_carried_out_as_the_command_does(run: Path) -> None:
    seen: list[Step] = []
    done = lbi.act(
        run,
        span=example_of(run, "replayed")[:8],
        values={"title": "Salt", "text": "A pound"},
        on_step=lambda step, page: seen.append(step),
    )
    assert (done.status, done.rest, done.trajectory.usage.calls) == ("finished", (), 0)
    assert [step.action.text for step in seen] == [step.action.text for step in done.trajectory.steps]
    assert "A pound" in done.trajectory.last.text
    changed = lbi.act(run, span=example_of(run, "checked"), values={"title": "Salt", "text": "A pound"})
    assert (changed.status, [each.written for each in changed.rest]) == ("impossible", ['click(button "Keep note")'])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"values": {"title": "Salt"}}, "needs a value for text"),
        ({"values": {"colour": "red"}}, "has no parameter 'colour'"),
        ({"instruction": "Write a note"}, "an instruction and --span were given"),
    ],
)
def test_a_program_is_told_what_is_wrong_with_a_span(run: Path, asked: dict[str, object], message: str) -> None:
    with pytest.raises(lbi.UserError, match=message):
        lbi.act(run, span=example_of(run, "replayed"), **asked)  # type: ignore[arg-type]
    with pytest.raises(lbi.UserError, match="values were given without a span"):
        lbi.act(run, "Write a note", values={"title": "Salt"})


def test_a_dry_run_says_what_would_be_done_and_opens_nothing(run: Path) -> None:
    id_ = example_of(run, "replayed")
    told = answer("act", run, "--span", id_, "--set", "title=Eggs", "--set", "text=Six", "--dry-run", here=True)
    assert told["instruction"] == 'Write a note titled "Eggs" that says "Six"'
    assert told["steps"][1] == 'fill(textbox "Title", "Eggs")'
    assert not (run / "acts" / "running").exists()


@pytest.mark.parametrize(
    ("tier", "more", "message"),
    [
        ("replayed", (), "needs values for title, text (there it was --set title=Milk --set 'text=Two litres')"),
        ("replayed", ("--set", "title=Eggs"), "needs a value for text"),
        ("replayed", ("--set", "colour=red"), "has no parameter 'colour'; it has: title, text"),
        ("replayed", ("--set", "title"), '--set takes NAME=VALUE, such as name="Salt", not "title"'),
        ("replayed", ("--set", "text=a", "--set", "text=b"), "--set gives text twice"),
        ("replayed", ("Write a note",), "an instruction and --span were given"),
        ("committee", (), "cannot be run: it is not verified (tier committee)"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(run: Path, tier: Tier, more: tuple[str, ...], message: str) -> None:
    acts = set((run / "acts").glob("*"))
    ran = lbi_here("act", run, "--span", example_of(run, tier), *more)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1), ran.stderr
    assert message in ran.stderr
    assert set((run / "acts").glob("*")) == acts, "nothing was begun"


def test_an_example_that_there_is_not_is_one_line(run: Path) -> None:
    ran = lbi_here("act", run, "--span", "nowhere")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert 'has no example "nowhere"' in ran.stderr
    neither = lbi_here("act", run)
    assert (neither.returncode, "--span" in neither.stderr) == (2, True)


def test_every_step_of_a_span_that_changes_something_is_asked_about(run: Path) -> None:
    from lbi.environments import Live
    from lbi.protocols import Foreseen
    from lbi.rollouts.act import ActOptions, act
    from lbi.rollouts.learnt import Use
    from lbi.rollouts.watching import Answer

    asked: list[str] = []

    async def no(foreseen: Foreseen) -> Answer:
        asked.append(foreseen.action.written)
        return "no"

    span = example_of(run, "replayed")
    options = ActOptions(Use(live=Live()), span=span, values={"title": "Eggs", "text": "Six"})
    done = asyncio.run(act(run, "", options, confirm=no))
    assert asked == ['click(button "Save note")']
    assert done.status == "impossible"
    assert "did not allow" in done.answer
    assert [action.written for action in done.rest] == asked
    assert json.loads((done.folder / "act.json").read_text())["usage"]["calls"] == 0
