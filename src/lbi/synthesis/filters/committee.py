"""Keeps only what every member of a committee of models approves by all four criteria (paper, sec. 2.3 and App. F)."""

from __future__ import annotations

import asyncio

from lbi.errors import UserError
from lbi.models import parsing
from lbi.monitoring.calls_made import calls_made
from lbi.protocols import Fields, Model, Request
from lbi.records import Example, Trajectory, Verdict, Vote
from lbi.synthesis.filters import FilterParts

NAME = "committee"


def create(parts: FilterParts) -> Committee:
    if not parts.judges:
        raise UserError("filter committee needs at least one model; name some in models.judges, or leave it out")
    return Committee(parts)


class Committee:
    """Asks all members at the same time and keeps every vote.

    A member that fails has not said no: its ModelError or ParseError is raised once the others have answered.
    """

    name = NAME

    def __init__(self, parts: FilterParts) -> None:
        self._parts = parts

    async def judge(self, example: Example, trajectory: Trajectory) -> Verdict:
        request = self._request(example, trajectory)
        answers = [self._vote(member, request) for member in self._parts.judges]
        results = await asyncio.gather(*answers, return_exceptions=True)  # the other members' replies are cached
        votes: list[Vote] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            votes.append(result)
        against = [vote for vote in votes if not vote.accepts]
        reason = "; ".join(f"{vote.model}: not {_lacks(vote)}" for vote in against)
        return Verdict(filter=NAME, keep=not against, reason=reason, votes=tuple(votes))

    def _request(self, example: Example, trajectory: Trajectory) -> Request:
        fields = Fields(
            trajectory=trajectory,
            start=example.start,
            end=example.end,
            instruction=example.instruction,
        )
        parts = self._parts
        return Request(
            role="judge",
            fields=fields,
            sample=parts.sample,
            max_tokens=parts.max_tokens,
            stage=parts.stage,
            reused=parts.reused,
        )

    async def _vote(self, member: Model, request: Request) -> Vote:
        with calls_made() as calls:
            vote, _ = await parsing.ask(member, request, parsing.vote(member.name))
        return vote.model_copy(update={"calls": tuple(calls)})


def _lacks(vote: Vote) -> str:
    return ", ".join(name for name in parsing.CRITERIA if not getattr(vote, name))
