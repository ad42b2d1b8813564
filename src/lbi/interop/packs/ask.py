"""Asks a session (lbi.interop.packs.session) and prints what it says. Loads the standard library only.

    python -m lbi.interop.packs.ask FOLDER look
    python -m lbi.interop.packs.ask FOLDER do 'click(button "Save")'
    python -m lbi.interop.packs.ask FOLDER score check.json [reward.txt]

Exits with 0; 1 for an action that was not carried out; 2 where nothing can be asked. A score exits with 0 whatever it
is, and is written into reward.txt; what cannot be scored writes none.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

USAGE = "look | do ACTION | score CHECK.json [REWARD.txt]"


def asked(session: Path, request: dict[str, Any]) -> dict[str, Any]:
    """The reply of the session at a socket. Raises OSError where none answers."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(session))
        line.sendall(json.dumps(request).encode() + b"\n")
        with line.makefile("rb") as replies:
            reply: dict[str, Any] = json.loads(replies.readline() or b'{"text": "the session ended", "ok": false}')
    return reply


def main(arguments: list[str]) -> int:
    match arguments:
        case [folder, "look"]:
            request: dict[str, Any] = {"do": "look"}
        case [folder, "do", action]:
            request = {"do": "act", "action": action}
        case [folder, "score", check, *_]:
            request = {"do": "score", "check": json.loads(Path(check).read_text(encoding="utf-8"))}
        case _:
            print(f"usage: {USAGE}", file=sys.stderr)
            return 2
    reward = Path(arguments[3]).absolute() if arguments[3:] else None
    try:
        os.chdir(folder)  # the address of a socket may have 107 bytes
        reply = asked(Path("session.sock"), request)
    except OSError as error:
        print(f"no session answers: {error}", file=sys.stderr)
        return 2
    if "score" in reply:
        if reward is not None:
            reward.write_text(f"{reply['score']:g}\n", encoding="utf-8")
        print(f"{reply['score']:g} {reply['reason']}".strip())
        return 0
    print(reply["text"])
    return 0 if reply.get("ok") else 2 if request["do"] == "score" or reply.get("failed") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
