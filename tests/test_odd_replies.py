"""Odd replies: thoughts, named arguments, nesting and size are read, or are the model's failure, within a second."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from lbi.environments.shell.actions import UnreadableCommand, parse_command
from lbi.environments.web.actions import Call, Target, UnreadableAction, parse_action
from lbi.errors import ParseError
from lbi.models import parsing

ACT = "REASON: r\nACTION: click(e1)"
THOUGHTS = [
    "ACTION: click(e9)\n</think>\n" + ACT,
    "<think>ACTION: click(e9)</think>" + ACT,
    "<think>a</think>ACTION: click(e8)<think>ACTION: click(e9)</think>\n" + ACT,
    "<thinking>ACTION: click(e9)</thinking>" + ACT,
    "<reasoning>\nACTION: click(e9)\n</reasoning>\n" + ACT,
    "[THINK]ACTION: click(e9)[/THINK]" + ACT,
    "◁think▷ACTION: click(e9)◁/think▷" + ACT,
    "<|channel|>analysis<|message|>ACTION: click(e9)<|end|><|start|>assistant<|channel|>final<|message|>" + ACT,
    f"<|channel|>commentary<|message|>\nACTION: click(e9)\n<|end|><|channel|>final<|message|>{ACT}<|return|>",
    f"<|channel|>final<|message|>{ACT}<|end|><|start|>assistant<|channel|>analysis<|message|>ACTION: click(e9)",
]


@pytest.mark.parametrize("reply", THOUGHTS)
def test_an_action_that_is_only_thought_of_is_not_taken(reply: str) -> None:
    assert parsing.act(reply)[1] == "click(e1)"


@pytest.mark.parametrize(
    "reply",
    [
        "<think>I could\nACTION: click(e9)",
        "<think>\nREASON: r\nACTION: click(e9)",
        "<think>a</think>\n<think>\nACTION: click(e9)",
        "[THINK]\nACTION: click(e9)",
        "<|channel|>analysis<|message|>ACTION: click(e9)",
        "<|channel|>commentary to=functions.x<|message|>ACTION: click(e9)<|end|>",
        "<|channel|>analysis\nACTION: click(e9)",
    ],
)
def test_thoughts_that_do_not_end_are_no_reply(reply: str) -> None:
    with pytest.raises(ParseError):
        parsing.act(reply)


NAMED = [
    ('fill(e3, text="Ann")', Call("fill", Target("e3"), "Ann")),
    ("fill(e3, text='Ann')", Call("fill", Target("e3"), "Ann")),
    ("fill(e3, text=Ann)", Call("fill", Target("e3"), "Ann")),
    ('fill(ref="e3", value="a, b=c")', Call("fill", Target("e3"), "a, b=c")),
    ('fill(text="Ann", element=e3)', Call("fill", Target("e3"), "Ann")),
    ('fill(e3, "text=Ann")', Call("fill", Target("e3"), "text=Ann")),
    ('select(e3, option="Red")', Call("select", Target("e3"), "Red")),
    ('select(element="e3", value = "Red")', Call("select", Target("e3"), "Red")),
    ("click(element=e3)", Call("click", Target("e3"))),
    ('press(key="Enter")', Call("press", None, "Enter")),
    ('press(e3, key="Enter")', Call("press", Target("e3"), "Enter")),
    ('goto(url="/a?b=c")', Call("goto", None, "/a?b=c")),
    ("goto(/a?b=c)", Call("goto", None, "/a?b=c")),
    ('scroll(direction="down")', Call("scroll", None, "down")),
    ('finish(answer="42")', Call("finish", None, "42")),
    ("finish(answer=42)", Call("finish", None, "42")),
    ("finish(total=42)", Call("finish", None, "total=42")),
    ('finish("x == y")', Call("finish", None, "x == y")),
]


@pytest.mark.parametrize(("text", "call"), NAMED, ids=[text for text, _ in NAMED])
def test_a_named_argument_is_its_value(text: str, call: Call) -> None:
    assert parse_action(text) == call


@pytest.mark.parametrize(
    "text",
    [
        'fill(e3, colour="Ann")',
        "fill(e3, colour=Ann)",
        'fill(e3, "Ann", text="Bob")',
        'fill(text="Ann")',
        'hover(e3, button="right")',
        'finish(speech="42")',
        'back(steps="2")',
    ],
)
def test_a_name_that_the_action_does_not_have_is_never_typed(text: str) -> None:
    with pytest.raises(UnreadableAction) as raised:
        parse_action(text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('run(command="ls")', ("ls",)),
        ('run(cmd="FOO=1 make")', ("FOO=1 make",)),
        ("run(FOO=1 make)", ("FOO=1 make",)),
        ('view(path="a.py", start=3, end=9)', ("a.py", 3, 9)),
        ('view("a.py", start=3)', ("a.py", 3)),
        ('replace(path="a.py", old="x = 1", new="x = 2")', ("a.py", "x = 1", "x = 2")),
        ('replace(path="a.py", new="b", old="a")', ("a.py", "a", "b")),
        ('create("a.py", text="""x = 1\n""")', ("a.py", "x = 1\n")),
        ('insert(path="a.py", line=3, text="y")', ("a.py", 3, "y")),
        ('finish(answer="42")', ("42",)),
    ],
)
def test_named_arguments_of_a_shell(text: str, arguments: tuple[str | int, ...]) -> None:
    assert parse_command(text).arguments == arguments


@pytest.mark.parametrize(
    "text", ['run(shell="ls")', 'view(path="a", end=3)', 'run("ls", command="rm")', 'view(lines="a")']
)
def test_names_that_a_shell_does_not_have(text: str) -> None:
    with pytest.raises(UnreadableCommand):
        parse_command(text)


PARSERS: dict[str, Callable[[str], Any]] = {
    "propose": parsing.propose,
    "act": parsing.act,
    "query": parsing.query,
    "instruction": parsing.instruction,
    "summary": parsing.summary,
    "vote": parsing.vote("m"),
    "spans": parsing.of_spans(parsing.instruction, ["0-1"]),
    "action": parse_action,
    "command": parse_command,
}
N = 190_000
ODD = {
    "lists": "[" * N,
    "objects": '{"a":' * (N // 5),
    "closed": "[" * 900 + "]" * 900,
    "action in lists": '{"action": ' + "[" * 50_000 + "]" * 50_000 + "}",
    "newlines": "\n" * N + "x",
    "dashes": "- " * (N // 2),
    "fences": "```\n" * (N // 4),
    "fence and newlines": "```" + "\n" * N + "x",
    "quotes": 'ACTION: fill(e1, "' + '"a' * (N // 2),
    "triples": "ACTION: fill(e1, " + '"""a,' * (N // 5),
    "arguments": "ACTION: fill(" + "a," * (N // 2) + ")",
    "names": "ACTION: fill(" + "a=" * (N // 2) + ")",
    "brackets": "ACTION: run(" + "(" * N,
    "escapes": 'ACTION: run("' + "\\" * N,
    "thoughts": "<think>" * (N // 7),
    "closed thoughts": "</think>" * (N // 8),
    "channels": "<|channel|>" * (N // 11),
    "stars": "*" * N + "ACTION",
    "huge": "x" * 50_000_000,
    "huge list": "[" + '"a",' * 12_000_000,
    "none": "",
    "surrogates": '{"action": "\\ud800"}' * 1000,
    "digits": "9" * N,
}


@pytest.mark.parametrize("name", ODD)
def test_no_reply_takes_more_than_a_second_or_is_anything_but_unreadable(name: str) -> None:
    for parser, parse in PARSERS.items():
        if name.startswith("huge") and parser in ("action", "command"):
            continue  # a reply of that size does not become an action
        start = time.process_time()
        with contextlib.suppress(ParseError, UnreadableAction, UnreadableCommand):
            parse(ODD[name])
        assert time.process_time() - start < 1, parser
