"""A patch applies here where it does in the official harness, and to the same effect: the real commands are asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lbi.benchmarks.swebench.gnu_patch import as_git_takes_it
from lbi.benchmarks.swebench.patches import PatchError, apply, paths_in
from small_repository import needs_bubblewrap

pytestmark = [needs_bubblewrap, pytest.mark.skipif(not shutil.which("patch"), reason="needs GNU patch")]

#: of run_evaluation.py in swebench 5.0.2
COMMANDS = (
    "git apply --verbose",
    "git apply --verbose --3way",
    "git apply --verbose --reject",
    "patch --batch --forward --fuzz=5 -p1 -i",
)
LINES = "".join(f"line {number}\n" for number in range(1, 21))
FILES = {
    "src/till.py": LINES,
    "crlf.txt": LINES.replace("\n", "\r\n"),
    "data.bin": "\0\1",
    "a b.py": LINES,
    "x.py": LINES,
}


def hunk(path: str, before: str, old: str, new: str, after: str, at: int = 9, old_path: str = "") -> str:
    """A change of line 10 with a line of context before and after it."""
    return f"--- {old_path or 'a/' + path}\n+++ b/{path}\n@@ -{at},3 +{at},3 @@\n {before}\n-{old}\n+{new}\n {after}\n"


GOOD = hunk("src/till.py", "line 9", "line 10", "ten", "line 11")
PATCHES = {
    "exact": (GOOD, True),
    "elsewhere": (GOOD.replace("@@ -9,3 +9,3 @@", "@@ -2,3 +2,3 @@"), True),
    "context that changed on one side": (hunk("src/till.py", "line nine", "line 10", "ten", "line 11"), True),
    "context that changed": (hunk("src/till.py", "line nine", "line 10", "ten", "line eleven"), True),
    "the line itself changed": (hunk("src/till.py", "line 9", "line ten", "ten", "line 11"), False),
    "was applied before": (hunk("src/till.py", "line 9", "zehn", "line 10", "line 11"), True),
    "twice the same": ("--- a/x.py\n+++ b/x.py\n@@ -9 +8,0 @@\n-line 9\n" * 2, True),
    "one file of two": (GOOD + hunk("x.py", "line 9", "line ten", "ten", "line 11"), False),
    "no such file": (hunk("nowhere.py", "line 9", "line 10", "ten", "line 11"), False),
    "no last line end": (GOOD.removesuffix("\n"), True),
    "no end of a last line that goes": ("--- a/x.py\n+++ b/x.py\n@@ -19,2 +19 @@\n line 19\n-line 20", False),
    "no end of a last line that comes": ("--- a/x.py\n+++ b/x.py\n@@ -20 +20,2 @@\n line 20\n+line 21", False),
    "no context": ("--- a/x.py\n+++ b/x.py\n@@ -6,0 +7 @@\n+new\n", True),
    "line ends of Windows": (GOOD.replace("\n", "\r\n"), True),
    "file with line ends of Windows": (
        hunk("crlf.txt", "line 9\r", "line 10\r", "ten\r", "line 11\r"),
        True,
    ),
    "a binary without its content": (
        "diff --git a/data.bin b/data.bin\nindex 1..2 100644\nBinary files a/data.bin and b/data.bin differ\n" + GOOD,
        True,
    ),
    "nothing but a binary without its content": (
        "diff --git a/data.bin b/data.bin\nindex 1..2 100644\nBinary files a/data.bin and b/data.bin differ\n",
        True,
    ),
    "words around it": ("Here is the patch:\n\n" + GOOD + "\nThat is all.\n", True),
    "in a fence": ("```diff\n" + GOOD + "```\n", True),
    "words alone": ("I could not find the bug.\n", False),
    "a blank line": ("\n", False),
    "other prefixes": (GOOD.replace("a/src", "i/src").replace("b/src", "w/src"), True),
    "no prefixes": (GOOD.replace("a/src", "src").replace("b/src", "src"), False),
    "no prefixes, and such a file": (GOOD.replace("a/src/till", "src/x").replace("b/src/till", "src/x"), True),
    "a name with a blank": (GOOD.replace("src/till.py", "a b.py"), True),
    "count of lines that is wrong": (GOOD.replace("-9,3 +9,3", "-9,4 +9,4"), True),
    "new file": ("--- /dev/null\n+++ b/new/x.py\n@@ -0,0 +1 @@\n+x = 1\n", True),
    "new file that is there": ("--- /dev/null\n+++ b/x.py\n@@ -0,0 +1 @@\n+x = 1\n", False),
    "new file, its mode and name": (
        'diff --git "a/caf\\303\\251.sh" "b/caf\\303\\251.sh"\nnew file mode 100755\n--- /dev/null\n'
        '+++ "b/caf\\303\\251.sh"\n@@ -0,0 +1 @@\n+ls\n',
        True,
    ),
    "renamed": (
        "diff --git a/x.py b/y z.py\nsimilarity index 100%\nrename from x.py\nrename to y z.py\n",
        True,
    ),
    "deleted": (
        "--- a/x.py\n+++ /dev/null\n@@ -1,20 +0,0 @@\n" + "".join(f"-{line}\n" for line in LINES.split()),
        False,
    ),
    "deleted whole": (
        "--- a/x.py\n+++ /dev/null\n@@ -1,20 +0,0 @@\n" + "".join(f"-{line}\n" for line in LINES.splitlines()),
        True,
    ),
    "out of the folder": (hunk("../../x.py", "line 9", "line 10", "ten", "line 11"), False),
}


def write(folder: Path) -> None:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode())


def contents(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file() and ".git" not in file.parts]
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in files if file.suffix not in (".orig", ".rej")
    }


def git(folder: Path, *arguments: str) -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@x", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


def officially(patch: str, folder: Path) -> dict[str, bytes] | None:
    """What the harness makes of a repository; None where it says that the patch does not apply."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def ran(command: str) -> bool:
        return not subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True).returncode

    write(folder)
    named = "git -c user.name=x -c user.email=x@x"
    assert ran(f"git init -q . && git config core.autocrlf false && git add -A && {named} commit -qm x")
    file = folder.parent / "patch.diff"
    file.write_bytes(patch.encode())
    for number, command in enumerate(COMMANDS):
        if number:
            ran("git checkout -- . ; git clean -fd")
        if ran(f"{command} {file}"):
            return contents(folder)
    return contents(folder) if ran(f"git apply --check --reverse {file}") else None


