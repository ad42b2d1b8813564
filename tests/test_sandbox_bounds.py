"""What an agent leaves behind costs it a step where it is too large, never the run: real sandboxes, real giants."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbi.benchmarks.swebench import patches
from lbi.benchmarks.swebench.patches import PatchError
from lbi.benchmarks.swebench.test_results import MOST_REPORT, read_report
from lbi.environments.shell.environment import TOO_LARGE, ShellEnvironment, ShellEnvironments, ShellSettings
from lbi.records import Check, Task
from lbi.sandbox import beneath, container
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.patch import Change, Side, Wanted, patch
from lbi.sandbox.protocol import SandboxLimits
from lbi.sandbox.supervisor import bounds, layers
from lbi.sandbox.supervisor.bounds import TooLarge
from lbi.storage.tempdirs import OwnFolder
from small_repository import needs_bubblewrap, repository

TASK = Task(environment="project", instruction="leave a mess", name="mess", check=Check(command=("true",)))
WAYS = [pytest.param("bubblewrap", marks=needs_bubblewrap), "unsafe"]


def run(command: str) -> str:
    return f"run({json.dumps(command)})"


def python(code: str) -> str:
    return run(f"python3 - <<'END'\n{code}\nEND")


@pytest.fixture(params=WAYS)
async def shell(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[ShellEnvironment]:
    source = repository(tmp_path / "project")
    limits = SandboxLimits(wall_seconds=60)
    environments = ShellEnvironments(ShellSettings(source, limits=limits, unsafe=request.param == "unsafe"))
    opened = await environments.open()
    await opened.reset(TASK)
    yield opened
    await environments.close()


async def costs_a_step(shell: ShellEnvironment, mess: str, why: str, tidy: str = "") -> None:
    """The step has an error in words, the patch cannot be made, the task is scored, and order can be restored."""
    outcome = await shell.step(mess)
    assert "too large" in outcome.observation.error
    assert why in outcome.observation.error
    assert outcome.observation.digest == TOO_LARGE
    with pytest.raises(TooLarge, match="too large"):
        await shell.sandbox.diff()
    assert await shell.score(TASK, "") == (1.0, "every condition holds")
    if tidy:
        outcome = await shell.step(run(tidy))
        assert outcome.observation.error == ""
        assert outcome.observation.digest != TOO_LARGE
        assert await shell.sandbox.diff() == ""


async def test_many_sparse_giants_are_too_large(shell: ShellEnvironment) -> None:
    await costs_a_step(shell, run("for i in $(seq 40); do truncate -s 1G big$i; done"), "bytes", "rm big*")


async def test_one_sparse_giant_is_beyond_what_can_be_written(shell: ShellEnvironment) -> None:
    outcome = await shell.step(run("truncate -s 10T big || ls -l big"))
    assert "size limit exceeded" in outcome.observation.text or "too large" in outcome.observation.text
    assert outcome.observation.error == ""


@pytest.mark.slow
async def test_two_hundred_thousand_empty_files_are_too_large(shell: ShellEnvironment) -> None:
    code = "import os\nfor n in range(200):\n os.mkdir(f'm{n}')\n for k in range(1000): open(f'm{n}/{k}', 'w').close()"
    await costs_a_step(shell, python(code), "more than 150,000 files")


@pytest.mark.slow
async def test_two_thousand_five_hundred_folders_one_in_the_other_are_too_large(shell: ShellEnvironment) -> None:
    code = "import os\nfor n in range(2500): os.mkdir('n' * {length}); os.chdir('n' * {length})"
    await costs_a_step(shell, python(code.format(length=200)), "4,000 bytes", "rm -rf nnn*")
    await costs_a_step(shell, python(code.format(length=1)), "256 folders")
    await shell.reset(TASK)
    assert await shell.sandbox.diff() == ""


@pytest.mark.slow
async def test_a_snapshot_of_too_much_is_refused_and_leaves_nothing(shell: ShellEnvironment) -> None:
    code = "import os\nfor n in range(300): os.mkdir('n'); os.chdir('n')"
    await shell.step(python(code))
    with pytest.raises(TooLarge):
        await shell.snapshot()
    await shell.step(run("rm -r n; echo 1 > a; ln a b; truncate -s 100M sparse"))
    before, token = await shell.sandbox.digest(), await shell.snapshot()
    await shell.reset(TASK)
    await shell.restore(token)
    assert await shell.sandbox.digest() == before
    kept = await shell.sandbox.run("stat -c %i a b | uniq | wc -l; stat -c %b sparse")
    assert kept.output == "1\n0\n", "hard links are one file, and holes stay holes"


@pytest.mark.slow
async def test_a_line_of_five_hundred_megabytes_is_not_shown(shell: ShellEnvironment) -> None:
    made = await shell.step(run("head -c 500M /dev/zero | tr '\\0' x > line; ls -l line"))
    assert "524288000" in made.observation.text
    for action in ('view("line")', 'replace("line", "a", "b")', 'insert("line", 1, "a")'):
        outcome = await shell.step(action)
        assert "too large: line has 524,288,000 bytes" in outcome.observation.error.replace(
            str(shell.sandbox.workdir), ""
        )
    assert "Binary files /dev/null and b/line differ" in (await shell.sandbox.diff()).replace("a/line", "/dev/null")


async def test_names_that_are_no_utf_8_are_names_like_others(shell: ShellEnvironment) -> None:
    outcome = await shell.step(run(r"mkdir $'d\xff' && cd $'d\xff' && echo text > $'\xfe.txt' && ln -s $'\xfd' link"))
    assert outcome.observation.error == ""
    outcome.model_dump_json()
    assert (await shell.step('create("x", "y")')).observation.error == ""
    assert "\ty" in (await shell.step('view("x")')).observation.text
    diff = await shell.sandbox.diff()
    assert r'"b/d\377/\376.txt"' in diff
    diff.encode()
    token = await shell.snapshot()
    await shell.restore(token)
    assert await shell.sandbox.diff() == diff


async def test_what_is_no_file_is_no_change_and_is_not_waited_for(shell: ShellEnvironment) -> None:
    code = "import os, socket\nos.mkfifo('pipe')\nsocket.socket(1).bind('socket')\nos.symlink('/dev/zero', 'zero')"
    await shell.step(python(code))
    async with asyncio.timeout(60):
        for path in ("pipe", "socket", "zero"):
            for action in (f'view("{path}")', f'create("{path}", "x")', f'replace("{path}", "a", "b")'):
                assert (await shell.step(action)).observation.error
        diff = await shell.sandbox.diff()
    assert diff.count("diff --git") == 1
    assert "b/zero" in diff


async def test_a_file_that_is_written_while_it_is_read_is_read_as_far_as_it_was(shell: ShellEnvironment) -> None:
    await shell.step(run("(while :; do echo line; done >> growing) 2>/dev/null & sleep 0.2"))
    async with asyncio.timeout(120):
        for _ in range(3):
            outcome = await shell.step(run("true"))
            assert outcome.observation.error == ""
            await shell.step('view("growing", 1, 3)')
        try:
            assert "growing" in await shell.sandbox.diff()
        except TooLarge as error:
            assert "grows while it is read" in str(error)  # noqa: PT017 - either is right
        await shell.snapshot()


async def test_a_lost_shell_comes_back_whatever_a_command_said_of_its_state(shell: ShellEnvironment) -> None:
    forged = r"builtin() { command printf '0\0/\0exit 5\0'; }"
    await shell.step(run(forged))
    await asyncio.sleep(0.5)  # it is said three times, and a busy machine may say it the third time after the answer
    assert "Exit code: 3" in (await shell.step(run("exit 3"))).observation.text
    outcome = await shell.step(run("echo fine"))
    assert "Exit code: 0\nfine" in outcome.observation.text


async def test_a_state_of_a_hundred_megabytes_is_not_kept(shell: ShellEnvironment) -> None:
    await shell.step(run("export SMALL=1"))
    await shell.step(run("export LARGE=$(head -c 30M /dev/zero | tr '\\0' x)"))
    await shell.step(run("exit 1"))
    assert "\n1 0" in (await shell.step(run("echo $SMALL ${#LARGE}"))).observation.text


@needs_bubblewrap
async def test_a_folder_that_nobody_may_enter_keeps_no_shell_from_starting(tmp_path: Path) -> None:
    environments = ShellEnvironments(ShellSettings(repository(tmp_path / "project")))
    shell = await environments.open()
    await shell.reset(TASK)
    await shell.step(run("chmod 000 /repo; exit 1"))
    outcome = await shell.step(run("chmod 755 /repo; cd /repo; ls README.md"))
    assert "README.md" in outcome.observation.text
    await environments.close()


async def test_a_check_that_an_agent_keeps_from_ending_is_a_score(tmp_path: Path) -> None:
    source = repository(tmp_path / "project")
    task = TASK.model_copy(update={"check": Check(command=("sh", "run.sh"))})
    environments = ShellEnvironments(ShellSettings(source, limits=SandboxLimits(wall_seconds=1), unsafe=True))
    shell = await environments.open()
    await shell.reset(task)
    await shell.step('create("run.sh", "sleep 60")')
    score, reason = await shell.score(task, "")
    assert (score, "out of time" in reason) == (0.0, True)
    await environments.close()


async def test_a_path_that_no_file_can_have_is_refused(shell: ShellEnvironment) -> None:
    for path in ("a\0b", "\ud800", "x" * 300):
        with pytest.raises(OSError):
            await shell.sandbox.upload(path, b"")
        with pytest.raises(OSError):
            await shell.sandbox.download(path)
    assert (await shell.sandbox.run("echo \ud800 fine")).exit_code == 0


async def test_what_a_shell_cannot_see_cannot_be_created(tmp_path: Path) -> None:
    source = repository(tmp_path / "project")
    environments = ShellEnvironments(ShellSettings(source))
    shell = await environments.open()
    await shell.reset(TASK)
    for path in (
        "/dev/shm/x",
        "/usr/x",
        "/etc/x",
        "/proc/x",
        "/x",
        "/var/lib/x",
        "../x",
        "/home/other/x",
        "/root/x",
    ):
        outcome = await shell.step(f'create("{path}", "text")')
        assert "is outside of" in outcome.observation.error, path
    for path in ("/tmp/x", "/home/agent/x", "/var/tmp/y", f"{source}/x"):
        assert (await shell.step(f'create("{path}", "text")')).observation.error == ""
        assert "Exit code: 0\ntext" in (await shell.step(run(f"cat {path}"))).observation.text, "and the shell sees it"
    await environments.close()


async def test_an_unsafe_folder_that_is_reached_by_a_link_is_the_folder(tmp_path: Path) -> None:
    source = repository(tmp_path / "project")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    async with open_sandbox(tmp_path / "link" / source.name, unsafe=True) as sandbox:
        await sandbox.upload("src/new.py", b"x\n")
        assert (await sandbox.run("cat src/new.py")).output == "x\n"
        assert await sandbox.download("README.md") == (source / "README.md").read_bytes()
        assert "b/src/new.py" in await sandbox.diff()
    assert not (source / "src" / "new.py").exists()


async def test_an_unsafe_sandbox_works_where_temporary_folders_are_reached_by_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "link"))
    async with open_sandbox(repository(tmp_path / "project"), unsafe=True) as sandbox:
        await sandbox.upload("new.py", b"x\n")
        done = await sandbox.run("cat new.py; pwd; pwd -P")
        inside = done.output.splitlines()[1:]
        assert done.output.startswith("x\n")
        for folder in inside:
            assert await sandbox.download(f"{folder}/new.py") == b"x\n"
        await sandbox.upload(f"{inside[1]}/more.py", b"y\n")
        assert "b/more.py" in await sandbox.diff()
    assert list((tmp_path / "real").iterdir()) == []


@pytest.mark.slow
def test_folders_are_removed_however_deep_and_whatever_their_modes(tmp_path: Path) -> None:
    folder = OwnFolder("deep")
    handle = os.open(folder.path, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d" * 200, dir_fd=handle)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=handle)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
        os.close(handle)
        handle = inner
    os.close(handle)
    (folder.path / "shut" / "inner").mkdir(parents=True)
    (folder.path / "shut" / "inner" / "file").touch()
    (folder.path / "out").symlink_to(tmp_path)
    (folder.path / "shut" / "inner").chmod(0)
    (folder.path / "shut").chmod(0)
    folder.remove()
    assert not folder.path.exists()
    assert tmp_path.exists()


def test_a_child_that_takes_too_much_is_ended_and_it_is_nobodys_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "CPU_SECONDS", 1)
    monkeypatch.setattr(bounds, "MEMORY", 512 << 20)

    def for_ever() -> None:
        while True:
            pass

    for work in (for_ever, lambda: b"x" * (1 << 31)):
        with pytest.raises(TooLarge):
            layers.in_child(work)


@pytest.mark.slow
def test_a_patch_of_too_much_is_no_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = [Change(f"f{n}", None, Side(0o100644, 12 << 20, str(n))) for n in range(8)]

    async def contents(wanted: list[Wanted]) -> list[bytes]:
        return [b"line\n" * ((12 << 20) // 5) for _ in wanted]

    with pytest.raises(TooLarge, match="the patch of all changes has more than"):
        asyncio.run(patch(changes, contents))
    monkeypatch.setattr("lbi.sandbox.patch.SECONDS", -1.0)
    with pytest.raises(TooLarge, match="takes more than"):
        asyncio.run(patch(changes[:1], contents))


def test_lines_that_repeat_make_no_patch_that_takes_for_ever() -> None:
    old = "".join(f"{n % 110}\n" for n in range(4800)).encode()
    new = "".join(f"{(n * 7) % 110}\n" for n in range(4800)).encode()

    async def contents(wanted: list[Wanted]) -> list[bytes]:
        return [old if pristine else new for _, pristine, _ in wanted]

    sides = Side(0o100644, len(old), "a"), Side(0o100644, len(new), "b")
    text = asyncio.run(asyncio.wait_for(patch([Change("f", *sides)], contents), 30))
    assert text.count("\n@@ ") == 1, "it replaces the lines as a whole"


def test_a_patch_that_makes_too_much_does_not_apply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "MOST_MADE", 16 << 20)
    bomb = patches.edited("bomb", b"\0", b"\0" * (40 << 20))
    assert len(bomb) < 1 << 20
    (tmp_path / "bomb").write_bytes(b"\0")
    with pytest.raises(PatchError, match=r"too large: it makes"):
        patches.apply(bomb, tmp_path)
    many = "".join(f"diff --git a/{n} b/{n}\nnew file mode 100644\n" for n in range(50_001))
    with pytest.raises(PatchError, match="too large: 50,001 files"):
        patches.apply(many, tmp_path)
    with pytest.raises(PatchError, match="too large"):
        patches.apply("x" * (bounds.MOST_PATCH + 1), tmp_path)
    os.truncate(tmp_path / "bomb", 10 << 30)
    with pytest.raises(PatchError, match="too large: the files that it changes"):
        patches.apply("diff --git a/bomb b/bomb\nold mode 100644\nnew mode 100755\n", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["bomb"]


def test_a_report_that_is_too_large_is_none() -> None:
    with pytest.raises(ValueError, match="too large to read"):
        read_report(b"<testsuites>" + b"<a/>" * (MOST_REPORT // 4) + b"</testsuites>")


def test_copies_keep_holes_and_hard_links(tmp_path: Path) -> None:
    (tmp_path / "old" / "sub").mkdir(parents=True)
    (tmp_path / "new").mkdir()
    with open(tmp_path / "old" / "sparse", "wb") as file:
        file.write(b"begin")
        file.seek(1 << 30)
        file.write(b"end")
    os.link(tmp_path / "old" / "sparse", tmp_path / "old" / "sub" / "twin")
    with beneath.Beneath(tmp_path / "old") as old, beneath.Beneath(tmp_path / "new") as new:
        beneath.copy(old, new)
    copied = (tmp_path / "new" / "sparse").stat()
    assert (copied.st_size, copied.st_blocks < 4096, copied.st_nlink) == ((1 << 30) + 3, True, 2)
    assert (tmp_path / "new" / "sub" / "twin").stat().st_ino == copied.st_ino
    with open(tmp_path / "new" / "sparse", "rb") as file:
        assert file.read(6) == b"begin\0"
        file.seek(1 << 30)
        assert file.read() == b"end"


async def test_what_comes_out_of_a_container_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "engine"
    engine.write_text("#!/bin/sh\ncase $1 in 1000) head -c $1 /dev/zero; cat;; *) exec cat /dev/zero;; esac\n")
    engine.chmod(0o755)
    monkeypatch.setattr(container, "MOST_PACKED", 1 << 20)
    assert await container._engine(str(engine), ("1000",), b"end") == (0, b"\0" * 1000 + b"end")
    with pytest.raises(TooLarge, match="what is in the container"):
        await container._engine(str(engine), ("100M",))
