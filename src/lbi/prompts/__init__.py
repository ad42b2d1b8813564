"""Request -> messages: each prompt is a Jinja2 file here; what goes into it is chosen and cut to size in this module.

A file's blocks are messages. What was copied from a page, a document or an earlier run stands between <untrusted> tags.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lbi.contracts import Fields, Message, Request, Role, Shown
from lbi.differences import shortest, without_references
from lbi.records import Document, Observation, Record, Step, Trajectory, digest_of

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
#: files that other prompts put into theirs; a change in one of them changes the hash of those prompts
PARTS: dict[str, tuple[str, ...]] = {
    "propose": ("rule",),
    "act": ("rule", "knowledge", "example"),
    "query": ("rule",),
    "abstract": ("abstract_spans", "rule", "step", "changes"),
    "summarise": ("summarise_spans", "rule", "step", "changes"),
    "judge": ("rule", "step", "changes"),
}


#: who asks a model, as a config names them
Part = Literal["propose", "act", "query", "label", "judge"]
PARTS_OF_A_RUN: tuple[Part, ...] = get_args(Part)


def part_of(role: Role) -> Part:
    """Labels of both kinds are one part of a run."""
    return "label" if role == "abstract" or role == "summarise" else role


class Limits(Record):
    """How much of what a prompt may hold, in characters (four are about one token)."""

    knowledge: int = 24_000  # examples and documents together; the lowest ranked go first
    example: int = 8_000  # one example
    history: int = 16_000  # text of earlier pages; the oldest are named only
    observation: int = 24_000  # the current page
    labelled: int = 6_000  # each page of a trajectory that is labelled or judged
    differences: bool = True  # of such a page that resembles an earlier one, only what changed
    document: int = 24_000  # the section that tasks are proposed from
    images: tuple[Part, ...] = PARTS_OF_A_RUN  # who is shown the screenshots that observations have
    image_side: int = 1280  # pixels of a screenshot's longer side, as it is sent
    structured: tuple[Part, ...] | None = ()  # who replies by lbi.schemas; None = the provider decides


LabelRole = Literal["abstract", "summarise"]


def is_structured(role: Role, limits: Limits) -> bool:
    return part_of(role) in (limits.structured or ())


DEFAULT_LIMITS = Limits()
#: what was rendered last: the wrappers around a model and the model itself each need the same messages
_latest: tuple[Request, Limits, tuple[Message, ...]] | None = None


def render(request: Request, limits: Limits = DEFAULT_LIMITS) -> tuple[Message, ...]:
    """The conversation a language model is sent; neighbours with one role are parts of one turn."""
    global _latest
    if _latest is None or _latest[0] is not request or _latest[1] != limits:
        _latest = request, limits, (*_PROMPTS[request.role](request.fields, limits), *request.extra)
    return _latest[2]


def render_again(reply: str, error: str, only: tuple[str, ...] = ()) -> tuple[Message, Message]:
    """The turns that follow a reply which could not be read: the reply itself, and what was wrong with it.

    ``only`` are the parts of the reply that could not be read, where others could.
    """
    asked = _block("reask", "user", error=error, only=only)
    return Message(role="assistant", content=reply.strip() or "(empty)"), Message(role="user", content=asked)


@cache
def prompt_hash(role: Role) -> str:
    """Hash of the text of a role's prompt and its parts, stored with what the prompt produced."""
    return digest_of([(FOLDER / f"{name}.j2").read_text() for name in (role, *PARTS[role])])


