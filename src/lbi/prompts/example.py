"""One example as a prompt tells it: where each step is taken, the part of the page that it touches, what it changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lbi.observations.brief import MOST_ADDRESS, brief_line
from lbi.observations.diff import without_references
from lbi.observations.effect import changed_lines
from lbi.observations.frame import Frame
from lbi.observations.parse import FIELDS
from lbi.observations.region import touched
from lbi.prompts.history import output_in_short, place
from lbi.prompts.page import is_page, repeats_group, same_page
from lbi.prompts.template import block, on_one_line, shorter
from lbi.protocols import Shown
from lbi.records import Action, Observation, Trajectory

_ADDRESS = re.compile(r" -> \S+$")
MOST_INSTRUCTION = 240  # characters


@dataclass(frozen=True)
class Detail:
    """How fully an example is told."""

    region: int  # characters of the part that a step touches, or of a command's output; 0 = the element's own line
    changes: int  # lines that an action changed
    before: int  # steps told before the matched page
    after: int  # and after it


NOT = -1
#: fullest first; the matched page and the action after it are part of every form
DETAILS = (
    Detail(400, 3, 99, 99),
    Detail(240, 2, 99, 99),
    Detail(120, 1, 99, 99),
    Detail(0, 1, 99, 99),
    Detail(0, 0, 99, 99),
    Detail(120, 1, 1, 4),
    Detail(0, 0, 1, 6),
    Detail(NOT, 0, 0, 3),
    Detail(NOT, 0, 0, 0),
)


WHOLE, SHORTEST = DETAILS[:5], DETAILS[-2:]  # all steps are told; too few, as long as there are other examples


def example_text(shown: Shown, room: int, most: int, frame: Frame, *, shortest: bool) -> str | None:
    """The fullest form of an example that fits into ``room`` characters; None if none does.

    If all of its steps do not fit into that, it may take up to ``most``.
    """
    texts = {detail: _told(shown, detail, frame) for detail in DETAILS if shortest or detail not in SHORTEST}
    whole = [text for detail, text in texts.items() if detail in WHOLE]
    fitting = [text for text in whole if len(text) <= room] or [text for text in reversed(whole) if len(text) <= most]
    return next(iter([*fitting, *(text for text in texts.values() if len(text) <= room)]), None)


def _told(shown: Shown, detail: Detail, frame: Frame) -> str:
    example, trajectory = shown.example, shown.trajectory
    first, last = max(example.start, shown.at - detail.before), min(example.end, shown.at + detail.after)
    told: set[str] = set()  # lines of regions that were shown since the page changed
    steps = []
    for at in range(first, min(last + 1, example.end)):
        page = trajectory.observations[at]
        moved = at == first or not same_page(trajectory.observations[at - 1], page)
        if moved:
            told.clear()
        action = trajectory.actions[at]
        steps.append(
            {
                "number": at - example.start + 1,
                "place": place(page) if moved else "",
                "lines": list(_region(page, action, detail, frame, told)),
                "action": on_one_line(action.written),
                "changes": list(_changes(trajectory, at, detail, frame)),
            }
        )
    end = trajectory.observations[example.end]
    whole = last == example.end
    return block(
        "example",
        "user",
        instruction=shorter(example.instruction, MOST_INSTRUCTION),
        steps=steps,
        end=place(end) if whole and not same_page(trajectory.observations[example.end - 1], end) else "",
        answer=answer_of(trajectory, example.instruction, example.end) if whole else "",
        before=first - example.start,
        after=0 if whole else example.end - last,
    )


def _region(page: Observation, action: Action, detail: Detail, frame: Frame, told: set[str]) -> Iterator[str]:
    """The lines that the action touches, but for those that were told before on the same page."""
    region = touched(page.text, action, frame, detail.region) if is_page(page) and detail.region > NOT else None
    if region is None:
        return
    own = without_references(region.line)
    before = ""
    for line in without_references(region.text).split("\n"):
        head, repeated, before = _head(line.strip()), repeats_group(before, line), line
        if repeated or head in told or head == "…" or (line.strip() == own and _says_no_more(own, action)):
            continue
        told.add(head)
        yield shorter_line(line, action.value)
    if action.role in FIELDS:
        told.add(f'{action.role} "{action.name}"')  # what it holds from now on is told by the action


def _head(line: str) -> str:
    """A field by its name, whatever it holds; any other line as it is."""
    role, _, rest = line.partition(" ")
    return f'{role} "{rest[1:].partition(chr(34))[0]}"' if role in FIELDS and rest.startswith('"') else line


def shorter_line(line: str, keep: str) -> str:
    """One line of a region; its place under another one stays visible."""
    indent = line[: len(line) - len(line.lstrip(" "))][:4]
    return indent + shorter(brief_line(line.strip(), keep, address=MOST_ADDRESS), 160)


def _says_no_more(line: str, action: Action) -> bool:
    """Whether the line of the element only repeats what the action names."""
    return line.partition(" -> ")[0] == f'{action.role} "{action.name}"'


def _changes(trajectory: Trajectory, at: int, detail: Detail, frame: Frame) -> Iterator[str]:
    before, after, action = trajectory.observations[at], trajectory.observations[at + 1], trajectory.actions[at]
    if after.error:
        yield f"failed: {shorter(after.error)}"
    if not is_page(after):
        if detail.region > 0:
            yield from output_in_short(after, detail.region).split("\n")
        return
    if not same_page(before, after):
        return
    named = f'{action.role} "{action.name}"'
    changes = [line for line in changed_lines(before.text, after.text, frame) if named not in line]
    told = dict.fromkeys(_ADDRESS.sub("", line) for line in changes)  # where a link leads is no help elsewhere
    yield from (shorter(line, 100) for line in list(told)[: detail.changes])


def answer_of(trajectory: Trajectory, instruction: str, end: int) -> str:
    """What was answered on the last page of a span, if that ended the episode.

    It answers the episode's own task, and no instruction that was written afterwards.
    """
    last = len(trajectory.steps)
    if last and trajectory.steps[-1].action.kind == "finish":
        last -= 1
    own_task = instruction.strip() == trajectory.task.instruction.strip()
    return trajectory.answer.strip() if own_task and end == last else ""
