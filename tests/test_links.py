"""Nothing is scored, edited or unpacked through a link: the canary outside stays as it is, and the grade says so.

Every input is harmless: what would be written or removed where it should not be is a file of the test's own.
"""

from __future__ import annotations

import asyncio
import errno
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lbi.benchmarks.swebench.build import Built, build_mutated, patched
from lbi.benchmarks.swebench.catalog import open_catalog
from lbi.benchmarks.swebench.grade import grade
from lbi.benchmarks.swebench.instance import Instance, Mutated
from lbi.benchmarks.swebench.mutations.run import candidates, content_of, fingerprint
from lbi.benchmarks.swebench.patches import PatchError, apply, changed, difference, paths_in
from lbi.benchmarks.swebench.sdists import _unpack
from lbi.environments.shell import documents_of
from lbi.environments.shell.environment import ShellEnvironments, ShellSettings
from lbi.errors import EnvironmentFailure, UserError
from lbi.records import Task
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.beneath import Beneath
from repository_with_tests import PASSING, TESTS, contents, ground_of, write_repository
from small_repository import needs_bubblewrap, repository

TEST_FILE = "tests/test_till.py"


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder with a canary under the name of a test, which must be there, alone and unchanged, in the end."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "test_till.py").write_text("canary")
    yield folder
    assert contents(folder) == {"test_till.py": b"canary"}
    assert not (tmp_path / "new").exists()


@pytest.fixture
def built(tmp_path: Path) -> Built:
    tree = write_repository(tmp_path / "context")
    python = Path("/usr/bin/python3")
    instance = Instance(
        instance_id="till", repo=str(tree), base_commit="", problem_statement="", fail_to_pass=PASSING[:1]
    )
    return Built(instance, tree, python, (), {TEST_FILE: TESTS.encode(), "tests/gone.py": None}, ())


def deletion(path: str, content: str) -> str:
    lines = content.splitlines(keepends=True)
    body = "".join(f"-{line}" for line in lines)
    head = f"diff --git a/{path} b/{path}\ndeleted file mode 100644\n--- a/{path}\n+++ /dev/null\n"
    return f"{head}@@ -1,{len(lines)} +0,0 @@\n{body}"


def link(path: str, target: str | Path) -> str:
    return (
        f"diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{target}\n"
        "\\ No newline at end of file\n"
    )


def addition(path: str) -> str:
    return f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"


PREDICTIONS: dict[str, tuple[Callable[[Path], str], str]] = {
    "a link to a folder": (
        lambda out: deletion(TEST_FILE, TESTS) + link("tests", out),
        "passes through a link (tests)",
    ),
    "a relative link": (lambda out: deletion(TEST_FILE, TESTS) + link("tests", "../outside"), "passes through a link"),
    "a dangling link": (lambda out: deletion(TEST_FILE, TESTS) + link("tests", out.parent / "new"), "through a link"),
    "a file where a folder is expected": (
        lambda out: deletion(TEST_FILE, TESTS) + addition("tests"),
        "tests is not a folder",
    ),
    "a file through a link of the same patch": (
        lambda out: link("l", out) + addition("l/planted"),
        "l/planted passes through a link",
    ),
    "a link in the middle": (
        lambda out: link("src/l", out) + addition("src/l/deep/planted"),
        "src/l/deep/planted passes through a link",
    ),
    "upwards": (lambda out: addition("../outside/planted"), "does not apply"),
    "upwards in the middle": (lambda out: addition("src/../../outside/planted"), "does not apply"),
    "an absolute path": (lambda out: addition(f"{out}/planted"), "does not apply"),
    "hundreds of folders": (lambda out: addition("d/" * 400 + "x"), "below more than 256 folders"),
    "git's own folder": (lambda out: addition(".git/config"), "does not apply"),
}


@pytest.mark.parametrize("name", PREDICTIONS)
async def test_a_prediction_cannot_lead_the_tests_elsewhere_and_is_told_why(
    built: Built, outside: Path, name: str
) -> None:
    make, said = PREDICTIONS[name]
    graded = await grade(built, make(outside))
    assert (graded.applied, graded.resolved) == (False, False)
    assert said in graded.reason
    assert "\n" not in graded.reason


@pytest.mark.parametrize("path", ["out/planted", "out/test_till.py"])
def test_a_patch_does_not_go_through_a_link_that_was_there_before(built: Built, outside: Path, path: str) -> None:
    (built.tree / "out").symlink_to(outside)
    before = contents(built.tree)
    wanted = deletion(path, "canary\n").replace("-canary\n", "-canary\n\\ No newline at end of file\n")
    for patch in (addition(path), wanted):
        with pytest.raises(PatchError, match=r"passes through a link \(out\)"):
            apply(patch, built.tree)
    assert contents(built.tree) == before


