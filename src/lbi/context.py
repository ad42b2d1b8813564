"""What every stage of a run works with: config, run folder, environments, models by role, budget, progress."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lbi.config import Config, with_defaults
from lbi.environments import open_environments
from lbi.environments._cluster.elsewhere import open_elsewhere
from lbi.environments._pool import Failed, Pool
from lbi.errors import EnvironmentFailure, UserError
from lbi.models.embeddings import LOCAL, Cached, Embedder, open_embedder
from lbi.models.middleware.batch_queue import BatchQueue, BatchTiming
from lbi.models.middleware.budget import Budget
from lbi.models.middleware.retry import Retry
from lbi.models.middleware.stack import wrapped
from lbi.models.middleware.throttle import Throttle
from lbi.models.pricing import Prices
from lbi.models.registry import open_model
from lbi.models.sentence_encoder import required_encoder
from lbi.monitoring.progress import Progress, Stage
from lbi.monitoring.telemetry import RUN, Nowhere, Telemetry, span, used
from lbi.monitoring.utilisation import Share, Utilisation
from lbi.protocols import Environments, Model, OfSeveral, Prepares
from lbi.records import Result, UsedModel
from lbi.report import write_report
from lbi.report.counts import OUTAGES
from lbi.storage import secrets
from lbi.storage.leases import Leases, WorkKey
from lbi.storage.run_folder import RunFolder


@dataclass
class RunContext:
    """Opened once for a run (``open_context``), and passed to every stage. Whoever opens it closes it."""

    folder: RunFolder
    config: Config
    progress: Progress
    environments: Environments
    prices: Prices
    elsewhere: Environments | None = None  # the same ones on other machines, where episodes run there
    budget: Budget | None = None
    embedder: Embedder | None = None
    leases: Leases | None = None  # None = no other process can join the run
    models_utilisation: Utilisation = field(default_factory=Utilisation)
    _pool: Pool | None = None
    batch_timing: BatchTiming | None = None  # None = the usual one
    _closed: bool = False
    _began: float = field(default_factory=time.monotonic)
    _models: dict[str, Model] = field(default_factory=dict)
    _preparing: list[Prepares] = field(default_factory=list)
    _throttles: dict[str, Throttle] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        """The environments of the run, shared by stages that overlap."""
        if self._pool is None:
            self._pool = Pool(self.elsewhere or self.environments, self.config.workers, leases=self.leases)
        return self._pool

    def shares(self) -> dict[str, Share]:
        """How busy the environments and the models were."""
        shares = {"models": self.models_utilisation.share()}
        return shares if self._pool is None else {"environments": self._pool.utilisation.share(), **shares}

    @contextlib.asynccontextmanager
    async def lease(self, key: WorkKey, slots: asyncio.Semaphore | None = None) -> AsyncIterator[bool]:
        """Lease work that needs no environment, in one of the ``slots``. False = another process has done it.

        Work on an environment goes to ``pool``, which leases it.
        """
        if self.leases is not None:
            async with self.leases.lease(key, slots) as mine:
                yield mine
            return
        async with slots or contextlib.nullcontext():
            yield True

    @property
    def index_folder(self) -> Path:
        """The folder in which this process builds its indexes."""
        return self.folder.path / ("index" if self.folder.alone else f"index-{os.getpid()}")

    def model(self, spec: str) -> Model:
        """The model called ``provider:name``, opened once and wrapped (cached, retried, metered, budgeted)."""
        if spec not in self._models:
            inner = open_model(
                spec,
                base_url=self.config.models.base_url if spec.startswith("openai:") else "",
                timeout=self.config.models.timeout,
                limits=self.config.limits,
                load_image=self.folder.load_image,
                priced=self.prices.overrides,
            )
            if isinstance(inner, Prepares):
                self._preparing.append(inner)
            store = self.folder.store
            self._models[spec] = wrapped(
                inner,
                calls=store,
                meters=store,
                prices=self.prices,
                utilisation=self.models_utilisation,
                budget=self.budget,
                retry=Retry.of(self.config.models.timeout),
                throttle=self._throttle(inner),
                batch_queue=self._batch_queue(inner),
                batch_parts=self.config.models.batch,
                answered=store.has_answer_of(inner.name),
            )
            store.put("model", spec, UsedModel(name=inner.name, language_model=inner.info.language_model))
            self._note_price(inner)
        return self._models[spec]

    def _throttle(self, model: Model) -> Throttle:
        """One for all models of a provider at one address."""
        name = " at ".join(filter(None, (model.name.partition(":")[0], model.info.endpoint)))
        return self._throttles.setdefault(name, Throttle(name, say=self.progress.say))

    def _batch_queue(self, model: Model) -> BatchQueue | None:
        batches, store = model.info.batches, self.folder.store
        if batches is None:
            return None
        return BatchQueue(
            model.name,
            batches,
            store,
            timing=self.batch_timing,
            say=self.progress.say,
            reached=lambda: store.has_answer_of(model.name),
        )

    def uses_batches(self, part: Literal["label", "judge"]) -> bool:
        """Whether the calls for this part go to a provider's batches. Then all of them should be made at once."""
        models = [self.role("label")] if part == "label" else self.judges
        return part in self.config.models.batch and not all(model.info.free for model in models)

    def _note_price(self, model: Model) -> None:
        """Store the price by which the run's costs are counted: one row for each day and price."""
        today = datetime.now(UTC).date().isoformat()
        if model.info.free or model.info.unpaid:
            return
        price = self.prices.of(model.name, today, model.info.endpoint)
        if price is not None:
            self.folder.store.put("price", f"{model.name} {price.id}", price)
        else:
            self.progress.say(
                f"the price of {model.name} is unknown: its tokens are counted, and its money is not; give it under "
                f'[models.prices] as "{model.name}" = [input, output] in US dollars per million tokens'
            )

    def role(self, role: str) -> Model:
        return self.model(self.config.models.of(role))

    @property
    def judges(self) -> list[Model]:
        """The models of the committee; the default model alone if the config names none."""
        return [self.model(spec) for spec in self.config.models.judges or (self.config.models.default,)]

    @property
    def restores(self) -> bool:
        """Whether every episode begins with the same state; if not, a replay proves nothing."""
        return self.environments.restores

    @property
    def one_application(self) -> bool:
        """Whether all tasks are on one application, so that what one episode shows tells of the others."""
        return not (isinstance(self.environments, OfSeveral) and self.environments.several)

    def failure_recorder(self, kind: str, key: str, stage: Stage) -> Failed:
        """A callback that records a failure of the environment under the key of the work. It is never the agent's."""

        def failed(error: EnvironmentFailure, last: bool) -> None:
            self.folder.store.fail(kind, key, "environment", error.classified)
            self.folder.store.add(f"{OUTAGES}{error.kind}", failures=1)
            stage.fail("environment")

        return failed

    def check_models(self) -> None:
        """Open every model of the config. Raises UserError for an unknown name or a missing API key."""
        for role in ("propose", "act", "query", "abstract"):
            self.role(role)
        _ = self.judges

    async def prepare_models(self) -> None:
        """Fetch and start what runs on this machine, before anything waits for it. Raises ModelUnavailable."""
        for model in self._preparing:
            await model.prepare(self.progress.say)

    def write_report(self) -> Path:
        """Store how long the stages of this process took and how busy its resources were; then write report.html."""
        for name, seconds in self.progress.times.items():
            self.folder.store.add(name, seconds=seconds)
        for name, share in self.shares().items():
            self.folder.store.add(f"busy: {name}", **share._asdict())
        return write_report(self.folder)

    async def finish(self, results: Sequence[Result]) -> RunOutcome:
        """Close everything, and write the report of a run that has reached its end."""
        await self.close()
        times = {**self.progress.times, "in all": time.monotonic() - self._began}
        return RunOutcome(tuple(results), self.write_report(), times)

    async def close(self) -> None:
        """Harmless when done before."""
        if self._closed:
            return
        self._closed = True
        if self._pool is not None:
            await self._pool.close()
        for model in self._models.values():
            await model.close()
        if self.embedder is not None:
            await self.embedder.close()
        if self.elsewhere is not None:
            await self.elsewhere.close()
        await self.environments.close()
        if self.leases is not None:
            with contextlib.suppress(UserError):
                await self.leases.leave()
        if not self.folder.alone:
            shutil.rmtree(self.index_folder, ignore_errors=True)


