"""Patches by git: the difference of two folders as a patch, and a patch applied to a folder.

Git itself never sees the folders: their files are read and written here, beneath them and through no link.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from lbi.errors import EnvironmentFailure
from lbi.sandbox.beneath import LINK, Beneath, Refused, parts
from lbi.sandbox.git import Git, fresh_git
from lbi.sandbox.host import Ended
from lbi.sandbox.supervisor.bounds import MOST_PATCH

TEST_FOLDERS = frozenset({"test", "tests", "testing"})
DEEPEST = 256  # folders on the way to a file
MOST_FILES = 50_000  # that a patch names
#: bytes of all files that it changes, as they were or become: a few kilobytes can unpack to gigabytes
MOST_MADE = 512 << 20
GIT_MEMORY = 2 << 30
#: errors that are no fault of whoever wrote a patch: full disks, and the like
MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EROFS})
_SIDE = re.compile(r'(?P<side>---|\+\+\+) (?P<name>"(?:[^"\\]|\\.)*"|[^\t]+)')
_MOVED = re.compile(r"(?:rename|copy) (?:from|to) (?P<name>.*)")
LONGEST_PREFIX = 32  # of a name in a patch: a/, old/
_BEYOND = re.compile(r"error: affected file '(.*)' is beyond a symbolic link")
_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_FOLDERS_OF_TOOLS = ("__pycache__",)
Item = tuple[int, bytes]  # git's mode, content


class PatchError(Exception):
    """A patch does not apply, which is its author's fault; the message is git's, or names a link in its way."""


def is_test(path: str) -> bool:
    """Whether a file belongs to a repository's tests: tests/x.py, pkg/tests/data.json, test_x.py, tests.py."""
    file = PurePosixPath(path)
    named = any(fnmatch.fnmatch(file.name, pattern) for pattern in ("test_*.py", "*_test.py", "conftest.py"))
    return named or path == "tests.py" or bool(TEST_FOLDERS & set(file.parts[:-1]))


def is_source(path: str) -> bool:
    """Whether a file is code of the repository itself."""
    file = PurePosixPath(path)
    return file.suffix == ".py" and not is_test(path) and not {"docs", "doc", "examples"} & set(file.parts)


def changed(old: Path, new: Path) -> list[str]:
    """Paths of files and links that differ between two folders in mode or content, in order."""
    with Beneath(old) as before, Beneath(new) as after:
        paths = {path for side in (before, after) for path, kind in side.walk(_FOLDERS_OF_TOOLS) if kind}
        return [path for path in sorted(paths) if before.item(path) != after.item(path)]


def difference(old: Path, new: Path, paths: list[str]) -> str:
    """The patch from ``old`` to ``new`` for some paths; neither folder is written to."""
    sides: list[dict[str, Item]] = []
    for folder in (old, new):
        with Beneath(folder) as tree:
            sides.append({path: item for path in paths if (item := tree.item(path))})
    return _difference(sides[0], sides[1])


def edited(path: str, old: bytes, new: bytes) -> str:
    """The patch of one file whose content changes."""
    return _difference({path: (0o100644, old)}, {path: (0o100644, new)})


def apply(patch: str, folder: Path) -> None:
    """Change a folder by a patch; all of it or nothing.

    Raises PatchError, also for a link in its way, and EnvironmentFailure where this machine is at fault.
    """
    if not patch:
        return
    if len(patch) > MOST_PATCH:
        raise PatchError(f"too large: {len(patch):,} characters, of at most {MOST_PATCH:,}")
    try:
        with Beneath(folder) as tree:
            before = _named(patch, tree)
            after = _applied(patch, before)
            changes = {path: after.get(path) for path in {*before, *after} if before.get(path) != after.get(path)}
            _check(tree, changes)
            _write(tree, changes)
    except Refused as error:
        raise PatchError(str(error)) from None
    except UnicodeEncodeError:
        raise PatchError("the patch is no text") from None
    except OSError as error:
        said = f"{error.filename or 'the patch'}: {error.strerror or error}"
        raise (EnvironmentFailure if error.errno in MACHINE else PatchError)(said) from None


def is_applied(patch: str, folder: Path) -> bool:
    """Whether a folder is as a patch would make it, so that taking the patch back applies."""
    try:
        with Beneath(folder) as tree:
            _applied(patch, _named(patch, tree), "--reverse")
            return True
    except (PatchError, OSError, UnicodeEncodeError):
        return False


