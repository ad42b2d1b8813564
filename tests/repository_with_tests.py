"""A small repository with tests, and the interpreter that runs them."""

from __future__ import annotations

import sys
from pathlib import Path

from lbi.benchmarks.swebench.mutations.run import Ground
from lbi.sandbox.interpreter import prefixes

TILL = '''"""A till."""


def price(units: int, each: float) -> float:
    """What so many units cost; ten and more are cheaper."""
    if units < 0:
        raise ValueError("no negative units")
    total = units * each
    if units >= 10:
        total = total * 0.9
    return round(total, 2)


def open_now(hour: int) -> bool:
    return 9 <= hour < 18


def never_tested(units: int) -> int:
    return units + 1
'''
TESTS = """import pytest
from till import open_now, price


def test_few():
    assert price(2, 1.5) == 3.0


def test_ten_are_cheaper():
    assert price(10, 1.0) == 9.0


class TestRefusal:
    @pytest.mark.parametrize("units", [-1, -7])
    def test_negative(self, units):
        with pytest.raises(ValueError):
            price(units, 1.0)


def test_open():
    assert open_now(9) and not open_now(18)


def test_that_always_fails():
    assert price(1, 1.0) == 7
"""
PASSING = (
    "tests/test_till.py::TestRefusal::test_negative[-1]",
    "tests/test_till.py::TestRefusal::test_negative[-7]",
    "tests/test_till.py::test_few",
    "tests/test_till.py::test_open",
    "tests/test_till.py::test_ten_are_cheaper",
)


def write_repository(folder: Path) -> Path:
    (folder / "src").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "src" / "till.py").write_text(TILL)
    (folder / "tests" / "test_till.py").write_text(TESTS)
    (folder / "README.md").write_text(
        "# Till\n\nA till for a context; its tests run with pytest.\n" + "It is small. " * 9
    )
    # plug-ins of the interpreter that runs *our* tests take most of the time that such small tests take
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:hypothesispytest -p no:asyncio -p no:anyio\n")
    return folder


def ground_of(repository: Path) -> Ground:
    """With the interpreter of these tests, which has pytest."""
    python = Path(sys.executable)
    return Ground(repository=repository, python=python, binds=prefixes(python))


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
