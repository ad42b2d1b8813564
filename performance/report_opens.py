"""How long a report of 2,000 trajectories takes to open in Chromium, with pages on demand and all in one pack.

python performance/report_opens.py [2000] [5]      number of trajectories, and of openings of each kind

Makes a run of episodes on two arms and of roll-outs, ten steps each, every page of forty lines and no two alike;
writes its report twice, as it is, and as it was before, with everything in one pack and laid out at once; and opens
each in a browser that has nothing cached. Printed for both, on the clock and (in brackets) of the processor's time of
the page's thread: the seconds until the overview is painted, until the page of one trajectory is shown when the file
is opened at it, and until an observation there is unfolded; and the ratio. On a busy machine only the time in brackets
says something.
"""

from __future__ import annotations

import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from lbi.environments.web.browser import find_chromium
from lbi.records import Action, Check, Example, Observation, Result, Step, Task, Trajectory, Usage, Verdict
from lbi.report import page, pages
from lbi.storage.run_folder import RunFolder

LIMIT = 2.0  # seconds that opening may take
STEPS = 10
LINES = 40
WORDS = [
    f"{a}{b}" for a in ("ven", "dor", "tik", "lam", "sor", "pel", "gan") for b in ("der", "ta", "mio", "x", "ring")
]
CONFIG = {"name": "big", "seeds": [0], "evaluation": {"arms": [{"name": "baseline"}, {"name": "backward"}]}}
WHOLE = 1 << 60  # bytes of a pack that holds everything


def main() -> None:
    wanted, times = (int(sys.argv[at]) if len(sys.argv) > at else default for at, default in ((1, 2000), (2, 5)))
    pages.MAX_BYTES = WHOLE  # all of them in both
    with tempfile.TemporaryDirectory() as folder, RunFolder(Path(folder), CONFIG) as run:
        fill(run, wanted)
        files = {"on demand": written(run, "on demand"), "all at once": written_as_before(run, Path(folder) / "before")}
        seconds = measured(files, times)
    for name, told in seconds.items():
        print(f"{name}: {', '.join(f'{what} {wall:.2f} s ({cpu:.2f} s)' for what, (wall, cpu) in told.items())}")
    one, demand = seconds["all at once"], seconds["on demand"]
    ratios = [f"{what} {one[what][0] / wall:.1f} ({one[what][1] / cpu:.1f})" for what, (wall, cpu) in demand.items()]
    print(f"all at once / on demand: {', '.join(ratios)}")
    wall, cpu = demand["overview"]
    print(f"the overview is there after {wall:.2f} s, of which its thread worked {cpu:.2f} s (limit {LIMIT} s)")


