"""Tokens of a reply so far -> is it the same part over and over, as small models end that found no end?"""

from __future__ import annotations

from collections.abc import Sequence

LEAST = 256  # tokens; what is written has repetitions too, so only long ones count
TIMES = 8
LONGEST = 64  # tokens of the part


def goes_round(tokens: Sequence[int]) -> bool:
    """Whether the last ``LEAST`` tokens, and at least ``TIMES`` times, are one part of at most ``LONGEST`` tokens."""
    for part in range(1, LONGEST + 1):
        end = max(LEAST, part * TIMES)
        if len(tokens) < end:
            continue
        last = tokens[-end:]
        if last[part:] == last[:-part]:
            return True
    return False
