"""What the shell of a sandbox can see and do -> the arguments of bubblewrap: an allow-list, and never the host's root."""

from __future__ import annotations

import os

from lbi.keeper.layers import HOME, Layers

USER = 1000
SHARED_MEMORY = 64 << 20
#: of the host's /etc, what programs need to start and to know of languages, time and certificates
ETC = (
    *("alternatives", "ca-certificates", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types"),
    *("os-release", "debian_version", "pki/tls/certs", "pki/ca-trust", "protocols", "services", "shells", "ssl/certs"),
    *("terminfo", "timezone", "java-17-openjdk", "java-21-openjdk", "perl", "python3", "python3.11"),
)
#: made up, so that nothing of the host's is told
MADE_UP = {
    "passwd": f"root:x:0:0:root:/root:/bin/bash\nagent:x:{USER}:{USER}:agent:{HOME}:/bin/bash\n",
    "group": f"root:x:0:\nagent:x:{USER}:\n",
    "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "gitconfig": "[safe]\n\tdirectory = *\n[user]\n\tname = agent\n\temail = agent@sandbox\n[core]\n\tpager = cat\n",
}
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store")


def arguments(bubblewrap: str, layers: Layers, binds: tuple[str, ...]) -> list[str]:
    """The command that a shell is appended to."""
    view = layers.view
    said = [bubblewrap, "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    said += ["--new-session", "--die-with-parent", "--uid", str(USER), "--gid", str(USER), "--hostname", "sandbox"]
    said += ["--ro-bind", "/usr", "/usr", *_system(), *_etc(f"{layers.base}/etc")]
    said += ["--proc", "/proc", "--dev", "/dev", "--size", str(SHARED_MEMORY), "--tmpfs", "/dev/shm"]
    said += ["--bind", f"{view}/tmp", "/tmp", "--bind", view + HOME, HOME, "--symlink", "/tmp", "/var/tmp"]
    said += ["--bind", layers.repository, layers.workdir]
    if layers.source != layers.workdir:  # what is installed in the folder knows it under its own name
        said += ["--bind", layers.repository, layers.source]
    for path in binds:
        said += ["--ro-bind", path, path]
    return [*said, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", layers.workdir]


def make_etc(folder: str) -> None:
    os.mkdir(folder)
    for name, text in MADE_UP.items():
        with open(f"{folder}/{name}", "w") as file:
            file.write(text)


def _system() -> list[str]:
    """Where /bin is a link to /usr/bin, so it is inside."""
    said = []
    for path in SYSTEM:
        if os.path.islink(path):
            said += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            said += ["--ro-bind", path, path]
    return said


def _etc(made_up: str) -> list[str]:
    said = []
    for name in ETC:
        said += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in MADE_UP:
        said += ["--ro-bind", f"{made_up}/{name}", f"/etc/{name}"]
    return said
