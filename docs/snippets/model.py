"""A model behind a function of your own: ``mine:NAME`` answers with what the function returns."""

from __future__ import annotations

from lbi.models.registry import Settings
from lbi.prompts import render
from lbi.protocols import ModelInfo, Reply, Request
from lbi.records import Usage

SPEC = "mine:NAME"  # how `lbi list models` shows it


def create(name: str, settings: Settings) -> Mine:
    """Raises UserError for a name or settings that make no model."""
    return Mine(f"mine:{name}")


def answer(prompt: str) -> str:
    """Stands for your model: a library, a server, another process."""
    return 'REASON: nothing is left to do\nACTION: finish("")'


class Mine:
    info = ModelInfo(free=True)  # costs nothing: its calls are neither cached nor budgeted

    def __init__(self, name: str) -> None:
        self.name = name

    async def complete(self, request: Request) -> Reply:
        """Raises ModelBusy to be asked again, ModelError for good; never text that the model did not write."""
        prompt = "\n\n".join(message.content for message in render(request, self.info.limits))
        return Reply(text=answer(prompt), model=self.name, usage=Usage(calls=1))

    async def close(self) -> None:
        return None
