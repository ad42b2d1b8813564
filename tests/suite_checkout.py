"""A checkout of a suite with one small application of our own that speaks WebArena-Infinity's protocol."""

from __future__ import annotations

import json
from pathlib import Path

#: as the suite's servers: every interface, state in memory, pushed by the page, asked by verifiers
SERVER = """
import http.server, json, queue, socketserver, sys, threading

class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

state, seed, clients, lock = None, None, [], threading.Lock()

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_PUT(self):
        global state, seed
        state = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        seed = seed or json.dumps(state)
        self.say({"status": "ok"})
    def do_POST(self):
        global state
        state = json.loads(seed) if seed else None
        with lock:
            for each in clients:
                each.put("reset")
        self.say({"status": "ok"})
    def do_GET(self):
        if self.path == "/api/state":
            self.say(state or {"error": "no state"}, 200 if state else 404)
        elif self.path == "/api/events":
            self.events()
        else:
            super().do_GET()
    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        mine = queue.Queue()
        with lock:
            clients.append(mine)
        try:
            while True:
                self.wfile.write(f"data: {mine.get()}\\n\\n".encode())
                self.wfile.flush()
        except OSError:
            clients.remove(mine)
    def say(self, value, status=200):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *words): pass

Threaded(("", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
PAGE = """<!doctype html><title>Plants</title><link rel=stylesheet href=css/style.css><div id=app></div>
<script src=js/app.js></script>"""
SCRIPT = """
const KEY = 'plants';
const first = [{name: 'Fern', watered: false}, {name: 'Ivy', watered: true}];
let plants = JSON.parse(localStorage.getItem(KEY) || 'null') || first;
function push() {
  localStorage.setItem(KEY, JSON.stringify(plants));
  fetch('/api/state', {method: 'PUT', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({plants})});
}
function draw() {
  const list = plants.map((plant, i) => `<li><label><input type=checkbox ${plant.watered ? 'checked' : ''}
    onchange="plants[${i}].watered = this.checked; push()"> ${plant.name} watered</label></li>`).join('');
  app.innerHTML = location.hash === '#/new'
    ? '<h1>New plant</h1><label>Name <input id=name></label><button onclick="add()">Save plant</button>'
    : `<h1>Plants</h1><ul>${list}</ul><button onclick="location.hash = '#/new'">New plant</button>`;
}
function add() {
  plants.push({name: document.getElementById('name').value, watered: false});
  push();
  location.hash = '';
}
addEventListener('hashchange', draw);
new EventSource('/api/events').onmessage = (event) => {
  if (event.data === 'reset') { localStorage.removeItem(KEY); location.reload(); } };
draw(); push();
"""
ASKED = """
import json, urllib.request

def verify(server_url):
    with urllib.request.urlopen(f"{server_url}/api/state") as reply:
        plants = {plant["name"]: plant["watered"] for plant in json.load(reply)["plants"]}
"""
VERIFIERS = {
    "task_e1": ASKED + "    return plants['Fern'] is True, f\"the fern is {plants['Fern']}\"\n",
    "task_m1": ASKED + "    return plants.get('Moss') is True, f'the moss is {plants.get(\"Moss\")}'\n",
    "task_crash": ASKED + "    return plants['Palm'], 'there is a palm'\n",
    "task_odd": "def verify(server_url):\n    return 'yes'\n",
    "task_import": "import nowhere\n",
    "task_quits": "import sys\n\ndef verify(server_url):\n    sys.exit(1)\n",
}
TASKS = [
    ("task_e1", "easy", "Water the Fern."),
    ("task_m1", "medium", 'Add a plant called "Moss" and water it.'),
]
GOLD = {
    "task_e1": ['click(checkbox "Fern watered")', 'finish("")'],
    "task_m1": [
        'click(button "New plant")',
        'fill(textbox "Name", "Moss")',
        'click(button "Save plant")',
        'click(checkbox "Moss watered")',
        'finish("")',
    ],
}
MANUAL = {
    "plants/index.md": "# Plants\n\nHow to look after them.\n\n"
    "- [Watering](care/watering.md#when)\n- [Adding](care/adding.md)\n- [Gone](gone.md)\n",
    "plants/care/watering.md": '# Watering\n\n"Plants" lists all plants. To say that one is watered, tick it.\n',
    "plants/care/adding.md": '# Adding\n\nTo add one, press "New plant", enter its name and press "Save plant".\n',
}


def write_checkout(folder: Path, name: str = "plants", more: tuple[str, ...] = ()) -> Path:
    """The checkout. ``more`` are verifiers that become tasks too."""
    place = folder / "apps" / name
    for path, text in {
        "server.py": SERVER,
        "index.html": PAGE,
        "js/app.js": SCRIPT,
        "css/style.css": "li { list-style: none }",
        "APP_DESCRIPTION.md": "# Plants\n\nPlants and when they were watered.\n",
        "Dockerfile": "FROM scratch\n",
        "sanity_check_real.py": "raise SystemExit\n",
        **{f"real-tasks/{task}.py": text for task, text in VERIFIERS.items()},
    }.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    tasks = [*TASKS, *((task, "hard", f"Do {task}.") for task in more)]
    rows = [
        {"id": task, "difficulty": level, "instruction": text, "verify": f"real-tasks/{task}.py"}
        for task, level, text in tasks
    ]
    (place / "real-tasks.json").write_text(json.dumps(rows))
    for path, text in MANUAL.items():
        page = folder / "apps" / "user-manuals" / path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    (folder / "infra").mkdir()
    manifest = [
        {"env_id": "other", "docs_path": "x"},
        {"env_id": name, "docs_path": "apps/user-manuals/plants/index.md"},
    ]
    (folder / "infra/env_manifest.jsonl").write_text("\n".join(map(json.dumps, manifest)))
    return folder
