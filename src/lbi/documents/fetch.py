"""A file, a folder or an address -> its bytes and text, or why none: Raw(name="docs/guide.md", content=b"...").

Nothing here raises for what lies at the place; only a place that does not exist, or may not be named, is a UserError.
"""

from __future__ import annotations

import os
import re
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lbi.errors import UserError
from lbi.records import Record
from lbi.storage.names import address_problem

if TYPE_CHECKING:
    import urllib.request

LARGEST = 10_000_000  # bytes of one file or page
MOST_FILES = 100_000  # of one folder, with those below it
DEEPEST = 50  # folders within each other
TIMEOUT = 30.0  # seconds for one web page, from first to last byte
#: endings that are found beside documents and hold none
# fmt: off
_NO_DOCUMENTS = frozenset((
    ".py", ".pyi", ".js", ".mjs", ".ts", ".css", ".scss", ".less", ".json", ".toml", ".yaml", ".yml", ".ini", ".cfg",
    ".conf", ".csv", ".tsv", ".xml", ".xsl", ".svg", ".sh", ".bat", ".c", ".h", ".cpp", ".rs", ".go", ".java", ".rb",
    ".php", ".sql", ".lock", ".log", ".map", ".po", ".pot", ".mo", ".ipynb", ".inv", ".in", ".j2", ".jinja", ".tmpl",
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".woff", ".woff2", ".ttf", ".pyc", ".so", ".zip", ".gz",
))
# fmt: on
#: files for programs by their whole name: recipes of builds and packages, which are found beside documents too
_BUILD_FILES = frozenset(
    (
        "makefile",
        "gnumakefile",
        "bsdmakefile",
        "cmakelists.txt",
        "dockerfile",
        "containerfile",
        "justfile",
        "rakefile",
        "gemfile",
        "pipfile",
        "procfile",
        "vagrantfile",
        "jenkinsfile",
        "robots.txt",
        "codeowners",
        "cname",
    )
)  # fmt: skip
_REQUIREMENTS = re.compile(r"(?:[\w.-]*[-_.])?(?:requirements|constraints)(?:[-_.][\w.-]*)?\.(?:txt|in)")
#: code that configures a documentation tool, where the tool's own start page lies beside it
_TOOL_CONFIG = "conf.py"
_START_PAGES = ("index.rst", "index.md", "index.txt", "contents.rst", "contents.txt")
_MAGIC = {
    b"%PDF": "a PDF; convert it to text first",
    b"PK\x03\x04": "an archive or office file; convert it to text first",
}
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class Skipped(Record):
    """What could not be read, and why not."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes as they came, and what is known about them."""

    name: str  # as it is shown and stored
    content: bytes
    ending: str = ""
    content_type: str = ""
    charset: str = ""


def raws(path: str, *, any_ending: bool, timeout: float, also: tuple[str, ...] = ()) -> Iterator[Raw | Skipped]:
    """What a file, a folder or an http(s) address holds, in order; without ``any_ending`` only likely documents.

    ``also`` are endings that count as documents besides.
    """
    if "://" in path:
        yield _fetch(path, timeout)
    else:
        yield from _local(_place(path), any_ending, also)


def decode(raw: Raw) -> str:
    """Text with ``\\n`` as the only line end. Raises ValueError for what is no text."""
    for magic, what in _MAGIC.items():
        if raw.content.startswith(magic):
            raise ValueError(what)
    encoding = next((name for bom, name in _BOMS.items() if raw.content.startswith(bom)), "")
    if not raw.content.strip():
        raise ValueError("empty")
    if not encoding and b"\0" in raw.content:
        raise ValueError("binary")
    for candidate in filter(None, (encoding, "" if encoding else "utf-8", raw.charset or _declared(raw.content))):
        try:
            text = raw.content.decode(candidate).removeprefix("\ufeff")
        except (UnicodeDecodeError, LookupError):
            continue
        return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    raise ValueError("not text in UTF-8, nor in an encoding that it declares")


def _declared(content: bytes) -> str:
    """The encoding that an HTML page says it is in."""
    declaration = re.search(
        rb"""<(?:meta|\?xml)[^>]{0,200}(?:charset|encoding)\s*=\s*["']?([\w.:-]+)""", content[:4_000], re.I
    )
    return declaration[1].decode("ascii") if declaration else ""


# files and folders


