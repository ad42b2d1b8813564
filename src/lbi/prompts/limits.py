"""Who asks a model, and how much of what its prompt may hold."""

from __future__ import annotations

from typing import Literal, get_args

from lbi.records import Record

#: who asks a model, as a config names them
Part = Literal["propose", "act", "query", "label", "judge"]
PARTS_OF_A_RUN: tuple[Part, ...] = get_args(Part)


class Limits(Record):
    """How much of what a prompt may hold, in characters (four are about one token)."""

    knowledge: int = 24_000  # examples and documents together; the lowest ranked go first
    example: int = 8_000  # one example
    history: int = 16_000  # text of earlier pages; the oldest are named only
    observation: int = 24_000  # the current page
    labelled: int = 6_000  # each page of a trajectory that is labelled or judged
    differences: bool = True  # of such a page that resembles an earlier one, only what changed
    document: int = 24_000  # the section that tasks are proposed from
    images: tuple[Part, ...] = PARTS_OF_A_RUN  # who is shown the screenshots that observations have
    image_side: int = 1280  # pixels of a screenshot's longer side, as it is sent
    structured: tuple[Part, ...] | None = ()  # who replies by lbi.models.schemas; None = the provider decides
