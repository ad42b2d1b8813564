"""Examples and documents as an agent is shown them: best first, within the room there is."""

from __future__ import annotations

import re

from lbi.observations.diff import without_references
from lbi.prompts.seen import page_text
from lbi.prompts.template import block, cut, on_one_line
from lbi.protocols import Fields, PromptLimits, Shown
from lbi.records import Document, Observation, Trajectory


def knowledge(fields: Fields, limits: PromptLimits) -> str:
    """What the message says; nothing where nothing fits."""
    examples, room = _fitting(fields.examples, fields.observation, limits)
    documents = _passages(fields.documents, room)
    if not examples and not documents:
        return ""
    return block("knowledge", "user", examples=examples, documents=documents)


def _fitting(ranked: tuple[Shown, ...], now: Observation | None, limits: PromptLimits) -> tuple[list[str], int]:
    """The best examples that fit, and the room that is left; one that does not fit ends the list.

    The same pages and actions under another instruction would show nothing new.
    """
    fitting: list[str] = []
    room, shown_before = limits.knowledge, set[tuple[str, ...]]()
    for shown in ranked:
        route = _route(shown)
        if route in shown_before:
            continue
        text = _example(shown, now, min(room, limits.example))
        if text is None:
            break
        fitting.append(text)
        shown_before.add(route)
        room -= len(text)
    return fitting, room


def _route(shown: Shown) -> tuple[str, ...]:
    """The pages of an example and the actions between them."""
    span = slice(shown.example.start, shown.example.end + 1)
    urls = [observation.url or observation.text for observation in shown.trajectory.observations[span]]
    actions = [action.grounded for action in shown.trajectory.actions[span][:-1]]
    return (*urls, "", *actions)


def _passages(ranked: tuple[Document, ...], room: int) -> list[str]:
    passages: list[str] = []
    for document in ranked:
        heading = " > ".join(part for part in (document.title, *document.headings) if part)
        text = f"{heading}\n{document.text}".strip()
        if len(text) > room and passages:
            break
        if room > 0:
            passages.append(cut(text, room))
        room -= len(text)
    return passages


ALIKE = 0.8  # pages of one kind have at least this share of their lines in common
#: how an example is shown, fullest first: characters of a page, pages around the match with text, steps around it
_DETAILS = ((2_000, 1, 99), (1_200, 1, 99), (1_200, 0, 99), (400, 0, 99), (0, 0, 99), (0, 0, 2), (0, 0, 0))


def _example(shown: Shown, now: Observation | None, room: int) -> str | None:
    """The fullest form of an example that fits; the matched page and the action after it are part of every form."""
    for text_limit, near, reach in _DETAILS:
        text = _example_at(shown, now, text_limit, near, reach)
        if len(text) <= room:
            return text
    return None


def _example_at(shown: Shown, now: Observation | None, text_limit: int, near: int, reach: int) -> str:
    example, trajectory = shown.example, shown.trajectory
    first, last = max(example.start, shown.at - reach), min(example.end, shown.at + reach)
    steps = []
    for at in range(first, last + 1):
        observation = trajectory.observations[at]
        plain = observation.model_copy(update={"text": without_references(observation.text)})
        steps.append(
            {
                "number": at - example.start,
                "page": page_text(plain, text_limit if abs(at - shown.at) <= near else 0, error=at > example.start),
                "action": on_one_line(trajectory.actions[at].grounded) if at < example.end else "",
                "matched": at == shown.at and (now is None or resembles(observation, now)),
                "last": at == example.end,
            }
        )
    return block(
        "example",
        "user",
        instruction=example.instruction,
        steps=steps,
        answer=answer_of(trajectory, example.instruction, example.end) if last == example.end else "",
        before=first - example.start,
        after=example.end - last,
    )


def resembles(page: Observation, other: Observation) -> bool:
    """Whether two pages are of one kind: their addresses differ in numbers only, or most of their lines are alike."""
    if page.url and kind_of_address(page.url) == kind_of_address(other.url):
        return True
    lines, other_lines = (set(without_references(seen.text).split("\n")) for seen in (page, other))
    return len(lines & other_lines) >= ALIKE * len(lines | other_lines)


def kind_of_address(url: str) -> str:
    """The path, with numbers masked."""
    return re.sub(r"\d+", "0", url.split("?")[0].split("#")[0])


def answer_of(trajectory: Trajectory, instruction: str, end: int) -> str:
    """What was answered on the last page of a span, if that ended the episode.

    It answers the episode's own task, and no instruction that was written afterwards.
    """
    last = len(trajectory.steps)
    if last and trajectory.steps[-1].action.kind == "finish":
        last -= 1
    own_task = instruction.strip() == trajectory.task.instruction.strip()
    return trajectory.answer.strip() if own_task and end == last else ""
