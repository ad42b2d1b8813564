"""Records: identified by what they say, also after a copy with other values."""

from __future__ import annotations

from lbi.records import Action, Observation, Step, Task, Trajectory


def test_a_copy_with_other_values_keeps_nothing_worked_out_from_the_old_ones() -> None:
    step = Step(observation=Observation(text="start"), action=Action(text="click(e1)", kind="click"))
    task = Task(instruction="open it", environment="any")
    old = Trajectory(task=task, agent="react", steps=(step,), last=Observation(text="end"), stop="done")
    assert (len(old.id), len(old.observations), len(old.actions)) == (16, 2, 1)
    new = old.model_copy(update={"steps": ()})
    assert (len(new.observations), new.actions) == (1, ())
    assert new.id == Trajectory(task=task, agent="react", last=Observation(text="end"), stop="done").id != old.id
