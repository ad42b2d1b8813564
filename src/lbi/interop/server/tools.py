"""What was learnt -> an MCP server: tools that find, show and rate examples, and resources.

find_examples("Write a note", "URL: /new ...")  ->  {"text": "ADDITIONAL INFORMATION ...", "examples": [{"id": ...}]}

Clients of the specification 2026-07-28 and of those before it are served alike; the SDK tells them apart.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceNotFoundError, ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from lbi import __version__
from lbi.errors import UserError
from lbi.interop.server.finder import Finder, FoundExample, Situation
from lbi.interop.server.observed import observation_of
from lbi.interop.server.served import Served
from lbi.interop.server.skills import SkillsExtension, skills_extension
from lbi.records import Action, Example, Observation, Step
from lbi.storage.secrets import mask

MOST_LISTED = 1000  # examples in the list of examples
INSTRUCTIONS = (
    "Examples of what was done in {name} before. Call find_examples with what you are to do and what you see, at the "
    "start and on pages that are new to you; put in your own values. Report with report_outcome how it went."
)

Instruction = Annotated[str, Field(description="What is to be done, in words.", min_length=1, max_length=20_000)]
Seen = Annotated[
    str,
    Field(description="What you see now: the page or the output, as text; empty if nothing yet.", max_length=400_000),
]


class Before(BaseModel):
    """A step that you took."""

    observation: str = Field(description="What you saw.", max_length=400_000)
    action: str = Field(description="What you did then.", max_length=20_000)


class ShownExample(BaseModel):
    """An example of what was done."""

    id: str = Field(description="For get_example and report_outcome.")
    instruction: str
    text: str = Field(description="The steps that carried it out, as far as they fit.")
    why: str = Field(description="Found by the page (observation), the request (query), or the pages' content.")
    tier: str = Field(description="How far it was verified: unverified, committee, replayed or checked.")
    tokens: int = Field(description="About how many the text has.")


class FoundExamples(BaseModel):
    """What our own agent would be shown."""

    text: str = Field(description="All of it as a prompt says it; empty if nothing fits.")
    tokens: int
    examples: list[ShownExample] = Field(description="Best first.")


class WholeExample(BaseModel):
    """One example with all of its steps."""

    id: str
    instruction: str
    kind: str
    tier: str
    page: str = Field(description="Where it begins.")
    text: str
    actions: list[str] = Field(description="What carried it out.")
    uri: str


class Reported(BaseModel):
    """That the outcome was kept."""

    kept: int = Field(description="Number of examples that it was kept for.")
    unknown: list[str] = Field(description="Ids that no example has.")


READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False)


def experience_server(finder: Finder, served: Served, skills: Path | None = None) -> MCPServer:
    """The server, for any transport. ``skills``: a folder of skills, if there is one."""
    name = finder.learnt.context.environments.name

    def shown(item: str) -> None:
        if item:
            served.show([item], by="skill")

    extension = skills_extension(skills, shown, finder.knows)
    server = MCPServer(
        "lbi",
        title=f"What was learnt of {name}",
        instructions=INSTRUCTIONS.format(name=name),
        version=__version__,
        log_level="CRITICAL",  # nothing of what passes is logged
        extensions=[extension] if extension else [],
    )
    _add_tools(server, finder, served, extension)
    _add_resources(server, finder, served)
    return server


def _add_tools(server: MCPServer, finder: Finder, served: Served, skills: SkillsExtension | None) -> None:
    @server.tool(annotations=READS)
    async def find_examples(
        instruction: Instruction,
        observation: Seen = "",
        history: Annotated[
            list[Before], Field(description="The steps that you took since you began, in order.", max_length=500)
        ] = [],  # noqa: B006 - never changed
        k: Annotated[int | None, Field(description="Examples at most.", ge=1, le=50)] = None,
        max_tokens: Annotated[int | None, Field(description="Tokens of the text at most.", ge=1, le=100_000)] = None,
    ) -> FoundExamples:
        """Examples of how something like this was done in this application before, best first."""
        steps = tuple(Step(observation=observation_of(each.observation), action=_action(each)) for each in history)
        try:
            found = await finder.find(
                Situation(instruction, observation_of(observation), steps), most=k, max_tokens=max_tokens
            )
        except UserError as error:
            raise ToolError(str(error)) from None
        served.show(found.items, by="mcp")
        return FoundExamples(text=found.text, tokens=found.tokens, examples=[_shown(one) for one in found.examples])

    @server.tool(annotations=READS)
    async def get_example(id: Annotated[str, Field(max_length=64)]) -> WholeExample:
        """One example with all of its steps."""
        pair = finder.example(id)
        if pair is None:
            raise ToolError(f"no example {id[:64]}; find_examples tells the ids that there are")
        example, trajectory = pair
        return WholeExample(
            id=example.id,
            instruction=mask(example.instruction),
            kind=example.kind,
            tier=example.tier,
            page=finder.first_page(id),
            text=finder.whole_text(id),
            actions=[mask(action.grounded) for action in trajectory.actions[example.start : example.end]],
            uri=f"example://{id}",
        )

    @server.tool(annotations=ADDS)
    async def report_outcome(
        ids: Annotated[
            list[str],
            Field(description="Of the examples that you used; of skills, their names.", min_length=1, max_length=200),
        ],
        success: Annotated[bool, Field(description="Whether what was to be done is done.")],
        evidence: Annotated[str, Field(description="What shows it.", max_length=20_000)] = "",
    ) -> Reported:
        """Say how it went with examples and skills that you used. What keeps failing is shown less in the future."""

        def item(id_: str) -> str:
            return id_ if finder.example(id_) is not None else skills.item(id_) if skills else ""

        items = {id_: item(id_) for id_ in dict.fromkeys(ids)}
        known = list(dict.fromkeys(filter(None, items.values())))
        if known:
            try:
                served.report(known, success, evidence)
            except OSError as error:
                raise ToolError(f"the outcome could not be kept: {error.strerror}") from None
        return Reported(kept=len(known), unknown=[id_[:64] for id_, known_as in items.items() if not known_as])


def _add_resources(server: MCPServer, finder: Finder, served: Served) -> None:
    @server.resource("example://{id}", title="An example with all of its steps", mime_type="text/plain")
    def example(id: str) -> str:
        if finder.example(id) is None:
            raise ResourceNotFoundError(f"no example {id[:64]}")
        return finder.whole_text(id)

    @server.resource("examples://list", title="The examples: id and instruction", mime_type="application/json")
    def examples() -> str:
        listed = [_line(each) for each in finder.first_examples(MOST_LISTED)]
        more = max(0, finder.learnt.count - MOST_LISTED)
        return json.dumps({"examples": listed, "more": more}, ensure_ascii=False)

    @server.resource("coverage://operations", title="What was learnt, and of what pages", mime_type="application/json")
    async def coverage() -> str:
        return json.dumps(await asyncio.to_thread(finder.coverage), ensure_ascii=False)

    @server.resource("coverage://uses", title="What was shown, and how it went", mime_type="application/json")
    def uses() -> str:
        return json.dumps(served.uses(), ensure_ascii=False)

    @server.prompt(title="Solve it with experience")
    async def solve_with_experience(instruction: str) -> str:
        """An instruction with what was learnt of things like it."""
        found = await finder.find(Situation(instruction, Observation(text="")))
        return "\n\n".join(filter(None, (instruction, found.text)))


def _action(before: Before) -> Action:
    """The kind is the first word, as what one tool shows is of one kind."""
    return Action(text=before.action, kind=before.action.partition("(")[0].partition(" ")[0][:40])


def _shown(found: FoundExample) -> ShownExample:
    example = found.shown.example
    return ShownExample(
        id=example.id,
        instruction=mask(example.instruction),
        text=found.text,
        why=found.shown.why,
        tier=example.tier,
        tokens=found.tokens,
    )


def _line(example: Example) -> dict[str, str]:
    return {"id": example.id, "instruction": mask(example.instruction), "tier": example.tier}
