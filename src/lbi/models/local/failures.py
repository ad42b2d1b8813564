"""The ways in which a model of this machine can fail, by name: one line each, with what to do."""

from __future__ import annotations

from typing import Literal

from lbi.errors import ModelUnavailable, UserError

#: what the first words of such a message are; docs/local.md explains each
Name = Literal[
    "unknown model",
    "not a GGUF file",
    "extra not installed",
    "no room",
    "too little memory",
    "wrong hash",
    "cannot be fetched",
    "cannot be loaded",
    "killed",
    "ended",
]


class LocalFailure(UserError):
    """A model of this machine cannot be used, and no further call will change that."""

    def __init__(self, name: Name, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


def unavailable(model: str, failure: LocalFailure) -> ModelUnavailable:
    """The same, where a run is under way: it stops, nothing is scored, and the same command continues it."""
    return ModelUnavailable(f"{model}: {failure}")
