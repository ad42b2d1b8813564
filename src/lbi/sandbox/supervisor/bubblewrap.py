"""The command line of bubblewrap: an allow-list of what the shell can see and do, without the host's root."""

from __future__ import annotations

import os
import stat

from lbi.sandbox.supervisor.layers import HOME, Layers

USER = 1000
FILTER = 6  # the handle from which bubblewrap reads the filter of system calls
SHARED_MEMORY = 64 << 20
#: what programs need of the host's /etc to start, and for languages, time and certificates. It is copied, as each mount
#: of bubblewrap costs a millisecond or more
ETC = (
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "os-release"),
    *("debian_version", "protocols", "services", "shells", "ssl/openssl.cnf", "ssl/certs/ca-certificates.crt"),
    *("pki/tls/openssl.cnf", "pki/tls/certs/ca-bundle.crt", "terminfo", "timezone", "perl", "python3"),
)
EMPTY = ".empty"  # in /etc: covers the list of keys, which names those of whoever started this
VERSIONED = ("java-", "python3.")  # java-17-openjdk, python3.11
LARGEST_ETC = 1 << 20  # bytes of a file that is copied
#: files that are made up, so that nothing of the host is disclosed
MADE_UP = {
    EMPTY: "",
    "passwd": f"root:x:0:0:root:/root:/bin/bash\nagent:x:{USER}:{USER}:agent:{HOME}:/bin/bash\n",
    "group": f"root:x:0:\nagent:x:{USER}:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "gitconfig": "[safe]\n\tdirectory = *\n[user]\n\tname = agent\n\temail = agent@sandbox\n[core]\n\tpager = cat\n",
}
_KEYS = "/proc/keys"
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")


def arguments(
    bubblewrap: str,
    layers: Layers,
    binds: tuple[str, ...],
    *,
    filtered: bool,
    placed: tuple[tuple[str, str], ...] = (),
    own_name: bool = True,
) -> list[str]:
    """The command line to which that of the shell is appended; ``filtered`` = handle FILTER has a filter.

    ``placed`` are folders of ours, and where they are seen inside. ``own_name``: the folder is seen by its path on the
    host, too.
    """
    view = layers.view
    options = [bubblewrap, "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    options += ["--new-session", "--die-with-parent", "--uid", str(USER), "--gid", str(USER), "--hostname", "sandbox"]
    options += ["--ro-bind", "/usr", "/usr", *_system(), "--ro-bind", f"{layers.base}/etc", "/etc"]
    options += ["--proc", "/proc", "--dev", "/dev", "--size", str(SHARED_MEMORY), "--tmpfs", "/dev/shm"]
    options += ["--bind", f"{view}/tmp", "/tmp", "--bind", view + HOME, HOME, "--symlink", "/tmp", "/var/tmp"]
    options += ["--bind", layers.repository, layers.workdir]
    if own_name and layers.source != layers.workdir:  # what is installed in the folder knows it under its own name
        options += ["--bind", layers.repository, layers.source]
    if os.path.exists(_KEYS):
        options += ["--ro-bind", f"{layers.base}/etc/{EMPTY}", _KEYS]
    for path in binds:
        options += ["--ro-bind", path, path]
    for path, inside in placed:
        options += ["--ro-bind", path, inside]
    # files below /proc are written to by their owner, who is root when root started this, with or without capabilities
    locked = [part for place in ("/proc", "/dev", "/") for part in ("--remount-ro", place)]
    confined = ("--seccomp", str(FILTER)) if filtered else ()
    return [*options, *locked, *confined, "--chdir", "/"]  # the shell changes to its folder, if it may


def make_etc(folder: str, more: tuple[str, ...] = ()) -> None:
    """Fill an empty folder with what the sandbox sees as /etc; ``more`` are further files and folders of the host's."""
    os.makedirs(f"{folder}/ssl/certs")
    os.makedirs(f"{folder}/pki/tls/certs")
    for name in (*ETC, *more, *(name for name in os.listdir("/etc") if name.startswith(VERSIONED))):
        _copy(f"/etc/{name}", f"{folder}/{name}")
    for name, text in MADE_UP.items():
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)


def _copy(source: str, target: str) -> None:
    """Copy what everybody may read; what does not exist, or is secret, is left out."""
    try:
        kind = os.lstat(source)
        if stat.S_ISLNK(kind.st_mode):
            os.symlink(os.readlink(source), target)
        elif stat.S_ISDIR(kind.st_mode):
            os.mkdir(target)
            for name in os.listdir(source):
                _copy(f"{source}/{name}", f"{target}/{name}")
        elif stat.S_ISREG(kind.st_mode) and kind.st_mode & stat.S_IROTH and kind.st_size <= LARGEST_ETC:
            with open(source, "rb") as old, open(target, "wb") as new:
                new.write(old.read())
    except OSError:
        return


def _system() -> list[str]:
    """The folders beside /usr; where /bin is a link to /usr/bin, it is a link inside too."""
    options = []
    for path in SYSTEM:
        if os.path.islink(path):
            options += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            options += ["--ro-bind", path, path]
    return options
