"""Example -> one conversation: the act prompt, page by page, with every reply; and which of these are to be learned.

Nothing that happened is left out of a conversation: an action that failed is answered by a page with its error, and
the page after it makes sense only with it. It is only not learned (``learn`` is false), like an action that was
repeated. An agent of ours is asked anew at every step (turns.py), so its prompts look otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lbi.prompts.template import cut
from lbi.protocols import Json, Message, PromptLimits
from lbi.records import Trajectory, digest_of
from lbi.training.export.turns import USUAL, Side, TrainingExample, problem_of, rendered, reply_of

_UNREAD = 400  # characters that are shown of an action that could not be read


@dataclass(frozen=True, slots=True)
class Exchange:
    """One step: what the model was shown, what it replied, and whether that is to be learned."""

    at: int  # index of the step in the trajectory
    shown: str
    reply: str
    learn: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    """The steps of an example in their order."""

    lesson: TrainingExample
    system: str
    exchanges: tuple[Exchange, ...]
    side: Side

    @property
    def key(self) -> str:
        """A hash of all that is said, by which duplicates are found."""
        return digest_of([self.system, [(each.shown, each.reply) for each in self.exchanges]])

    @property
    def learnt(self) -> tuple[int, ...]:
        """The steps of the trajectory that are learned from."""
        return tuple(each.at for each in self.exchanges if each.learn)

    @property
    def measured(self) -> tuple[tuple[Message, ...], str]:
        """What stands before the last reply, and that reply."""
        *before, last = self.messages()
        return tuple(Message(role=each["role"], content=each["content"]) for each in before), last["content"]

    def messages(self) -> list[Json]:
        """All turns as chat messages: system, user, assistant, user, assistant ..."""
        said = [{"role": "system", "content": self.system}]
        for each in self.exchanges:
            said += [{"role": "user", "content": each.shown}, {"role": "assistant", "content": each.reply}]
        return said

    def learned_replies(self) -> list[bool]:
        """For each message of ``messages`` whether it is a reply that is to be learned."""
        return [False, *(learn for each in self.exchanges for learn in (False, each.learn))]


def conversation_of(
    lesson: TrainingExample,
    side: Side,
    actions: str,
    max_chars: int,
    left_out: Counter[str],
    limits: PromptLimits = USUAL,
) -> Conversation | None:
    """The conversation of an example's span; None if nothing of it is to be learned.

    If it is longer than ``max_chars`` characters, its oldest steps are left out; ``left_out`` counts these and those
    that are not learned, by reason.
    """
    exchanges: list[Exchange] = []
    system = ""
    for at in range(lesson.example.start, lesson.example.end):
        system, shown = (message.content for message in rendered(lesson, at, at, actions, limits))
        problem = problem_of(lesson, at, limits)
        reply = reply_of(lesson, at, limits)
        if problem or not reply:
            left_out[f"{problem or 'action that cannot be read'} (shown, not learned)"] += 1
        learn = bool(reply) and not problem
        exchanges.append(Exchange(at, shown, reply or _unread(lesson.trajectory, at), learn))
    while exchanges and len(system) + sum(len(each.shown) + len(each.reply) for each in exchanges) > max_chars:
        if exchanges.pop(0).learn:
            left_out["oldest step of a conversation longer than max_chars"] += 1
    if not any(each.learn for each in exchanges):
        return None
    return Conversation(lesson, system, tuple(exchanges), side)


def _unread(trajectory: Trajectory, at: int) -> str:
    """What stands for a reply that no agent could have given: its first line, as it is never learned."""
    return f"ACTION: {cut(trajectory.steps[at].action.text.strip().partition(chr(10))[0], _UNREAD)}"
