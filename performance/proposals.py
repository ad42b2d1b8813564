"""Tasks that a language model proposes for an application, with the map of it and without: which of them are possible?

    python performance/proposals.py RUN --model local:qwen2.5-coder-1.5b --sections 12 --out proposals.json
    python performance/proposals.py RUN --replies FOLDER --sections 12    a model that somebody asks by hand

Takes the documents and the pages that a run (one that looked around) has stored, and asks the model about the same
sections twice, three tasks each. Prints every task, and how many name something that has to be there, in how many of
them all of it was seen in the run (the rule of `lbi check tasks`; read them, too). ``--about`` and ``--not-about`` are
expressions that a section must hold and must not hold, for manuals that are mostly about installing. With ``--out``
a stopped measurement goes on. With ``--replies`` each prompt is written to FOLDER/ARM/NUMBER.prompt.txt, and what the
model replied is read from NUMBER.reply.txt beside it; what has no reply yet is left out.

``--attempt FOLDER`` then attempts ``--rollouts`` of the tasks of each arm, those of all sections in turn and each once,
on the run's application, with the offline policy (``react``, which follows the instruction; ``--agent explore`` is
what a run would take, and has aims of its own) or with the language model ``--agent-model``. Prints how many operations
were carried out. What was attempted is kept in FOLDER/ARM, a run folder, so that it goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from pathlib import Path
from typing import Any

from lbi.config import Config, resolve
from lbi.context import open_context
from lbi.environments import actions_of
from lbi.errors import ModelError, ParseError
from lbi.evaluation.named_things import checked, things_in
from lbi.models.providers.scripted import Scripted
from lbi.models.registry import open_model
from lbi.observations.application_map import application_map
from lbi.prompts import render
from lbi.protocols import Model, Request
from lbi.records import Document, Observation, ProposalRound, Task, Trajectory
from lbi.report.words import percent
from lbi.rollouts.impossible import said_impossible
from lbi.rollouts.operations import operations_in
from lbi.rollouts.schedule import at_once, attempt_tasks
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.propose import propose_from_section, spread_over_sources

ARMS = ("without", "with")
COUNT = 3  # tasks of a section
Json = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--model", default="")
    asked.add_argument("--replies", type=Path)
    parser.add_argument("--sections", type=int, default=12)
    parser.add_argument("--about", default="")
    parser.add_argument("--not-about", default="")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--attempt", type=Path)
    parser.add_argument("--rollouts", type=int, default=20)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS, help="whose tasks are attempted")
    parser.add_argument("--agent", default="react")
    parser.add_argument("--agent-model", default="offline")
    parser.add_argument("--base-url", default="", help="of the agent's model, for openai:NAME")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with RunFolder(arguments.run, writing=False) as run:
        models = {"default": arguments.model or "offline", "timeout": 3600.0}
        config = resolve({**run.config, "models": models}, "the run")
        documents = [document for _, document in run.store.all("document", Document)]
        pages = [page for _, page in run.store.all("page", Observation)]
        rollouts = [trajectory for _, trajectory in run.store.all("trajectory", Trajectory)]
    sections = [
        section
        for section in spread_over_sources(documents, config.seeds[0])
        if re.search(arguments.about, section.text, re.IGNORECASE)
        and not (arguments.not_about and re.search(arguments.not_about, section.text, re.IGNORECASE))
    ]
    rows = json.loads(arguments.out.read_text()) if arguments.out and arguments.out.exists() else []
    map_ = application_map(pages, config.limits.map)
    sections = sections[: arguments.sections]
    if arguments.replies:
        rows = asyncio.run(ask_by_hand(config, sections, map_, arguments.replies))
    else:
        asyncio.run(ask(config, sections, map_, rows, arguments.out))
    seen = things_in(pages, rollouts)
    for arm in ARMS:
        tasks = [Task.model_validate(task) for row in rows if row["arm"] == arm for task in row["tasks"]]
        named = [row for row in checked(tasks, seen) if row.needs]
        possible = sum(row.possible for row in named)
        share = f" ({percent(possible / len(named))})" if named else ""
        print(f"{arm} the map: {len(tasks)} tasks, {len(named)} name things, in {possible}{share} all were seen")
    if arguments.attempt:
        for arm in arguments.arms:
            config = for_rollouts(run.config, arguments)
            tasks = in_turns([row["tasks"] for row in rows if row["arm"] == arm])[: arguments.rollouts]
            print(f"{arm} the map: {found(asyncio.run(attempted(config, tasks, arguments.attempt / arm)))}", flush=True)


def for_rollouts(stated: Json, arguments: argparse.Namespace) -> Config:
    """The run's config for roll-outs of given tasks by the agent and the model that were asked for."""
    synthesis = {**stated["synthesis"], "rollouts": arguments.rollouts, "agent": arguments.agent}
    models = {"default": arguments.agent_model, "base_url": arguments.base_url, "timeout": 3600.0}
    return resolve({**stated, "models": models, "synthesis": synthesis, "workers": arguments.workers}, "the run")


