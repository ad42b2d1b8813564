"""A request to a model -> the same request with what was learnt added, where it stays from then on (decision 0041).

Examples stand at the end of the message with which something new was seen, and at the next request of the agent they
are found for the same message again: so the requests of a conversation begin alike, as a provider's prompt cache wants
it, though the agent itself knows nothing of what was added.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lbi.errors import UserError
from lbi.interop.server.conversation import Conversation, Segment, segments
from lbi.interop.server.finder import HEADING, Finder, Found, FoundMessage
from lbi.interop.server.json_places import Insertion, document, with_insertions
from lbi.interop.server.requests import Format
from lbi.prompts import estimate_tokens
from lbi.prompts.known import MOST_LOOK_UPS
from lbi.prompts.template import block

SKILLS_SHARE = 2  # characters of skills for each token that may be added: about half
USUAL_TOKENS = 2_000  # that are added to a request, at most
LARGE = 200_000  # bytes of a request that would take so long to read that others had to wait
MOST_REMEMBERED = 512  # segments of conversations
MORE = 160  # characters of what stands around the examples of a further look-up, about
_Key = tuple[str, int]


@dataclass(frozen=True)
class Added:
    """A request as it is to be sent. ``ids``: of the examples that the last turn brought; ``why``: nothing is added."""

    body: bytes
    ids: tuple[str, ...] = ()
    tokens: int = 0
    why: str = ""


class Adder:
    """Adds at most ``max_tokens`` to a request, all look-ups together.

    None = as much to each look-up as it has in the run's own prompts, and USUAL_TOKENS together. ``instruction``: an
    expression that finds it.
    """

    def __init__(self, finder: Finder, max_tokens: int | None = None, instruction: str = "") -> None:
        self._finder, self._max_tokens = finder, max_tokens or USUAL_TOKENS
        self._rule = block("rule", "user", opening="<untrusted ...>", closing="</untrusted>")
        around = len(self._rule) + HEADING + (MOST_LOOK_UPS - 1) * MORE
        room = max(0, (4 * self._max_tokens - around) // MOST_LOOK_UPS)
        self._room = room if max_tokens else min(room, finder.limits.examples)
        self._pattern = expression(instruction) if instruction else None
        self._known: OrderedDict[_Key, Found] = OrderedDict()

    async def added(self, body: bytes, form: Format) -> Added:
        """What cannot be read is sent as it is. Raises what a look-up raises."""
        read = await asyncio.to_thread(_read, body, form) if len(body) > LARGE else _read(body, form)
        if read is None:
            return Added(body, why="the request is not read")
        text, conversation = read
        found = [_by_turn(part, await self._found(part)) for part in segments(conversation, self._pattern)]
        if not found:
            return Added(body, why="no instruction is found")
        texts = _kept(found, self._max_tokens, self._rule)
        insertions = _insertions(text, conversation, texts)
        if not insertions:
            return Added(body, why="nothing fits")
        last = found[-1].get(len(conversation.turns) - 1)
        ids = last.items if last else ()
        tokens = sum(map(estimate_tokens, texts.values()))
        return Added(with_insertions(text, insertions).encode(), ids, tokens)

    async def _found(self, segment: Segment) -> Found:
        """What was found for turns that are past is found again as it was, and need not be looked up."""
        situation = segment.situation
        seen = [*((step.observation.text, step.action.text) for step in situation.history), situation.observation.text]
        key = situation.instruction, hash(tuple(seen))
        skills = SKILLS_SHARE * self._max_tokens
        found = self._known.pop(key, None) or await self._finder.find_here(situation, self._room, skills)
        while len(self._known) >= MOST_REMEMBERED:
            self._known.popitem(last=False)
        self._known[key] = found
        return found


def _read(body: bytes, form: Format) -> tuple[str, Conversation] | None:
    """The text and the conversation of a request; None for what is none."""
    try:
        text = body.decode()
        return text, form.read(document(text, form.messages))
    except (ValueError, RecursionError):
        return None


def expression(written: str) -> re.Pattern[str]:
    """By which an instruction is found. Raises UserError for none, and for one without a group."""
    try:
        pattern = re.compile(written, re.DOTALL)
    except re.error as error:
        raise UserError(f"--instruction is no regular expression: {error}") from None
    if pattern.groups < 1:
        raise UserError("--instruction has no group; put the instruction's part in parentheses")
    return pattern


def _by_turn(segment: Segment, found: Found) -> dict[int, FoundMessage]:
    return {segment.first + message.step: message for message in found.messages}


def _kept(found: Sequence[Mapping[int, FoundMessage]], budget: int, rule: str) -> dict[int, str]:
    """{index of a turn: what is added to it}, within the budget.

    When it is used up no more is added, as to take out something early would make the provider read all after it anew.
    Only where a new instruction would get nothing, all that belongs to earlier ones goes. The first text says what the
    marks around untrusted text mean.
    """
    kept: dict[int, str] = {}
    total = least = estimate_tokens(rule) + 1
    for messages in found:
        sizes = {turn: estimate_tokens(message.text) for turn, message in messages.items()}
        if total + next(iter(sizes.values()), 0) > budget:
            kept, total = {}, least
        for turn, size in sizes.items():
            total += size
            if total > budget:
                break
            kept[turn] = messages[turn].text
    return {turn: text if at else f"{rule}\n\n{text}" for at, (turn, text) in enumerate(kept.items())}


def _insertions(request: str, conversation: Conversation, texts: Mapping[int, str]) -> list[Insertion]:
    placed = [(conversation.turns[turn].place, text) for turn, text in texts.items()]
    insertions = [place.added(request, text) for place, text in placed if place is not None]
    return [insertion for insertion in insertions if insertion is not None]
