"""Parsers: what is understood, what is refused, and what a re-ask costs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbi.errors import ModelError, ParseError
from lbi.models import parsing
from lbi.models.parsing import Proposal
from lbi.models.providers.scripted import Scripted
from lbi.protocols import Fields, Request
from lbi.records import Observation, Task, Usage

REQUEST = Request(
    role="act",
    fields=Fields(task=Task(instruction="Go", environment="web"), observation=Observation(text="button [e1]")),
)
EVERY_PARSER = (parsing.propose, parsing.act, parsing.query, parsing.instruction, parsing.summary, parsing.vote("m"))
LINES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=40)


@pytest.mark.parametrize("parser", EVERY_PARSER)
@pytest.mark.parametrize("reply", ["", "  \n", "<think>only thoughts</think>", '""', "``"])
def test_a_reply_that_says_nothing_is_never_a_value(parser: parsing.Parser[object], reply: str) -> None:
    with pytest.raises(ParseError) as caught:
        parser(reply)
    assert caught.value.reply == reply


@given(st.text(max_size=300), st.sampled_from(EVERY_PARSER))
def test_any_text_is_a_value_or_a_parse_error_that_keeps_it(text: str, parser: parsing.Parser[object]) -> None:
    failures = []
    try:
        assert parser(text)
    except ParseError as error:
        failures.append(error.reply)
    assert failures in ([], [text])


# propose


@given(
    st.lists(st.tuples(LINES.filter(str.strip), LINES), min_size=1, max_size=5),
    st.sampled_from(["{}", "```json\n{}\n```", "Here:\n{}\nDone."]),
)
def test_a_list_of_tasks_comes_back_as_it_was(tasks: list[tuple[str, str]], around: str) -> None:
    said = json.dumps([{"instruction": instruction, "quote": quote} for instruction, quote in tasks])
    found = parsing.propose(around.replace("{}", said))
    assert found == [Proposal(" ".join(instruction.split()), quote.strip()) for instruction, quote in tasks]


def test_numbered_lines_are_tasks_without_a_quote() -> None:
    assert parsing.propose('Tasks:\n1. Open it\n2) "Close it"\n') == [Proposal("Open it"), Proposal("Close it")]


def test_tasks_within_an_object_are_found() -> None:
    assert parsing.propose('{"tasks": [{"instruction": "Open it", "quote": "q"}]}') == [Proposal("Open it", "q")]


@pytest.mark.parametrize(
    ("said", "ending"),
    [("true", True), ('"yes"', True), ("false", False), ('"no"', False), ("null", False), ("[]", False)],
)
def test_a_task_that_would_end_the_session_says_so_or_is_taken_for_one_that_does_not(said: str, ending: bool) -> None:
    [proposal] = parsing.propose(f'[{{"instruction": "Leave", "quote": "q", "ending": {said}}}]')
    assert proposal == Proposal("Leave", "q", ending)


@pytest.mark.parametrize("reply", ["[]", '{"tasks": []}', "```json\n[]\n```"])
def test_no_task_is_an_answer(reply: str) -> None:
    assert parsing.propose(reply) == []


@pytest.mark.parametrize("reply", ["NONE", "none.", '"NONE"', '{"instruction": "NONE"}'])
def test_a_span_in_which_nothing_was_achieved_has_no_instruction(reply: str) -> None:
    assert parsing.instruction(reply) == ""
    assert parsing.of_spans(parsing.instruction, ["0-1", "0-2"])('{"0-1": "NONE", "0-2": "Open it."}') == {
        "0-1": "",
        "0-2": "Open it.",
    }


@pytest.mark.parametrize("reply", ["No tasks.", '[{"quote": "q"}]', '[{"instruction": ""}]', "[1, 2]"])
def test_a_list_without_tasks_is_refused(reply: str) -> None:
    with pytest.raises(ParseError):
        parsing.propose(reply)


def test_a_list_that_was_cut_off_is_refused_rather_than_shortened() -> None:
    with pytest.raises(ParseError):
        parsing.propose('[{"instruction": "Open it", "quote": "q"}, {"instruction": "Clo')


# act


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("REASON: it is there\nACTION: click(e12)", ("it is there", "click(e12)")),
        ("reason: a\nb\naction:click(e1)", ("a b", "click(e1)")),
        ("**REASON:** so\n**ACTION:** `click(e1)`", ("so", "click(e1)")),
        ('ACTION: finish("it\'s (done)")', ("", 'finish("it\'s (done)")')),
        ('REASON: r\nACTION:\n```\nfill(e1, "a)\\"b")\n```', ("r", 'fill(e1, "a)\\"b")')),
        ("REASON: r\nACTION: click('button \"Go (now)\"')", ("r", "click('button \"Go (now)\"')")),
        ("REASON: r\nACTION: back()\nACTION: click(e1)", ("r", "back()")),
        ('<think>ACTION: back()</think>\nREASON: r\nACTION: press("Enter") # then wait', ("r", 'press("Enter")')),
        ('REASON: r\nACTION: fill(e3, "two\nlines")', ("r", 'fill(e3, "two\nlines")')),
    ],
)
def test_an_action_is_read(reply: str, expected: tuple[str, str]) -> None:
    assert parsing.act(reply) == expected


@pytest.mark.parametrize(
    "reply", ["I would click.", "REASON: r", "ACTION: click", "ACTION: click(e1", "ACTION: I click(e1)"]
)
def test_what_holds_no_action_is_refused(reply: str) -> None:
    with pytest.raises(ParseError):
        parsing.act(reply)


@given(LINES, LINES)
def test_a_filled_text_comes_back_as_it_was(reason: str, text: str) -> None:
    action = f"fill(e1, {json.dumps(text, ensure_ascii=False)})"
    assert parsing.act(f"REASON: so {reason}\nACTION: {action}")[1] == action


# query, abstract, summarise


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('"create a ticket"', "create a ticket"),
        ("Query: create a ticket\n", "create a ticket"),
        ("```\ncreate a\nticket\n```", "create a ticket"),
        ('rename "a" to "b"', 'rename "a" to "b"'),
        ('"a" or "b"', '"a" or "b"'),
    ],
)
def test_a_query_is_freed_of_what_is_around_it(reply: str, expected: str) -> None:
    assert parsing.query(reply) == expected


def test_an_instruction_is_one_line_without_its_label() -> None:
    assert parsing.instruction("**Instruction:** Close\n  ticket 7.") == "Close ticket 7."


@pytest.mark.parametrize(
    "reply", ["First press Go.", "Replicate the following: First press Go.", "Summary: First press Go."]
)
def test_a_summary_begins_as_the_papers_do(reply: str) -> None:
    assert parsing.summary(reply) == "Replicate the following: First press Go."


def test_a_summary_of_nothing_is_refused() -> None:
    with pytest.raises(ParseError):
        parsing.summary("Replicate the following:")


# judge

YES = {"aligned": True, "coherent": True, "natural": True, "reasonable": True}


@given(st.fixed_dictionaries({name: st.booleans() for name in YES}), st.text(max_size=20), st.booleans())
def test_a_vote_comes_back_as_it_was_given(answers: dict[str, bool], reason: str, lines: bool) -> None:
    if lines:
        reply = "\n".join(f"{name}: {'yes' if answer else 'No.'}" for name, answer in answers.items())
    else:
        reply = f"```json\n{json.dumps({'reason': reason, **answers})}\n```"
    vote = parsing.vote("m")(reply)
    assert {name: getattr(vote, name) for name in YES} == answers
    assert vote.model == "m"


@pytest.mark.parametrize("missing", sorted(YES))
def test_a_vote_without_one_of_its_answers_is_refused(missing: str) -> None:
    reply = json.dumps({name: answer for name, answer in YES.items() if name != missing})
    with pytest.raises(ParseError, match=missing):
        parsing.vote("m")(reply)


@pytest.mark.parametrize("answer", [None, "maybe", 0.5, "", []])
def test_an_answer_that_is_neither_yes_nor_no_is_refused(answer: object) -> None:
    with pytest.raises(ParseError, match="natural"):
        parsing.vote("m")(json.dumps({**YES, "natural": answer}))


# ask

GOOD = "REASON: r\nACTION: back()"


async def test_a_good_reply_is_asked_for_once() -> None:
    model = Scripted([GOOD])
    value, usage = await parsing.ask(model, REQUEST, parsing.act)
    assert (value, usage.calls, model.calls) == (("r", "back()"), 1, 1)


@pytest.mark.parametrize("bad", ["I would go back.", ""])
async def test_an_unreadable_reply_is_shown_to_the_model_with_what_is_wrong(bad: str) -> None:
    model = Scripted([bad, GOOD])
    value, usage = await parsing.ask(model, REQUEST, parsing.act)
    assert (value, usage.calls) == (("r", "back()"), 2)
    reply, complaint = model.requests[1].extra
    assert reply.content == (bad or "(empty)")
    assert "could not be read" in complaint.content


async def test_two_unreadable_replies_are_a_parse_error_that_keeps_the_second_and_charges_both() -> None:
    model = Scripted(["no", "still no", GOOD])
    with pytest.raises(ParseError) as caught:
        await parsing.ask(model, REQUEST, parsing.act)
    assert caught.value.reply == "still no"
    assert caught.value.usage.calls == 2
    assert caught.value.usage.output_tokens == 3
    assert model.calls == 2


async def test_a_failed_second_call_charges_the_first() -> None:
    model = Scripted(["no", ModelError("gone", usage=Usage(calls=1, input_tokens=7, cost=None))])
    with pytest.raises(ModelError) as caught:
        await parsing.ask(model, REQUEST, parsing.act)
    assert caught.value.usage.calls == 2
    assert caught.value.usage.input_tokens > 7
