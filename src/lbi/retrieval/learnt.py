"""The Python API for what a run has learnt: retrieve its examples, or let an agent act with them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from lbi.agents import AgentParts, open_agent
from lbi.config import Config, Data, resolve
from lbi.environments import actions_of
from lbi.errors import UserError
from lbi.evaluation.arms import examples_for
from lbi.evaluation.indexes import index_name, records_mark
from lbi.models.embeddings import LOCAL, Vectors
from lbi.models.registry import open_model
from lbi.models.sentence_encoder import required_encoder
from lbi.protocols import Decision, Model, Shown
from lbi.records import Example, Observation, Step, Task, Trajectory
from lbi.retrieval.borrow import borrow_index
from lbi.retrieval.build import ExampleVectors, is_current
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.texts import texts_of, without_values
from lbi.retrieval.versions import holds
from lbi.storage.knowledge import KnowledgeLog
from lbi.storage.run_folder import RunFolder
from lbi.storage.tempdirs import OwnFolder
from lbi.synthesis.examples import read_examples

if TYPE_CHECKING:
    from array import array

Pair = tuple[Example, Trajectory]


class LearntRun:
    """A run folder, opened for reading, and the index of one seed's examples. ``close`` it, or use it with ``with``.

    Where the run's own index holds its records as they are, that one is opened, and no record is read until somebody
    asks for it; otherwise all are read, and an index is built in a temporary folder.
    ``data``: "backward" = the paper's examples, "composed" = these and the composed ones. Raises UserError if there is
    no run, or if it has no examples of the seed.
    """

    def __init__(self, path: str | Path, *, seed: int | None = None, data: Data = "backward") -> None:
        self._folder = RunFolder(Path(path), writing=False)
        self.config: Config = resolve(self._folder.config, str(path))
        self.seed = self.config.seeds[0] if seed is None else seed
        self._encoder = required_encoder() if self.config.models.embeddings == LOCAL else None
        self._own = OwnFolder("learnt")  # the run folder is only read, as a run may be at work in it
        try:
            self.index = self._there(data) or self._built(data)
        except BaseException:
            self._own.remove()
            self._folder.close()
            raise
        self.examples: Sequence[Pair] = LearntExamples(self.index)
        """The examples with their trajectories, each read when it is asked for."""

    def _there(self, data: Data) -> ExampleIndex | None:
        """The run's own index, if it was built from the records as they are."""
        path = self._folder.path / "index" / index_name(data, self.seed)
        manifest = holds(path, records_mark(self._folder.store), self._encoder.name if self._encoder else "")
        if manifest is not None and manifest.examples:
            with contextlib.suppress(OSError, ValueError, sqlite3.Error, UserError):  # such as one on a read-only disk
                return ExampleIndex.open(path)
        return None

    def _built(self, data: Data) -> ExampleIndex:
        """An index of the records as they are, or a copy of the run's if that holds just these examples."""
        pairs = examples_for(data, read_examples(self._folder, self.seed), self.seed)
        if not pairs:
            raise UserError(
                f"{self._folder.path} has no examples of seed {self.seed}; `lbi run` or `lbi synthesize` makes them"
            )
        trajectories = {trajectory.id: trajectory for _, trajectory in pairs}
        folder = borrow_index(self._folder.path, index_name(data, self.seed), self._own.path)
        examples, last = [example for example, _ in pairs], KnowledgeLog(self._folder.store).sunk()
        if is_current(folder, examples, self._encoder.name if self._encoder else "", last=last):
            return ExampleIndex.open(folder)
        return ExampleIndex.build(folder, examples, trajectories, self._vectors(examples, trajectories), last=last)

    def retrieve(
        self, instruction: str, observation: Observation, *, query: str = "", by_page: int = 5, by_query: int = 5
    ) -> tuple[Shown, ...]:
        """The examples to show an agent at this step, best first (paper, sec. 2.4).

        At most ``by_page`` examples in which the observation or a similar one occurs, and ``by_query`` others whose
        instruction fits the query. Without a query the instruction is the query.
        """
        task = Task(instruction=instruction, environment=self.config.environment)
        vector, task_vector = (self._vector(request) for request in (query or instruction, instruction))
        return self.index.search(
            task, observation, query or instruction, m1=by_page, m2=by_query, vector=vector, task_vector=task_vector
        )

    def agent(self, model: Model | str = "", **options: Any) -> LearntAgent:
        """An agent that retrieves at every step. ``model`` is for example "openai:gpt-5"; "" = the run's own model.

        ``options`` are fields of ``lbi.agents.AgentParts``, such as ``m1`` and ``m2``.
        """
        spec = model or self.config.models.of("act")
        opened_model = self._open(spec) if isinstance(spec, str) else spec
        return LearntAgent(opened_model, self.index, actions_of(self.config), **{"embedder": self._encoder, **options})

    def _vectors(self, examples: list[Example], trajectories: dict[str, Trajectory]) -> ExampleVectors | None:
        if self._encoder is None:
            return None
        texts = texts_of(examples, trajectories)
        said, done, asked = map(self._encoder.encode, texts)
        return ExampleVectors(said, done, asked, self._encoder.name)

    def _vector(self, request: str) -> Vectors | None:
        return None if self._encoder is None else self._encoder.encode([without_values(request)])[0]

    def _open(self, spec: str) -> Model:
        models = self.config.models
        base_url = models.base_url if spec.startswith("openai:") else ""
        return open_model(spec, base_url=base_url, timeout=models.timeout, limits=self.config.limits)

    def close(self) -> None:
        self.index.close()
        self._own.remove()
        self._folder.close()

    def __enter__(self) -> LearntRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LearntExamples(Sequence[Pair]):
    """The examples of an index, those of one trajectory together; read one by one, while the index is open."""

    def __init__(self, index: ExampleIndex) -> None:
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, at: int) -> Pair: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Pair, ...]: ...

    def __getitem__(self, at: int | slice) -> Pair | tuple[Pair, ...]:
        if isinstance(at, slice):
            return tuple(self._index.pair(row) for row in self._rows[at])
        return self._index.pair(self._rows[at])

    @cached_property
    def _rows(self) -> array[int]:
        return self._index.rows()


class LearntAgent:
    """Decides one action at a time, with examples of a run in the prompt. Remembers nothing between calls."""

    def __init__(self, model: Model, index: ExampleIndex, actions: str, **options: Any) -> None:
        self._model, self._actions = model, actions
        self._agent = open_agent("icl", AgentParts(model=model, index=index, **options))

    async def act(self, instruction: str, observation: Observation, history: Sequence[Step] = ()) -> Decision:
        """The next action and the reason for it.

        Raises ModelError if the model does not answer, and ParseError if its reply cannot be read.
        """
        task = Task(instruction=instruction, environment="")
        return await self._agent.act(task, tuple(history), observation, self._actions)

    async def close(self) -> None:
        await self._model.close()