def _named(patch: str, tree: Beneath) -> dict[str, Item]:
    """The files that a patch names, as they are, by the names that git looks for: without their first folder too.

    Raises PatchError where they are too many or too large.
    """
    named = paths_in(patch)
    if len(named) > MOST_FILES:
        raise PatchError(f"too large: {len(named):,} files, of at most {MOST_FILES:,}")
    items, room = {}, MOST_MADE
    candidates = dict.fromkeys(each for name in named for each in (name, name.partition("/")[2]))
    for path in filter(is_within, candidates):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            room -= tree.look(path).st_size
            if room < 0:
                raise PatchError(f"too large: the files that it changes have more than {MOST_MADE:,} bytes")
            if item := tree.item(path):
                items[path] = item
    return items


def paths_in(patch: str) -> list[str]:
    """Paths that a patch names, in order, each once: also of binaries, links, and files whose mode alone changes.

    Names begin with a/ and b/, with other folders (git's diff.mnemonicPrefix), or with none (--no-prefix).
    """
    names: list[str] = []
    told = False  # whether the block's names are known, and are not those of its "---" and "+++"
    old = ""
    for line in headers(patch):
        line = line.removesuffix("\r")
        if line.startswith("diff --git "):
            both = line.removeprefix("diff --git ")
            told = bool(_twice(both))
            names.append(_unquoted(_twice(both) or _twice_after_prefixes(both)))
        elif match := _MOVED.match(line):
            names.append(_unquoted(match["name"]))
            told = True
        elif match := _SIDE.match(line):
            if match["side"] == "---":
                old = match["name"]
                continue
            if not told:
                names += _of_sides(_unquoted(old), _unquoted(match["name"]))
            told, old = False, ""
    return list(dict.fromkeys(name for name in names if name))


def _twice(text: str) -> str:
    """The half of a text that is twice the same, with a blank between; else "": so are names without a prefix."""
    middle = len(text) // 2
    return text[:middle] if text[middle : middle + 1] == " " and text[:middle] == text[middle + 1 :] else ""


def _twice_after_prefixes(text: str) -> str:
    """The name that a/NAME b/NAME has twice, in quotes where it is; else ""."""
    quote = '"' if text.startswith('"') else ""
    between, tail = f"{quote} {quote}", text.partition("/")[2]
    for prefix in range(1, LONGEST_PREFIX):
        length, odd = divmod(len(tail) - len(between) - len(quote) - prefix - 1, 2)
        start = length + len(between) + prefix + 1
        fits = not odd and length > 0 and tail[length:start].startswith(between) and tail[start - 1] == "/"
        if fits and tail[:length] == tail[start : start + length]:
            return f"{quote}{tail[:length]}{quote}"
    return ""


def _of_sides(old: str, new: str) -> list[str]:
    if old == new:  # with a prefix they would differ
        return [old]
    return [name.partition("/")[2] for name in (old, new) if name not in ("", "/dev/null")]


def headers(patch: str) -> Iterator[str]:
    """The lines of a patch that are of no hunk: what is removed or added can look like a header."""
    old = new = 0
    for line in patch.split("\n"):
        if old > 0 or new > 0:
            old -= line[:1] in ("-", " ", "")
            new -= line[:1] in ("+", " ", "")
        elif match := _HUNK.match(line):
            old, new = int(match[1] or 1), int(match[2] or 1)
        else:
            yield line


def is_within(path: str) -> bool:
    """Whether a name could be that of a file of the folder; git refuses the others."""
    try:
        return ".git" not in (part.lower() for part in parts(path))
    except Refused:
        return False


def _unquoted(name: str) -> str:
    r"""A name as git writes it: "caf\303\251.py" in quotes is café.py."""
    if not (name.startswith('"') and name.endswith('"')):
        return name
    plain = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
    whole = re.sub(
        r"\\([0-7]{3}|.)",
        lambda match: chr(int(match[1], 8)) if len(match[1]) == 3 else plain.get(match[1], match[1]),
        name[1:-1].encode("utf-8", "surrogateescape").decode("latin-1"),
    )
    return whole.encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def _check(tree: Beneath, changes: dict[str, Item | None]) -> None:
    """Raise Refused or PatchError for what cannot be written, before anything is."""
    removed = {path for path, item in changes.items() if item is None}
    links = {path for path, item in changes.items() if item and item[0] == LINK}
    for path in changes:
        if len(parts(path)) > DEEPEST:
            raise Refused(errno.ENAMETOOLONG, f"lies below more than {DEEPEST} folders", path[:80])
        above = ["/".join(parts(path)[:count]) for count in range(1, len(parts(path)))]
        if path not in removed and (beyond := links.intersection(above)):
            raise Refused(errno.ELOOP, f"passes through a link ({min(beyond)})", path)
        for folder in above:
            if folder not in removed and tree.item(folder) is not None:
                raise PatchError(f"{path}: {folder} is not a folder")
        if path not in removed and tree.is_folder(path):
            left = [inner for inner, _ in tree.walk(folder=path) if inner not in removed]
            if left:
                raise PatchError(f"{path}: is a folder that holds {left[0]}")


