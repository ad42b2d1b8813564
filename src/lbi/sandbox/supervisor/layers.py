"""The folders of a sandbox: the pristine one, a layer for what is written, and a view of both as one.

base/                a tmpfs that only the supervisor sees (unsafe: a temporary folder)
  lower/             the pristine folder, read-only
  snapshots/ID/      copies of what is written
  layer/             a tmpfs of limited size: all that is written
    upper/ work/     of the overlay
    view/WORKDIR     the overlay, or a copy of the folder where the kernel has none for this user
    view/tmp, view/home/agent
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from lbi.sandbox.supervisor import mounts, tree

HOME = "/home/agent"
#: folders that every system has and few need: in the supervisor's own namespace, its tmpfs is mounted over one of them
BASES = ("/mnt", "/media", "/srv", "/boot", "/opt", "/var/tmp")
SNAPSHOTS = 4  # times the size of a layer


class Layers:
    """The files of one sandbox: read and written by path, compared, saved as snapshots, put back."""

    def __init__(
        self,
        source: str,
        workdir: str,
        size: int,
        *,
        base: str = "",
        overlay: bool = True,
        needed: tuple[str, ...] = (),
    ) -> None:
        """``base`` is a temporary folder to work in without mounts of any kind; empty = with mounts.

        ``needed`` are paths that must stay visible to this process.
        """
        self.source, self.workdir, self.size = source, workdir, size
        self.mounted = not base
        self.base = base or _free_base(source, *needed)
        self.layer, self.view = f"{self.base}/layer", f"{self.base}/layer/view"
        self.repository = self.view + workdir
        self.lower = f"{self.base}/lower" if self.mounted else source
        self._count = 0
        self.kind = mounts.own_namespace() if self.mounted else "none"
        if self.mounted:
            mounts.read_only()
            self._mount_base()
        os.makedirs(f"{self.base}/snapshots")
        os.makedirs(self.layer)
        self.overlay = self.mounted and overlay and self._overlay_works()
        self.reset()

    def reset(self) -> None:
        """Put all files back to the pristine state."""
        self._fresh_layer()
        for folder in (self.repository, f"{self.view}/tmp", self.view + HOME):
            os.makedirs(folder, exist_ok=True)
        os.chmod(f"{self.view}/tmp", 0o1777)
        if self.overlay:
            os.mkdir(f"{self.layer}/upper")
            _copy_mode(self.source, f"{self.layer}/upper")
            self._mount_overlay()
        else:
            tree.prepare()
            tree.copy_tree(self.lower, self.repository)

    def snapshot(self) -> str:
        """Save what was written, and return the name to restore it by. Raises OSError where it is too much."""
        self._count += 1
        name = str(self._count)
        target = f"/snapshots/{name}"
        self.inside("base", lambda root: _save(f"{root}/layer", root + target, self.parts))
        return name

    def restore(self, name: str) -> None:
        """Go back to a snapshot while nothing runs. Raises KeyError for a name that is no snapshot."""
        if not name.isdigit() or not os.path.isdir(f"{self.base}/snapshots/{name}"):
            raise KeyError(name)
        self._fresh_layer()
        self.inside("base", lambda root: _save(f"{root}/snapshots/{name}", f"{root}/layer", self.parts))
        os.makedirs(self.repository, exist_ok=True)
        if self.overlay:
            self._mount_overlay()

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders of a layer that a snapshot saves."""
        repository = "upper" if self.overlay else f"view{self.workdir}"
        return (repository, "view/tmp", f"view{HOME}") if self.mounted else (repository,)

    def changes(self) -> list[tree.Change]:
        """The files that differ from the pristine folder."""
        upper = "/layer/upper" if self.overlay else ""

        def compare(root: str) -> list[tree.Change]:
            lower = f"{root}/lower" if self.mounted else self.lower
            return tree.changes(lower, f"{root}/layer/view{self.workdir}", root + upper if upper else "")

        return [tree.Change(*change) for change in self.inside("base", compare)]

    def content(self, path: str, pristine: bool) -> tuple[int, bytes] | None:
        """(git's mode, content) of a file of the repository, as it is now or was in the beginning."""

        def read(root: str) -> tuple[int, bytes] | None:
            lower = f"{root}/lower" if self.mounted else self.lower
            return tree.read(lower if pristine else f"{root}/layer/view{self.workdir}", path)

        content: tuple[int, bytes] | None = self.inside("base", read)
        return content

    def read(self, path: str) -> bytes:
        """A file by its path inside. Raises OSError, also for one that lies behind a link."""
        place, name = self._inner(path)
        content: bytes = self.inside("view", lambda root: tree.read_file(self._place(root, place), name))
        return content

    def write(self, path: str, content: bytes) -> None:
        """Write a file by its path inside. Raises OSError, also for one that lies behind a link."""
        place, name = self._inner(path)
        self.inside("view", lambda root: tree.write_file(self._place(root, place), name, content))

    def _inner(self, path: str) -> tuple[str, str]:
        """(folder that is written to, path in it): the repository by either of its names, /tmp, or the home folder."""
        full = os.path.normpath(os.path.join(self.workdir if self.mounted else self.repository, path))
        if self.mounted:
            places = {self.workdir: self.workdir, "/tmp": "/tmp", HOME: HOME}
            names = places | {self.source: self.workdir, "/var/tmp": "/tmp"}
        else:
            places = names = {self.repository: self.workdir, "/tmp": "/tmp"}
        if full in names:
            raise IsADirectoryError(21, os.strerror(21), path)
        within = [name for name in names if full.startswith(f"{name}/")]
        if not within:
            raise PermissionError(13, f"is outside of {', '.join(places)}", path)
        longest = max(within, key=len)
        return names[longest], full[len(longest) + 1 :]

    def _place(self, root: str, place: str) -> str:
        if self.mounted:
            return root + place
        return self.repository if place == self.workdir else place

    def inside(self, root_of: str, work: Callable[[str], Any]) -> Any:
        """Call ``work`` in a child process whose root is the base or the view, so that no link leads out of it.

        ``work`` gets the prefix that its paths need: "" in a child with another root, the folder where there are no
        mounts. Raises the OSError that ``work`` raises.
        """
        root = self.base if root_of == "base" else self.view
        if root_of == "base":
            tree.prepare()
        if not self.mounted:
            return in_child(lambda: work(root))

        def jailed() -> Any:
            os.chroot(root)
            os.chdir("/")
            return work("")

        return in_child(jailed)

    # mounts

    def _mount_base(self) -> None:
        options = f"mode=0700,size={SNAPSHOTS * self.size}"
        mounts.mount("lbi", self.base, "tmpfs", mounts.NOSUID | mounts.NODEV, options)
        os.mkdir(self.lower)
        mounts.mount(self.source, self.lower, "", mounts.BIND | mounts.REC)

    def _fresh_layer(self) -> None:
        if not self.mounted:
            import shutil

            shutil.rmtree(self.layer)
            os.makedirs(self.view)
            return
        if os.path.isdir(f"{self.layer}/view"):
            if self.overlay:
                mounts.unmount(self.repository)
            mounts.unmount(self.layer)
        mounts.mount("lbi", self.layer, "tmpfs", mounts.NOSUID | mounts.NODEV, f"mode=0755,size={self.size}")
        os.mkdir(f"{self.layer}/work")
        os.mkdir(self.view)

    def _mount_overlay(self) -> None:
        own = "userxattr" if self.kind == "user" else "redirect_dir=off,metacopy=off"
        options = f"lowerdir={self.lower},upperdir={self.layer}/upper,workdir={self.layer}/work,{own}"
        mounts.mount("lbi", self.repository, "overlay", mounts.NOSUID | mounts.NODEV, options)

    def _overlay_works(self) -> bool:
        """Whether this user may mount an overlay here, and remove and make again a folder in it."""
        trial = f"{self.layer}/trial"
        for folder in ("lower/sub", "upper", "work", "seen"):
            os.makedirs(f"{trial}/{folder}")
        own = "userxattr" if self.kind == "user" else "redirect_dir=off,metacopy=off"
        options = f"lowerdir={trial}/lower,upperdir={trial}/upper,workdir={trial}/work,{own}"
        try:
            mounts.mount("lbi", f"{trial}/seen", "overlay", 0, options)
        except OSError:
            return False
        try:
            os.rmdir(f"{trial}/seen/sub")
            os.mkdir(f"{trial}/seen/sub")
        except OSError:
            return False
        finally:
            mounts.unmount(f"{trial}/seen")
        return True


