"""Records: identity, copies, grounded actions."""

from __future__ import annotations

from lbi.records import Action, Example, Observation, Step, Task, Trajectory, Usage, Verdict


def _trajectory(count: int) -> Trajectory:
    click = Action(text="click(e1)", kind="click")
    steps = tuple(Step(observation=Observation(text=f"page {n}"), action=click) for n in range(count))
    task = Task(instruction="go", environment="desk")
    return Trajectory(task=task, agent="react", steps=steps, last=Observation(text="end"), stop="done")


def test_a_changed_copy_does_not_keep_what_was_computed_from_the_original() -> None:
    whole = _trajectory(3)
    assert (len(whole.observations), len(whole.actions)) == (4, 3)
    before = whole.id
    part = whole.model_copy(update={"steps": whole.steps[:1]})
    assert (len(part.observations), len(part.actions)) == (2, 1)
    assert part.id != before


def test_verdicts_are_no_part_of_an_examples_identity() -> None:
    example = Example(kind="abstract", instruction="open it", trajectory="t", start=0, end=1)
    judged = example.model_copy(update={"verdicts": (Verdict(filter="loop", keep=False),), "tier": "replayed"})
    assert judged.id == example.id
    assert not judged.kept
    assert example.model_copy(update={"instruction": "close it"}).id != example.id


def test_grounded_actions_name_what_they_hit() -> None:
    click = Action(text="click(e7)", kind="click", role="button", name='Say "hi"', nth=2)
    assert click.grounded == 'click(\'button "Say \\\\"hi\\\\"" #2\')'
    assert click.written == 'click(3rd button "Say \\"hi\\"")', "as prompts explain actions"
    friend = Action(text="click(e3)", kind="click", role="link", name="Marta's")
    assert friend.written == 'click(link "Marta\'s")'
    assert Action(text="goto(/x)", kind="goto", value="/x").grounded == 'goto("/x")'
    assert Action(text="back()", kind="back").grounded == "back()"
    assert Action(text="what?").grounded == "what?"


def test_tokens_written_to_a_cache_are_said_only_where_there_are_some() -> None:
    """A trajectory's id holds its usage, so it must not change for calls that a version before did not tell apart."""
    plain, written = Usage(calls=1, input_tokens=5), Usage(calls=1, input_tokens=5, written_tokens=3)
    assert "written_tokens" not in plain.model_dump()
    assert Usage.model_validate_json(written.model_dump_json()) == written
    assert plain.id != written.id
