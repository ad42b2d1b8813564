"""How Spider2-V's programs are practised on without a model: which agent, which commands, which labels."""

from __future__ import annotations

import asyncio

import pytest

from lbi.benchmarks import spider2v
from lbi.benchmarks.spider2v import manuals
from lbi.config import Config
from lbi.protocols import Fields
from lbi.records import Action, Observation, Step, Task, Trajectory
from lbi.rollouts.explorer import agent_for_rollouts
from lbi_offline.model import _ROLES as OFFLINE
from lbi_offline.try_commands import TryCommands

SEED = "Usage: dbt seed [OPTIONS]\n\n  Load data from csv files.\n\nOptions:\n  --show  Show a sample\n"


@pytest.mark.parametrize(
    ("benchmark", "agent"),
    [
        ("spider2v:dbt", "try_commands"),
        ("spider2v:dagster-0dff0011,dbt-1137ff65", "try_commands"),
        ("spider2v:jupyter", "explore"),
        ("spider2v", "explore"),
    ],
)
def test_who_practises_without_a_model_goes_by_what_the_program_is_worked_with(benchmark: str, agent: str) -> None:
    config = Config(environment="spider2v", benchmark=benchmark, models={"default": "offline"})
    assert agent_for_rollouts(config) == agent


def test_a_command_that_a_help_text_says_to_use_is_tried_first_and_nothing_that_is_no_action_there() -> None:
    told = manuals._help_page("dbt seed", SEED).splitlines()[2]
    task = Task(instruction=f"dbt seed: {told}", environment="spider2v")
    explorer, steps = TryCommands(seed=0), []
    while True:
        seen = Observation(text="Title: Terminal")
        decision = asyncio.run(explorer.act(task, tuple(steps), seen, spider2v.ACTIONS))
        if decision.action.startswith("finish"):
            break
        steps.append(Step(observation=seen, action=Action(text=decision.action, kind="run")))
    assert steps[0].action.text == 'run("dbt seed")'
    assert len(steps) > 3
    assert all(step.action.text.startswith("run(") for step in steps)


def test_a_help_text_that_says_no_purpose_is_left_as_it_is() -> None:
    for text in ("Usage: dbt [OPTIONS] COMMAND\n\n  An ELT tool.\n", "Usage: dbt docs [OPTIONS]\n\nOptions:\n"):
        assert manuals._help_page("dbt", text).splitlines()[2] == text.splitlines()[0]


@pytest.mark.parametrize(
    ("done", "label"),
    [
        (Action(text='run("dbt seed")', kind="run", value="dbt seed"), "Run `dbt seed`."),
        (Action(text="click(e1)", kind="click", role="button", name="Restart"), "Restart in the window (JupyterLab)"),
        (Action(text="click(e1)", kind="click", role="menuitem", name="View"), "View in the window (JupyterLab)"),
    ],
)
def test_steps_are_labelled_as_what_they_were_where_there_are_commands_and_windows(done: Action, label: str) -> None:
    seen = Observation(text="Title: JupyterLab")
    walk = Trajectory(
        task=Task(instruction="Try it", environment="spider2v"),
        agent="explore",
        steps=(Step(observation=seen, action=done),),
        last=seen,
        stop="done",
    )
    assert OFFLINE["abstract"](Fields(trajectory=walk, start=0, end=1, actions=spider2v.ACTIONS)).startswith(label)