def estimate_tokens(text: str) -> int:
    """About how many tokens a text has: four bytes each, so that other scripts than Latin are not undercounted."""
    return -(-len(text.encode(errors="replace")) // 4)


def fence(text: str, kind: str) -> str:
    """Untrusted text between tags that it cannot close itself."""
    safe = re.sub(r"<(?=\s*/?\s*untrusted)", "&lt;", text, flags=re.IGNORECASE)
    return f'<untrusted kind="{kind}">\n{safe.strip()}\n</untrusted>'


def cut(text: str, limit: int) -> str:
    """The head of a text, with a note of how much is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[{len(text) - limit} more characters left out]"


def one_line(text: str) -> str:
    """A text with every run of white space folded into one blank."""
    return " ".join(text.split())


def on_one_line(text: str) -> str:
    """An action without line breaks; its blanks may be those of a program, and stay."""
    return " ".join(text.splitlines())


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # the files do not change while we run, and looking whether they did takes its time
    )
    environment.filters.update(fence=fence, one_line=one_line, on_one_line=on_one_line)
    return environment


def _block(name: str, block: str, **values: Any) -> str:
    template = _environment().get_template(f"{name}.j2")
    text = "".join(template.blocks[block](template.new_context(values))).strip()
    return text.encode(errors="replace").decode()  # half an emoji, as pages have them, cannot be sent


def _system(name: str, structured: bool = False, **values: Any) -> Message:
    rule = _block("rule", "user", opening="<untrusted ...>", closing="</untrusted>")
    return Message(role="system", content=_block(name, "system", untrusted_rule=rule, structured=structured, **values))


def _user(name: str, images: tuple[str, ...] = (), **values: Any) -> Message:
    return Message(role="user", content=_block(name, "user", **values), images=images)


def _need(value: Any, role: str, field: str) -> Any:
    if value is None:
        raise ValueError(f"a request of the role {role} needs the field {field}")
    return value


# the prompts, one function each


def _propose(fields: Fields, limits: Limits) -> tuple[Message, ...]:
    document: Document = _need(fields.document, "propose", "document")
    asked = _user(
        "propose",
        title=document.title,
        headings=list(document.headings),
        text=cut(document.text, limits.document),
        count=fields.count or 1,
        structured=is_structured("propose", limits),
    )
    return _system("propose", actions=fields.actions), asked


def _act(fields: Fields, limits: Limits) -> tuple[Message, ...]:
    system = _system("act", is_structured("act", limits), actions=fields.actions)
    return (system, *_knowledge(fields, limits), _situation("act", fields, limits))


def _query(fields: Fields, limits: Limits) -> tuple[Message, ...]:
    return _system("query", is_structured("query", limits)), _situation("query", fields, limits)


def _abstract(fields: Fields, limits: Limits) -> tuple[Message, ...]:
    return _label("abstract", fields, limits)


def _summarise(fields: Fields, limits: Limits) -> tuple[Message, ...]:
    return _label("summarise", fields, limits)


def _label(role: LabelRole, fields: Fields, limits: Limits) -> tuple[Message, ...]:
    """One span, which is all that is shown, or several of what is shown."""
    name = f"{role}_spans" if fields.spans else role
    system = _system(name, is_structured(role, limits))
    return system, *_span(role, fields, limits), _user(name, spans=fields.span_names)


def _judge(fields: Fields, limits: Limits) -> tuple[Message, ...]:
    trajectory: Trajectory = _need(fields.trajectory, "judge", "trajectory")
    asked = _user("judge", instruction=fields.instruction, answer=_answer(trajectory, fields.instruction, fields.end))
    return _system("judge"), *_span("judge", fields, limits), asked


_PROMPTS = {
    "propose": _propose,
    "act": _act,
    "query": _query,
    "abstract": _abstract,
    "summarise": _summarise,
    "judge": _judge,
}


# what is seen: pages, histories, trajectories


def _page(observation: Observation, limit: int, error: bool = True) -> str:
    """A page in full (limit > 0) or by name only, after the error of the action that led to it."""
    before = [f"ERROR of the action before: {observation.error}"] if error and observation.error else []
    text = cut(observation.text, limit) if limit > 0 else _place(observation)
    return "\n".join([*before, text.strip() or "(the page is empty)"])


def _place(observation: Observation) -> str:
    named = [part for part in (observation.url, f'"{observation.title}"' if observation.title else "") if part]
    return one_line(" ".join(named) or observation.text[:80])


def _images(role: Role, observation: Observation, limits: Limits) -> tuple[str, ...]:
    return (observation.image,) if observation.image and part_of(role) in limits.images else ()


def _situation(role: Literal["act", "query"], fields: Fields, limits: Limits) -> Message:
    task = _need(fields.task, role, "task")
    observation: Observation = _need(fields.observation, role, "observation")
    return _user(
        role,
        images=_images(role, observation, limits),
        structured=is_structured(role, limits),
        objective=task.instruction.strip(),
        history=_history(fields.history, limits.history),
        page=_page(observation, limits.observation),
    )


def _history(steps: tuple[Step, ...], room: int) -> list[dict[str, str]]:
    """Earlier steps in order: as many of the newest pages as there is room for, of which only the first is whole.

    A page that resembles one shown before is told by what changed. References of earlier pages mean nothing any more,
    so there are none, and actions are grounded.
    """
    texts = [without_references(step.observation.text) for step in steps]
    first, told = len(steps), list[str]()
    while first > 0:
        more = _told(steps[first - 1 :], texts[first - 1 :], first)
        if sum(map(len, more)) > room:
            break
        first, told = first - 1, more
    shown = []
    for number, step in enumerate(steps):
        text = told[number - first] if number >= first else ""
        page = _page(step.observation.model_copy(update={"text": text or step.observation.text}), len(text))
        shown.append({"page": page, "reason": step.reason, "action": step.action.grounded})
    return shown


def _told(steps: Sequence[Step], texts: Sequence[str], number: int) -> list[str]:
    """Each page whole, or as what changed since an earlier one of them; ``number`` is that of the first step."""
    earlier: list[tuple[Observation, str]] = []
    told = []
    for step, text in zip(steps, texts, strict=True):
        told.append(_as_changes(step.observation, text, earlier, "page of step", number))
        earlier.append((step.observation, text))
    return told


def _span(role: Role, fields: Fields, limits: Limits) -> list[Message]:
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
        told = _as_changes(observation, text, earlier) if limits.differences else _unless_same(text, earlier)
        shown = observation.model_copy(update={"text": told})
        page = _page(shown, len(shown.text) + 1, error=number > 0)
        earlier.append((observation, text))
        action = trajectory.actions[at - 1].grounded if number else ""
        content = _step_content(number, page, action)
        messages.append(Message(role="user", content=content, images=_images(role, observation, limits)))
    return messages


@lru_cache(maxsize=1024)
def _step_content(number: int, page: str, action: str) -> str:
    """Kept for a while: the spans of a trajectory have most of their steps in common."""
    return _block("step", "user", number=number, page=page, action=action)


def _unless_same(text: str, earlier: list[tuple[Observation, str]], noun: str = "page", first: int = 0) -> str:
    same = next((number for number, (_, before) in enumerate(earlier, first) if before == text), None)
    return text if same is None else f"(the same as {noun} {same})"


def _as_changes(
    observation: Observation, text: str, earlier: list[tuple[Observation, str]], noun: str = "page", first: int = 0
) -> str:
    """The page, or what changed since the one before or since the last one at the same address.

    ``noun`` and a number count the earlier ones, from ``first``.
    """
    if (same := _unless_same(text, earlier, noun, first)) != text:
        return same
    here = [number for number, (before, _) in enumerate(earlier) if before.url == observation.url]
    bases = sorted({*here[-1:], *range(len(earlier))[-1:]})
    found = shortest([(number, earlier[number][1]) for number in bases], text)
    return text if found is None else _block("changes", "user", page=f"{noun} {found[0] + first}", changes=found[1])


# what is known: examples and documents, best first, within the room there is


def _knowledge(fields: Fields, limits: Limits) -> tuple[Message, ...]:
    examples, room = _fitting(fields.examples, fields.observation, limits)
    documents = _passages(fields.documents, room)
    if not examples and not documents:
        return ()
    return (_user("knowledge", examples=examples, documents=documents),)


def _fitting(ranked: tuple[Shown, ...], now: Observation | None, limits: Limits) -> tuple[list[str], int]:
    """The best examples that fit, and the room that is left; one that does not fit ends the list.

    The same pages and actions under another instruction would show nothing new.
    """
    fitting: list[str] = []
    room, shown_before = limits.knowledge, set[tuple[str, ...]]()
    for shown in ranked:
        way = _way(shown)
        if way in shown_before:
            continue
        text = _example(shown, now, min(room, limits.example))
        if text is None:
            break
        fitting.append(text)
        shown_before.add(way)
        room -= len(text)
    return fitting, room


def _way(shown: Shown) -> tuple[str, ...]:
    """What was done from where to where."""
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


ALIKE = 0.8  # share of their lines that pages of one kind have in common at least
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
                "page": _page(plain, text_limit if abs(at - shown.at) <= near else 0, error=at > example.start),
                "action": on_one_line(trajectory.actions[at].grounded) if at < example.end else "",
                "matched": at == shown.at and (now is None or resembles(observation, now)),
                "last": at == example.end,
            }
        )
    return _block(
        "example",
        "user",
        instruction=example.instruction,
        steps=steps,
        answer=_answer(trajectory, example.instruction, example.end) if last == example.end else "",
        before=first - example.start,
        after=example.end - last,
    )


def resembles(one: Observation, other: Observation) -> bool:
    """Whether two pages are of one kind: at one address but for its numbers, or with most of their lines in common."""
    if one.url and kind_of_address(one.url) == kind_of_address(other.url):
        return True
    mine, yours = (set(without_references(page.text).split("\n")) for page in (one, other))
    return len(mine & yours) >= ALIKE * len(mine | yours)


def kind_of_address(url: str) -> str:
    """The path, with numbers masked."""
    return re.sub(r"\d+", "0", url.split("?")[0].split("#")[0])


def _answer(trajectory: Trajectory, instruction: str, end: int) -> str:
    """What was answered on the last page of a span, if that ended the episode.

    It answers what the episode was meant for: it is none to an instruction that was written afterwards.
    """
    acted = len(trajectory.steps)
    if acted and trajectory.steps[-1].action.kind == "finish":
        acted -= 1
    meant = instruction.strip() == trajectory.task.instruction.strip()
    return trajectory.answer.strip() if meant and end == acted else ""
