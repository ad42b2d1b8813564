"""How long an application's state takes to be put back: by a request, by a copy of its files, and by a restart.

    python performance/put_back.py [--rounds 20] [--checkout FOLDER --application NAME]

Each way puts back a server of the protocol of a suite that keeps its state in memory (or one of a checkout), with
nothing but the server: no browser. The ratio says how many times faster than a restart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

from lbi.benchmarks import webarena_infinity
from lbi.environments.web.application import Application, load_application
from lbi.environments.web.backend import LocalBackend, ManagedApplication

SERVER = """
import http.server, json, sys
state = {}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_PUT(self):
        state["now"] = self.rfile.read(int(self.headers["Content-Length"]))
        state.setdefault("seed", state["now"])
        self.say(b"{}")
    def do_POST(self):
        state["now"] = state.get("seed", b"{}")
        self.say(b"{}")
    def do_GET(self):
        self.say(state.get("now", b"{}"))
    def say(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
APPLICATION = """
name = "state"
start = ["{python}", "{state}/server.py", "--port", "{port}"]
[prepare]
copy = ["server.py"]
[state]
reset_request = "POST /api/reset"
digest_url = "/api/state"
"""


def own_application(folder: Path) -> Application:
    (folder / "server.py").write_text(SERVER)
    (folder / "application.toml").write_text(APPLICATION)
    return load_application(folder / "application.toml")


def change(backend: LocalBackend) -> None:
    """A state of 200 kB in memory, and a file."""
    state = json.dumps({"items": [{"id": number, "name": f"item {number}"} for number in range(5000)]}).encode()
    request = urllib.request.Request(
        f"{backend.url}/api/state", state, {"Content-Type": "application/json"}, method="PUT"
    )
    urllib.request.urlopen(request, timeout=10).close()
    (backend.state / "changed.txt").write_text("changed")


async def measured(application: Application, rounds: int, cache: Path) -> tuple[list[float], list[float]]:
    """Seconds of each reset, and of each digest."""
    backend = await ManagedApplication(application, cache).start()
    resets, digests = [], []
    try:
        for _ in range(rounds):
            await asyncio.to_thread(change, backend)
            started = time.perf_counter()
            await asyncio.to_thread(backend.digest)
            digests.append(time.perf_counter() - started)
            started = time.perf_counter()
            await backend.reset()
            resets.append(time.perf_counter() - started)
    finally:
        await backend.stop()
    return resets, digests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--checkout", type=Path)
    parser.add_argument("--application", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.checkout:
            application = load_application(
                webarena_infinity.write(asked.application, asked.checkout, folder).with_name("application.toml")
            )
        else:
            application = own_application(folder)
        ways = {
            "request": application.state,
            "files alone": application.state.model_copy(update={"reset_request": ""}),
            "restart": application.state.model_copy(update={"reset_request": "", "reset": "restart"}),
        }
        found = {}
        for way, state in ways.items():
            changed = application.model_copy(update={"state": state})
            found[way] = asyncio.run(measured(changed, asked.rounds, folder / "cache"))
    slowest = median(found["restart"][0])
    print(f"{'way':12} {'reset ms':>9} {'digest ms':>10} {'times faster than a restart':>28}")
    for way, (resets, digests) in found.items():
        print(f"{way:12} {1000 * median(resets):9.1f} {1000 * median(digests):10.1f} {slowest / median(resets):28.1f}")


if __name__ == "__main__":
    main()