@dataclass(frozen=True)
class RunOutcome:
    """The outcome of a run that has reached its end."""

    results: tuple[Result, ...]
    report: Path
    times: dict[str, float]  # seconds per stage of this process


@contextlib.asynccontextmanager
async def open_context(
    config: Config,
    out: Path,
    progress: Progress | None = None,
    *,
    join: bool = False,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[RunContext]:
    """The context of a run in the folder ``out``. However the run ends, its report is written, also after Ctrl-C.

    ``join``: work together with the process that has the folder open. Raises UserError for a folder of another config.
    """
    if join and config.models.budget is not None:
        raise UserError("a run with a budget takes one process, as only that one knows what it has under way")
    identity, images = config.identity(), config.storage.images
    with RunFolder(out, identity, joining=join, complete=with_defaults, images=images) as folder:
        shown = progress or Progress()
        shown.watch(money=lambda: money_spent(folder), unpriced=lambda: calls_without_price(folder))
        leases = Leases(folder.store)
        await leases.enter(alone=folder.alone)
        folder.let_in(joined=join)
        context = context_of(folder, config, shown, open_environments(config, folder.save_image), leases)
        try:
            context.elsewhere = await open_elsewhere(context.environments, config, folder.save_image, shown.say)
            context.check_models()
            for line in secrets.warnings():
                shown.say(line)
            with contextlib.ExitStack() as cut_short:
                cut_short.callback(_report_what_there_is, context)
                await context.prepare_models()
                with used(telemetry or Nowhere()), span("run", {RUN: config.name}):
                    yield context
                cut_short.pop_all()
        finally:
            await context.close()


def context_of(
    folder: RunFolder, config: Config, progress: Progress, environments: Environments, leases: Leases | None = None
) -> RunContext:
    """The context of an open folder. Whoever calls this closes the context, and the folder after it."""
    return RunContext(
        folder=folder,
        config=config,
        progress=progress,
        leases=leases,
        environments=environments,
        prices=Prices(config.models.prices),
        budget=Budget(config.models.budget, money_spent(folder)) if config.models.budget is not None else None,
        embedder=_embedder(config, folder),
    )


def _report_what_there_is(context: RunContext) -> None:
    """Write the report of a run that was cut short. Errors in it must not hide the one that stopped the run."""
    with contextlib.suppress(OSError, UserError):
        context.write_report()


def _embedder(config: Config, folder: RunFolder) -> Embedder | None:
    if not config.models.embeddings:
        return None
    if config.models.embeddings == LOCAL:
        return Cached(required_encoder(), folder.path / "embeddings.db")
    return open_embedder(
        config.models.embeddings, base_url=config.models.embeddings_url, cache=folder.path / "embeddings.db"
    )


def money_spent(run: RunFolder) -> float:
    """US dollars that all calls of the run have cost so far, in earlier processes too."""
    return sum(meter.get("cost", 0.0) for meter in run.store.meters().values())


def calls_without_price(run: RunFolder) -> int:
    """Number of calls that ``money_spent`` leaves out, as their price is unknown."""
    return int(sum(meter.get("unpriced", 0) for meter in run.store.meters().values()))
