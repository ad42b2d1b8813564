"""What hostile code tries on a desktop: it reaches nothing outside, ends at its limits, and survives nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lbi.environments.desktop.application import Desktop, Program
from lbi.environments.desktop.environment import DesktopEnvironment, DesktopEnvironments
from lbi.records import Observation, Task
from lbi.sandbox.protocol import MIB, SandboxLimits
from needs_desktop import needs_desktop

pytestmark = needs_desktop
in_one_loop = pytest.mark.asyncio(loop_scope="module")
TERMINAL = Program(name="terminal", command=("xfce4-terminal", "--disable-server"))
LIMITS = SandboxLimits(
    memory_bytes=512 * MIB,
    processes=200,
    cpu_seconds=60,
    disk_bytes=64 * MIB,
    output_bytes=16 * MIB,
    wall_seconds=60,
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desktop() -> AsyncIterator[DesktopEnvironment]:
    environments = DesktopEnvironments(Desktop(name="small", program=(TERMINAL,)), limits=LIMITS)
    yield await environments.open()
    await environments.close()


async def begun(desktop: DesktopEnvironment) -> Observation:
    return await desktop.reset(Task(instruction="", environment="small"))


async def run(desktop: DesktopEnvironment, code: str) -> str:
    """What a snippet prints, or why it failed."""
    outcome = await desktop.step(f"python({textwrap.dedent(code)!r})")
    return outcome.observation.error or outcome.observation.text


async def still_works(desktop: DesktopEnvironment) -> None:
    opened = await desktop.step('open("terminal")')
    assert opened.observation.error == ""
    assert "Terminal" in opened.observation.title


@in_one_loop
async def test_no_network_is_reached_and_no_display_of_the_host(desktop: DesktopEnvironment) -> None:
    await begun(desktop)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        said = await run(
            desktop,
            f"""
            import socket
            for address in (("127.0.0.1", {port}), ("10.0.0.1", 80), ("192.0.2.1", 443)):
                try:
                    socket.create_connection(address, 2)
                    print("reached", address)
                except OSError as error:
                    print("refused", error.errno)
            """,
        )
        assert said.count("refused") == 3
        assert "reached" not in said
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert "['X0']" in await run(desktop, "import os; print(sorted(os.listdir('/tmp/.X11-unix')))")


@in_one_loop
async def test_nothing_of_the_host_is_seen_but_its_programs(desktop: DesktopEnvironment, tmp_path: Path) -> None:
    await begun(desktop)
    (tmp_path / "secret").write_text("secret")
    said = await run(
        desktop,
        f"""
        import os
        hidden = [{str(tmp_path)!r}, {str(Path.cwd())!r}, "/root", "/var/lib/dpkg", "/etc/shadow", "/etc/hostname"]
        print("seen:", [path for path in hidden if os.path.exists(path)])
        places = ("/", "/usr", "/etc", "/dev", "/proc/sys/kernel", "/var")
        writable = [path for path in places if os.access(path, os.W_OK)]
        print("writable:", writable, "user:", os.getuid(), "variables:", [n for n in os.environ if "KEY" in n])
        """,
    )
    assert "seen: [] writable: [] user: 1000 variables: []" in said, said


@in_one_loop
async def test_too_much_memory_ends_what_takes_it_and_the_next_action_works(desktop: DesktopEnvironment) -> None:
    await begun(desktop)
    said = await run(desktop, "held = [bytearray(1 << 20) for _ in range(4000)]; print('got it')")
    assert "got it" not in said
    await still_works(desktop)


@in_one_loop
async def test_too_many_processes_are_refused_or_ended_and_the_next_action_works(desktop: DesktopEnvironment) -> None:
    await begun(desktop)
    said = await run(
        desktop,
        """
        import os, time
        for number in range(1000):
            if os.fork() == 0:
                time.sleep(600)
        print("all of them")
        """,
    )
    assert "all of them" not in said
    await still_works(desktop)


@in_one_loop
async def test_too_much_on_the_disk_is_refused(desktop: DesktopEnvironment) -> None:
    await begun(desktop)
    code = "open('/home/user/much', 'wb').write(bytes(200 << 20)); print('written')"
    said = await run(desktop, code)
    assert "written" not in said
    await still_works(desktop)


@in_one_loop
async def test_whoever_ends_the_desktop_goes_on_with_a_fresh_one_and_the_files(desktop: DesktopEnvironment) -> None:
    await begun(desktop)
    ended = await run(
        desktop, "import os, signal; open('/home/user/kept', 'w').write('kept'); os.kill(2, signal.SIGKILL)"
    )
    assert "the desktop was started again" in ended, ended
    assert "kept" in await run(desktop, "print(open('/home/user/kept').read())")
    fresh = await begun(desktop)
    assert "No such file" in await run(desktop, "print(open('/home/user/kept').read())")
    assert fresh.error == ""


@in_one_loop
@pytest.mark.parametrize("program", ["Xvfb", "dbus-daemon", "openbox"])
async def test_whoever_ends_a_part_of_it_loses_a_step_at_most(desktop: DesktopEnvironment, program: str) -> None:
    await begun(desktop)
    code = f"import os; open('/home/user/kept', 'w').write('kept'); os.system('pkill -9 {program}')"
    await run(desktop, code)
    assert "kept" in await run(desktop, "print(open('/home/user/kept').read())")
    if program != "openbox":
        await still_works(desktop)


@in_one_loop
async def test_nothing_is_left_of_an_episode(desktop: DesktopEnvironment) -> None:
    await begun(desktop)
    await run(
        desktop,
        """
        import subprocess
        open('/tmp/left', 'w').write('left')
        subprocess.Popen(['sleep', '987'], start_new_session=True)
        """,
    )
    await begun(desktop)
    said = await run(
        desktop,
        "import os, subprocess; print(os.path.exists('/tmp/left'), 'slee' + 'p 987' in os.popen('ps ax').read())",
    )
    assert "False False" in said


HOLDS = """
import asyncio, sys
from lbi.environments.desktop.application import Desktop
from lbi.environments.desktop.environment import DesktopEnvironments
from lbi.records import Task

async def hold():
    environment = await DesktopEnvironments(Desktop(name="held", env={"MARK": sys.argv[1]})).open()
    await environment.reset(Task(instruction="", environment="held"))
    code = "import subprocess; subprocess.Popen(['sleep', '987'], start_new_session=True)"
    await environment.step(f"python({code!r})")
    print("ready", flush=True)
    await asyncio.sleep(600)

asyncio.run(hold())
"""


def test_everything_ends_with_whoever_asked_for_it_also_when_that_is_killed(tmp_path: Path) -> None:
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, mark], stdout=subprocess.PIPE, env=env)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"ready\n"
    assert len(marked(mark)) > 5
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    deadline = time.monotonic() + 30
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert marked(mark) == []
    assert list(tmp_path.iterdir()) == [], "its files were in the memory of what has ended"


def marked(mark: str) -> list[int]:
    """The processes of this machine that have the mark in their environment; root and their owner can tell."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