def test_a_test_that_became_a_link_or_a_folder_is_replaced(built: Built, outside: Path) -> None:
    scratch = patched(built, deletion(TEST_FILE, TESTS) + link(TEST_FILE, outside / "test_till.py"))
    written = Path(scratch.name, "repository", TEST_FILE)
    assert not written.is_symlink()
    assert written.read_text() == TESTS
    scratch.cleanup()
    scratch = patched(built, deletion(TEST_FILE, TESTS) + addition(f"{TEST_FILE}/x"))
    assert Path(scratch.name, "repository", TEST_FILE).read_text() == TESTS
    scratch.cleanup()


@pytest.mark.parametrize("name", ["../outside/test_till.py", "/etc/hostname", "out/test_till.py"])
def test_a_task_file_cannot_name_tests_elsewhere(built: Built, outside: Path, tmp_path: Path, name: str) -> None:
    (built.tree / "out").symlink_to(outside)
    mutation = Mutated(patch="", operator="", function="", line=1, python=str(ground_of(built.tree).python))
    hostile = built.instance.model_copy(update={"fail_to_pass": (f"{name}::test",), "mutation": mutation})
    with pytest.raises(UserError, match=r"leads out of the folder|passes through a link") as error:
        build_mutated(hostile, tmp_path / "built")
    assert "\n" not in str(error.value)


def test_a_task_file_cannot_name_the_folder_that_an_instance_is_built_in(built: Built, tmp_path: Path) -> None:
    row = json.loads(built.instance.model_dump_json()) | {"instance_id": "../../../planted"}
    python = str(ground_of(built.tree).python)
    row["mutation"] = {"patch": "", "operator": "", "function": "", "line": 1, "python": python, "tests": []}
    (tmp_path / "tasks.jsonl").write_text(json.dumps(row))
    with pytest.raises(UserError, match="a name must not hold '/'"):
        open_catalog(str(tmp_path / "tasks.jsonl"))


# what patches say


def test_modes_links_binaries_and_names_of_every_alphabet_are_part_of_a_patch(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "run").write_text("#!/bin/sh\n")
        (folder / "caf\u00e9.py").write_text("old\n")
        (folder / "l").symlink_to("run" if folder == old else "caf\u00e9.py")
    (new / "run").chmod(0o755)
    (new / "caf\u00e9.py").write_text("new\n")
    (new / "binary").write_bytes(b"\0\xff")
    (new / "empty file").write_text("")
    paths = changed(old, new)
    assert paths == ["binary", "caf\u00e9.py", "empty file", "l", "run"]
    patch = difference(old, new, paths)
    assert paths_in(patch) == paths
    apply(patch, old)
    assert changed(old, new) == []
    assert paths_in("--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1 @@\n--- a/y\n-- b\n+-- a\n") == ["x.sql"]


def test_a_full_disk_is_no_fault_of_a_patch(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Beneath, "write", full)
    with pytest.raises(EnvironmentFailure, match="No space left"):
        patched(built, addition("new"))


def test_a_patch_that_is_no_text_does_not_apply(built: Built) -> None:
    with pytest.raises(PatchError, match="is no text"):
        apply("\ud800", built.tree)


# a repository that is mutated


def test_sources_behind_links_are_neither_read_nor_mutated(built: Built, outside: Path, tmp_path: Path) -> None:
    (outside.parent / "secret.py").write_text("def secret():\n    return 41 + 1\n")
    (built.tree / "src" / "linked.py").symlink_to(outside.parent / "secret.py")
    (built.tree / "src" / "folder").symlink_to(outside.parent)
    assert {change.path for change in candidates(built.tree, [], seed=0)} == {"src/till.py"}
    before = fingerprint(ground_of(built.tree))
    (outside.parent / "secret.py").write_text("changed")
    assert fingerprint(ground_of(built.tree)) == before
    for path in ("src/linked.py", "src/folder/secret.py"):
        with pytest.raises(UserError, match="passes through a link"):
            candidates(built.tree, [path], seed=0)
        with pytest.raises(UserError, match="passes through a link"):
            content_of(built.tree, path)


def test_a_read_me_that_is_a_link_out_is_no_document(project: Path, outside: Path) -> None:
    (project / "INSTALL.md").symlink_to(outside / "test_till.py")
    (project / "docs").symlink_to(outside)
    (project / "HACKING.md").symlink_to("README.md")
    assert [Path(source.path).name for source in documents_of(project)] == ["HACKING.md", "README.md"]


# archives


