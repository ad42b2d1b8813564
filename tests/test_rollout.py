"""One loop from task to trajectory, and many of them side by side: whose failure ends what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_notes import NEW, NOTES, NotesEnvironment
from lbi.errors import BudgetExceeded, EnvironmentFailure, ModelBusy, ModelError, ModelUnavailable, ParseError
from lbi.protocols import CallTimeouts, Decision
from lbi.records import Observation, Step, Task, Usage
from lbi.rollouts.loop import ATTEMPTS, in_parallel, rollout

TASK = Task(instruction="go", environment="desk", start_url="/notes")
HOME = Task(instruction="go", environment="desk")


@dataclass
class Told:
    """An agent that plays a list; an exception in it is raised."""

    script: list[str | Exception]
    seen: list[tuple[int, str]] = field(default_factory=list)
    name = "told"

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        self.seen.append((len(history), observation.url))
        said = self.script[len(history)]
        if isinstance(said, Exception):
            raise said
        return Decision(action=said, reason="told", usage=Usage(calls=1, cost=0.5), examples=("e1",))


@dataclass
class NotesEnvironments:
    """``unopened`` and ``broken`` say, by their number, which environments cannot be opened or stepped."""

    unopened: Callable[[int], bool] = lambda number: False
    broken: Callable[[int], bool] = lambda number: False
    opened: list[CountingNotes] = field(default_factory=list)
    tries: int = 0
    name = "desk"
    restores = True
    timeouts = CallTimeouts()

    async def open(self) -> CountingNotes:
        self.tries += 1
        if self.unopened(self.tries - 1):
            raise EnvironmentFailure("no desk to be had")
        self.opened.append(CountingNotes(broken=self.broken(len(self.opened))))
        return self.opened[-1]

    async def close(self) -> None:
        pass


class CountingNotes(NotesEnvironment):
    closed = 0

    async def close(self) -> None:
        self.closed += 1


# one


async def test_what_ran_is_what_is_recorded():
    agent = Told([NOTES, NEW, 'finish("made")'])
    trajectory = await rollout(NotesEnvironment(), agent, HOME, 9, attempt=3)
    assert (trajectory.stop, trajectory.answer, trajectory.agent, trajectory.attempt) == ("done", "made", "told", 3)
    assert [observation.url for observation in trajectory.observations] == ["/", "/notes", "/notes/new", "/notes/new"]
    assert [action.name for action in trajectory.actions] == ["Notes", "New note", ""]
    assert agent.seen == [(0, "/"), (1, "/notes"), (2, "/notes/new")]
    assert all((step.reason, step.examples) == ("told", ("e1",)) for step in trajectory.steps)
    assert (trajectory.usage.calls, trajectory.usage.cost) == (3, 1.5)


async def test_an_episode_begins_where_its_task_says():
    assert (await rollout(NotesEnvironment(), Told([NEW]), TASK, 1)).observations[0].url == "/notes"


async def test_the_step_limit_ends_a_roll_out_without_an_answer():
    trajectory = await rollout(NotesEnvironment(), Told([NOTES, NEW, NEW]), HOME, 2)
    assert (trajectory.stop, len(trajectory.steps), trajectory.last.url) == ("step_limit", 2, "/notes/new")
    assert (await rollout(NotesEnvironment(), Told([]), HOME, 0)).steps == ()


async def test_a_nonsense_action_is_a_step_with_its_error():
    trajectory = await rollout(NotesEnvironment(), Told(["jump", 'finish("")']), HOME, 9)
    assert (trajectory.stop, trajectory.observations[1].error != "") == ("done", True)
    assert (trajectory.actions[0].text, trajectory.actions[0].kind) == ("jump", "")


@pytest.mark.parametrize("error", [ModelError("refused"), ParseError("what?", "gibberish")])
async def test_a_model_that_fails_ends_the_roll_out_as_data(error):
    trajectory = await rollout(NotesEnvironment(), Told([NOTES, error]), HOME, 9)
    assert (trajectory.stop, trajectory.error, trajectory.answer) == ("model_failure", str(error), "")
    assert (len(trajectory.steps), trajectory.last.url) == (1, "/notes")


@pytest.mark.parametrize(
    "error",
    [BudgetExceeded("spent"), ModelUnavailable("no key"), EnvironmentFailure("gone"), ZeroDivisionError("a bug")],
)
async def test_what_is_not_the_models_failure_leaves_no_trajectory(error):
    with pytest.raises(type(error)):
        await rollout(NotesEnvironment(), Told([NOTES, error]), HOME, 9)


async def test_a_provider_that_is_out_of_order_leaves_no_trajectory_and_no_score():
    with pytest.raises(EnvironmentFailure, match="the model's provider failed: gone"):
        await rollout(NotesEnvironment(), Told([NOTES, ModelBusy("gone")]), HOME, 9)


async def test_a_broken_environment_leaves_no_trajectory():
    with pytest.raises(EnvironmentFailure, match="the desk is gone"):
        await rollout(NotesEnvironment(broken=True), Told([NOTES]), HOME, 9)


# many


async def test_every_job_is_done_once_on_as_many_environments_as_there_are_workers():
    environments, done = NotesEnvironments(), []

    async def work(environment, job):
        await asyncio.sleep(0)
        done.append(job)

    await in_parallel(environments, range(7), work, workers=3, failed=unwanted)
    assert sorted(done) == list(range(7))
    assert [desk.closed for desk in environments.opened] == [1, 1, 1]


async def test_no_more_environments_are_opened_than_there_are_jobs():
    environments = NotesEnvironments()

    async def work(environment, job):
        await asyncio.sleep(0)

    await in_parallel(environments, ["one"], work, workers=5, failed=unwanted)
    await in_parallel(environments, [], work, workers=5, failed=unwanted)
    assert len(environments.opened) == 1


def unwanted(job: object, error: EnvironmentFailure, last: bool) -> None:
    pytest.fail(f"{job} failed: {error}")


async def test_a_job_whose_environment_fails_is_done_again_on_a_fresh_one():
    environments, done, told = NotesEnvironments(broken=lambda number: number == 0), [], []

    async def work(environment, job):
        trajectory = await rollout(environment, Told([NOTES]), HOME, 1)
        done.append((job, trajectory.last.url))

    await in_parallel(
        environments, ["a", "b"], work, workers=1, failed=lambda job, error, last: told.append((job, str(error), last))
    )
    assert told == [("a", "the desk is gone", False)]
    assert sorted(done) == [("a", "/notes"), ("b", "/notes")]
    assert [desk.closed for desk in environments.opened] == [1, 1]


@pytest.mark.parametrize("place", ["unopened", "broken"])
async def test_a_job_that_always_fails_is_given_up_and_the_others_are_done(place):
    environments = NotesEnvironments(**{place: lambda number: True})
    told: list[tuple[str, bool]] = []

    async def work(environment, job):
        await rollout(environment, Told([NOTES]), HOME, 1)

    await in_parallel(
        environments, ["a", "b"], work, workers=2, failed=lambda job, error, last: told.append((job, last))
    )
    for job in ("a", "b"):
        assert [last for name, last in told if name == job] == [False] * (ATTEMPTS - 1) + [True]
    assert all(desk.closed == 1 for desk in environments.opened)


@pytest.mark.parametrize("error", [BudgetExceeded("spent"), ModelUnavailable("no key"), ZeroDivisionError("a bug")])
async def test_a_spent_budget_stops_everything_and_closes_what_is_open(error):
    environments, started = NotesEnvironments(), []

    async def work(environment, job):
        started.append(job)
        await asyncio.sleep(0)
        if job == 1:
            raise error
        await asyncio.sleep(60)

    with pytest.raises(ExceptionGroup) as raised:
        await in_parallel(environments, range(50), work, workers=3, failed=unwanted)
    assert raised.value.exceptions == (error,)
    assert len(started) <= 4
    assert [desk.closed for desk in environments.opened] == [1, 1, 1]


@settings(max_examples=40)
@given(st.integers(0, 6), st.integers(1, 4), st.sets(st.integers(0, 25)))
def test_whatever_breaks_every_job_is_done_once_or_given_up_once(jobs, workers, failing):
    environments = NotesEnvironments(
        broken=lambda number: number in failing, unopened=lambda number: number + 1 in failing
    )
    done: list[int] = []
    given_up: list[int] = []

    async def work(environment, job):
        await rollout(environment, Told([NOTES]), HOME, 1)
        done.append(job)

    def failed(job, error, last):
        given_up.extend([job] * last)

    asyncio.run(in_parallel(environments, range(jobs), work, workers=workers, failed=failed))
    assert sorted(done + given_up) == list(range(jobs))
    assert all(desk.closed == 1 for desk in environments.opened)
