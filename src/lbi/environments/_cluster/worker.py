"""The process on another machine that holds one environment, with its browser, application and sandbox.

It opens what the run's config describes, as the run itself would, and answers one call at a time. It writes nothing
into the run folder: images go back with the answer, and records are made by the run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from lbi import __version__
from lbi.config import Config
from lbi.environments import open_environments, own_documents
from lbi.environments._cluster.wire import Answer, Opened, Raised
from lbi.environments._timeouts import WithTimeouts, open_with_timeouts
from lbi.errors import EnvironmentFailure, LbiError, UserError
from lbi.protocols import Environments, Foreseen, OfSeveral, Outcome, Versioned
from lbi.records import Observation, Task
from lbi.storage import secrets
from lbi.storage.images import ImageObjects, image_name


class Worker:
    """One environment, opened by ``open`` and told what to do by ``call``."""

    def __init__(self) -> None:
        self._config = Config()
        self._environments: Environments | None = None
        self._environment: WithTimeouts | None = None
        self._images: dict[str, bytes] = {}
        self._objects: ImageObjects | None = None
        self._documents_read = False

    async def where(self) -> Answer:
        """The name of the machine."""
        return Answer(os.uname().nodename)

    async def open(self, config: Config, version: str, folder: str) -> Answer:
        """Open the environment; the value is ``Opened``. ``version`` is that of the run's lbi, ``folder`` its own."""
        return await self._answer(self._open(config, version, folder))

    async def reset(self, task: Task) -> Answer:
        return await self._answer(self._reset(task))

    async def step(self, action: str) -> Answer:
        return await self._answer(self._step(action))

    async def foresee(self, action: str) -> Answer:
        return await self._answer(self._foresee(action))

    async def score(self, task: Task, answer: str) -> Answer:
        return await self._answer(self._score(task, answer))

    async def submission(self) -> Answer:
        return await self._answer(self._submission())

    async def close(self) -> Answer:
        return await self._answer(self._close())

    async def _answer(self, work: Awaitable[Any]) -> Answer:
        """Do the work, and turn what our code raises on purpose into an answer; anything else is a wrong program."""
        try:
            value, raised = await work, None
        except LbiError as error:
            value, raised = None, Raised.of(error)
        images, self._images = self._images, {}
        return Answer(value, raised, images)

    async def _open(self, config: Config, version: str, folder: str) -> Opened:
        if version != __version__:
            raise UserError(f"it has lbi {__version__} and the run lbi {version}; install the same there")
        if Path(folder).is_dir():
            os.chdir(folder)
        secrets.learn_usual(os.environ)
        secrets.learn_addresses_in(config.model_dump())
        self._config = config
        if config.storage.images:
            self._objects = ImageObjects(config.storage.images)
            await asyncio.to_thread(self._objects.require)  # this machine may have no credentials
        self._environments = open_environments(config, self._save_image)
        self._environment = environment = await open_with_timeouts(self._environments)
        of = self._environments.version if isinstance(self._environments, Versioned) else ""
        return Opened(environment.name, environment.actions, of)

    async def _reset(self, task: Task) -> Observation:
        environments = self._environments
        if task.document and isinstance(environments, OfSeveral) and environments.several and not self._documents_read:
            # which application a proposed task is of may be known only to who has read the documents
            await own_documents(self._config, environments)
            self._documents_read = True
        return await self._open_one().reset(task)

    async def _step(self, action: str) -> Outcome:
        return await self._open_one().step(action)

    async def _foresee(self, action: str) -> Foreseen:
        return await self._open_one().foresee(action)

    async def _score(self, task: Task, answer: str) -> tuple[float, str]:
        return await self._open_one().score(task, answer)

    async def _submission(self) -> str:
        return await self._open_one().submission()

    async def _close(self) -> None:
        environment, environments = self._environment, self._environments
        self._environment = self._environments = None
        if environment is not None:
            await environment.close()
        if environments is not None:
            await environments.close()

    def _open_one(self) -> WithTimeouts:
        if self._environment is None:
            raise EnvironmentFailure("the environment was not opened, or was closed")
        return self._environment

    def _save_image(self, png: bytes) -> str:
        """Keep it where the run keeps its images, if that can be reached from here; else it goes with the answer."""
        if self._objects is not None:
            return self._objects.save(png)
        name = image_name(png)
        self._images[name] = png
        return name
