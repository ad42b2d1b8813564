"""Tasks for other harnesses: what is written, that nothing done scores 0 and the solution 1, and that they load it."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fake_notes import NotesEnvironment
from harbors_order import rewards_of
from lbi.config import Config, load_config
from lbi.errors import UserError
from lbi.interop.packs.ask import asked
from lbi.interop.packs.session import Session, page_text
from lbi.interop.packs.tasks import packed_tasks
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.records import Action, Check, Example, Observation, Step, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from own_environments import installed, wheel_of
from running import environ, lbi_here
from small_application import write_application

PROGRAMS = Path(__file__).parent / "consumers"
HARBOR, VERIFIERS = "harbor==0.26.0", "verifiers==0.4.0"
GOLD = (
    'click(link "New item")',
    'fill(textbox "Name", "Flour")',
    'select(combobox "Shelf", "bottom")',
    'click(button "Store item")',
    'finish("")',
)
FLOUR = Check(sql="SELECT name || ' ' || shelf FROM item WHERE name NOT IN ('Rice', 'Honey')", equals="Flour bottom")


def walk(instruction: str, digests: list[str], *, answer: str = "") -> Trajectory:
    """A roll-out on pages with these states; the last action finishes it where there is an answer."""
    pages = [Observation(text='button "Next" [e1]', url=f"/{at}", digest=digest) for at, digest in enumerate(digests)]
    click = Action(text="click(e1)", kind="click", role="button", name="Next")
    steps = tuple(Step(observation=page, action=click) for page in pages[:-1])
    task = Task(instruction=instruction, environment="larder", document="d", start_url="/0")
    return Trajectory(task=task, agent="react", steps=steps, last=pages[-1], stop="done", answer=answer)


def example_of(trajectory: Trajectory, instruction: str, start: int, end: int, **fields: str) -> Example:
    about = {"kind": "abstract", "tier": "replayed"} | fields
    return Example(instruction=instruction, trajectory=trajectory.id, start=start, end=end, document="d", **about)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the larder: held-out tasks of every kind, and examples."""
    place = tmp_path_factory.mktemp("larder")
    config = load_config(write_application(place))
    walked = walk("Look around", ["a", "a", "b", "c"])
    examples = [
        example_of(walked, "Go to the second", 0, 2),
        example_of(walked, "Go to the second", 0, 3),  # asked for in the same words
        example_of(walked, "Go on", 1, 2),
        example_of(walked, "Do nothing", 0, 1),
        example_of(walked, "Unproved", 0, 3, tier="committee"),
    ]
    held_out = [
        Task(instruction="Store flour at the bottom", environment="larder", name="Store Flour!", document="x",
             category="items", level=1, check=FLOUR, gold=GOLD),
        Task(instruction="How many?", environment="larder", name="count", check=Check(answer=("2",)),
             gold=('finish("2")',)),
        Task(instruction="Judge this", environment="larder", name="judged"),
        Task(instruction="Unsolved", environment="larder", name="unsolved", check=FLOUR),
        Task(instruction="Of tests", environment="larder", name="tests", check=Check(tests=("a",)), gold=GOLD),
    ]  # fmt: skip
    with RunFolder(place / "run", config.identity()) as folder:
        folder.store.put("trajectory", "0/t/0", walked)
        folder.store.put_many("example", [(f"0/{at}", each) for at, each in enumerate(examples)])
        folder.store.put_many("heldout", [(f"{at}", task) for at, task in enumerate(held_out)])
    return place / "run"


# what is packed


def test_tasks_whose_state_can_be_checked_are_packed_and_the_others_counted(run: Path) -> None:
    packed = packed_tasks(run)
    assert [(task.name, task.origin) for task in packed.tasks] == [
        ("store-flour", "held-out"),
        ("count", "held-out"),
        ("go-to-the-second", "synthesised"),
    ]
    assert packed.tasks[0].check == {"sql": FLOUR.sql, "equals": "Flour bottom"}
    assert packed.tasks[2].check == {"digest": "b"}
    assert packed.tasks[2].gold == ("click('button \"Next\"')", "click('button \"Next\"')", 'finish("")')
    assert dict(packed.left_out) == {
        "without a check, as a judge scores them": 1,
        "without a solution": 1,
        "scored by what is not in the application": 1,
        "not carried out again from the beginning": 2,
        "that change nothing": 1,
    }


