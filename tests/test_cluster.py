"""Environments on other machines: the same episodes, errors of the same class, and nothing lost or done twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_environment import LampEnvironment, LampEnvironments
from lbi.config import Cluster, Config, resolve
from lbi.environments._cluster import remote
from lbi.environments._cluster.rays import connect
from lbi.environments._cluster.remote import RemoteEnvironments
from lbi.environments._cluster.wire import Raised
from lbi.environments._pool import ATTEMPTS, MACHINES, Pool
from lbi.errors import EnvironmentFailure, ParseError, ScoreError, UserError, UserErrors
from lbi.protocols import Decision, Environment, Outcome
from lbi.records import Check, Observation, Step, Task, Trajectory
from lbi.rollouts.loop import rollout
from lbi.storage.images import image_name
from machines_here import MachineHere, MachinesHere
from running import lbi_here

PNG = b"\x89PNG of a lamp"
TASK = Task(instruction="Paint lamp 7", environment="lamps")


class SeesLamps(LampEnvironments):
    """Lamps whose worker takes a picture at each reset, for whoever opened them."""

    def __init__(self, save_image: Callable[[bytes], str], **how: object) -> None:
        super().__init__()
        self.save_image, self.how = save_image, how

    async def open(self) -> LampEnvironment:
        return PicturedLamps(self.save_image, **self.how)  # type: ignore[arg-type]


class PicturedLamps(LampEnvironment):
    def __init__(self, save_image: Callable[[bytes], str], broken: bool = False) -> None:
        super().__init__(broken=broken)
        self._save_image = save_image
        self.kind = "server error"

    async def reset(self, task: Task) -> Observation:
        if task.instruction == "no such application":
            raise UserError("the application is not installed")
        if task.instruction == "wrong program":
            raise ZeroDivisionError("one of ours")
        seen = await super().reset(task)
        return seen.model_copy(update={"image": self._save_image(PNG)})


class Walks:
    """Clicks its way to a lamp and ends; waits for its event before the second step, so that much can happen there."""

    name = "walks"

    def __init__(self) -> None:
        self.at_second, self.go_on = asyncio.Event(), asyncio.Event()

    async def act(self, task: Task, history: tuple[Step, ...], observation: Observation, actions: str) -> Decision:
        if len(history) == 1:
            self.at_second.set()
            await self.go_on.wait()
        return Decision(action=['click(link "Lamps")', 'click(link "Green lamp")', 'finish("")'][len(history)])


@pytest.fixture
def broken() -> dict[str, bool]:
    """What the lamps of this test are like; may be changed."""
    return {}


@pytest.fixture(autouse=True)
def lamps_there(monkeypatch: pytest.MonkeyPatch, broken: dict[str, bool]) -> None:
    monkeypatch.setattr(
        "lbi.environments._cluster.worker.open_environments", lambda config, save: SeesLamps(save, **broken)
    )
    monkeypatch.setattr("lbi.environments._cluster.worker.os.chdir", lambda folder: None)
    monkeypatch.setattr(remote, "PAUSE", 0.0)


def elsewhere(machines: MachinesHere, saved: list[bytes] | None = None) -> RemoteEnvironments:
    def save(png: bytes) -> str:
        (saved if saved is not None else []).append(png)
        return image_name(png)

    return RemoteEnvironments(LampEnvironments(), Config(), machines, save, lambda line: None)


def unwanted(error: EnvironmentFailure, last: bool) -> None:
    pytest.fail(str(error))


# what passes


async def test_an_episode_elsewhere_is_the_one_that_it_is_here_and_its_picture_is_kept_here() -> None:
    agent, saved = Walks(), list[bytes]()
    agent.go_on.set()
    here = await rollout(PicturedLamps(image_name), agent, TASK, 5)
    environments = elsewhere(MachinesHere(1), saved)
    environment = await environments.open()
    assert await rollout(environment, agent, TASK, 5) == here
    assert here.steps[0].observation.image == image_name(PNG)
    assert saved == [PNG]
    await environments.close()


async def test_a_nonsense_action_elsewhere_is_an_observation() -> None:
    environment = await elsewhere(MachinesHere(1)).open()
    await environment.reset(TASK)
    outcome = await environment.step("make tea")
    assert isinstance(outcome, Outcome)
    assert outcome.observation.error
    assert (await environment.foresee('click(link "Lamps")')).changes  # lamps cannot tell, so it may
    assert await environment.submission() == ""


async def test_failures_elsewhere_keep_their_class_and_kind_and_say_where(broken: dict[str, bool]) -> None:
    environment = await elsewhere(MachinesHere(1)).open()
    await environment.reset(TASK)
    check = Check(shows=("what nobody can tell",))
    with pytest.raises(ScoreError, match="on the machine m0: nobody can tell"):
        await environment.score(TASK.model_copy(update={"check": check}), "")
    assert await environment.score(TASK.model_copy(update={"check": Check(shows=("7 Green lamp",))}), "") == (
        1.0,
        "as the state says",
    )
    with pytest.raises(UserError, match="on the machine m0: the application is not installed"):
        await environment.reset(TASK.model_copy(update={"instruction": "no such application"}))
    with pytest.raises(ZeroDivisionError):  # a wrong program stops the run, there as here
        await environment.reset(TASK.model_copy(update={"instruction": "wrong program"}))
    broken["broken"] = True
    environment = await elsewhere(MachinesHere(1)).open()
    with pytest.raises(EnvironmentFailure, match="the lamps are gone") as failure:
        await environment.reset(TASK)
    assert failure.value.kind == "server error"


def test_errors_of_every_shape_come_back_as_they_were() -> None:
    parse = Raised.of(ParseError("unreadable", "the reply")).error()
    assert isinstance(parse, ParseError)
    assert (str(parse), parse.reply) == ("unreadable", "the reply")
    several = Raised.of(UserErrors("two mistakes", ["one", "other"])).error("there")
    assert isinstance(several, UserErrors)
    assert str(several) == "there: two mistakes\n  one\n  other"


async def test_another_version_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = MachinesHere(1)
    monkeypatch.setattr(remote, "__version__", "9.9")
    with pytest.raises(UserError, match=r"m0: it has lbi .* and the run lbi 9\.9; install the same there"):
        await elsewhere(machines).open()
    assert not machines.machines[0].actors  # and leaves nothing behind


# machines that come and go


async def _run(
    machines: MachinesHere, jobs: int, workers: int, disturb: Callable[[int], None] = lambda done: None
) -> tuple[list[int], list[EnvironmentFailure]]:
    """Do the jobs, each an episode; which were done and what failed. ``disturb`` is told of each, as it is done."""
    pool, done, failures = Pool(elsewhere(machines), workers), list[int](), list[EnvironmentFailure]()

    async def job(number: int) -> None:
        async def work(environment: Environment) -> None:
            agent = Walks()
            agent.go_on.set()
            trajectory: Trajectory = await rollout(environment, agent, TASK, 5)
            assert trajectory.stop == "done"
            done.append(number)
            disturb(len(done))

        await pool.do(work, failed=lambda error, last: failures.append(error))

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(jobs):
            group.create_task(job(number))
    await pool.close()
    return done, failures


async def test_work_waits_for_any_environment_where_the_machines_have_room_for_few() -> None:
    machines = MachinesHere(1)
    done, failures = await _run(machines, jobs=6, workers=4)
    assert (sorted(done), failures, machines.started) == ([*range(6)], [], 1)


async def test_a_machine_that_joins_is_used() -> None:
    machines = MachinesHere(1)
    done, _ = await _run(machines, 40, 3, lambda count: machines.add(2) and None if count == 3 else None)
    assert sorted(done) == [*range(40)]
    assert machines.started == 3


async def test_a_machine_that_leaves_in_the_middle_costs_a_retry_and_nothing_else() -> None:
    machines = MachinesHere(1, 2)
    agent, done, failures = Walks(), list[Trajectory](), list[tuple[str, bool]]()
    pool = Pool(elsewhere(machines), 2)

    async def work(environment: Environment) -> None:
        trajectory = await rollout(environment, agent, TASK, 5)
        done.append(trajectory)

    async def leaves() -> None:
        await agent.at_second.wait()
        left: MachineHere = next(machine for machine in machines.machines if machine.actors)
        machines.leave(left)
        agent.go_on.set()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(pool.do(work, failed=lambda error, last: failures.append((error.kind, last))))
        group.create_task(leaves())
    await pool.close()
    assert [trajectory.stop for trajectory in done] == ["done"]
    assert failures == [("machine", False)]


async def test_what_a_machine_says_as_it_goes_down_is_no_mistake_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = MachinesHere(1, 1)

    async def cannot(task: Task) -> Observation:
        asyncio.get_running_loop().call_later(0.05, machines.leave, machines.machines[0])
        raise UserError("its sandbox cannot be made here")

    monkeypatch.setattr(remote, "PAUSE", 0.3)
    environment = await elsewhere(machines).open()
    monkeypatch.setattr(PicturedLamps, "reset", lambda self, task: cannot(task))
    with pytest.raises(EnvironmentFailure, match="the machine was lost") as failed:
        await environment.reset(TASK)
    assert failed.value.kind == "machine"


async def test_work_outlives_more_machines_than_it_may_have_other_failures() -> None:
    machines, failures = MachinesHere(1), list[tuple[str, bool]]()
    pool, tries = Pool(elsewhere(machines), 1), 0

    async def work(environment: Environment) -> None:
        nonlocal tries
        tries += 1
        if tries <= ATTEMPTS + 1:
            machines.leave(machines.machines[0])
            machines.add(1)
        await environment.reset(TASK)

    await pool.do(work, failed=lambda error, last: failures.append((error.kind, last)))
    assert failures == [("machine", False)] * (ATTEMPTS + 1)
    assert ATTEMPTS + 1 < MACHINES
    await pool.close()


async def test_work_that_ends_every_machine_is_given_up() -> None:
    machines, failures = MachinesHere(1), list[bool]()
    pool = Pool(elsewhere(machines), 1)

    async def work(environment: Environment) -> None:
        machines.leave(machines.machines[0])
        machines.add(1)
        await environment.reset(TASK)

    await pool.do(work, failed=lambda error, last: failures.append(last))
    assert failures == [False] * (MACHINES - 1) + [True]
    await pool.close()


async def test_a_run_says_what_it_waits_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "TOLD_AFTER", 0.01)
    machines, said, told = MachinesHere(), list[str](), asyncio.Event()
    environments = RemoteEnvironments(
        LampEnvironments(), Config(), machines, image_name, lambda line: (said.append(line), told.set())[1]
    )
    waiting = asyncio.create_task(environments.room())
    await told.wait()
    await asyncio.sleep(0.05)
    machines.add(1)
    await waiting
    assert said == ["some environments wait for a machine with one place"]
    await environments.close()
    assert not machines.machines[0].actors  # the one that had room, and was not used
    assert machines.closed == 1


# what is said of it


def test_where_environments_run_is_no_part_of_what_a_run_is() -> None:
    raw = {"cluster": {"ray": "auto", "cores": 0.5, "resources": {"browser": 1}}, "workers": 200}
    assert resolve(raw, "test").identity() == Config().identity()


def test_more_workers_than_one_machine_takes_need_a_cluster() -> None:
    with pytest.raises(UserError, match="200 are too many for one machine, which takes 64; --ray ADDRESS"):
        resolve({"workers": 200}, "test")


class HeadAlone:
    """Ray, as far as it is asked while a cluster is joined: one machine, on which nothing is to run."""

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, object]]:
        return [{"Alive": True, "Resources": {"CPU": 0.0, "memory": 2.0**30}}]

    def remote(self, **asked: object) -> Callable[[type], type]:
        self.asked = asked
        return lambda worker: worker


async def test_a_cluster_that_adds_machines_as_they_are_asked_for_may_begin_with_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", ray := HeadAlone())
    with pytest.raises(UserError, match=r"no machine of the Ray cluster has 1 core.*cluster\.autoscales=true waits"):
        await connect(Cluster(ray="auto"), "")
    machines = await connect(Cluster(ray="auto", autoscales=True, resources={"browser": 1.0}), "browser")
    assert machines.room() == 0
    assert (ray.asked["num_cpus"], ray.asked["resources"]) == (1.0, {"browser": 1.0})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "README.md").write_text("# Nothing\n\nRun `ls`.\n")
    return tmp_path


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("nowhere", "'nowhere' is no address of a Ray cluster; write HOST:PORT, or auto"),
        ("127.0.0.1:1", "nothing answers at 127.0.0.1:1 (Connection refused); `ray start --head`"),
        ("auto", "--ray needs Ray, which is not installed; `pip install 'learn-by-interact[ray]'`"),
    ],
)
def test_what_cannot_be_joined_is_one_line(
    address: str, line: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    out = repository / "run"
    ran = lbi_here("synthesize", "--repo", repository / "repo", "--out", out, "-q", "--ray", address)
    assert ran.returncode == 2
    assert line in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
