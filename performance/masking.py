"""What masking costs on a megabyte of text, beside a plain search for the same values as they stand.

python performance/masking.py
"""

from __future__ import annotations

import random
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

from lbi.storage import secrets

SIZE = 1_000_000
VALUES = 5


def best_of(work: Callable[[], object], times: int = 5) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken) * 1000


def main() -> None:
    chance = random.Random(1)
    values = [b64encode(chance.randbytes(24)).decode() for _ in range(VALUES)]
    words = (Path(__file__).parents[1] / "docs" / "how-it-works.md").read_text("utf-8")
    text = (words * (SIZE // len(words) + 1))[:SIZE]

    def plain() -> None:
        for value in values:
            text.replace(value, secrets.MASK)

    for value in values:
        secrets.learn(value)
    began = time.perf_counter()
    secrets.mask("a text")
    print(f"{VALUES} values, expression made in {(time.perf_counter() - began) * 1000:.0f} ms")
    mask = secrets._compiled().sub
    forms, alone = best_of(lambda: mask(secrets.MASK, text)), best_of(plain)
    print(f"{SIZE:,} characters: all forms {forms:.1f} ms, as they stand {alone:.1f} ms, ratio {forms / alone:.0f}")
    for hostile in ("\\", "%25", "&amp;", values[0][:12]):
        long = hostile * (SIZE // len(hostile))
        half = best_of(lambda text=long[: SIZE // 2]: mask("", text), 1)
        whole = best_of(lambda text=long: mask("", text), 1)
        print(f"{hostile!r} again and again: {whole:.0f} ms, {whole / half:.1f} times that of half of it")


if __name__ == "__main__":
    main()
