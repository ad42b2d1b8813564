"""The environment ``shell``: its actions, what is seen of them, states that come again, and the whole method on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbi.agents import AgentParts
from lbi.agents.lats import Lats
from lbi.environments import _pool
from lbi.environments._timeouts import open_with_timeouts
from lbi.environments.shell import own_python
from lbi.environments.shell.actions import ACTIONS, EXAMPLES, KINDS, Command, UnreadableCommand, parse_command
from lbi.environments.shell.environment import ShellEnvironment, ShellEnvironments, ShellSettings
from lbi.errors import EnvironmentFailure, ScoreError
from lbi.models.parsing import act
from lbi.models.providers.scripted import Scripted
from lbi.observations.application_map import application_map
from lbi.observations.normalise import normalise, observation_key
from lbi.prompts import render
from lbi.protocols import Fields, Request
from lbi.records import Check, Example, Observation, Step, Task, Trajectory
from lbi.rollouts.look_around import pages_of
from lbi.rollouts.loop import rollout
from lbi.sandbox.protocol import SandboxLimits
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.filters.replay import replay
from running import answer, lbi_here
from small_repository import needs_bubblewrap, repository

TASK = Task(instruction="Look around.", environment="project")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return repository(tmp_path / "project")


@pytest.fixture
async def environments(project: Path) -> AsyncIterator[ShellEnvironments]:
    opened = ShellEnvironments(ShellSettings(project, limits=SandboxLimits(wall_seconds=20), max_chars=2000))
    yield opened
    await opened.close()


@pytest.fixture
async def shell(environments: ShellEnvironments) -> ShellEnvironment:
    environment = await environments.open()
    await environment.reset(TASK)
    return environment


async def done(shell: ShellEnvironment, *actions: str) -> Observation:
    """The last observation of these actions, each of which must have worked."""
    for action in actions:
        outcome = await shell.step(action)
        assert not outcome.observation.error, outcome.observation.error
    return outcome.observation


@needs_bubblewrap
async def test_a_state_is_kept_gone_back_to_and_dropped(environments: ShellEnvironments) -> None:
    environment = await open_with_timeouts(environments)
    await environment.reset(TASK)
    there = (
        await environment.step('run("mkdir -p new; cd new; export MARK=1; echo one > file; cat file")')
    ).observation
    state = await environment.keep_state()
    elsewhere = (await environment.step('run("echo two > file; cd ..; unset MARK")')).observation
    assert elsewhere.digest != there.digest
    assert await environment.return_to(state) == there
    again = (await environment.step('run("echo ${PWD##*/} $MARK; cat file")')).observation
    assert "new 1\none" in again.text
    assert again.digest == there.digest
    await environment.drop_state(state)
    await environment.close()


@needs_bubblewrap
async def test_a_search_in_a_shell_leaves_only_what_the_best_way_wrote(environments: ShellEnvironments) -> None:
    def searches(request: Request) -> str:
        written = [step.action.text for step in request.fields.history]
        if request.role == "value":
            return "VALUE: 10" if written[-1].startswith("finish") else f"VALUE: {8 if 'good' in written[0] else 1}"
        name = ("bad", "worse", "good")[request.sample % 3]
        action = 'finish("")' if written else f'run("echo {name} > {name}")'
        return f"REASON: r\nACTION: {action}"

    environment = await open_with_timeouts(environments)
    agent = Lats(AgentParts(model=Scripted(searches)), actions=3)
    walked = await rollout(environment, agent, TASK, 5)
    assert [step.action.text for step in walked.steps] == ['run("echo good > good")', 'finish("")']
    (inner,) = environments._open
    diff = await environment.submission()
    assert ("b/good" in diff, "b/bad" in diff, "b/worse" in diff) == (True, False, False)
    assert inner._kept == {}, "no state takes room any longer"
    await environment.close()


# what it tells before any task


@needs_bubblewrap
async def test_the_map_of_a_repository_is_its_list_of_files(environments: ShellEnvironments) -> None:
    pages = await pages_of(await environments.open(), 16, clicks=True)
    assert len(pages) == 1
    text = application_map(pages, 2_000)
    assert "A repository of " in text
    assert "README.md" in text


# reading actions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('run("ls -la")', Command("run", ("ls -la",))),
        ("run('echo \"a, b\"')", Command("run", ('echo "a, b"',))),
        ("run(echo a, b)", Command("run", ("echo a, b",))),
        ('run("""cd src\nls""")', Command("run", ("cd src\nls",))),
        ("ACTION: view('a.py', 3, 9)", Command("view", ("a.py", 3, 9))),
        ('view("a.py")', Command("view", ("a.py",))),
        ('replace("a.py", "x = \\"1\\"", "")', Command("replace", ("a.py", 'x = "1"', ""))),
        ('create("a.py", """def f():\n    return "x"\n""")', Command("create", ("a.py", 'def f():\n    return "x"\n'))),
        ('insert("a.py", 0, "import os\\n")', Command("insert", ("a.py", 0, "import os\n"))),
        ("finish()", Command("finish", ("",))),
        ('finish("4, or 5")', Command("finish", ("4, or 5",))),
    ],
)
def test_an_action_is_read_and_its_own_way_of_writing_it_is_read_back(text: str, expected: Command) -> None:
    command = parse_command(text)
    assert command == expected
    assert parse_command(command.text) == command
    assert act(f"REASON: because\nACTION: {command.text}")[1] == command.text


@pytest.mark.parametrize(
    "text", ["", "ls -la", "click(e12)", "run()", 'run("  ")', 'view("a", "b")', 'replace("a", "b")']
)
def test_what_is_no_action_is_explained_in_one_line(text: str) -> None:
    with pytest.raises(UnreadableCommand) as caught:
        parse_command(text)
    assert "\n" not in str(caught.value)


def test_every_kind_of_action_has_an_example_that_can_be_read() -> None:
    assert set(EXAMPLES) == set(KINDS)
    for kind, example in EXAMPLES.items():
        assert parse_command(example).kind == kind


def test_the_prompt_describes_the_actions_and_speaks_of_no_page_elements() -> None:
    step = Step(observation=Observation(text="x"), action=parse_to_action('create("a.py", "if x:\\n    pass")'))
    fields = Fields(task=TASK, actions=ACTIONS, observation=Observation(text="Folder: /repo"), history=(step,))
    text = "\n".join(message.content for message in render(Request(role="act", fields=fields)))
    assert ACTIONS in text
    assert "[e12]" not in text
    assert 'create("a.py", "if x:\\n    pass")' in text  # with the blanks that a program needs


def parse_to_action(text: str):  # type: ignore[no-untyped-def]
    from lbi.records import Action

    command = parse_command(text)
    return Action(text=command.text, kind=command.kind, name=command.path, value=command.value)


# acting


@needs_bubblewrap
async def test_commands_show_exit_code_output_and_folder(shell: ShellEnvironment) -> None:
    seen = await done(shell, 'run("cd src && ls; false")')
    assert seen.text == "Folder: /repo/src\nExit code: 1\nempty.py\ngreeter.py"
    assert seen.url == "/repo/src"
    seen = await done(shell, "run(\"printf '\\\\033[31mred\\\\033[0m 10%%\\\\r100%%\\\\n'\")")
    assert seen.text.endswith("100%")
    assert "\x1b" not in seen.text


@needs_bubblewrap
async def test_long_output_loses_its_middle_and_says_how_much(shell: ShellEnvironment) -> None:
    seen = await done(shell, 'run("seq 5000")')
    assert seen.text.splitlines()[2] == "1"
    assert seen.text.endswith("5000")
    assert "[... 21,893 characters left out ...]" in seen.text
    assert "of over 2,000 characters the middle is left out" in shell.actions


@needs_bubblewrap
async def test_files_are_shown_and_changed(shell: ShellEnvironment) -> None:
    seen = await done(shell, 'view("src/greeter.py", 1, 1)')
    assert seen.text.endswith("lines 1 to 1 of 2\n     1\tdef greet(name):")
    seen = await done(shell, 'run("cd src")', 'replace("greeter.py", "Hello", "Good day")')
    assert 'return "Good day, " + name' in seen.text
    seen = await done(shell, 'insert("greeter.py", 0, "# greets")', 'create("new/x.py", "x = 1")')
    assert (await done(shell, 'run("cat greeter.py new/x.py")')).text.splitlines()[2:] == [
        "# greets",
        "def greet(name):",
        '    return "Good day, " + name',
        "x = 1",
    ]


@needs_bubblewrap
@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("dance()", "no action found"),
        ('view("absent.py")', "No such file"),
        ('view("src")', "Is a directory"),
        ('view("README.md", 99)', "has 3 lines"),
        ('replace("README.md", "nowhere", "x")', "does not contain that text"),
        ('replace("README.md", "e", "x")', "contains that text"),
        ('replace("src/../../etc/passwd", "root", "x")', "is outside of /repo"),
        ('insert("README.md", 99, "x")', "nothing can be inserted after line 99"),
        ('create("src", "x")', "Is a directory"),
        ('run("sleep 100")', "ran out of time"),
    ],
)
async def test_what_cannot_be_done_is_an_observation(project: Path, action: str, said: str) -> None:
    environments = ShellEnvironments(ShellSettings(project, limits=SandboxLimits(wall_seconds=0.3)))
    shell = await environments.open()
    first = await shell.reset(TASK)
    outcome = await shell.step(action)
    assert said in outcome.observation.error
    assert "\n" not in outcome.observation.error
    assert outcome.observation.digest == first.digest
    assert not outcome.done
    await environments.close()


@needs_bubblewrap
async def test_a_reset_is_the_first_day_again_and_episodes_do_not_see_each_other(
    environments: ShellEnvironments,
) -> None:
    one, other = await environments.open(), await environments.open()
    first = await one.reset(TASK)
    assert first.text.startswith("Folder: /repo\nA repository of 7 files:\n./ .gitignore, README.md, ")
    await done(one, 'run("cd src; export X=1; rm -rf ../* /tmp/*; echo x > /tmp/planted; echo x > ~/planted")')
    assert await other.reset(TASK) == first
    assert await one.reset(TASK) == first
    assert (await done(one, 'run("ls /tmp ~; echo $X")')).text.splitlines()[2:5] == ["/home/agent:", "", "/tmp:"]
    assert "planted" not in one._last.text


@needs_bubblewrap
async def test_a_snapshot_brings_back_files_folder_and_observation(shell: ShellEnvironment) -> None:
    there = await done(shell, 'run("cd src; echo 1 > one")')
    token = await shell.snapshot()
    await done(shell, 'run("cd /; rm -rf /repo/src")')
    assert await shell.restore(token) == there
    assert (await done(shell, 'run("pwd; cat one")')).text.endswith("/repo/src\n1")


@needs_bubblewrap
async def test_checks_are_answers_and_commands(shell: ShellEnvironment) -> None:
    def task(**check: object) -> Task:
        return TASK.model_copy(update={"check": Check(**check)})

    await done(shell, 'run("cd src; echo x > ../made")')
    assert (await shell.score(task(command=("test", "-f", "made")), ""))[0] == 1.0
    score, reason = await shell.score(task(command=("cat", "absent file")), "")
    assert score == 0.0
    assert "absent file" in reason
    assert (await shell.score(task(answer=("7",)), "there are 7"))[0] == 1.0
    assert (await shell.score(task(answer=("7",), answer_not=("8",)), "7 or 8"))[0] == 0.0
    # it may say that it cannot tell; but a program that the agent wrote and that crashes is the agent's failure
    for check in (task(), task(sql="SELECT 1"), TASK, task(command=("sh", "-c", "exit 77"))):
        with pytest.raises(ScoreError):
            await shell.score(check, "")
    assert (await shell.score(task(command=("sh", "-c", "kill -9 $$")), ""))[0] == 0.0
    assert (await shell.score(task(command=("./absent",)), ""))[0] == 0.0


@needs_bubblewrap
@pytest.mark.parametrize("moment", ["reset", "step", "score"])
async def test_a_supervisor_that_the_machine_killed_is_an_environment_failure_and_the_next_is_fresh(
    shell: ShellEnvironment, moment: str
) -> None:
    process = shell.sandbox._process  # type: ignore[attr-defined]
    process.kill()
    await process.wait()
    calls = {
        "reset": lambda: shell.reset(TASK),
        "step": lambda: shell.step('run("ls")'),
        "score": lambda: shell.score(TASK.model_copy(update={"check": Check(command=("true",))}), ""),
    }
    with pytest.raises(EnvironmentFailure) as raised:
        await calls[moment]()
    assert raised.value.kind == "sandbox"


@needs_bubblewrap
async def test_the_engine_goes_on_in_a_fresh_sandbox_after_the_machine_killed_one(
    environments: ShellEnvironments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_pool, "FIRST_WAIT", 0.0)
    seen: list[ShellEnvironment] = []
    failures: list[str] = []

    async def work(environment: Any) -> None:
        inner = environment._environment
        seen.append(inner)
        await environment.reset(TASK)
        if len(seen) == 1:
            inner.sandbox._process.kill()
        await environment.step('run("ls")')

    pool = _pool.Pool(environments, 1)
    await pool.do(work, failed=lambda error, last: failures.append(error.kind))
    await pool.close()
    assert failures == ["sandbox"]
    assert len(set(map(id, seen))) == 2


@needs_bubblewrap
@pytest.mark.parametrize("left", ["sleep 60", "kill -9 $PPID; kill -9 $$", "head -c 60000000 /dev/zero"])
async def test_an_agent_cannot_make_its_own_check_go_away(shell: ShellEnvironment, left: str) -> None:
    await done(shell, f'create("check.sh", "{left}\\n")')
    shell.sandbox.limits = shell.sandbox.limits.model_copy(update={"wall_seconds": 1.0})
    score, _ = await shell.score(TASK.model_copy(update={"check": Check(command=("sh", "check.sh"))}), "")
    assert score == 0.0 or left.startswith("head")


# what comes again


def seen(text: str) -> Observation:
    return Observation(text=text, url="/repo")


def test_two_runs_of_one_program_look_the_same() -> None:
    one = "..F [100%]\n1 failed in 0.12s\n<object at 0x7f12ab34cd56>\n/tmp/tmpab12cd34/x pid=4711\nreal 0m1.204s"
    two = "..F [100%]\n1 failed in 1.04s\n<object at 0x7f98fe76dc54>\n/tmp/tmpzz99yy88/x pid=12\nreal 0m0.907s"
    assert normalise(seen(one)) == normalise(seen(two))
    for other in ("..F [100%]\n2 failed in 0.12s", "version 1.2.3", "/tmp/kept/file", "line 0x1"):
        assert observation_key(seen(one)) != observation_key(seen(other))
    assert (
        normalise(seen("version 1.2.3 /tmp/kept/file 5 seconds"))
        == "URL: /repo\nversion 1.2.3 /tmp/kept/file 5 seconds"
    )


@needs_bubblewrap
async def test_a_trajectory_is_replayed_by_what_it_leaves_behind(shell: ShellEnvironment) -> None:
    actions = [
        'run("cd src")',
        'run("date +%N > ../build.log; echo same > same; python3 -m unittest discover -s .. -q")',
        'replace("greeter.py", "Hello", "Good day")',
        'run("date +%s%N > differs")',
    ]
    observation, steps = await shell.reset(TASK), []
    for action in actions:
        outcome = await shell.step(action)
        steps.append(Step(observation=observation, action=outcome.action))
        observation = outcome.observation
    trajectory = Trajectory(task=TASK, agent="test", steps=tuple(steps), last=observation, stop="step_limit")
    replayed = await replay(shell, trajectory)
    assert replayed.matched == (True, True, True, True, False)  # what the time wrote is another file every time
    assert replayed.note == "observation 4: another state"


# a repository of one's own


def test_a_virtual_environment_brings_its_python_and_nothing_else(project: Path, tmp_path: Path) -> None:
    (project / ".venv").mkdir()
    config = project / ".venv" / "pyvenv.cfg"
    secret = tmp_path / "secret"
    (secret / "bin").mkdir(parents=True)
    config.write_text(f"home = {secret}/bin\n")
    binds, env = own_python(project)
    assert binds == []  # no Python lies there
    assert env["VIRTUAL_ENV"] == "/repo/.venv"
    (secret / "lib" / "python3.12").mkdir(parents=True)
    (secret / "lib" / "python3.12" / "os.py").touch()
    assert own_python(project)[0] == [secret]


def documents(folder: Path) -> None:
    folder.mkdir()
    about = "It is said at some length, because a page that says too little is not read at all, and that is as it is."
    for name, says in (
        ("testing", "Run all the tests with `python3 -m unittest` and look at the result. " * 2),
        ("running", "To run it, use `./run.sh` in the top folder. It prints what it runs, and that is all."),
        ("changing", "Change the file src/greeter.py to greet in another way, and run the tests once more."),
    ):
        (folder / f"{name}.md").write_text(f"# {name.title()}\n\n{says}\n\n{about}\n")


@needs_bubblewrap
@pytest.mark.slow
def test_the_whole_method_runs_on_a_repository_without_a_config(project: Path, tmp_path: Path) -> None:
    documents(project / "docs")
    out = tmp_path / "run"
    settings = ["-s", "synthesis.rollouts=4", "-s", "synthesis.compose=4", "-s", "evaluation.tasks=1"]
    found = answer("run", "--repo", str(project), "--out", str(out), *settings)
    assert found
    with RunFolder(out, writing=False) as folder:
        examples = [example for _, example in folder.store.all("example", Example)]
        trajectories = [trajectory for _, trajectory in folder.store.all("trajectory", Trajectory)]
    assert len(trajectories) == 4
    replayed = [example for example in examples if example.tier == "replayed" and example.kept]
    assert any(example.kind == "abstract" for example in replayed)
    assert any(seen.digest != t.observations[0].digest for t in trajectories for seen in t.observations)
    assert (out / "report.html").stat().st_size > 10_000
    assert not json.loads((out / "config.json").read_text())["application"]


def test_a_repository_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    ran = lbi_here("run", "--repo", str(tmp_path / "absent"), cwd=tmp_path)
    assert ran.returncode == 2
    assert ran.stderr.startswith("lbi: no folder")
    assert ran.stderr.count("\n") == 1
