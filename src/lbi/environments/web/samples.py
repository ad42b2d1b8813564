"""Files to upload: of the name that an agent gives, or of a kind that the page accepts."""

from __future__ import annotations

import io
import mimetypes
import zipfile
import zlib
from pathlib import Path

TEXT = "A short text file to upload.\n"
#: what is offered first where a page takes anything, and for kinds of which only the group is told
COMMON = ("note.txt", "picture.png", "page.pdf", "table.csv", "data.json", "archive.zip", "sound.wav", "page.html")


def fits(name: str, accept: str) -> bool:
    """Whether a file of this name is among what HTML's ``accept`` lists; everything is where it lists nothing."""
    kinds = [kind.strip().lower() for kind in accept.split(",") if kind.strip()]
    own = (mimetypes.guess_type(name)[0] or "").lower()
    return not kinds or any(
        name.lower().endswith(kind) if kind.startswith(".") else _matches(own, kind) for kind in kinds
    )


def _matches(own: str, kind: str) -> bool:
    return kind == "*/*" or own == kind or (kind.endswith("/*") and own.startswith(kind[:-1]))


def name_for(accept: str) -> str:
    """A name of a file that fits ``accept``."""
    for name in COMMON:
        if fits(name, accept):
            return name
    for kind in accept.split(","):
        kind = kind.strip().lower()
        ending = kind if kind.startswith(".") else mimetypes.guess_extension(kind.replace("/*", "/mpeg")) or ""
        if ending:
            return f"file{ending}"
    return COMMON[0]


def write(folder: Path, name: str, text: str = "") -> Path:
    """Write the file; ``text`` is its content, else a small valid one of its kind where we know how."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (Path(name.replace("\\", "/")).name.lstrip(".") or "note.txt")
    file.write_bytes(text.encode("utf-8", "replace") if text else _content(file.suffix.lower()))
    return file


def _content(ending: str) -> bytes:
    if ending == ".png":
        return _png()
    if ending == ".pdf":
        return _PDF
    if ending in (".zip", ".xlsx", ".docx", ".jar"):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            archive.writestr("note.txt", TEXT)
        return held.getvalue()
    known = {
        ".csv": "name,number\none,1\ntwo,2\n",
        ".json": '{"name": "one", "number": 1}\n',
        ".html": "<!doctype html><title>Note</title><p>A short page to upload.</p>\n",
        ".xml": "<note>A short text to upload.</note>\n",
        ".svg": '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>\n',
    }
    return known.get(ending, TEXT).encode()


def _png() -> bytes:
    """A grey picture of eight by eight."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = (8).to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    rows = zlib.compress((b"\0" + b"\x80" * 8) * 8)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


_PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
