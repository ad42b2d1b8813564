"""Screenshots in a real S3-compatible server (moto, Apache-2.0): kept, found again, and what is wrong in one line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbi import __version__
from lbi.config import resolve
from lbi.environments._cluster.worker import Worker
from lbi.errors import EnvironmentFailure, UserError
from lbi.storage.images import ELSEWHERE, ImageObjects, image_name
from lbi.storage.run_folder import RunFolder
from running import lbi
from small_application import write_application

s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install 'learn-by-interact[objects]'")
pytest.importorskip("moto", reason="needs a server to store in: pip install 'moto[server]'")
pytestmark = pytest.mark.slow
PNG = b"\x89PNG of a page"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server with the bucket "pictures"."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    process = subprocess.Popen(
        [sys.executable, "-c", run], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ}
    )
    try:
        while process.poll() is None and not answers(port):
            time.sleep(0.1)
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/pictures", method="PUT")).close()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(autouse=True)
def known_by_variables(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As anybody says to S3 clients where to go, and as whom."""
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": server, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # it remembers what the variables were
    yield
    s3fs.S3FileSystem.clear_instance_cache()


def keys_there(server: str) -> str:
    with urllib.request.urlopen(f"{server}/pictures") as listing:
        return listing.read().decode()


def test_an_image_is_kept_there_and_found_by_who_knows_the_run_folder_alone(server: str, tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", {}, images="s3://pictures/run") as folder:
        name = folder.save_image(PNG)
    with RunFolder(tmp_path / "run", writing=False) as folder:
        assert folder.load_image(name) == PNG
        with pytest.raises(FileNotFoundError):
            folder.load_image("ff" * 16)
    there = keys_there(server)
    assert f"run/{name[:2]}/{name}.png" in there
    assert "can-write" not in there  # what was written to see whether that is possible is gone again


@pytest.mark.parametrize(
    ("url", "variables", "line"),
    [
        (
            "s3://nosuch/run",
            {},
            "The specified bucket does not exist; make the bucket or folder, or correct the address",
        ),
        (
            "s3://pictures/x",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
            "see that its server runs, and that the address",
        ),
        ("s3://pictures/x", {"AWS_ENDPOINT_URL": "here"}, "Invalid endpoint: here; see that its server runs"),
        ("s3://pictures/x", dict.fromkeys(list(CREDENTIALS)[:2], ""), "Unable to locate credentials; set credentials"),
        ("s3://", {}, "names no place; write for example s3://BUCKET/PREFIX"),
    ],
)
def test_a_place_where_nothing_can_be_kept_is_one_line_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], line: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    with pytest.raises(UserError) as refused:
        RunFolder(tmp_path / "run", {}, images=url)
    assert line in str(refused.value)
    assert url in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run" / ELSEWHERE).exists()
    RunFolder(tmp_path / "run", {}).close()  # it was not left locked, and is bound to nothing


@pytest.fixture
def keys_are_checked(server: str) -> Iterator[None]:
    """The server asks for a key that it knows, and knows none."""
    check_keys_after(server, b"0")
    yield
    check_keys_after(server, b"inf")


def check_keys_after(server: str, requests: bytes) -> None:
    header = {"Content-Type": "text/plain"}
    urllib.request.urlopen(urllib.request.Request(f"{server}/moto-api/reset-auth", requests, header)).close()


@pytest.mark.usefixtures("keys_are_checked")
def test_a_wrong_key_is_one_line_here_and_on_another_machine(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Access Key Id .* does not exist in our records; set credentials that may"):
        RunFolder(tmp_path / "run", {}, images="s3://pictures/run")


@pytest.mark.usefixtures("keys_are_checked")
async def test_a_machine_without_the_key_says_so_when_an_environment_opens(tmp_path: Path) -> None:
    write_application(tmp_path / "larder")
    config = resolve({"storage": {"images": "s3://pictures/run"}, "application": str(tmp_path / "larder.toml")}, "test")
    answer = await Worker().open(config, __version__, str(Path.cwd()))
    assert answer.raised is not None
    assert isinstance(answer.raised.error(), UserError)
    assert "set credentials that may write there" in answer.raised.message


def test_a_server_that_goes_away_is_a_failure_of_the_infrastructure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ImageObjects("s3://pictures/run")
    name = kept.save(PNG)
    assert kept.load(name) == PNG
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3fs.S3FileSystem.clear_instance_cache()
    away = ImageObjects("s3://pictures/run")
    for work in (lambda: away.save(PNG), lambda: away.load(image_name(PNG)), away.require):
        with pytest.raises(EnvironmentFailure, match=r"s3://pictures/run.*: Could not connect .*; see that") as failure:
            work()
        assert failure.value.kind == "unreachable"
        assert "\n" not in str(failure.value)
    assert kept.load(name) == PNG  # what was just seen need not be asked for


def test_a_run_without_its_bucket_ends_with_one_line_and_code_2(tmp_path: Path) -> None:
    config = write_application(tmp_path / "larder")
    ran = lbi("run", config, "--out", tmp_path / "run", "--set", "storage.images=s3://nosuch/run", "-q")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "The specified bucket does not exist; make the bucket" in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
