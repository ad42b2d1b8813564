"""A run folder that learnt something of the small application, made in a moment: examples of real pages, no run."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from lbi.config import load_config
from lbi.documents.corpus import read_corpus
from lbi.environments.web.environment import WebEnvironments
from lbi.models.testing.model_server import Answer, ModelServer
from lbi.records import Example, Step, Task, Trajectory
from lbi.storage.run_folder import RunFolder
from small_application import write_application

STORE = (
    """click('link "New item"')""",
    """fill('textbox "Name"', "Salt")""",
    """select('combobox "Shelf"', "bottom")""",
    """click('button "Store item"')""",
)
COUNT = ("""click('link "Count items"')""",)
LEARNT = {'Store an item with the name "Salt" on the shelf "bottom"': STORE, "See how many items there are": COUNT}


async def make_run(folder: Path, model_url: str = "") -> Path:
    """Application and run folder below ``folder``, whose model is that server or else offline; the run folder."""
    file = write_application(folder / "app")
    models = f'[models]\ndefault = "openai:acting"\nbase_url = "{model_url}"\n\n' if model_url else ""
    file.write_text(file.read_text().replace("[synthesis]", f"{models}[synthesis]"))
    config = load_config(file)
    environments = WebEnvironments(config.application)
    web = await environments.open()
    run = folder / "run"
    try:
        with RunFolder(run, config.identity()) as kept:
            corpus = read_corpus(config.documents)
            kept.store.put_many("document", [(f"{at:05d}", one) for at, one in enumerate(corpus.documents)])
            for instruction, actions in LEARNT.items():
                page = await web.reset(task := Task(instruction=instruction, environment="larder"))
                steps = []
                for action in actions:
                    outcome = await web.step(action)
                    steps.append(Step(observation=page, reason="to learn", action=outcome.action))
                    page = outcome.observation
                    assert not page.error, page.error
                walked = Trajectory(task=task, agent="explore", steps=tuple(steps), last=page, stop="done")
                example = Example(
                    kind="abstract",
                    instruction=instruction,
                    trajectory=walked.id,
                    start=0,
                    end=len(steps),
                    tier="replayed",
                )
                kept.store.put("trajectory", f"0/{task.id}/0", walked)
                kept.store.put("example", f"0/{walked.id}/abstract/000-{len(steps):03d}", example)
    finally:
        await environments.close()
    return run


class ActingModel:
    """A model server in a thread of its own: takes the given actions one after the other, and writes one query."""

    def __init__(self) -> None:
        self.actions: list[tuple[str, str]] = []  # (reason, action), which are still to be taken
        self.prompts: list[str] = []  # of the actions
        self.queries = 0
        self.status = 200
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._server = ModelServer(self._answer)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def takes(self, *actions: str, reason: str = "it leads there") -> None:
        """From now on these actions, and of what was asked before nothing more is known."""
        self.actions = [(reason, action) for action in actions]
        self.prompts.clear()
        self.queries, self.status = 0, 200

    def _answer(self, body: dict[str, Any]) -> Answer | str:
        messages = body["messages"]
        if self.status != 200:
            return Answer(status=self.status)
        if "ACTION:" not in messages[0]["content"]:
            self.queries += 1
            return "store an item in the larder"
        self.prompts.append("\n".join(message["content"] for message in messages))
        if not self.actions:
            return "I do not know what to do"
        reason, action = self.actions.pop(0)
        return f"REASON: {reason}\nACTION: {action}"

    def _run(self) -> None:
        async def serve() -> None:
            async with self._server as server:
                self.url = server.openai_url
                self._stop = asyncio.Event()
                self._ready.set()
                await self._stop.wait()

        self._loop.run_until_complete(serve())

    def __enter__(self) -> ActingModel:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()
