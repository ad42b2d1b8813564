"""A million examples: how long building, adding, opening and looking up take, beside looking up as it was before.

    python performance/million.py FOLDER              1,000,000 examples, a tenth of them added at a time
    python performance/million.py FOLDER 200000       this number

Stopped, it goes on where it was.

The examples are those of performance/retrieve.py. A text's vector is made of vectors of its words, as static embeddings
are, and of a part of its own, so nobody has to embed two million texts; its length is that of all-MiniLM-L6-v2.
*Before* compares every vector with the request and asks for words in the way that shuts tantivy's short cuts out, in
the same run and on the same texts. Times are CPU time, which other work on the machine does not lengthen.
"""

from __future__ import annotations

import gc
import hashlib
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads that wait for each other count as work
import numpy
import tantivy

sys.path.insert(0, str(Path(__file__).parent))
from lbi.models.embeddings import Vectors
from lbi.records import Observation, Task
from lbi.retrieval import build
from lbi.retrieval.bm25 import TextIndex
from lbi.retrieval.build import ExampleVectors, plan_addition, write_plan
from lbi.retrieval.index import ExampleIndex
from lbi.retrieval.ranking import DEPTH
from lbi.retrieval.texts import without_values
from lbi.retrieval.versions import current_build, manifest_of
from retrieve import NOUNS, VERBS, WORDS, make, page

SEARCHES = 200
COMPARED = 40  # searches for which the exact answer is worked out
DIMENSIONS = 384
OWN = 0.4  # of a text's vector, the part that no other text has


@cache
def word_vector(word: str) -> Vectors:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest())
    return numpy.random.default_rng(seed).standard_normal(DIMENSIONS, dtype=numpy.float32)


@cache
def vector_of(text: str) -> Vectors:
    words = text.lower().split()
    together = sum((word_vector(word) for word in words), numpy.zeros(DIMENSIONS, dtype=numpy.float32))
    together = together + OWN * numpy.sqrt(numpy.float32(len(words) + 1)) * word_vector(f"text {text}")
    unit: Vectors = together / numpy.linalg.norm(together)
    return unit


def vectors_of(texts: Sequence[str]) -> Vectors:
    word_vector.cache_clear()
    vector_of.cache_clear()
    return numpy.stack([vector_of(text) for text in texts])


def add(folder: Path, number: int, step: int) -> None:
    """Add the examples of one step, in a process of its own, whose memory is then free again."""
    build.TWICE = 1 << 30  # nothing is written anew, as all examples would have to be in memory for that
    examples, trajectories = make(step, seed=number)
    used = time.process_time()
    plan = plan_addition(folder / "index", examples, trajectories, "made up")
    if plan is None:
        return
    read = time.process_time() - used
    vectors = ExampleVectors(*map(vectors_of, plan.texts), "made up")
    there = plan.manifest.examples - len(plan.rows)  # what a step that was stopped left after them is written anew
    numbers = numpy.asarray(plan.rows, dtype=numpy.int64)
    for name, those in (("said.f32", vectors.said), ("done.f32", vectors.done), ("rows.i64", numbers)):
        with (folder / name).open("ab") as file:
            file.truncate(there * those[:1].nbytes)
            file.write(those.tobytes())
    used = time.process_time()
    write_plan(folder / "index", plan, vectors)
    ExampleIndex.open(folder / "index").close()  # works out once what an example must score
    wrote = time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{plan.manifest.examples:>9,} examples: {read:.1f} + {wrote:.1f} s of CPU time, {memory:,.0f} MB", flush=True
    )


def requests() -> Iterator[tuple[str, Observation]]:
    """(instruction, page), no two alike."""
    rng = random.Random(1)
    while True:
        noun, verb = rng.choice(NOUNS), rng.choice(VERBS)
        yield f"{verb} {noun} with {' '.join(rng.sample(WORDS, 3))}", page(rng, noun, verb, rng.randrange(300))