def archive(*members: tuple[str, bytes, bytes | str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if isinstance(content, bytes):
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            else:
                member.linkname = content
                tar.addfile(member)
    return packed.getvalue()


FILE, LINK, HARD, PIPE = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE
ARCHIVES = {
    "a link out": [("p/l", LINK, "../../outside"), ("p/l/planted", FILE, b"x")],
    "an absolute link": [("p/l", LINK, "/etc"), ("p/l/planted", FILE, b"x")],
    "through a link inside": [("p/d/x", FILE, b""), ("p/l", LINK, "d"), ("p/l/planted", FILE, b"x")],
    "a link above a link": [("p/a", LINK, "b/.."), ("p/b", LINK, ".."), ("p/a/../outside/planted", FILE, b"x")],
    "a hard link out": [("p/h", HARD, "../outside/test_till.py"), ("p/h", FILE, b"x")],
    "a hard link through a link": [("p/l", LINK, "."), ("p/h", HARD, "p/l/x")],
    "upwards": [("../outside/planted", FILE, b"x")],
    "absolute": [("/tmp/lbi-planted-by-a-test", FILE, b"x")],
    "a file where a folder is expected": [("p", FILE, b""), ("p/x", FILE, b"")],
    "a pipe": [("p/pipe", PIPE, b"")],
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_unpacks_into_its_folder_or_not_at_all(name: str, outside: Path, tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    with pytest.raises(UserError, match="cannot unpack the source archive of p 1") as error:
        _unpack(archive(*ARCHIVES[name]), tmp_path / "into", "p 1")
    assert "\n" not in str(error.value)
    assert not Path("/tmp/lbi-planted-by-a-test").exists()


def test_an_archive_with_links_within_it_is_unpacked(tmp_path: Path) -> None:
    members = [("p", tarfile.DIRTYPE, b""), ("p/x", FILE, b"1"), ("p/d/l", LINK, "../x"), ("p/h", HARD, "p/x")]
    _unpack(archive(*members), tmp_path, "p 1")
    assert (tmp_path / "p" / "d" / "l").read_bytes() == (tmp_path / "p" / "h").read_bytes() == b"1"
    assert (tmp_path / "p" / "h").stat().st_nlink == 1


# an agent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return repository(tmp_path / "project")


PLANTED = {
    "a link to a folder": ("rm -rf src; ln -s {out} src", "src/test_till.py"),
    "a link in the middle": ("ln -s {out} src/l", "src/l/deep/new"),
    "a link to a file": ("ln -s {out}/test_till.py f", "f"),
    "a dangling link": ("ln -s {out}/new f", "f"),
    "a link that stays inside": ("ln -s src l", "l/greeter.py"),
}


@pytest.mark.parametrize("unsafe", [pytest.param(False, marks=needs_bubblewrap), True])
@pytest.mark.parametrize("name", PLANTED)
async def test_no_action_goes_through_a_link(project: Path, outside: Path, name: str, unsafe: bool) -> None:
    command, path = PLANTED[name]
    environments = ShellEnvironments(ShellSettings(project, unsafe=unsafe))
    shell = await environments.open()
    try:
        await shell.reset(Task(instruction="x", environment="y"))
        await shell.step(f"run({command.format(out=outside)!r})".replace("'", '"'))
        for action in (f'view("{path}")', f'create("{path}", "x")', f'replace("{path}", "canary", "x")'):
            outcome = await shell.step(action)
            assert f"{path}: passes through a link (" in outcome.observation.error
    finally:
        await environments.close()


@pytest.mark.parametrize("path", ["/etc/lbi-test", "../" * 20 + "etc/lbi-test", "src/" + "../" * 20 + "home/x"])
async def test_no_action_leaves_what_the_shell_can_write_to(project: Path, outside: Path, path: str) -> None:
    async with open_sandbox(project, unsafe=True) as sandbox:
        with pytest.raises(PermissionError, match="is outside of /"):
            await sandbox.download(path)
        with pytest.raises(PermissionError, match="is outside of /"):
            await sandbox.upload(path, b"x")


async def test_a_hard_link_to_a_file_outside_is_replaced_and_not_written_into(project: Path, outside: Path) -> None:
    async with open_sandbox(project, unsafe=True) as sandbox:
        await sandbox.run(f"ln {outside}/test_till.py hard")
        await sandbox.upload("hard", b"mine")
        assert await sandbox.download("hard") == b"mine"
        snapshot = await sandbox.snapshot()
        await sandbox.run(f"rm hard; ln {outside}/test_till.py hard")
        await sandbox.restore(snapshot)


@needs_bubblewrap
async def test_a_file_is_written_under_the_name_that_the_repository_has_outside(project: Path) -> None:
    async with open_sandbox(project) as sandbox:
        await sandbox.upload(f"{project}/new", b"x")
        assert (await sandbox.run("cat /repo/new")).output == "x"
    assert not (project / "new").exists()


async def test_what_an_agent_turned_into_a_link_is_told_by_its_grade(built: Built, outside: Path) -> None:
    """The whole way: commands, the patch that they leave, its grade."""
    async with open_sandbox(built.tree, unsafe=True) as sandbox:
        await sandbox.run(f"rm -r tests; ln -s {outside} tests")
        patch = await sandbox.diff()
    assert "new file mode 120000" in patch
    graded = await grade(built, patch)
    assert graded.reason == f"does not apply: the test {TEST_FILE} passes through a link (tests)"


async def test_a_swap_of_a_folder_while_it_is_read_shows_nothing_of_outside(project: Path, outside: Path) -> None:
    """Files of an unconfined copy are compared while a command goes on swapping a folder for a link."""
    swap = f"(while :; do mv src s; ln -s {outside} src; rm src; mv s src; done) >/dev/null 2>&1 &"
    async with open_sandbox(project, unsafe=True) as sandbox, asyncio.timeout(60):
        await sandbox.run(swap)
        for _ in range(20):
            assert "canary" not in await sandbox.diff()
