"""Writes mutations that break tests as a file of tasks, one JSON line each, which is also a data set like SWE-bench's.

Every mutation that was tried is stored in a file beside it, so that a run that was killed continues where it was.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from lbi.benchmarks.swebench.instance import Instance, Mutated
from lbi.benchmarks.swebench.mutations.operators import mutated
from lbi.benchmarks.swebench.mutations.run import Baseline, Ground, Tried, content_of
from lbi.benchmarks.swebench.patches import edited
from lbi.errors import UserError
from lbi.records import Record, digest_of
from lbi.storage.files import write_atomically

SHOWN = 8  # failing tests named in an instruction


class _Head(Record):
    """The first line of a file of tries: what they belong to."""

    fingerprint: str
    baseline: Baseline


class Tries:
    """The mutations of one repository that were tried, in a file to which each is added at once."""

    def __init__(self, file: Path, fingerprint: str) -> None:
        self._file = file
        self._fingerprint = fingerprint
        self.baseline: Baseline | None = None
        self._tried: dict[str, Tried] = {}
        for number, line in enumerate(self._lines(), 1):
            self._take(number, line)

    def _lines(self) -> list[str]:
        if not self._file.exists():
            return []
        text = self._file.read_text("utf-8")
        whole, newline, part = text.rpartition("\n")
        if part:  # the run was killed in the middle of a line
            self._file.write_text(whole + newline, "utf-8")
        return [line for line in whole.split("\n") if line]

    def _take(self, number: int, line: str) -> None:
        try:
            if number == 1:
                head = _Head.model_validate_json(line)
                if head.fingerprint != self._fingerprint:
                    raise UserError(
                        f"{self._file} is of a repository, tests or a Python that differ from these; "
                        "remove it to begin anew, or choose another --out"
                    )
                self.baseline = head.baseline
            else:
                tried = Tried.model_validate_json(line)
                self._tried[tried.mutation.id] = tried
        except ValidationError:
            raise UserError(f"{self._file}: line {number} is no try of ours; remove the file to begin anew") from None

    def begin(self, baseline: Baseline) -> None:
        self.baseline = baseline
        head = _Head(fingerprint=self._fingerprint, baseline=baseline)
        write_atomically(self._file, (head.model_dump_json() + "\n").encode())

    def get(self, mutation: str) -> Tried | None:
        return self._tried.get(mutation)

    def add(self, tried: Tried) -> None:
        with self._file.open("a", encoding="utf-8") as out:
            out.write(tried.model_dump_json() + "\n")
        self._tried[tried.mutation.id] = tried

    def counts(self) -> Counter[str]:
        return Counter(tried.verdict for tried in self._tried.values())


def instance_of(ground: Ground, before: Baseline, tried: Tried) -> Instance:
    """The task of a mutation. The instruction says which tests fail, never what was changed or where."""
    mutation = tried.mutation
    pristine = content_of(ground.repository, mutation.path)
    broken = mutated(pristine, mutation)
    failing = set(tried.broken)
    return Instance(
        instance_id=f"{ground.repository.resolve().name}-{mutation.id[:10]}",
        repo=str(ground.repository.resolve()),
        base_commit="",
        problem_statement=instruction(tried.broken),
        patch=edited(mutation.path, broken, pristine),
        fail_to_pass=tried.broken,
        pass_to_pass=tuple(name for name in before.passed if name not in failing),
        mutation=Mutated(
            patch=edited(mutation.path, pristine, broken),
            operator=mutation.operator,
            function=mutation.function,
            line=mutation.line,
            python=str(ground.python),
            tests=ground.tests,
        ),
    )


def instruction(broken: tuple[str, ...]) -> str:
    """The instruction of a task, from the tests that fail."""
    shown = "\n".join(f"- {name}" for name in broken[:SHOWN])
    more = f"\n- and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    many = "Tests that passed" if len(broken) > 1 else "A test that passed"
    return (
        f"{many} in this repository until lately now fail:\n{shown}{more}\n"
        "Find the fault in the code that they test and mend it. Leave the tests as they are."
    )


def rows(ground: Ground, before: Baseline, breaking: list[Tried]) -> Iterator[dict[str, object]]:
    """A line per task: its instruction, the official columns, and the mutation."""
    for tried in breaking:
        instance = instance_of(ground, before, tried)
        yield {"instruction": instance.problem_statement, **instance.official()}


def write_tasks(file: Path, ground: Ground, before: Baseline, breaking: list[Tried]) -> None:
    """Write the file of tasks; the same mutations give the same bytes."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows(ground, before, breaking)]
    write_atomically(file, "".join(lines).encode())


def same_effect(tried: Tried) -> str:
    """A key that is the same for mutations of one function that break the same tests: they are one task."""
    return digest_of([tried.mutation.path, tried.mutation.function, tried.mutation.line, tried.broken])
