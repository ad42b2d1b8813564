"""What happened so far, as a prompt tells it: where, what was done, and what that changed. No page is told whole.

Every step is told in one way for good, so that the prompt of the next step begins like this one's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from lbi.observations.brief import brief_address, brief_line
from lbi.observations.diff import without_references
from lbi.observations.effect import changed_lines
from lbi.observations.frame import Frame
from lbi.observations.parse import FIELDS, TICKS
from lbi.prompts.page import is_page, same_page, same_place
from lbi.prompts.template import not_ours, on_one_line, one_line, shorter
from lbi.records import Observation, Step, Task

MOST_CHANGES = 5  # lines that an action changed
MOST_RELEVANT = 4  # lines of a page that was left: those with words of the objective
MOST_TITLE = 60
SAME_PAGE = " (same page)"  # after the number of a step, in place of the page's name
ORDINARY = 0.4  # a word that is no name; 1 = a name or a number
LEAST_SCORE = 0.45  # of a line, from the words that it shares with the objective and few other lines have
SHORTER = 0.6  # of the room is left to older outputs once it is exceeded, so that they are not cut anew at every step
_SITE = re.compile(r"(?<=\w.) [-–—|·] [^-–—|·]+$")
_NO_NEWS = re.compile(
    rf"(?:{'|'.join(sorted(FIELDS | TICKS))}|button|generic|group|URL:|Title:)(?: |$|:)|(?:URL|Title): "
)
_WORD = re.compile(r"\w{3,}|\d+")
_COMMON = frozenset(
    [
        "all",
        "and",
        "any",
        "are",
        "but",
        "can",
        "cannot",
        "for",
        "from",
        "has",
        "have",
        "her",
        "his",
        "how",
        "into",
        "its",
        "name",
        "not",
        "now",
        "off",
        "one",
        "our",
        "out",
        "please",
        "should",
        "that",
        "the",
        "their",
        "them",
        "there",
        "they",
        "this",
        "was",
        "what",
        "when",
        "where",
        "which",
        "who",
        "will",
        "with",
        "would",
        "you",
        "your",
    ]
)


def history(task: Task, steps: Sequence[Step], now: Observation, room: int) -> list[str]:
    """Each step in words; ``room`` is the number of characters that outputs of commands may take, the newest first."""
    observations = [*(step.observation for step in steps), now]
    whole = _whole_from(steps, room)
    told = []
    for at, step in enumerate(steps):
        lines = [f"Step {at + 1}{_where(observations, at)}"]
        if at == 0 and not is_page(step.observation):
            lines += ["AT FIRST:", _output(step.observation, whole == 0)]
        if step.reason:
            lines.append(f"REASON: {one_line(step.reason)}")
        lines.append(f"ACTION: {on_one_line(step.action.written)}")
        lines += _result(task, observations, at, step)
        if at + 1 < len(steps) and not is_page(observations[at + 1]):  # that of the last step is shown below
            lines += ["OUTPUT:", _output(observations[at + 1], at + 1 >= whole)]
        told.append("\n".join(lines))
    return told


def place(observation: Observation) -> str:
    """Where a page is: its address and its title, in short and without the name of the site."""
    title = _SITE.sub("", observation.title)
    title = title if len(title) <= MOST_TITLE else f"{title[: MOST_TITLE - 1]}…"
    named = [brief_address(observation.url), f'"{title}"' if title else ""]
    return one_line(" ".join(filter(None, named)) or observation.text[:80])


def _where(observations: Sequence[Observation], at: int) -> str:
    """The page, if it is another one than that of the step before."""
    page = observations[at]
    if at and same_page(page, observations[at - 1]):
        return SAME_PAGE if is_page(page) else ""
    return f", on {place(page)}" if page.url or page.title else ""


def _result(task: Task, observations: Sequence[Observation], at: int, step: Step) -> Iterator[str]:
    before, after = observations[at], observations[at + 1]
    if after.error:
        yield f"FAILED: {one_line(after.error)}"
    if not is_page(before):
        return
    earlier = [page.text for page in observations[: at + 1] if not same_place(page, before)]
    frame = Frame.seen(earlier)
    if not same_page(before, after):
        relevant = list(relevant_lines(task.instruction, before, step, frame))
        if relevant:
            yield "That page said:"
            yield from (f"  {line}" for line in relevant)
        return
    changes = [line for line in changed_lines(before.text, after.text, frame) if not _is_own(line, step)]
    if changes:
        yield "CHANGED:"
        yield from (f"  {shorter(line)}" for line in changes[:MOST_CHANGES])
        if len(changes) > MOST_CHANGES:
            yield f"  … {len(changes) - MOST_CHANGES} more lines"
    elif not after.error and step.action.kind in ("click", "press", "drag", "upload", "goto"):
        yield "CHANGED: nothing that can be seen"


def _is_own(line: str, step: Step) -> bool:
    """Whether a change is the action itself: the field that was filled holds the text."""
    action = step.action
    return action.kind in ("fill", "type", "select") and bool(action.name) and f'{action.role} "{action.name}"' in line


def relevant_lines(instruction: str, page: Observation, step: Step, frame: Frame) -> Iterator[str]:
    """The lines of a page's own that tell most about the objective, in the page's order.

    A word that many lines have tells little; a field and what the step acted on are told elsewhere.
    """
    own = frame.own(without_references(page.text)).split("\n")
    lines = [line for line in dict.fromkeys(line.strip() for line in own) if _informs(line, page, step)]
    weights = _weights(instruction)
    words = [set(_WORD.findall(line.casefold())) & weights.keys() for line in lines]
    common = Counter(word for each in words for word in each)
    scores = {at: sum(weights[word] / common[word] for word in each) for at, each in enumerate(words)}
    best = sorted((at for at, score in scores.items() if score > LEAST_SCORE), key=lambda at: (-scores[at], at))
    return (shorter(brief_line(lines[at])) for at in sorted(best[:MOST_RELEVANT]))


def _weights(instruction: str) -> dict[str, float]:
    """{word: how much it tells}: numbers and names, which are written with a capital within a sentence, tell most."""
    words = _WORD.findall(instruction)
    names = {word.casefold() for word in words[1:] if not word.islower()}
    every = {word.casefold() for word in words} - _COMMON
    return {word: 1.0 if word in names else ORDINARY for word in every}


def _informs(line: str, page: Observation, step: Step) -> bool:
    action = step.action
    if line.startswith("heading ") and line[9:-1] in page.title:
        return False
    named = f'{action.role} "{action.name}"' if action.name else "\n"
    return bool(line) and not _NO_NEWS.match(line) and not line.startswith(named)


# outputs of commands, which cannot be looked at again


def _whole_from(steps: Sequence[Step], room: int) -> int:
    """The first step whose output is shown whole; those before it are only named.

    Replayed from the beginning, so that what is left out once is left out from then on.
    """
    first, total = 0, 0
    sizes = [0 if is_page(step.observation) else len(step.observation.text) for step in steps]
    for at, size in enumerate(sizes):
        total += size
        if total > room:
            while first <= at and total > room * SHORTER:
                total -= sizes[first]
                first += 1
    return first


def _output(observation: Observation, whole: bool) -> str:
    text = observation.text.strip() or "(nothing was shown)"
    return not_ours(text) if whole else shorter(text, 80)


def output_in_short(observation: Observation, most: int) -> str:
    """The beginning and the end of an output."""
    text = not_ours(observation.text.strip())
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]}\n… {len(text) - most} more characters …\n{text[-(most // 3) :]}"
