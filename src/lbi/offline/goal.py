"""An instruction taken apart once: what it asks for, of what, with which values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from lbi.environments.snapshot import Page, parse_observation
from lbi.offline.lexical import Value, is_question, mask, stem, values, words
from lbi.records import Observation

FILLING = frozenset({"fill", "select"})
#: "open a ticket", "report a defect": they ask for something new
_MAKES = re.compile(r"\b(?:open|report|raise|file|enter|start|write) (?:a|an|another|one more)\b", re.IGNORECASE)
_CHANGES = frozenset({"create", "change", "delete", "save"})


def page_of(observation: Observation) -> Page:
    return parse_observation(observation.text)


@dataclass(frozen=True)
class Goal:
    text: str

    @cached_property
    def words(self) -> frozenset[str]:
        said = frozenset(words(mask(self.text)))
        return said | {"create"} if _MAKES.search(self.text) else said

    @cached_property
    def values(self) -> tuple[Value, ...]:
        return values(self.text)

    @cached_property
    def question(self) -> bool:
        return is_question(self.text)

    @cached_property
    def visits(self) -> bool:
        """Whether it asks to be brought somewhere or shown something, and for nothing to be changed."""
        asked = [stem(word) for word in re.findall(r"[A-Za-z]+", self.text)[:8]]
        if _MAKES.search(self.text):
            return False
        return not self.question and "open" in asked and not _CHANGES & set(asked)

    @cached_property
    def changes(self) -> bool:
        """Whether something is to be different afterwards: it is neither a question, nor a visit, nor a search."""
        return (
            not self.question and not self.visits and not ({stem("search")} & self.words and not _CHANGES & self.words)
        )


def is_visit(label: str) -> bool:
    """Whether a label says that its steps only lead somewhere or tell something."""
    return is_question(label) or stem(label.split(maxsplit=1)[0] if label.strip() else "") == "open"
