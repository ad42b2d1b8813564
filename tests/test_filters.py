"""Each filter drops what it is there to drop, says why, and keeps the rest."""

from __future__ import annotations

import json
import re

import pytest

from fake_notes import ARCHIVE, DELETE, HELP, HOME, MILK, MORE, NEW, NOTES, SAVE, NotesEnvironment, title, walk
from lbi.errors import EnvironmentFailure, ModelBusy, ModelError, ParseError, UserError
from lbi.models.providers.scripted import Scripted
from lbi.protocols import Filter
from lbi.records import Action, Example, Observation, Step, Task, Trajectory
from lbi.synthesis.filters import FilterParts, apply, filter_names, open_filters
from lbi.synthesis.filters.replay import Replayed, replay

YES = json.dumps({"aligned": True, "coherent": True, "natural": True, "reasonable": True, "reason": "fine"})
DETOUR = json.dumps({"aligned": True, "coherent": True, "natural": True, "reasonable": False, "reason": "a detour"})


def span(trajectory: Trajectory, start: int = 0, end: int | None = None) -> Example:
    end = len(trajectory.steps) if end is None else end
    return Example(kind="abstract", instruction="do it", trajectory=trajectory.id, start=start, end=end)


async def verdict(name: str, trajectory: Trajectory, start: int = 0, end: int | None = None, **parts: object):
    [judge] = open_filters([name], FilterParts(**parts))
    return await judge.judge(span(trajectory, start, end), trajectory)


def made(*states: tuple[str, str], kinds: tuple[str, ...] = ()) -> Trajectory:
    """A trajectory of (page, digest); each action is a click unless ``kinds`` says otherwise."""
    seen = [Observation(text=f"heading {page}", url=f"/{page}", digest=digest) for page, digest in states]
    names = kinds or ("click",) * (len(seen) - 1)
    actions = [Action(text="x", kind=kind, role="button", name=f"{at}", value="v") for at, kind in enumerate(names)]
    steps = tuple(Step(observation=o, action=a) for o, a in zip(seen, actions, strict=False))
    task = Task(instruction="x", environment="desk")
    return Trajectory(task=task, agent="test", steps=steps, last=seen[-1], stop="done")


async def test_every_file_of_the_folder_is_a_filter_with_the_name_of_its_file():
    parts = FilterParts(judges=(Scripted([]),))
    for name in filter_names():
        [found] = open_filters([name], parts)
        assert isinstance(found, Filter)
        assert found.name == name


def test_an_unknown_filter_is_named_with_the_nearest_known_one():
    with pytest.raises(UserError, match="did you mean 'net_effect'"):
        open_filters(["net_efect"], FilterParts())


# repeat


async def test_repeat_keeps_a_span_that_does_each_thing_once():
    trajectory = await walk("make a note", NOTES, NEW, title("Eggs"), SAVE)
    assert (await verdict("repeat", trajectory)).keep


async def test_repeat_drops_an_action_that_changed_nothing_twice():
    found = await verdict("repeat", await walk("save nothing", NOTES, NEW, SAVE, SAVE))
    assert not found.keep
    assert "action 4 repeats action 3" in found.reason


async def test_repeat_drops_an_action_that_failed_but_not_one_outside_the_span():
    trajectory = await walk("look", NOTES, """click('button "Nowhere"')""", NEW)
    assert "action 2 failed" in (await verdict("repeat", trajectory)).reason
    assert (await verdict("repeat", trajectory, 2, 3)).keep
    assert (await verdict("repeat", trajectory, 0, 1)).keep


# loop


@pytest.mark.parametrize(
    ("states", "keep"),
    [
        ([("a", "1"), ("b", "1"), ("c", "1")], True),
        ([("a", "1"), ("b", "1"), ("a", "1")], False),
        ([("a", "1"), ("b", "1"), ("a", "2")], True),  # back on the page, in another state
        ([("a", "1"), ("a", "1")], False),
        ([("a", ""), ("b", ""), ("a", "")], False),
        ([("z", "1"), ("a", "1"), ("b", "1"), ("c", "1"), ("a", "1")], False),
    ],
)
async def test_loop_drops_a_span_that_is_where_it_has_been(states, keep):
    assert (await verdict("loop", made(*states))).keep is keep


async def test_loop_drops_two_actions_in_turns_though_every_page_differs():
    trajectory = await walk("dither", NOTES, HOME, NOTES, HOME)
    pages = [seen.model_copy(update={"text": f"visit {at}"}) for at, seen in enumerate(trajectory.observations)]
    steps = [step.model_copy(update={"observation": pages[at]}) for at, step in enumerate(trajectory.steps)]
    differing = trajectory.model_copy(update={"steps": tuple(steps), "last": pages[-1]})
    differing = Trajectory.model_validate(differing.model_dump())
    assert "in turns" in (await verdict("loop", differing)).reason
    assert (await verdict("loop", differing, 0, 3)).keep


async def test_loop_keeps_an_answer_and_a_date_typed_over_another():
    assert (await verdict("loop", made(("a", "1"), ("b", "1"), ("b", "1"), kinds=("click", "finish")))).keep
    assert (await verdict("loop", made(("a", "1"), ("a", "1"), ("b", "2"), kinds=("fill", "click")))).keep


async def test_loop_looks_at_the_span_only():
    trajectory = made(("a", "1"), ("b", "1"), ("a", "1"), ("c", "1"))
    assert not (await verdict("loop", trajectory)).keep
    assert (await verdict("loop", trajectory, 1, 4 - 1)).keep


# net_effect


@pytest.mark.parametrize(
    ("states", "end", "reason"),
    [
        ([("a", "1"), ("b", "2")], 1, ""),
        ([("a", "1"), ("a", "2")], 1, ""),
        ([("a", "1"), ("b", "1")], 1, ""),
        ([("a", "1"), ("b", "1"), ("a", "1")], 2, "same at both ends"),
        ([("a", "1"), ("b", "2"), ("c", "1")], 2, "undone before its end"),
        ([("a", "1"), ("b", "2"), ("c", "1")], 1, "undone by observation 2"),
        ([("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")], 2, ""),
        ([("a", ""), ("b", "")], 1, ""),
        ([("a", ""), ("b", ""), ("a", "")], 2, "same at both ends"),
    ],
)
async def test_net_effect_drops_what_changes_nothing_or_is_undone(states, end, reason):
    found = await verdict("net_effect", made(*states), 0, end)
    assert found.keep == (not reason)
    assert reason in found.reason


async def test_a_change_of_the_fragment_is_no_effect():
    task = Task(instruction="x", environment="desk")
    before, after = (Observation(text="heading A", url=url, digest="1") for url in ("/a", "/a#part"))
    step = Step(observation=before, action=Action(text="x", kind="click", role="link", name="Part"))
    trajectory = Trajectory(task=task, agent="test", steps=(step,), last=after, stop="done")
    assert not (await verdict("net_effect", trajectory)).keep


async def test_an_answer_is_an_effect():
    trajectory = await walk("how many notes?", NOTES, 'finish("1")')
    assert (await verdict("net_effect", trajectory, 1, 2)).keep
    silent = await walk("stop", NOTES, 'finish("")')
    assert not (await verdict("net_effect", silent, 1, 2)).keep


async def test_a_note_made_and_deleted_again_is_no_example_of_making_one():
    eggs = """click('link "Eggs"')"""
    trajectory = await walk("waver", NOTES, NEW, title("Eggs"), SAVE, eggs, DELETE)
    assert "undone by observation 6" in (await verdict("net_effect", trajectory, 1, 4)).reason


# committee


async def test_the_committee_must_agree_in_everything_and_every_vote_is_kept():
    trajectory = await walk("open the notes", NOTES)
    judges = (Scripted([YES], name="a"), Scripted([DETOUR], name="b"))
    found = await verdict("committee", trajectory, judges=judges)
    assert not found.keep
    assert found.reason == "b: not reasonable"
    assert [(vote.model, vote.accepts, vote.reason) for vote in found.votes] == [
        ("a", True, "fine"),
        ("b", False, "a detour"),
    ]


async def test_judges_see_the_span_and_the_instruction_but_not_the_task_it_came_from():
    trajectory = await walk("open the notes", NOTES, NEW)
    judge = Scripted([YES])
    assert (await verdict("committee", trajectory, 1, 2, judges=(judge,))).keep
    [request] = judge.requests
    assert (request.role, request.fields.start, request.fields.end) == ("judge", 1, 2)
    assert (request.fields.instruction, request.fields.task) == ("do it", None)


@pytest.mark.parametrize("failure", [ModelError("gone"), ModelBusy("later")])
async def test_a_judge_that_fails_has_not_said_no(failure):
    trajectory = await walk("open the notes", NOTES)
    other = Scripted([YES], name="b")
    with pytest.raises(type(failure)):
        await verdict("committee", trajectory, judges=(Scripted([failure]), other))
    assert other.calls == 1


async def test_a_judge_that_cannot_be_understood_has_not_said_no():
    trajectory = await walk("open the notes", NOTES)
    with pytest.raises(ParseError):
        await verdict("committee", trajectory, judges=(Scripted(["hm", "well"]),))


def test_a_committee_without_members_is_refused():
    with pytest.raises(UserError, match=r"models\.judges"):
        open_filters(["committee"], FilterParts())


# replay


async def test_a_replay_matches_though_references_and_times_differ():
    trajectory = await walk("make a note", NOTES, NEW, title("Eggs"), SAVE)
    desk = NotesEnvironment()
    desk.looks = 50
    replayed = await replay(desk, trajectory)
    assert replayed == Replayed(trajectory=trajectory.id, matched=(True,) * 5)
    assert replayed.whole


class Forgetful(NotesEnvironment):
    """A desk that starts with one note more than the one the trajectory was recorded on, once a note is saved."""

    def _click(self, effect: str) -> None:
        super()._click(effect)
        if effect == "save":
            self.notes.append("Surprise")


async def test_a_replay_stops_at_the_first_state_that_differs():
    trajectory = await walk("make a note and go home", NOTES, NEW, title("Eggs"), SAVE, HOME)
    replayed = await replay(Forgetful(), trajectory)
    assert replayed.matched == (True, True, True, True, False, False)
    assert replayed.note == "observation 4: another state"


def changed(trajectory: Trajectory, at: int, **update: str) -> Trajectory:
    """The trajectory with another observation at ``at``, as it was recorded on another day."""
    other = trajectory.observations[at].model_copy(update=update)
    steps = list(trajectory.steps)
    steps[at] = steps[at].model_copy(update={"observation": other})
    return Trajectory.model_validate({**trajectory.model_dump(), "steps": steps})


async def test_a_page_that_differs_does_not_stop_a_replay():
    trajectory = changed(await walk("look around", HELP, NOTES, NEW), 1, url="/other", text="heading Other")
    replayed = await replay(NotesEnvironment(), trajectory)
    assert replayed.matched == (True, False, True, True)
    assert replayed.note == "observation 1: another page (/help)"


async def test_the_same_state_at_the_same_address_is_enough_and_without_a_state_the_page_must_be_the_same():
    trajectory = changed(await walk("look around", HELP, NOTES, NEW), 1, text="heading Other")
    assert (await replay(NotesEnvironment(), trajectory)).whole
    stateless = Trajectory.model_validate(
        json.loads(re.sub(r'"digest":"\w+"', '"digest":""', trajectory.model_dump_json()))
    )
    assert (await replay(Stateless(), stateless)).matched == (True, False, True, True)


class Stateless(NotesEnvironment):
    """A desk that cannot tell its state."""

    def _look(self, error: str = "") -> Observation:
        return super()._look(error).model_copy(update={"digest": ""})


async def test_an_error_that_was_not_there_is_a_difference():
    trajectory = await walk("open and archive", NOTES, MILK, MORE, ARCHIVE)
    missing = trajectory.steps[:2] + trajectory.steps[3:]  # without unfolding the button is not there
    cut = Trajectory.model_validate({**trajectory.model_dump(), "steps": missing})
    replayed = await replay(NotesEnvironment(), cut)
    assert not replayed.matched[3]


async def test_a_broken_environment_is_raised_and_is_no_mismatch():
    trajectory = await walk("open the notes", NOTES)
    with pytest.raises(EnvironmentFailure):
        await replay(NotesEnvironment(broken=True), trajectory)


async def test_replay_keeps_a_span_whose_two_ends_were_seen_again():
    trajectory = await walk("make a note", NOTES, NEW, title("Eggs"), SAVE)
    replays = {trajectory.id: Replayed(trajectory=trajectory.id, matched=(True, True, False, True, False), note="why")}
    assert (await verdict("replay", trajectory, 1, 3, replays=replays)).keep
    found = await verdict("replay", trajectory, 2, 4, replays=replays)
    assert found.reason == "start (observation 2) and end (observation 4) not seen again: why"


async def test_what_was_not_replayed_yet_is_neither_kept_nor_dropped():
    trajectory = await walk("open the notes", NOTES)
    with pytest.raises(EnvironmentFailure, match="not been replayed"):
        await verdict("replay", trajectory)


# apply


async def test_apply_stops_at_the_first_drop_and_asks_no_judge_after_it():
    trajectory = await walk("save nothing", NOTES, NEW, SAVE, SAVE)
    judge = Scripted([YES])
    filters = open_filters(["repeat", "loop", "committee"], FilterParts(judges=(judge,)))
    example = await apply(filters, span(trajectory), trajectory)
    assert [(each.filter, each.keep) for each in example.verdicts] == [("repeat", False)]
    assert (example.kept, example.tier, judge.calls) == (False, "unverified", 0)


async def test_the_tier_is_the_best_that_was_earned():
    trajectory = await walk("open the notes", NOTES)
    replays: dict[str, Replayed] = {}
    parts = FilterParts(judges=(Scripted(lambda request: YES),), replays=replays)
    example = span(trajectory)
    assert (await apply(open_filters(["repeat"], parts), example, trajectory)).tier == "unverified"
    assert (await apply(open_filters(["repeat", "committee"], parts), example, trajectory)).tier == "committee"
    replays[trajectory.id] = await replay(NotesEnvironment(), trajectory)
    for order in (["committee", "replay"], ["replay", "committee"]):
        kept = await apply(open_filters(order, parts), example, trajectory)
        assert (kept.kept, kept.tier, kept.id) == (True, "replayed", example.id)


async def test_an_example_of_which_its_labeller_says_nothing_was_achieved_is_dropped_unasked() -> None:
    trajectory = made(("a", "1"), ("b", "2"))
    empty = span(trajectory).model_copy(update={"instruction": ""})
    asked: list[object] = []
    judge = Scripted(lambda request: asked.append(request) or YES)
    found = await apply(open_filters(["committee"], FilterParts(judges=[judge])), empty, trajectory)
    assert not found.kept
    assert [(v.filter, v.reason) for v in found.verdicts] == [("labeller", "nothing was achieved, says who labels")]
    assert asked == []
