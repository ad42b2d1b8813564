"""An instruction taken apart once: what it asks for, of what, with which values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from lbi.observations.parse import Page, parse_observation
from lbi.offline.lexical import Value, is_question, labels, mask, stem, values, words
from lbi.offline.senses import canonical, senses
from lbi.records import Observation

FILLING = frozenset({"fill", "select"})
#: "open a ticket", "report a defect": they ask for something new
_MAKES = re.compile(
    r"\b(?:open|report|raise|file|enter|start|write|create|add|register|insert|publish|set up|make|we need|i need)"
    r" (?:up )?(?:(?:this|it) as )?(?:a|an|another|one more)(?: new)?\b(?! comment| note| link| bullet| line)"
    r"|\b(?:create|add|register|set up) (?:the |two |three )?new\b|^(?:please )?(?:enter|register|create|set up) the\b"
    r"|^(?:please )?report that\b"
    r"|\bthere (?:is|should be|must be|has to be|shall be) (?:a new|a further|another|an additional)\b"
    r"|\b(?:a|another) (?:new |further )\w+ (?:\w+ )?(?:is to|should|must|has to|shall) be"
    r" (?:created|added|entered|filed)\b"
    r"|\badd the (?P<kind>[a-z]+)\b[^.!?]* to the (?:list of )?(?P=kind)s\b",
    re.IGNORECASE,
)
#: "a new name", "a different owner": something that is there is to change
_RENEWS = re.compile(
    r"\b(?:new|other|different|better) (?:\w+ )?(name|title|summary|subject|description|owner|text|date|colou?r)\b",
    re.IGNORECASE,
)
#: where an order begins: at the beginning, after a stop or a comma, after "and" or a polite phrase
_ORDERS = re.compile(
    r"(?:^|[.!?:;,]\s+|\band\s+)(?:please |then |kindly )?(?:(?:i|we) (?:would like|want|need) to |(?:can|could) you )?"
    r"(?:please |then )?(?P<verb>[a-z]+)\b",
    re.IGNORECASE,
)
#: "take it off the list" does not want to be taken anywhere
_TAKES_OFF = re.compile(r"\btake\b[^.!?]*\b(?:off|away|out)\b", re.IGNORECASE)
#: "leave a note on it"
_LEAVES = re.compile(r"\bleave (?:a|an|the|this|your) (?:\w+ )?(?:note|comment|remark|message)\b", re.IGNORECASE)
_LIKENESS = re.compile(
    r",?\s+(?:in |just |exactly )*the same way (?:as|that)\b[^.!?;\"]*"
    r"|,?\s+(?:just )?(?:as|like) (?:it is|it was|is|was) (?:done )?(?:for|on|in|at)\b[^.!?;,\"]*",
    re.IGNORECASE,
)
#: "find out who", "see whether" and "look up" want to be told
_ASKS = re.compile(r"\w+ (?:out|up|whether|if|who|whose|what|when|how)\b|\w+ which\b(?! (?:page|list))", re.IGNORECASE)
_TELLS = re.compile(r"\b(?:(?:tell|let|give) (?:me|us)|find out)\b", re.IGNORECASE)
_LEADS = frozenset(["sort", "group", "filter", "go", "get", "see", "look", "read", "leave"])
#: orders to change something that are no names of buttons
DOES = frozenset(
    [
        "give",
        "plan",
        "make",
        "mark",
        "move",
        "reopen",
        "raise",
        "lower",
        "correct",
        "hand",
        "write",
        "append",
        "replace",
        "pin",
        "lock",
    ]
)
#: senses that change something, however they are said
_DONE = frozenset({"reopen", "delete", "accept", "reassign", "rename"})
_CHANGES = frozenset({"create", "change", "delete", "save", "comment", "close"})


def page_of(observation: Observation) -> Page:
    return parse_observation(observation.text)


@dataclass(frozen=True)
class Goal:
    text: str

    @cached_property
    def spoken(self) -> frozenset[str]:
        """All words of it, with those that names of fields have."""
        return frozenset(words(self.text)) | frozenset(labels(self.text))

    @cached_property
    def words(self) -> frozenset[str]:
        plain = _RENEWS.sub(r"changed \1", mask(_MAKES.sub("create", self.said)))
        said = frozenset(words(plain))
        return said | {"create"} if self.makes else said

    @cached_property
    def makes(self) -> bool:
        """Whether something is to come into being that was not there."""
        return _MAKES.search(self.said) is not None

    @cached_property
    def made(self) -> frozenset[str]:
        """Words for what is to come into being: what stands after "create a", to the next preposition or value."""
        match = _MAKES.search(self.said)
        if match is None:
            return frozenset()
        after = re.split(
            r"[\"“'‘,.:;!?]|\b(?:with|of|for|in|on|at|to|called|named|titled|that|which|is|as)\b",
            self.said[match.end() :],
        )
        within = [word for word in words(mask(match[0])) if word not in ("create", "enter", "there")]
        return frozenset(words(mask(after[0]))) | frozenset(within)

    @cached_property
    def said(self) -> str:
        """The text in the words that applications have for what is done."""
        return canonical(self.text)

    @cached_property
    def senses(self) -> frozenset[str]:
        """What is to be done, as far as there is one word for it."""
        return senses(self.text)

    @cached_property
    def values(self) -> tuple[Value, ...]:
        return values(self.text)

    @cached_property
    def question(self) -> bool:
        return is_question(self.text) and not self._shown

    @cached_property
    def visits(self) -> bool:
        """Whether it asks to be brought somewhere or shown something, and for nothing to be changed."""
        if self.question or any(said.search(self.text) for said in (_MAKES, _TAKES_OFF, _LEAVES)):
            return False
        return self._shown and not self.orders_change

    @cached_property
    def orders_change(self) -> bool:
        """Whether an order in it is to change something."""
        return self.last_change >= 0

    @cached_property
    def last_change(self) -> int:
        """Where its last order to change something stands; -1 if there is none."""
        orders = [at for verb, at in self._orders if stem(verb) in _CHANGES or verb in DOES]
        if not orders and self.senses & _DONE and ("accept" in self.senses or not self._shown):
            orders = [0]
        said = [match.start() for pattern in (_TAKES_OFF, _LEAVES) for match in pattern.finditer(self.text)]
        return max([*orders, *said], default=-1)

    @cached_property
    def _orders(self) -> list[tuple[str, int]]:
        """What seem to be orders, as they are said, and where."""
        return [(match[1].lower(), match.start(1)) for match in _ORDERS.finditer(self.text)]

    @cached_property
    def _shown(self) -> bool:
        """Whether its last order is to show something: "Which are late? Open the list." is answered by the list."""
        orders = [at for verb, at in self._orders if stem(verb) in ("open", "find") or verb in _LEADS]
        orders = [at for at in orders if not _ASKS.match(self.text, at)]
        asked = max([self.text.rfind("?"), *(match.start() for match in _TELLS.finditer(self.text))])
        return bool(orders) and asked < orders[-1]

    @cached_property
    def changes(self) -> bool:
        """Whether something is to be different afterwards: it is neither a question, nor a visit, nor a search."""
        return (
            not self.question and not self.visits and not ({stem("search")} & self.words and not _CHANGES & self.words)
        )


def without_likeness(text: str) -> str:
    """An instruction without what only says how it is done elsewhere: "... in the same way as for lamp 3"."""
    return _LIKENESS.sub("", text)


def is_visit(label: str) -> bool:
    """Whether a label says that its steps only lead somewhere or tell something."""
    return is_question(label) or stem(label.split(maxsplit=1)[0] if label.strip() else "") == "open"
