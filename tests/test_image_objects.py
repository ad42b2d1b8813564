"""Images of a run at an address beside its folder: kept, found again by whoever opens the run, and never mixed up."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from fake_environment import LampEnvironments
from lbi import __version__
from lbi.cli.run import _copy_examples
from lbi.config import Config, resolve
from lbi.environments._cluster.worker import Worker
from lbi.environments.web.environment import WebEnvironments
from lbi.errors import EnvironmentFailure, UserError
from lbi.records import Task
from lbi.storage.images import ImageObjects, image_name
from lbi.storage.run_folder import RunFolder
from small_application import running_application

pytest.importorskip("fsspec", reason="images elsewhere need fsspec (the extra objects)")
PNG = b"\x89PNG of a page"


def address(folder: Path) -> str:
    return f"file://{folder}/bucket"


def test_an_image_lies_at_the_address_and_is_found_by_who_knows_the_run_folder_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with RunFolder(run, {}, images=address(tmp_path)) as folder:
        name = folder.save_image(PNG)
        assert folder.save_image(PNG) == name == image_name(PNG)
    assert not (run / "blobs").exists()
    assert (tmp_path / "bucket" / name[:2] / f"{name}.png").read_bytes() == PNG
    with RunFolder(run, writing=False) as folder:
        assert folder.load_image(name) == PNG
        with pytest.raises(FileNotFoundError):
            folder.load_image("ff" * 16)


def test_a_run_that_begins_with_the_examples_of_another_finds_its_images(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", {}, images=address(tmp_path)) as folder:
        name = folder.save_image(PNG)
    _copy_examples(tmp_path / "run", tmp_path / "again")
    with RunFolder(tmp_path / "again", writing=False) as folder:
        assert folder.load_image(name) == PNG


def test_a_run_keeps_its_images_where_it_began(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", {}, images=address(tmp_path)).close()
    with pytest.raises(UserError, match=r"are kept at file://.*/bucket, not at file:///other; leave storage\.images"):
        RunFolder(tmp_path / "run", {}, images="file:///other")
    RunFolder(tmp_path / "run", {}, images=address(tmp_path)).close()  # it was not left locked
    with RunFolder(tmp_path / "here", {}) as folder:
        folder.save_image(PNG)
    with pytest.raises(UserError, match="are kept in its folder, not at file:///other"):
        RunFolder(tmp_path / "here", {}, images="file:///other")


def test_an_image_that_cannot_be_kept_is_a_failure_of_the_infrastructure(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_text("no folder")
    with pytest.raises(EnvironmentFailure, match=r"an image cannot be kept at file://") as failure:
        ImageObjects(address(tmp_path)).save(PNG)
    assert failure.value.kind == "unreachable"


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("bucket/prefix", "storage.images: should be an address such as s3://BUCKET/PREFIX"),
        ("nosuch://bucket", "storage.images = 'nosuch://bucket' cannot be opened: Protocol not known: nosuch"),
    ],
)
def test_an_address_that_is_none_is_one_line(url: str, line: str) -> None:
    with pytest.raises(UserError) as refused:
        ImageObjects(resolve({"storage": {"images": url}}, "test").storage.images)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_where_images_are_is_no_part_of_what_a_run_is() -> None:
    assert resolve({"storage": {"images": "s3://bucket/run"}}, "test").identity() == Config().identity()


async def test_a_worker_keeps_images_there_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = []

    def lamps(config: Config, save_image: object) -> LampEnvironments:
        saved.append(save_image(PNG))  # type: ignore[operator]
        return LampEnvironments()

    monkeypatch.setattr("lbi.environments._cluster.worker.open_environments", lamps)
    config = resolve({"storage": {"images": address(tmp_path)}}, "test")
    answer = await Worker().open(config, __version__, str(Path.cwd()))
    assert answer.raised is None
    assert answer.images == {}  # nothing of it goes over the wire
    assert (tmp_path / "bucket" / saved[0][:2] / f"{saved[0]}.png").read_bytes() == PNG


@pytest.mark.browser
@pytest.mark.slow
async def test_other_episodes_go_on_while_an_image_is_written(tmp_path: Path) -> None:
    loop, writing, go_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def save(png: bytes) -> str:
        loop.call_soon_threadsafe(writing.set)
        assert go_on.wait(60), "nothing else could be done until it was written"
        return image_name(png)

    with running_application(tmp_path / "larder") as url:
        environments = WebEnvironments(base_url=url, screenshots=True, save_image=save)
        try:
            environment = await environments.open()
            seeing = asyncio.create_task(environment.reset(Task(instruction="look", environment="web")))
            waiting = asyncio.create_task(writing.wait())
            await asyncio.wait({seeing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            go_on.set()
            assert len((await seeing).image) == 32
        finally:
            await environments.close()
