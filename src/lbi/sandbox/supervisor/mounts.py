"""System calls of Linux that Python has no functions for: namespaces, mounts, and the adoption of orphans."""

from __future__ import annotations

import ctypes
import os
import signal

NEWNS, NEWUSER = 0x00020000, 0x10000000
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
DETACH = 2
_NOEXEC = 8
_PDEATHSIG, _SUBREAPER = 1, 36
_MOUNT_SETATTR, _RECURSIVE, _HERE = 442, 0x8000, -100  # one number on all machines
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the parent of orphaned descendants, so that they can be waited for."""
    _checked(_libc.prctl(_SUBREAPER, 1, 0, 0, 0), "adopt orphans")


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have this process killed, or sent another signal, when its parent ends."""
    _checked(_libc.prctl(_PDEATHSIG, number, 0, 0, 0), "die with parent")


def own_namespace() -> str:
    """Move into a new mount namespace ("root"), within a new user namespace where that is needed ("user")."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 and _libc.unshare(NEWNS) == 0:
        kind = "root"
    else:
        _checked(_libc.unshare(NEWUSER | NEWNS), "make a user namespace")
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        kind = "user"
    mount("none", "/", "", REC | PRIVATE)
    return kind


def read_only() -> None:
    """Make everything that is mounted now read-only in this namespace, by whatever path it is reached.

    What runs in the sandbox may own files of the host: through /proc/1/exe or an open device it could otherwise change
    their modes.
    """
    if not _set("/", RDONLY, 0, _RECURSIVE):
        with open("/proc/self/mountinfo") as file:  # before Linux 5.12, one by one
            points = [line.split()[4].encode().decode("unicode_escape") for line in file]
        for point in points:
            _libc.mount(b"none", point.encode(), None, REMOUNT | BIND | RDONLY, None)
    # bubblewrap writes the user map to /proc; the sandbox has a /proc of its own
    if not _set("/proc", 0, RDONLY, 0):
        _libc.mount(b"none", b"/proc", None, REMOUNT | BIND | NOSUID | NODEV | _NOEXEC, None)


def _set(path: str, on: int, off: int, flags: int) -> bool:
    """Set and clear attributes of a mount; False where the kernel cannot."""
    attributes = (ctypes.c_uint64 * 4)(on, off, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    result = _libc.syscall(_MOUNT_SETATTR, _HERE, ctypes.c_char_p(path.encode()), flags, ctypes.byref(attributes), size)
    return bool(result == 0)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """Raises OSError."""
    result = _libc.mount(source.encode(), target.encode(), kind.encode() or None, flags, options.encode() or None)
    _checked(result, f"mount {kind or source} at {target}")


def unmount(target: str) -> None:
    """Raises OSError."""
    _checked(_libc.umount2(target.encode(), DETACH), f"unmount {target}")


def _checked(result: int, action: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {action}: {os.strerror(number)}")
