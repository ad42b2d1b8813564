"""What `lbi look` prints of an action, and the picture that it saves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lbi.errors import UserError
from lbi.monitoring.terminal import say
from lbi.observations.diff import changes
from lbi.protocols import Outcome
from lbi.records import Action, Observation


@dataclass(frozen=True)
class Shown:
    """One action, what it did, and how long it took until the page was seen again."""

    action: str
    named: str  # the same with role and name, which hold on another visit too; "" where it is written so
    error: str
    changed: str  # as a difference to the page before; "" if nothing was
    seconds: float


def shown_step(before: Observation, outcome: Outcome, seconds: float) -> Shown:
    done, after = outcome.action, outcome.observation
    return Shown(done.text, _named(done), after.error, changes(before.text, after.text), seconds)


def _named(done: Action) -> str:
    return done.written if done.role and done.written != done.text.strip() else ""


def print_step(step: Shown, after: Observation, whole: bool) -> None:
    """The action, its error, and what it changed or the whole page."""
    say(f"\n> {step.action}" + (f"  =  {step.named}" if step.named else ""))
    if step.error:
        say(f"error: {step.error}")
    if whole:
        say(after.text)
    elif step.changed:
        say(step.changed)
    elif not step.error:
        say("nothing changed")
    say(f"[{step.seconds:.2f} s]")


def write_picture(file: Path, picture: bytes) -> None:
    """Raises UserError for a file that cannot be written."""
    try:
        file.write_bytes(picture)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from None
