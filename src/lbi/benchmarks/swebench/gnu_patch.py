"""A patch that git refuses -> the same change as git takes it, by GNU patch, as the official harness tries it next.

GNU patch finds hunks whose lines have moved or whose context has changed (``--fuzz=5``), and passes over what it cannot
read, such as binaries without their content. It runs in a sandbox that holds the files that the patch names and nothing
else, and reads unified diffs only, as other forms can name programs to run.
"""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from pathlib import Path

from lbi.benchmarks.swebench.patches import PatchError, apply, headers, is_applied, is_within, paths_in
from lbi.errors import EnvironmentFailure
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.beneath import LINK, Beneath
from lbi.sandbox.supervisor.bounds import TooLarge

OPTIONS = "--unified --batch --forward --fuzz=5 --no-backup-if-mismatch --reject-file=- -p1"


async def as_git_takes_it(patch: str, tree: Path, refused: PatchError, *, backend: str, unsafe: bool) -> str:
    """The change that a patch makes of a tree which git could not make; "" for one that is there already.

    Raises ``refused``, git's refusal, for what GNU patch does not take either, and EnvironmentFailure.
    """
    try:
        content = patch.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise refused from None
    with tempfile.TemporaryDirectory(prefix="lbi-patch-") as scratch:
        folder = Path(scratch) / "named"
        folder.mkdir()
        if not await asyncio.to_thread(_copy_named, patch, tree, folder):
            raise refused
        async with open_sandbox(folder, backend=backend, unsafe=unsafe) as sandbox:
            file = f"/tmp/{uuid.uuid4().hex}.patch"
            await sandbox.upload(file, content)
            done = await sandbox.run(f"patch {OPTIONS} -i {file}")
            if done.exit_code == 127:
                raise EnvironmentFailure("patches that git refuses need GNU patch; install it (apt-get install patch)")
            try:
                change = await sandbox.diff()
            except TooLarge:  # of what it made, which git refused for that
                raise refused from None
        if done.exit_code == 0 or await asyncio.to_thread(_is_there, patch, change, folder):
            return change
    raise refused


def _is_there(patch: str, change: str, folder: Path) -> bool:
    """Whether files are as a patch would make them, once GNU patch has changed what it could; the harness asks last."""
    try:
        apply(change, folder)
    except PatchError:
        return False
    return is_applied(patch, folder)


def _copy_named(patch: str, tree: Path, folder: Path) -> bool:
    """Copy the files that a patch names; False where it names a link, or what is in no folder of a repository."""
    if any(line.rstrip().endswith(" 120000") for line in headers(patch)):
        return False
    paths = list(dict.fromkeys(each for path in paths_in(patch) for each in (path, path.partition("/")[2]) if each))
    if not paths or not all(is_within(path) for path in paths):
        return False
    try:
        with Beneath(tree) as source, Beneath(folder) as target:
            for path in paths:
                if item := source.item(path):
                    if item[0] == LINK:
                        return False
                    target.write(path, item[1], item[0] & 0o777)
    except OSError:
        return False
    return True
