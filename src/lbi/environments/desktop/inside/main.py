"""The one process of a desktop that is talked with: reads a request, carries it out, answers in a line of JSON."""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
import traceback
from typing import Any

from .desk import Desk
from .services import RUN, NotStarted

_REQUESTS, _STATUS, _ANSWERS = 3, 4, 5
_HEADROOM = 1 << 16


def main(width: int, height: int, processes: int) -> None:
    """Serve requests, each JSON and a zero byte, until there are no more. The first is empty: is the desktop ready?"""
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    for handle in (_REQUESTS, _STATUS, _ANSWERS):
        os.set_inheritable(handle, False)
    os.chdir(os.environ["HOME"])
    try:
        desk = Desk(width, height)
    except (NotStarted, OSError, ValueError) as error:
        _write(_ANSWERS, f"{error.strerror or error}\n".encode() if isinstance(error, OSError) else b"it broke\n")
        sys.exit(1)
    with open(f"{RUN}/agent.log", "ab") as log:
        for handle in (1, 2):  # nothing but answers may stand among answers
            os.dup2(log.fileno(), handle)
    unread = b""
    while True:
        text, end, rest = unread.partition(b"\0")
        if not end:
            chunk = os.read(_REQUESTS, _HEADROOM)
            if not chunk:
                return
            unread += chunk
            continue
        unread = rest
        if text:
            _write(_ANSWERS, json.dumps(_answer(desk, json.loads(text))).encode() + b"\n")
        _write(_STATUS, b"0\0\0\0")


def _answer(desk: Desk, request: dict[str, Any]) -> dict[str, Any]:
    """What came of a request; {"failed": why} for one that could not be carried out."""
    try:
        return desk.do(request)
    except (OSError, ValueError) as error:
        return {"failed": (error.strerror if isinstance(error, OSError) else None) or str(error)}
    except (LookupError, TypeError, AttributeError, struct.error) as error:  # a program told what none should
        return {"broke": f"{error!r} {traceback.format_exc()[-600:]}"}


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
