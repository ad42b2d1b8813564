"""How long the trusted side takes over many files that an agent changed, beside what it took before.

    python performance/many_files.py [--files 100000] [--changed 20000] [--before 926ffe4]

In a sandbox over a repository of CHANGED files: `diff` after each of them got another line. In another one: `digest`
after FILES new ones, after a step that changes nothing, and after one that changes one file. The same is done by the
code of an earlier commit, in a process of its own; the two take turns. Prints milliseconds and the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: run with either version of the package; what it is called there is the only difference
MEASURE = """
import asyncio, json, sys, time
from pathlib import Path
try:
    from lbi.sandbox.backends import open_sandbox
    from lbi.sandbox.protocol import SandboxLimits
except ModuleNotFoundError:
    from lbi.sandbox import open_sandbox
    from lbi.sandbox.contract import Limits as SandboxLimits
MAKE = '''python3 -c "import os
for n in range({files}):
    if n % 1000 == 0: os.makedirs(f'new{{n // 1000}}')
    with open(f'new{{n // 1000}}/{{n}}.txt', 'w') as file: file.write(str(n))"'''
async def main(source, files):
    times, limits = {}, SandboxLimits(disk_bytes=4 << 30)
    async def timed(kind, work):
        start = time.perf_counter()
        await work()
        times[kind] = 1000 * (time.perf_counter() - start)
    async with open_sandbox(Path(source), limits=limits) as sandbox:
        await sandbox.run("for f in */*.py; do echo changed >> $f; done")
        await timed("diff", sandbox.diff)
    async with open_sandbox(Path(source), limits=limits) as sandbox:
        await sandbox.run(MAKE.format(files=files), wall_seconds=600)
        await timed("digest, first", sandbox.digest)
        await sandbox.run("true")
        await timed("digest, unchanged step", sandbox.digest)
        await sandbox.run("echo more >> new0/7.txt")
        await timed("digest, one file changed", sandbox.digest)
    print(json.dumps(times))
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def measured(package: Path, source: Path, files: int) -> dict[str, float | str]:
    """{kind: milliseconds}, by the package in this folder; {"": what it said} where it failed."""
    command = [sys.executable, "-c", MEASURE, str(source), str(files)]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=pipe, stderr=pipe)
    output, errors = await process.communicate()
    if process.returncode:
        return {"": errors.decode().strip().splitlines()[-1]}
    times: dict[str, float | str] = json.loads(output)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--changed", type=int, default=20_000)
    parser.add_argument("--before", default="926ffe4", help="a commit of this repository")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, earlier = Path(folder) / "repository", Path(folder) / "earlier"
        for number in range(options.changed):
            file = source / f"package{number % 40}" / f"module{number}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"# module {number}\n" + "x = 1\n" * 100)
        earlier.mkdir()
        archive = subprocess.run(
            ["git", "archive", options.before, "src"], cwd=HERE.parent, capture_output=True, check=True
        )
        subprocess.run(["tar", "-x", "-C", str(earlier)], input=archive.stdout, check=True)
        now = asyncio.run(measured(HERE.parent / "src", source, options.files))
        before = asyncio.run(measured(earlier / "src", source, options.files))
    load = os.getloadavg()[0]
    print(f"diff of {options.changed} files, digest of {options.files}; {os.cpu_count()} cores, load {load:.1f}")
    print(f"{'ms':28}{'now':>12}{options.before:>12}{'ratio':>10}")
    for kind, value in now.items():
        other = before.get(kind)
        if isinstance(value, str) or not isinstance(other, float):
            print(f"{kind:28}{value!s:>12}  {before.get('', other)}")
        else:
            print(f"{kind:28}{value:>12.1f}{other:>12.1f}{other / value:>9.1f}x")


if __name__ == "__main__":
    main()
