"""Seconds of each call of the web environment, of this version and of earlier ones side by side, in one run.

    python performance/web_versions.py [--before 926ffe4,7842d62] [--rounds 5] [--apps FOLDER] [--only trac,large,apps]
                                       [--large table,list,sections,cards]

Each version runs in a process of its own, from its sources at that commit, with the same Python, packages and browser.
They take turns at every single call, in another order each round, so that what else the machine does falls on all of
them alike; so the ratios are to be believed, and the seconds only as far as the load allows. Measured are

- Trac: a reset to a page, loads of pages (goto), a click on a link, filling a box; and how long this version takes to
  compare a page's controls with what is offered (`lbi check page`), which earlier ones could not;
- four pages of 20,000 elements (a table, a list, many short lists, cards that listen for clicks), served by this
  program: a reset to the page, a click and a fill on it;
- with --apps (the folder ``apps`` of a checkout of WebArena-Infinity): steps on single-page applications. What is used
  is chosen by chance of what the version's own page offers, with the same seed; this version also puts the server's
  state back and asks for its digest after each step, which earlier ones could not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from lbi.environments.web.browser import find_chromium

HERE = Path(__file__).resolve().parent
NOW = "now"
PAGES = ("/wiki/TracGuide", "/wiki", "/report", "/newticket", "/roadmap", "/report/1", "/search", "/ticket/1")
APPLICATIONS = ("gitlab-plan-and-track", "gmail-accounts-and-contacts", "xero-invoicing")
STEPS = 12  # on an application, in a round
ELEMENT = re.compile(r'(\w+) "[^"]+" \[(e\d+)\](?! \(disabled)')
BOX = re.compile(r"(?:textbox|searchbox)(?: \"[^\"]*\")? \[(e\d+)\]")


@dataclass
class Version:
    """One version of the package at work on one site."""

    name: str
    process: subprocess.Popen[str]
    seconds: dict[str, list[float]] = field(default_factory=dict)
    text: str = ""

    def call(self, kind: str, what: str, value: str) -> str:
        """The error of the call; its time counts as one of ``kind`` where there is none."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([what, value]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"version {self.name} ended")
        seconds, self.text, error = json.loads(answer)
        if not error:
            self.seconds.setdefault(kind, []).append(seconds)
        return str(error)

    def box(self) -> str:
        found = BOX.search(self.text)
        if not found:
            raise SystemExit(f"version {self.name} shows no text box")
        return found[1]


def sources(commit: str, folder: Path) -> Path:
    """Unpack the sources of a commit; their folder."""
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", commit, "src"], cwd=HERE.parent, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder / "src"


@contextmanager
def started(packages: dict[str, Path], site: dict[str, str] | str) -> Iterator[list[Version]]:
    """Each version, at work on the site: one for all, or one for each version by its name."""
    versions: list[Version] = []
    try:
        for name, package in packages.items():
            named = site if isinstance(site, str) else site[name]
            process = subprocess.Popen(
                [sys.executable, str(HERE / "web_steps.py"), named],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(package)},
            )
            assert process.stdout
            versions.append(Version(name, process))
            if process.stdout.readline().strip() != "ready":
                raise SystemExit(f"version {name} does not start")
        yield versions
    finally:
        for version in versions:
            assert version.process.stdin
            version.process.stdin.close()
            version.process.wait(60)


def forget(versions: list[Version]) -> None:
    """What was measured so far, as caches were cold."""
    for version in versions:
        version.seconds.clear()


# -- the three kinds of sites ------------------------------------------------------------------------------------------


def trac(packages: dict[str, Path], rounds: int) -> None:
    with started(packages, "trac") as versions:
        for number in range(rounds + 1):
            turn = random.Random(number)
            for version in turn.sample(versions, len(versions)):
                version.call("reset", "reset", "/newticket")
            for text in range(6):
                for version in turn.sample(versions, len(versions)):
                    version.call("fill", "step", f'fill({version.box()}, "text {number} {text}")')
            for page in PAGES:
                for version in turn.sample(versions, len(versions)):
                    version.call("load", "step", f'goto("{page}")')
                versions[0].call("coverage", "coverage", "")
            for link in ("Wiki", "Roadmap", "View Tickets", "Timeline"):
                for version in turn.sample(versions, len(versions)):
                    if error := version.call("click", "step", f'click(link "{link}")'):
                        raise SystemExit(f"version {version.name}: {error}")
            if number == 0:
                forget(versions)
        table("Trac", versions)


def table_page() -> str:
    """2,000 rows of ten elements."""
    rows = (
        f'<tr><td><input type=checkbox aria-label="choose {n}"></td><td><a href="/item/{n}">Item {n}</a></td>'
        f"<td>{n * 7 % 100} pieces</td><td><span>shelf {n % 12}</span></td><td><button>Edit</button></td></tr>"
        for n in range(2000)
    )
    return f"<table>{''.join(rows)}</table>"


def list_page() -> str:
    return f"<ul>{''.join(f'<li><button>Open number {n}</button></li>' for n in range(10_000))}</ul>"


