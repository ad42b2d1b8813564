"""How long `lbi --help` takes, and which imports take most of it.

python performance/help.py [10]       number of starts to measure
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMAND = [sys.executable, "-m", "lbi", "--help"]
LIMIT = 0.3  # seconds that it may take


def main() -> None:
    times = []
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 10):
        start = time.perf_counter()
        subprocess.run(COMMAND, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    print(f"lbi --help: median {statistics.median(times):.3f} s, best {min(times):.3f} s (limit {LIMIT} s)")
    completed = subprocess.run(
        [*COMMAND[:1], "-X", "importtime", *COMMAND[1:]], capture_output=True, text=True, check=True
    )
    rows = [line.removeprefix("import time:").split("|") for line in completed.stderr.splitlines()[1:] if "|" in line]
    slowest = sorted(rows, key=lambda row: int(row[1]) if row[1].strip().isdigit() else 0, reverse=True)
    for _, inclusive, name in slowest[:8]:
        print(f"{int(inclusive) / 1000:8.1f} ms  {name.strip()}")


if __name__ == "__main__":
    main()
