"""Texts of traces as they are kept: cut to a length, and with paths from the session's own folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LONGEST_SEEN = 10_000  # characters of one result, as the environment `shell` shows; of more the middle is left out
LEAST_FOLDER = 4  # characters of a folder's path; a shorter one stands in other texts
_STAYS = re.compile(r"\A\s*cd \.\s*(?:&&|;)\s*")  # in the session's own folder


def text_of(arguments: Any) -> str:
    """The texts among the arguments."""
    given = arguments.values() if isinstance(arguments, Mapping) else [arguments]
    return " ".join(each for each in given if isinstance(each, str))


def within(arguments: Any, folder: str) -> Any:
    """The arguments with paths from the session's folder: where it lay says nothing to anybody else."""
    if len(folder) < LEAST_FOLDER:
        return arguments
    if isinstance(arguments, str):
        return _STAYS.sub("", arguments.replace(f"{folder}/", "").replace(folder, "."))
    if isinstance(arguments, Mapping):
        return {key: within(value, folder) for key, value in arguments.items()}
    return [within(value, folder) for value in arguments] if isinstance(arguments, list) else arguments


def shorter(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def without_middle(text: str, most: int = LONGEST_SEEN) -> str:
    """The text; of a long one the beginning and the end."""
    if len(text) <= most:
        return text
    left = len(text) - most
    return f"{text[: most // 2]}\n[... {left:,} characters left out ...]\n{text[-(most // 2) :]}"
