"""Calls of others' tools as actions: of our shell where they do the same, else as they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lbi.environments.shell.actions import parse_command
from lbi.interop.actions import action_of, may_change
from lbi.interop.axtree import page_of
from lbi.interop.chat import returned
from lbi.interop.outages import outage_in
from lbi.observations.parse import parse_observation
from test_import import TRACES, done, read

SAME = {
    'run("ls -la")': [
        ("Bash", {"command": "ls -la", "description": "List files"}),
        ("shell", {"command": ["bash", "-lc", "ls -la"], "workdir": "."}),
        ("exec_command", {"cmd": "ls -la"}),
        ("mcp__box__execute_bash", {"command": "ls -la"}),
        ("container.exec", {"cmd": ["ls", "-la"]}),
        ("terminal", {"command": "ls -la", "is_input": False}),
        ("bash", "ls -la"),
    ],
    'view("a.py", 10, 19)': [
        ("Read", {"file_path": "a.py", "offset": 10, "limit": 10}),
        ("str_replace_based_edit_tool", {"command": "view", "path": "a.py", "view_range": [10, 19]}),
        ("read_file", {"target_file": "a.py", "start_line": 10, "end_line": 19}),
    ],
    'replace("a.py", "old", "new")': [
        ("Edit", {"file_path": "a.py", "old_string": "old", "new_string": "new"}),
        ("file_editor", {"command": "str_replace", "path": "a.py", "old_str": "old", "new_str": "new"}),
    ],
    'create("a.py", "text")': [
        ("Write", {"file_path": "a.py", "content": "text"}),
        ("str_replace_editor", {"command": "create", "path": "a.py", "file_text": "text"}),
    ],
    'insert("a.py", 3, "text")': [
        ("str_replace_editor", {"command": "insert", "path": "a.py", "insert_line": 3, "new_str": "text"}),
    ],
}


@pytest.mark.parametrize(("text", "name", "given"), [(text, *call) for text, calls in SAME.items() for call in calls])
def test_tools_that_do_the_same_are_the_same_action_of_the_shell(text: str, name: str, given: Any) -> None:
    action = action_of(name, given)
    assert action.grounded == text
    command = parse_command(text)
    assert (action.kind, action.name, action.value) == (command.kind, command.path, command.value)


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("book", {"seat": "4A", "count": 2, "meals": ["a"]}, 'book(seat="4A", count=2, meals=["a"])'),
        ("click", {"selector": "#save"}, 'click(selector="#save")'),
        ("Edit", {"file_path": "a", "old_string": "x", "new_string": "y", "replace_all": True}, "Edit("),
        ("Read", {}, "Read()"),
        ("python", "print(1)", 'python("print(1)")'),
    ],
)
def test_any_other_tool_is_a_command_that_is_written_as_a_call(name: str, given: Any, text: str) -> None:
    action = action_of(name, given)
    assert action.grounded.startswith(text)
    assert action.written == action.grounded
    assert (action.kind, action.name) == ("run", name)


@pytest.mark.parametrize(
    "output",
    [
        "Chunk ID: bc1f\nWall time: 0.0 seconds\nProcess exited with code 3\nOriginal token count: 16\nOutput:\n{}",
        "Exit code: 3\nWall time: 0.1 seconds\nTotal output lines: 3\nOutput:\n{}",
        "Exit code: 3\nWall time: 0.1 seconds\nOutput:\n{}",
        "<returncode>3</returncode>\n<output>\n{}\n</output>",
    ],
)
def test_of_what_a_program_writes_around_an_output_only_the_exit_code_stays(output: str) -> None:
    lines = "one\ntwo\nWall time: it is late\nthree"
    result = returned("c", output.format(lines))
    assert (result.exit_code, result.text) == (3, lines)


def test_a_patch_of_one_file_is_known_by_it() -> None:
    patch = "*** Begin Patch\n*** Update File: src/a.py\n@@\n-old\n+new\n*** End Patch"
    action = action_of("apply_patch", {"input": patch})
    assert (action.kind, action.name, action.value) == ("replace", "src/a.py", "new")
    assert json.loads(action.text.removeprefix("apply_patch(")[:-1]) == patch
    assert action_of("apply_patch", patch.replace("Update", "Add")).kind == "create"
    assert action_of("apply_patch", patch + "\n*** Delete File: b.py").value == "apply_patch src/a.py, b.py"


@pytest.mark.parametrize(
    ("name", "given", "changes"),
    [
        ("Bash", {"command": "git status"}, False),
        ("Bash", {"command": "git commit -am x"}, True),
        ("Read", {"file_path": "a.py"}, False),
        ("Write", {"file_path": "a.py", "content": ""}, True),
        ("mcp__tracker__get_ticket", {}, False),
        ("mcp__tracker__create_ticket", {}, True),
        ("searchFlights", {"to": "OSL"}, False),
        ("WebFetch", {"url": "x"}, False),
        ("bookFlight", {}, True),
    ],
)
def test_what_only_looks_is_told_by_its_command_or_its_name(name: str, given: Any, changes: bool) -> None:
    assert may_change(action_of(name, given)) == changes


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("API Error: 529 overloaded_error", "provider"),
        ("Rate limit exceeded, retry in 20 s", "provider"),
        ("HTTP error: status code 503", "provider"),
        ("MCP error -32001: Request timed out", "timeout"),
        ("read ECONNRESET", "connection"),
        ("The container has been terminated", "environment"),
        ("[Request interrupted by user for tool use]", "interrupted"),
        ("The user doesn't want to proceed with this tool use.", "interrupted"),
        ("File does not exist.", ""),
        ("String to replace not found in file.", ""),
        ("ticket 503 has no field status", ""),
        ("error: the rate of the loan is limited", ""),
    ],
)
def test_infrastructure_is_told_from_the_agents_own_mistakes(message: str, kind: str) -> None:
    assert outage_in(message) == kind


def test_a_tree_of_browsergym_reads_like_a_page_of_ours() -> None:
    tree = (
        "RootWebArea 'Shop', focused, url='http://shop.test/cart?x=1'\n"
        "\t[4] heading 'Your cart'\n"
        "\t[5] link 'It\\'s home', url='http://shop.test/'\n"
        "\t[6] textbox 'Notes' value='two\\nlines', required\n"
        "\t[7] checkbox 'Gift', checked='true'\n"
        "\t[a8] button 'Buy', disabled=True\n"
        "\t[b9] button 'Buy'\n"
        "\tStaticText 'Total: 12'"
    )
    page = page_of(tree, "http://shop.test/cart?x=1#top", "Shop")
    read_back = parse_observation(page.observation.text)
    assert (page.observation.url, read_back.url, read_back.headings) == ("/cart?x=1#top",) * 2 + (("Your cart",),)
    assert [(e.role, e.name, e.nth) for e in read_back.elements] == [
        ("link", "It's home", 0),
        ("textbox", "Notes", 0),
        ("checkbox", "Gift", 0),
        ("button", "Buy", 0),
        ("button", "Buy", 1),
    ]
    assert (read_back.elements[0].url, read_back.elements[2].states) == ("/", ("checked",))
    assert (page.elements["b9"].name, page.elements["b9"].nth) == ("Buy", 1)
    assert read_back.pairs == (("Total", "12"),)


def test_an_agent_within_another_one_has_spans_of_its_own_session(tmp_path: Path) -> None:
    spans = [json.loads(line) for line in (TRACES / "otel-console.jsonl").read_text().splitlines()][:6]
    outer = next(span for span in spans if span["attributes"]["gen_ai.operation.name"] == "invoke_agent")
    inner = json.loads(json.dumps(outer))
    inner["context"]["span_id"], inner["parent_id"] = "0xinner", outer["context"]["span_id"]
    for span in spans:
        if span is not outer:
            span["parent_id"] = "0xinner"
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, [*spans, inner])))
    nothing, counts = read(tmp_path / "a.jsonl")
    assert (nothing, counts.left_out["sub-agent session: called"]) == ([], 2)
    (trajectory,), _ = read(tmp_path / "a.jsonl", "sub-agent")
    assert (len(done(trajectory)), trajectory.task.instruction) == (3, "")
