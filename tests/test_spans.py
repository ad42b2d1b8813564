"""Examples as spans: which can be run, their parameters, and where a page is another than in the example."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_notes import NEW, NOTES, SAVE, NotesEnvironment, title, walk
from lbi.agents import AgentParts, open_agent
from lbi.errors import UserError
from lbi.models.local.bounds import bounded
from lbi.models.providers.scripted import Scripted
from lbi.models.schemas import schema_of
from lbi.prompts import render
from lbi.protocols import Agent, Fields, Outcome, PromptLimits, Request
from lbi.records import Action, Example, Observation, Step, Task, Tier, Trajectory, Verdict
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.span_steps import PageChanged, SpanUnderWay, startable
from lbi.retrieval.spans import (
    SPAN_ACTION,
    ExecutableSpan,
    executable,
    find_span,
    read_span_call,
    why_not_executable,
)
from lbi.rollouts.loop import rollout
from lbi.synthesis.backward import all_spans

TASK = Task(instruction="Make a note with the title Beans", environment="desk")
FORM_LINES = ('heading "New item"', 'group "Properties"', '  textbox "Name:" [e1]', '  button "Save" [e2]')
FORM = "\n".join(["URL: /new", *FORM_LINES, 'link "Help" [e3]'])
ACTIONS = (
    Action(text="click(e9)", kind="click", role="link", name="Salt"),
    Action(text="fill(e1)", kind="fill", role="textbox", name="Name:", value="Sea salt, 2 kg"),
    Action(text="select(e4)", kind="select", role="combobox", name="Shelf", value="bottom"),
    Action(text="click(e2)", kind="click", role="button", name="Save"),
)


def pair(
    instruction: str, *actions: Action, tier: Tier = "replayed", page: str = FORM, last: str = ""
) -> tuple[Example, Trajectory]:
    before = Observation(text=page, url="/new")
    steps = tuple(Step(observation=before, action=action) for action in actions)
    end = Observation(text=last or page, url="/new")
    trajectory = Trajectory(task=TASK, agent="explore", steps=steps, last=end, stop="done")
    example = Example(
        kind="abstract", instruction=instruction, trajectory=trajectory.id, start=0, end=len(actions), tier=tier
    )
    return example, trajectory


def parameters(instruction: str, *actions: Action) -> dict[str, str]:
    return {each.name: each.value for each in ExecutableSpan(*pair(instruction, *actions)).parameters}


def test_parameters_are_the_values_that_the_instruction_names_and_the_actions_repeat() -> None:
    named = 'Rename the item "Salt" to "Sea salt, 2 kg" on the shelf bottom, as "Save" says, not "Pepper"'
    assert parameters(named, *ACTIONS) == {"item": "Salt", "name": "Sea salt, 2 kg", "shelf": "bottom"}
    assert parameters("Rename the item", *ACTIONS) == {}, "what the instruction does not name stays as it is"
    assert parameters("Put it on the bottommost shelf", *ACTIONS) == {}, "a part of a word is no value"
    address = Action(text="", kind="goto", value="/wiki/Old%20plan?version=0")
    assert parameters('Open the page "Old plan"', address) == {"page": "Old plan"}
    two = (ACTIONS[1], ACTIONS[1].model_copy(update={"value": "Pepper"}))
    assert parameters('Name it "Sea salt, 2 kg", then "Pepper"', *two) == {"name": "Sea salt, 2 kg", "name_2": "Pepper"}


def test_new_values_take_the_place_of_the_old_ones_in_actions_addresses_and_words() -> None:
    address = Action(text="", kind="goto", value="/wiki/Old%20plan?version=0")
    span = ExecutableSpan(*pair('Rename "Old plan" to "Sea salt, 2 kg"', address, ACTIONS[1])).with_values(
        {"rename": "New & better", "name": "Old plan"}
    )
    assert [action.grounded for action in span.actions] == [
        'goto("/wiki/New%20%26%20better?version=0")',
        """fill('textbox "Name:"', "Old plan")""",
    ]
    assert span.instruction == 'Rename "New & better" to "Old plan"', "a new value is not replaced again"


def test_a_call_is_read_with_its_values() -> None:
    assert read_span_call('span("3f2a91c0", name="Sea salt, (2)", shelf="top")') == (
        "3f2a91c0",
        {"name": "Sea salt, (2)", "shelf": "top"},
    )
    for wrong in ("span()", 'span("a", "b")', "click(e1)"):
        with pytest.raises(ValueError, match="by its id"):
            read_span_call(wrong)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"tier": "committee"}, "not verified (tier committee)"),
        ({"verdicts": (Verdict(filter="loop", keep=False, reason="a loop"),)}, "a filter dropped it"),
    ],
)
def test_what_is_not_verified_or_not_kept_cannot_be_run(changed: dict[str, object], why: str) -> None:
    example, trajectory = pair("Save it", *ACTIONS)
    assert why_not_executable(example, trajectory) == ""
    other = example.model_copy(update=changed)
    assert why in why_not_executable(other, trajectory)
    assert executable(other, trajectory) is None
    with pytest.raises(UserError, match="cannot be run"):
        find_span([(other, trajectory)], other.id, "RUN")


def test_commands_and_the_end_of_an_episode_cannot_be_run() -> None:
    commands = pair("List files", Action(text='run("ls")', kind="run"))
    assert "works by commands (run)" in why_not_executable(*commands)
    assert why_not_executable(*pair("Say it", Action(text="", kind="finish"))) == "it ends an episode"
    assert "masked" in why_not_executable(*pair("Log in", ACTIONS[1].model_copy(update={"value": "••••"})))


# pages


def page(*lines: str, url: str = "/new") -> Observation:
    return Observation(text="\n".join([f"URL: {url}", *lines]), url=url)


def saving() -> SpanUnderWay:
    return SpanUnderWay(ExecutableSpan(*pair("Save it", ACTIONS[3])).with_values({}))


def test_an_element_is_found_in_its_own_form_and_not_in_another() -> None:
    assert saving().next_action(page(*FORM.split("\n")[1:])) == """click('button "Save"')"""
    search = ('heading "Search"', 'textbox "Words" [e1]', 'button "Save" [e2]')
    here = ('heading "New item"', 'group "Properties"', '  textbox "Name:" [e3]', '  button "Save" [e4]')
    assert saving().next_action(page(*search, *here)) == """click('button "Save" #1')"""
    with pytest.raises(PageChanged, match="stands elsewhere"):
        saving().next_action(page(*search, url="/search"))
    with pytest.raises(PageChanged, match='there is no button "Save" on this page'):
        saving().next_action(page('heading "New item"', 'textbox "Name:" [e3]'))


def test_the_page_after_the_last_step_is_looked_at_too() -> None:
    after = saving().after_step()
    after.check_end(page(url="/new?ok=1"))
    with pytest.raises(PageChanged, match="led to /error"):
        after.check_end(page(url="/error"))
    with pytest.raises(PageChanged, match="too long"):
        after.check_end(page().model_copy(update={"error": "the name is too long"}))


def test_a_span_begins_where_its_first_element_is() -> None:
    span = ExecutableSpan(*pair("Save it", ACTIONS[3]))
    assert startable(span, page(*FORM.split("\n")[1:]))
    assert not startable(span, page('link "Help" [e1]'))
    named = ExecutableSpan(*pair('Open "Salt"', ACTIONS[0]))
    assert startable(named, page('link "Pepper" [e1]')), "which link it is depends on the value"


# the agent


class MovedEnvironment(NotesEnvironment):
    """The form for a new note has got another button."""

    async def step(self, action: str) -> Outcome:
        outcome = await super().step(action)
        text = outcome.observation.text.replace('button "Save"', 'button "Keep"')
        return outcome.model_copy(update={"observation": outcome.observation.model_copy(update={"text": text})})


async def spans_agent(folder: Path, model: Scripted, tier: Tier = "replayed") -> tuple[Agent, ExampleIndex, str]:
    eggs = await walk("eggs", NOTES, NEW, title("Eggs"), SAVE)
    example = Example(
        kind="abstract",
        instruction="Make a note with the title Eggs",
        trajectory=eggs.id,
        start=0,
        end=4,
        tier=tier,
    )
    index = ExampleIndex.build(folder / "index", [example], {eggs.id: eggs})
    return open_agent("spans", AgentParts(model=model, index=index)), index, example.id[:8]


def scripted(*replies: str) -> Scripted:
    script = iter(replies)
    return Scripted(lambda request: "note" if request.role == "query" else next(script))


def acts(model: Scripted) -> list[Request]:
    return [request for request in model.requests if request.role == "act"]


async def test_one_call_carries_out_a_whole_span_of_ordinary_steps(tmp_path: Path) -> None:
    script: list[str] = []
    model = Scripted(lambda request: "note" if request.role == "query" else script.pop(0))
    agent, index, id_ = await spans_agent(tmp_path, model)
    script += [f'REASON: as there\nACTION: span("{id_}", title="Beans")', "REASON: made\nACTION: finish()"]
    desk = NotesEnvironment()
    trajectory = await rollout(desk, agent, TASK, 10)
    index.close()
    assert desk.notes == ["Buy milk", "Beans"]
    assert [action.kind for action in trajectory.actions] == ["click", "click", "fill", "click", "finish"]
    assert len(acts(model)) == 2, "one call for the span, one for the end"
    assert [step.usage.calls > 0 for step in trajectory.steps] == [True, False, False, False, True]
    assert trajectory.steps[0].reason == f"as there (step 1 of 4 of span {id_})"
    first, last = acts(model)
    assert first.fields.offered == (f'span("{id_}", title="...")  Make a note with the title Eggs (4 steps)',)
    assert SPAN_ACTION in first.fields.actions
    assert last.fields.stopped == ()
    assert (0, 4) in list(all_spans(trajectory)), "backward construction sees every step"


async def test_steps_of_a_span_count_against_the_limit(tmp_path: Path) -> None:
    script: list[str] = []
    agent, index, id_ = await spans_agent(tmp_path, Scripted(lambda r: "q" if r.role == "query" else script.pop(0)))
    script.append(f'REASON: x\nACTION: span("{id_}", title="Beans")')
    trajectory = await rollout(NotesEnvironment(), agent, TASK, 3)
    index.close()
    assert (trajectory.stop, len(trajectory.steps)) == ("step_limit", 3)


async def test_where_the_page_changed_the_model_is_told_and_shown_the_rest(tmp_path: Path) -> None:
    script: list[str] = []
    model = Scripted(lambda request: "note" if request.role == "query" else script.pop(0))
    agent, index, id_ = await spans_agent(tmp_path, model)
    script += [f'REASON: as there\nACTION: span("{id_}", title="Beans")', 'REASON: other\nACTION: finish("N/A")']
    trajectory = await rollout(MovedEnvironment(), agent, TASK, 10)
    index.close()
    assert [action.kind for action in trajectory.actions] == ["click", "click", "fill", "finish"]
    told = acts(model)[-1].fields
    assert told.stopped == (
        'after step 3 of 4: there is no button "Save" on this page',
        'not taken: click(button "Save")',
    )
    assert (told.examples[0].example.id[:8], told.examples[0].at) == (id_, 3)
    assert told.look_ups[-1].found[0] == told.examples[0]
    prompt = "\n".join(message.content for message in render(acts(model)[-1]))
    assert 'not taken: click(button "Save")' in prompt


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ('span("nowhere", title="x")', "there is no span 'nowhere'"),
        ('span("{id}")', "needs a value for title"),
        ('span("{id}", title="x", color="red")', "has no parameter 'color'; it has: title"),
    ],
)
async def test_a_wrong_call_is_asked_about_once_and_then_costs_the_step(tmp_path: Path, call: str, told: str) -> None:
    script: list[str] = []
    model = Scripted(lambda request: "note" if request.role == "query" else script.pop(0))
    agent, index, id_ = await spans_agent(tmp_path, model)
    wrong = f"REASON: x\nACTION: {call.format(id=id_)}"
    script += [wrong, wrong, "REASON: enough\nACTION: finish()"]
    trajectory = await rollout(NotesEnvironment(), agent, TASK, 5)
    index.close()
    assert told in acts(model)[1].extra[-1].content
    assert trajectory.stop == "done"
    assert trajectory.observations[1].error, "the environment knows no such action"
    assert trajectory.steps[0].usage.calls >= 2


async def test_what_is_not_verified_is_shown_and_not_offered(tmp_path: Path) -> None:
    model = scripted("REASON: x\nACTION: finish()")
    agent, index, id_ = await spans_agent(tmp_path, model, "committee")
    await rollout(NotesEnvironment(), agent, TASK, 5)
    index.close()
    [request] = acts(model)
    assert request.fields.offered == ()
    assert [shown.example.id[:8] for shown in request.fields.examples] == [id_]
    assert "CAN BE CARRIED OUT WHOLE from this page" not in render(request)[-1].content


def test_a_reply_that_is_held_to_a_form_may_call_a_span() -> None:
    import re

    fields = Fields(task=TASK, observation=page('link "Help" [e1]'), actions=f"click(e12)  click\n{SPAN_ACTION}")
    request = Request(role="act", fields=fields)
    _, schema = schema_of(request, PromptLimits(structured=("act",))) or ("", {})
    pattern = bounded(schema, request)["properties"]["action"]["pattern"]
    assert re.fullmatch(pattern, 'span("3f2a91c0", name="Eggs")')
    assert re.fullmatch(pattern, "click(e1)")
    assert not re.fullmatch(pattern, "jump(e1)")
