"""The system calls that a shell does not need, refused by a program for the kernel's BPF machine; and a fresh keyring.

A list of what is refused, not of what is allowed: ordinary programs need most calls, and other ones each year. Numbers
that are newer than this list are refused as unknown ones are, so that the C library falls back to what it used before.
How and why: docs/decisions/0026-seccomp.md.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
import sys
from typing import NamedTuple

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
NEWEST = 470  # the last number that was looked at for the list below
X32 = 0x40000000  # a third set of numbers that x86_64 has for its 32-bit pointers
#: namespaces that clone and unshare make: mount, cgroup, uts, ipc, user, pid, network, time
_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_CLONE_TIME = 0x00000080  # of unshare; in clone these bits are a signal's number
_UNIX, _IPV4, _IPV6, _NETLINK, _ROUTE = 1, 2, 10, 16, 0
#: typing into a terminal (TIOCSTI, TIOCLINUX), and loading of line disciplines (TIOCSETD)
_TERMINAL = (0x5412, 0x541C, 0x5423)
#: usual ones, those with an old kernel's name, without random addresses (debuggers, sanitizers), and the question
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)
_JOIN_SESSION_KEYRING = 1


class Machine(NamedTuple):
    """A kind of processor: its number for the kernel, and where the numbers of its system calls differ."""

    audit: int
    numbers: dict[str, int]


#: numbers that all machines share
_SHARED = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "statmount": 457,
    "listmount": 458,
    "lsm_set_self_attr": 460,
    "open_tree_attr": 467,
}
MACHINES = {
    "x86_64": Machine(
        0xC000003E,
        _SHARED
        | {"keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298, "userfaultfd": 323}
        | {"mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161, "setns": 308, "unshare": 272, "clone": 56}
        | {"kexec_load": 246, "kexec_file_load": 320, "create_module": 174, "init_module": 175, "finit_module": 313}
        | {"delete_module": 176, "get_kernel_syms": 177, "query_module": 178, "acct": 163, "swapon": 167}
        | {"swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "settimeofday": 164}
        | {"clock_settime": 227, "clock_adjtime": 305, "adjtimex": 159, "iopl": 172, "ioperm": 173, "modify_ldt": 154}
        | {"quotactl": 179, "lookup_dcookie": 212, "nfsservctl": 180, "uselib": 134, "ustat": 136, "sysfs": 139}
        | {"_sysctl": 156, "open_by_handle_at": 304, "fanotify_init": 300, "syslog": 103, "vhangup": 153}
        | {"migrate_pages": 256, "move_pages": 279, "personality": 135, "socket": 41, "socketpair": 53, "ioctl": 16},
    ),
    "aarch64": Machine(
        0xC00000B7,
        _SHARED
        | {"keyctl": 219, "add_key": 217, "request_key": 218, "bpf": 280, "perf_event_open": 241, "userfaultfd": 282}
        | {"mount": 40, "umount2": 39, "pivot_root": 41, "chroot": 51, "setns": 268, "unshare": 97, "clone": 220}
        | {"kexec_load": 104, "kexec_file_load": 294, "init_module": 105, "finit_module": 273, "delete_module": 106}
        | {"acct": 89, "swapon": 224, "swapoff": 225, "reboot": 142, "sethostname": 161, "setdomainname": 162}
        | {"settimeofday": 170, "clock_settime": 112, "clock_adjtime": 266, "adjtimex": 171, "quotactl": 60}
        | {"lookup_dcookie": 18, "nfsservctl": 42, "open_by_handle_at": 265, "fanotify_init": 262, "syslog": 116}
        | {"vhangup": 58, "migrate_pages": 238, "move_pages": 239, "personality": 92, "socket": 198}
        | {"socketpair": 199, "ioctl": 29},
    ),
}
#: refused as if the kernel had none, so that programs and the C library use something else
_UNKNOWN = ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register")
#: allowed or refused by their arguments
_BY_ARGUMENT = ("clone", "unshare", "socket", "socketpair", "ioctl", "personality")


def program(machine: str | None = None) -> bytes:
    """The filter for a kind of machine, as an array of sock_filter; b"" for a kind whose numbers are not known here."""
    known = MACHINES.get(machine or (os.uname().machine if sys.maxsize > 1 << 32 else ""))
    return b"".join(_instructions(known)) if known else b""


def _instructions(machine: Machine) -> list[bytes]:
    numbers = machine.numbers
    allowed, refused, unknown = _return(_ALLOW), _return(_ERROR | errno.EPERM), _return(_ERROR | errno.ENOSYS)
    # 32-bit programs have numbers of their own, and come with another machine's
    steps = [_load(_MACHINE), _if(_EQUAL, machine.audit, 1, 0), unknown, _load(_NUMBER)]
    steps += [_if(_AT_LEAST, NEWEST + 1, 0, 1), unknown]  # those of x32, too
    for name, number in sorted(numbers.items(), key=lambda item: item[1]):
        if name not in _BY_ARGUMENT:
            steps += [_if(_EQUAL, number, 0, 1), unknown if name in _UNKNOWN else refused]
    blocks = {
        "clone": [_load_argument(0), _if(_ANY_BIT, _NAMESPACES, 0, 1), refused, allowed],
        "unshare": [_load_argument(0), _if(_ANY_BIT, _NAMESPACES | _CLONE_TIME, 0, 1), refused, allowed],
        "socket": _sockets(allowed, refused),
        "socketpair": _sockets(allowed, refused),
        "ioctl": [_load_argument(1), *_each(_TERMINAL, refused), allowed],
        "personality": [_load_argument(0), *_each(_PERSONALITIES, allowed), refused],
    }
    for name in _BY_ARGUMENT:
        steps += [_if(_EQUAL, numbers[name], 0, len(blocks[name])), *blocks[name]]
    return [*steps, allowed]


def _sockets(allowed: bytes, refused: bytes) -> list[bytes]:
    """Sockets of a machine of one's own; of netlink only the kind by which programs list their network addresses."""
    netlink = [_if(_EQUAL, _NETLINK, 1, 0), refused, _load_argument(2), _if(_EQUAL, _ROUTE, 0, 1), allowed, refused]
    return [_load_argument(0), *_each((_UNIX, _IPV4, _IPV6), allowed), *netlink]


def _each(values: tuple[int, ...], then: bytes) -> list[bytes]:
    return [step for value in values for step in (_if(_EQUAL, value, 0, 1), then)]


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", _LOAD, 0, 0, offset)


def _load_argument(index: int) -> bytes:
    """The lower half of an argument: all that the kernel looks at in those that are compared here."""
    return _load(_ARGUMENTS + 8 * index)


def _if(test: int, value: int, skip_if_so: int, skip_if_not: int) -> bytes:
    return struct.pack("HBBI", test, skip_if_so, skip_if_not, value)


def _return(value: int) -> bytes:
    return struct.pack("HBBI", _RETURN, 0, 0, value)


def handle_of(filter_program: bytes) -> int:
    """A handle from which the filter is read once."""
    handle = os.memfd_create("seccomp")
    os.write(handle, filter_program)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def leave_keyring() -> None:
    """Give this process an empty session keyring; harmless where the kernel has none, or refuses it."""
    known = MACHINES.get(os.uname().machine)
    with contextlib.suppress(OSError):
        if known:
            ctypes.CDLL(None, use_errno=True).syscall(known.numbers["keyctl"], _JOIN_SESSION_KEYRING, None)
