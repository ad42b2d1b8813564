"""Runs a Python program so that it listens on this machine only: python loopback.py PROGRAM [ARGUMENT ...].

For servers that bind to every interface and cannot be told otherwise; in an application's file it is ``{loopback}``.
It loads the standard library only, as the application's own interpreter runs it.
"""

import os
import runpy
import socket
import sys

EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
_bind = socket.socket.bind


def _bind_to_loopback(self, address):  # type: ignore[no-untyped-def]
    """As ``socket.bind``, with an address of this machine in place of all addresses."""
    if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] in EVERYWHERE:
        host = "::1" if self.family == socket.AF_INET6 else EVERYWHERE.get(address[0], "127.0.0.1")
        address = (host, *address[1:])
    return _bind(self, address)


def main() -> None:
    sys.argv = sys.argv[1:]
    sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
    socket.socket.bind = _bind_to_loopback  # type: ignore[method-assign]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