def test_what_an_agent_can_read_holds_neither_check_nor_solution(run: Path, tmp_path: Path) -> None:
    done = lbi_here("export", run, "--format", "harbor", "--out", tmp_path / "pack")
    assert done.returncode == 0, done.stderr
    assert "3 tasks (2 held-out, 1 synthesised)" in done.stdout
    folder = tmp_path / "pack" / "store-flour"
    for file in [folder / "instruction.md", *(folder / "environment").rglob("*")]:
        if file.is_file():
            assert "Flour bottom" not in file.read_text()
            assert "Store item" not in file.read_text().replace("<button>Store item</button>", "")
    assert json.loads((folder / "tests" / "check.json").read_text())["equals"] == "Flour bottom"
    assert "app do 'click(button \"Store item\")'" in (folder / "solution" / "solve.sh").read_text()


def test_a_folder_with_something_in_it_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    done = lbi_here("export", run, "--format", "verifiers", "--out", tmp_path / "mine")
    assert (done.returncode, "is not empty" in done.stderr) == (2, True)
    dry = lbi_here("export", run, "--format", "verifiers", "--out", tmp_path / "new", "--dry-run")
    assert (dry.returncode, (tmp_path / "new").exists()) == (0, False)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_run_without_such_tasks_is_told_why(tmp_path: Path) -> None:
    config = load_config(write_application(tmp_path))
    with RunFolder(tmp_path / "run", config.identity()) as folder:
        folder.store.put("heldout", "0", Task(instruction="Judge this", environment="larder", name="judged"))
    with pytest.raises(UserError, match="1 without a check, as a judge scores them"):
        packed_tasks(tmp_path / "run")


# sessions


@pytest.mark.parametrize("fmt", ["harbor", "verifiers"])
@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"environment": "shell"}, "the environment 'shell' is opened in no container of other harnesses"),
        ({"url": "http://127.0.0.1:1"}, "http://127.0.0.1:1 is a site that somebody else runs, and in no image"),
        ({"environment": "desktop", "application": "mine.toml"}, "the desktop mine.toml is a file of your own"),
    ],
)
def test_what_can_be_in_no_image_is_told_in_a_line(
    tmp_path: Path, fmt: str, settings: dict[str, str], why: str
) -> None:
    with RunFolder(tmp_path / "run", Config(**settings).identity()):
        pass
    done = lbi_here("export", tmp_path / "run", "--format", fmt, "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert why in done.stderr
    assert not (tmp_path / "out").exists()


async def test_a_session_keeps_the_page_between_commands_and_scores_the_state_it_is_left_in() -> None:
    session = Session(NotesEnvironment(), Task(instruction="x", environment="desk"))
    await session.start()
    before = (await session.answer({"do": "look"}))["text"]
    assert before.startswith("URL: /")
    reply = await session.answer({"do": "act", "action": 'click(link "Nowhere")'})
    assert (reply["ok"], reply["text"].split("\n")[0]) == (False, "ERROR: there is no such element")
    there = await session.answer({"do": "act", "action": 'goto("/notes")'})
    assert "URL: /notes" in there["text"]
    assert await session.answer({"do": "score", "check": {"digest": "another"}}) == {
        "score": 0.0,
        "reason": "the state is another",
    }
    assert (await session.answer({"do": "act", "action": 'finish("7")'}))["text"] == "Finished."
    after = await session.answer({"do": "act", "action": 'goto("/")'})
    assert not after["ok"], "nothing is done after the end"
    assert not (await session.answer({"do": "dance"}))["ok"]


def test_a_page_is_printed_with_what_went_wrong_first() -> None:
    page = Observation(text="text: x", url="/a", title="A", error="no such button")
    assert page_text(page) == "ERROR: no such button\nURL: /a\nTitle: A\ntext: x"


def test_where_no_session_answers_that_is_said(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lbi.interop.packs.ask", str(tmp_path), "look"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environ())
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("no session answers: ")


# in the harnesses' own hands


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("which", ["store-flour", "count"])
def test_nothing_done_scores_0_and_the_solution_of_a_harbor_task_1(run: Path, tmp_path: Path, which: str) -> None:
    """What Harbor does in the container, in its order, on this machine."""
    lbi_here("export", run, "--format", "harbor", "--out", tmp_path / "pack")
    folder = tmp_path / "pack" / which
    assert rewards_of(folder, tmp_path) == {"nothing": "0", "oracle": "1"}


@pytest.mark.slow
def test_harbor_loads_every_task(run: Path, tmp_path: Path) -> None:
    """By its own class for tasks, which needs little; the rest of it is not installed."""
    lbi_here("export", run, "--format", "harbor", "--out", tmp_path / "pack")
    python = installed(tmp_path / "venv", "pydantic", "toml", "pathspec")
    file = wheel_of(HARBOR, tmp_path)
    command = [str(python), str(PROGRAMS / "load_harbor.py"), str(file), str(tmp_path / "pack")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environ(PYTHONWARNINGS="ignore"))
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.strip().splitlines()[-1])
    assert set(told) == {"store-flour", "count", "go-to-the-second"}
    assert told["store-flour"]["name"] == "lbi/store-flour"
    assert told["store-flour"]["instruction"].startswith("Store flour at the bottom")
    assert told["store-flour"]["metadata"] == {"origin": "held-out", "category": "items", "level": 1}


@pytest.mark.browser
@pytest.mark.slow
def test_verifiers_own_validation_finds_every_task_sound(run: Path, tmp_path: Path) -> None:
    """vf-validate carries out the solution of each, and scores one of which nothing was done."""
    out = tmp_path / "pack"
    lbi_here("export", run, "--format", "verifiers", "--out", out)
    python = installed(tmp_path / "venv", VERIFIERS)
    known = environ(PYTHONPATH=str(out), PYTHONWARNINGS="ignore", LBI_PYTHON=sys.executable, HOME=str(tmp_path))
    names = ["store-flour", "count"]  # the first two; the pages of the third are made up
    command = [str(python.with_name("vf-validate")), "lbi_larder", "--runtime.type", "subprocess", "-o", "results"]
    command += ["-n", str(len(names))]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=900, env=known, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    (file,) = tmp_path.glob("results/**/results.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert sorted(row["name"] for row in rows) == sorted(names)
    assert all(row["gold"]["reason"] == row["noop"]["reason"] == "valid" for row in rows), rows


@pytest.mark.browser
@pytest.mark.slow
async def test_verifiers_own_runner_scores_an_agent_by_the_state_it_leaves(run: Path, tmp_path: Path) -> None:
    """vf-eval with verifiers' own agent, which has a shell, and a model of ours: one task done rightly, one wrongly."""
    out = tmp_path / "pack"
    lbi_here("export", run, "--format", "verifiers", "--out", out)
    python = installed(tmp_path / "venv", VERIFIERS, "uv")
    rightly, wrongly = [*map(done, GOLD)], [done('finish("3")')]

    def next_call(body: dict[str, Any]) -> Answer:
        said = [message["role"] for message in body["messages"]].count("assistant")
        script = rightly if "Store flour" in json.dumps(body["messages"]) else wrongly
        return streamed_call(script[said] if said < len(script) else "", said)

    async with ModelServer(next_call) as server:
        path = f"{python.parent}:{os.environ['PATH']}"
        known = environ(PYTHONPATH=str(out), PYTHONWARNINGS="ignore", LBI_PYTHON=sys.executable, PATH=path, OURS="none")
        command = [
            str(python.with_name("vf-eval")),
            "lbi_larder",
            "-n",
            "2",
            "-m",
            "scripted",
            "--output-dir",
            "results",
        ]
        command += [
            "--env.agent.harness.id",
            "bash",
            "--env.agent.runtime.type",
            "subprocess",
            "--no-push",
            "--no-rich",
        ]
        command += ["--client.base-url", server.openai_url, "--client.api-key-var", "OURS"]
        ran = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=900, env=known, cwd=tmp_path
        )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    (file,) = tmp_path.glob("results/**/traces.jsonl")
    traces = [trace for line in file.read_text().splitlines() for trace in json.loads(line)["traces"]]
    rewards = {trace["task"]["data"]["name"]: trace["rewards"]["state"]["score"] for trace in traces}
    assert rewards == {"store-flour": 1.0, "count": 0.0}, ran.stdout[-3000:]
    asked_for = [request["messages"][-1]["content"] for request in server.requests]
    assert any("URL: /new" in str(content) for content in asked_for), "the agent saw the pages"


def done(action: str) -> str:
    return f"./app do {shlex.quote(action)}"


def streamed_call(command: str, number: int) -> Answer:
    """A streamed reply that runs a command in the agent's shell; without one, a reply that ends the episode."""
    delta: dict[str, Any] = {"role": "assistant", "content": None if command else "Done."}
    if command:
        function = {"name": "bash", "arguments": json.dumps({"command": command})}
        delta["tool_calls"] = [{"index": 0, "id": f"call_{number}", "type": "function", "function": function}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    parts = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls" if command else "stop"}]},
        {**head, "choices": [], "usage": usage},
    ]
    events = "".join(f"data: {json.dumps(part)}\n\n" for part in parts) + "data: [DONE]\n\n"
    return Answer(body=events.encode(), headers={"content-type": "text/event-stream"})


def test_a_lost_session_is_an_error_and_not_a_score(tmp_path: Path) -> None:
    async def hangs_up() -> dict[str, object]:
        async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.close()

        async with await asyncio.start_unix_server(closes, tmp_path / "session.sock"):
            return await asyncio.to_thread(asked, tmp_path / "session.sock", {"do": "look"})

    assert asyncio.run(hangs_up()) == {"text": "the session ended", "ok": False}
