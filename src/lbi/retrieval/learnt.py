"""The Python API for what a run has learnt: retrieve its examples, or let an agent act with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lbi.agents import AgentParts, open_agent
from lbi.config import Config, Data, resolve
from lbi.environments import actions_of
from lbi.errors import UserError
from lbi.evaluation.arms import examples_for
from lbi.models.embeddings import LOCAL, Vectors
from lbi.models.registry import open_model
from lbi.models.sentence_encoder import required_encoder
from lbi.protocols import Decision, Model, Shown
from lbi.records import Example, Observation, Step, Task, Trajectory
from lbi.retrieval.borrow import borrow_index
from lbi.retrieval.build import ExampleVectors, is_current
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.texts import texts_of, without_values
from lbi.storage.knowledge import KnowledgeLog
from lbi.storage.run_folder import RunFolder
from lbi.storage.tempdirs import OwnFolder
from lbi.synthesis.examples import read_examples


class LearntRun:
    """A run folder, opened for reading, and the index of one seed's examples. ``close`` it, or use it with ``with``.

    ``data``: "backward" = the paper's examples, "composed" = these and the composed ones. Raises UserError if there is
    no run, or if it has no examples of the seed.
    """

    def __init__(self, path: str | Path, *, seed: int | None = None, data: Data = "backward") -> None:
        self._folder = RunFolder(Path(path), writing=False)
        self.config: Config = resolve(self._folder.config, str(path))
        self.seed = self.config.seeds[0] if seed is None else seed
        pairs = examples_for(data, read_examples(self._folder, self.seed), self.seed)
        if not pairs:
            self._folder.close()
            raise UserError(f"{path} has no examples of seed {self.seed}; `lbi run` or `lbi synthesize` makes them")
        self.examples: tuple[tuple[Example, Trajectory], ...] = tuple(pairs)
        trajectories = {trajectory.id: trajectory for _, trajectory in pairs}
        self._own = OwnFolder("learnt")  # the run folder is only read, as a run may be at work in it
        index_folder = borrow_index(self._folder.path, f"{data}-{self.seed}-1", self._own.path)
        self._encoder = required_encoder() if self.config.models.embeddings == LOCAL else None
        examples, last = [example for example, _ in pairs], KnowledgeLog(self._folder.store).sunk()
        if is_current(index_folder, examples, self._encoder.name if self._encoder else "", last=last):
            self.index = ExampleIndex.open(index_folder)
        else:
            vectors = self._vectors(examples, trajectories)
            self.index = ExampleIndex.build(index_folder, examples, trajectories, vectors, last=last)

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