def cards_page() -> str:
    """4,000 cards of five elements, which listen for clicks."""
    return """<style>.all{display:flex;flex-wrap:wrap}.card{cursor:pointer;padding:4px;width:200px;position:relative}
.mark{position:absolute;right:2px;opacity:.8}.card:hover .mark{opacity:1}</style><div class=all id=all></div><script>
for (let n = 0; n < 4000; n++) {
  const card = document.createElement('div');
  card.className = 'card';
  card.innerHTML = `<div class=title>Card ${n}</div><div class=by>by <b>Ann ${n % 9}</b></div><i class=mark>*</i>`;
  card.addEventListener('click', () => { document.title = `card ${n}`; });
  document.getElementById('all').append(card);
}
</script>"""


def sections_page() -> str:
    """500 short lists under a heading each."""
    parts = (
        f"<section><h2>Part {part}</h2><ul>"
        + "".join(f'<li><a href="/{part}/{n}">Entry {n}</a> <span>{n} notes</span></li>' for n in range(12))
        + "</ul></section>"
        for part in range(500)
    )
    return "".join(parts)


LARGE = {"table": table_page, "list": list_page, "sections": sections_page, "cards": cards_page}


HEAD = """<!doctype html><title>Large</title><input aria-label=Search><button onclick="this.title = 'x'">Go</button>"""


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        made = LARGE.get(self.path.strip("/"))
        body = (
            "<!doctype html><title>Large</title><input aria-label=Search><button onclick=\"this.title='x'\">Go</button>"
        )
        body += made() if made else ""
        written = body.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *_: object) -> None:
        pass


def large(packages: dict[str, Path], rounds: int, kinds: list[str]) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with started(packages, f"http://127.0.0.1:{server.server_port}") as versions:
        for version in versions:
            version.call("warm", "reset", "/")
        for kind in kinds:
            forget(versions)
            for number in range(rounds):
                turn = random.Random(number)
                for version in turn.sample(versions, len(versions)):
                    version.call("reset", "reset", f"/{kind}")
                    for _ in range(2):
                        version.call("fill", "step", f'fill({version.box()}, "text {number}")')
                        version.call("click", "step", 'click(button "Go")')
            table(f"20,000 elements, {kind}", versions)
    server.shutdown()


def application(folder: Path, whole: bool, into: Path) -> Path:
    """An application's file; ``whole`` for versions that know how to put it back."""
    start = ["/bin/sh", "-c", f"cd {folder} && exec python3 server.py --port {{port}}"]
    lines = [f"name = {json.dumps(folder.name)}", f"start = {json.dumps(start)}", 'health = "/"', 'start_url = "/"']
    if whole:
        lines += ["[state]", 'reset_request = "POST /api/reset"', 'digest_url = "/api/state"']
    into.mkdir(parents=True)
    file = into / "application.toml"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def apps(packages: dict[str, Path], rounds: int, folder: Path, scratch: Path) -> None:
    for name in APPLICATIONS:
        files = {each: str(application(folder / name, each == NOW, scratch / each / name)) for each in packages}
        with started(packages, files) as versions:
            for number in range(rounds + 1):
                chances = {version.name: random.Random(number) for version in versions}
                for version in versions:
                    version.call("reset", "reset", "/")
                for _ in range(STEPS):
                    for version in versions:
                        walk(version, chances[version.name])
                versions[0].call("coverage", "coverage", "")
                if number == 0:
                    forget(versions)
            table(name, versions)


def walk(version: Version, chance: random.Random) -> None:
    """One step on something that the page offers; one that is refused is not counted."""
    boxes, others = BOX.findall(version.text), ELEMENT.findall(version.text)
    if boxes and chance.random() < 0.3:
        version.call("step", "step", f'fill({chance.choice(boxes)}, "a{chance.randrange(100)}")')
    else:
        usable = [ref for role, ref in others if role not in ("textbox", "searchbox", "combobox")]
        version.call("step", "step", f"click({chance.choice(usable)})" if usable else "back()")


def table(site: str, versions: list[Version]) -> None:
    """Medians in seconds, and ratios of this version's to each other's."""
    now = versions[0]
    for kind, times in now.seconds.items():
        line = f"| {site} | {kind} | {len(times)} | {median(times):.3f} |"
        for other in versions[1:]:
            theirs = other.seconds.get(kind)
            line += f" {median(theirs):.3f} | {median(times) / median(theirs):.2f} |" if theirs else " - | - |"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default="926ffe4,7842d62", help="commits of this repository")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--apps", type=Path)
    parser.add_argument("--only", default="trac,large,apps")
    parser.add_argument("--large", default=",".join(LARGE), help="which of the pages of 20,000 elements")
    options = parser.parse_args()
    only = options.only.split(",")
    before = [commit for commit in options.before.split(",") if commit]
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, browser {find_chromium() or 'own'}; medians in seconds"
    )
    print("| site | call | times | now |" + "".join(f" {commit} | ratio |" for commit in before))
    print("|---|---|---|---|" + "---|---|" * len(before), flush=True)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lbi-versions-")))
        packages = {NOW: HERE.parent / "src", **{commit: sources(commit, scratch / commit) for commit in before}}
        if "trac" in only:
            trac(packages, options.rounds)
        if "large" in only:
            large(packages, max(1, options.rounds // 2), options.large.split(","))
        if "apps" in only and options.apps:
            apps(packages, options.rounds, options.apps.resolve(), scratch / "applications")
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
