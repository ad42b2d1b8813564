"""A secret -> the ways in which applications, servers and files write it: to look for it wherever it must not be."""

from __future__ import annotations

import base64
import html
import json
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow.parquet
import zstandard

NAMED = {"&": "amp", '"': "quot", "=": "equals", "%": "percnt", "/": "sol", "+": "plus", "é": "eacute", "<": "lt"}


def forms(secret: str) -> Iterator[str]:
    """Each way to write a secret, as a whole text."""
    utf8 = secret.encode()
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower())
    yield from ("".join(f"%{byte:02X}" for byte in utf8), "".join(f"%{byte:02x}" for byte in utf8))
    yield from (quote(quote(secret, safe=""), safe=""), quote_plus(quote_plus(secret)))
    yield from (html.escape(secret), html.escape(secret, quote=False), html.escape(html.escape(secret)))
    yield "".join(f"&{NAMED[char]};" if char in NAMED else char for char in secret)
    yield "".join(f"&#{ord(char)};" for char in secret)
    yield from ("".join(f"&#x{ord(char):x};" for char in secret), "".join(f"&#X{ord(char):04X};" for char in secret))
    for ascii_only in (True, False):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        twice = json.dumps(once, ensure_ascii=ascii_only)[1:-1]
        yield from (once, once.replace("/", "\\/"), twice, json.dumps(twice)[1:-1])
    units = secret.encode("utf-16-be")
    yield "".join(f"\\u{units[at : at + 2].hex().upper()}" for at in range(0, len(units), 2))
    yield "".join(f"\\x{byte:02x}" for byte in utf8)
    yield from (repr(secret)[1:-1], ascii(secret)[1:-1], repr(utf8)[2:-1], utf8.hex(), utf8.hex().upper())
    yield from (secret.replace('"', '""'), unicodedata.normalize("NFD", secret), secret.upper(), secret.lower())
    yield from encoded(secret)


def encoded(secret: str) -> Iterator[str]:
    """In Base64, what is certain to be in it whatever stands before and after."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            text = encode(bytes(before) + secret.encode()).decode().rstrip("=")
            known = (before + len(secret.encode())) * 8 // 6
            yield text[-(-before * 8 // 6) : known]


def found(secret: str, text: str) -> list[str]:
    """The forms of a secret that a text shows."""
    unwrapped = "".join(text.split())
    return [form for form in dict.fromkeys(forms(secret)) if form in text or form in unwrapped]


def texts_in(folder: Path) -> Iterator[tuple[str, str]]:
    """(where, text) of all files below a folder: as bytes, databases by cell, packed cells unpacked, Parquet by row."""
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        yield str(file), file.read_bytes().decode("latin-1")
        yield str(file), file.read_bytes().decode("utf-8", "replace")
        if file.suffix == ".db":
            yield from _cells(file)
        elif file.suffix == ".parquet":
            yield str(file), str(pyarrow.parquet.read_table(file).to_pylist())


def _cells(file: Path) -> Iterator[tuple[str, str]]:
    unpack = zstandard.ZstdDecompressor()
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    if isinstance(cell, bytes):
                        packed = cell.startswith(b"\x28\xb5\x2f\xfd")
                        cell = (unpack.decompress(cell) if packed else cell).decode("utf-8", "replace")
                    yield f"{file} {table}", str(cell)
