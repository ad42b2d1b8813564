"""Writes a rollout by a tiny real run of Codex, which asks a scripted model server of ours on loopback.

    python make_codex.py OUT.jsonl CODEX_BINARY        (tried with codex 0.171.0 of the npm package @openai/codex)

What tells of the machine (the folder, instructions of the program's own) is shortened in what is kept.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

FOLDER = "/tmp/shop"  # in place of the temporary folder in which it ran


def says(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": content}


def calls(number: int, name: str, given: dict[str, Any]) -> dict[str, Any]:
    call = {"type": "function_call", "id": f"f{number}", "call_id": f"call_{number}", "name": name}
    return call | {"arguments": json.dumps(given), "status": "completed"}


SCRIPT = [
    [says("Let me see."), calls(1, "exec_command", {"cmd": "cat total.py"})],
    [calls(2, "exec_command", {"cmd": "sed -i 's|discount / 2|discount|' total.py && python3 total.py"})],
    [calls(3, "exec_command", {"cmd": "cat missing.txt"})],
    [says("The discount was halved; it is right now.")],
]


class Server(BaseHTTPRequestHandler):
    asked: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(json.loads(body))
        number = min(len(self.asked), len(SCRIPT)) - 1
        usage = {"input_tokens": 100 + number, "output_tokens": 20, "total_tokens": 120 + number}
        usage |= {"input_tokens_details": {"cached_tokens": 50}, "output_tokens_details": {"reasoning_tokens": 0}}
        response = {"id": f"resp_{number}", "object": "response", "status": "completed", "output": [], "usage": usage}
        events = [("response.created", {"response": {**response, "status": "in_progress"}})]
        for at, item in enumerate(SCRIPT[number]):
            events.append(("response.output_item.done", {"output_index": at, "item": item}))
        events.append(("response.completed", {"response": {**response, "output": SCRIPT[number]}}))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for name, data in events:
            self.wfile.write(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n".encode())

    def do_GET(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return None


def main(out: Path, codex: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        home, shop = Path(folder) / "home", Path(folder) / "shop"
        home.mkdir()
        shop.mkdir()
        (shop / "total.py").write_text("items, discount = [60, 40], 20\nprint(sum(items) - discount / 2)\n")
        (home / "config.toml").write_text(
            'model = "test-model"\nmodel_provider = "test"\n[model_providers.test]\nname = "test"\n'
            f'base_url = "http://127.0.0.1:{server.server_port}/v1"\nwire_api = "responses"\n'
        )
        options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
        task = "The total of an order with a discount is wrong. Correct it."
        variables = {"PATH": os.environ["PATH"], "HOME": folder, "CODEX_HOME": str(home)}
        ran = subprocess.run(
            [codex, "exec", *options, task], cwd=shop, env=variables, capture_output=True, text=True, timeout=120
        )
        print(ran.stdout[-500:], ran.stderr[-1500:], len(Server.asked), file=sys.stderr)
        (rollout,) = home.rglob("rollout-*.jsonl")
        lines = [shortened(json.loads(line)) for line in rollout.read_text().splitlines()]
        text = "".join(json.dumps(line) + "\n" for line in lines).replace(str(shop), FOLDER).replace(folder, "/tmp/run")
        out.write_text(text)


def shortened(value: Any) -> Any:
    """Long texts of the program's own are cut."""
    if isinstance(value, dict):
        return {key: shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shortened(inner) for inner in value]
    return value[:80] + " ..." if isinstance(value, str) and len(value) > 300 else value


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2])
