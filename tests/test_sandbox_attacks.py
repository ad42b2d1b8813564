"""What hostile code tries in the sandbox, and that each ends as an observation with the host untouched.

Run as root where root runs them, and then once more as a user without privileges by test_sandbox.py. No test may change
the host, whatever holes there are: what is written there is what was there, and no sandbox is attacked that is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lbi.errors import EnvironmentFailure
from lbi.sandbox.backends import open_sandbox
from lbi.sandbox.protocol import Sandbox, SandboxLimits
from lbi.sandbox.supervisor import processes
from small_repository import needs_bubblewrap, repository

pytestmark = needs_bubblewrap
MIB = 1024 * 1024
LIMITS = SandboxLimits(
    memory_bytes=256 * MIB,
    processes=64,
    cpu_seconds=5,
    disk_bytes=32 * MIB,
    output_bytes=64 * 1024,
    wall_seconds=10,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return repository(tmp_path / "project")


@pytest.fixture
async def sandbox(source: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(source, limits=LIMITS) as opened:
        # asked without touching any of it, so that a cage with a hole is found before something goes through
        done = await opened.run(
            "for p in / /usr /etc /dev /proc/sys/kernel/core_pattern; do test -w $p && echo $p; done"
        )
        assert done.output == "", "the sandbox is open, so it is not attacked"
        yield opened


def host() -> dict[str, str]:
    """What a hole would change first: settings of the kernel, and the modes of devices and programs."""
    names = ("core_pattern", "modprobe", "hostname", "domainname", "sysrq", "panic", "randomize_va_space")
    files = [Path("/proc/sys/kernel", name) for name in names] + [Path("/proc/sys/vm/swappiness")]
    said = {str(file): file.read_text() for file in files if os.access(file, os.R_OK)}
    places = ("/", "/usr", "/etc", "/dev", "/dev/null", "/dev/zero", "/usr/bin/env")
    return said | {place: oct(os.stat(place).st_mode) for place in places}


@pytest.fixture(scope="module", autouse=True)
def the_host_stays_as_it_is() -> Iterator[None]:
    before = host()
    assert "/proc/sys/kernel/core_pattern" in before
    yield
    assert host() == before


async def still_works(sandbox: Sandbox) -> None:
    done = await sandbox.run("echo fine")
    assert (done.exit_code, done.output, done.ended) == (0, "fine\n", "exited")


def python(code: str) -> str:
    return f"python3 - <<'END'\n{textwrap.dedent(code)}\nEND"


# limits


async def test_a_fork_bomb_is_stopped_and_the_host_stays_usable(sandbox: Sandbox) -> None:
    done = await sandbox.run("bomb() { bomb | bomb & }; bomb; sleep 30", wall_seconds=4)
    assert done.ended in ("killed", "time")
    assert len(processes.descendants(os.getpid())) < LIMITS.processes
    await still_works(sandbox)


async def test_a_memory_bomb_is_stopped(sandbox: Sandbox) -> None:
    done = await sandbox.run(python("held = []\nwhile True: held.append(bytearray(8 << 20))"))
    assert done.ended == "memory" or "MemoryError" in done.output
    await still_works(sandbox)


@pytest.mark.slow
async def test_memory_of_many_processes_counts_together(sandbox: Sandbox) -> None:
    one = "import time; held = b'x' * (100 << 20); time.sleep(4)"
    done = await sandbox.run(f'for i in 1 2 3 4 5 6; do python3 -c "{one}" & done; wait', wall_seconds=15)
    assert done.ended == "memory" or "Killed" in done.output
    await still_works(sandbox)


async def test_the_disk_can_be_filled_up_to_its_limit_only(sandbox: Sandbox) -> None:
    fill = "for f in /repo/big /tmp/big ~/big; do head -c 100M /dev/zero >> $f; done; du -cm /repo/big /tmp/big ~/big"
    done = await sandbox.run(fill)
    assert "No space left" in done.output or "File too large" in done.output
    assert int(done.output.splitlines()[-1].split()[0]) <= LIMITS.disk_bytes // MIB
    full = await sandbox.run("rm -f /repo/big /tmp/big ~/big; head -c 100M /dev/zero > /dev/shm/big")
    assert full.exit_code != 0
    await sandbox.run("rm -f /dev/shm/big")
    await still_works(sandbox)


async def test_a_gigabyte_of_output_is_neither_kept_nor_waited_for(sandbox: Sandbox) -> None:
    done = await sandbox.run("echo begin; head -c 1G /dev/zero | tr '\\0' x")
    assert done.ended == "output"
    assert len(done.output) <= LIMITS.output_bytes
    assert done.cut_bytes > MIB
    assert done.output.startswith("begin\nx")
    await still_works(sandbox)


@pytest.mark.slow
async def test_time_on_the_clock_and_on_the_processor_is_limited(sandbox: Sandbox) -> None:
    slept = await sandbox.run("echo first; sleep 60", wall_seconds=0.5)
    assert (slept.ended, slept.exit_code, slept.output) == ("time", None, "first\n")
    burnt = await sandbox.run("for i in 1 2 3 4; do (while :; do :; done) & done; wait", wall_seconds=500)
    assert burnt.ended == "time"
    assert burnt.seconds < 250, "it is the processor's time that ended it, which a busy machine hands out slowly"
    await still_works(sandbox)


async def test_what_is_left_behind_ends_with_the_sandbox(source: Path) -> None:
    before = set(processes.descendants(os.getpid()))
    async with open_sandbox(source, limits=LIMITS) as sandbox:
        await sandbox.run("setsid nohup sleep 1000 >/dev/null 2>&1 & (sleep 1000 &) ; disown -a")
        assert set(processes.descendants(os.getpid())) - before
    assert set(processes.descendants(os.getpid())) <= before


# the host's files


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/root", "/home/*/.ssh", "/proc/1/root/etc/shadow", "/var/lib", "/sys", "/run", "/boot"]
)
async def test_files_of_the_host_are_not_there(sandbox: Sandbox, path: str) -> None:
    done = await sandbox.run(f"cat {path} || ls {path}/..secret {path}/* ")
    assert done.exit_code != 0


async def test_neither_this_program_nor_its_environment_can_be_seen(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-secret")
    async with open_sandbox(source, limits=LIMITS) as sandbox:
        done = await sandbox.run("env; cat /proc/*/environ | tr '\\0' '\\n'; ls " + os.path.dirname(__file__))
    assert "sk-a-secret" not in done.output
    assert "test_sandbox" not in done.output


async def test_writing_outside_of_the_repository_is_refused(sandbox: Sandbox) -> None:
    for place in ("/", "/usr", "/etc", "/usr/bin", "/dev", "/proc/sys/kernel", "/home"):
        done = await sandbox.run(f"echo x > {place}/planted")
        assert done.exit_code != 0, place
        assert not Path(place, "planted").exists()


async def test_the_pristine_folder_is_never_written_to(sandbox: Sandbox, source: Path) -> None:
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    await sandbox.run(f"rm -rf /repo/* {source}/*; echo x > {source}/planted; chmod 777 /repo {source}")
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before


async def test_a_read_only_bind_cannot_be_written_to(source: Path, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "tool").write_text("echo tool")
    async with open_sandbox(source, limits=LIMITS, binds=[tmp_path / "tools"]) as sandbox:
        assert (await sandbox.run(f"sh {tmp_path}/tools/tool")).output == "tool\n"
        done = await sandbox.run(f"echo x > {tmp_path}/tools/tool; mount -o remount,rw {tmp_path}/tools")
    assert done.exit_code != 0
    assert (tmp_path / "tools" / "tool").read_text() == "echo tool"


# links, pipes and devices that the agent plants


async def test_links_out_of_the_repository_lead_nowhere(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host")
    up = "../" * 12
    await sandbox.run(f"ln -s {secret} abs; ln -s {up}{secret} rel; ln -s {tmp_path} dir; ln -s / root; rm -r src")
    await sandbox.run(f"ln -s {tmp_path} src")
    for path in ("abs", "rel", "dir/secret", f"root{secret}", "src/secret", f"{up}{secret}", str(secret)):
        with pytest.raises(OSError):
            await sandbox.download(path)
    for path in ("abs", "dir/new", "src/new", "root/tmp/new"):
        with contextlib.suppress(OSError):  # or it goes to a place of that name inside
            await sandbox.upload(path, b"planted")
    assert secret.read_text() == "host"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["project", "secret"]
    assert "host" not in (await sandbox.diff()).replace(str(tmp_path), "")


async def test_a_link_of_the_repository_that_becomes_a_folder_shows_nothing_of_the_host(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("host secret")
    (source / "data").symlink_to(tmp_path / "outside")
    async with open_sandbox(source, limits=LIMITS) as sandbox:
        await sandbox.run("rm data; mkdir data; echo mine > data/secret")
        diff = await sandbox.diff()
    assert "host secret" not in diff
    assert "+mine" in diff


async def test_a_pipe_or_a_device_in_place_of_a_file_is_not_waited_for(sandbox: Sandbox) -> None:
    await sandbox.run("mkfifo pipe; rm README.md; mkfifo README.md; ln -s /dev/zero zero; ln -s /proc/self/mem mem")
    async with asyncio.timeout(20):
        for path in ("pipe", "zero", "mem", "."):
            with pytest.raises(OSError):
                await sandbox.download(path)
        with pytest.raises(OSError):
            await sandbox.upload("pipe", b"x")
        assert "deleted file" in await sandbox.diff()
        snapshot = await sandbox.snapshot()
        await sandbox.restore(snapshot)
    await still_works(sandbox)


async def test_devices_cannot_be_made_nor_mounts_nor_namespaces(sandbox: Sandbox) -> None:
    for command in (
        "mknod disk b 254 0",
        "mknod mem c 1 1",
        "mount -t tmpfs none /tmp",
        "mount --bind /repo /usr",
        "umount /usr",
        "unshare -Ur true",
        "unshare -m true",
        "nsenter -t 1 -m true",
        "chroot / true",
        # what is so already, so that a hole would do no harm
        "hostname $(cat /proc/sys/kernel/hostname)",
        "date -s @$(date +%s)",
    ):
        done = await sandbox.run(command)
        assert done.exit_code != 0, command


async def test_the_kernel_cannot_be_told_anything(sandbox: Sandbox) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    for file in ("sys/kernel/core_pattern", "sys/vm/swappiness", "1/oom_score_adj", "self/oom_score_adj"):
        # what is there already is written, so that a hole would do no harm
        done = await sandbox.run(f"cp /proc/{file} /tmp/same && cat /tmp/same > /proc/{file}")
        assert done.exit_code != 0, file
    assert (await sandbox.run("test -w /proc/sysrq-trigger")).exit_code != 0
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


async def test_modes_of_the_host_s_files_cannot_be_changed(sandbox: Sandbox) -> None:
    places = [Path(p) for p in ("/dev/null", "/dev/zero", "/dev/tty", "/usr/bin/bwrap", "/usr/bin/env")]
    modes = [place.stat().st_mode for place in places]
    code = """
        import glob, os
        for file in ["/dev/null", "/dev/zero", "/dev/tty", "/usr/bin/env", *glob.glob("/proc/[0-9]*/exe"),
                     *glob.glob("/proc/[0-9]*/fd/*"), *glob.glob("/proc/[0-9]*/cwd"), *glob.glob("/proc/[0-9]*/root")]:
            try:
                os.chmod(file, os.stat(file).st_mode)
                if not os.readlink(file).startswith(("pipe:", "/repo", "/tmp")):
                    print("changed", file)
            except OSError:
                pass
    """
    done = await sandbox.run(python(code))
    assert [place.stat().st_mode for place in places] == modes
    assert "changed" not in done.output


# processes and the network


async def test_processes_of_the_host_can_be_neither_seen_nor_signalled_nor_traced(sandbox: Sandbox) -> None:
    code = f"""
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        print([libc.ptrace(16, pid, 0, 0) for pid in ({os.getpid()}, {os.getppid()}, 1)])
        for pid in ({os.getpid()}, {os.getppid()}):
            try:
                os.kill(pid, 9)
                print("signalled")
            except OSError as error:
                print(error.__class__.__name__)
        print("namespaces", [libc.setns(os.open("/proc/1/ns/" + n, 0), 0) for n in ("mnt", "net", "user")])
    """
    done = await sandbox.run(python(code))
    assert "[-1, -1, -1]" in done.output
    assert "signalled" not in done.output
    assert "namespaces [-1, -1, -1]" in done.output or "PermissionError" in done.output
    seen = await sandbox.run("ls -d /proc/[0-9]* | wc -l")
    assert int(seen.output) < 10


async def test_killing_the_shell_or_everything_leaves_a_working_sandbox(sandbox: Sandbox) -> None:
    await sandbox.run("cd src; export MARK=kept")
    for command in ("kill -9 $$", "kill -9 -1", "kill -9 1; kill -9 $PPID", "exec false", "exit 7"):
        done = await sandbox.run(command)
        assert done.ended in ("exited", "killed"), command
        after = await sandbox.run("echo $PWD $MARK")
        assert after.output == "/repo/src kept\n", command
    assert (await sandbox.run("exit 7")).exit_code == 7


async def test_neither_loopback_nor_the_network_can_be_reached(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5):  # it does listen
            pass
        abstract = socket.socket(socket.AF_UNIX)
        name = f"lbi-test-{os.getpid()}"
        abstract.bind("\0" + name)
        abstract.listen()
        code = f"""
            import socket
            for family, address in ((2, ("127.0.0.1", {port})), (2, ("1.1.1.1", 53)), (1, "\\0{name}")):
                try:
                    connection = socket.socket(family)
                    connection.settimeout(2)
                    connection.connect(address)
                    print("reached", address)
                except OSError as error:
                    print("refused", error)
        """
        done = await sandbox.run(python(code))
        abstract.close()
    assert "reached" not in done.output
    assert done.output.count("refused [") == 3
    assert (await sandbox.run("ls /sys/class/net || cat /proc/net/dev | grep -v lo: | wc -l")).output.strip()[
        -1:
    ] == "2"


async def test_nothing_can_be_typed_into_a_terminal(sandbox: Sandbox) -> None:
    code = """
        import fcntl, os, termios
        for file in ("/dev/tty", "/dev/console", "/dev/tty1", "/dev/pts/0", "/proc/self/fd/0", "/proc/self/fd/1"):
            try:
                handle = os.open(file, os.O_RDWR | os.O_NOCTTY)
                fcntl.ioctl(handle, termios.TIOCSTI, b"x")
                print("typed into", file)
            except OSError as error:
                print("refused", file, error)
    """
    done = await sandbox.run(python(code))
    assert "typed into" not in done.output
    assert done.output.count("refused") == 6


async def test_what_runs_has_no_capability_and_cannot_get_one(sandbox: Sandbox) -> None:
    done = await sandbox.run(
        "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status; sudo -n true; su -c true"
    )
    values = [line.split()[1] for line in done.output.splitlines() if line.startswith("Cap")]
    assert values == ["0000000000000000"] * 5
    assert "NoNewPrivs:\t1" in done.output
    assert done.exit_code != 0


async def test_the_shell_cannot_speak_for_its_supervisor(sandbox: Sandbox) -> None:
    done = await sandbox.run("printf '0\\0/etc\\0\\0' >&4; printf 'echo planted\\0' >&3; ls -l /proc/self/fd; (exit 3)")
    assert done.exit_code == 3
    assert "planted" not in (await sandbox.run("pwd")).output


@pytest.mark.parametrize("unsafe", [False, True])
@pytest.mark.parametrize("killed", ["asker", "supervisor"])
async def test_everything_ends_with_the_one_who_asked_and_with_the_supervisor(
    source: Path, unsafe: bool, killed: str
) -> None:
    code = f"""
        import asyncio, sys
        from pathlib import Path
        from lbi.sandbox.backends import open_sandbox
        async def main():
            async with open_sandbox(Path({str(source)!r}), unsafe={unsafe}) as sandbox:
                await sandbox.run("sleep 1000 & setsid sleep 1001 & (setsid nohup sleep 1002 >/dev/null 2>&1 &)")
                print(sandbox._process.pid, flush=True)
                await sandbox.run("sleep 1000")
        asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(code), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    supervisor = int(await process.stdout.readline())
    inside = processes.descendants(process.pid)
    assert len(inside) > 3
    if killed == "asker":
        process.kill()
    else:
        served = [pid for pid in (supervisor, *processes._children(supervisor)[:1]) if unsafe or pid == supervisor]
        os.kill(served[-1], signal.SIGKILL)  # without namespaces, that is the child of the one that guards it
    await process.wait()
    for _ in range(200):
        if not any(Path(f"/proc/{pid}/exe").exists() and _alive(pid) for pid in inside):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("something outlived the process that it was for")


async def test_a_child_that_looks_through_files_ends_with_the_supervisor(source: Path) -> None:
    async with open_sandbox(source, limits=SandboxLimits(disk_bytes=4 << 30)) as sandbox:
        await sandbox.run("for i in 1 2; do truncate -s 4G sparse$i; done")
        supervisor = sandbox._process.pid  # type: ignore[attr-defined]
        looking = asyncio.create_task(sandbox.digest())
        child: list[int] = []
        while not child:
            await asyncio.sleep(0.01)
            own = processes._children(supervisor)
            child = [
                pid for pid in own if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(sys.executable.encode())
            ]
        os.kill(supervisor, signal.SIGKILL)
        with pytest.raises(EnvironmentFailure):
            await looking
        for _ in range(200):
            if not _alive(child[0]):
                return
            await asyncio.sleep(0.05)
    raise AssertionError("the child outlived its supervisor")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
