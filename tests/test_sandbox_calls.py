"""System calls that the sandbox refuses: by the kernel itself, and by reading the filters for every kind of machine."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.protocol import Sandbox
from lbi.sandbox.supervisor import seccomp
from small_repository import needs_bubblewrap, repository

ALLOWED, REFUSED, UNKNOWN = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
MACHINES = sorted(seccomp.MACHINES)
#: numbers of calls that ordinary programs make: read, write, openat, mmap, futex, execve, ptrace, prctl, seccomp
ORDINARY = {
    "x86_64": (0, 1, 257, 9, 202, 59, 101, 157, 317, 334, 439, 449),
    "aarch64": (63, 64, 56, 222, 98, 221, 117, 167, 277, 293, 439, 449),
}


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(repository(tmp_path / "project")) as opened:
        yield opened


def verdict(machine: str, call: str | int, *arguments: int, audit: int = 0) -> int:
    """What a filter says of a call, as the kernel's BPF machine would run it."""
    known = seccomp.MACHINES[machine]
    number = known.numbers[call] if isinstance(call, str) else call
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("<iIQ6Q", number, audit or known.audit, 0, *padded)
    program = list(struct.iter_unpack("HBBI", seccomp.program(machine)))
    at = value = 0
    while True:
        code, if_so, if_not, operand = program[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            value = struct.unpack_from("<I", data, operand)[0]
            continue
        so = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
        at += if_so if so else if_not


@pytest.mark.parametrize("machine", MACHINES)
def test_what_a_shell_does_not_need_is_refused_on_every_machine(machine: str) -> None:
    for name in seccomp.MACHINES[machine].numbers:
        if name not in seccomp._BY_ARGUMENT:
            assert verdict(machine, name) in (REFUSED, UNKNOWN), name
    for name in ("clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"):
        assert verdict(machine, name) == UNKNOWN
    assert [verdict(machine, number) for number in ORDINARY[machine]] == [ALLOWED] * len(ORDINARY[machine])


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_of_other_machines_and_newer_ones_are_unknown(machine: str) -> None:
    other = {"x86_64": 0x40000003, "aarch64": 0x40000028}[machine]  # i386, arm
    assert verdict(machine, 0, audit=other) == UNKNOWN
    assert verdict(machine, seccomp.NEWEST + 1) == UNKNOWN
    assert verdict(machine, seccomp.X32 | 1) == UNKNOWN
    assert verdict(machine, -1) == UNKNOWN
    assert seccomp.program("sparc64") == b""


@pytest.mark.parametrize("machine", MACHINES)
def test_some_calls_are_judged_by_their_arguments(machine: str) -> None:
    said = {
        "socket": {(1,): True, (2, 1): True, (10, 2): True, (16, 3, 0): True, (16, 3, 12): False},
        "socketpair": {(1, 1): True, (40, 1): False, (38, 5): False, (17, 3): False, (31,): False, (0,): False},
        "clone": {(17,): True, (0x3D0F00,): True, (0x10000011,): False, (0x20000011,): False, (0x20000,): False},
        "unshare": {(0x400,): True, (0x200,): True, (0x10000000,): False, (0x80,): False},
        "ioctl": {(0, 0x5401): True, (0, 0x5412): False, (0, 0x541C): False, (0, 0xFFFFFFFF00005412): False},
        "personality": {(0xFFFFFFFF,): True, (0,): True, (0x40000,): True, (0x400000,): False, (0x100000,): False},
    }
    for call, cases in said.items():
        for arguments, allowed in cases.items():
            assert (verdict(machine, call, *arguments) == ALLOWED) is allowed, (call, arguments)


def python(code: str) -> str:
    return f"python3 - <<'END'\n{textwrap.dedent(code)}\nEND"


CALLS = """
    import ctypes, errno, fcntl, os, socket
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = {numbers}
    for name, number in numbers.items():
        arguments = dict(
            socket=(40, 1, 0), socketpair=(38, 5, 0, 0), clone=(0x10000011, 0, 0, 0, 0), unshare=(0x10000000,),
            ioctl=(0, 0x5412, 0), personality=(0x400000,), reboot=(0, 0, 0, 0),
        ).get(name, (-1, 0, 0, 0, 0, 0))
        result = libc.syscall(number, *[ctypes.c_long(each) for each in arguments])
        print(name, errno.errorcode.get(ctypes.get_errno(), "none") if result == -1 else "done")
"""


@needs_bubblewrap
@pytest.mark.skipif(os.uname().machine not in seccomp.MACHINES, reason="no filter is known for this machine")
async def test_the_kernel_refuses_them_and_kills_nothing(sandbox: Sandbox) -> None:
    numbers = seccomp.MACHINES[os.uname().machine].numbers
    done = await sandbox.run(python(CALLS.format(numbers=numbers)))
    said = dict(line.split() for line in done.output.splitlines())
    assert set(said) == set(numbers)
    assert set(said.values()) == {"EPERM", "ENOSYS"}
    assert said["clone3"] == said["io_uring_setup"] == "ENOSYS"
    assert said["keyctl"] == said["bpf"] == said["socket"] == said["mount"] == "EPERM"
    assert "Seccomp:\t2" in (await sandbox.run("cat /proc/self/status")).output


@needs_bubblewrap
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="32-bit calls of Intel's processors")
async def test_calls_of_32_bit_programs_are_unknown(sandbox: Sandbox) -> None:
    """By machine code in a page of memory: `int 0x80` with the number of getpid, and of add_key."""
    code = """
        import ctypes, mmap
        def called(number):
            page = mmap.mmap(-1, 4096, prot=7)
            page.write(b"\\x53\\xb8" + number.to_bytes(4, "little") + b"\\x31\\xdb\\xcd\\x80\\x5b\\xc3")
            return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
        print(called(20), called(286))
        libc = ctypes.CDLL(None, use_errno=True)
        print(libc.syscall(ctypes.c_long(0x40000000 | 39)), ctypes.get_errno())
    """
    done = await sandbox.run(python(code))
    assert done.output == f"-{errno.ENOSYS} -{errno.ENOSYS}\n-1 {errno.ENOSYS}\n", done.output


