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

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from lbi.sandbox.beneath import Beneath, remove_tree
from lbi.sandbox.supervisor import bounds, mounts, tree
from lbi.sandbox.supervisor.bounds import Budget, TooLarge
from lbi.sandbox.supervisor.watch import Watch

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
        self._known: tree.Known = {}
        self._changes: list[tree.Change] = []
        self._watch: Watch | None = None
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
        budget = Budget(SNAPSHOTS * self.size)
        try:
            self.inside("base", lambda root: _save(f"{root}/layer", root + target, self.parts, budget))
        except OSError as error:
            remove_tree(self.base + target)
            raise TooLarge("no room for another snapshot") from None if error.errno == errno.ENOSPC else error
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

    def drop(self, name: str) -> None:
        """Remove a snapshot that ``snapshot`` has named."""
        remove_tree(f"{self.base}/snapshots/{name}")

    @property
    def parts(self) -> tuple[str, ...]:
        """The folders of a layer that a snapshot saves."""
        repository = "upper" if self.overlay else f"view{self.workdir}"
        return (repository, "view/tmp", f"view{HOME}") if self.mounted else (repository,)

    def changes(self, running: int, *, anew: bool = False) -> list[tree.Change]:
        """The files that differ from the pristine folder; the same list as before where none was touched since.

        ``running`` is how many processes of the sandbox there are while no command runs. ``anew`` trusts no time of a
        file, and reads all that were changed. Raises TooLarge.
        """
        if self._watch and not anew and self._watch.is_quiet():
            return self._changes
        self.forget(known=anew)
        watch = Watch(running)

        def compare(root: str) -> tuple[bool, tree.Known]:
            lower = f"{root}/lower" if self.mounted else self.lower
            view, layer = f"{root}/layer/view{self.workdir}", f"{root}/layer/upper"
            places = (view, layer) if self.overlay else (view,)
            seen: list[bool] = []

            def added(folder: str) -> None:
                seen.extend(watch.add(f"{place}/{folder}") for place in places if os.path.isdir(f"{place}/{folder}"))

            with Beneath(lower) as old, Beneath(view) as new, Beneath(layer if self.overlay else view) as upper:
                budget = Budget(2 * self.size)
                work = tree.Comparison(old, new, upper if self.overlay else None, budget, self._known, added)
                work.run()
            return all(seen), work.known

        try:
            watch.complete, known = self.inside("base", compare)
        except OSError:
            watch.close()
            raise
        self._known, self._watch = known, watch
        found = tree.changes_of(known)
        if found != self._changes:
            self._changes = found
        return self._changes

    def forget(self, *, known: bool = True) -> None:
        """Look at all files the next time; ``known`` = read those, too, whose times have not changed."""
        if self._watch:
            self._watch.close()
            self._watch = None
        if known:
            self._known = {}

    def contents(self, wanted: list[tuple[str, bool, int]]) -> list[bytes]:
        """The contents of files of the repository, as tree.read_all returns them."""

        def read(root: str) -> list[bytes]:
            lower = f"{root}/lower" if self.mounted else self.lower
            with Beneath(lower) as old, Beneath(f"{root}/layer/view{self.workdir}") as new:
                return tree.read_all(old, new, wanted)

        contents: list[bytes] = self.inside("base", read)
        return contents

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
        options = f"mode=0700,size={SNAPSHOTS * self.size},nr_inodes={SNAPSHOTS * bounds.MOST_INODES}"
        mounts.mount("lbi", self.base, "tmpfs", mounts.NOSUID | mounts.NODEV, options)
        os.mkdir(self.lower)
        mounts.mount(self.source, self.lower, "", mounts.BIND | mounts.REC)

    def _fresh_layer(self) -> None:
        self.forget()
        if not self.mounted:
            remove_tree(self.layer)
            os.makedirs(self.view)
            return
        if os.path.isdir(f"{self.layer}/view"):
            if self.overlay:
                mounts.unmount(self.repository)
            mounts.unmount(self.layer)
        options = f"mode=0755,size={self.size},nr_inodes={bounds.MOST_INODES}"
        mounts.mount("lbi", self.layer, "tmpfs", mounts.NOSUID | mounts.NODEV, options)
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
    """Call ``work`` in a child process and return its value. Raises its OSError, and RuntimeError for anything else.

    The child ends with this process. One that needs too much memory or time is ended: TooLarge.
    """
    import marshal

    reading, writing = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            mounts.die_with_parent()
            os.close(reading)
            if os.getppid() == parent:
                _limit()
                answer = b""
                try:
                    answer = _answer(work)
                finally:
                    if sys.exc_info()[1] is not None:
                        answer = marshal.dumps((-1, repr(sys.exc_info()[1])))
                    with open(writing, "wb") as file:
                        file.write(answer)
        finally:  # a child must never return into its parent's code, whatever happens
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        raw = file.read()
    _, status = os.waitpid(child, 0)
    number, value = marshal.loads(raw) if raw else (-1, f"it ended with {status}")
    if number == errno.ENOMEM or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU):
        bounds.out_of_bounds()
    if number < 0:
        raise RuntimeError(f"the supervisor's child failed: {value}")
    if number:
        raise OSError(number, value)
    return value


def _answer(work: Callable[[], Any]) -> bytes:
    """(0, what ``work`` returns), or the number and text of what the system refused."""
    import marshal

    try:
        return marshal.dumps((0, work()))
    except OSError as error:
        result = (error.errno or 5, error.strerror or str(error))
    except MemoryError:
        result = (errno.ENOMEM, "")
    return marshal.dumps(result)


def _limit() -> None:
    for kind, value in ((resource.RLIMIT_CPU, bounds.CPU_SECONDS), (resource.RLIMIT_DATA, bounds.MEMORY)):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _save(source: str, target: str, parts: tuple[str, ...], budget: Budget | None = None) -> None:
    for part in parts:
        tree.copy_tree(f"{source}/{part}", f"{target}/{part}", budget)


def _copy_mode(source: str, target: str) -> None:
    """Give ``target`` the mode of ``source``."""
    os.chmod(target, os.stat(source).st_mode & 0o777 | 0o700)


def _free_base(*needed: str) -> str:
    for base in BASES:
        if os.path.isdir(base) and not any(path == base or path.startswith(base + "/") for path in needed):
            return base
    raise OSError(2, f"no folder to mount on; one of {', '.join(BASES)} is needed")
