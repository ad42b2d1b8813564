"""What is left out of a long page: the middle of its longest lists, however many there are, and no more than needed."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from lbi.observations.parse import parse_observation
from lbi.observations.trim import MAX_FOUND, Block, lines_of, shorten

LINE = "entry {n:02d} of part {part:02d}, which has a long name"


def a_list(part: int, lines: int) -> list[Block]:
    return [Block(LINE.format(n=n, part=part), "item") for n in range(lines)]


def page_of(*lengths: int) -> list[Block]:
    """A list of each length, under a heading each."""
    page: list[Block] = []
    for part, length in enumerate(lengths):
        page += [Block(f"heading {part}", "heading"), *a_list(part, length)]
    return page


def characters(blocks: list[Block]) -> int:
    return sum(len(line) + 1 for line in lines_of(blocks))


def lines_about(blocks: list[Block], part: int) -> list[str]:
    return [line.strip() for line in lines_of(blocks) if line.strip().endswith(LINE.format(n=0, part=part)[8:])]


def test_the_longest_list_is_cut_and_no_other_one() -> None:
    page = page_of(20, 100, 30)
    limit = characters(page) - 1500
    shorten(page, limit)
    assert limit - 200 < characters(page) <= limit
    assert len(lines_about(page, 0)) == 20
    assert len(lines_about(page, 2)) == 30
    kept = lines_about(page, 1)
    assert 60 < len(kept) < 75
    assert kept[:4] == [LINE.format(n=n, part=1) for n in range(4)]
    assert kept[-2:] == [LINE.format(n=n, part=1) for n in (98, 99)]
    assert f"… {100 - len(kept)} more left out here" in lines_of(page)


def test_lists_are_cut_one_after_the_other_as_each_becomes_the_longest() -> None:
    page = page_of(*[12] * 60)
    limit = characters(page) * 7 // 10
    shorten(page, limit)
    assert characters(page) <= limit
    assert sum(line.startswith("heading") for line in lines_of(page)) == 60
    cut = [part for part in range(60) if len(lines_about(page, part)) < 12]
    assert cut == list(range(len(cut))), "the first of those that are equally long"
    assert 30 < len(cut) < 60
    assert all(len(lines_about(page, part)) >= 6 for part in cut)


def test_a_list_under_a_line_that_is_cut_out_is_gone_and_the_others_keep_their_place() -> None:
    page = [Block(f"part {part}", "part", a_list(part, 10 + part % 3)) for part in range(40)]
    limit = characters(page) // 3
    shorten(page, limit)
    assert characters(page) <= limit
    lines = lines_of(page)
    shown = [int(line.split()[1]) for line in lines if line.startswith("part ")]
    assert shown[:4] == [0, 1, 2, 3]
    assert shown[-2:] == [38, 39]
    gone = sorted(set(range(40)) - set(shown))
    assert len(gone) > 20
    assert gone == list(range(gone[0], gone[-1] + 1))
    assert lines.count(f"… {len(gone)} more left out here") == 1
    assert not any(lines_about(page, part) for part in gone)
    assert all(len(lines_about(page, part)) == 10 + part % 3 for part in shown)


def test_what_was_asked_for_is_not_cut_out() -> None:
    page = page_of(20, 200)
    page[120].line = "the NEEDLE in the list"
    shorten(page, characters(page) // 4, "needle")
    assert "the NEEDLE in the list" in lines_of(page)
    assert characters(page) < 5000


def test_lists_under_a_line_that_holds_everything_are_cut() -> None:
    region = Block('region "Board"', "region", page_of(60, 20))
    page = [Block('main "Tasks"', "main", [region, Block("text: the end", "text")])]
    limit = characters(page) // 2
    shorten(page, limit)
    assert limit - 300 < characters(page) <= limit
    lines = [line.strip() for line in lines_of(page)]
    assert lines[:3] == ['main "Tasks"', 'region "Board"', "heading 0"]
    assert lines[-1] == "text: the end"
    assert len(lines_about(page, 1)) == 20, "the shorter list is whole"


def test_where_no_list_is_long_the_line_that_holds_most_is_cut_and_what_stands_beside_it_stays() -> None:
    parts = [Block(f'group "{part}"', "group", a_list(part, 6)) for part in range(6)]
    around = [Block(f'region "{name}"', "region", [Block("text: short", "text")]) for name in "abcd"]
    page = [*around[:2], Block('main "Board"', "main", parts), *around[2:]]
    limit = characters(page) * 2 // 3
    shorten(page, limit)
    assert characters(page) <= limit
    assert [block.line for block in page] == ['region "a"', 'region "b"', 'main "Board"', 'region "c"', 'region "d"']
    assert [block.line for block in parts][:: len(parts) - 1] == ['group "0"', 'group "5"']


def test_nothing_is_cut_where_saying_so_takes_more_room() -> None:
    page = [Block(f"t{n}", "text") for n in range(6)]
    shorten(page, 10)
    assert lines_of(page) == [f"t{n}" for n in range(6)]


def test_a_dialog_stays_and_its_long_list_is_cut() -> None:
    dialog = Block('dialog "Choose"', "dialog", [*a_list(1, 40), Block('button "OK" [e1]', "button")])
    page = [*page_of(*[3] * 20), Block("generic", "generic", [dialog]), *page_of(*[3] * 20)]
    shorten(page, 1200)
    assert characters(page) <= 1200
    lines = [line.strip() for line in lines_of(page)]
    assert 'dialog "Choose"' in lines
    assert 'button "OK" [e1]' in lines


def tree_of(depths: list[int]) -> list[Block]:
    """A page of lines that are as far in as is told, or one further than the line before."""
    page: list[Block] = []
    above: list[list[Block]] = [page]
    for number, depth in enumerate(depths, 1):
        depth = min(depth, len(above) - 1)
        kind = ("button", "link", "listitem")[depth * number % 7 % 3]
        block = Block(f'{kind} "an entry with {depth * "rather "}long words" [e{number}]', kind)
        above[depth].append(block)
        above[depth + 1 :] = [block.children]
    return page


def all_blocks(blocks: list[Block]) -> list[Block]:
    return [each for block in blocks for each in (block, *all_blocks(block.children))]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=120), st.integers(0, 4000))
def test_a_page_fits_as_long_as_there_is_something_to_cut(depths: list[int], limit: int) -> None:
    page = tree_of(depths)
    before = [block.line for block in all_blocks(page)]
    size = characters(page)
    shorten(page, limit)
    groups = [page, *(block.children for block in all_blocks(page))]
    assert characters(page) <= limit or all(len(group) <= 3 for group in groups)
    assert size > limit or [block.line for block in all_blocks(page)] == before
    kept = [block.line for block in all_blocks(page) if block.kind != "cut"]
    assert kept == [line for line in before if line in set(kept)], "what is kept is whole and in its order"
    references = {element.ref for element in parse_observation("\n".join(lines_of(page))).elements}
    assert references == {re.findall(r"\[(e\d+)\]", line)[-1] for line in kept}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.data())
def test_what_was_asked_for_stays_however_deep_it_stands(lengths: list[int], data: st.DataObject) -> None:
    page: list[Block] = [Block('region "all"', "region", page_of(*lengths))]
    lines = all_blocks(page)
    asked = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=MAX_FOUND))
    for at in asked:
        lines[at].line += " needle"
    shorten(page, 300, "Needle")
    assert sum("needle" in line for line in lines_of(page)) == len(asked)
