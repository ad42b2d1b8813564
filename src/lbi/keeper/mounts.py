"""Linux's own calls that Python has no names for: namespaces, mounts, and what becomes of orphans."""

from __future__ import annotations

import ctypes
import os
import signal

NEWNS, NEWUSER = 0x00020000, 0x10000000
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
DETACH = 2
_PDEATHSIG, _SUBREAPER = 1, 36
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the parent of what one's descendants leave behind, so that it can be waited for."""
    _checked(_libc.prctl(_SUBREAPER, 1, 0, 0, 0), "adopt orphans")


def die_with_parent() -> None:
    _checked(_libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "die with parent")


def own_namespace() -> str:
    """A mount namespace of this process's own, and where that takes it a user namespace: "root" or "user"."""
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


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    done = _libc.mount(source.encode(), target.encode(), kind.encode() or None, flags, options.encode() or None)
    _checked(done, f"mount {kind or source} at {target}")


def unmount(target: str) -> None:
    _checked(_libc.umount2(target.encode(), DETACH), f"unmount {target}")


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")
