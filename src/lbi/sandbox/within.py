"""Runs in a sandbox, and becomes a command that reaches one address outside: within.py DOOR HOST PORT FOLDER COMMAND

It listens on HOST and PORT, hands the listening socket out through the socket file DOOR (one_address.py is behind it),
and waits until it was taken. PORT 0 = any; the command is told of it as of a proxy. It loads the standard library only,
as an application's own interpreter runs it. Exit code 126 = it could not, 127 = there is no such command.
"""

import os
import signal
import socket
import sys

READY = b"."
COULD_NOT, NOT_THERE = 126, 127


def main() -> None:
    door, host, port, folder, *command = sys.argv[1:]
    try:
        listening = _listening(host, int(port))
        _hand_out(listening, door)
        os.chdir(folder)
    except OSError as error:
        sys.stderr.write(f"the sandbox of the command was not set up: {error}\n")
        sys.exit(COULD_NOT)
    if port == "0":
        proxy = f"http://{host}:{listening.getsockname()[1]}"
        os.environ.update({"http_proxy": proxy, "https_proxy": proxy, "HTTPS_PROXY": proxy})
    listening.close()
    for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored_by_python, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"cannot run {command[0]}: {error.strerror}\n")
        sys.exit(NOT_THERE if isinstance(error, FileNotFoundError) else COULD_NOT)


def _listening(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.bind((host, port))
    listening.listen()
    return listening


def _hand_out(listening: socket.socket, door: str) -> None:
    """A path of any length: the name alone is what the kernel limits."""
    with socket.socket(socket.AF_UNIX) as outside:
        os.chdir(os.path.dirname(door))
        outside.connect(os.path.basename(door))
        socket.send_fds(outside, [READY], [listening.fileno()])
        if outside.recv(1) != READY:
            raise ConnectionError("nobody took its socket")


if __name__ == "__main__":
    main()
