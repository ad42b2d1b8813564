"""Request -> messages: each prompt is a Jinja2 file here; what goes into each role's is put together in this module.

A file's blocks are messages. What was copied from a page, a document or an earlier run stands between <untrusted> tags.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, Literal, cast

from lbi.observations.diff import without_references
from lbi.observations.frame import Frame
from lbi.prompts.example import answer_of, example_text
from lbi.prompts.history import history
from lbi.prompts.known import NOTHING_KNOWN, Knowledge, knowledge
from lbi.prompts.page import folded, is_page, shown_since
from lbi.prompts.seen import as_changes, page_text, unless_same
from lbi.prompts.template import FOLDER, block, cut, one_line
from lbi.protocols import Fields, Message, Part, PromptLimits, Request, Role, Shown
from lbi.records import Document, Observation, Trajectory, digest_of
from lbi.storage.secrets import mask

#: files that other prompts put into theirs; a change in one of them changes the hash of those prompts
PARTS: dict[str, tuple[str, ...]] = {
    "propose": ("rule",),
    "act": ("rule", "situation", "skills", "knowledge", "example"),
    "query": ("rule", "situation"),
    "abstract": ("abstract_spans", "achievement", "rule", "step", "changes"),
    "summarise": ("summarise_spans", "rule", "step", "changes"),
    "judge": ("achievement", "rule", "step", "changes"),
    "reflect": ("rule", "step", "changes"),
    "value": ("rule", "situation"),
    "skill": ("rule", "example"),
}


def part_of(role: Role) -> Part:
    """The part of a run that asks in a role: labels of both kinds and skills are one part, and an agent asks to act."""
    if role in ("abstract", "summarise", "skill"):
        return "label"
    return "act" if role == "reflect" or role == "value" else cast(Part, role)


LabelRole = Literal["abstract", "summarise"]


def is_structured(role: Role, limits: PromptLimits) -> bool:
    """Whether replies in a role are to have the form of a JSON schema."""
    return part_of(role) in (limits.structured or ())


DEFAULT_LIMITS = PromptLimits()
SKILL_EXAMPLE = 900  # characters of an example that a skill is written from, unless its steps take more
#: what was rendered last, because the wrappers around a model and the model itself each need the same messages
_latest: tuple[Request, PromptLimits, tuple[Message, ...]] | None = None


def render(request: Request, limits: PromptLimits = DEFAULT_LIMITS) -> tuple[Message, ...]:
    """The conversation a language model is sent; neighbours with one role are parts of one turn."""
    global _latest
    if _latest is None or _latest[0] is not request or _latest[1] != limits:
        messages = (*_PROMPTS[request.role](request.fields, limits), *request.extra)
        _latest = request, limits, tuple(map(_without_secrets, messages))
    return _latest[2]


def _without_secrets(message: Message) -> Message:
    content = mask(message.content)
    return message if content == message.content else message.model_copy(update={"content": content})


MOST_ASKED_AGAIN = 20_000  # characters of an unreadable reply that are shown to the model again


def render_again(reply: str, error: str, only: tuple[str, ...] = ()) -> tuple[Message, Message]:
    """The turns that follow a reply which could not be read: the reply itself, and what was wrong with it.

    ``only`` are the parts of the reply that could not be read, where others could.
    """
    question = block("reask", "user", error=error, only=only)
    return Message(role="assistant", content=reply.strip()[:MOST_ASKED_AGAIN] or "(empty)"), Message(
        role="user", content=question
    )


@cache
def prompt_hash(role: Role) -> str:
    """Hash of the text of a role's prompt and its parts, stored with what the prompt produced."""
    return digest_of([(FOLDER / f"{name}.j2").read_text() for name in (role, *PARTS[role])])


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has: four bytes each, so that other scripts than Latin are not undercounted."""
    return -(-len(text.encode(errors="replace")) // 4)


def _system(name: str, structured: bool = False, **values: Any) -> Message:
    rule = block("rule", "user", opening="<untrusted ...>", closing="</untrusted>")
    return Message(role="system", content=block(name, "system", untrusted_rule=rule, structured=structured, **values))


def _user(name: str, images: tuple[str, ...] = (), **values: Any) -> Message:
    return Message(role="user", content=block(name, "user", **values), images=images)


def _need(value: Any, role: str, field: str) -> Any:
    if value is None:
        raise ValueError(f"a request of the role {role} needs the field {field}")
    return value


# the prompts, one function each


def _propose(fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    document: Document = _need(fields.document, "propose", "document")
    question = _user(
        "propose",
        title=document.title,
        headings=list(document.headings),
        text=cut(document.text, limits.document),
        count=fields.count or 1,
        structured=is_structured("propose", limits),
        map=fields.map,
        instructions=fields.instructions,
        operations=fields.operations,
    )
    # the same for all sections of a round, so that a provider's cache knows it
    system = _system(
        "propose",
        actions=fields.actions,
        map=cut(fields.map, limits.map),
        instructions=_newest(fields.instructions, limits.covered),
        operations=_newest(fields.operations, limits.covered),
    )
    return system, question


def _newest(lines: tuple[str, ...], room: int) -> list[str]:
    """As many of the last lines as there is room for, in their order."""
    kept: list[str] = []
    for line in map(one_line, reversed(lines)):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return kept[::-1]


def _act(fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    system = _system("act", is_structured("act", limits), actions=fields.actions)
    return (system, *_situation("act", fields, limits, knowledge(fields, limits)))


def _query(fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    return (_system("query", is_structured("query", limits)), *_situation("query", fields, limits))


def _abstract(fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    return _label("abstract", fields, limits)


def _summarise(fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    return _label("summarise", fields, limits)


def _label(role: LabelRole, fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    """One span, which is all that is shown, or several of what is shown."""
    name = f"{role}_spans" if fields.spans else role
    rules = {"achievement_rule": _achievement_rule()} if role == "abstract" else {}
    system = _system(name, is_structured(role, limits), **rules)
    return system, *_span(role, fields, limits), _user(name, spans=fields.span_names)


def _judge(fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    trajectory: Trajectory = _need(fields.trajectory, "judge", "trajectory")
    answer = answer_of(trajectory, fields.instruction, fields.end)
    question = _user("judge", instruction=fields.instruction, answer=answer)
    return _system("judge", achievement_rule=_achievement_rule()), *_span("judge", fields, limits), question


def _reflect(fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    """A whole trial, as a judge is shown it, and what the judge said of it."""
    task = _need(fields.task, "reflect", "task")
    trajectory: Trajectory = _need(fields.trajectory, "reflect", "trajectory")
    answer = answer_of(trajectory, task.instruction, fields.end)
    question = _user(
        "reflect",
        objective=task.instruction,
        answer=answer,
        verdict=fields.verdict,
        lessons=fields.lessons,
        structured=is_structured("reflect", limits),
    )
    return _system("reflect"), *_span("reflect", fields, limits), question


def _value(fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    return (_system("value", is_structured("value", limits)), *_situation("value", fields, limits))


def _skill(fields: Fields, limits: PromptLimits) -> tuple[Message, ...]:
    texts = "\n\n".join(f"EXAMPLE {number}\n{text}" for number, text in enumerate(_each(fields.examples), start=1))
    question = _user("skill", draft=fields.instruction, examples=cut(texts, limits.knowledge))
    return _system("skill", is_structured("skill", limits), tokens=fields.count), question


def _each(shown: tuple[Shown, ...]) -> Iterator[str]:
    """Examples, each as it is told where there is room for a few of them."""
    frame = Frame.of(page.text for each in shown for page in each.trajectory.observations)
    for each in shown:
        yield example_text(each, SKILL_EXAMPLE, 2 * SKILL_EXAMPLE, frame, shortest=True) or each.example.instruction


def _achievement_rule() -> str:
    """What labellers and judges both go by."""
    return block("achievement", "user")


_PROMPTS = {
    "propose": _propose,
    "act": _act,
    "query": _query,
    "abstract": _abstract,
    "summarise": _summarise,
    "judge": _judge,
    "reflect": _reflect,
    "value": _value,
    "skill": _skill,
}


# what is seen: pages, histories, trajectories


def _images(role: Role, observation: Observation, limits: PromptLimits) -> tuple[str, ...]:
    return (observation.image,) if observation.image and part_of(role) in limits.images else ()


def _situation(
    role: Literal["act", "query", "value"], fields: Fields, limits: PromptLimits, known: Knowledge = NOTHING_KNOWN
) -> Iterator[Message]:
    """The objective; what is known and what was done, in the order in which it came up; and the current page.

    All but the page stays as it is at the next step, so that a provider need not read it anew.
    """
    task = _need(fields.task, role, "task")
    observation: Observation = _need(fields.observation, role, "observation")
    yield Message(role="user", content=block("situation", "objective", objective=task.instruction.strip()))
    if fields.lessons:
        yield Message(role="user", content=block("situation", "lessons", lessons=fields.lessons))
    steps = history(task, fields.history, observation, limits.history)
    since = shown_since(fields.history, observation)
    told = 0
    for after, text in (*known.messages, (since, "")):
        if steps[told:after]:
            yield _steps(steps[told:after], "then" if told else "so far")
        told = after
        if text:
            yield Message(role="user", content=text)
    page = fields.history[since].observation if since < len(steps) else observation
    text = page_text(page.model_copy(update={"text": folded(page, fields.history[:since])}), limits.observation)
    content = block("situation", "page", page=text, marks=known.marks, is_page=is_page(page))
    yield Message(role="user", content=content)
    if steps[since:]:
        yield _steps(steps[since:], "since")
    offers = {"offered": fields.offered, "stopped": fields.stopped}
    yield _user(role, images=_images(role, observation, limits), structured=is_structured(role, limits), **offers)


def _steps(steps: list[str], when: Literal["so far", "then", "since"]) -> Message:
    return Message(role="user", content=block("situation", "history", history="\n".join(steps), when=when))


def _span(role: Role, fields: Fields, limits: PromptLimits) -> list[Message]:
    """One message per observation of the span, with the action that led to it before it.

    Spans with one start then agree message by message, which is what providers' prompt caches go by.
    """
    trajectory: Trajectory = _need(fields.trajectory, role, "trajectory")
    earlier: list[tuple[Observation, str]] = []
    messages = []
    for at in range(fields.start, fields.end + 1):
        observation, number = trajectory.observations[at], at - fields.start
        text = without_references(observation.text) if limits.differences else observation.text
        text = cut(text, limits.labelled)
        short = as_changes(observation, text, earlier) if limits.differences else unless_same(text, earlier)
        shown = observation.model_copy(update={"text": short})
        page = page_text(shown, len(shown.text) + 1, error=number > 0)
        earlier.append((observation, text))
        action = trajectory.actions[at - 1].written if number else ""
        content = _step_content(number, page, action)
        messages.append(Message(role="user", content=content, images=_images(role, observation, limits)))
    return messages


@lru_cache(maxsize=1024)
def _step_content(number: int, page: str, action: str) -> str:
    """Kept for a while: the spans of a trajectory have most of their steps in common."""
    return block("step", "user", number=number, page=page, action=action)
