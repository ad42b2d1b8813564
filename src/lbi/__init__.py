"""Learn-by-interact: make an agent better at one application by interacting with it (arXiv 2501.10893).

    outcome = lbi.run("lbi.toml", out="runs/mine")           # learn, and measure on held-out tasks
    with lbi.load_run("runs/mine") as learnt:                # use what was learnt in a program of one's own
        examples = learnt.retrieve("Close the ticket", lbi.Observation(text="...", url="/ticket/7"))
    act = lbi.act("runs/mine", "Close ticket 7")             # or let it be done, as `lbi act` does

Importing this loads nothing else; ``lbi.pipeline.run`` is the same as ``run`` for a program with an event loop.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lbi.config import Config, load_config
    from lbi.context import RunOutcome
    from lbi.errors import LbiError, UserError
    from lbi.monitoring.progress import Progress
    from lbi.pipeline import Only
    from lbi.records import Observation, Step, Task
    from lbi.retrieval.learnt import LearntAgent, LearntRun
    from lbi.rollouts.kept import Act, load_act
    from lbi.rollouts.preview import Preview

__version__ = "0.1.0"
__all__ = [
    "Act",
    "Config",
    "LbiError",
    "LearntAgent",
    "LearntRun",
    "Observation",
    "Preview",
    "RunOutcome",
    "Step",
    "Task",
    "UserError",
    "act",
    "load_act",
    "load_config",
    "load_run",
    "retrieve",
    "run",
]
_PLACES = {
    "Act": "lbi.rollouts.kept",
    "Config": "lbi.config",
    "LbiError": "lbi.errors",
    "LearntAgent": "lbi.retrieval.learnt",
    "LearntRun": "lbi.retrieval.learnt",
    "Observation": "lbi.records",
    "Preview": "lbi.rollouts.preview",
    "RunOutcome": "lbi.context",
    "Step": "lbi.records",
    "Task": "lbi.records",
    "UserError": "lbi.errors",
    "load_act": "lbi.rollouts.kept",
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


def act(
    run: str | Path,
    instruction: str = "",
    *,
    span: str = "",
    values: Mapping[str, str] | None = None,
    base_url: str = "",
    reset: bool = False,
    headed: bool = False,
    confirm: Callable[[str, str], bool] | None = None,
    on_step: Callable[[Step, Observation], None] | None = None,
    arm: str = "backward",
    agent: str = "",
    model: str = "",
    seed: int | None = None,
    steps: int | None = None,
    out: str | Path | None = None,
) -> Act:
    """Carry out one instruction with what was learnt in a run, as ``lbi act`` does, and return what came of it.

    Or, with ``span`` instead of an instruction, the steps of the verified example of that id (or beginning of an id),
    with ``values`` for its parameters, {"title": "Eggs"}, and without any model. Where a page is another than in the
    example it ends with the status "impossible", and ``rest`` says what was not done.

    On a copy of the run's application, or on the one at ``base_url`` as it is. ``confirm(action, why)`` is asked before
    everything that may change something; ``on_step(step, page after it)`` is told of each step. Raises UserError for
    what is asked wrongly and EnvironmentFailure for an application that cannot be opened; what fails later is the act's
    ``error``. ``lbi.rollouts.act.act`` is the same for a program with an event loop.
    """
    import asyncio
    from pathlib import Path

    from lbi.environments import Live
    from lbi.rollouts.act import ActOptions, told_by
    from lbi.rollouts.act import act as carry_out
    from lbi.rollouts.learnt import Use
    from lbi.rollouts.watching import asking

    use = Use(arm, agent, model, seed, Live(base_url, reset, headed))
    options = ActOptions(use, steps, None if out is None else Path(out), span, dict(values or {}))
    ask = None if confirm is None else asking(confirm)
    return asyncio.run(carry_out(Path(run), instruction, options, watcher=told_by(on_step), confirm=ask))


def retrieve(
    run: str | Path,
    instruction: str,
    page: Observation | str | Path = "",
    *,
    ask: bool = False,
    arm: str = "backward",
    agent: str = "",
    model: str = "",
    seed: int | None = None,
) -> Preview:
    """What an agent would be shown for an instruction on a page, and why, as ``lbi retrieve`` prints it.

    ``page`` is an observation, the path of a file that ``lbi look`` printed, the URL of a page, or "" for none. With
    ``ask`` the model writes the query, as in an episode, and is paid for it; else none is asked. Nothing is written.
    Raises UserError. ``lbi.rollouts.preview.retrieve`` is the same for a program with an event loop.
    """
    import asyncio
    from pathlib import Path

    from lbi.rollouts.learnt import Use
    from lbi.rollouts.preview import retrieve as look_up

    return asyncio.run(look_up(Path(run), instruction, page, Use(arm, agent, model, seed), ask=ask))


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'lbi' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
