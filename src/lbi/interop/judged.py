"""What people said of examples (`lbi view`) -> what becomes of these: retired, worded anew, or back again.

    ada, ben: reject                    retired: rejected by ada, ben: the button is another one
    ada: reword "Close the ticket"      retired: reworded by ada as 9c1e...; 9c1e... is learnt, with the new wording
    ada: accept, after she rejected it  restored

What most people say holds; a tie decides nothing. No record is changed: a wording is a new example of the same steps,
and the rest are rows of the table of knowledge. What one judgement led to is done once, so that what somebody takes
back by hand stays so until somebody judges it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lbi.records import Example, Verdict
from lbi.storage.judgements import Judgement, accepted_by_people, standing
from lbi.storage.knowledge import Entry, Event, State
from lbi.synthesis.examples import example_key
from lbi.synthesis.filters import REWORDED
from lbi.synthesis.origins import UNKNOWN, learnt

SOURCE = "judgement"  # how the source of a row begins that follows from what people said
Row = tuple[str, Example]


class People(NamedTuple):
    """How many people say what of an example as it stands; of each the last judgement."""

    accept: int = 0
    reject: int = 0
    reword: int = 0


@dataclass
class Judged:
    """Rows of the table of knowledge, and examples to be stored before these are written."""

    entries: list[Entry] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def people_of(judgements: Iterable[Judgement]) -> dict[str, People]:
    """By the example's id."""
    found = {}
    for id_, given in standing(judgements).items():
        said = [each.decision for each in given]
        found[id_] = People(said.count("accept"), said.count("reject"), said.count("reword"))
    return found


def judged(
    stored: Iterable[Row], judgements: Sequence[Judgement], changes: Sequence[Event], states: Mapping[str, State]
) -> Judged:
    """What the judgements ask for that was not done yet. ``stored``: all examples, by their keys."""
    kept: dict[str, list[Row]] = {}
    for key, example in stored:
        if example.kept:
            kept.setdefault(example.id, []).append((key, example))
    accepted, holding = accepted_by_people(judgements), standing(judgements)
    done, found = {(change.item, change.source) for change in changes}, Judged()
    for id_, accepts in accepted.items():
        times = [each.time for each in judgements if each.example == id_]
        source = f"{SOURCE} {len(times)}, {times[-1]}"
        if id_ in kept and (id_, source) not in done:
            _decide(_Case(kept[id_], kept, source, changes, states, found), accepts, holding[id_])
    return found


@dataclass(frozen=True)
class _Case:
    """One example that was judged."""

    rows: Sequence[Row]  # of each seed that has it
    kept: Mapping[str, Sequence[Row]]
    source: str
    changes: Sequence[Event]
    states: Mapping[str, State]
    found: Judged

    @property
    def example(self) -> Example:
        return self.rows[0][1]

    def live(self, item: str) -> bool:
        return item not in self.states or self.states[item].status == "sunk"

    def retire(self, item: str, reason: str) -> None:
        if self.live(item):
            self.found.entries.append(Entry(item, "retired", self.source, reason))

    def restore(self, item: str, reason: str) -> None:
        """Where people retired it, and nobody and nothing else."""
        last = [change for change in self.changes if change.item == item and change.event in ("retired", "merged")]
        if not self.live(item) and last and last[-1].source.startswith(SOURCE):
            self.found.entries.append(Entry(item, "restored", self.source, reason))

    def retire_wordings(self, reason: str, but: str = "") -> None:
        """Those that somebody gave the example before."""
        for id_, rows in self.kept.items():
            if id_ != but and original_of(rows[0][1]) == self.example.id:
                self.retire(id_, reason)


def _decide(case: _Case, accepts: bool, given: Sequence[Judgement]) -> None:
    rejecting = [each for each in given if each.decision == "reject"]
    rewording = [each for each in given if each.decision == "reword" and each.instruction.strip()]
    example = case.example
    if accepts:
        names = _names([each for each in given if each.accepts])
        case.restore(example.id, f"accepted by {names}")
        case.retire_wordings(f"the wording of {example.id} is accepted by {names}")
    elif len(rewording) > len(rejecting):
        _reword(case, rewording[-1])
    else:
        said = next((each.reason for each in reversed(given) if each.reason and not each.accepts), "")
        reason = f"rejected by {_names(rejecting or given)}{f': {said}' if said else ''}"
        case.retire(example.id, reason)
        case.retire_wordings(reason)


def _reword(case: _Case, by: Judgement) -> None:
    id_, fresh = case.example.id, reworded(case.example, by)
    case.retire(id_, f"reworded by {by.judge} as {fresh.id}")
    case.retire_wordings(f"reworded again by {by.judge} as {fresh.id}", but=fresh.id)
    if fresh.id in case.kept:
        case.restore(fresh.id, f"worded so again by {by.judge}")
        return
    for key, stored in case.rows:
        each = reworded(stored, by)
        case.found.rows.append((example_key(int(key.partition("/")[0]), each), each))
    case.found.entries += learnt([fresh], _version(case), f"reworded from {id_}, ")


def reworded(example: Example, by: Judgement) -> Example:
    """The same steps under the new wording. What was proved of the steps holds; votes were on other words."""
    verdict = Verdict(filter=REWORDED, keep=True, reason=f"worded by {by.judge}, from {example.id}")
    proved = tuple(each for each in example.verdicts if not each.votes and each.filter != REWORDED)
    update = {"instruction": by.instruction.strip(), "verdicts": (*proved, verdict), "calls": ()}
    return example.model_copy(update=update)


def original_of(example: Example) -> str:
    """The id of the example whose wording a person has bettered; "" for one that a model worded."""
    said = next((each.reason for each in example.verdicts if each.filter == REWORDED), "")
    return said.rpartition(", from ")[2]


def _version(case: _Case) -> str:
    """Of the application, as it was noted of the example."""
    noted = [each.source for each in case.changes if each.item == case.example.id and each.event == "learnt"]
    return noted[-1].removeprefix("application ") if noted else UNKNOWN


def _names(given: Sequence[Judgement]) -> str:
    return ", ".join(each.judge for each in given)
