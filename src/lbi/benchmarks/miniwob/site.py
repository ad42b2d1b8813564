"""The pages of the wheel ``miniwob`` on loopback: /miniwob/click-button.html?seed=0 begins its episode by itself."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from lbi.errors import UserError

#: milliseconds that a page gives an episode, in place of its own 5 to 50 seconds: how fast somebody thinks is no part
#: of what is measured. A page's timer takes no more than 2^31.
LONGEST = 2_000_000_000
#: Goes to the end of the page. When the page has loaded: no count-down, no score board, the problem of this seed.
BEGIN = """
<style>#reward-display, #click-canvas { display: none !important; }</style>
<script>
addEventListener('load', () => {
  core.countdownTimer = core.clearTimer = core.canvasDrawClick = core.canvasClear = () => {};
  core.EPISODE_MAX_TIME = %(longest)d;
  Math.seedrandom(%(seed)d);
  core.startEpisodeReal();
});
</script>
"""


def pages_folder(checkout: str = "") -> Path:
    """The folder ``html`` of the wheel, or of a checkout of it. Raises UserError where there is none."""
    if checkout:
        for folder in (Path(checkout), Path(checkout) / "html", Path(checkout) / "miniwob" / "html"):
            if (folder / "miniwob" / "click-button.html").is_file():
                return folder
        raise UserError(f"{checkout} holds no pages of MiniWoB++ (html/miniwob/click-button.html)")
    with contextlib.suppress(PackageNotFoundError):  # by the wheel, as anything may be called miniwob on the path
        folder = Path(str(distribution("miniwob").locate_file("miniwob/html")))
        if folder.is_dir():
            return folder
    raise UserError("the pages of MiniWoB++ are not installed: pip install 'learn-by-interact[miniwob]'")


class Site:
    """A server of the pages; ``url`` is its address. Nothing is ever changed there, so all workers share it."""

    def __init__(self, folder: Path) -> None:
        self._server = _Server(("127.0.0.1", 0), partial(_Pages, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True, name="miniwob").start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a browser that turns to another page drops what it was being sent."""


class _Pages(SimpleHTTPRequestHandler):
    """Serves files; into a task's page goes what begins the episode of the seed in its address."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        file = Path(self.translate_path(parts.path))
        seed = parse_qs(parts.query).get("seed", [""])[0]
        if parts.path.endswith(".html") and seed.isdigit() and file.is_file():
            self._send(begun(file.read_text("utf-8"), int(seed)).encode())
        else:
            super().do_GET()

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is for what the run has to say."""


def begun(page: str, seed: int) -> str:
    """A task's page that begins its episode by itself."""
    begin = BEGIN % {"longest": LONGEST, "seed": seed}
    head, end, rest = page.rpartition("</body>")
    return f"{head}{begin}{end}{rest}" if end else page + begin
