"""A page as a difference to an earlier one: shorter where it can be, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbi.observations.diff import difference, restored, shortest, without_references
from lbi.prompts import render
from lbi.protocols import Fields, PromptLimits, Request
from lbi.records import Action, Observation, Step, Task, Trajectory

LINES = st.lists(st.sampled_from(["a", "b", "- c", "+ d", "-- 2 more lines", "@3", "  e", ""]), max_size=14)
LIST = "\n".join(["heading", *[f"row {n}" for n in range(20)], "end"])


@given(LINES, LINES)
def test_the_page_can_be_had_back_from_its_difference(before: list[str], after: list[str]) -> None:
    old, new = "\n".join(before), "\n".join(after)
    assert restored(old, difference(old, new)) == new


def test_what_is_new_is_shown_with_the_line_before_it() -> None:
    assert difference("a\nb\nc", "a\nb\nx\nc") == "@3\n  b\n+ x"


def test_of_many_lines_that_are_gone_only_the_ends_are_repeated() -> None:
    changes = difference(LIST, "heading\nend")
    assert changes == "@2\n  heading\n- row 0\n-- 18 more lines\n- row 19"
    assert restored(LIST, changes) == "heading\nend"


def test_a_difference_to_another_page_is_refused() -> None:
    with pytest.raises(ValueError, match="another page"):
        restored("x\ny", difference("a\nb\nc", "a\nc"))


def test_the_nearest_of_the_earlier_pages_is_taken_and_none_that_saves_little() -> None:
    found = shortest([(0, "nothing alike"), (1, LIST)], LIST + "\nnew")
    assert found == (1, difference(LIST, LIST + "\nnew"))
    assert shortest([(0, "nothing alike")], LIST) is None
    assert shortest([], LIST) is None


def test_references_are_left_out_whole() -> None:
    assert without_references('link "Go" [e1] -> /x\ntext: [see] e12 [f2e3]') == 'link "Go" -> /x\ntext: [see] e12'


# in prompts


def trajectory(*texts: str) -> Trajectory:
    pages = [Observation(text=text, url=f"/{at}") for at, text in enumerate(texts)]
    steps = tuple(Step(observation=page, action=Action(text="back()", kind="back")) for page in pages[:-1])
    task = Task(instruction="x", environment="web")
    return Trajectory(task=task, agent="a", steps=steps, last=pages[-1], stop="done")


def said(*texts: str, differences: bool = True) -> list[str]:
    fields = Fields(trajectory=trajectory(*texts), start=0, end=len(texts) - 1)
    messages = render(Request(role="abstract", fields=fields), PromptLimits(differences=differences))
    return [message.content for message in messages[1:-1]]


def numbered(text: str, first: int) -> str:
    """The lines of a page as elements with references, as an observation numbers them."""
    return "\n".join(f"{line} [e{first + at}]" for at, line in enumerate(text.split("\n")))


def test_what_stayed_is_sent_once_even_if_all_references_moved() -> None:
    _, second = said(numbered(LIST, 1), numbered("notice\n" + LIST, 1))
    assert "+ notice" in second
    assert "row 7" not in second
    assert "page 0 with these changes, the rest is the same" in second


def test_switched_off_every_page_is_sent_as_it_was_seen() -> None:
    pages = (numbered(LIST, 1), numbered("notice\n" + LIST, 1))
    for text, message in zip(pages, said(*pages, differences=False), strict=True):
        assert text in message


def test_a_page_like_none_before_is_sent_whole() -> None:
    other = "\n".join(f"cell {n}" for n in range(20))
    assert other in said(LIST, other)[1]


def test_a_page_is_a_difference_to_the_last_at_its_address_where_that_is_nearer() -> None:
    other = "\n".join(f"cell {n}" for n in range(20))
    walked = trajectory(LIST, other, LIST + "\nrow 20")
    back = walked.model_copy(update={"last": walked.last.model_copy(update={"url": "/0"})})
    request = Request(role="abstract", fields=Fields(trajectory=back, start=0, end=2))
    assert "page 0 with these changes, the rest is the same" in render(request)[3].content


def test_pages_look_the_same_however_the_span_goes_on() -> None:
    texts = [LIST, LIST + "\nrow 20", "other", LIST]
    assert said(*texts)[:2] == said(*texts[:2])
