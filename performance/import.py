"""How long a large session takes to import, and how little memory: `python performance/import.py [MEGABYTES]`.

Writes a session of that size (200 by default) and a tenth of it, reads each as `lbi import --dry-run` does and as a
program would that loads the file as a whole, each in a process of its own, and prints seconds of processor time and
peak memory (RSS).
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = "the order total discount test file passes fails line in of returns shelf lamp chair red large".split()  # noqa: SIM905


def write(file: Path, megabytes: float) -> None:
    """A session of instructions with some calls each, whose results are files and outputs of usual length."""
    rng = random.Random(7)
    text = " ".join(rng.choices(WORDS, k=40_000))
    number, parent = 0, None
    base = {"sessionId": "s1", "version": "2.1.230", "cwd": "/home/user/shop", "entrypoint": "cli"}

    def line(type_: str, role: str, content: object) -> str:
        nonlocal number, parent
        number += 1
        entry = {**base, "type": type_, "uuid": f"u{number}", "parentUuid": parent}
        parent = f"u{number}"
        return json.dumps({**entry, "message": {"id": f"m{number}", "role": role, "content": content}}) + "\n"

    with file.open("w") as out:
        while out.tell() < megabytes * 1e6:
            out.write(line("user", "user", f"Correct the total of order {number}."))
            for step in range(8):
                name, start = f"t{number}", rng.randrange(30_000)
                call = {"type": "tool_use", "id": name, "name": "Bash", "input": {"command": f"pytest test_{step}.py"}}
                out.write(line("assistant", "assistant", [call]))
                result = text[start : start + rng.choice((200, 2_000, 20_000))]
                out.write(line("user", "user", [{"type": "tool_result", "tool_use_id": name, "content": result}]))
            out.write(line("assistant", "assistant", [{"type": "text", "text": "It is right now."}]))


def measured(how: str, file: Path) -> dict[str, float]:
    """In a process of its own: seconds of processor time, MB of peak memory, trajectories."""
    ran = subprocess.run([sys.executable, __file__, how, str(file)], capture_output=True, text=True, check=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def read(how: str, file: Path) -> None:
    start, made = time.process_time(), 0
    if how == "whole":
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        made = sum(line["type"] == "user" for line in lines)
    else:
        from lbi.interop.importing import ImportOptions, open_traces

        made = open_traces([file], ImportOptions()).counts.trajectories
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": time.process_time() - start, "peak": peak, "made": made}))


def main(megabytes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for size in (megabytes / 10, megabytes):
            file = Path(folder) / f"{size:g}.jsonl"
            write(file, size)
            streamed, whole = measured("streamed", file), measured("whole", file)
            mb = file.stat().st_size / 1e6
            print(
                f"{mb:6.0f} MB: {streamed['made']:.0f} trajectories, {streamed['seconds']:.1f} s "
                f"({mb / streamed['seconds']:.1f} MB/s), peak {streamed['peak']:.0f} MB; "
                f"loaded as a whole: {whole['seconds']:.1f} s, peak {whole['peak']:.0f} MB "
                f"({whole['peak'] / streamed['peak']:.1f} times as much)"
            )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        read(sys.argv[1], Path(sys.argv[2]))
    else:
        main(float(sys.argv[1]) if len(sys.argv) == 2 else 200)
