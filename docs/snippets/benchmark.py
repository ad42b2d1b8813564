"""Held-out tasks that a package brings, from a TOML file beside this one."""

from __future__ import annotations

from pathlib import Path

from lbi.evaluation.benchmark import Benchmark, load_benchmark


def load() -> Benchmark:
    return load_benchmark(str(Path(__file__).with_name("benchmark.toml")))
