"""What an instruction wants and what it only mentions: "plan it for May instead of April", "it is a nail, not a screw".

What is denied, was so before, or is said as a reason is no value for anything.
"""

from __future__ import annotations

import re
from functools import lru_cache

_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|`[^`]*`")
_END = r"(?=[,;:.!?](?:\s|$)|\s+but\b|\s+(?:is|are|should|shall|must) \w|$)"
#: up to the end of the clause; the first group is what says so
_DENIALS = [
    rf"\b(?:instead of|rather than|in place of|no longer|not any ?more)\b.*?{_END}",
    rf"\b(?:cannot|can't|could not|will not|won't|never|isn't|aren't|doesn't)\b.*?{_END}",
    r"\b(?:is|are|was|were) no\b(?! longer).*?(?=[,;:.!?](?:\s|$)|\s+but\b|$)",
    r"\bnot\b(?! (?:only|forget|hesitate)\b).*?(?=[,;:.!?](?:\s|$)|\s+but\b|$)",
    r"\bfrom\b (?!now\b|today\b)[^,;:.!?]*?(?=\s+(?:to|into|onto)\b)",
    r"\b(?:was|were|had been|has been)\b (?:\w+ )?"
    rf"(?:entered|filed|registered|recorded|planned|set|listed|marked) .*?{_END}",
]
_REASONS = [
    r"(?:,\s*(?:please,\s*)?|^|[.!?]\s+)(?:because|since|so that|although|though|while|now that)\b[^.!?;,]*",
    r",?\s*\bbecause\b[^.!?;,]*",
    r",\s*(?:as|for)\s+"
    r"(?=(?:the|a|an|he|she|it|we|they|there|nobody|everybody|[a-z]+ (?:is|are|was|has|will))\b)[^.!?;,]*",
]
_DENIED = re.compile("|".join(_DENIALS), re.IGNORECASE)
_REASON = re.compile("|".join(_REASONS), re.IGNORECASE)


@lru_cache(maxsize=20_000)
def denied(text: str) -> tuple[tuple[int, int], ...]:
    """Where it says what is not, or is no longer, to be."""
    return tuple(match.span() for match in _DENIED.finditer(masked(text)))


@lru_cache(maxsize=20_000)
def reasons(text: str) -> tuple[tuple[int, int], ...]:
    """Where it says why."""
    return tuple(match.span() for match in _REASON.finditer(masked(text)))


@lru_cache(maxsize=20_000)
def wanted(text: str) -> str:
    """The text with blanks for what is denied or a reason; places stay the same."""
    spans = [*denied(text), *reasons(text)]
    found = list(text)
    for start, end in spans:
        found[start:end] = " " * (end - start)
    return "".join(found)


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether a part of the text is among what it denies."""
    return any(first <= start and end <= last for first, last in denied(text))


def masked(text: str) -> str:
    """Quotations say nothing of what is denied: stops within them end no clause."""
    return _QUOTED.sub(lambda match: '"' + "x" * (len(match[0]) - 2) + '"', text)
