"""Which models a run asked, by its stored config, and which of them are language models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from lbi.records import UsedModel

Played = Literal["act", "evaluate", "label", "judge"]  # evaluate: who acts in the arms


def names_of(config: Mapping[str, Any], role: Played) -> tuple[str, ...]:
    """The models that play a role, as the config of a run folder names them."""
    models = config.get("models")
    named = models if isinstance(models, Mapping) else {}
    default = str(named.get("default") or "offline")
    if role == "judge":
        return tuple(map(str, named.get("judges") or (default,)))
    if role == "evaluate":
        acting = str(named.get("act") or default)
        return tuple(dict.fromkeys(str(arm.get("model") or acting) for arm in _arms(config))) or (acting,)
    return (str(named.get(role) or default),)


def _arms(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    evaluation = config.get("evaluation")
    arms = evaluation.get("arms") if isinstance(evaluation, Mapping) else None
    return [arm for arm in arms or () if isinstance(arm, Mapping)]


def is_language_model(name: str, used: Mapping[str, UsedModel]) -> bool:
    """Runs of earlier versions did not note it: a model without ``provider:`` before its name was none then."""
    return used[name].language_model if name in used else ":" in name


def without_language_model(config: Mapping[str, Any], used: Mapping[str, UsedModel], role: Played = "act") -> bool:
    """Whether no language model plays a role."""
    return not any(is_language_model(name, used) for name in names_of(config, role))
