"""A config -> the agent that attempts its tasks, and whether that agent asks a model: ("explore", no model)."""

from __future__ import annotations

import contextlib

from lbi.config import Config
from lbi.environments import family_of
from lbi.errors import UserError
from lbi.models.registry import explorers_of, providers

ASKS_A_MODEL = "react"  # attempts tasks where neither the config nor the provider of its model names an agent


def agent_for_rollouts(config: Config) -> str:
    """The config's agent; else the one that explores such environments without asking the model; else ``react``.

    Raises UserError where there is no such environment.
    """
    explorers = explorers_of(config.models.of("act"))
    return config.synthesis.agent or (explorers.get(family_of(config), ASKS_A_MODEL) if explorers else ASKS_A_MODEL)


def asks_no_model(agent: str) -> bool:
    """Whether a provider names the agent as one that attempts tasks without asking a model."""
    return any(agent in _explorers(provider) for provider in providers())


def _explorers(provider: str) -> frozenset[str]:
    """A provider of another distribution that cannot be loaded has none, and is no reason to stop here."""
    with contextlib.suppress(UserError):
        return frozenset(explorers_of(provider).values())
    return frozenset()
