"""Files are reached beneath a folder and never through a link, by the kernel's own means and without them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lbi.sandbox import beneath
from lbi.sandbox.beneath import Beneath, Refused


@pytest.fixture(params=["kernel", "parts"])
def tree(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beneath]:
    if request.param == "parts":
        monkeypatch.setattr(beneath, "_kernel_refuses_links", False)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").write_text("alive")
    inside = tmp_path / "inside"
    (inside / "folder" / "deep").mkdir(parents=True)
    (inside / "folder" / "deep" / "file").write_text("content")
    (inside / "plain").write_text("plain")
    (inside / "out").symlink_to(tmp_path / "outside")
    (inside / "folder" / "middle").symlink_to("../../outside")
    (inside / "to_file").symlink_to(tmp_path / "outside" / "canary")
    (inside / "dangling").symlink_to(tmp_path / "outside" / "new")
    (inside / "within").symlink_to("folder")
    os.link(tmp_path / "outside" / "canary", inside / "hard")
    with Beneath(inside) as opened:
        yield opened
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inside", "outside"]
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["canary"]
    assert (tmp_path / "outside" / "canary").read_text() == "alive"


THROUGH_LINKS = ["out/canary", "out/new/x", "folder/middle/canary", "to_file", "dangling", "within/deep/file"]
OUT = ["/etc/passwd", "../outside/canary", "folder/../../outside/canary", "", ".", "..", "a\0b"]
WAYS: list[Callable[[Beneath, str], object]] = [
    lambda tree, path: tree.read(path),
    lambda tree, path: tree.write(path, b"x"),
    lambda tree, path: tree.open(path),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", THROUGH_LINKS)
def test_no_file_is_reached_through_a_link(tree: Beneath, path: str, way: Callable[[Beneath, str], object]) -> None:
    with pytest.raises(Refused, match=r"passes through a link \(") as refused:
        way(tree, path)
    assert (refused.value.errno, refused.value.filename) == (errno.ELOOP, path)
    assert str(refused.value).startswith(f"{path} passes")


@pytest.mark.parametrize("path", OUT)
def test_no_path_leads_out_of_the_folder(tree: Beneath, path: str) -> None:
    calls: list[Callable[[Beneath, str], object]] = [*WAYS, Beneath.clear, Beneath.remove, Beneath.look]
    for way in calls:
        with pytest.raises(Refused, match="leads out of the folder"):
            way(tree, path)


@pytest.mark.parametrize("path", ["out/canary", "folder/middle/canary", "folder/middle/new"])
def test_nothing_is_removed_made_or_listed_behind_a_link(tree: Beneath, path: str) -> None:
    for way in (Beneath.remove, Beneath.clear, Beneath.look, Beneath.link, Beneath.names, Beneath.make_folder):
        with pytest.raises(Refused):
            way(tree, path)
    with pytest.raises(Refused):
        tree.make_link(path, b"/")
    assert not tree.is_folder("out")


def test_a_hard_link_is_replaced_and_its_other_name_stays(tree: Beneath) -> None:
    tree.write("hard", b"mine")
    assert tree.read("hard") == b"mine"


def test_a_link_itself_can_be_looked_at_and_removed(tree: Beneath, tmp_path: Path) -> None:
    assert stat.S_ISLNK(tree.look("out").st_mode)
    assert tree.item("within") == (beneath.LINK, b"folder")
    tree.clear("out")
    tree.remove("to_file")
    assert tree.item("out") is tree.item("to_file") is None


def test_files_are_written_with_their_folders_and_keep_their_mode(tree: Beneath, tmp_path: Path) -> None:
    tree.write("new/folder/script", b"1", 0o755)
    tree.write("new/folder/script", b"2")
    assert tree.item("new/folder/script") == (0o100755, b"2")
    tree.remove("new/folder/script")
    tree.prune("new/folder/script")
    assert not (tmp_path / "inside" / "new").exists()


def test_a_file_in_the_way_and_what_is_no_file_are_told(tree: Beneath, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "inside" / "pipe")
    with pytest.raises(NotADirectoryError):
        tree.read("plain/x")
    with pytest.raises(NotADirectoryError, match="plain is not a folder"):
        tree.write("plain/x", b"")
    for way in (tree.read, lambda path: tree.write(path, b"")):
        with pytest.raises(IsADirectoryError):
            way("folder")
        with pytest.raises(OSError, match="not a regular file"):
            way("pipe")


def test_a_folder_is_removed_without_following_what_is_in_it(tree: Beneath, tmp_path: Path) -> None:
    tree.clear("folder")
    assert not (tmp_path / "inside" / "folder").exists()
    tree.clear("folder")


def test_a_walk_names_links_and_does_not_enter_them(tree: Beneath) -> None:
    found = dict(tree.walk())
    assert list(found) == ["dangling", "hard", "out", "plain", "to_file", "within", "folder/middle", "folder/deep/file"]
    assert found["out"] == stat.S_IFLNK
    assert "folder/deep/file" not in dict(tree.walk(skip={"deep"}))


def test_a_copy_has_links_as_links_modes_and_times(tree: Beneath, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    os.chmod(inside / "plain", 0o741)
    os.utime(inside / "folder", (5, 5))
    os.mkfifo(inside / "pipe")
    (inside / "copy").mkdir()
    with Beneath(inside / "copy") as copied:
        beneath.copy(tree, copied, skip={"copy", "hard"})
        assert set(dict(copied.walk())) == set(dict(tree.walk(skip={"copy"}))) - {"pipe", "hard"}
        assert stat.S_IMODE(copied.look("plain").st_mode) == 0o741
        assert copied.look("folder").st_mtime == 5
        assert copied.item("out") == tree.item("out")


@pytest.mark.slow
def test_a_tree_that_is_deeper_than_any_stack_is_removed(tree: Beneath) -> None:
    deep = "/".join(["d"] * 1100)  # Python's own stack holds 1,000
    tree.write(f"{deep}/file", b"")
    assert f"{deep}/file" in dict(tree.walk())
    tree.clear("d")
    assert tree.item("d") is None


def test_a_link_that_comes_while_a_path_is_opened_is_not_followed(tree: Beneath, tmp_path: Path) -> None:
    """What was a folder when it was looked at is a link when it is opened."""
    real = os.stat

    def stat_then_swap(*arguments: object, **named: object) -> object:
        found = real(*arguments, **named)  # type: ignore[arg-type]
        if arguments[0] == "folder" and not (tmp_path / "inside" / "moved").exists():
            (tmp_path / "inside" / "folder").rename(tmp_path / "inside" / "moved")
            (tmp_path / "inside" / "folder").symlink_to(tmp_path / "outside")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "stat", stat_then_swap)
        with pytest.raises(OSError):
            tree.write("folder/canary", b"dead")