async def ours(patch: str, folder: Path) -> dict[str, bytes] | None:
    write(folder)
    try:
        apply(patch, folder)
    except PatchError as refused:
        try:
            apply(await as_git_takes_it(patch, folder, refused, backend="auto", unsafe=False), folder)
        except PatchError:
            return None
    return contents(folder)


@pytest.mark.slow
@pytest.mark.parametrize("case", PATCHES)
async def test_a_patch_applies_where_it_does_officially(case: str, tmp_path: Path) -> None:
    patch, applies = PATCHES[case]
    for name in ("official", "ours"):
        (tmp_path / name).mkdir()
        if case == "no prefixes, and such a file":
            (tmp_path / name / "till.py").write_text(LINES)
    official = officially(patch, tmp_path / "official")
    found = await ours(patch, tmp_path / "ours")
    assert (official is not None) is applies
    assert found == official


FUZZY = hunk("x.py", "line nine", "line 10", "ten", "line 11")
HOSTILE = {
    "a script of ed": "--- a/x.py\n+++ b/x.py\n1!touch {mark}\n.\nw\n",
    "a script of ed, announced": "diff -e a/x.py b/x.py\n0a\n!touch {mark}\n.\n",
    "a link on the way": "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/tmp\n"
    "\\ No newline at end of file\n" + FUZZY,
    "git's own folder": "--- a/.git/hooks/x\n+++ b/.git/hooks/x\n@@ -0,0 +1 @@\n+x\n" + FUZZY,
    "half a character": FUZZY + "\ud800",
    "one header of a megabyte": "diff --git " + "a/" * 500_000 + "\n",
    "a file that is a folder": FUZZY.replace("x.py", "src"),
    "zero bytes": FUZZY.replace("x.py", "x\0.py"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
async def test_a_patch_that_means_harm_does_not_apply(case: str, tmp_path: Path) -> None:
    folder, mark = tmp_path / "ours", tmp_path / "mark"
    folder.mkdir()
    write(folder)
    before = contents(folder)
    assert await ours(HOSTILE[case].replace("{mark}", str(mark)), folder) is None
    assert contents(folder) == before
    assert not mark.exists()


@pytest.mark.slow
async def test_a_name_beside_the_headers_leads_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "ours"
    folder.mkdir()
    found = await ours(f"Index: ../../{tmp_path.name}/mark\n{FUZZY}", folder)
    assert found is not None
    assert b"ten" in found["x.py"]
    assert [file.name for file in tmp_path.iterdir()] == ["ours"]


ODD = ("a b.py", "caf\u00e9.py", "tab\tx.py", 'quo"te.py', "back\\slash.py", "x/y z/w.py", "a/a b/b", "b/x b/x")
ODD += ("t.py ", "no end", "bin.dat", "mode.sh", "gone.py", "gone b.py", "moved b.py", "empty", "p b/p", "--- a/f")


@pytest.mark.parametrize("quoted", ["true", "false"])
@pytest.mark.parametrize(
    "options", ["", "--binary", "--no-prefix", "-M -C -C", "-M --no-prefix", "mnemonic", "--src-prefix=old/"]
)
def test_every_path_that_gits_patches_name_is_found(options: str, quoted: str, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for name in ODD:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes({"empty": b"", "bin.dat": b"\0\1"}.get(name, LINES.encode()))
    (tmp_path / "link").symlink_to("gone.py")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "x")
    for name in ODD:
        with (tmp_path / name).open("ab") as file:
            file.write(b"" if name in ("empty", "mode.sh", "moved b.py") else b"\0" if name == "bin.dat" else b"more")
    for name in ("gone.py", "gone b.py", "link"):
        (tmp_path / name).unlink()
    for name in ("empty", "mode.sh"):
        (tmp_path / name).chmod(0o755)
    (tmp_path / "moved b.py").rename(tmp_path / "moved h\u00e9\tre.py")
    (tmp_path / "link").symlink_to("caf\u00e9.py")
    (tmp_path / "new empty").write_bytes(b"")
    git(tmp_path, "add", "-A")
    changed = git(tmp_path, "diff", "--cached", "--name-only", "-z", "--no-renames").split("\0")
    settings = ["-c", f"core.quotePath={quoted}"]
    settings += ["-c", "diff.mnemonicPrefix=true"] if options == "mnemonic" else []
    patch = git(tmp_path, *settings, "diff", "--cached", *(options.split() if options != "mnemonic" else []))
    assert sorted(paths_in(patch)) == sorted(filter(None, changed))
    assert sorted(paths_in(patch.replace("\n", "\r\n"))) == sorted(filter(None, changed))
