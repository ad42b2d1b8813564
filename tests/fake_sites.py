"""Stand-ins for two of WebArena's sites: pages, a form, requests of scripts, as three of the real tasks need them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

GITLAB = """<title>Projects</title><h1>Projects</h1><a href="/dashboard/todos">To-Do List</a> <a href="FORUM">Forum</a>
<button onclick="fetch('/api/v4/user/status', {method: 'PUT', headers: {'Content-Type': 'application/json'},
  body: JSON.stringify({availability: 'busy', clear_status_after: null})})
  .then(() => { document.title = 'Busy'; })">Set yourself as busy</button>"""
TODOS = "<title>To-Do List</title><h1>To-Do List</h1><p>Nothing is left to do."
FORUM = """<title>Forum</title><h1>Forum</h1><a href="/user/MarvelsGrantMan136/edit_biography">Edit biography</a>"""
BIOGRAPHY = """<title>Biography</title><form method="post"><label>Biography
<textarea name="user_biography[biography]"></textarea></label><button>Save</button></form>"""
SHOP = """<title>Contact us</title><form id="search"><input name="q"></form>
<form id="contact-form" method="post" action="/contact/index/post"><input type="hidden" name="form_key" value="x">
<label>Name <input name="name" value="Emma Lopez"></label><label>Email <input name="email" value="emma.lopez@gmail.com">
</label><label>Message <textarea name="comment"></textarea></label><button>Submit</button></form>"""
LOGIN = """<title>Sign in</title><form method="post"><label>Username <input name="user"></label>
<label>Password <input name="password" type="password"></label><button>Sign in</button></form>"""


class Sites:
    """A server for each site, until ``close``; ``seen`` are the requests that came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self._servers = {name: ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, name)) for name in PAGES}
        self.url = {name: f"http://127.0.0.1:{server.server_port}" for name, server in self._servers.items()}
        for server in self._servers.values():
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def close(self) -> None:
        for server in self._servers.values():
            server.shutdown()
            server.server_close()


PAGES = {
    "gitlab": {"/": GITLAB, "/dashboard/todos": TODOS, "/users/sign_in": LOGIN},
    "reddit": {"/": FORUM, "/user/MarvelsGrantMan136/edit_biography": BIOGRAPHY, "/login": LOGIN},
    "shopping": {"/": SHOP},
}


def _handler(sites: Sites, site: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            sites.seen.append((site, "GET", path))
            page = PAGES[site].get(path, "")
            if site == "gitlab" and path == "/" and "user=" not in self.headers.get("Cookie", ""):
                self._answer(302, "", {"Location": "/users/sign_in"})
                return
            self._answer(
                200 if page else 404, page.replace("FORUM", sites.url["reddit"]), {"Content-Type": "text/html"}
            )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            sites.seen.append((site, "POST", self.path))
            user = parse_qs(body).get("user", [""])[0]
            cookie = {"Set-Cookie": f"user={user}; Path=/"} if user else {}
            self._answer(302, "", {"Location": "/", **cookie})

        def do_PUT(self) -> None:
            sites.seen.append((site, "PUT", self.path))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(200, json.dumps({"availability": "busy"}), {"Content-Type": "application/json"})

        def _answer(self, status: int, body: str, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    return Handler
