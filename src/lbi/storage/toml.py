"""TOML text -> tables, or an error with a reason, however the text is nested: 'a = 1' -> {"a": 1}."""

from __future__ import annotations

import re
import tomllib
from typing import Any

TomlError = tomllib.TOMLDecodeError
LONGEST = 10_000_000  # characters
DEEPEST = 40  # tables and lists within each other
#: a key of more parts than anything is deep; the parser's time grows with the square of their number
_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){200}""")


def parse_toml(text: str) -> dict[str, Any]:
    """Raises TomlError for what is no TOML, and for what is longer or deeper than any file of ours."""
    if len(text) > LONGEST:
        raise TomlError(f"longer than {LONGEST:,} characters")
    if _LONG_KEY.search(text):
        raise TomlError(f"nested more than {DEEPEST} deep")
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise TomlError(f"nested more than {DEEPEST} deep") from None
    if depth_of(tables) > DEEPEST:
        raise TomlError(f"nested more than {DEEPEST} deep")
    return tables


def depth_of(value: Any) -> int:
    """How many tables and lists are within each other."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth
