"""lbi view: what its pages show of a run, who may see them, and that nothing of the run is changed by looking."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_environment import LampEnvironment
from lbi.agents import AgentParts
from lbi.agents.lats import Lats
from lbi.agents.react import create
from lbi.interop.judged import reworded
from lbi.models.middleware.cache import cached
from lbi.models.providers.scripted import Scripted
from lbi.records import Action, Document, Example, Observation, Result, Step, Task, Trajectory
from lbi.report import write_report
from lbi.report.gather import gather
from lbi.report.viewer import contents, source
from lbi.report.viewer.compare import first_difference, paired, rates
from lbi.report.viewer.examples import Search, next_to_judge
from lbi.report.viewer.live import holder, stages
from lbi.report.viewer.source import RunView, names_of
from lbi.report.viewer.steps import ShownStep
from lbi.rollouts.loop import rollout
from lbi.storage.judgements import Judgement, Judgements
from lbi.storage.run_folder import RunFolder
from lbi.synthesis.backward import label_span
from lbi.synthesis.filters import FilterParts, apply, open_filters
from lbi.synthesis.propose import propose_from_section
from reported_run import ATTACKS, CONFIG, EVIL, add_evaluation, add_synthesis, trajectory
from running import command, environ, lbi_here
from viewing import Viewer, viewing


def make(path: Path, name: str = "demo") -> Path:
    with RunFolder(path, {**CONFIG, "name": name}) as run:
        add_evaluation(run, add_synthesis(run))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("viewed") / "run")


@pytest.fixture(scope="module")
def viewer(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Viewer]:
    other = make(tmp_path_factory.mktemp("other") / "other", "second")
    with viewing(run, other) as viewer:
        yield viewer


def first_link(viewer: Viewer, page: str, pattern: str) -> str:
    links = [str(link["href"]) for link in viewer.get(page).page.find_all("a", href=True)]
    return next(link for link in links if re.search(pattern, link))


# what is shown


def test_every_page_can_be_reached_and_nothing_untrusted_is_markup_in_any(viewer: Viewer, run: Path) -> None:
    pages = viewer.crawl()
    kinds = {re.sub(r"t-[0-9a-f]{16}|[0-9a-f]{16}", "ID", path.partition("?")[0]).split("/", 2)[2] for path in pages}
    assert {"", "trajectories", "trajectory/ID", "tasks", "task", "examples", "example/ID", "judge", "compare"} <= kinds
    assert {"runs", "other/", "other/trajectory/ID", "live"} <= kinds
    assert {
        path: answer.status for path, answer in pages.items() if answer.status != 200 and "/calls/" not in path
    } == {}
    for path, answer in pages.items():
        page = answer.page
        assert [node.get("src", "").rpartition("/")[2] for node in page.find_all("script")] in (["view.js"], []), path
        assert not [name for node in page.find_all(True) for name in node.attrs if name.startswith("on")], path
        assert not page.find_all(["iframe", "object", "base", "style"]), path
        assert not page.find_all(style=True), path
        addresses = [
            str(node.get(name)) for node in page.find_all(True) for name in ("href", "src", "action") if node.get(name)
        ]
        assert all(re.match(r"/|#|data:,$", address) for address in addresses), path
        assert "7*7 }}" in answer.text or "49" not in page.get_text().split(), path
        assert "default-src 'none'; script-src 'self'" in answer.headers["content-security-policy"]
    shown = pages[first_link(viewer, "trajectories?source=synthesis", "/trajectory/")].page.get_text()
    for said in (f"Proposed {EVIL}", f"because {EVIL}", f"page 0 {EVIL}", f"no such element {EVIL}", f"Dropped {EVIL}"):
        assert " ".join(said.split()) in " ".join(shown.split())


def test_a_trajectory_is_shown_with_its_spans_votes_reasons_and_what_was_retrieved(viewer: Viewer) -> None:
    rolled = viewer.get(first_link(viewer, "trajectories?source=synthesis", "/trajectory/")).page
    assert [tag.get_text() for tag in rolled.select(".spans .tag")] == ["kept", "dropped"]
    said = rolled.select_one(".spans").get_text()  # type: ignore[union-attr]
    assert "abstract, steps 1–2, replayed" in said
    assert "replay: another state" in said
    assert "0 of 1 votes accept it" in said
    assert "openai:judge says not coherent" in said
    episode = viewer.get(first_link(viewer, "trajectories?source=backward", "/trajectory/")).page
    assert "2 examples in the prompt" in episode.get_text()
    (example,) = {link["href"] for link in episode.select(".did-so a") if "abstract" in link.get_text()}
    shown = viewer.get(str(example)).page
    assert f"Kept {ATTACKS[0]}" in shown.find("h1").get_text()  # type: ignore[union-attr]
    assert len(shown.select(".chips .cell")) == 6, "the episodes that were shown it"


def test_two_attempts_at_a_task_are_told_apart(tmp_path: Path) -> None:
    task = Task(instruction="twice", environment="web")
    with RunFolder(tmp_path / "run", CONFIG) as run:
        for attempt in (0, 1):
            walked = trajectory(task, "explore").model_copy(update={"attempt": attempt})
            run.store.put("trajectory", f"0/a/{attempt}", walked)
    with viewing(tmp_path / "run") as viewer:
        rows = viewer.get("trajectories").page.select("tbody tr")
    assert [row.find_all("td")[1].get_text() for row in rows] == ["synthesis", "synthesis, attempt 2"]


def test_lists_are_searched(viewer: Viewer) -> None:
    def found(page: str) -> str:
        return viewer.get(page).page.select_one(".pager").get_text()  # type: ignore[union-attr]

    assert found("trajectories") == "7 of 7"
    assert found("trajectories?words=held+FIND") == "2 of 7"
    assert found("trajectories?source=baseline&end=error") == "1 of 7"
    assert found("examples?state=dropped&filter=committee") == "1 of 2"
    assert found("examples?words=another+state") == "1 of 2"
    assert found("examples?tier=replayed&kind=abstract&words=Kept") == "1 of 2"
    assert found("examples?page=99") == "2 of 2"


def test_two_arms_are_compared_on_the_same_task(viewer: Viewer) -> None:
    page = viewer.get(first_link(viewer, "tasks", r"/task\?")).page
    left, right = (page.find("input", {"name": side, "checked": True})["value"] for side in ("left", "right"))  # type: ignore[index]
    compared = viewer.get(f"compare?left={left}&right={right}").page
    assert [link.get_text() for link in compared.select(".heads a")] == ["baseline, seed 0", "backward, seed 0"]
    assert "They did the same in all 3 steps." in compared.get_text()
    beside = viewer.get(f"compare?left={left}&right=other:{right}")
    assert "/other/trajectory/" in str(beside.page.select(".heads a")[1]["href"])


def test_the_one_that_came_out_otherwise_is_proposed_to_be_compared(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", CONFIG) as run:
        add_evaluation(run, add_synthesis(run))
        lost = run.store.get("result", "baseline/0/create", Result)
        episode = run.store.get("episode", "baseline/0/create", Trajectory)
        assert lost is not None
        assert episode is not None
        run.store.put("result", "shuffled/0/create", lost.model_copy(update={"arm": "shuffled"}))
        run.store.put("episode", "shuffled/0/create", episode)
    with viewing(tmp_path / "run") as viewer:
        rows = viewer.get("task?name=create").page.select("tbody tr")
    arms = {
        side: row.find("th").get_text()
        for row in rows
        for side in ("left", "right")  # type: ignore[union-attr]
        if row.find("input", {"name": side, "checked": True})
    }
    assert len(rows) == 3
    assert arms == {"left": "baseline", "right": "backward"}, "and not the last, which lost as well"


def test_what_two_did_alike_stands_side_by_side_and_the_first_difference_is_told() -> None:
    def steps(*actions: str) -> list[ShownStep]:
        return [
            ShownStep(
                number,
                Observation(text=f"heading {action}"),
                Step(observation=Observation(text=""), action=Action(text=action)),
                "",
                [],
                [],
            )
            for number, action in enumerate(actions, 1)
        ]

    rows = paired(steps("a", "b", "c"), steps("a", "x", "y", "c"))
    beside = [(row.left and row.left.number, row.right and row.right.number, row.same) for row in rows]
    assert beside == [(1, 1, True), (2, 2, False), (None, 3, False), (3, 4, True)]
    assert first_difference(rows) == 2
    assert "- heading b" in rows[1].seen
    assert "+ heading x" in rows[1].seen
    assert first_difference(paired(steps("a"), steps("a"))) == 0


def test_two_runs_stand_side_by_side(viewer: Viewer) -> None:
    page = viewer.get("runs").page
    assert [row.find("th").get_text() for row in page.select("table")[-1].find_all("tr")[1:]] == ["name"]  # type: ignore[union-attr]
    assert "0 of 6 episodes came out otherwise" in page.get_text()
    assert len(page.select("#pairs tbody tr")) == 6
    assert viewer.get(str(page.select("#pairs a")[0]["href"])).status == 200
    assert "Success by arm" in page.get_text()


async def test_a_step_leads_to_the_prompt_as_it_was_sent(tmp_path: Path) -> None:
    replies = ["nonsense", f'REASON: {EVIL}\nACTION: click(link "Rooms")', 'REASON: there\nACTION: finish("")']
    task = Task(instruction="Look at the rooms", environment="lamps")
    with RunFolder(tmp_path / "run", CONFIG) as run:
        model = Scripted(replies)
        agent = create(AgentParts(model=cached(model, run.store, run.store), stage="attempt"))
        walked = await rollout(LampEnvironment(), agent, task, 5)
        await run.store.put("trajectory", f"0/{task.id}/0", walked)
        again = await rollout(LampEnvironment(), agent, task, 5)
    assert [len(step.calls) for step in walked.steps] == [2, 1], "the first reply could not be read"
    assert [step.calls for step in again.steps] == [step.calls for step in walked.steps], "from the store, the same"
    bare = tuple(step.model_copy(update={"calls": ()}) for step in walked.steps)
    older = walked.model_copy(update={"steps": bare})
    assert older.id == walked.id
    assert "calls" not in older.model_dump()["steps"][0]
    with viewing(tmp_path / "run") as viewer:
        page = viewer.get(first_link(viewer, "trajectories", "/trajectory/")).page
        loads = [str(node["data-load"]) for node in page.select("[data-load]")]
        assert len(loads) == 3
        texts = [viewer.get(load).page.get_text() for load in loads]
        assert "Look at the rooms" in texts[0]
        assert texts[0].rstrip().endswith("nonsense")
        assert ATTACKS[0] in texts[1]
        assert 'link "Rooms"' in texts[1], "the page is in the prompt"
        whole = viewer.get(loads[1].partition("?")[0])
        assert (whole.status, whole.page.find("h1").get_text()) == (200, "Model call")  # type: ignore[union-attr]
        assert viewer.get("call/ffff").status == 404


async def test_a_step_of_a_run_from_before_calls_were_noted_says_so(tmp_path: Path) -> None:
    replies = ['REASON: to the rooms\nACTION: click(link "Rooms")', 'REASON: there\nACTION: finish("")']
    task = Task(instruction="Look at the rooms", environment="lamps")
    with RunFolder(tmp_path / "run", CONFIG) as run:
        agent = create(AgentParts(model=cached(Scripted(replies), run.store, run.store), stage="attempt"))
        walked = await rollout(LampEnvironment(), agent, task, 5)
        steps = tuple(
            step.model_copy(update={"calls": (), "usage": step.usage.model_copy(update={"calls": 1})})
            for step in walked.steps
        )
        await run.store.put("trajectory", f"0/{task.id}/0", walked.model_copy(update={"steps": steps}))
    with viewing(tmp_path / "run") as viewer:
        page = viewer.get(first_link(viewer, "trajectories", "/trajectory/")).page
        assert not page.select("[data-load]")
        assert page.get_text().count("The model calls of some steps are not noted here") == 1


async def test_the_steps_that_a_search_ends_with_know_their_prompts(tmp_path: Path) -> None:
    act, value = 'REASON: done\nACTION: finish("")', "VALUE: 10"
    with RunFolder(tmp_path / "run", CONFIG) as run:
        model = cached(Scripted([act, act, value]), run.store, run.store)
        agent = Lats(AgentParts(model=model, stage="attempt"), actions=2, expansions=1)
        walked = await rollout(LampEnvironment(), agent, Task(instruction="Look", environment="lamps"), 5)
        (key,) = walked.steps[0].calls
        reply = run.store.get_call(key)
    assert reply is not None
    assert reply.text == act


async def test_a_task_leads_to_the_prompt_that_proposed_it(tmp_path: Path) -> None:
    listed = json.dumps([{"instruction": "Light the lamp", "quote": "lamp"}])
    with RunFolder(tmp_path / "run", CONFIG) as run:
        model = cached(Scripted([listed]), run.store, run.store)
        document = Document(text="How to light a lamp", source="guide.md")
        (task,), _ = await propose_from_section(model, document, 3, environment="lamps", actions="click")
        (key,) = task.calls
        walked = trajectory(task, "explore", steps=1)
        await run.store.put("task", "0", task)
        await run.store.put("trajectory", f"0/{task.id}/0", walked)
    bare = task.model_copy(update={"calls": ()})
    assert bare.id == task.id, "how it came to be does not make it another task"
    assert walked.model_copy(update={"task": bare}).id == walked.id
    with viewing(tmp_path / "run") as viewer:
        page = viewer.get(first_link(viewer, "trajectories", "/trajectory/")).page
        (load,) = [str(node["data-load"]) for node in page.select("[data-load]")]
        assert f"/call/{key}" in load
        assert "How to light a lamp" in viewer.get(load).page.get_text()


async def test_an_example_leads_to_the_prompts_of_its_wording_and_of_its_votes(tmp_path: Path) -> None:
    replies = ['REASON: to the rooms\nACTION: click(link "Rooms")', 'REASON: there\nACTION: finish("")']
    task = Task(instruction="Try something", environment="lamps")
    words = 'Show me the "rooms"'
    vote = {"reason": "it does\nthat", "aligned": True, "coherent": True, "natural": True, "reasonable": False}
    with RunFolder(tmp_path / "run", CONFIG) as run:
        agent = create(AgentParts(model=cached(Scripted(replies), run.store, run.store), stage="attempt"))
        walked = await rollout(LampEnvironment(), agent, task, 5)
        await run.store.put("trajectory", f"0/{task.id}/0", walked)
        labeller = cached(Scripted([words, "Something else"]), run.store, run.store)
        example, _ = await label_span(labeller, walked, 0, 1, "abstract", stage="label")
        await label_span(labeller, walked, 0, 2, "abstract", stage="label")
        judge = cached(Scripted([json.dumps(vote), json.dumps(vote)]), run.store, run.store)
        (committee,) = open_filters(["committee"], FilterParts(judges=[judge]))
        judged = await apply([committee], example, walked)
        await apply([committee], example.model_copy(update={"instruction": "Go away"}), walked)
        await run.store.put("example", f"0/{walked.id}/abstract/000-001", judged)
    with viewing(tmp_path / "run") as viewer:
        page = viewer.get(f"example/{judged.id}").page
        loads = [str(node["data-load"]) for node in page.select(".spans [data-load]")]
        parts = [viewer.get(load).page for load in loads]
        said = [part.select_one("article.call > p.about").get_text().split(" ")[0] for part in parts]  # type: ignore[union-attr]
        assert said == ["label/abstract", "filter/judge"]
        assert words in parts[0].select("pre")[-1].get_text(), "the reply of who worded it"
        assert words in parts[1].select("pre")[-2].get_text(), "the last message to who voted"
        assert viewer.get(loads[0].partition("?")[0]).status == 200
    wording = Judgement(time="2026-11-30", example=judged.id, judge="ada", decision="reword", instruction="Open it")
    assert judged.calls
    assert reworded(judged, wording).calls == (), "a person's wording came from no call"


# who may see it


def test_only_who_knows_the_token_sees_anything(viewer: Viewer) -> None:
    for path in ("/", "/x/", f"/{'A' * 32}/trajectories", "/style.css"):
        answer = viewer.get(path)
        assert answer.status == 403
        assert answer.text == "lbi view: open the address that `lbi view` printed; it changes at each start\n"
    assert viewer.get("", Host="evil.example").status == 421
    assert viewer.get("", Origin="http://evil.example").status == 403
    assert viewer.get("style.css").status == 200


def test_no_page_of_another_server_on_this_machine_can_judge(viewer: Viewer, run: Path) -> None:
    given = {"example": "x", "decision": "accept"}
    for origin in ("http://127.0.0.1:1", "http://localhost:3000", "null", ""):
        assert viewer.post("judge", origin=origin, **given).status == 403
    assert viewer.post("judge", **given).status == 400


@pytest.mark.parametrize(
    "page",
    ["trajectory/t-0000000000000000", "example/x", "task?name=x", "compare?left=x&right=y", "image/x.png", "nothing"],
)
def test_what_is_not_there_is_told_on_a_page(viewer: Viewer, page: str) -> None:
    answer = viewer.get(page)
    assert answer.status == 404
    assert "Not here" in answer.text


def test_the_command_prints_an_address_and_ends_at_ctrl_c(run: Path) -> None:
    process = subprocess.Popen(command("view", run), env=environ(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", line)
        assert address, line
        assert Viewer(address[0]).get().status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_folder_without_a_run_is_told_in_one_line(tmp_path: Path) -> None:
    ran = lbi_here("view", tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"lbi: no run in {tmp_path}")
    assert len(ran.stderr.splitlines()) == 1


# a run that goes on


def test_a_run_at_work_is_looked_at_again_and_never_written(tmp_path: Path) -> None:
    now = [0.0]
    with RunFolder(tmp_path / "run", CONFIG) as writing, RunFolder(writing.path, writing=False) as reading:
        view = RunView(reading, "/t", clock=lambda: now[0])
        assert view.read().gathered.entries == []
        task = Task(instruction="first", environment="web")
        writing.store.put("trajectory", "0/a/0", trajectory(task, "explore")).wait()
        assert view.read().gathered.entries == [], "it was read a moment ago"
        now[0] = 10.0
        assert [entry.instruction for entry in view.read().gathered.entries] == ["first"]
        writing.store.put(
            "trajectory", "0/a/0", trajectory(task.model_copy(update={"instruction": "anew"}), "x")
        ).wait()
        now[0] = 20.0
        assert [entry.instruction for entry in view.read().gathered.entries] == ["anew"]
        assert view.read() is view.read()
        assert holder(writing.path), "its lock is held"
        (rollouts,) = (stage for stage in stages(reading, view.read().gathered) if stage.name == "Roll-outs")
        assert (rollouts.done, rollouts.recent, rollouts.active) == (1, 1, True)
    assert holder(tmp_path / "run") == ""


def test_what_is_planned_is_told_beside_what_is_done(tmp_path: Path) -> None:
    config = {**CONFIG, "synthesis": {"rollouts": 40}}
    with RunFolder(tmp_path / "run", config) as run:
        add_evaluation(run, add_synthesis(run))
        found = {stage.name: (stage.done, stage.planned) for stage in stages(run, gather(run))}
        old = {stage.name: stage.recent for stage in stages(run, gather(run), now=4e9)}
    assert found["Roll-outs"] == (1, 40)
    assert found["Episodes evaluated"] == (6, 6)
    assert found["Documents read"] == (1, None)
    assert set(old.values()) == {0}


def test_the_sentence_failures_and_arms_of_a_run_that_goes_on_are_looked_at_again(viewer: Viewer) -> None:
    page = viewer.get("live").page
    assert page.select_one(".lead").get_text() == viewer.get().page.select_one(".lead").get_text()  # type: ignore[union-attr]
    assert {"arms", "failures"} <= {section.get("id") for section in page.find_all("section")}


def test_a_run_is_read_before_its_address_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    monkeypatch.setattr(source, "gather", lambda folder, briefs: (reads.append(folder.path), gather(folder, briefs))[1])
    with viewing(run):
        assert reads == [run]


# two runs


def test_runs_in_folders_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    one, other = make(tmp_path / "before" / "run"), make(tmp_path / "after" / "run")
    with viewing(one, other) as viewer:
        page = viewer.get("runs").page
        assert [head.get_text() for head in page.select(".heads h2")] == ["before/run", "after/run"]
        pair = page.select_one("#pairs a[href]")
        assert pair is not None
        compared = viewer.get(str(pair["href"])).page
    heads = [head.get_text() for head in compared.select(".heads h2")]
    assert [head.partition(": ")[0] for head in heads] == ["before/run", "after/run"]
    assert len({head.partition(": ")[2] for head in heads}) == 1


def test_a_name_has_no_more_folders_than_needed(tmp_path: Path) -> None:
    assert names_of([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]
    assert names_of([tmp_path / "a" / "run", tmp_path / "b" / "run"]) == ["a/run", "b/run"]
    assert names_of([tmp_path / "a" / "x" / "run", tmp_path / "b" / "x" / "run"]) == ["a/x/run", "b/x/run"]
    assert names_of([tmp_path / "run", tmp_path / "run"]) == ["run", "run"]


def test_arms_that_both_runs_have_stand_first(run: Path, tmp_path: Path) -> None:
    with RunFolder(run, writing=False) as left, RunFolder(tmp_path / "less", CONFIG) as right:
        for key, result in left.store.all("result", Result):
            if result.arm == "backward":
                right.store.put("result", key, result).wait()
        found = rates(gather(left), gather(right))
    assert [arm for arm, _, _ in found] == ["backward", "baseline"]
    assert found[1][2] == "–"


def test_a_long_address_is_cut_beside_the_page_that_says_all_of_it() -> None:
    place = contents.place(Observation(text="page", title="Query", url="/query?" + "id=1&" * 200))
    assert place.startswith("Query · /query?id=1")
    assert len(place) < 120


# judging


@pytest.fixture
def judged(tmp_path: Path) -> Iterator[tuple[Viewer, Path]]:
    path = make(tmp_path / "run")
    with viewing(path, judge="ada <b>") as viewer:
        yield viewer, path


def examples_of(path: Path) -> dict[str, Example]:
    with RunFolder(path, writing=False) as run:
        return {example.kind: example for _, example in run.store.all("example", Example)}


def test_an_example_is_accepted_rejected_or_reworded_and_the_run_stays_as_it_is(judged: tuple[Viewer, Path]) -> None:
    viewer, path = judged
    before = hashlib.sha256((path / "run.db").read_bytes()).hexdigest()
    good, bad = (examples_of(path)[kind] for kind in ("abstract", "summary"))
    assert viewer.post("judge", example=good.id, decision="accept", instruction=good.instruction).status == 303
    assert viewer.post("judge", example=bad.id, decision="accept", then="next").status == 303
    assert viewer.post("judge", example=bad.id, decision="reword", instruction=bad.instruction).status == 400
    assert viewer.post("judge", example=bad.id, decision="maybe").status == 400
    better = viewer.post("judge", example=bad.id, decision="reword", instruction="Close it", reason=EVIL, then="next")
    assert better.headers["location"].endswith(f"/judge?last={bad.id}")
    kept = Judgements(path).all()
    assert [(each.example, each.decision, each.instruction) for each in kept] == [
        (good.id, "accept", ""),
        (bad.id, "accept", ""),
        (bad.id, "reword", "Close it"),
    ], "nothing is overwritten"
    assert {each.judge for each in kept} == {"ada <b>"}
    assert hashlib.sha256((path / "run.db").read_bytes()).hexdigest() == before
    page = viewer.get(f"example/{bad.id}").page
    assert [" ".join(line.get_text().split()[:5]) for line in page.select(".judged")] == ["ada <b>: reword Close it"]
    assert not page.find("b", string="")


def test_what_people_said_tells_how_often_the_committee_is_right(judged: tuple[Viewer, Path]) -> None:
    viewer, path = judged
    bad = examples_of(path)["summary"]
    assert "Beside what people said" not in viewer.get().text
    viewer.post("judge", example=bad.id, decision="accept")
    row = [cell.get_text() for cell in viewer.get().page.select("#people tbody td")]
    told = "cannot be told: all of them were accepted by people"
    assert row == ["committee", "openai:judge", "1", "100.0%", "0", "–", "0.0% – 100.0%", "0.0%", "1.000", told]
    with RunFolder(path, writing=False) as run:
        report = write_report(run).read_text()
    assert '<table id="people">' in report
    assert '<td class="mono">openai:judge</td><td class="num">1</td><td class="num">100.0%</td>' in report


def test_judging_goes_through_what_was_voted_on_without_saying_what_was_voted(judged: tuple[Viewer, Path]) -> None:
    viewer, path = judged
    page = viewer.get("judge").page
    bad = examples_of(path)["summary"]
    assert page.find("input", {"name": "example"})["value"] == bad.id, "the one that a committee voted on"  # type: ignore[index]
    assert "coherent" not in page.get_text()
    after = viewer.post("judge", example=bad.id, decision="reject", then="next").headers["location"]
    said = viewer.get(after).page
    assert "openai:judge says not coherent" in said.get_text()
    assert said.find("input", {"name": "example"})["value"] != bad.id  # type: ignore[index]


def test_the_order_of_judging_has_nothing_to_do_with_what_the_examples_are() -> None:
    examples = [Example(kind="abstract", instruction=f"i{n}", trajectory="t", start=0, end=1) for n in range(60)]
    judged: list[str] = []
    while chosen := next_to_judge(examples, judged):
        judged.append(chosen.id)
    assert sorted(judged) == sorted(example.id for example in examples)
    first = [example.id in judged[:30] for example in examples]
    assert 8 <= sum(first[:30]) <= 22, "not the first ones first"
    assert Search(state="judged").finds(examples[0], judged)
    assert not Search(state="not judged").finds(examples[0], judged)


def test_a_trajectory_longer_than_a_page_says_so(tmp_path: Path) -> None:
    task = Task(instruction="long", environment="web")
    step = Step(observation=Observation(text="x" * 70_000), action=Action(text="wait()", kind="wait"))
    walked = Trajectory(task=task, agent="a", steps=(step,) * 301, last=Observation(text="end"), stop="step_limit")
    with RunFolder(tmp_path / "run", CONFIG) as run:
        run.store.put("trajectory", "0/a/0", walked)
    with viewing(tmp_path / "run") as viewer:
        page = viewer.get(first_link(viewer, "trajectories", "/trajectory/")).page
    assert len(page.select(".steps > li")) == 302
    assert "+1" in page.get_text()
    assert "… 10,000 more characters" in page.get_text()
