"""When a reply of a small model goes round: the same part over and over, for so long that nothing else will come."""

from hypothesis import given
from hypothesis import strategies as st

from lbi.models.local.serving.rounds import LEAST, LONGEST, TIMES, goes_round


@given(st.lists(st.integers(0, 9), min_size=1, max_size=LONGEST), st.lists(st.integers(0, 9), max_size=50))
def test_one_part_over_and_over_is_seen_whatever_stood_before(part: list[int], before: list[int]) -> None:
    times = max(TIMES, -(-LEAST // len(part)))
    assert goes_round([*before, *part * (times + 1)])


def test_what_ends_or_changes_goes_on() -> None:
    assert not goes_round([])
    assert not goes_round([7] * (LEAST - 1))
    assert not goes_round([*[7] * LEAST, 8])
    assert not goes_round(list(range(2 * LEAST)))
    assert not goes_round([token for number in range(LEAST) for token in (1, number, 2)])  # a counted list
