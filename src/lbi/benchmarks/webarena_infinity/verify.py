"""Runs one verifier as its authors wrote it: verify.py FOLDER FILE ADDRESS. 0 = solved, 1 = not, 77 = cannot tell.

A verifier that crashes, says neither yes nor no, or is asked before the site has a state, says nothing of the agent. It
loads the standard library only, as the application's own interpreter runs it.
"""

import atexit
import http.client
import importlib.util
import os
import sys
from urllib.parse import urlsplit

CANNOT_TELL = 77


def has_state(address: str) -> bool:
    """Whether the server has a state to be judged; a page that never ran has sent none."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.request("GET", "/api/state")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def cannot_tell() -> None:
    """The end that is left where nothing else was said: an error of any kind, whose traceback is written by then."""
    ended(CANNOT_TELL)


def ended(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    folder, file, address = sys.argv[1:]
    sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location("verifier", os.path.join(folder, file))
    if spec is None or spec.loader is None:
        raise ImportError(file)
    verifier = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(verifier)
    if not has_state(address):
        print("the site has no state")
        return
    verdict = verifier.verify(address)
    if not (isinstance(verdict, tuple) and len(verdict) == 2 and isinstance(verdict[0], bool)):
        print(f"the verifier {file} said {verdict!r}, which is no verdict")
        return
    print(verdict[1])
    ended(0 if verdict[0] else 1)


if __name__ == "__main__":
    atexit.register(cannot_tell)
    main()