def in_child(work: Callable[[], Any]) -> Any:
    """Call ``work`` in a child process and return its value. Raises its OSError, and RuntimeError for anything else."""
    import marshal

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            result: tuple[int, Any] = (-1, "")
            try:
                result = (0, _plain(work()))
            except OSError as error:
                result = (error.errno or 5, error.strerror or str(error))
        finally:  # a child must never return into its parent's code, whatever happens
            if sys.exc_info()[1] is not None:
                result = (-1, repr(sys.exc_info()[1]))
            with open(writing, "wb") as file:
                marshal.dump(result, file)
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        raw = file.read()
    os.waitpid(child, 0)
    number, value = marshal.loads(raw) if raw else (-1, "it was killed")
    if number < 0:
        raise RuntimeError(f"the supervisor's child failed: {value}")
    if number:
        raise OSError(number, value)
    return value


def _plain(value: Any) -> Any:
    """Named tuples as plain ones, as their names cannot be sent."""
    if isinstance(value, tuple | list):
        return tuple(_plain(part) for part in value)
    return value


def _save(source: str, target: str, parts: tuple[str, ...]) -> None:
    for part in parts:
        tree.copy_tree(f"{source}/{part}", f"{target}/{part}")


def _copy_mode(source: str, target: str) -> None:
    """Give ``target`` the mode of ``source``."""
    os.chmod(target, os.stat(source).st_mode & 0o777 | 0o700)


def _free_base(*needed: str) -> str:
    for base in BASES:
        if os.path.isdir(base) and not any(path == base or path.startswith(base + "/") for path in needed):
            return base
    raise OSError(2, f"no folder to mount on; one of {', '.join(BASES)} is needed")
