"""The sandbox as what it is for: a shell that remembers, patches that apply, ways back."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbi.errors import EnvironmentFailure, UserError
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.bubblewrap import start
from lbi.sandbox.ignore import ignored
from lbi.sandbox.patch import Change, Side, Wanted, patch
from lbi.sandbox.protocol import Sandbox, SandboxLimits
from lbi.sandbox.supervisor import layers
from small_repository import needs_bubblewrap, repository


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return repository(tmp_path / "project")


WAYS = ["overlay", "copy", "unsafe"]


@pytest.fixture(params=WAYS)
async def sandbox(source: Path, request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """By an overlay, by a copy where the kernel has no overlay for this user, and without any protection."""
    if request.param == "unsafe":
        async with open_sandbox(source, unsafe=True) as opened:
            yield opened
        return
    bubblewrap = shutil.which("bwrap") or pytest.skip("bubblewrap is not installed; `apt-get install bubblewrap`")
    opened = await start(source, SandboxLimits(), (), {}, bubblewrap, overlay=request.param == "overlay")
    assert opened.overlay or request.param == "copy"
    yield opened
    await opened.close()


def image(engine: str) -> str:
    """Of an image with bash, find and tar that the engine has here; nothing is fetched for a test."""
    name = os.environ.get("LBI_TEST_IMAGE", "localhost/lbi-test")
    command = [engine, "image", "inspect", name]
    if shutil.which(engine) is None or subprocess.run(command, capture_output=True, timeout=60).returncode:
        pytest.skip(f"no {engine} runs here that has the image {name} (LBI_TEST_IMAGE; performance/small_image.py)")
    return name


async def test_the_shell_remembers_its_folder_and_its_variables(sandbox: Sandbox) -> None:
    assert (await sandbox.run("pwd")).output == f"{sandbox.workdir}\n"
    await sandbox.run("cd src && export COLOUR='two words' && plain=1")
    done = await sandbox.run('pwd; echo "$COLOUR"; echo "$plain"; false')
    assert (done.exit_code, done.output) == (1, f"{sandbox.workdir}/src\ntwo words\n1\n")


async def test_output_and_errors_come_in_their_order_and_long_ones_lose_their_middle(source: Path) -> None:
    async with open_sandbox(source, limits=SandboxLimits(output_bytes=1000), unsafe=True) as sandbox:
        done = await sandbox.run("echo one; echo two >&2; echo three")
        assert (done.output, done.cut_bytes) == ("one\ntwo\nthree\n", 0)
        done = await sandbox.run("echo begin; seq 10000; echo end")
    assert done.output.startswith("begin\n1\n2\n")
    assert done.output.endswith("9999\n10000\nend\n")
    assert len(done.output) == 1000
    assert done.cut_bytes == len("begin\nend\n") + sum(len(f"{n}\n") for n in range(1, 10001)) - 1000


async def test_what_reads_gets_nothing_and_what_is_no_shell_is_an_error_of_the_shell(sandbox: Sandbox) -> None:
    assert (await sandbox.run("cat; read x; echo done")).output == "done\n"
    done = await sandbox.run("echo 'unfinished")
    assert done.exit_code not in (0, None)
    assert "unexpected EOF" in done.output
    assert (await sandbox.run("echo fine")).output == "fine\n"


async def test_a_long_command_arrives_whole(sandbox: Sandbox) -> None:
    text = "x" * 300_000
    assert (await sandbox.run(f"t={text}; echo ${{#t}}")).output == "300000\n"


async def test_files_go_in_and_out_as_they_are(sandbox: Sandbox) -> None:
    content = bytes(range(256)) * 100
    await sandbox.upload("new folder/ä.bin", content)
    assert await sandbox.download("new folder/ä.bin") == content
    assert await sandbox.download(f"{sandbox.workdir}/new folder/ä.bin") == content
    for path, error in (("absent", FileNotFoundError), ("src", IsADirectoryError), ("run.sh/x", NotADirectoryError)):
        with pytest.raises(error):
            await sandbox.download(path)


async def test_the_patch_says_everything_that_changed_and_git_applies_it(
    sandbox: Sandbox, source: Path, tmp_path: Path
) -> None:
    assert await sandbox.diff() == ""
    await sandbox.run(
        """
        printf 'no end' >> README.md; printf 'a\\0b' > data.bin; : > src/none.py; rm src/empty.py kept.log
        chmod +x src/greeter.py; chmod -x run.sh; ln -s README.md link; mkdir -p deep/er; echo x > 'deep/er/a b.txt'
        mkdir -p build src/__pycache__; echo o > build/out; echo c > src/__pycache__/c.pyc; echo log > new.log
        rm test_greeter.py; mkdir test_greeter.py; echo y > test_greeter.py/inside; touch -d 2001-01-01 .gitignore
        """
    )
    diff = await sandbox.diff()
    twin = tmp_path / "twin"
    await asyncio.to_thread(_applied, diff, source, twin)
    assert (twin / "data.bin").read_bytes() == b"a\0b"
    assert (twin / "README.md").read_text().endswith("no end")
    assert (twin / "link").is_symlink()
    assert (twin / "src" / "greeter.py").stat().st_mode & 0o100
    assert not (twin / "run.sh").stat().st_mode & 0o100
    assert not (twin / "src" / "empty.py").exists()
    assert not (twin / "kept.log").exists()  # ignored, but known to git
    assert (twin / "test_greeter.py" / "inside").read_text() == "y\n"
    assert (twin / "deep" / "er" / "a b.txt").read_text() == "x\n"
    assert not [name for name in ("build/out", "c.pyc", "new.log", ".gitignore") if name in diff]


def _applied(diff: str, source: Path, twin: Path) -> None:
    subprocess.run(["git", "clone", "-q", source, twin], check=True)
    subprocess.run(["git", "apply", "-"], cwd=twin, input=diff.encode(), check=True)


async def test_the_digest_is_that_of_the_files_however_they_came_about(sandbox: Sandbox) -> None:
    pristine = await sandbox.digest()
    await sandbox.run("echo new > new.txt")
    changed = await sandbox.digest()
    assert changed != pristine
    await sandbox.run("rm new.txt; mkdir -p build; echo ignored > build/x; touch README.md")
    assert await sandbox.digest() == pristine
    await sandbox.upload("new.txt", b"new\n")
    assert await sandbox.digest() == changed


async def test_snapshots_and_resets_lead_back(sandbox: Sandbox) -> None:
    pristine = await sandbox.digest()
    await sandbox.run("cd src; export MARK=1; rm -r ../README.md ../.gitignore; echo one > one; (sleep 100 &)")
    there, diff = await sandbox.snapshot(), await sandbox.diff()
    await sandbox.run("echo two > one; rm -rf ../src; cd ..; unset MARK")
    await sandbox.restore(there)
    assert await sandbox.diff() == diff
    done = await sandbox.run("echo ${PWD##*/} $MARK; cat one; jobs")
    assert done.output == "src 1\none\n"
    await sandbox.reset()
    assert await sandbox.digest() == pristine
    assert (await sandbox.run("echo $PWD $MARK; cat README.md")).output.startswith(f"{sandbox.workdir}\n# Greeter")
    await sandbox.restore(there)  # it outlives a reset
    assert await sandbox.diff() == diff
    with pytest.raises(OSError, match="no snapshot"):
        await sandbox.restore("99")
    await sandbox.drop(there)
    await sandbox.drop("99")  # harmless
    with pytest.raises(OSError, match="no snapshot"):
        await sandbox.restore(there)


async def test_a_folder_that_is_removed_and_made_anew_holds_only_what_is_new(sandbox: Sandbox) -> None:
    await sandbox.run("rm -r src; mkdir src; echo fresh > src/fresh.py")
    diff = await sandbox.diff()
    assert diff.count("deleted file") == 2
    assert (await sandbox.run("ls src")).output == "fresh.py\n"
    there = await sandbox.snapshot()
    await sandbox.reset()
    await sandbox.restore(there)
    assert (await sandbox.run("ls src")).output == "fresh.py\n"
    assert await sandbox.diff() == diff


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["podman", "docker"])
async def test_a_container_is_a_sandbox_of_the_same_kind(source: Path, engine: str) -> None:
    async with open_sandbox(source, backend=f"{engine}:{await asyncio.to_thread(image, engine)}") as sandbox:
        pristine = await sandbox.digest()
        done = await sandbox.run("cd src; export MARK=1; echo new > new.py; rm empty.py; pwd; exit 4")
        assert (done.exit_code, done.output, done.ended) == (4, "/repo/src\n", "exited")
        assert (await sandbox.run("sleep 60", wall_seconds=2)).ended == "time"
        await sandbox.upload("src/up.bin", b"\0up")
        assert await sandbox.download("/repo/src/up.bin") == b"\0up"
        with pytest.raises(FileNotFoundError):
            await sandbox.download("absent")
        diff, there = await sandbox.diff(), await sandbox.snapshot()
        assert [name for name in ("src/new.py", "src/up.bin", "src/empty.py") if f"b/{name}" not in diff] == []
        assert "README" not in diff
        await sandbox.reset()
        assert await sandbox.digest() == pristine
        await sandbox.restore(there)
        assert await sandbox.diff() == diff


@needs_bubblewrap
async def test_the_repository_is_also_where_it_was_installed_from(source: Path) -> None:
    async with open_sandbox(source) as sandbox:
        assert sandbox.workdir == "/repo"
        await sandbox.run(f"echo changed > {source}/README.md")
        assert (await sandbox.run("cat /repo/README.md")).output == "changed\n"


@needs_bubblewrap
async def test_a_repository_needs_no_git(tmp_path: Path) -> None:
    source = repository(tmp_path / "plain", git=False)
    async with open_sandbox(source, env={"PATH": "/bin"}) as sandbox:
        await sandbox.run("echo x >> run.sh; echo y > new.log")
        diff = await sandbox.diff()
    assert "+x" in diff
    assert "new.log" not in diff


@needs_bubblewrap
async def test_a_call_that_is_given_up_ends_the_sandbox_and_says_so(source: Path) -> None:
    async with open_sandbox(source) as sandbox:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await sandbox.run("sleep 60")
        with pytest.raises(EnvironmentFailure):
            await sandbox.run("echo more")


STARTS = """
import os, socket
from lbi.sandbox.supervisor.shell import Bounds, Shell

