"""Which actions may change something, told before they are carried out: on a page, and in a shell."""

from __future__ import annotations

import pytest

from fake_environment import LampEnvironment
from lbi.environments._timeouts import WithTimeouts
from lbi.environments.shell.actions import parse_command
from lbi.environments.shell.consequences import why_it_may_change as why_of_command
from lbi.environments.web.actions import parse_action
from lbi.environments.web.consequences import why_it_may_change
from lbi.observations.parse import parse_observation
from lbi.protocols import CallTimeouts
from lbi.records import Task
from lbi.rollouts.watching import Confirmed, StoppedByPerson

PAGE = """URL: /
Title: Notes
link "Notes" [e1] -> /notes
link "Delete" [e2] -> /note/3
link "Note 3" [e3] -> /note/3?action=delete
link "More" [e4] -> #more
link "Menu" [e5] -> javascript:open()
link "Elsewhere" [e6] -> https://elsewhere.example/a
textbox "Title" [e7]
button "Menu" [e8] (collapsed)
checkbox "Done" [e9]
combobox "Shelf" [e10]: "top" of "top" | "bottom"
link "Senders" [e11] -> /senders/posts/undeleted
link "Out" [e12] -> /log_out
link "Away" [e13] -> /item/3/deleteItem
link "Twice" [e14] -> /note/3%3Faction%3Ddelete"""


def why(action: str) -> str:
    call = parse_action(action)
    page = parse_observation(PAGE)
    return why_it_may_change(call, page.element(call.target.ref) if call.target else None)


@pytest.mark.parametrize(
    "action",
    [
        "click(e1)",
        "click(e6)",
        "click(e7)",
        "click(e11)",
        'fill(e7, "delete")',
        'fill(e7, "one\\ntwo")',
        'type(e7, "send")',
        "hover(e8)",
        'goto("/notes?page=2")',
        "back()",
        'scroll("down")',
        'find("delete")',
        "wait()",
        'tab("2")',
        'press("Tab")',
        'press(e7, "Shift+Tab")',
        'press("PageDown")',
        'press(e7, "Control+a")',
        'finish("deleted")',
    ],
)
def test_what_only_looks_is_not_asked_about(action: str) -> None:
    assert why(action) == ""


@pytest.mark.parametrize(
    "action",
    [
        "click(e2)",
        "click(e3)",
        "click(e4)",
        "click(e5)",
        "click(e8)",
        "click(e9)",
        "click(e12)",
        "click(e13)",
        "click(e14)",
        'click(e1, "double")',
        'select(e10, "bottom")',
        'press("Enter")',
        'press(e7, "Enter")',
        'press("e")',
        'press("Delete")',
        'press("ArrowDown")',
        'type(e7, "send\\n")',
        "drag(e8, e9)",
        'upload(e8, "a.csv")',
        'goto("/note/3?action=delete")',
        'goto("/logout")',
    ],
)
def test_what_a_page_might_send_something_at_is_asked_about(action: str) -> None:
    assert why(action)


def test_the_reason_names_the_word_of_a_link_or_an_address() -> None:
    assert why("click(e2)") == 'the link says "Delete"'
    assert why('goto("/note/3?action=delete")') == 'the address says "delete"'


def of(line: str) -> str:
    return why_of_command(parse_command(f"run({line!r})"))


@pytest.mark.parametrize(
    "line",
    [
        "ls -la",
        "cd src && cat a.py | head -20",
        "grep -rn 'def f' src | sort | uniq -c",
        "find . -name '*.py'",
        "git log --oneline -5; git diff HEAD~1 -- a.py",
        "sed -n 10,20p a.py",
        "sed -n '/def f/,/return/p' a.py",
        "wc -l < a.py",
        "cat a.py 2>/dev/null | tail -3 2>&1",
        "test -f a.py && echo yes || echo no",
        "echo '>'x",
    ],
)
def test_commands_that_are_known_to_read_are_not_asked_about(line: str) -> None:
    assert of(line) == ""


@pytest.mark.parametrize(
    "line",
    [
        "rm -r build",
        "ls; rm a",
        "ls && rm a",
        "ls | xargs rm",
        "ls & rm a",
        "ls\nrm a",
        "echo x > a.py",
        "echo x >> a.py",
        "cat a.py >| b.py",
        "echo $(rm a)",
        "echo `rm a`",
        "cat <(rm a)",
        "echo ${x:=$(rm a)}",
        "echo $'a\\'' ; rm a ; echo '",
        "find . -delete",
        "find . -exec rm {} ;",
        "sort -o a.py a.py",
        "sort -uoa.py a.py",
        "uniq a.py b.py",
        "sed -i s/a/b/ a.py",
        "sed -n 'w b.py' a.py",
        "sed -n 1p -i a.py",
        "git checkout a.py",
        "git -C . log",
        "git diff --output=a.py",
        "git grep -Orm x",
        "python -c 'print(1)'",
        "pytest -q",
        "PATH=. ls",
        "$PAGER a.py",
        "(rm a)",
        "{ rm a; }",
        "cat 'a",
        "tree -o a.txt",
        "<> a.py",
        "awk 'BEGIN { system(\"rm a\") }'",
        "xxd a b",
    ],
)
def test_every_other_command_is_asked_about(line: str) -> None:
    assert of(line)


def test_files_that_are_written_are_asked_about_and_views_are_not() -> None:
    assert why_of_command(parse_command('create("a.py", "x")')) == "it writes a.py"
    assert why_of_command(parse_command('view("a.py")')) == ""
    assert why_of_command(parse_command('finish("x")')) == ""


async def test_of_an_environment_that_cannot_tell_everything_but_the_end_is_asked_about() -> None:
    asked: list[str] = []

    async def refuse(foreseen: object) -> str:
        asked.append(str(foreseen))
        return "no" if len(asked) == 1 else "stop"

    lamps = LampEnvironment()
    watched = Confirmed(WithTimeouts(lamps, CallTimeouts()), refuse)
    page = await watched.reset(Task(instruction="x", environment="lamps"))
    outcome = await watched.step("click(e1)")
    assert (outcome.observation.text, outcome.done) == (page.text, False)
    assert "did not allow this action" in outcome.observation.error
    with pytest.raises(StoppedByPerson):
        await watched.step("click(e1)")
    assert (await watched.step('finish("")')).done
    assert len(asked) == 2
