"""A config -> nothing, or the UserError that the run would end with: everything that shows before any work is done."""

from __future__ import annotations

from collections.abc import Iterator

from lbi import plugins
from lbi.config import Config
from lbi.environments import open_environments
from lbi.errors import UserError, UserErrors
from lbi.evaluation.benchmark import load_benchmarks
from lbi.models.embeddings import LOCAL, open_embedder
from lbi.models.middleware.base import MemoryCalls
from lbi.models.middleware.budget import Budget
from lbi.models.middleware.stack import wrapped
from lbi.models.pricing import Prices
from lbi.models.registry import MissingKey, open_model, raise_missing_keys
from lbi.models.sentence_encoder import required_encoder
from lbi.protocols import CountsCalls, HeedsAllowance, Model

MOST_REASONS = 3  # why no task can be run


async def check_config(config: Config) -> None:
    """Names, files, keys and prices. Raises UserError; wrong names are told all at once."""
    mistakes = list(_wrong_names(config))
    if len(mistakes) > 1:
        raise UserErrors(f"the config has {len(mistakes)} mistakes", mistakes)
    if mistakes:
        raise UserError(mistakes[0])
    if config.benchmark:
        benchmark = load_benchmarks(config.benchmark, config.checkout)
        if not benchmark.runnable:
            reasons = list(dict.fromkeys(task.not_runnable or task.faulty for task in benchmark.task))
            more = f"; and {len(reasons) - MOST_REASONS} more reasons" if len(reasons) > MOST_REASONS else ""
            why = "; ".join(reasons[:MOST_REASONS]) + more
            raise UserError(f"no task of the benchmark {benchmark.name} can be run: {why}")
    await open_environments(config, lambda png: "").close()
    await _check_models(config)


def _wrong_names(config: Config) -> Iterator[str]:
    agents = dict.fromkeys(arm.agent for arm in config.evaluation.arms)
    if config.synthesis.agent:
        agents[config.synthesis.agent] = None
    names = [("agents", name) for name in agents] + [("filters", name) for name in config.synthesis.filters]
    for kind, name in names:
        try:
            plugins.load(kind, name)
        except UserError as error:
            yield str(error)
    try:
        _check_arms(config)
    except UserError as error:
        yield str(error)


def _check_arms(config: Config) -> None:
    arms = [arm.name for arm in config.evaluation.arms]
    twice = sorted({name for name in arms if arms.count(name) > 1})
    if twice:
        raise UserError(f"two arms are called {twice[0]!r}; results are kept by the arm's name, so give each its own")
    for arm in (arm for arm in config.evaluation.arms if arm.spends_as):
        plug_in = plugins.load("agents", arm.agent)
        if isinstance(plug_in, CountsCalls) and not isinstance(plug_in, HeedsAllowance):
            raise UserError(
                f"the arm {arm.name!r} spends as {arm.spends_as!r}, and its agent {arm.agent} decides itself how much "
                "it spends; take react or best_of"
            )
    named = {"reference": config.evaluation.reference}
    if config.evaluation.growth:
        named["growth_arm"] = config.evaluation.growth_arm
    for key, name in named.items():
        if name not in arms:
            raise UserError(f"evaluation.{key} is {name!r}, which is no arm; arms are: {', '.join(arms)}")


async def _check_models(config: Config) -> None:
    """Open each model as the run will: its name, its key, and its price where there is a budget.

    All missing keys are told together.
    """
    missing: list[MissingKey] = []
    for spec in config.all_models():
        try:
            await _check_model(config, spec)
        except MissingKey as error:
            missing.append(error)
    try:
        if config.models.embeddings == LOCAL:
            required_encoder()
        elif config.models.embeddings:
            await open_embedder(config.models.embeddings, base_url=config.models.embeddings_url).close()
    except MissingKey as error:
        missing.append(error)
    raise_missing_keys(missing)


async def _check_model(config: Config, spec: str) -> None:
    prices, nowhere = Prices(config.models.prices), MemoryCalls()
    budget = Budget(config.models.budget) if config.models.budget is not None else None
    model = open_model(spec, base_url=base_url(config, spec), priced=prices.overrides)
    try:
        wrapped(model, calls=nowhere, meters=nowhere, prices=prices, budget=budget)
        _check_batches(config, spec, model)
    finally:
        await model.close()


def _check_batches(config: Config, spec: str, model: Model) -> None:
    """A part of the run whose calls are to go into batches needs a model with a batch interface."""
    models = {"label": [config.models.of("abstract")], "judge": config.models.judges or [config.models.default]}
    for part in config.models.batch:
        if spec in models[part] and not model.info.free and model.info.batches is None:
            raise UserError(f'models.batch holds "{part}", and {spec} has no batch interface here; leave it out')


def base_url(config: Config, spec: str) -> str:
    """The address of the server that a model of the config is asked at; empty = the provider's own."""
    return config.models.base_url if spec.startswith("openai:") else ""
