"""Logs of Inspect: `.eval`, a zip archive with a JSON document for each sample, or `.json`, one document with all.

    samples/lamps_epoch_1.json
    {"id": "lamps", "epoch": 1, "messages": [{"role": "user", "content": "Reserve two lamps."}, ...], "error": null,
     "attachments": {"9f0e...": "a long text"}, ...}

Archives are packed with Zstandard, which the zip archives of Python before 3.14 do not know, so that is done here. Long
texts stand once among the attachments. A sample with an error broke off: it teaches nothing.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import zstandard

from lbi.interop.chat import of_messages
from lbi.interop.events import Ended, Event, Left, Outage, Session
from lbi.interop.source import LARGEST_DOCUMENT, Broken, Json, Source, items, table, text

VERIFIED = "inspect_ai 0.3.285, .eval and .json, by a run of its own, 2026-11"

_ZSTD = 93
_HEADER = struct.Struct("<26xHH")  # of a file in an archive: the lengths of its name and its extra field
_ATTACHED = "attachment://"


def likelihood(source: Source) -> float:
    if not source.path.is_file():
        return 0.0
    if zipfile.is_zipfile(source.path):
        with zipfile.ZipFile(source.path) as archive:
            names = archive.namelist()
        return 1.0 if "header.json" in names or "_journal/start.json" in names else 0.0
    lines = source.head()
    return 1.0 if lines and isinstance(lines[0].get("eval"), dict) and "plan" in lines[0] else 0.0


def read(source: Source) -> Iterator[Event]:
    if not zipfile.is_zipfile(source.path):
        document = table(source.document())
        for sample in items(document.get("samples")):
            yield from _sample(sample, table(document.get("eval")))
        return
    with zipfile.ZipFile(source.path) as archive:
        names = archive.namelist()
        start = next((name for name in ("header.json", "_journal/start.json") if name in names), "")
        evaluation = table(table(_member(archive, start)).get("eval")) if start else {}
        for name in sorted(each for each in names if each.startswith("samples/") and each.endswith(".json")):
            try:
                sample = table(_member(archive, name))
            except (ValueError, zstandard.ZstdError, zipfile.BadZipFile):
                source.left_out["sample that cannot be unpacked"] += 1
                continue
            yield from _sample(sample, evaluation)


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    info = archive.getinfo(name)
    if info.file_size > LARGEST_DOCUMENT:
        raise Broken(f"{name} has over {LARGEST_DOCUMENT >> 20} MiB, which is too large to read")
    if info.compress_type != _ZSTD:
        return json.loads(archive.read(info))
    file = archive.fp
    if file is None:
        raise Broken("the archive is closed")
    file.seek(info.header_offset)
    lengths = _HEADER.unpack(file.read(_HEADER.size))
    file.seek(info.header_offset + _HEADER.size + sum(lengths))
    packed = file.read(info.compress_size)
    return json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(packed))


def _sample(sample: Json, evaluation: Json) -> Iterator[Event]:
    name = f"{text(evaluation.get('task')) or 'task'}/{text(sample.get('id'))}/{text(sample.get('epoch'))}"
    version = text(table(evaluation.get("packages")).get("inspect_ai"))
    yield Session(name, "inspect", version, text(evaluation.get("model")))
    attachments = table(sample.get("attachments"))
    messages = items(_with_attachments(sample.get("messages"), attachments))
    asked = [at for at, message in enumerate(messages) if message.get("role") == "user"]
    for at, message in enumerate(messages):
        if message.get("role") == "user" and message.get("source") != "input" and asked and at > asked[0]:
            yield Left("message that the harness wrote")  # such as "please proceed"
            continue
        yield from of_messages([message], start=at)
    if table(sample.get("error")):
        yield Outage("harness", text(table(sample["error"]).get("message")))
    elif table(sample.get("limit")):
        yield Ended(False)


def _with_attachments(value: Any, attachments: Json) -> Any:
    if isinstance(value, str) and value.startswith(_ATTACHED):
        return attachments.get(value.removeprefix(_ATTACHED), value)
    if isinstance(value, dict):
        return {key: _with_attachments(inner, attachments) for key, inner in value.items()}
    return [_with_attachments(inner, attachments) for inner in value] if isinstance(value, list) else value
