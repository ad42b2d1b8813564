"""An instruction -> the few skills that fit it best, as many skills side by side disturb one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lbi.prompts.skill import skill_text
from lbi.records import Skill, Task
from lbi.retrieval.bm25 import Entry, TextIndex
from lbi.retrieval.leakage import date_tag, tags_later_than
from lbi.retrieval.texts import without_values


class SkillShelf:
    """The skills of an arm, of which ``most`` are shown. ``dates``: {id: the latest date of a skill's sources}."""

    def __init__(self, skills: Sequence[Skill], dates: Mapping[str, str], most: int) -> None:
        self._skills, self._most = skills, most
        self._dates = [dates.get(skill.id, "") for skill in skills]
        texts = [f"{skill.name} {skill.description} {skill_text(skill)}" for skill in skills]
        self._index = TextIndex.build(
            Entry(row, text, tags=(date_tag(date),))
            for row, (text, date) in enumerate(zip(texts, self._dates, strict=True))
        )

    def best(self, task: Task) -> tuple[Skill, ...]:
        """Best first. A task with a date is shown none that rests on anything later (lbi.retrieval.leakage)."""
        words, later = without_values(task.instruction), tags_later_than(self._dates, task.date)
        return tuple(self._skills[row] for row, _ in self._index.best(words, self._most, without=later))
