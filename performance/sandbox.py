"""How long a sandbox takes to start, to run a command, to be reset and compared, beside what people use instead.

    python performance/sandbox.py [--files 2000] [--repeat 10] [--image IMAGE] [--only podman worktree]

Compared with: the same without a sandbox (`--unsafe`, which copies), a plain process in a plain copy, a git worktree,
and Podman or Docker if they are installed, with an image of this machine's own programs unless another is named. Prints
milliseconds (the median, and the minimum in brackets) and ratios to the sandbox.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lbi.errors import UserError
from lbi.sandbox.backends import open_sandbox
from small_image import NAME, build

WHO = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
Times = dict[str, list[float]]


def make_repository(folder: Path, files: int) -> Path:
    """A git repository with this number of files of 4 kB."""
    for number in range(files):
        file = folder / f"package{number % 40}" / f"module{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# module {number}\n" + "x = 1\n" * 680)
    for command in (("init", "-q"), ("add", "."), (*WHO, "commit", "-q", "-m", "start")):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


async def timed(times: Times, kind: str, work: Callable[[], Awaitable[object]]) -> None:
    start = time.perf_counter()
    await work()
    times.setdefault(kind, []).append(1000 * (time.perf_counter() - start))


async def sandboxed(source: Path, repeat: int, backend: str, *, unsafe: bool = False) -> Times:
    """Times of a start, a command, the digest of a change, and a reset after it."""
    times: Times = {}
    for _ in range(repeat):
        start = time.perf_counter()
        async with open_sandbox(source, backend=backend, unsafe=unsafe) as sandbox:
            times.setdefault("start", []).append(1000 * (time.perf_counter() - start))
            await timed(times, "step", lambda: sandbox.run("true"))
            await sandbox.run("echo changed >> package1/module1.py")
            await timed(times, "digest", sandbox.digest)
            await timed(times, "reset", sandbox.reset)
    return times


async def copied(source: Path, repeat: int, work: Path) -> Times:
    """A copy of the folder, and a new process for each command; a reset is another copy."""
    times: Times = {}
    for number in range(repeat):
        target = work / f"copy{number}"

        async def copy(target: Path = target) -> None:
            shutil.copytree(source, target, symlinks=True)

        async def anew(target: Path = target) -> None:
            shutil.rmtree(target)
            shutil.copytree(source, target, symlinks=True)

        await timed(times, "start", copy)
        await timed(times, "step", lambda target=target: _run(["bash", "-c", "true"], target))
        await timed(times, "digest", lambda target=target: _run(["git", "status", "--porcelain"], target))
        await timed(times, "reset", anew)
    return times


async def worktree(source: Path, repeat: int, work: Path) -> Times:
    """A git worktree of the commit."""
    times: Times = {}
    for number in range(repeat):
        target = work / f"tree{number}"
        add = ["git", "worktree", "add", "-q", "--detach", str(target)]
        await timed(times, "start", lambda add=add: _run(add, source))
        await timed(times, "step", lambda target=target: _run(["bash", "-c", "true"], target))
        (target / "package1" / "module1.py").write_text("changed\n")
        await timed(times, "digest", lambda target=target: _run(["git", "status", "--porcelain"], target))
        back = "git reset -q --hard && git clean -qfdx"
        await timed(times, "reset", lambda target=target, back=back: _run(["bash", "-c", back], target))
        await _run(["git", "worktree", "remove", "--force", str(target)], source)
    return times


async def _run(command: list[str], folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=asyncio.subprocess.DEVNULL)
    if await process.wait():
        raise SystemExit(f"{command} failed")


async def measured(source: Path, work: Path, repeat: int, image: str, only: list[str]) -> dict[str, Times]:
    """{row: times}. The sandbox itself is always measured, as the ratios refer to it."""
    times_by_name = {"sandbox": await sandboxed(source, repeat, "bubblewrap")}
    alternatives: dict[str, Callable[[], Awaitable[Times]]] = {
        "unsafe": lambda: sandboxed(source, repeat, "auto", unsafe=True),
        "copy": lambda: copied(source, repeat, work),
        "worktree": lambda: worktree(source, repeat, work),
        "podman": lambda: contained(source, repeat, "podman", image),
        "docker": lambda: contained(source, repeat, "docker", image),
    }
    for name in only or alternatives:
        try:
            times_by_name[name] = await alternatives[name]()
        except UserError as error:
            print(f"{name}: left out: {error}")
    return times_by_name


async def contained(source: Path, repeat: int, engine: str, image: str) -> Times:
    """As ``sandboxed``, but only a third as often: a command takes half a second or more."""
    if not image and not build(engine):
        raise UserError("it is not installed, or made no image")
    return await sandboxed(source, max(repeat // 3, 1), f"{engine}:{image or NAME}")


def show(times_by_name: dict[str, Times]) -> None:
    kinds = ("start", "step", "digest", "reset")
    print(f"{'ms, median (least)':24}" + "".join(f"{kind:>20}" for kind in kinds))
    for name, times in times_by_name.items():
        cells = (f"{statistics.median(times[kind]):.1f} ({min(times[kind]):.1f})" for kind in kinds)
        print(f"{name:24}" + "".join(f"{cell:>20}" for cell in cells))
    print("ratio to the sandbox")
    for name, times in times_by_name.items():
        ratios = (statistics.median(times[kind]) / statistics.median(times_by_name["sandbox"][kind]) for kind in kinds)
        print(f"{name:24}" + "".join(f"{ratio:>19.2f}x" for ratio in ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--image", default="", help="of Podman and Docker; one is made without it")
    rows = ("unsafe", "copy", "worktree", "podman", "docker")
    parser.add_argument("--only", nargs="+", choices=rows, default=[], help="rows beside the sandbox")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = make_repository(Path(folder) / "repository", options.files)
        times_by_name = asyncio.run(measured(source, Path(folder), options.repeat, options.image, options.only))
    load = os.getloadavg()[0]
    print(f"{options.files} files, {options.repeat} times, {os.cpu_count()} cores, load {load:.1f} while this ran")
    show(times_by_name)


if __name__ == "__main__":
    main()
