"""A skill as its readers are told it: the body of its SKILL.md, and in the prompt of an agent the same text."""

from __future__ import annotations

from lbi.records import Skill, Statement

FRONT = 40  # tokens of the front matter beside name and description, about
OPENING = (
    "Each way below was carried out again with the same outcome. The examples behind it (e1, e2, ...) are in "
    "references/examples.md. Put in your own values; find the elements on the page before you."
)


def skill_text(skill: Skill, *, heading: bool = True) -> str:
    """The body, in Markdown. Examples are named by their number in ``sources``, from 1."""
    numbers = {id_: f"e{at}" for at, id_ in enumerate(skill.sources, start=1)}
    title = [f"# {skill.name}", OPENING] if heading else [skill.description]
    return "\n\n".join([*title, *(_told(statement, numbers) for statement in skill.statements)])


def _told(statement: Statement, numbers: dict[str, str]) -> str:
    behind = ", ".join(numbers[id_] for id_ in statement.examples)
    if not statement.steps:
        return f"- {statement.text} ({behind})"
    steps = "\n".join(f"{at}. {step}" for at, step in enumerate(statement.steps, start=1))
    return f"## {statement.text}\n\n{steps}\n\n({behind})"


def skill_tokens(skill: Skill) -> int:
    """About how many tokens its SKILL.md has: four bytes each."""
    text = f"{skill.name} {skill.description} {skill_text(skill)}"
    return FRONT + -(-len(text.encode(errors="replace")) // 4)
