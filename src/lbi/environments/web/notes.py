"""What happened beside the page of an observation: "a dialog said ...", told in the order in which it happened."""

from __future__ import annotations


class Notes(list[str]):
    """Until they are told. Some are given once in an episode, however often they happen."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def once(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            self.append(note)

    def drain(self) -> tuple[str, ...]:
        """The notes since the last call."""
        notes = tuple(self)
        self.clear()
        return notes

    def forget(self) -> None:
        """Nothing was told yet."""
        self.clear()
        self._told.clear()
