"""What became of what was learnt: one table of a run that only grows, and what holds at each of its versions.

    number  item      event      source                         reason
    41      4be1...   learnt     application 9a77...            document 03c2...
    57      4be1...   hurt       backward/0/close-ticket/77...  missed, and solved without it
    90      4be1...   retired    update 88                      hurt in 5 of 6 paired runs
    91      4be1...   restored   by hand 1764466193.2           it works again

An item is an example by its id, or a skill (``Skill.item``). A version is the number of an event: what was live then
follows from the events up to it, so nothing is ever lost, and a way back is one more event.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from lbi.storage.database import Store
from lbi.storage.secrets import mask

Vote = Literal["shown", "helped", "hurt", "succeeded", "failed"]
Change = Literal["learnt", "retired", "restored", "merged", "renewed", "sank", "rose", "rolled back"]
Status = Literal["sunk", "retired", "merged"]
STATUS: dict[str, Status] = {"retired": "retired", "merged": "merged", "sank": "sunk"}
VOTES: tuple[Vote, ...] = ("shown", "helped", "hurt", "succeeded", "failed")
_COLUMNS = "number, item, event, source, reason, created"
_VOTES = ", ".join(f"'{vote}'" for vote in VOTES)

_BACK = "SELECT max(number) FROM knowledge WHERE event = 'restored'"
_WAY_BACK = "SELECT max(number) FROM knowledge WHERE event = 'rolled back'"


class Entry(NamedTuple):
    """A row to be written. The same item, event and source are one row, however often it is written."""

    item: str
    event: Vote | Change
    source: str
    reason: str = ""


class Event(NamedTuple):
    """A row that was written."""

    number: int
    item: str
    event: str
    source: str
    reason: str
    created: float  # seconds since 1970


class Uses(NamedTuple):
    """How often an item was shown, and how that went: beside a run without it, or as somebody reported."""

    shown: int = 0
    helped: int = 0
    hurt: int = 0
    succeeded: int = 0
    failed: int = 0


class State(NamedTuple):
    """Of an item that is not simply live: ``sunk`` ones are shown if no other fits as well, others never."""

    status: Status
    reason: str


class KnowledgeLog:
    """The table of one run."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def append(self, entries: Iterable[Entry]) -> int:
        """Write what is not there yet, all or none; on the disk when this returns. How many rows that were."""
        now = time.time()
        rows = [(each.item, each.event, each.source, mask(each.reason), now) for each in entries]
        if not rows:
            return 0

        def work(db: sqlite3.Connection) -> int:
            sql = "INSERT OR IGNORE INTO knowledge(item, event, source, reason, created) VALUES(?, ?, ?, ?, ?)"
            before = db.total_changes
            db.executemany(sql, rows)
            return db.total_changes - before

        written = self._store.write(work, len(rows))
        return written.wait()

    def events(self, item: str) -> list[Event]:
        """What became of one item, in order."""
        sql = f"SELECT {_COLUMNS} FROM knowledge WHERE item = ? ORDER BY number"
        return [Event(*row) for row in self._store.read("knowledge", sql, (item,))]

    def changes(self) -> list[Event]:
        """Of all items, without the votes."""
        sql = f"SELECT {_COLUMNS} FROM knowledge WHERE event NOT IN ({_VOTES}) ORDER BY number"
        return [Event(*row) for row in self._store.read("knowledge", sql)]

    def uses(self, *, fresh: bool = False) -> dict[str, Uses]:
        """What was counted of each item. ``fresh``: only since somebody last restored it, or went back to a version."""
        counts: dict[str, Counter[str]] = {}
        sql = f"SELECT item, event, count(*) FROM knowledge AS vote WHERE event IN ({_VOTES})"
        if fresh:
            sql += f" AND number > coalesce(({_BACK} AND item = vote.item), 0) AND number > coalesce(({_WAY_BACK}), 0)"
        for item, event, count in self._store.read("knowledge", f"{sql} GROUP BY item, event"):
            counts.setdefault(item, Counter())[event] = count
        return {item: Uses(*(count[vote] for vote in VOTES)) for item, count in counts.items()}

    def version(self) -> int:
        """The number of the last change; 0 = none was made."""
        rows = self._store.read("knowledge", f"SELECT max(number) FROM knowledge WHERE event NOT IN ({_VOTES})")
        return int(rows[0][0] or 0) if rows else 0

    def decided(self) -> int:
        """The number of the last row by which something ceased or began to be live, or to come last; 0 = none."""
        sql = f"SELECT max(number) FROM knowledge WHERE event NOT IN ({_VOTES}, 'learnt')"
        rows = self._store.read("knowledge", sql)
        return int(rows[0][0] or 0) if rows else 0

    def states(self, version: int | None = None) -> dict[str, State]:
        """What became of each item that is not simply live, now or at a version."""
        sql = f"SELECT {_COLUMNS} FROM knowledge WHERE event NOT IN ({_VOTES}, 'learnt') ORDER BY number"
        decided = [Event(*row) for row in self._store.read("knowledge", sql)]
        # what was learnt when matters only for a way back, and may be a million rows
        whole = version is not None or any(change.event == "rolled back" for change in decided)
        return states(self.changes() if whole else decided, version)

    def away(self) -> set[str]:
        """The items that nobody is to be shown any more."""
        return {item for item, state in self.states().items() if state.status != "sunk"}

    def sunk(self) -> frozenset[str]:
        """The items that come last among those that fit alike."""
        return frozenset(item for item, state in self.states().items() if state.status == "sunk")


def states(changes: Sequence[Event], version: int | None = None) -> dict[str, State]:
    """{item that is not simply live: its state} after the changes up to a version; None = now.

    At a version, what was learnt after it is away, too.
    """
    found: dict[str, State] = {}
    for at, change in enumerate(changes):
        if version is not None and change.number > version:
            break
        if change.event in STATUS:
            found[change.item] = State(STATUS[change.event], change.reason)
        elif change.event in ("restored", "renewed", "rose"):
            found.pop(change.item, None)
        elif change.event == "rolled back":
            found = states(changes[:at], int(change.source.split()[0]))
    if version is not None:
        later = [change.item for change in changes if change.event == "learnt" and change.number > version]
        found |= dict.fromkeys(later, State("retired", f"learnt after version {version}"))
    return found
