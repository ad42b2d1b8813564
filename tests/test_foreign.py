"""What a repository, a task file or a package brings does not run on this machine: a canary that it would write is not.

Every program here only writes one file, of the test's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbi.benchmarks.swebench.instance import Instance, Mutated
from lbi.benchmarks.swebench.interpreters import interpreter
from lbi.benchmarks.swebench.predictions import Prediction, write_predictions
from lbi.benchmarks.swebench.recipes import parse_recipes
from lbi.documents.git_dates import file_dates
from lbi.errors import UserError
from lbi.sandbox.git import git_of
from lbi.sandbox.host import plain, program, run_on_host
from lbi.sandbox.ignore import not_ignored
from lbi.sandbox.interpreter import prefixes
from lbi.sandbox.patch import Change, Side
from repository_with_tests import PASSING, write_repository
from running import lbi_here
from small_repository import needs_bubblewrap

WHO = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "protocol.file.allow=always")


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that nothing may write."""
    file = tmp_path / "canary"
    yield file
    assert not file.exists(), file.read_text()


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *WHO, *arguments], cwd=folder, check=True, capture_output=True)


def program_that_writes(file: Path, canary: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'#!/bin/sh\necho "$0 $*" >> {canary}\ncat\nexit 0\n')
    file.chmod(0o755)
    return file


@pytest.fixture
def hostile(tmp_path: Path, canary: Path) -> Path:
    """A repository whose every setting that names a program names one that writes the canary."""
    (tmp_path / "part").mkdir()
    git(tmp_path / "part", "init", "-q")
    (tmp_path / "part" / "inner.md").write_text("# Inner\n")
    git(tmp_path / "part", "add", ".")
    git(tmp_path / "part", "commit", "-qm", "part")
    folder = write_repository(tmp_path / "hostile")
    (folder / ".gitattributes").write_text("*.md filter=evil diff=evil\n*.py filter=evil diff=evil merge=evil\n")
    (folder / ".gitignore").write_text("*.log\n")
    (folder / "kept.log").write_text("tracked although ignored\n")
    git(folder, "init", "-q")
    git(folder, "submodule", "--quiet", "add", str(tmp_path / "part"), "part")
    git(folder, "add", "-f", ".")
    git(folder, "commit", "-qm", "start")
    (folder / "README.md").write_text((folder / "README.md").read_text() + "Changed since.\n")
    os.utime(folder / "src" / "till.py")  # git has to look at it again
    evil = str(program_that_writes(tmp_path / "evil", canary))
    for name in ("post-index-change", "post-checkout", "pre-commit", "reference-transaction"):
        program_that_writes(folder / ".git" / "hooks" / name, canary)
    for place in (folder, folder / "part"):
        for name in (
            *(
                "core.fsmonitor",
                "core.pager",
                "core.editor",
                "core.sshCommand",
                "core.askPass",
                "core.alternateRefsCommand",
            ),
            *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.external", "diff.evil.command"),
            *("diff.evil.textconv", "gpg.program", "gpg.ssh.program", "uploadpack.packObjectsHook", "pager.log"),
            *("pager.status", "remote.origin.uploadpack", "interactive.diffFilter"),
        ):
            git(place, "config", name, evil)
        for name, value in (
            *(("filter.evil.required", "true"), ("log.showSignature", "true"), ("protocol.ext.allow", "always")),
            *(
                ("remote.origin.url", f"ext::{evil}"),
                ("remote.origin.promisor", "true"),
                ("status.submoduleSummary", "1"),
            ),
            *(("extensions.partialClone", "origin"), ("core.repositoryformatversion", "1")),
        ):
            subprocess.run(["git", "config", "--file", "config", name, value], cwd=git_folder(place), check=True)
    canary.unlink(missing_ok=True)  # setting it up may have run some of it
    return folder


def git_folder(place: Path) -> Path:
    file = place / ".git"
    return file if file.is_dir() else place / file.read_text().strip().removeprefix("gitdir: ")


def test_the_fixture_would_be_obeyed_by_a_plain_git(hostile: Path, canary: Path) -> None:
    subprocess.run(["git", "status"], cwd=hostile, capture_output=True)
    assert canary.exists()
    canary.unlink()