def _write(tree: Beneath, changes: dict[str, Item | None]) -> None:
    """First what goes, as a folder may become a file."""
    for path, item in changes.items():
        if item is None or tree.item(path) is not None:
            tree.remove(path)
            tree.prune(path)
    for path, item in changes.items():
        if item is not None:
            tree.clear(path)
            mode, content = item
            if mode == LINK:
                tree.make_link(path, content)
            else:
                tree.write(path, content, mode & 0o777)


# git's own store


def _difference(old: dict[str, Item], new: dict[str, Item]) -> str:
    if old == new:
        return ""
    with fresh_git() as git:
        trees = []
        for number, side in enumerate((old, new)):
            _index(git, side, str(number))
            trees.append(_done(git, "write-tree").decode().strip())
        options = ("--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", "--binary")
        printed = _done(git, "diff", *options, "--src-prefix=a/", "--dst-prefix=b/", *trees)
    return printed.decode("utf-8", "surrogateescape")


def _applied(patch: str, before: dict[str, Item], *options: str) -> dict[str, Item]:
    """What a patch makes of some files. Raises PatchError."""
    content = patch.encode("utf-8", "surrogateescape")
    with fresh_git() as git:
        _index(git, before, "before")
        try:
            done = git.run("apply", "--cached", "--whitespace=nowarn", *options, "-", stdin=content, memory=GIT_MEMORY)
        except TimeoutError:  # whatever the machine does, a patch of this size applies in less
            raise PatchError("too large: it takes too long to apply") from None
        except OSError as error:
            raise EnvironmentFailure(f"git apply could not run: {error}") from None
        if done.exit_code:
            said = done.errors.decode("utf-8", "surrogateescape").strip()
            raise PatchError(_BEYOND.sub(r"\1 passes through a link", said) or "the patch does not apply")
        listed = _done(git, "ls-files", "--stage", "-z").decode("utf-8", "surrogateescape")
        entries = [entry.partition("\t") for entry in listed.split("\0") if entry]
        modes = {path: (int(head.split()[0], 8), head.split()[1]) for head, _, path in entries}
        if modules := [path for path, (mode, _) in modes.items() if mode == 0o160000]:
            raise PatchError(f"{modules[0]} is a submodule, which a patch has no content of")
        sizes = _done(git, "cat-file", "--batch-check=%(objectsize)", stdin=_lines(blob for _, blob in modes.values()))
        if sum(map(int, sizes.split())) > MOST_MADE:
            raise PatchError(f"too large: it makes files of more than {MOST_MADE:,} bytes")
        contents = _contents(git, [blob for _, blob in modes.values()])
    return {path: (mode, content) for (path, (mode, _)), content in zip(modes.items(), contents, strict=True)}


def _index(git: Git, items: dict[str, Item], name: str) -> None:
    """Make git's index of files, as they are: no filter and no attribute applies."""
    folder = git.folder.parent / name
    folder.mkdir()
    for number, (_, content) in enumerate(items.values()):
        (folder / str(number)).write_bytes(content)
    files = "".join(f"{folder}/{number}\n" for number in range(len(items)))
    hashes = _done(git, "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=files.encode()).decode().split()
    lines = [f"{mode:o} {blob}\t{path}\0" for (path, (mode, _)), blob in zip(items.items(), hashes, strict=True)]
    _done(git, "read-tree", "--empty")
    _done(git, "update-index", "-z", "--index-info", stdin="".join(lines).encode("utf-8", "surrogateescape"))


def _contents(git: Git, blobs: Iterable[str]) -> list[bytes]:
    printed = _done(git, "cat-file", "--batch", stdin=_lines(blobs))
    contents, at = [], 0
    while at < len(printed):
        head = printed.index(b"\n", at)
        size = int(printed[at:head].split()[2])
        contents.append(printed[head + 1 : head + 1 + size])
        at = head + size + 2
    return contents


def _lines(blobs: Iterable[str]) -> bytes:
    return "".join(f"{blob}\n" for blob in blobs).encode()


def _done(git: Git, *arguments: str, stdin: bytes = b"") -> bytes:
    done = _ran(git, *arguments, stdin=stdin)
    if done.exit_code:
        raise EnvironmentFailure(f"git {arguments[0]} failed: {done.last_errors(3)}")
    return done.output


def _ran(git: Git, *arguments: str, stdin: bytes) -> Ended:
    try:
        return git.run(*arguments, stdin=stdin)
    except OSError as error:
        raise EnvironmentFailure(f"git {arguments[0]} could not run: {error}") from None
