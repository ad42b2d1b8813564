"""Instruction and page -> what an agent would be shown there, and why; nothing is done, and no model decides.

The agent itself is asked to act, on a model that takes its prompt and answers nothing: so this is what would be sent.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from lbi.environments import Live
from lbi.errors import UserError
from lbi.observations.normalise import observation_key
from lbi.prompts import estimate_tokens, render
from lbi.protocols import Fields, Message, PromptLimits, Request, Shown
from lbi.records import Action, Observation
from lbi.rollouts.asked import ask_agent
from lbi.rollouts.learnt import Learnt, Use, first_page, folder_for_now, open_learnt, read_run

NO_PAGE = Observation(text="")
#: what ends a page that `lbi look` has printed
_SECONDS = re.compile(r"\n*^\[\d+\.\d\d s\]\s*", re.MULTILINE)
_HEADER = re.compile(r"\AURL: (?P<url>.*)\n(?:Title: (?P<title>.*)(?:\n|\Z))?")


@dataclass(frozen=True)
class RetrievedExample:
    """An example that was retrieved, best first, and what the prompt has room for."""

    rank: int
    why: str  # observation, query or content
    page: Observation  # of the example: the current one, or the one most like it
    same_page: bool  # it is the very page
    tokens: int  # about how many it adds to the prompt; 0 = no room, or it shows nothing new
    shown: Shown

    @property
    def instruction(self) -> str:
        return self.shown.example.instruction

    @property
    def actions(self) -> tuple[Action, ...]:
        """What carried it out."""
        return self.shown.trajectory.actions[self.shown.example.start : self.shown.example.end]


@dataclass(frozen=True)
class RetrievedPassage:
    """A passage of the documentation, for agents that are shown some."""

    rank: int
    title: str
    tokens: int


@dataclass(frozen=True)
class Preview:
    """What an agent would be shown for an instruction on a page."""

    instruction: str
    page: Observation
    query: str  # by which examples were looked for beside the page; "" = none was needed
    asked: str  # the model that wrote the query; "" = it is the instruction itself
    arm: str
    agent: str
    indexed: int  # examples that can be found
    examples: tuple[RetrievedExample, ...]
    passages: tuple[RetrievedPassage, ...]
    prompt: tuple[Message, ...]  # as it would be sent
    tokens: int  # of the prompt, about
    note: str = ""  # what of the prompt may be otherwise


async def retrieve(
    run: Path, instruction: str, page: Observation | str | Path, use: Use, *, ask: bool = False
) -> Preview:
    """As ``preview``, for a run folder, which is only read.

    ``page``: an observation, a file of what ``lbi look`` prints, the URL of a page, or "" for none. Raises UserError,
    and EnvironmentFailure for a URL that cannot be opened.
    """
    use, start_url = _with_page(use, page)
    seen = page if isinstance(page, Observation) else read_page_file(Path(page)) if page and not start_url else NO_PAGE
    read = await asyncio.to_thread(read_run, run, use)
    with folder_for_now() as folder:
        async with open_learnt(run, read, use, folder) as learnt:
            seen = await first_page(learnt, start_url) if start_url else seen
            return await preview(learnt, instruction, seen, ask=ask)


def _with_page(use: Use, page: Observation | str | Path) -> tuple[Use, str]:
    """For a URL: what has to be opened, and the address on that site; else nothing, and ""."""
    if not isinstance(page, str) or not page.startswith(("http://", "https://")):
        return use, ""
    parts = urlsplit(page)
    origin = f"{parts.scheme}://{parts.netloc}"
    return replace(use, live=Live(base_url=origin)), page[len(origin) :] or "/"


async def preview(learnt: Learnt, instruction: str, page: Observation, *, ask: bool = False) -> Preview:
    """What the arm's agent would be shown. ``ask``: its model writes the query, as in an episode, and is paid for it.

    Raises UserError for an agent that cannot do without a query of a model.
    """
    context = learnt.context
    asked = await ask_agent(learnt, ask=ask)
    request = await asked.request(instruction, page)
    limits = asked.limits
    fields = request.fields
    by_query = learnt.arm.data != "none" and learnt.arm.retrieval(context.config.retrieval).m2 > 0
    prompt = await asyncio.to_thread(render, request, limits)
    return Preview(
        instruction=instruction.strip(),
        page=page,
        query=(asked.query or ("" if ask else instruction.strip())) if by_query else "",
        asked=context.config.models.of("query") if asked.query else "",
        arm=learnt.arm.name,
        agent=learnt.arm.agent,
        indexed=learnt.count,
        examples=await asyncio.to_thread(_examples, request, limits),
        passages=_passages(fields),
        prompt=prompt,
        tokens=_tokens(prompt),
        note=asked.note,
    )


def _examples(request: Request, limits: PromptLimits) -> tuple[RetrievedExample, ...]:
    """Each with what it adds to the prompt behind the better ones."""
    fields = request.fields
    before = _size(request, fields, limits, 0)
    found = []
    for rank, shown in enumerate(fields.examples, 1):
        size = _size(request, fields, limits, rank)
        at = shown.trajectory.observations[shown.at]
        same = fields.observation is not None and observation_key(at) == observation_key(fields.observation)
        found.append(RetrievedExample(rank, shown.why, at, same, max(size - before, 0), shown))
        before = size
    return tuple(found)


def _passages(fields: Fields) -> tuple[RetrievedPassage, ...]:
    found = []
    for rank, document in enumerate(fields.documents, 1):
        headings = dict.fromkeys(filter(None, (document.title, *document.headings)))
        found.append(RetrievedPassage(rank, " > ".join(headings), estimate_tokens(document.text)))
    return tuple(found)


def _size(request: Request, fields: Fields, limits: PromptLimits, count: int) -> int:
    look_ups = tuple(each.model_copy(update={"found": each.found[:count]}) for each in fields.look_ups)
    some = fields.model_copy(update={"examples": fields.examples[:count], "look_ups": look_ups})
    return _tokens(render(request.model_copy(update={"fields": some}), limits))


def _tokens(messages: Sequence[Message]) -> int:
    return sum(estimate_tokens(message.content) for message in messages)


def read_page(text: str, where: str) -> Observation:
    """An observation as ``lbi look`` prints it, or its JSON. Raises UserError."""
    if text.lstrip().startswith("{"):
        text = _last_of_json(text, where)
    parts = _SECONDS.split(text.replace("\r\n", "\n"))
    if any(part.strip() for part in parts[1:]):
        raise UserError(
            f"{where} holds actions and what they changed beside a page; save the page alone, "
            "or what `lbi look --json` prints"
        )
    page = parts[0].strip("\n")
    if not page.strip():
        raise UserError(f"{where} is empty; it must hold a page as `lbi look` prints it")
    header = _HEADER.match(page)
    return Observation(text=page, url=header["url"] if header else "", title=(header["title"] or "") if header else "")


def _last_of_json(text: str, where: str) -> str:
    try:
        told = json.loads(text)
    except ValueError:
        return text  # a page may begin so
    if not isinstance(told, dict) or not isinstance(told.get("last"), str):
        raise UserError(f'{where} is JSON without "last"; it must hold a page as `lbi look` prints it')
    return str(told["last"])


def read_page_file(file: Path) -> Observation:
    """The page in a file. Raises UserError."""
    try:
        return read_page(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(f"cannot read the page {file}: {why}; save one with `lbi look URL > FILE`") from None