def test_dates_and_tracked_files_are_read_and_nothing_of_the_repository_runs(hostile: Path, canary: Path) -> None:
    index = (hostile / ".git" / "index").read_bytes()
    before = {path: path.stat().st_mtime_ns for path in (hostile / ".git").rglob("*")}
    dates = file_dates(hostile)
    assert {"src/till.py", "tests/test_till.py", "kept.log"} <= dates.keys()
    assert "README.md" not in dates, "it was changed since its commit"
    side = Side(0o100644, 1, "x")
    changes = [Change(name, side, None) for name in ("kept.log", "other.log")]
    assert [change.path for change in not_ignored(hostile, changes)] == ["kept.log"]
    assert (hostile / ".git" / "index").read_bytes() == index
    assert {path: path.stat().st_mtime_ns for path in (hostile / ".git").rglob("*")} == before


def test_a_commit_of_a_partial_clone_is_not_fetched(hostile: Path, canary: Path) -> None:
    for pack in (hostile / ".git" / "objects").glob("[0-9a-f][0-9a-f]/*"):
        pack.unlink()
    assert file_dates(hostile) == {}


@pytest.mark.parametrize("form", ["packed", "shallow", "work tree", "sha256"])
def test_every_form_of_a_repository_is_read(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    git(folder, "init", "-q", *(["--object-format=sha256"] if form == "sha256" else []))
    (folder / "a.md").write_text("a\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "a")
    (folder / "b.md").write_text("b\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "b")
    if form == "packed":
        git(folder, "gc", "-q")
        git(folder, "pack-refs", "--all")
    if form == "shallow":
        git(tmp_path, "clone", "-q", "--depth", "1", f"file://{folder}", "shallow")
        folder = tmp_path / "shallow"
    if form == "work tree":
        git(folder, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
        folder = tmp_path / "tree"
    assert file_dates(folder).keys() == {"a.md", "b.md"}
    with git_of(folder) as opened:
        assert opened is not None
        assert opened.run("ls-files").output == b"a.md\nb.md\n"


@pytest.mark.parametrize("head", ["ref: refs/heads/../../../secret", "ref: refs/heads/none", "--output=canary", ""])
def test_a_head_that_is_no_commit_is_none(head: str, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / ".git" / "HEAD").write_text(head)
    with git_of(tmp_path) as opened:
        assert opened is None
    assert file_dates(tmp_path) == {}


@needs_bubblewrap
def test_a_dry_run_over_a_repository_runs_nothing_of_it(hostile: Path, canary: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(
        f'environment = "shell"\n[shell]\nrepository = "{hostile}"\n[[documents]]\npath = "{hostile}"\ncode = true\n'
    )
    done = lbi_here("run", tmp_path / "run.toml", "--dry-run", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr


# interpreters


def hostile_python(repository: Path, canary: Path) -> Path:
    """A virtual environment whose python writes the canary before it is one."""
    python = program_that_writes(repository / ".venv" / "bin" / "python", canary)
    python.write_text(f'#!/bin/sh\necho ran >> {canary}\nexec {sys.executable} "$@"\n')
    home = Path(sys.base_prefix) / "bin"
    (repository / ".venv" / "pyvenv.cfg").write_text(f"home = {home}\n")
    return python


@needs_bubblewrap
def test_mutating_does_not_run_the_repositorys_interpreter_here(hostile: Path, canary: Path, tmp_path: Path) -> None:
    hostile_python(hostile, canary)
    done = lbi_here("tasks", "mutate", hostile, "--out", tmp_path / "t.jsonl", "-n", "1", "-q")
    assert "no test of" in done.stderr or done.returncode in (0, 1)


@needs_bubblewrap
def test_grading_does_not_run_the_interpreter_of_a_data_set_here(hostile: Path, canary: Path, tmp_path: Path) -> None:
    python = hostile_python(hostile, canary)
    mutation = Mutated(patch="", operator="", function="", line=1, python=str(python))
    instance = Instance(
        instance_id="t",
        repo=str(hostile),
        base_commit="",
        problem_statement="",
        fail_to_pass=PASSING,
        mutation=mutation,
    )
    (tmp_path / "t.jsonl").write_text(json.dumps(instance.official()))
    write_predictions(tmp_path / "p.jsonl", [Prediction(instance_id="t")])
    done = lbi_here("grade", tmp_path / "t.jsonl", "-p", tmp_path / "p.jsonl", "--json")
    assert json.loads(done.stdout)["grades"]["t"]["resolved"] is False, done.stderr


def test_folders_of_an_interpreter_are_found_without_running_it(tmp_path: Path, canary: Path) -> None:
    python = hostile_python(tmp_path, canary)
    assert prefixes(python)[0] == tmp_path / ".venv"
    assert Path(sys.base_prefix) in prefixes(python)
    assert {Path(sys.prefix), Path(sys.base_prefix)} == set(prefixes(Path(sys.executable)))
    system = Path("/usr/bin/python3")
    if system.is_file():
        assert prefixes(system) == (Path("/usr"),)


@pytest.mark.parametrize("home", ["", "home = /root/.ssh", "home = /etc/x", "home = ../../.."])
def test_no_folder_but_a_python_is_shown_because_a_data_set_names_it(home: str, tmp_path: Path, canary: Path) -> None:
    python = program_that_writes(tmp_path / "env" / "bin" / "python", canary)
    if home:
        (tmp_path / "env" / "pyvenv.cfg").write_text(home)
    with pytest.raises(UserError, match="is not the interpreter of a Python") as error:
        prefixes(python)
    assert "\n" not in str(error.value)


# packages


WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(folder: Path, canary: Path) -> Path:
    """A package whose .pth file writes the canary whenever its interpreter starts."""
    file = folder / "lbi_evil-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("lbi_evil.py", "x = 1\n")
        archive.writestr("lbi_evil.pth", f"import pathlib; pathlib.Path({str(canary)!r}).write_text('started')\n")
        archive.writestr("lbi_evil-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lbi-evil\nVersion: 1.0\n")
        archive.writestr(
            "lbi_evil-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("lbi_evil-1.0.dist-info/RECORD", "")
    return file


def test_an_installed_package_is_compiled_and_not_started(tmp_path: Path, canary: Path) -> None:
    folder = interpreter((f"lbi-evil @ {wheel(tmp_path, canary).as_uri()}",), tmp_path / "cache")
    assert list(folder.glob("lib/python3*/site-packages/__pycache__/lbi_evil.*.pyc"))


def test_a_source_archive_is_not_built(tmp_path: Path, canary: Path) -> None:
    source = tmp_path / "package"
    source.mkdir()
    (source / "setup.py").write_text(
        f"open({str(canary)!r}, 'w').write('built')\nimport setuptools; setuptools.setup()\n"
    )
    with pytest.raises(UserError, match=r"installing lbi-evil .* failed"):
        interpreter((f"lbi-evil @ {source.as_uri()}",), tmp_path / "cache")


@pytest.mark.parametrize(
    "requirement", ["x @ file:///tmp/x", "-e ./x", "--index-url=http://127.0.0.1/", "./x", "x", "git+ssh://h/x"]
)
def test_a_recipe_asks_for_exact_packages_only(requirement: str) -> None:
    release = f'{{ version = "1", sha256 = "{"0" * 64}", date = "" }}'
    text = (
        'name = "r"\n[[instance]]\nname = "a"\npackage = "p"\nrepo = "r"\nproblem = ""\ntests = ["t"]\n'
        f"base = {release}\nfixed = {release}\nrequirements = [{json.dumps(requirement)}]\n"
        "fail_to_pass = ['t']\npass_to_pass = []\n"
    )
    with pytest.raises(UserError, match="requirements"):
        parse_recipes(text, "r.toml")
    with pytest.raises(UserError, match="package"):
        parse_recipes(text.replace('"p"', '"../../p"').replace(json.dumps(requirement), '"x==1"'), "r.toml")


# the door


def test_a_program_is_never_found_beside_the_repository(
    tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_that_writes(tmp_path / "bin" / "git", canary)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"bin:.:{os.environ['PATH']}")
    assert os.path.isabs(program("git") or "")
    assert b"git version" in run_on_host(["git", "--version"], env=plain(), timeout=30).output
    with pytest.raises(FileNotFoundError):
        run_on_host(["bin/git"], env={}, timeout=30)


def test_a_program_gets_the_variables_that_it_is_given_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-secret")
    assert "sk-a-secret" not in run_on_host(["env"], env=plain(), timeout=30).text
    with pytest.raises(TimeoutError, match="sleep did not end within 0 s"):
        run_on_host(["sleep", "5"], env=plain(), timeout=0.1)


@pytest.mark.slow
def test_what_does_not_end_in_time_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """Workers of a compiler that was ended alone would wait for it for ever."""
    told = tmp_path / "pid"
    told.touch()
    with pytest.raises(TimeoutError, match="sh did not end within"):
        run_on_host(["sh", "-c", f"sleep 600 & echo $! >{told}; wait"], env=plain(), timeout=5)
    status = Path("/proc") / told.read_text("utf-8").strip() / "status"
    for _ in range(100):  # its last parent may take a moment to notice
        if not status.exists() or "State:\tZ" in status.read_text("utf-8"):
            return
        time.sleep(0.05)
    raise AssertionError("the program that it started is still there")
