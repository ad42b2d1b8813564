"""How much CPU time building and searching an index of examples takes, compared with a plain scan in Python.

    python performance/retrieve.py            1,000, 10,000 and 100,000 examples
    python performance/retrieve.py 2000       this number of examples

The examples are made up: a site of lists, forms and items, with ten spans per trajectory. The scan scores the same two
things (observations, then instructions) by the same BM25, with word counts that were computed before.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from lbi.observations.normalise import normalise
from lbi.records import Action, Example, Observation, Step, Task, Trajectory
from lbi.retrieval.index import ExampleIndex

SPANS = 10  # per trajectory
STEPS = 8
SEARCHES = 60
NOUNS = """ticket page note order customer invoice report folder message event topic user""".split()  # noqa: SIM905
VERBS = """create open edit close assign delete archive export comment on rename move sort""".split()  # noqa: SIM905
SYLLABLES = ("bador", "kofin", "ligal", "muhem", "nejus", "pokit", "rilom", "sanar", "tepel", "vudun")
WORDS = [first[:2] + second for first in SYLLABLES for second in SYLLABLES]


def page(rng: random.Random, noun: str, verb: str, item: int) -> Observation:
    """A page of 45 lines, most of which all pages of its kind have."""
    kind = random.Random(f"{noun}{verb}")
    frame = [f'link "{name.title()}s" [e{at}] -> /{name}' for at, name in enumerate(NOUNS)]
    form = [f'textbox "{" ".join(kind.sample(WORDS, 2))}" [e{20 + at}]' for at in range(12)]
    content = [f"text: {' '.join(rng.choices(WORDS, k=7))}" for _ in range(20)]
    lines = [*frame, f'heading "{verb.title()} {noun} {item}"', *form, *content]
    return Observation(text="\n".join(lines), url=f"/{noun}/{item}/{verb}", title=f"{verb} {noun} {item}", digest="1")


def make(count: int, seed: int = 0) -> tuple[list[Example], dict[str, Trajectory]]:
    rng = random.Random(seed)
    pages = [page(rng, rng.choice(NOUNS), rng.choice(VERBS), rng.randrange(300)) for _ in range(max(50, count // 20))]
    examples: list[Example] = []
    trajectories: dict[str, Trajectory] = {}
    while len(examples) < count:
        observations = [pages[0], *rng.choices(pages, k=STEPS)]
        task = Task(instruction=f"task {len(trajectories)}", environment="made-up", document=f"d{len(trajectories)}")
        click = Action(text="click(e1)", kind="click", role="link", name="x")
        steps = tuple(Step(observation=observation, action=click) for observation in observations[:-1])
        trajectory = Trajectory(task=task, agent="made-up", steps=steps, last=observations[-1], stop="done")
        trajectories[trajectory.id] = trajectory
        for _ in range(min(SPANS, count - len(examples))):
            start, end = sorted(rng.sample(range(STEPS + 1), 2))
            instruction = f"{observations[end].title} with {' '.join(rng.sample(WORDS, 4))}"
            examples.append(
                Example(kind="abstract", instruction=instruction, trajectory=trajectory.id, start=start, end=end)
            )
    return examples, trajectories


class Scan:
    """BM25 over all texts, without an index."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.counts = [Counter(text.lower().split()) for text in texts]
        self.lengths = [counts.total() for counts in self.counts]
        self.mean = statistics.mean(self.lengths)
        self.frequency = Counter(word for counts in self.counts for word in counts)

    def best(self, text: str, limit: int) -> list[int]:
        words = {word: self._weight(word) for word in set(text.lower().split()) if word in self.frequency}
        scores = []
        for row, (counts, length) in enumerate(zip(self.counts, self.lengths, strict=True)):
            norm = 1.2 * (0.25 + 0.75 * length / self.mean)
            score = sum(w * counts[word] * 2.2 / (counts[word] + norm) for word, w in words.items() if word in counts)
            scores.append((-score, row))
        return [row for _, row in sorted(scores)[:limit]]

    def _weight(self, word: str) -> float:
        count = self.frequency[word]
        return math.log(1 + (len(self.counts) - count + 0.5) / (count + 0.5))


def milliseconds(work: Callable[[], object]) -> float:
    """CPU time of ``work``; wall time would also measure other work on the machine."""
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start)


def measure(count: int) -> str:
    examples, trajectories = make(count)
    task = Task(instruction="create ticket 12 with badfin kogal", environment="made-up")
    rng = random.Random(1)
    observations = [observation for trajectory in trajectories.values() for observation in trajectory.observations]
    pages = [rng.choice(observations) if at % 2 else page(rng, "ticket", "edit", at) for at in range(SEARCHES)]
    queries = [f"how to {rng.choice(VERBS)} a {rng.choice(NOUNS)} {rng.choice(WORDS)}" for _ in pages]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        build = milliseconds(lambda: ExampleIndex.build(path, examples, trajectories).close())
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        index = ExampleIndex.open(path)
        for at in range(5):
            index.search(task, pages[at], queries[at])
        search_times = [
            milliseconds(lambda p=p, q=q: index.search(task, p, q)) for p, q in zip(pages, queries, strict=True)
        ]
        index.close()
    scanned = scan(examples, trajectories, task, pages, queries)
    p50, p95 = statistics.median(search_times), sorted(search_times)[int(0.95 * len(search_times))]
    return (
        f"{count:>9,} {build / 1000:>9.1f} {size / 1e6:>8.1f} {p50:>9.2f} {p95:>9.2f} {scanned:>10.1f} "
        f"{scanned / p50:>7.0f}x"
    )


def scan(
    examples: Sequence[Example],
    trajectories: dict[str, Trajectory],
    task: Task,
    pages: Sequence[Observation],
    queries: Sequence[str],
) -> float:
    instructions = Scan([example.instruction for example in examples])
    distinct = {
        normalise(observation) for trajectory in trajectories.values() for observation in trajectory.observations
    }
    observations = Scan(sorted(distinct))

    def search(at: int) -> None:
        observations.best(normalise(pages[at]), 5)
        instructions.best(task.instruction, 5)
        instructions.best(queries[at], 5)

    return statistics.median(milliseconds(lambda at=at: search(at)) for at in range(3))


def main() -> None:
    counts = [int(text) for text in sys.argv[1:]] or [1_000, 10_000, 100_000]
    print(f"{'examples':>9} {'build s':>9} {'MB':>8} {'p50 ms':>9} {'p95 ms':>9} {'scan ms':>10} {'ratio':>8}")
    for count in counts:
        print(measure(count), flush=True)


if __name__ == "__main__":
    main()
