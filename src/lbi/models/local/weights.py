"""A choice -> weights on this machine's disk: fetched from the hub or the mirror, checked, made fit."""

from __future__ import annotations

import importlib.util
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from lbi.models.local import hub, mirror
from lbi.models.local.catalog import EngineName, Entry
from lbi.models.local.choice import Choice, hash_of
from lbi.models.local.failures import LocalFailure
from lbi.models.local.gguf import header_of
from lbi.models.local.requantise import requantise
from lbi.models.local.server import Weights
from lbi.models.local.store import check_room, disk_errors, folder_of, locked
from lbi.storage.files import write_atomically

Say = Callable[[str], None]
NEEDED: dict[EngineName, tuple[str, ...]] = {
    "llama.cpp": ("xllamacpp",),
    "openvino": ("openvino_genai", "openvino_tokenizers", "gguf"),
}
_PART, _MADE = "weights.part", "q8_0.json"
_FORMAT = 1  # of what is made for an engine; another number has it made anew


def obtain(choice: Choice, say: Say, fetch: mirror.Fetch | None = None) -> Weights:
    """Blocking, minutes the first time. Raises LocalFailure."""
    check_installed(choice.engine)
    file = choice.file if choice.entry is None else fetched(choice.entry, say, fetch)
    assert file is not None
    if choice.engine == "openvino":
        file = _at_eight_bits(choice, file, say)
    header = header_of(file)
    if header.kind == "adapter":
        raise LocalFailure(
            "cannot be loaded", f"{file} is an adapter; write it behind its model: local:NAME+{file.name}"
        )
    return Weights(f"local:{choice.spec}", file, header, choice.engine, choice.adapter)


def check_installed(engine: EngineName) -> None:
    """Raises LocalFailure ("extra not installed")."""
    lacking = [name for name in NEEDED[engine] if importlib.util.find_spec(name) is None]
    if lacking:
        raise LocalFailure(
            "extra not installed",
            f"{engine} needs {' and '.join(lacking)}: pip install 'learn-by-interact[local]'",
        )


def fetched(entry: Entry, say: Say, fetch: mirror.Fetch | None = None) -> Path:
    """The weights as published. What lies here already is checked, too: it may have been damaged or replaced."""
    file = folder_of(entry.name) / entry.file
    with locked(file.parent) as folder:
        if file.exists():
            if file.stat().st_size == entry.size and hash_of(file) == entry.sha256:
                return file
            say(f"{file} is not what the catalogue says (its hash differs); fetching it again")
            file.unlink()
        part = folder / _PART
        check_room(folder, entry.size - (part.stat().st_size if part.exists() else 0))
        _from_hub_or_mirror(entry, part, say, fetch)
        if hash_of(part) != entry.sha256:
            part.unlink()
            raise LocalFailure(
                "wrong hash",
                f"what was fetched for {entry.name} is not the file that the catalogue names; it was deleted. Start "
                "the same command again; if that does not help, whoever publishes it has changed it",
            )
        part.rename(file)
    return file


def _from_hub_or_mirror(entry: Entry, part: Path, say: Say, fetch: mirror.Fetch | None) -> None:
    """The hub first, as it is the original; a fetch that began at the mirror is ended there."""
    reason = ""
    if not part.exists():
        say(f"fetching {entry.name} ({entry.size / 1e6:.0f} MB, licence {entry.licence}) from the hub, {entry.hub}")
        try:
            hub.fetch(entry.hub, entry.file, part.parent / "hub").rename(part)
        except LocalFailure as error:
            reason = str(error)
        else:
            shutil.rmtree(part.parent / "hub", ignore_errors=True)
            return
    if not entry.pieces:
        raise LocalFailure("cannot be fetched", f"{reason}; {entry.name} has no mirror")
    if reason:
        say(f"{reason.partition(': ')[2]}; using the mirror")
    mirror.join(entry.pieces, part, say, fetch)
    shutil.rmtree(part.parent / "hub", ignore_errors=True)


def _at_eight_bits(choice: Choice, file: Path, say: Say) -> Path:
    """The weights as OpenVINO reads them, made once for each file."""
    source = choice.entry.sha256 if choice.entry is not None else hash_of(file)
    with locked(folder_of(choice.entry.name if choice.entry else f"file-{source[:16]}")) as folder:
        made, note = folder / "q8_0.gguf", folder / _MADE
        if made.exists() and note.exists() and _is_made_of(note, made, source):
            return made
        check_room(folder, 2 * file.stat().st_size)
        say(f"converting {file.name} to 8 bits for OpenVINO, once")
        began, part = time.monotonic(), folder / "q8_0.part"
        try:
            requantise(file, part)
        except (ValueError, KeyError, NotImplementedError) as error:
            part.unlink(missing_ok=True)
            raise LocalFailure(
                "cannot be loaded", f"{file} cannot be converted for OpenVINO ({error}); try @llama.cpp"
            ) from None
        part.rename(made)
        with disk_errors(folder):
            about = {"format": _FORMAT, "of": source, "sha256": hash_of(made)}
            write_atomically(note, json.dumps(about).encode())
        say(f"converted in {time.monotonic() - began:.0f} s")
    return made


def _is_made_of(note: Path, made: Path, source: str) -> bool:
    try:
        about = json.loads(note.read_text("utf-8"))
    except ValueError:
        return False
    return (about.get("format"), about.get("of")) == (_FORMAT, source) and about.get("sha256") == hash_of(made)