def _place(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # a home of nobody
        return Path(path)


def _local(path: Path, any_ending: bool, also: tuple[str, ...]) -> Iterator[Raw | Skipped]:
    """A file, or all files below a folder in order of their names. Names do not tell where on this machine they lie."""
    if path.is_dir():
        inside = os.path.basename(os.path.realpath(path))
        for file, problem in _walk(path):
            name = f"{inside}/{file.relative_to(path).as_posix()}"
            if problem:
                yield Skipped(source=name, reason=problem)
            elif not any_ending and (reason := _no_document(file, also)):
                yield Skipped(source=name, reason=reason)
            else:
                yield _load(file, name)
    elif path.exists():
        yield _load(path, path.name)
    else:
        raise UserError(f"no documents at {path}: there is no such file or folder; correct the path in the config")


def _no_document(file: Path, also: tuple[str, ...]) -> str:
    """Why a file that is found in a folder is no document, or ""."""
    name = file.name.lower()
    if name in _BUILD_FILES or _REQUIREMENTS.fullmatch(name):
        return "a build file, not a document"
    if name == _TOOL_CONFIG and any((file.parent / page).is_file() for page in _START_PAGES):
        return "configuration of a documentation tool, not a document"
    if file.suffix.lower() in _NO_DOCUMENTS.difference(also):
        return f"not a document by its ending {file.suffix}"
    return ""


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    """(file, "" or why it cannot be read) below a folder; hidden ones are none, links may not lead out of it."""
    inside, found = Path(os.path.realpath(root)), 0
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(
                    (each for each in listing if not each.name.startswith(".")), key=lambda each: each.name
                )
        except OSError as error:
            yield folder, f"cannot be listed: {error.strerror or error}"
            continue
        below = []
        for entry in entries:
            found += 1
            if found > MOST_FILES:
                yield Path(entry.path), f"the folder has more than {MOST_FILES:,} files, and the rest is not read"
                return
            if not entry.is_dir(follow_symlinks=False):
                yield Path(entry.path), _link_problem(entry, inside)
            elif depth < DEEPEST:
                below.append((Path(entry.path), depth + 1))
            else:
                yield Path(entry.path), f"more than {DEEPEST} folders deep"
        waiting += reversed(below)


def _link_problem(entry: os.DirEntry[str], inside: Path) -> str:
    """Why a file is not read that is a link; "" for any other."""
    if not entry.is_symlink():
        return ""
    if not Path(os.path.realpath(entry.path)).is_relative_to(inside):
        return "a link to outside of the folder"
    try:
        return "a link to a folder" if entry.is_dir() else ""
    except OSError:
        return "a link that leads in circles"


def _load(file: Path, name: str) -> Raw | Skipped:
    try:
        if not file.is_file():
            return Skipped(source=name, reason="not a regular file, or a broken link")
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
    except OSError as error:
        return Skipped(source=name, reason=f"cannot be read: {error.strerror or error}")
    if len(content) > LARGEST:
        return Skipped(source=name, reason=f"larger than {LARGEST:,} bytes")
    return Raw(name=name, content=content, ending=file.suffix.lower())


# the web


def _fetch(url: str, timeout: float) -> Raw | Skipped:
    """One page by http or https; redirects may not lead to any other scheme."""
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise UserError(f"cannot read documents from {url}: no address ({error})") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(
            f"cannot read documents from {url}: only http:// and https:// addresses, files and folders are read"
        )
    if parts.username or parts.password:
        raise UserError(
            f"the address of the documents at {parts.hostname} holds a user name or password, which would be "
            "stored with the run; save the pages to a folder and name that instead"
        )
    if problem := address_problem(url):
        raise UserError(f"cannot read documents from {url}: {problem}")
    import http.client

    try:
        return _download(url, timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Skipped(source=url, reason=f"cannot be fetched: {error or type(error).__name__}")


def _download(url: str, timeout: float) -> Raw:
    import urllib.request

    deadline = time.monotonic() + timeout
    request = urllib.request.Request(url, headers={"User-Agent": "learn-by-interact", "Accept": "text/*, */*;q=0.1"})
    with _opener().open(request, timeout=timeout) as response:
        content = bytearray()
        while chunk := response.read1(65_536):
            content += chunk
            if len(content) > LARGEST:
                raise ValueError(f"larger than {LARGEST:,} bytes")
            if time.monotonic() > deadline:
                raise ValueError(f"not complete after {timeout:g} seconds")
        kind, charset = response.headers.get_content_type(), response.headers.get_content_charset() or ""
    if not kind.startswith("text/") and kind not in ("application/xhtml+xml", "application/octet-stream"):
        raise ValueError(f"not a document but {kind}")
    return Raw(url, bytes(content), Path(urllib.parse.urlsplit(url).path).suffix.lower(), kind, charset)


def _opener() -> urllib.request.OpenerDirector:
    """Knows http and https and nothing else: no file, ftp or data addresses, also not by a redirect."""
    from urllib import request

    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPRedirectHandler,
        request.HTTPErrorProcessor,
        request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener
