"""Whether an answer meets a task's check, what it must contain and must not; and what the end of its command means."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from lbi.errors import ScoreError
from lbi.records import Check

CANNOT_TELL = 77  # exit code of a check's command that could not find out; other test tools call it "skipped"
#: exit codes of a shell: the command cannot be run, or is not there
NOT_RUN = (126, 127)
_CRASH = re.compile(r"^Traceback \(most recent call last\):$", re.MULTILINE)


def wrong_answer(check: Check, answer: str) -> str:
    """What the answer lacks or should not contain, in words; "" if it is right."""
    for wanted in check.answer:
        if not contains(answer, wanted):
            return f"the answer {answer!r} does not contain {wanted!r}"
    for unwanted in check.answer_not:
        if contains(answer, unwanted):
            return f"the answer {answer!r} contains {unwanted!r}"
    return ""


async def met_without_pages(
    check: Check, answer: str, place: str, run: Callable[[Sequence[str]], Awaitable[tuple[float, str]]]
) -> tuple[float, str]:
    """Score and reason of a check where there are no pages, by its answer and its command, which ``run`` runs.

    ``place`` names the environment, such as "a shell". Raises ScoreError for what cannot be checked there.
    """
    if check.sql or check.url or check.shows:
        raise ScoreError(f"{place} has no database and no pages: its checks are answer, answer_not and command")
    if check.grader:
        raise ScoreError("only the environment of the task's own benchmark can grade it")
    if check == Check():
        raise ScoreError("the check has no condition")
    if wrong := wrong_answer(check, answer):
        return 0.0, wrong
    return await run(check.command) if check.command else (1.0, "every condition holds")


def contains(text: str, wanted: str) -> bool:
    """Whole words are contained; case, blanks and thousands commas do not count. "12" is not in "120" nor in "1.12"."""
    needle = _fold(wanted)
    if not needle:
        return True
    before = r"(?<!\w)(?<!\d[.,])" if needle[0].isalnum() else ""
    after = r"(?!\w)(?![.,]\d)" if needle[-1].isalnum() else ""
    return re.search(before + re.escape(needle) + after, _fold(text)) is not None


def _fold(text: str) -> str:
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return " ".join(text.casefold().split())


def failed_command(status: int, output: str) -> str:
    """Why a check's command fails the task; "" if it ended with 0. Raises ScoreError where it says it cannot tell."""
    if status == CANNOT_TELL:
        raise ScoreError(f"the check's command cannot tell (exit code {status}): {output[-300:]}")
    return f"the command exited with {status}: {output[-300:]}" if status else ""


def raise_for_crash(status: int, output: str) -> None:
    """Raise ScoreError where a command was not run, ended by a signal, or by a Python error but a failed assertion.

    For programs that no agent has written to: that they crash says nothing of the agent.
    """
    if status in NOT_RUN or status < 0 or status > 128:
        raise ScoreError(f"the check's command did not run to its end (exit code {status}): {output[-300:]}")
    last = output.strip().rpartition("\n")[2]
    if _CRASH.search(output) and not last.startswith(("AssertionError", "SystemExit")):
        raise ScoreError(f"the check's command crashed: {last[:300]}")
