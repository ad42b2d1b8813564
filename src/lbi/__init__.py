"""Learn-by-interact: make an agent better at one application by interacting with it (arXiv 2501.10893).

    outcome = lbi.run("lbi.toml", out="runs/mine")           # learn, and measure on held-out tasks
    with lbi.load_run("runs/mine") as learnt:                # use what was learnt in a program of one's own
        examples = learnt.retrieve("Close the ticket", lbi.Observation(text="...", url="/ticket/7"))

Importing this loads nothing else; ``lbi.pipeline.run`` is the same as ``run`` for a program with an event loop.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lbi.config import Config, load_config
    from lbi.context import RunOutcome
    from lbi.errors import LbiError, UserError
    from lbi.monitoring.progress import Progress
    from lbi.pipeline import Only
    from lbi.records import Observation, Task
    from lbi.retrieval.learnt import LearntAgent, LearntRun

__version__ = "0.1.0"
__all__ = [
    "Config",
    "LbiError",
    "LearntAgent",
    "LearntRun",
    "Observation",
    "RunOutcome",
    "Task",
    "UserError",
    "load_config",
    "load_run",
    "run",
]
_PLACES = {
    "Config": "lbi.config",
    "LbiError": "lbi.errors",
    "LearntAgent": "lbi.retrieval.learnt",
    "LearntRun": "lbi.retrieval.learnt",
    "Observation": "lbi.records",
    "RunOutcome": "lbi.context",
    "Task": "lbi.records",
    "UserError": "lbi.errors",
    "load_config": "lbi.config",
}


def run(
    config: Config | str | Path,
    out: str | Path,
    *,
    settings: Mapping[str, Any] | None = None,
    only: Only = "",
    progress: Progress | None = None,
) -> RunOutcome:
    """Run or continue a run, as ``lbi run CONFIG --out OUT`` does, and return its results and where its report is.

    ``config`` is a Config or the path of its file, ``settings`` are dotted keys that win over it:
    {"models.default": "openai:gpt-5"}. ``only`` is "synthesis" or "evaluation" where not both are wanted. Without
    ``progress`` nothing is printed. Raises UserError for what is asked wrongly, other LbiErrors for what stops a run.
    """
    import asyncio
    from pathlib import Path

    from lbi.config import Config, load_config
    from lbi.pipeline import run as run_pipeline

    resolved = config if isinstance(config, Config) else load_config(Path(config), dict(settings or {}))
    return asyncio.run(run_pipeline(resolved, Path(out), progress, only=only))


def load_run(path: str | Path, *, seed: int | None = None) -> LearntRun:
    """What was learnt in a run folder: its examples, an index over them, agents that retrieve from it."""
    from lbi.retrieval.learnt import LearntRun

    return LearntRun(path, seed=seed)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'lbi' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