ours, theirs = socket.socketpair()
bounds = Bounds(memory=1 << 31, processes=1 << 12, cpu=60, output=1 << 16, disk=1 << 30)
for _ in range(30):
    shell = Shell([], {"PATH": os.environ["PATH"]}, bounds, None, theirs.fileno(), "/")
    shell.start()
    print(shell.run("echo $((6 * 7))", 30).output.decode(), end="", flush=True)
    shell.stop()
    os.open(os.devnull, os.O_RDONLY)
"""


def test_a_shell_starts_whatever_numbers_its_pipes_have() -> None:
    """They depend on what the supervisor has inherited, and so on how many files are open where it was started."""
    ran = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True, timeout=120)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("42\n" * 30, "", 0)


async def test_a_sandbox_that_is_killed_as_it_starts_may_be_tried_again(source: Path, tmp_path: Path) -> None:
    bubblewrap = tmp_path / "bwrap"
    bubblewrap.write_text("#!/bin/sh\nkill -KILL $$\n")
    bubblewrap.chmod(0o755)
    with pytest.raises(EnvironmentFailure, match="the shell did not start: killed") as failed:
        await start(source, SandboxLimits(), (), {}, str(bubblewrap))
    assert failed.value.kind == "sandbox"


async def test_a_sandbox_that_cannot_be_made_here_is_a_users_matter(source: Path, tmp_path: Path) -> None:
    bubblewrap = tmp_path / "bwrap"
    bubblewrap.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    bubblewrap.chmod(0o755)
    with pytest.raises(UserError, match=r"no sandbox over .*this user may not make namespaces here"):
        await start(source, SandboxLimits(), (), {}, str(bubblewrap))


async def test_without_bubblewrap_nothing_runs_unless_it_is_said_to(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(source))
    with pytest.raises(UserError, match=r"apt-get install bubblewrap.*--unsafe"):
        async with open_sandbox(source):
            pass


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backend": "chroot"}, "no sandbox backend 'chroot'"),
        ({"source": Path("/nowhere")}, "no folder /nowhere"),
        ({"source": Path("/")}, "the whole file system is no repository"),
        ({"binds": [Path("venv")]}, "absolute path"),
    ],
)
async def test_bad_input_is_one_clear_line(source: Path, change: dict[str, object], said: str) -> None:
    wanted = {"source": source, **change}
    with pytest.raises(UserError, match=said):
        async with open_sandbox(wanted.pop("source"), **wanted):  # type: ignore[arg-type]
            pass


def test_a_failure_of_the_supervisors_child_is_told_and_never_taken_for_an_answer() -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        layers.in_child(lambda: 1 / 0)
    with pytest.raises(FileNotFoundError):
        layers.in_child(lambda: open("/nowhere/at/all"))  # noqa: SIM115 - it is never opened
    assert layers.in_child(lambda: [(1, "x")]) == [(1, "x")]


LINES = st.lists(st.sampled_from(["a", "b", "", " c", "ü", "\r", "-x", "+y"]), max_size=12)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))


@settings(max_examples=60, deadline=None, database=None)  # another user cannot write here
@given(old=TEXTS, new=TEXTS)
@example(old="a\na\nb\na\na\n", new="a\nb\na\nb\na\na\n")  # the last change is told before lines that are alike
def test_any_two_texts_make_a_patch_that_git_applies(
    tmp_path_factory: pytest.TempPathFactory, old: str, new: str
) -> None:
    folder = tmp_path_factory.mktemp("patch")
    (folder / "f").write_bytes(old.encode())
    sides = [Side(0o100644, len(text.encode()), text) for text in (old, new)]

    async def contents(wanted: Sequence[Wanted]) -> list[bytes]:
        return [(old if pristine else new).encode() for _, pristine, _ in wanted]

    text = asyncio.run(patch([Change("f", *sides)], contents)) if old != new else ""
    if text:
        subprocess.run(["git", "apply", "-"], cwd=folder, input=text.encode(), check=True)
    assert (folder / "f").read_bytes() == new.encode()


def test_a_file_of_very_many_lines_is_patched_in_no_time(tmp_path: Path) -> None:
    old = "".join(f"{n % 7}\n" for n in range(200_000)).encode()
    new = b"first\n" + old.replace(b"3\n", b"x\n")
    (tmp_path / "f").write_bytes(old)

    async def contents(wanted: Sequence[Wanted]) -> list[bytes]:
        return [old if pristine else new for _, pristine, _ in wanted]

    change = Change("f", Side(0o100644, len(old), "a"), Side(0o100644, len(new), "b"))
    text = asyncio.run(asyncio.wait_for(patch([change], contents), 20))
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=text.encode(), check=True)
    assert (tmp_path / "f").read_bytes() == new


@pytest.mark.parametrize("nothing", ["!", "\\", "!!", "/"])
def test_a_line_of_a_gitignore_that_says_nothing_is_passed_over(nothing: str, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text(f"{nothing}\nbuild/\n")
    assert [ignored(tmp_path, path) for path in ("build/out", "a")] == [True, False]


def test_the_deepest_gitignore_decides(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".gitignore").write_text("*.txt\nout/\n")
    (tmp_path / "sub" / ".gitignore").write_text("!keep.txt\nlocal\n")
    said = {
        path: ignored(tmp_path, path)
        for path in ("a.txt", "sub/a.txt", "sub/keep.txt", "sub/local", "local", "out/x.py", "a.py", "x/y.pyc")
    }
    assert said == {
        "a.txt": True,
        "sub/a.txt": True,
        "sub/keep.txt": False,
        "sub/local": True,
        "local": False,
        "out/x.py": True,
        "a.py": False,
        "x/y.pyc": True,
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
@needs_bubblewrap
def test_all_of_it_also_as_a_user_without_privileges(capsys: pytest.CaptureFixture[str]) -> None:
    """The attacks and these tests once more, where root runs them; for anybody else, they are that already."""
    if os.geteuid() != 0:
        pytest.skip("this is no root, so the other tests have shown it")
    here = Path(__file__).parent
    plain = ["-p", "no:cacheprovider", "-o", "addopts=-rs", "-x"]
    command = [sys.executable, str(here / "as_user.py"), "-m", "pytest", *plain]
    parts = [["test_sandbox_attacks.py"], ["test_sandbox.py", "test_check_sandbox.py"]]  # much of both is waiting
    running = [
        subprocess.Popen([*command, *(str(here / name) for name in names)], stdout=subprocess.PIPE, text=True)
        for names in parts
    ]
    outputs = [process.communicate(timeout=600)[0] for process in running]
    for process, output in zip(running, outputs, strict=True):
        assert process.returncode == 0, output[-6000:]
        with capsys.disabled():
            print(f"\nas a user without privileges: {output.splitlines()[-1].strip('= ')}")
    attacks = re.search(r"test_sandbox_attacks\.py ([.s]+)", outputs[0])
    assert attacks is not None
    assert "s" not in attacks[1], "no attack is left out"
    assert len(attacks[1]) > 20
