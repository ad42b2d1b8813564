#!/usr/bin/env bash
# Expected: webarena-verified takes a trace of Playwright (`tracing.stop(path="trace.zip")`) as the record of an episode,
# so it finds in it what was posted. What happens (webarena-verified 1.2.3, Playwright 1.65.0): Playwright keeps the body
# of a request in a file of its own within the archive and leaves the request's text empty, and the evaluator reads the
# text alone. It finds the request without a body, so a task that was done rightly scores 0: a failure of the agent, and no
# error. The HAR that Playwright writes of the same episode scores 1. Concerns whoever grades recorded episodes: tasks that
# check what was sent are lost, and those that only open a page are not, which looks like a weakness of the agent.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q webarena-verified==1.2.3 playwright==1.65.0
browser=$(command -v chromium-headless-shell || command -v chromium || true)
[ -n "$browser" ] || "$folder/venv/bin/playwright" install chromium-headless-shell >/dev/null
cd "$folder"
BROWSER="$browser" venv/bin/python - 2>log <<'PY' || { grep -E '^(changed|[A-Za-z]*Error)' log || tail -n 3 log; exit 1; }
import http.server
import json
import logging
import os
import threading
import zipfile
from importlib.metadata import distribution, version
from pathlib import Path

from playwright.sync_api import sync_playwright
from webarena_verified.api import WebArenaVerified
from webarena_verified.types.config import WebArenaVerifiedConfig

TASK = 400  # to change what a forum says of its user
wheel = distribution("webarena-verified")
tasks = json.loads(wheel.locate_file("webarena_verified/assets/dataset/webarena-verified.json").read_text())
check = next(each for each in tasks if each["task_id"] == TASK)["eval"][1]["expected"]
FORM = check["url"].removeprefix("__REDDIT__")
((FIELD, WORDS),) = check["post_data"].items()
PAGE = f'<form method="post" action="{FORM}"><input name="{FIELD}"><button>Save</button></form>'


class Forum(http.server.BaseHTTPRequestHandler):
    """The one form of the site that the task is about."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(302)
        self.send_header("Location", "/")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forum)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
with sync_playwright() as playwright:
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = playwright.chromium.launch(executable_path=os.environ["BROWSER"] or None, args=args)
    context = browser.new_context(record_har_path="episode.har", record_har_content="embed")
    context.tracing.start(snapshots=True)
    page = context.new_page()
    page.goto(address)
    page.fill("input", WORDS)
    page.click("button")
    page.wait_for_url(f"{address}/")
    context.tracing.stop(path="trace.zip")
    context.close()
    browser.close()

print("webarena-verified", version("webarena-verified"), "with playwright", version("playwright"))
with zipfile.ZipFile("trace.zip") as archive:
    for line in archive.read("trace.network").decode().splitlines():
        snapshot = json.loads(line).get("snapshot", {})
        if snapshot.get("request", {}).get("method") == "POST":
            told = snapshot["request"]["postData"]
            print("in the trace:", told)
            print("in the file that it names:", archive.read(told["_file"]).decode())

logging.disable(logging.CRITICAL)
settings = WebArenaVerifiedConfig.model_validate({"environments": {"__REDDIT__": {"urls": [address]}}})
evaluator = WebArenaVerified(config=settings)
answer = json.dumps({"task_type": "MUTATE", "status": "SUCCESS", "retrieved_data": None, "error_details": None})
for name, expected in (("episode.har", 1), ("trace.zip", 0)):
    result = evaluator.evaluate_task(task_id=TASK, agent_response=answer, network_trace=Path(name))
    print(f"{name}: score {result.score}, {result.status}")
    if result.score != expected or "error" in str(result.status).lower():
        raise SystemExit(f"changed: {name} scores {result.score} ({result.status}), no longer {expected}")
PY
echo "as described"
