"""`lbi import`: what agents did elsewhere is read from their traces, and learnt from like what our own did.

The traces in fixtures/traces were written by the programs themselves, by the scripts in tests/traces.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from claude_session import FOLDER, ClaudeSession, usual
from lbi.interop.importing import ImportedTrace, NotUnderstood
from lbi.interop.reading import Trace, find_traces, format_of
from lbi.interop.source import Source
from lbi.interop.trajectories import Counts, Trajectories
from lbi.records import Example, Trajectory
from lbi.storage.run_folder import RunFolder
from running import answer, lbi_here

TRACES = Path(__file__).parent / "fixtures" / "traces"


def read(file: Path, *also: str) -> tuple[list[Trajectory], Counts]:
    """The trajectories of a trace as they are, and what became of the rest."""
    source = Source(file)
    reading = Trajectories("tools", frozenset(also))
    trajectories = list(reading.read(Trace(source, format_of(source)).events()))
    reading.counts.left_out += source.left_out
    return trajectories, reading.counts


def done(trajectory: Trajectory) -> list[str]:
    return [action.grounded for action in trajectory.actions]


def seen(trajectory: Trajectory) -> list[str]:
    return [observation.text for observation in trajectory.observations]


def imported(*arguments: str | Path) -> dict[str, Any]:
    return answer("import", *arguments, "-q", here=True)


def examples(run: Path) -> Iterator[Example]:
    with RunFolder(run, writing=False) as folder:
        yield from (example for _, example in folder.store.all("example", Example))


# from a trace to what is retrieved


def test_what_an_agent_did_elsewhere_is_retrieved(tmp_path: Path) -> None:
    said = imported(usual().write(tmp_path / "session.jsonl"), "--out", tmp_path / "run")
    assert (said["trajectories"], said["steps"], said["formats"]) == (2, 5, {"claude_code": 1})
    assert said["kept"] > 0
    found = answer("retrieve", tmp_path / "run", "Run the tests", here=True)
    first = found["examples"][0]
    assert first["instruction"] == "Run `pytest -q`."
    assert first["actions"] == ['run("pytest -q")']
    edits = answer("retrieve", tmp_path / "run", "Change the discount in total.py", here=True)["examples"]
    assert any("Change the file 'total.py'" in each["instruction"].replace('"', "'") for each in edits)
    tickets = answer("retrieve", tmp_path / "run", "create a ticket for a release", here=True)["examples"]
    assert tickets[0]["actions"] == ['mcp__tracker__create_ticket(title="Release 1.2", labels=["release"])']
    assert tickets[0]["instruction"].startswith("Run `mcp__tracker__create_ticket(title='Release 1.2'")


def test_no_example_of_a_trace_claims_to_be_replayed(tmp_path: Path) -> None:
    imported(usual().write(tmp_path / "session.jsonl"), "--out", tmp_path / "run")
    kept = [example for example in examples(tmp_path / "run") if example.kept]
    assert kept
    assert {example.tier for example in kept} <= {"unverified", "committee"}
    assert {example.kind for example in kept} == {"abstract", "forward"}


def test_the_same_files_again_change_nothing_and_others_extend_the_run(tmp_path: Path) -> None:
    first = usual().write(tmp_path / "a.jsonl")
    run = tmp_path / "run"
    imported(first, "--out", run)
    before = {example.id for example in examples(run)}
    imported(first, "--out", run)
    assert {example.id for example in examples(run)} == before
    other = ClaudeSession("3f2a0002-0000-4000-8000-000000000002")
    other.ask("Which version is it?")
    other.do("", "Bash", {"command": "git describe --tags"}, "v1.2")
    other.say("1.2")
    imported(other.write(tmp_path / "b.jsonl"), "--out", run)
    assert {example.id for example in examples(run)} > before


def test_a_run_of_traces_says_clearly_that_its_tools_are_not_here(tmp_path: Path) -> None:
    imported(usual().write(tmp_path / "session.jsonl"), "--out", tmp_path / "run")
    ran = lbi_here("act", tmp_path / "run", "Run the tests")
    assert ran.returncode == 2
    assert "the tools of these traces are not here" in ran.stderr


# each format, as its own program writes it


def test_a_run_of_mini_swe_agent() -> None:
    (trajectory,), counts = read(TRACES / "mini-swe-agent.traj.json")
    assert trajectory.task.instruction == "The total of an order with a discount is wrong. Correct it."
    assert trajectory.agent == "mini-swe-agent 2.4.6"
    assert done(trajectory)[:2] == ['run("cat total.py")', "run(\"sed -i 's|discount / 2|discount|' total.py\")"]
    assert seen(trajectory)[3:5] == ["Exit code: 0\nok", "Exit code: 1\ncat: missing.txt: No such file or directory"]
    assert trajectory.steps[1].reason == "The discount is halved."
    assert (trajectory.stop, counts.steps) == ("done", 4)
    assert trajectory.usage.cost == pytest.approx(4.0)


@pytest.mark.parametrize("file", ["inspect.eval", "inspect.json"])
def test_a_log_of_inspect(file: str) -> None:
    (lamps, tables), counts = read(TRACES / file)
    assert lamps.task.name == "warehouse/lamps/1/1"
    assert done(lamps) == [
        'look_up_stock(article="lamp")',
        'reserve(article="lamp", count=2)',
        'finish("Reserved 2 lamps.")',
    ]
    assert seen(lamps)[1].startswith("There are 4 of lamp. The shelf is full of lamps.")  # an attachment
    assert tables.observations[1].error == "there is no article table"
    assert counts.outages == {"attempt: harness": 1}  # the sandbox of the third sample crashed


def test_a_conversation_of_the_openhands_sdk() -> None:
    (lamps, table), counts = read(TRACES / "openhands")
    assert done(lamps) == [
        'reserve(article="lamp", count=2)',
        'reserve(article="lamp", count=1)',
        'finish("Everything is reserved.")',
    ]
    assert [step.reason for step in lamps.steps] == ["Both at once.", "One more.", ""]
    assert seen(lamps)[1:3] == ["Reserved 2 of lamp.", "Reserved 1 of lamp."]
    assert [observation.error for observation in table.observations[1:3]] == [
        "there is no article table",
        "Tool 'no_such_tool' not found. Available: ['reserve', 'finish', 'think']",
    ]
    assert (table.answer, table.observations[0].text) == ("There are no tables.", "Reserved 1 of lamp.")
    assert counts.outages == {"attempt: harness": 1}  # the provider was overloaded at the end of the third
    assert not counts.unknown


def test_a_trajectory_by_the_models_of_harbor() -> None:
    (trajectory,), counts = read(TRACES / "atif.json")
    assert done(trajectory) == [
        'reserve(article="lamp", count=2)',
        'reserve(article="lamp", count=1)',
        'notify(text="reserved")',
        'delegate(to="counter")',
        'finish("Three lamps are reserved.")',
    ]
    assert seen(trajectory)[1:5] == ["Reserved 2 of lamp.", "Reserved 1 of lamp.", "Sent.", "There are 4 of lamp."]
    assert (trajectory.steps[0].reason, trajectory.steps[0].usage.cost) == ("Two first.", 0.001)
    assert counts.left_out["step copied from an earlier trajectory"] == 2
    assert counts.left_out["sub-agent session: asked"] == 1
    both, _ = read(TRACES / "atif.json", "sub-agent")
    assert done(both[1]) == ['look_up_stock(article="lamp")']
    assert both[1].task.instruction == ""  # an agent wrote it, and no user


@pytest.mark.parametrize("file", ["otel-console.jsonl", "otel-otlp.jsonl"])
def test_spans_by_the_sdk_of_opentelemetry(file: str) -> None:
    (lamps, table), counts = read(TRACES / file)
    assert lamps.task.instruction == "Reserve three lamps."
    assert done(lamps) == [
        'reserve(article="lamp", count=2)',
        'reserve(article="lamp", count=1)',
        'finish("Three lamps are reserved.")',
    ]
    assert (lamps.agent, lamps.usage.input_tokens) == ("keeper", 110)
    assert table.observations[1].error
    assert counts.outages == {"attempt: provider": 1}
    assert not counts.unknown


@pytest.mark.parametrize("program", ["browsergym", "agentlab"])
def test_an_episode_of_browsergym(program: str) -> None:
    (episode,), counts = read(TRACES / program)
    assert not counts.unknown + counts.left_out + counts.outages
    assert done(episode) == [
        'fill(\'textbox "Colour"\', "red")',
        'select(\'combobox "Size"\', "large")',
        "click('button \"Save\"')",
        'finish("The shelf is red and large.")',
    ]
    assert [page.url for page in episode.observations] == [
        "/",
        "/",
        "/",
        "/saved?colour=red&size=large",
        *["/saved?colour=red&size=large"],
    ]
    filled = episode.observations[1].text.splitlines()
    assert 'textbox "Colour" [e3]: red' in filled
    assert "text: red" not in filled, "a value is told once"
    assert episode.last.title == "Saved"


def test_a_rollout_of_codex() -> None:
    nothing, counts = read(TRACES / "codex.jsonl")
    assert (nothing, counts.left_out["headless session: asked"]) == ([], 1)  # `codex exec` wrote it
    (trajectory,), counts = read(TRACES / "codex.jsonl", "headless")
    assert done(trajectory)[0] == 'run("cat total.py")'
    assert seen(trajectory)[2:4] == ["Exit code: 0\n80", "Exit code: 1\ncat: missing.txt: No such file or directory"]
    assert trajectory.answer == "The discount was halved; it is right now."
    assert counts.left_out["second result of a call"] == 3  # what the model was sent, and what a person saw
    assert (trajectory.usage.calls, trajectory.usage.input_tokens) == (3, 303)
    assert not counts.unknown


def test_what_a_person_typed_into_codex_is_the_task(tmp_path: Path) -> None:
    text = (TRACES / "codex.jsonl").read_text().replace('"source": "exec"', '"source": "cli"')
    (tmp_path / "rollout.jsonl").write_text(text)
    (trajectory,), counts = read(tmp_path / "rollout.jsonl")
    assert trajectory.task.instruction == "The total of an order with a discount is wrong. Correct it."
    assert counts.left_out["user message that nobody typed, or that is told elsewhere"] == 2


def test_a_rollout_of_codex_without_envelope(tmp_path: Path) -> None:
    items = [
        {"id": "5973", "timestamp": "2025-08-01T10:00:00Z", "instructions": None, "git": {"branch": "main"}},
        {"record_type": "state"},
        _message("user", "<environment_context>\n<cwd>/tmp/shop</cwd></environment_context>"),
        _message("user", "Show the total."),
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "A file, I think."}]},
        _call("c1", "shell", {"command": ["bash", "-lc", "cat total.py"]}),
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": json.dumps({"output": "80\n", "metadata": {"exit_code": 0, "duration_seconds": 0.1}}),
        },
        _message("assistant", "It is 80.", "output_text"),
    ]
    (trajectory,), counts = read(_lines(tmp_path / "rollout.jsonl", items))
    assert trajectory.task.instruction == "Show the total."
    assert done(trajectory) == ['run("cat total.py")', 'finish("It is 80.")']
    assert (seen(trajectory)[1], trajectory.steps[0].reason) == ("Exit code: 0\n80", "A file, I think.")
    assert not counts.unknown


def _message(role: str, text: str, kind: str = "input_text") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _call(call: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call, "name": name, "arguments": json.dumps(given)}


def _lines(file: Path, lines: list[Any]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_messages_of_chats_and_of_responses_in_one_file(tmp_path: Path) -> None:
    from openai.types.chat import ChatCompletionMessage
    from openai.types.responses import ResponseFunctionToolCall

    asked = {"role": "user", "content": "Reserve two lamps."}
    call = {"id": "c1", "type": "function", "function": {"name": "reserve", "arguments": '{"article": "lamp"}'}}
    replied = ChatCompletionMessage.model_validate({"role": "assistant", "content": None, "tool_calls": [call]})
    so_far = [{"role": "system", "content": "Be short."}, asked, replied.model_dump()]
    result = {"role": "tool", "tool_call_id": "c1", "content": "Reserved."}
    item = ResponseFunctionToolCall(
        type="function_call", call_id="r1", name="reserve", arguments='{"article": "chair"}'
    )
    lines = [
        {"messages": so_far},
        {"messages": [*so_far, result, {"role": "assistant", "content": "Done."}]},  # tells the first line again
        {
            "input": "Reserve a chair.",
            "output": [
                item.model_dump(),
                {"type": "function_call_output", "call_id": "r1", "output": "Reserved, too."},
                _message("assistant", "That too.", "output_text"),
            ],
        },
    ]
    (lamps, chair), counts = read(_lines(tmp_path / "log.jsonl", lines))
    assert done(lamps) == ['reserve(article="lamp")', 'finish("Done.")']
    assert done(chair) == ['reserve(article="chair")', 'finish("That too.")']
    assert counts.left_out["message that an earlier line had told"] == 3


def test_a_message_a_line_is_one_conversation(tmp_path: Path) -> None:
    lines = [
        {"role": "user", "content": [{"type": "text", "text": "Reserve a lamp."}, {"type": "image_url"}]},
        {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "reserve", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "Reserved."},
        {"role": "assistant", "content": "Done."},
    ]
    (trajectory,), _ = read(_lines(tmp_path / "log.jsonl", lines))
    assert done(trajectory) == ["reserve()", 'finish("Done.")']
    assert trajectory.task.instruction == "Reserve a lamp.\n[image_url]"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("atif.json", "atif"),
        ("agentlab", "browsergym"),
        ("browsergym", "browsergym"),
        ("codex.jsonl", "codex"),
        ("inspect.eval", "inspect"),
        ("inspect.json", "inspect"),
        ("mini-swe-agent.traj.json", "mini_swe_agent"),
        ("openhands", "openhands"),
        ("otel-console.jsonl", "otel"),
        ("otel-otlp.jsonl", "otel"),
    ],
)
def test_a_format_is_known_by_its_content(file: str, name: str, tmp_path: Path) -> None:
    renamed = tmp_path / "trace"
    renamed.symlink_to(TRACES / file)
    assert format_of(Source(renamed)) == name


def test_a_folder_is_searched_for_traces() -> None:
    found = find_traces([TRACES])
    assert len(found.traces) == 10
    assert not found.refused
    assert found.passed_over == 0


def test_files_with_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        session = ClaudeSession(f"session-{name}")
        session.ask("Which version is it?")
        session.do("", "Bash", {"command": f"git describe {name}"}, name)
        session.say(name)
        session.raw(type="hologram", of=name)
        (tmp_path / "runs" / name).mkdir(parents=True)
        session.write(tmp_path / "runs" / name / "trajectory.jsonl")
    said = imported(tmp_path / "runs", "--out", tmp_path / "run")
    assert (said["trajectories"], said["not_understood"]) == (2, {"hologram": 2})
    with RunFolder(tmp_path / "run", writing=False) as folder:
        names = [record.name for _, record in folder.store.all("trace", ImportedTrace)]
        bodies = [json.loads(record.body)["of"] for _, record in folder.store.all("not understood", NotUnderstood)]
    assert sorted(names) == ["runs/a/trajectory.jsonl", "runs/b/trajectory.jsonl"]
    assert sorted(bodies) == ["a", "b"]


# rules


def test_what_headless_programs_and_sub_agents_were_asked_is_no_users_task(tmp_path: Path) -> None:
    for base in ({"entrypoint": "sdk-cli"}, {"isSidechain": True, "agentId": "a1"}):
        file = usual(**base).write(tmp_path / "session.jsonl")
        nothing, counts = read(file)
        assert not nothing
        by = "headless" if "entrypoint" in base else "sub-agent"
        assert counts.left_out[f"{by} session: called"] == 5
        trajectories, _ = read(file, by)
        assert [trajectory.task.instruction for trajectory in trajectories] == ["", ""]
        assert done(trajectories[0])[0] == 'run("pytest -q")'


def test_lines_of_a_sub_agent_among_those_of_its_session_are_left_out(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Count the files.")
    call = session.reply({"type": "tool_use", "id": "t1", "name": "Task", "input": {"prompt": "count"}})
    session.ask("count", isSidechain=True, agentId="a1", parent=None)
    session.do("", "Bash", {"command": "ls | wc -l"}, "3")
    for line in session.lines[2:]:
        line |= {"isSidechain": True, "agentId": "a1"}
    session.result("t1", "There are 3.", parent=call)
    session.say("3")
    (trajectory,), counts = read(session.write(tmp_path / "session.jsonl"))
    assert done(trajectory) == ['Task(prompt="count")', 'finish("3")']
    assert counts.left_out["line of a sub-agent among those of its session"] == 3


def test_lines_that_compaction_replays_are_read_once(tmp_path: Path) -> None:
    session = usual()
    once, _ = read(session.write(tmp_path / "once.jsonl"))
    session.add("system", subtype="compact_boundary", parent=None, logicalParentUuid=session.last)
    session.ask("This session is being continued from a previous conversation", isCompactSummary=True)
    session.lines += session.lines[6:12]
    twice, counts = read(session.write(tmp_path / "twice.jsonl"))
    assert [done(trajectory) for trajectory in twice] == [done(trajectory) for trajectory in once]
    assert counts.left_out["line that compaction replayed"] == 6
    assert counts.left_out["summary or note that the program wrote"] == 1


def test_a_reply_over_several_lines_is_one_call_of_the_model_and_its_last_usage_counts(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Look at both.")
    session.reply(
        {"type": "thinking", "thinking": "Two at once."},
        {"type": "text", "text": "I read both."},
        {"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "a.py"}},
        {"type": "tool_use", "id": "t2", "name": "Read", "input": {"file_path": "b.py"}},
        tokens=77,
    )
    session.result("t2", "b")  # the second is done first
    session.result("t1", "a")
    session.result("t1", "a, told again")
    session.say("Both are read.")
    (trajectory,), counts = read(session.write(tmp_path / "session.jsonl"))
    assert done(trajectory)[:2] == ['view("a.py")', 'view("b.py")']
    assert seen(trajectory)[1:3] == ["a", "b"]
    assert [step.reason for step in trajectory.steps[:2]] == ["I read both.", ""]
    assert [(step.usage.calls, step.usage.output_tokens) for step in trajectory.steps[:2]] == [(1, 77), (0, 0)]
    assert trajectory.usage.input_tokens == 910
    assert counts.left_out["second result of a call"] == 1


def test_calls_that_stand_in_one_line_are_all_carried_out(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Look at both.")
    calls = [{"type": "tool_use", "id": id_, "name": "Read", "input": {"file_path": f"{id_}.py"}} for id_ in "ab"]
    message = {"id": "m", "role": "assistant", "content": [{"type": "text", "text": "Both at once."}, *calls]}
    session.add("assistant", message)
    results = [{"type": "tool_result", "tool_use_id": id_, "content": id_.upper()} for id_ in "ab"]
    session.add("user", {"role": "user", "content": results})
    session.say("Both are read.")
    (trajectory,), _ = read(session.write(tmp_path / "session.jsonl"))
    assert done(trajectory)[:2] == ['view("a.py")', 'view("b.py")']
    assert seen(trajectory)[1:3] == ["A", "B"]


def test_what_follows_a_rewind_begins_where_it_was_rewound_to(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Make a file.")
    there = session.do("", "Write", {"file_path": "a.txt", "content": "one"}, "made a")
    session.do("", "Write", {"file_path": "b.txt", "content": "two"}, "made b")
    session.say("Two files.")
    session.ask("No, remove the first.", parent=there)
    session.do("", "Bash", {"command": "rm a.txt"}, "")
    session.say("Removed.")
    (first, second), _ = read(session.write(tmp_path / "session.jsonl"))
    assert done(first) == ['create("a.txt", "one")', 'create("b.txt", "two")', 'finish("Two files.")']
    assert second.observations[0].text == "made a"
    assert second.observations[0].digest == first.observations[1].digest != first.observations[2].digest


def test_what_follows_a_rewind_over_several_instructions_begins_there_too(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Make two files.")
    there = session.do("", "Bash", {"command": "touch a"}, "made a")
    session.do("", "Bash", {"command": "touch b"}, "made b")
    session.say("Two files.")
    session.ask("And a third.")
    session.do("", "Bash", {"command": "touch c"}, "made c")
    session.say("Three files.")
    session.ask("No, only the first, and name it.", parent=there)
    session.do("", "Bash", {"command": "mv a d"}, "")
    session.say("Done.")
    (first, _, third), _ = read(session.write(tmp_path / "session.jsonl"))
    assert third.observations[0] == first.observations[1].model_copy(update={"error": ""})
    assert third.observations[0].text == "made a"


def test_steps_that_were_given_up_for_others_are_no_part_of_these(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Make a file.")
    there = session.do("", "Bash", {"command": "touch a"}, "one")
    session.do("", "Bash", {"command": "touch b"}, "two")
    session.reply({"type": "tool_use", "id": "t9", "name": "Bash", "input": {"command": "touch c"}}, parent=there)
    session.result("t9", "three")
    session.say("Made.")
    (first, second), _ = read(session.write(tmp_path / "session.jsonl"))
    assert (done(first), first.stop) == (['run("touch a")', 'run("touch b")'], "stopped")
    assert (done(second)[0], second.observations[0].text) == ('run("touch c")', "one")


def test_paths_are_told_from_the_folder_of_the_session(tmp_path: Path) -> None:
    (first, _), _ = read(usual().write(tmp_path / "session.jsonl"))
    assert done(first)[:3] == [
        'run("pytest -q")',
        'view("total.py")',
        'replace("total.py", "discount / 2", "discount")',
    ]
    assert FOLDER not in "".join(done(first))


def test_a_very_long_attempt_becomes_several_and_a_long_result_loses_its_middle(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Count.")
    for number in range(450):
        session.do("", "Bash", {"command": f"echo {number}"}, f"{number}")
    session.do("", "Bash", {"command": "cat long"}, "begin " + "x" * 50_000 + " end")
    session.say("Counted.")
    parts, counts = read(session.write(tmp_path / "session.jsonl"))
    assert [len(part.steps) for part in parts] == [100, 100, 100, 100, 52]
    assert [part.task.instruction for part in parts] == ["Count.", "", "", "", ""]
    assert parts[1].observations[0].text == "99"
    assert counts.steps == 451
    last = parts[4].last.text
    assert len(last) < 10_100
    assert last.startswith("begin x")
    assert last.endswith("x end")


# what is not understood


def test_what_is_not_understood_is_counted_by_its_type_and_kept(tmp_path: Path) -> None:
    session = usual()
    session.raw(type="hologram", sessionId="s", shape={"sides": 6, "note": "token=abcdef123456"})
    session.raw(type="hologram", sessionId="s")
    session.add("assistant", {"id": "m99", "role": "assistant", "content": [{"type": "smell", "of": "roses"}]})
    said = imported(session.write(tmp_path / "session.jsonl"), "--out", tmp_path / "run")
    assert said["not_understood"] == {"hologram": 2, "assistant block smell": 1}
    with RunFolder(tmp_path / "run", writing=False) as folder:
        kept = [record for _, record in folder.store.all("not understood", NotUnderstood)]
        ((_, trace),) = folder.store.all("trace", ImportedTrace)
    assert json.loads(kept[0].body)["shape"] == {"sides": 6, "note": "token=••••"}
    assert kept[2].type == "assistant block smell"
    assert json.loads(kept[2].body) == {"type": "smell", "of": "roses"}
    assert dict(trace.unknown) == said["not_understood"]
    assert dict(trace.left_out) == said["left_out"]


# infrastructure that failed


def test_a_failure_of_infrastructure_teaches_nothing(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Make two tickets.")
    session.do("", "mcp__tracker__create_ticket", {"title": "A"}, "MCP error -32001: Request timed out", True)
    session.do("", "mcp__tracker__create_ticket", {"title": "B"}, "API Error: 529 Overloaded", True)
    session.do("", "mcp__tracker__create_ticket", {"title": "C"}, "Created ticket 3")
    session.do("", "Bash", {"command": "rm -rf x"}, "The user doesn't want to proceed with this tool use.", True)
    session.say("Made one.")
    session.ask("And another.")
    session.do("", "mcp__tracker__create_ticket", {"title": "D"}, "Created ticket 4")
    error = {"id": "e", "model": "<synthetic>", "role": "assistant", "content": [{"type": "text", "text": "API Error"}]}
    session.add("assistant", error, isApiErrorMessage=True)
    session.ask("And a third.")
    session.do("", "mcp__tracker__create_ticket", {"title": "E"}, "Created ticket 5")
    session.ask("[Request interrupted by user]")
    file = session.write(tmp_path / "session.jsonl")
    (trajectory,), counts = read(file)
    assert done(trajectory) == ['mcp__tracker__create_ticket(title="C")', 'finish("Made one.")']
    assert counts.outages == {
        "call: timeout": 1,
        "call: provider": 1,
        "call: interrupted": 1,
        "attempt: provider": 1,
        "attempt: interrupted": 1,
    }
    imported(file, "--out", tmp_path / "run")
    taught = json.dumps([example.model_dump() for example in examples(tmp_path / "run")])
    assert "title='C'" in taught
    assert not [title for title in "ABDE" if f"title='{title}'" in taught]


def test_an_agents_own_mistake_is_no_failure_of_infrastructure(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Open it.")
    session.do("", "Read", {"file_path": "nowhere.py"}, "File does not exist.", True)
    session.do("", "Bash", {"command": "pytest"}, "Exit code 1\nE  TimeoutError: timed out", True)
    session.say("It is not there.")
    (trajectory,), counts = read(session.write(tmp_path / "session.jsonl"))
    assert not counts.outages
    assert trajectory.observations[1].error == "File does not exist."
    assert trajectory.observations[2].error == ""  # a command that ran, and what it said
    assert trajectory.observations[2].text.startswith("Exit code: 1\n")


def test_a_provider_that_answers_again_is_forgiven(tmp_path: Path) -> None:
    session = ClaudeSession()
    session.ask("Look.")
    session.add("system", subtype="api_error", level="error")
    session.do("", "Bash", {"command": "ls"}, "a.py")
    session.say("One file.")
    (trajectory,), counts = read(session.write(tmp_path / "session.jsonl"))
    assert done(trajectory)[0] == 'run("ls")'
    assert not counts.outages
