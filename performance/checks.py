"""What the command of a check costs in its sandbox, beside the same command on this machine as it is.

    python performance/checks.py [--repeat 20] [--megabytes 0]

The command asks the site and reads its state, as a verifier does. Both sides take turns. Prints milliseconds (the
median, and the minimum in brackets), processor time, and what the sandbox adds.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from pathlib import Path

from lbi.environments.web.application import Application
from lbi.environments.web.backend import LocalBackend, ManagedApplication
from lbi.environments.web.check_sandbox import CheckSandbox

SERVE = """
import http.server, sys
class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Site).serve_forever()
"""
PREPARE = f"""
import pathlib, sqlite3
pathlib.Path("serve.py").write_text({SERVE!r})
base = sqlite3.connect("shop.db")
base.execute("CREATE TABLE item (name TEXT, picture BLOB)")
base.executemany("INSERT INTO item VALUES ('x', ?)", [(bytes(1 << 20),)] * MEGABYTES)
base.commit()
"""
CHECK = """
import sqlite3, sys, urllib.request
assert urllib.request.urlopen(sys.argv[1]).read() == b"ok"
sqlite3.connect("shop.db").execute("SELECT count(*) FROM item").fetchall()
"""


def application(megabytes: int) -> Application:
    return Application.model_validate(
        {
            "name": "shop",
            "start": ["{python}", "{state}/serve.py", "{port}"],
            "prepare": {"script": PREPARE.replace("MEGABYTES", str(megabytes))},
            "state": {"database": "shop.db"},
        }
    )


def processor_seconds() -> float:
    """Of this process and of all that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


async def once(backend: LocalBackend) -> tuple[float, float]:
    """Milliseconds of one check: by the clock, and of processors."""
    began, used = time.perf_counter(), processor_seconds()
    status, output = await backend.run_command(["{python}", "-c", CHECK, "{url}"])
    assert status == 0, output
    return 1000 * (time.perf_counter() - began), 1000 * (processor_seconds() - used)


async def measured(repeat: int, megabytes: int) -> None:
    with tempfile.TemporaryDirectory(prefix="lbi-checks-") as folder:
        times: dict[str, list[tuple[float, float]]] = {"on this machine": [], "in the sandbox": []}
        sides = [
            await ManagedApplication(application(megabytes), Path(folder), checks=CheckSandbox(unsafe=unsafe)).start()
            for unsafe in (True, False)
        ]
        try:
            for number in range(repeat + 1):
                for kind, backend in zip(times, sides, strict=True):
                    taken = await once(backend)
                    if number:  # the first one tries the sandbox out
                        times[kind].append(taken)
        finally:
            for backend in sides:
                await backend.stop()
    middle = {}
    for kind, all_taken in times.items():
        clock, used = [taken[0] for taken in all_taken], [taken[1] for taken in all_taken]
        middle[kind] = statistics.median(clock)
        told = f"{middle[kind]:7.1f} ms ({min(clock):.1f}), processors {statistics.median(used):.1f} ms"
        print(f"{kind:16} {told} ({min(used):.1f})")
    plain, confined = middle.values()
    print(f"the sandbox adds {confined - plain:.1f} ms; ratio {confined / plain:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=0, help="size of the application's database")
    arguments = parser.parse_args()
    asyncio.run(measured(arguments.repeat, arguments.megabytes))


if __name__ == "__main__":
    main()
