"""The folder that a training writes into: for one process at a time, and what it says when there is no room."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from lbi.errors import UserError

LOCK = ".lock"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_FULL_SIGNS = (*map(os.strerror, _FULL), "failed writing", "unexpected pos")  # in a message of torch or safetensors


@contextlib.contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Nobody else trains into the folder meanwhile. The lock of a training that was killed is none."""
    with contextlib.ExitStack() as opened:
        try:
            fcntl.flock(opened.enter_context((out / LOCK).open("a")), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another lbi train is at work in {out}; wait for it, or choose another --out") from None
        except OSError as error:
            raise UserError(f"cannot write to {out}: {error.strerror or error}; choose another --out") from None
        yield


@contextlib.contextmanager
def advice_when_the_disk_is_full(out: Path) -> Iterator[None]:
    """Turn what libraries raise into a UserError; each has its own way to tell of it. Other errors pass unchanged."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        system = isinstance(error, OSError) and error.errno in _FULL
        if not system and not any(sign in str(error) for sign in _FULL_SIGNS):
            raise
        first = (error.strerror if isinstance(error, OSError) and error.strerror else str(error)).splitlines()[0]
        raise UserError(
            f"cannot write to {out}: {first}; make room, and the same command continues from the last checkpoint"
        ) from error
