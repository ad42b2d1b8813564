"""Hash of the files of a home folder that changed, without what programs write anew whenever they save.

A document holds the second in which it was saved, numbers drawn at random, a picture of its first page. With these no
two episodes would end in the same state. Which they are, the desktop's file says (``volatile``, ``volatile_members``).
"""

from __future__ import annotations

import asyncio
import fnmatch
import hashlib
import io
import re
import zipfile
from dataclasses import replace

from lbi.environments.desktop.application import Desktop
from lbi.sandbox.bubblewrap import BubblewrapSandbox
from lbi.sandbox.patch import LINK, Change, digest_of_changes

LARGEST = 8 << 20  # bytes of a file that is looked into, packed and unpacked
MOST_MEMBERS = 2000


class Digests:
    """Of one sandbox. ``of`` looks into a file once for each content it has."""

    def __init__(self, desktop: Desktop) -> None:
        self._patterns = [re.compile(pattern.encode(), re.DOTALL) for pattern in desktop.volatile]
        self._members = desktop.volatile_members
        self._known: dict[tuple[str, str], str] = {}

    async def of(self, sandbox: BubblewrapSandbox) -> str:
        """Raises TooLarge, EnvironmentFailure."""
        return digest_of_changes([await self._lasting(sandbox, change) for change in await sandbox.changes()])

    async def _lasting(self, sandbox: BubblewrapSandbox, change: Change) -> Change:
        """The change with a hash of what lasts of its content."""
        new = change.new
        if new is None or new.mode == LINK or new.size > LARGEST:
            return change
        key = (change.path, new.digest)
        if key not in self._known:
            try:
                content = await sandbox.download(change.path)
            except OSError:  # it has just gone, or cannot be read
                return change
            self._known[key] = await asyncio.to_thread(self._hash, content)
        return replace(change, new=replace(new, digest=self._known[key]))

    def _hash(self, content: bytes) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for name, part in self._parts(content):
            for pattern in self._patterns:
                part = pattern.sub(b"", part)
            digest.update(f"{name}\0{len(part)}\0".encode("utf-8", "surrogateescape") + part)
        return digest.hexdigest()

    def _parts(self, content: bytes) -> list[tuple[str, bytes]]:
        """The members of an archive in alphabetical order, or the content itself."""
        if not content.startswith(b"PK\x03\x04"):
            return [("", content)]
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [info for info in archive.infolist() if not self._is_volatile(info.filename)]
                if len(members) > MOST_MEMBERS or sum(info.file_size for info in members) > LARGEST:
                    return [("", content)]
                return sorted((info.filename, archive.read(info)[:LARGEST]) for info in members)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError):
            return [("", content)]  # it only looks like an archive, or is made to do harm

    def _is_volatile(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._members)
