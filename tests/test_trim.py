"""What is left out of a long page: the middle of its longest lists, however many there are, and no more than needed."""

from __future__ import annotations

from lbi.observations.trim import Block, lines_of, shorten

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