def in_turns(sections: list[list[Json]]) -> list[Task]:
    """The first task of each section, then the second of each, and so on."""
    return [Task.model_validate(tasks[turn]) for turn in range(COUNT) for tasks in sections if turn < len(tasks)]


async def attempted(config: Config, tasks: list[Task], folder: Path) -> list[Trajectory]:
    async with open_context(config, folder) as context:
        return await attempt_tasks(context, at_once(tasks), config.seeds[0])


def found(rollouts: list[Trajectory]) -> str:
    operations = operations_in(rollouts)
    for operation, times in operations.most_common():
        print(f"    {times:>3} {operation}")
    steps, given_up = sum(len(each.steps) for each in rollouts), sum(map(said_impossible, rollouts))
    changed = sum(bool(operations_in([each])) for each in rollouts)
    kinds = len({operation.alike for operation in operations})
    return (
        f"{len(rollouts)} roll-outs of {steps} steps, {given_up} given up as impossible, {changed} changed something; "
        f"{kinds} operations, {len(operations)} with their fields"
    )


async def ask(config: Config, sections: list[Document], map_: str, rows: list[Json], out: Path | None) -> None:
    """Add to ``rows`` what is missing, and print it."""
    done = {(row["arm"], row["section"]) for row in rows}
    models = config.models
    model = open_model(models.default, base_url=models.base_url, timeout=models.timeout, limits=config.limits)
    try:
        for section in sections:
            for arm in ARMS:
                if (arm, section.id) not in done:
                    rows.append(await proposed(model, config, section, arm, map_ if arm == "with" else ""))
                    if out:
                        out.write_text(json.dumps(rows, indent=1, ensure_ascii=False))
    finally:
        await model.close()


async def ask_by_hand(config: Config, sections: list[Document], map_: str, folder: Path) -> list[Json]:
    rows = []
    for arm in ARMS:
        (folder / arm).mkdir(parents=True, exist_ok=True)
        for number, section in enumerate(sections):

            def reply(request: Request, file: Path = folder / arm / str(number)) -> str | Exception:
                turns = [f"[{turn.role}]\n{turn.content}" for turn in (*render(request, config.limits), *request.extra)]
                file.with_suffix(".prompt.txt").write_text("\n\n".join(turns))
                told = file.with_suffix(".reply.txt")
                return told.read_text() if told.exists() else ModelError("no reply yet")

            rows.append(await proposed(Scripted(reply), config, section, arm, map_ if arm == "with" else ""))
    return rows


async def proposed(model: Model, config: Config, section: Document, arm: str, map_: str) -> Json:
    row: Json = {"arm": arm, "section": section.id, "tasks": []}
    before = ProposalRound(sections=(), map=map_)
    try:
        tasks, usage = await propose_from_section(
            model, section, COUNT, environment=config.environment, actions=actions_of(config), before=before
        )
        row |= {"tasks": [task.model_dump(mode="json") for task in tasks], "input_tokens": usage.input_tokens}
    except (ModelError, ParseError) as error:
        row["error"] = str(error)
    print(arm, " > ".join((section.title, *section.headings)), row.get("error", ""), flush=True)
    for task in row["tasks"]:
        print(f"    {task['instruction']}{'  (ending)' if task.get('ending') else ''}", flush=True)
    return row


if __name__ == "__main__":
    main()