@needs_bubblewrap
async def test_ordinary_work_goes_on(sandbox: Sandbox) -> None:
    code = """
        import asyncio, concurrent.futures, multiprocessing, os, socket, sqlite3, subprocess, tempfile, threading
        if __name__ == "__main__":
            thread = threading.Thread(target=print, args=("thread",)); thread.start(); thread.join()
            with concurrent.futures.ProcessPoolExecutor(2) as pool:
                print(list(pool.map(abs, [-1, -2])))
            print(multiprocessing.get_context("fork").Pool(2).map(abs, [-3]))
            async def main():
                server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                print("asyncio", await reader.read())
                process = await asyncio.create_subprocess_exec("true")
                print(await process.wait())
            asyncio.run(main())
            print(sqlite3.connect("/tmp/x.db").execute("select 1").fetchall())
            print(len(socket.getaddrinfo("localhost", 80)) > 0, len(socket.if_nameindex()))
            print(os.memfd_create("x") > 0, subprocess.check_output(["echo", "child"]))
            left, right = socket.socketpair()
            left.send(b"pair"); print(right.recv(4))
    """
    done = await sandbox.run(f"cat > /tmp/work.py <<'END'\n{textwrap.dedent(code)}\nEND\npython3 /tmp/work.py")
    assert done.exit_code == 0, done.output
    said = "thread [1, 2] [3] asyncio b'' 0 [(1,)] True 1 True b'child\\n' b'pair'"
    assert " ".join(done.output.split("\n")).strip() == said
    git = await sandbox.run("git init -q /tmp/g && cd /tmp/g && echo 1 > a && git add a && git commit -qm a && git log")
    assert git.exit_code == 0, git.output
    others = "command -v gcc && echo 'int main(){return 3;}' > c.c && { gcc c.c && ./a.out; test $? = 3 || exit 1; }"
    node = "command -v node && { node -e 'setTimeout(() => console.log(os.networkInterfaces()), 1)' || exit 1; }"
    done = await sandbox.run(f"( cd /tmp; {others}; {node}; setarch -R true )")
    assert done.exit_code == 0, done.output


@needs_bubblewrap
@pytest.mark.skipif(os.uname().machine not in seccomp.MACHINES, reason="the numbers of the calls are not known")
async def test_keys_of_whoever_starts_it_are_neither_seen_nor_possessed(tmp_path: Path) -> None:
    numbers = seccomp.MACHINES[os.uname().machine].numbers
    libc = ctypes.CDLL(None, use_errno=True)
    name = b"lbi-test-key"
    session, user = ctypes.c_int(-3), ctypes.c_int(-4)
    keys = [libc.syscall(numbers["add_key"], b"user", name, b"secret", 6, ring) for ring in (session, user)]
    if -1 in keys:
        pytest.skip("this user may keep no keys")
    try:
        assert name.decode() in Path("/proc/keys").read_text()
        source = repository(tmp_path / "project")
        async with open_sandbox(source) as sandbox:
            assert (await sandbox.run("cat /proc/keys; echo seen")).output == "seen\n"
        search = f"""
            import ctypes
            libc = ctypes.CDLL(None, use_errno=True)
            found = libc.syscall({numbers["keyctl"]}, 10, ctypes.c_int(-3), b"user", {name!r}, 0)
            print(found, ctypes.get_errno())
        """
        async with open_sandbox(source, unsafe=True) as sandbox:  # without a filter that would refuse to search
            assert (await sandbox.run(python(search))).output == f"-1 {errno.ENOKEY}\n"
    finally:
        for key, ring in zip(keys, (session, user), strict=True):
            libc.syscall(numbers["keyctl"], 9, key, ring)