def fill(run: RunFolder, wanted: int) -> None:
    """Half of them roll-outs with an example each, half episodes of two arms."""
    for number in range(wanted // 2):
        task = Task(instruction=f"Try {_words(number, 8)}", environment="web")
        walked = _walk(task, number)
        run.store.put("trajectory", f"0/{task.id}/0", walked)
        verdicts = (Verdict(filter="repeat", keep=True),)
        example = Example(
            kind="abstract", instruction=_words(number, 9), trajectory=walked.id, start=0, end=3, verdicts=verdicts
        )
        run.store.put("example", f"0/{walked.id}/abstract/000-003", example)
    for number in range(wanted // 4):
        task = Task(instruction=_words(-number, 12), environment="web", name=f"t{number}", check=Check(answer=("x",)))
        run.store.put("heldout", task.name, task)
        for arm in ("baseline", "backward"):
            walked = _walk(task, wanted + 2 * number + (arm == "backward"))
            run.store.put("episode", f"{arm}/0/{task.name}", walked)
            result = Result(task=task.name, arm=arm, seed=0, score=number % 3 / 2, steps=STEPS, trajectory=walked.id)
            run.store.put("result", f"{arm}/0/{task.name}", result)
    run.store.flush()


def _walk(task: Task, seed: int) -> Trajectory:
    seen = [
        Observation(
            text="\n".join(f'link "{_words((seed, at, line), 4)}" [e{line}]' for line in range(LINES)),
            url=f"/page/{seed}/{at}",
            title=_words((seed, at), 2),
            digest="d",
        )
        for at in range(STEPS + 1)
    ]
    usage = Usage(calls=1, input_tokens=1000, output_tokens=20)
    steps = [
        Step(
            observation=seen[at],
            reason=f"It leads to {_words((seed, -at), 6)}.",
            action=Action(text=f"click(e{at})", kind="click", role="link", name=_words((seed, at, at), 4)),
            usage=usage,
        )
        for at in range(STEPS)
    ]
    return Trajectory(task=task, agent="icl", steps=tuple(steps), last=seen[-1], stop="done")


def _words(seed: object, number: int) -> str:
    return " ".join(random.Random(repr(seed)).choices(WORDS, k=number))


def written(run: RunFolder, name: str) -> Path:
    began = time.perf_counter()
    file = page.write_report(run)
    kept = file.rename(file.with_name(f"{name}.html"))
    print(f"{name}: {kept.stat().st_size / 1e6:.1f} MB, written in {time.perf_counter() - began:.1f} s")
    return kept


def written_as_before(run: RunFolder, templates: Path) -> Path:
    shutil.copytree(page.FOLDER, templates)
    style = templates / "style.css"
    laid_out = style.read_text().replace("content-visibility: auto", "content-visibility: visible")
    assert laid_out != style.read_text()
    style.write_text(laid_out)
    before = page.FOLDER, pages.PAGE_BYTES, pages.TEXT_BYTES
    page.FOLDER, pages.PAGE_BYTES, pages.TEXT_BYTES = templates, WHOLE, WHOLE
    try:
        return written(run, "all at once")
    finally:
        page.FOLDER, pages.PAGE_BYTES, pages.TEXT_BYTES = before


Seconds = tuple[float, float]  # on the clock, and of the processor


def measured(files: dict[str, Path], times: int) -> dict[str, dict[str, Seconds]]:
    """The medians of each, taken in turns."""
    taken: dict[str, dict[str, list[Seconds]]] = {name: {} for name in files}
    with sync_playwright() as playwright:
        path = find_chromium(playwright.chromium.executable_path)
        for _ in range(times):
            for name, file in files.items():
                browser = playwright.chromium.launch(executable_path=path, args=["--disable-gpu"])
                for what, value in opened(browser, file).items():
                    taken[name].setdefault(what, []).append(value)
                browser.close()
    return {name: {what: _medians(all_) for what, all_ in told.items()} for name, told in taken.items()}


def _medians(values: list[Seconds]) -> Seconds:
    wall, cpu = zip(*values, strict=True)
    return statistics.median(wall), max(statistics.median(cpu), 1e-3)


def opened(browser: Any, file: Path) -> dict[str, Seconds]:
    shown, clock = _page(browser)
    shown.goto(file.as_uri())
    shown.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    overview = clock()
    anchor = shown.locator("#trajectories tbody a").last.get_attribute("href")
    shown.close()
    shown, clock = _page(browser)
    shown.goto(file.as_uri() + anchor)
    shown.wait_for_selector("#page h2")
    trajectory = clock()
    summary = shown.locator("#page .steps summary").first
    clock = _clock(shown)
    summary.click()
    shown.wait_for_selector("#page .steps pre")
    return {"overview": overview, "one trajectory": trajectory, "an observation": clock()}


def _page(browser: Any) -> tuple[Any, Callable[[], Seconds]]:
    shown = browser.new_page()
    shown.set_default_timeout(300_000)  # on a busy machine, everything in one pack takes minutes
    return shown, _clock(shown)


def _clock(shown: Any) -> Callable[[], Seconds]:
    """Seconds since now."""
    session = shown.context.new_cdp_session(shown)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def worked() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    began, before = time.perf_counter(), worked()
    return lambda: (time.perf_counter() - began, worked() - before)


if __name__ == "__main__":
    main()
