"""Chat messages -> token ids of one model, and which of them are to be learned: ([151644, 872, ...], [False, ...]).

The text is rendered by the model's own chat template and tokenized as a whole, so that it is what the model reads when
it acts; what belongs to a reply is found by its place in that text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbi.errors import UserError
from lbi.protocols import Json


class NotALearnablePlace(UserError):
    """The chat template does not render a conversation as the continuation of its beginning."""


@dataclass(frozen=True)
class ChatTokenizer:
    """A model's tokenizer with its chat template."""

    name: str
    inner: Any  # transformers.PreTrainedTokenizerFast

    @classmethod
    def load(cls, source: str, name: str = "") -> ChatTokenizer:
        """Of a folder or a model of a hub, told of as ``name``. Raises UserError where there is none that can chat."""
        name = name or source
        try:
            from transformers import AutoTokenizer
        except ImportError:
            raise UserError(
                'tokens of a model need transformers; install it with: pip install "learn-by-interact[train]"'
            ) from None
        try:
            return cls.of(AutoTokenizer.from_pretrained(source), name)
        except (OSError, ValueError) as error:
            if Path(source).is_dir() and not (Path(source) / "tokenizer.json").is_file():
                raise UserError(f"{name} has no tokenizer that can be read: there is no tokenizer.json in it") from None
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(f"cannot open the tokenizer of {name}: {first}") from None

    @classmethod
    def of(cls, inner: Any, name: str) -> ChatTokenizer:
        """Of a tokenizer in hand. Raises UserError if it has no chat template, or cannot say where tokens stand."""
        if not inner.chat_template:
            raise UserError(
                f"{name} has no chat template, so it is not known how it is talked to; take an instruct model, "
                "or put its template into chat_template.jinja beside its tokenizer"
            )
        if not inner.is_fast:
            raise UserError(f"the tokenizer of {name} has no tokenizer.json, which tells where tokens stand in a text")
        return cls(name, inner)

    def text(self, messages: Sequence[Json], *, to_go_on: bool = False) -> str:
        """The conversation as the model reads it; ``to_go_on``: with the beginning of a reply at its end."""
        rendered: str = self.inner.apply_chat_template(
            self._as_it_takes(messages), tokenize=False, add_generation_prompt=to_go_on
        )
        return rendered

    def _as_it_takes(self, messages: Sequence[Json]) -> list[Json]:
        return [{"role": message["role"], "content": message["content"]} for message in messages]

    def masked(self, messages: Sequence[Json], learned: Sequence[bool]) -> tuple[list[int], list[bool]]:
        """All token ids, and for each whether it is part of a message that is to be learned, its end mark included.

        ``learned`` has a value for each message. Raises NotALearnablePlace for a template that shows a reply otherwise
        once the conversation goes on (some leave out what was thought before).
        """
        whole = self.text(messages)
        spans = [self._span(messages, at, whole) for at, learn in enumerate(learned) if learn]
        encoded = self.inner(whole, add_special_tokens=False, return_offsets_mapping=True)
        ids: list[int] = encoded["input_ids"]
        places: list[tuple[int, int]] = encoded["offset_mapping"]
        return ids, [any(start <= begin and end <= stop for start, stop in spans) for begin, end in places]

    def _span(self, messages: Sequence[Json], at: int, whole: str) -> tuple[int, int]:
        """Where a reply stands in the whole text, from its first character to its end mark."""
        before, after = self.text(messages[:at], to_go_on=True), self.text(messages[: at + 1])
        if not (whole.startswith(after) and after.startswith(before)):
            raise NotALearnablePlace(
                f"the chat template of {self.name} shows a reply otherwise when the conversation goes on; "
                "export a row for each step instead of one for each trajectory"
            )
        return len(before), len(after)