class Before:
    """The rankings of a request as they were made before: every vector compared, and words not passed over."""

    def __init__(self, folder: Path, index: ExampleIndex) -> None:
        self.rows = numpy.fromfile(folder / "rows.i64", dtype=numpy.int64)
        order = self.rows.argsort()
        self.rows = self.rows[order]
        shape = len(self.rows), DIMENSIONS
        read = [numpy.fromfile(folder / f"{name}.f32", dtype=numpy.float32) for name in ("said", "done")]
        self.vectors = [each.reshape(shape)[order] for each in read]
        self.texts = [index._ranker.said, index._ranker.done]

    def nearest(self, which: int, vector: Vectors, depth: int) -> list[int]:
        likeness = self.vectors[which] @ vector
        least = numpy.partition(likeness, len(likeness) - depth)[len(likeness) - depth]
        chosen = (likeness >= least).nonzero()[0]
        return [int(row) for row in self.rows[chosen[(-likeness[chosen]).argsort(kind="stable")]]][:depth]

    def by_words(self, texts: TextIndex, words: str, depth: int, tag: str) -> None:
        some = [(tantivy.Occur.Should, texts._term("text", word)) for word in texts.words(words)]
        wanted = (tantivy.Occur.Must, tantivy.Query.boolean_query(some))
        texts._found([(tantivy.Occur.MustNot, texts._term("tag", tag)), wanted], depth)

    def ranked(self, instruction: str, vector: Vectors, tag: str) -> None:
        for texts in self.texts:
            self.by_words(texts, without_values(instruction), DEPTH, tag)
        query = tantivy.Query.term_set_query(self.texts[0]._schema, "tag", [tag])
        self.texts[0]._found([(tantivy.Occur.Must, query)], len(self.texts[0]))
        for which in range(2):
            self.nearest(which, vector, DEPTH)


def milliseconds(work: Callable[[], Any]) -> tuple[float, float]:
    """(CPU time, time by the clock) of some work."""
    clock, used = time.perf_counter(), time.process_time()
    work()
    return 1000 * (time.process_time() - used), 1000 * (time.perf_counter() - clock)


def tell(name: str, times: Sequence[tuple[float, float]]) -> float:
    cpu, clock = ([each[at] for each in times] for at in range(2))
    p99 = [sorted(each)[int(0.99 * len(each))] for each in (cpu, clock)]
    print(f"{name:<34} {statistics.median(cpu):>8.2f} {p99[0]:>8.2f} {statistics.median(clock):>10.2f} {p99[1]:>8.2f}")
    return statistics.median(cpu)


def measure(folder: Path) -> None:
    opened: list[ExampleIndex] = []
    cpu, clock = milliseconds(lambda: opened.append(ExampleIndex.open(folder / "index")))
    (index,) = opened
    files = sum(file.stat().st_size for file in (folder / "index").rglob("*") if file.is_file())
    gc.freeze()  # as the server does
    print(f"opened {len(index):,} examples in {clock:.0f} ms ({cpu:.0f} ms of CPU time), {files / 1e6:,.0f} MB on disk")
    asked = requests()
    whole, ranked = [], []
    for at in range(SEARCHES + 20):
        instruction, seen = next(asked)
        task, vector = Task(instruction=instruction, environment="made-up"), vector_of(without_values(instruction))
        took = milliseconds(lambda t=task, s=seen, v=vector: index.search(t, s, t.instruction, vector=v, task_vector=v))
        other, _ = next(asked)
        its = vector_of(without_values(other))
        alone = milliseconds(lambda o=other, t=task, v=its: index._ranker.ranked(o, {t.id}, v))
        if at >= 20:
            whole.append(took)
            ranked.append(alone)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(
        f"memory: {status['VmRSS'].strip()}, of it own {status['RssAnon'].strip()}, mapped {status['RssFile'].strip()}"
    )
    print(f"{'':<34} {'CPU p50':>8} {'p99 ms':>8} {'clock p50':>10} {'p99 ms':>8}")
    tell("look-up: page, words, meaning", whole)
    now = tell("four rankings of a request", ranked)
    before = Before(folder, index)
    old, right = [], {10: [0.0, 0.0], DEPTH: [0.0, 0.0]}
    for at in range(COMPARED + 3):
        instruction, _ = next(asked)
        vector = vector_of(without_values(instruction))
        took = milliseconds(lambda i=instruction, v=vector: before.ranked(i, v, "no such tag"))
        if at >= 3:
            old.append(took)
            for which, nearest in enumerate(index._ranker._vectors):
                found = nearest.best(vector, DEPTH)
                for depth, sums in right.items():
                    exact = before.nearest(which, vector, depth)
                    sums[which] += len({*found[:depth]} & {*exact}) / depth / COMPARED
    print(f"before, {tell('four rankings, every vector', old) / now:.1f} times as long as now")
    for depth, (said, done) in right.items():
        print(f"recall at {depth}, beside exact search: {said:.3f} of what was said, {done:.3f} of what was done")
    index.close()


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    if sys.argv[3:]:
        return add(folder, int(sys.argv[3]), count // 10)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = manifest_of(folder / "index", current_build(folder / "index"))
    for number in range(10 * (manifest.examples if manifest else 0) // count, 10):
        subprocess.run([sys.executable, __file__, str(folder), str(count), str(number)], check=True)
    measure(folder)


if __name__ == "__main__":
    main()
