"""What each agent asks its model, with which knowledge, and what it makes of the replies."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest

from fake_notes import NEW, NOTES, SAVE, NotesEnvironment, title, walk
from lbi.agents import AgentParts, agent_names, open_agent
from lbi.errors import ModelError, ParseError, UserError
from lbi.models.providers.scripted import Scripted
from lbi.protocols import Agent, Request
from lbi.records import Action, Document, Example, Observation, Step, Task
from lbi.retrieval.build import ExampleVectors
from lbi.retrieval.index import ExampleIndex
from lbi.rollouts.loop import rollout

TASK = Task(instruction="Make a note with the title Beans", environment="desk")
PAGE = Observation(text='link "Notes" [e1]', url="/", title="Desk /")
STEP = Step(observation=PAGE, action=Action(text="click(e1)", kind="click", role="link", name="Notes"))
ACT = "REASON: notes are there\nACTION: click(e1)"
MINE = ("react", "rag", "icl")  # agents of other files have tests of their own


def reply(request: Request) -> str:
    return "how to make a note" if request.role == "query" else ACT


@pytest.fixture
async def index(tmp_path: Path):
    eggs = await walk("eggs", NOTES, NEW, title("Eggs"), SAVE)
    examples = [
        Example(kind="abstract", instruction=text, trajectory=eggs.id, start=start, end=4)
        for start, text in enumerate(["Make a note with the title Eggs", "Fill in the form", "Save a note of eggs"])
    ]
    vectors = numpy.eye(3, dtype=numpy.float32)
    both = ExampleVectors(vectors, vectors, vectors, "made up")
    opened = ExampleIndex.build(tmp_path / "index", examples, {eggs.id: eggs}, both)
    yield opened
    opened.close()


@pytest.fixture
def documents() -> list[Document]:
    pages = {
        "Notes": "How to make a note: press Save.",
        "Trees": "An oak is a tree.",
        "Notebooks": "Of paper, for a note",
    }
    return [Document(text=text, title=name, source=name) for name, text in pages.items()]


@pytest.mark.parametrize("name", MINE)
async def test_every_agent_decides_one_action_from_the_whole_history(name, index, documents):
    model = Scripted(reply)
    agent = open_agent(
        name, AgentParts(model=model, index=index, documents=documents, sample=3, temperature=0.5, stage="s")
    )
    assert isinstance(agent, Agent)
    assert agent.name == name
    decision = await agent.act(TASK, (STEP, STEP), PAGE, "click(e1)")
    assert (decision.action, decision.reason) == ("click(e1)", "notes are there")
    assert decision.usage.calls == model.calls
    for request in model.requests:
        assert (request.sample, request.temperature, request.stage) == (3, 0.5, "s")
        assert (request.fields.task, request.fields.observation) == (TASK, PAGE)
        assert request.fields.history == (STEP, STEP)
    assert model.requests[-1].role == "act"
    assert model.requests[-1].fields.actions == "click(e1)"


@pytest.mark.parametrize("name", MINE)
async def test_an_agent_carries_a_task_through_an_environment(name, index, documents):
    script = iter([NOTES, NEW, title("Beans"), SAVE, 'finish("made")'])

    def play(request: Request) -> str:
        return "note" if request.role == "query" else f"REASON: next\nACTION: {next(script)}"

    agent = open_agent(name, AgentParts(model=Scripted(play), index=index, documents=documents))
    trajectory = await rollout(NotesEnvironment(), agent, TASK, 10)
    assert (trajectory.stop, trajectory.answer, trajectory.agent) == ("done", "made", name)
    assert "Beans" in trajectory.last.text


def test_an_unknown_agent_is_named_with_the_nearest_known_one():
    assert set(MINE) <= set(agent_names())
    with pytest.raises(UserError, match="did you mean 'react'"):
        open_agent("reakt", AgentParts(model=Scripted([])))


async def test_the_baseline_is_shown_nothing(index, documents):
    model = Scripted(reply)
    decision = await open_agent("react", AgentParts(model=model, index=index, documents=documents)).act(
        TASK, (), PAGE, ""
    )
    fields = model.requests[0].fields
    assert (fields.examples, fields.documents, decision.examples, model.calls) == ((), (), (), 1)


# rag


async def test_rag_shows_the_documents_that_fit_the_instruction_at_every_step(documents):
    model = Scripted(reply)
    agent = open_agent("rag", AgentParts(model=model, documents=documents, top_documents=2))
    for page in (PAGE, Observation(text="oak tree", url="/tree")):
        await agent.act(TASK, (), page, "")
    shown = [[document.title for document in request.fields.documents] for request in model.requests]
    assert shown == [["Notes", "Notebooks"], ["Notes", "Notebooks"]]


@pytest.mark.parametrize("parts", [{}, {"top_documents": 51}, {"top_documents": 0}])
def test_rag_says_what_it_needs(parts, documents):
    given = documents if parts else []
    with pytest.raises(UserError, match="agent rag"):
        open_agent("rag", AgentParts(model=Scripted([]), documents=given, **parts))


# icl


async def test_icl_writes_a_query_and_shows_what_it_finds(index):
    model, writer = Scripted(reply), Scripted(reply, name="writer")
    agent = open_agent("icl", AgentParts(model=model, query_model=writer, index=index, m1=1, m2=2))
    decision = await agent.act(TASK, (), PAGE, "")
    shown = model.requests[0].fields.examples
    assert sorted(each.why for each in shown) == ["observation", "query"]
    assert decision.examples == tuple(each.example.id for each in shown)
    assert (writer.requests[0].role, writer.calls, model.calls) == ("query", 1, 1)
    assert decision.usage.calls == 2


@pytest.mark.parametrize("parts", [{"m2": 0}, {"ask_query": False}])
async def test_icl_writes_no_query_where_none_is_used(parts, index):
    model = Scripted(reply)
    decision = await open_agent("icl", AgentParts(model=model, index=index, **parts)).act(TASK, (), PAGE, "")
    assert [request.role for request in model.requests] == ["act"]
    assert decision.examples


async def test_icl_never_shows_an_example_of_the_task_itself(index):
    own = (await walk("eggs", NOTES)).task
    model = Scripted(reply)
    decision = await open_agent("icl", AgentParts(model=model, index=index)).act(own, (), PAGE, "")
    assert decision.examples == ()


async def test_icl_with_an_empty_index_is_the_baseline(tmp_path):
    empty = ExampleIndex.build(tmp_path / "empty", [], {})
    model = Scripted(reply)
    await open_agent("icl", AgentParts(model=model, index=empty)).act(TASK, (), PAGE, "")
    assert [request.role for request in model.requests] == ["act"]
    empty.close()


def test_icl_says_what_it_needs():
    with pytest.raises(UserError, match="agent icl needs an index"):
        open_agent("icl", AgentParts(model=Scripted([])))


@pytest.mark.parametrize(
    ("replies", "error", "calls"),
    [
        (["a query", ModelError("gone")], ModelError, 1),
        (["a query", "no action", "none again"], ParseError, 3),
    ],
)
async def test_a_query_is_paid_for_though_the_step_fails(replies, error, calls, index):
    with pytest.raises(error) as raised:
        await open_agent("icl", AgentParts(model=Scripted(replies), index=index)).act(TASK, (), PAGE, "")
    assert raised.value.usage.calls == calls


class Fixed:
    """An embedder for which every text means the second example."""

    name = "fixed"

    async def embed(self, texts):
        return numpy.array([[0, 1, 0]] * len(texts), dtype=numpy.float32)

    async def close(self) -> None:
        pass


async def test_icl_embeds_the_query_where_there_is_an_embedder(index):
    def play(request: Request) -> str:
        return "zzz" if request.role == "query" else ACT

    model = Scripted(play)
    await open_agent("icl", AgentParts(model=model, index=index, embedder=Fixed(), m1=0, m2=1)).act(TASK, (), PAGE, "")
    [shown] = model.requests[-1].fields.examples
    assert shown.example.instruction == "Fill in the form"


# when a query is asked


def on(url: str, *lines: str) -> Observation:
    return Observation(text="\n".join([f"URL: {url}", *lines]), url=url, title=url)


FORM = on("/new", 'heading "New note"', 'textbox "Title" [e1]', 'button "Save" [e2]', "text: a", "text: b")
OTHER = on("/bin", 'heading "Bin"', 'link "Undo" [e1]', "text: c", "text: d", "text: e")


def taken(*pages: Observation) -> tuple[Step, ...]:
    return tuple(
        Step(observation=page, action=Action(text=f"click(e{at})", kind="click", role="link", name="x"))
        for at, page in enumerate(pages)
    )


async def carried(agent: Agent, pages: list[Observation]) -> None:
    for at, page in enumerate(pages):
        await agent.act(TASK, taken(*pages[:at]), page, "")


async def test_icl_asks_for_no_query_while_the_kind_of_page_stays(index):
    model = Scripted(reply)
    filled = on("/new", *FORM.text.split("\n")[1:2], 'textbox "Title" [e1]: Beans', *FORM.text.split("\n")[3:])
    await carried(open_agent("icl", AgentParts(model=model, index=index)), [FORM, filled, filled])
    assert [request.role for request in model.requests] == ["query", "act", "act", "act"]
    shown = [request.fields.look_ups for request in model.requests if request.role == "act"]
    assert shown[0] == shown[1] == shown[2], "the prompts keep their examples"
    assert [look_up.step for look_up in shown[0]] == [0]


async def test_icl_asks_again_on_a_new_kind_of_page_of_which_no_example_knows(index):
    model = Scripted(reply)
    await carried(open_agent("icl", AgentParts(model=model, index=index)), [PAGE, PAGE, PAGE, PAGE, OTHER])
    assert [request.role for request in model.requests][-2:] == ["query", "act"]
    assert [look_up.step for look_up in model.requests[-1].fields.look_ups] == [0, 4]
    soon = Scripted(reply)
    await carried(open_agent("icl", AgentParts(model=soon, index=index)), [PAGE, OTHER])
    assert [request.role for request in soon.requests] == ["query", "act", "act"], "the last query was made just before"


async def test_an_agent_that_has_forgotten_an_episode_looks_up_again_without_a_call(index):
    model = Scripted(reply)
    await open_agent("icl", AgentParts(model=model, index=index)).act(TASK, taken(PAGE), PAGE, "")
    assert [request.role for request in model.requests] == ["act"]
    assert model.requests[0].fields.look_ups[0].found


@pytest.mark.parametrize("answer", ["NOTHING", '{"query": "nothing"}', "Query: NOTHING."])
async def test_where_nothing_is_left_to_do_no_examples_are_shown(answer, index):
    model = Scripted(lambda request: answer if request.role == "query" else ACT)
    decision = await open_agent("icl", AgentParts(model=model, index=index)).act(TASK, (), PAGE, "")
    assert decision.examples == ()
    assert model.requests[-1].fields.examples == ()


async def test_two_episodes_of_one_task_on_different_pages_keep_what_each_was_shown(index):
    model = Scripted(reply)
    agent = open_agent("icl", AgentParts(model=model, index=index, ask_query=False))
    for first in (FORM, PAGE):
        await agent.act(TASK, (), first, "")
    of_form, of_page = (request.fields.look_ups[0].found for request in model.requests)
    assert of_form != of_page
    await agent.act(TASK, taken(FORM), OTHER, "")
    assert model.requests[-1].fields.look_ups[0].found == of_form
