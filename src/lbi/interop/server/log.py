"""What passes the proxy, into a file, only where somebody asked for it: a line of JSON per request, masked, no headers.

{"time": "...", "path": "/v1/messages", "status": 200, "examples": ["4be1..."], "request": "...", "reply": "..."}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lbi.errors import UserError
from lbi.interop.server.added import Added
from lbi.interop.server.served import now
from lbi.storage.secrets import MASK, mask

LONGEST = 1_000_000  # bytes of a request or a reply that are kept
_KEYS = re.compile(
    r"\bsk-[\w-]{16,}|\b(?:ghp|gho|github_pat|xox[abp])[-_]\w{16,}|\bAKIA[0-9A-Z]{16}\b|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+"
    r"|(?<=Bearer )[\w.~+/-]{16,}=*"
)


@dataclass
class Passing:
    """One request on its way."""

    path: str
    added: Added
    milliseconds: float  # until it was known what to add
    status: int = 0
    reply: bytearray = field(default_factory=bytearray)

    def replied(self, chunk: bytes) -> None:
        self.reply += chunk[: LONGEST - len(self.reply)]


class Log:
    """Lines in a file that only its owner reads. Without a file nothing is kept, not even in memory."""

    def __init__(self, file: Path | None, clock: Callable[[], datetime] = now) -> None:
        """Raises UserError for a file that cannot be written."""
        self._clock = clock
        self._file = None
        if file is not None:
            try:
                file.touch(mode=0o600)
                self._file = file.open("a", encoding="utf-8")
            except OSError as error:
                raise UserError(f"cannot log into {file}: {error.strerror}; choose another file") from None

    @property
    def kept(self) -> bool:
        return self._file is not None

    def ended(self, passing: Passing, whole: bool) -> None:
        """``whole``: the reply came to its end."""
        if self._file is None:
            return
        row = {
            "time": self._clock().isoformat(timespec="milliseconds"),
            "path": passing.path,
            "status": passing.status,
            "whole": whole,
            "examples": list(passing.added.ids),
            "added_tokens": passing.added.tokens,
            "unchanged": passing.added.why,
            "look_up_ms": round(passing.milliseconds, 1),
            "request": _masked(passing.added.body),
            "reply": _masked(bytes(passing.reply)),
        }
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _masked(content: bytes) -> str:
    return _KEYS.sub(MASK, mask(content[:LONGEST].decode(errors="replace")))
