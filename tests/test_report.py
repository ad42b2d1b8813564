"""The report says what the run folder holds, in every state of a run, and nothing untrusted in it ever runs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import sync_playwright
from rich.console import Console

from as_seen import readable
from lbi.cli.tables import print_result, summary
from lbi.environments.web.browser import find_chromium
from lbi.errors import UserError
from lbi.records import (
    Check,
    Document,
    Example,
    Result,
    Task,
    Trajectory,
    Usage,
    UsedModel,
    Verdict,
)
from lbi.report import charts, counts, pages, write_report
from lbi.report.gather import gather
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.filters.replay import Replayed
from reported_run import ATTACKS, CONFIG, EVIL, add_evaluation, add_synthesis, seen, trajectory


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    with RunFolder(tmp_path / "run", CONFIG) as folder:
        yield folder


@pytest.fixture
def full(run: RunFolder) -> RunFolder:
    add_evaluation(run, add_synthesis(run))
    return run


def parsed(file: Path) -> BeautifulSoup:
    return BeautifulSoup(file.read_text(), "html.parser")


def unpacked(page: BeautifulSoup, name: str) -> Any:
    node = page.find(id=name)
    assert node is not None
    lines = [json.loads(gzip.decompress(base64.b64decode(line))) for line in node.get_text().split("\n")]
    if name == "texts":
        return {**lines[0], "texts": ["", *(text for pack in lines[1:] for text in pack)]}
    assert lines[0] == {anchor: number for number, pack in enumerate(lines[1:], 1) for anchor in pack}
    return {anchor: page for pack in lines[1:] for anchor, page in pack.items()}


def test_report_lies_in_the_run_folder_and_asks_nothing_of_the_network(full: RunFolder) -> None:
    file = write_report(full)
    assert file == full.path / "report.html"
    page = parsed(file)
    assert not page.find_all(["link", "iframe", "object", "embed", "base", "img", "video", "audio"])
    assert not page.find_all(src=True)
    assert {link["href"][:1] for link in page.find_all("a", href=True)} == {"#"}


def test_policy_allows_only_the_scripts_and_styles_of_the_report(full: RunFolder) -> None:
    page = parsed(write_report(full))
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]  # type: ignore[index]
    assert policy.startswith("default-src 'none'; ")  # type: ignore[union-attr]
    for name, node in (("script-src", page.find_all("script")[-1]), ("style-src", page.find("style"))):
        digest = base64.b64encode(hashlib.sha256(node.string.encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert not page.find_all(style=True)


def test_untrusted_text_becomes_no_markup(full: RunFolder) -> None:
    file = write_report(full)
    page = parsed(file)
    scripts = page.find_all("script")
    assert [script.get("type") for script in scripts] == ["text/plain", "text/plain", None]
    for script in scripts[:2]:
        assert re.fullmatch(r"[A-Za-z0-9+/=\n]+", script.get_text())
    assert not [node for node in page.find_all(True) for name in node.attrs if name.startswith("on")]
    assert not page.find_all("b")
    for said in ("Proposed", "Held out close", "browser gone", "no JSON", "note"):
        assert f"{said} {ATTACKS[0]}" in page.get_text()
    assert "49" not in page.find(id="failures").get_text()  # type: ignore[union-attr]


def test_every_trajectory_has_a_page_with_its_steps_spans_and_votes(full: RunFolder) -> None:
    page = parsed(write_report(full))
    data, texts = unpacked(page, "pages"), unpacked(page, "texts")
    links = [link["href"][1:] for link in page.select("#trajectories tbody a")]
    assert sorted(links) == sorted(data)
    assert len(links) == 7
    rollout = next(item for item in data.values() if item["spans"] is not None)
    assert [span[0] for span in rollout["spans"]] == [1, 0]
    assert rollout["spans"][1][5] == [["openai:judge", "says not coherent", EVIL]]
    assert len(rollout["steps"]) == 3
    assert rollout["steps"][2][4] == f"no such element {EVIL}"
    assert texts["texts"][rollout["last"][3]] == f"last {EVIL}"
    assert len(texts["texts"]) == 5  # the empty one, three pages, the last: each once for seven trajectories
    episode = next(item for item in data.values() if item["spans"] is None)
    shown = [texts["examples"][number] for number in episode["steps"][0][5]]
    assert [label for label, _, _ in shown] == ["abstract, steps 1–2", "summary, steps 2–3"]
    assert all(anchor in data for _, _, anchor in shown)


def test_offline_model_is_never_called_a_language_model(full: RunFolder) -> None:
    text = parsed(write_report(full)).find(id="summary").get_text()  # type: ignore[union-attr]
    assert "offline (a program with rules of its own, not a language model)" in text
    assert "judges: openai:judge" in text


async def test_a_model_is_called_what_the_run_has_noted_of_it(full: RunFolder) -> None:
    await full.store.put("model", "offline", UsedModel(name="offline"))
    await full.store.put("model", "openai:judge", UsedModel(name="openai:judge", language_model=False))
    text = parsed(write_report(full)).find(id="summary").get_text()  # type: ignore[union-attr]
    assert "offline (" not in text
    assert "judges: openai:judge (a program with rules of its own, not a language model)" in text


def test_an_arm_on_a_share_of_its_data_is_a_point_of_the_growth_and_no_arm(full: RunFolder) -> None:
    task = full.store.get("heldout", "create", Task)
    assert task is not None
    key = "backward @0.25/0/create"
    full.store.put("episode", key, trajectory(task, "icl"))
    full.store.put("result", key, Result(task="create", arm="backward @0.25", seed=0, score=1.0, steps=3))
    page = parsed(write_report(full))
    assert "backward @0.25" not in page.find(id="arms").get_text()  # type: ignore[union-attr]
    assert "backward @0.25" in page.find(id="trajectories").get_text()  # type: ignore[union-attr]


def test_composed_examples_lead_to_the_trajectory_that_carried_them_out(full: RunFolder) -> None:
    rollout = trajectory(Task(instruction="Composed task", environment="web"), "replay")
    example = Example(kind="composed", instruction="Whole way", trajectory=rollout.id, start=0, end=3, tier="replayed")
    full.store.put("composition", "0/c1", rollout)
    full.store.put("candidate", "0/c1", example)
    full.store.put("candidate", "0/c2", example)
    full.store.put("example", f"0/{rollout.id}/composed/000-003", example)
    page = parsed(write_report(full))
    (made,) = [item for item in unpacked(page, "pages").values() if item["title"] == "Composed task"]
    assert [span[3] for span in made["spans"]] == ["Whole way"]
    bands = {band.label: band for band in counts.funnel(gather(full))}
    assert [part.number for part in bands["compositions tried"].parts] == [1, 1]
    assert bands["trajectories"].total == 1


def test_the_headline_says_what_may_be_chance(full: RunFolder) -> None:
    text = parsed(write_report(full)).select_one("#summary .lead").get_text()  # type: ignore[union-attr]
    assert text.startswith("backward solves 100.0% of 3 held-out tasks, baseline 0.0%: a difference of +100.0 points")
    assert text.endswith("; too few tasks to tell whether it is chance.")


def lead(run: RunFolder) -> str:
    return parsed(write_report(run)).select_one("#summary .lead").get_text()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("tasks", "better", "text"),
    [
        (6, 2, "points (95% interval +0.0 to +66.7), which may well be chance."),
        (8, 0, "backward solves 0.0% of 8 held-out tasks, baseline 0.0%: too few tasks to tell whether they differ."),
        (60, 0, "backward solves 0.0% of 60 held-out tasks, baseline 0.0%: the same on every task."),
        (1, 1, "a difference of +100.0 points; too few tasks to tell whether it is chance."),
    ],
)
def test_an_interval_is_told_only_where_there_is_one(run: RunFolder, tasks: int, better: int, text: str) -> None:
    add_results(run, tasks, better, Check(answer=("x",)))
    assert lead(run).endswith(text)
    assert "+0.0 to +0.0" not in (run.path / "report.html").read_text()
    assert "−100.0 to +100.0" not in (run.path / "report.html").read_text()


def test_a_difference_that_is_chance_only_among_several_comparisons_says_so(run: RunFolder) -> None:
    add_results(run, 20, 6, Check(answer=("x",)))
    assert lead(run).endswith("(95% interval +10.0 to +50.0).")
    add_results(run, 20, 0, Check(answer=("x",)), arm="other")
    assert lead(run).endswith("(95% interval +10.0 to +50.0), which may well be chance among 2 comparisons.")


def add_results(run: RunFolder, tasks: int, better: int, check: Check | None, arm: str = "backward") -> None:
    """The arm solves the first tasks, the baseline none."""
    for number in range(tasks):
        task = Task(instruction="Do it", environment="web", name=f"t{number}", category="c", check=check)
        run.store.put("heldout", task.name, task)
        for each in ("baseline", arm):
            episode = Trajectory(task=task, agent=each, last=seen("page"), stop="done")
            score = float(each == arm and number < better)
            result = Result(task=task.name, category="c", arm=each, seed=0, score=score, steps=1, trajectory=episode.id)
            run.store.put("episode", f"{each}/0/{task.name}", episode)
            run.store.put("result", f"{each}/0/{task.name}", result)


@pytest.mark.parametrize("judge", ["offline", "openai:judge"])
def test_what_the_offline_model_judged_is_no_measurement(tmp_path: Path, judge: str) -> None:
    config = {**CONFIG, "models": {"default": "offline", "judges": [judge]}}
    with RunFolder(tmp_path / "judged", config) as run:
        add_results(run, 4, 2, None)
        page = parsed(write_report(run))
        result = summary(run)
    text = page.get_text()
    measured = judge != "offline"
    assert ("Everything ran; nothing was measured" in text) is not measured
    results = " ".join(
        page.find(id=part).get_text() for part in ("summary", "arms", "comparisons", "categories", "tasks")
    )  # type: ignore[union-attr]
    assert ("%" in results) is measured
    assert ("ran, not measured" in page.find(id="trajectories").get_text()) is not measured  # type: ignore[union-attr]
    assert result["measured"] is measured
    assert [arm["success"] for arm in result["arms"]] == [0.0, 0.5], "programs are told the numbers"
    console = Console(file=StringIO(), width=80)
    print_result(console, result)
    assert ("%" in console.file.getvalue()) is measured  # type: ignore[attr-defined]


def test_only_what_is_worth_another_try_is_said_to_be_tried_again(full: RunFolder) -> None:
    full.store.fail("document", "Makefile", "document", "a build file, not a document")
    full.store.fail("trajectory", "0/a/0", "provider", "no answer")
    console = Console(file=StringIO(), width=120)
    print_result(console, summary(full))
    (line,) = [line for line in console.file.getvalue().splitlines() if "tries again what failed" in line]  # type: ignore[attr-defined]
    assert "1 of provider" in line
    assert "document" not in line


def test_a_task_that_could_not_be_measured_is_a_line_at_the_end_of_a_run_however_many_arms_met_it(
    full: RunFolder,
) -> None:
    for number in range(10):
        for arm in ("baseline", "backward"):
            reason = f"no tree\nafter {number} s [x]"
            result = Result(task=f"t{number}", arm=arm, seed=0, score=0, steps=1, fault="harness", reason=reason)
            full.store.put("result", f"{arm}/0/t{number}", result)
    unread = Result(task="cut off", arm="baseline", seed=0, score=0, steps=1, fault="model", reason="truncated")
    full.store.put("result", "baseline/0/cut off", unread)
    console = Console(file=StringIO(), width=60)
    told = summary(full)
    print_result(console, told)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert not any("cut off" in line for line in lines), "what its model said is the agent's, and in the rates"
    at = next(number for number, line in enumerate(lines) if line.startswith("Not the agent's fault"))
    assert "  t0: no tree after 0 s [x] (harness)" in lines[at + 1 :]
    assert sum(line.endswith("(harness)") or line.endswith("(environment)") for line in lines) == 8
    assert lines[at + 9].endswith(" more, in the report")
    assert {"task": "t9", "arm": "backward", "fault": "harness", "reason": "no tree after 9 s [x]"} in told[
        "not_measured"
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_the_end_of_a_run_is_a_sentence_a_table_and_what_to_do_next(full: RunFolder, width: int) -> None:
    arms = ["baseline", "baseline, extra steps", *(f"arm {number}" for number in range(8))]
    for number, arm in enumerate(arms):
        for task in ("create", "close"):
            result = Result(task=task, arm=arm, seed=0, score=float(number % 3 == 0), steps=3)
            full.store.put("result", f"{arm}/0/{task}", result)
    console = Console(file=StringIO(), width=width)
    print_result(console, summary(full), "lbi.toml")
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert all(len(line) <= width for line in lines if not line.startswith(("Report: ", "Next: ", "  ")))
    table = [line for line in lines if re.match(r"(baseline|backward|arm \d)", line) and "$" in line]
    assert len(table) == 7
    assert "tokens" in " ".join(lines)
    assert lines[1].startswith("arm 0 solves 0.0% of 2 held-out tasks")
    assert any(line.startswith("arm 0 ") for line in table)
    assert any(line.startswith("Report: ") and line.endswith("report.html") for line in lines)
    assert any(line.startswith("Next:  lbi report ") for line in lines)
    assert any(line.startswith("       lbi view ") for line in lines)
    assert not any("…" in line for line in lines)


def test_errors_of_the_environment_are_counted_apart(full: RunFolder) -> None:
    page = parsed(write_report(full))
    rows = [[cell.get_text(" ") for cell in row.find_all(["th", "td"])] for row in page.select("#arms tbody tr")]
    assert [row[:3] for row in rows] == [["baseline", "2", "2"], ["backward", "3", "3"]]
    assert [row[3] for row in rows] == ["0.0%", "100.0%"]
    assert [row[5:7] for row in rows] == [["1", "0"], ["0", "0"]]
    marks = [cell.get_text() for cell in page.select("#tasks tbody .cell")]
    assert sorted(marks) == ["!", "✓", "✓", "✓", "✗", "✗"]


def test_an_arm_that_environment_or_harness_failed_too_often_has_no_number_anywhere(full: RunFolder) -> None:
    for number in range(4):
        broken = Result(task=f"t{number}", category="hard", arm="backward", seed=0, score=0, steps=1, fault="harness")
        full.store.put("result", f"backward/0/t{number}", broken)
        fair = broken.model_copy(update={"arm": "baseline", "fault": "", "score": 1.0})
        full.store.put("result", f"baseline/0/t{number}", fair)
    told, why = summary(full), "no number: 4 of 7 episodes failed by environment or harness"
    assert [(arm["arm"], arm["success"] is None, arm["interval"] == why) for arm in told["arms"]] == [
        ("baseline", False, False),
        ("backward", True, True),
    ]
    assert told["comparisons"] == []
    assert told["headline"].startswith("baseline solves ")
    console = Console(file=StringIO(), width=120)
    print_result(console, told)
    assert why in " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    page = parsed(write_report(full))
    (row,) = [row for row in page.select("#arms tbody tr") if row.th and row.th.get_text() == "backward"]
    assert [cell.get_text() for cell in row.find_all("td")][2:4] == ["–", why]
    (drawn,) = page.select("#chart-arms-desc")
    assert "backward" not in drawn.get_text()
    assert not page.select("#chart-comparisons-desc")


@pytest.mark.parametrize("parts", ["nothing", "documents", "rollouts", "synthesis"])
def test_missing_parts_are_plain_sentences(run: RunFolder, parts: str) -> None:
    if parts == "synthesis":
        add_synthesis(run)
    if parts in ("documents", "rollouts"):
        run.store.put("document", "00000", Document(text="x", source="y"))
    if parts == "rollouts":
        task = Task(instruction="t", environment="web")
        run.store.put("trajectory", f"{task.id}/0", trajectory(task, "explore", steps=0))
    page = parsed(write_report(run))
    assert "No held-out task has been evaluated yet" in page.get_text()
    assert "did not measure how success grows" in page.get_text()
    assert len(page.find_all("svg")) == (parts != "nothing")
    assert "nan" not in page.get_text().lower().split()


def test_a_folder_without_config_or_with_a_broken_summary_still_gets_a_report(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "bare") as run:
        (run.path / "summary.json").write_text('{"growth": [{"examples": "many"}]}')
        text = parsed(write_report(run)).get_text()
    assert "summary.json could not be read" in text
    assert "holds no configuration" in text


def test_secrets_in_a_config_are_not_shown(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", {"models": {"api_key": "sk-12345", "max_tokens": 7}}) as run:
        html = write_report(run).read_text()
    assert "sk-12345" not in html
    assert "max_tokens" in html


def test_an_unknown_price_is_not_zero(run: RunFolder) -> None:
    task = Task(instruction="t", environment="web", name="t")
    run.store.put("heldout", "t", task)
    usage = Usage(calls=1, cost=None)
    run.store.put("result", "a/0/t", Result(task="t", arm="a", seed=0, score=0.5, steps=1, usage=usage))
    page = parsed(write_report(run))
    assert "price unknown" in page.find(id="arms").get_text()  # type: ignore[union-attr]
    assert page.select_one("#tasks tbody .cell").get_text() == "◐"  # type: ignore[union-attr]


def test_each_attempt_tells_what_it_took_with_cached_tokens_apart(full: RunFolder) -> None:
    data = unpacked(parsed(write_report(full)), "pages")
    spent = {dict(item["facts"])["Spent"] for item in data.values()}
    assert "3 calls, 3,000 tokens in (900 read from a cache), 60 out, $0.75" in spent


def test_what_does_not_fit_is_left_out_and_counted(full: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_PAGES", 3)
    page = parsed(write_report(full))
    assert "4 of 7 trajectories were left out" in page.get_text()
    data = unpacked(page, "pages")
    assert len(data) == 3
    assert any(item["spans"] is not None for item in data.values())
    targets = {link["href"][1:] for link in page.find_all("a", href=re.compile("^#t-"))}
    assert targets == set(data)


@pytest.mark.slow
def test_300_trajectories_of_10_steps_stay_below_15_megabytes(run: RunFolder) -> None:
    words = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(3000)]
    for number in range(300):
        task = Task(instruction=f"task {number}", environment="web")
        lines = "\n".join(f'link "{words[(number * 7 + n) % 3000]}" [e{n}]' for n in range(40))
        run.store.put("trajectory", f"{task.id}/0", trajectory(task, "explore", steps=10, text=lines))
    file = write_report(run)
    assert len(unpacked(parsed(file), "pages")) == 300
    assert file.stat().st_size < pages.MAX_BYTES


def test_an_example_counts_for_the_first_filter_that_dropped_it(full: RunFolder) -> None:
    gathered = gather(full)
    assert [(drop.filter, drop.judged, drop.count) for drop in counts.dropped(gathered.examples)] == [
        ("repeat", 2, 0),
        ("committee", 1, 1),
        ("replay", 1, 0),
    ]
    bands = {band.label: band for band in counts.funnel(gathered)}
    assert [(part.label, part.number) for part in bands["examples"].parts] == [
        ("kept", 1),
        ("dropped by committee", 1),
    ]
    assert bands["examples kept"].total == 1


def test_the_committee_is_held_against_the_replay(run: RunFolder) -> None:
    task = Task(instruction="t", environment="web")
    rollouts = [trajectory(task.model_copy(update={"name": name}), "explore") for name in "ab"]
    for at, rollout in enumerate(rollouts):
        run.store.put("trajectory", f"0/{at}/0", rollout)
    for at, (rollout, start, end, keep) in enumerate(
        [(0, 0, 1, True), (0, 0, 2, True), (0, 1, 3, False), (0, 0, 3, False), (1, 0, 2, False)]
    ):
        verdict = Verdict(filter="committee", keep=keep)
        name = rollouts[rollout].id
        one = Example(kind="abstract", instruction=str(at), trajectory=name, start=start, end=end, verdicts=(verdict,))
        run.store.put("example", f"0/{name}/abstract/{start:03d}-{end:03d}", one)
    section = parsed(write_report(run)).find(id="funnel")
    assert "Nothing was replayed" in section.get_text()  # type: ignore[union-attr]
    replayed = Replayed(trajectory=rollouts[0].id, matched=(True, True, False, True))
    run.store.put("replay", f"0/{rollouts[0].id}", replayed)
    rows = parsed(write_report(run)).select("#agreement tbody tr")
    assert [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in rows] == [
        ["kept", "2", "2", "1", "50.0%"],
        ["dropped", "3", "2", "2", "100.0%"],
    ]


def test_without_a_committee_nothing_is_said_of_it(run: RunFolder) -> None:
    assert "The committee against the replay" not in parsed(write_report(run)).get_text()


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_ticks_cover_their_range(low: float, span: float) -> None:
    marks = charts.ticks(low, low + span)
    assert marks == sorted(marks)
    assert len(marks) <= 9
    slack = 1e-6 * max(1.0, abs(low), span)
    assert marks[0] <= low + slack
    assert marks[-1] >= low + span - slack


@pytest.mark.parametrize("label", ["backward trained, seed 1, and examples", "backward_trained_seed_1_and_examples"])
def test_a_long_name_in_a_chart_keeps_its_end(label: str) -> None:
    svg = charts.intervals("c", "Title", [charts.Interval(label, 0.1, 0.5, 0.9, "50%")])
    lines = [
        str(node.find(string=True, recursive=False)) for node in BeautifulSoup(svg, "html.parser").find_all("text")
    ]
    assert [label[:6], label[-6:]] == [lines[-3][:6], lines[-2][-6:]]


def test_charts_have_titles_descriptions_and_survive_any_label() -> None:
    svg = charts.intervals("c", "Title", [charts.Interval(EVIL, None, 0.5, None, EVIL)])
    node = BeautifulSoup(svg, "html.parser").svg
    assert node is not None
    assert node["role"] == "img"
    assert node.find("title").get_text() == "Title"  # type: ignore[union-attr]
    assert EVIL in node.find("desc").get_text()  # type: ignore[union-attr]
    assert not node.find_all(["script", "img"])


def test_success_is_drawn_beside_calls_and_tokens(full: RunFolder) -> None:
    section = parsed(write_report(full)).find(id="growth")
    assert section is not None
    drawn = {each["id"]: each.get_text() for each in section.find_all("svg") if each.get("id")}  # type: ignore[union-attr]
    told = section.get_text()
    assert "tokens of an episode" in told, drawn
    assert "backward: " in told
    svg = charts.scatter("c", "Title", "calls", [(EVIL, charts.Point(3.0, 0.5)), ("b", charts.Point(6.0, 1.0))])
    node = BeautifulSoup(svg, "html.parser").svg
    assert node is not None
    assert len(node.find_all("circle")) == 2
    assert f"{EVIL}: 3 calls, 50.0%" in node.find("desc").get_text()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        try:
            path = find_chromium(playwright.chromium.executable_path)
        except UserError as error:
            pytest.skip(str(error))
        chromium = playwright.chromium.launch(executable_path=path, args=["--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.mark.browser
def test_nothing_untrusted_runs_in_a_browser_and_all_of_it_can_be_read(full: RunFolder, browser: Any) -> None:
    page = browser.new_page()
    trouble: list[str] = []
    page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: trouble.append(request.url) if not request.url.startswith("file:") else None)
    page.goto(write_report(full).as_uri())
    anchors = page.eval_on_selector_all("#trajectories tbody a", "links => links.map(link => link.hash)")
    for anchor in anchors:
        page.evaluate("anchor => { location.hash = anchor }", anchor)
        page.wait_for_selector(f'#page[data-anchor="{anchor[1:]}"]:not([hidden])')
        for fold in page.query_selector_all("#page details"):
            fold.query_selector("summary").click()
        page.wait_for_selector("#page details:not(:has(> :nth-child(2)))", state="detached")
        text = page.locator("#page").inner_text()
        for said in ("because", "New", "page 0", "last", "42", "no such element"):
            assert f"{said} {ATTACKS[0]}" in text
        assert "javascript:window.ran='bare'" in text
        assert page.locator("#page :is(script, img, svg, style, iframe)").count() == 0
    assert page.eval_on_selector_all("a[href]", "links => links.every(link => link.getAttribute('href')[0] === '#')")
    assert page.evaluate("window.ran") is None
    assert trouble == []
    page.close()


@pytest.mark.browser
def test_search_narrows_the_list_and_back_returns_to_it(full: RunFolder, browser: Any) -> None:
    page = browser.new_page()
    page.goto(write_report(full).as_uri() + "#trajectories")
    rows = page.locator("#trajectories tbody tr:visible")
    assert rows.count() == 7
    page.fill("#search [name=words]", "held FIND")
    assert rows.count() == 2
    page.select_option("#search [name=source]", "baseline")
    assert page.locator("#search output").inner_text() == "1 of 7"
    rows.locator("a").click()
    page.wait_for_selector("#page h2")
    assert "error, fault of the environment" in page.locator("#page").inner_text()
    page.go_back()
    page.wait_for_selector("#overview", state="visible")
    assert rows.count() == 1
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [380, 1280])
def test_the_page_never_scrolls_sideways(full: RunFolder, browser: Any, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(write_report(full).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.browser
def test_a_page_is_made_of_the_packs_that_it_needs_and_no_others(
    full: RunFolder, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_BYTES", 1)
    monkeypatch.setattr(pages, "TEXT_BYTES", 1)
    file = write_report(full)
    node = parsed(file).find(id="pages")
    assert node is not None
    assert len(node.get_text().split("\n")) == 8, "each page is a pack"
    page = browser.new_page()
    page.add_init_script(
        "window.unpacked = 0; const real = DecompressionStream;"
        "window.DecompressionStream = function (kind) { window.unpacked += 1; return new real(kind); }"
    )
    page.goto(file.as_uri())
    assert page.evaluate("window.unpacked") == 0, "nothing is unpacked before it is asked for"
    anchors = page.eval_on_selector_all("#trajectories tbody a", "links => links.map(link => link.hash)")
    page.evaluate("anchor => { location.hash = anchor }", anchors[-1])
    page.wait_for_selector(f'#page[data-anchor="{anchors[-1][1:]}"]')
    assert page.evaluate("window.unpacked") == 2, "where what is, and this page"
    page.locator("#page .steps summary").first.click()
    page.wait_for_selector("#page .steps pre")
    assert page.locator("#page .steps pre").inner_text().startswith("page 0 ")
    assert page.evaluate("window.unpacked") == 4
    page.close()


@pytest.mark.browser
def test_the_report_is_readable_in_the_dark_and_on_paper(full: RunFolder, browser: Any) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(write_report(full).as_uri())
    assert readable(page, "body", dark=True)
    page.emulate_media(media="print", color_scheme="dark")
    assert readable(page, "body", dark=False), "paper is white whatever the screen is"
    assert not page.locator(".contents").is_visible()
    assert not page.locator("#search").is_visible()
    sections = page.eval_on_selector_all(
        "#overview > section", "all => all.map(each => getComputedStyle(each).contentVisibility)"
    )
    assert set(sections) == {"visible"}, "what is below is printed, too"
    page.set_viewport_size({"width": 718, "height": 1047})  # A4 without the usual margins
    wider = (
        "all => all.filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.innerText.slice(0, 80))"
    )
    assert page.eval_on_selector_all("#overview .scroll", wider) == [], "no column is cut off"
    page.emulate_media(media="screen")
    page.evaluate("location.hash = document.querySelector('#trajectories tbody a').hash")
    page.wait_for_selector("#page h2")
    page.locator("#page .steps summary").first.click()
    page.wait_for_selector("#page .steps pre")
    page.emulate_media(media="print")
    assert page.locator("#page .steps pre").first.evaluate("pre => getComputedStyle(pre).maxHeight") == "none"
    assert page.pdf().startswith(b"%PDF")
    page.close()
