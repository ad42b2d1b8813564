"""A small web application in one TOML file: items on shelves, with a form; its documents, its tasks and a config."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

APPLICATION = """
name = "larder"
description = "What is in the larder"
start = ["{python}", "{state}/serve.py", "{state}/larder.db", "{port}"]
health = "/"
start_url = "/"

[prepare]
script = '''
import pathlib, sqlite3
base = sqlite3.connect("larder.db")
base.execute("CREATE TABLE item (name TEXT, shelf TEXT)")
base.executemany("INSERT INTO item VALUES (?, ?)", [("Rice", "top"), ("Honey", "bottom")])
base.commit()
pathlib.Path("serve.py").write_text(r\"\"\"
import html, http.server, sqlite3, sys, urllib.parse
class Larder(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        base = sqlite3.connect(sys.argv[1])
        rows = base.execute("SELECT name, shelf FROM item ORDER BY name").fetchall()
        base.close()
        if self.path == "/new":
            self.say("New item", '<form method=post action=/new><label>Name <input name=name></label><label>Shelf '
                '<select name=shelf><option>top<option>bottom</select></label><button>Store item</button></form>')
        elif self.path == "/count":
            self.say("Count", f"<p>There are {len(rows)} items in the larder.</p>")
        else:
            items = "".join(f"<li>{html.escape(name)} on the {shelf} shelf</li>" for name, shelf in rows)
            self.say("Larder", f"<ul>{items}</ul>")
    def do_POST(self):
        given = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if given.get("name"):
            base = sqlite3.connect(sys.argv[1])
            base.execute("INSERT INTO item VALUES (?, ?)", (given["name"][0], given["shelf"][0]))
            base.commit()
            base.close()
        self.send_response(303)
        self.send_header("Location", "/")
        self.end_headers()
    def say(self, title, body):
        links = '<a href="/">Larder</a> <a href="/new">New item</a> <a href="/count">Count items</a>'
        colour = "#ffe4b5" if title == "Larder" else "#b5e4ff"
        style = f"<style>html {{ background: {colour} }}</style>"
        page = f"<title>{title}</title>{style}{links}<h1>{title}</h1>{body}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Larder).serve_forever()
\"\"\")
'''

[state]
database = "larder.db"
"""

DOCUMENTS = {
    "storing": 'To store something, choose "New item", enter its name, choose a shelf and press "Store item".',
    "looking": 'The page "Larder" lists everything that is there, with the shelf that it is on, ordered by name.',
    "counting": 'How many items there are is shown by "Count items". It counts both shelves together.',
}

BENCHMARK = """
name = "larder-tasks"
application = "larder.toml"

[[task]]
name = "store-flour"
category = "items"
level = 1
instruction = 'Store an item with the name "Flour" on the shelf "bottom".'
gold = ['click(link "New item")', 'fill(textbox "Name", "Flour")', 'select(combobox "Shelf", "bottom")',
        'click(button "Store item")', 'finish("")']
[task.check]
sql = "SELECT name || ' ' || shelf FROM item WHERE name NOT IN ('Rice', 'Honey')"
equals = "Flour bottom"

[[task]]
name = "count"
category = "questions"
level = 1
instruction = "How many items are in the larder?"
gold = ['click(link "Count items")', 'finish("2")']
[task.check]
answer = ["2"]
"""

CONFIG = """
name = "larder"
application = "larder.toml"
benchmark = "tasks.toml"
workers = 2

[[documents]]
path = "docs"

[synthesis]
tasks_per_document = 2
rollouts = 6
step_limit = 6
spans_per_trajectory = 4
compose = 2

[labelling]
spans = "informative"

[evaluation]
step_limit = 5
arms = [
    { name = "baseline", agent = "react" },
    { name = "rag", agent = "rag" },
    { name = "forward", agent = "icl", data = "forward" },
    { name = "backward", agent = "icl", data = "backward" },
    { name = "backward + composed", agent = "icl", data = "composed" },
    { name = "labels shuffled", agent = "icl", data = "shuffled" },
]
"""


def write_application(folder: Path) -> Path:
    """Application, documents, tasks and config in a folder; returns the config."""
    (folder / "docs").mkdir(parents=True)
    for name, text in DOCUMENTS.items():
        (folder / "docs" / f"{name}.md").write_text(f"# {name.capitalize()}\n\n{text}\n")
    for name, text in (("larder", APPLICATION), ("tasks", BENCHMARK), ("run", CONFIG)):
        (folder / f"{name}.toml").write_text(text)
    return folder / "run.toml"


@contextmanager
def running_application(folder: Path) -> Iterator[str]:
    """The application as somebody else runs it: its address, for as long as this is entered."""
    folder.mkdir()
    prepare = tomllib.loads(APPLICATION)["prepare"]["script"]
    subprocess.run([sys.executable, "-c", prepare], cwd=folder, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen([sys.executable, "serve.py", "larder.db", str(port)], cwd=folder)
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
