"""Rows -> how long they are, what their consumers cut of them by default, and the setting that cuts nothing.

A row that is cut loses what it was to teach, and trainers say nothing of it: TRL drops a row whose prompt is as long as
``max_length`` by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from lbi.errors import UserError
from lbi.protocols import Message
from lbi.records import Record

#: bytes of a token, by the estimate: of a row, as few as pages of dates and addresses have, so that what fits by the
#: estimate fits; and of all rows together. By the tokenizer of Qwen 2.5, which takes each digit for a token, rows of
#: three runs had 2.6 to 3.7 of them, and single pages down to 2.0
LEAST, USUAL = 2, 3
OF_TEMPLATE = 8  # tokens that a chat template puts around a message, where it cannot be asked
STEP = 64  # the setting that is advised is a multiple of it
TIKTOKEN = "tiktoken:"
Count = Callable[[str], int]


@dataclass(frozen=True)
class Consumer:
    """What reads a format, and what it does by default with rows that are longer than its limit."""

    name: str  # with the version whose source was read, where it has one
    setting: str  # "" where the limit is no setting
    limit: int  # tokens
    does: Literal["cuts the end", "cuts the prompt", "drops", "refuses", "keeps"]
    says: str
    """What becomes of such rows, for a sentence that begins with their number."""

    def loses(self, prompt: int, whole: int) -> bool:
        """Whether nothing is left to learn of a row, whose prompt and whole have so many tokens."""
        if self.does == "cuts the end":
            return prompt >= self.limit
        return self.does == "drops" and whole > self.limit


TRL = Consumer(
    "TRL 1.16", "max_length", 1024, "cuts the end", "those whose prompt alone is as long are dropped without a word"
)
LLAMA_FACTORY = Consumer(
    "LLaMA-Factory 0.9.5",
    "cutoff_len",
    2048,
    "cuts the prompt",
    "of the prompt, the end with the current page goes",
)
AXOLOTL = Consumer("Axolotl 0.19", "sequence_len", 512, "drops", "a longer row is dropped (excess_length_strategy)")
VERL = Consumer(
    "verl 0.9", "data.max_length", 1024, "refuses", "training stops at the first of them (data.truncation = error)"
)
TRL_DPO = Consumer("TRL 1.16", "max_length", 1024, "cuts the end", "the end goes, which is what is to be compared")
#: formats for exchange, whose readers cut nothing
HARBOR = Consumer("Harbor 0.26", "", 0, "keeps", "")
ADP = Consumer("Agent Data Protocol 1.2.0", "", 0, "keeps", "")
OPENAI = Consumer(
    "OpenAI's fine-tuning", "", 65_536, "cuts the end", "a longer example is cut at its end, where the reply is"
)


class Around(NamedTuple):
    """Tokens that a chat template adds."""

    all: int = 0  # to a conversation: some begin with rules or a date of their own
    each: int = OF_TEMPLATE  # to each message of it


class Fit(Record):
    """What one consumer's default does to the rows of an export."""

    consumer: str
    setting: str
    limit: int
    rows_cut: int  # those that are lost among them
    rows_lost: int
    says: str


class Lengths(Record):
    """How long the rows of an export are, in tokens of ``measured_by``."""

    measured_by: str  # the tokenizer's name, or how it was estimated
    estimated: bool
    longest_tokens: int
    longest_characters: int  # of the row that has most
    max_length: int  # what a trainer has to be set to, so that nothing is cut
    fits: tuple[Fit, ...]


@dataclass
class Measure:
    """Measures rows one by one."""

    tokenizer: str = ""
    consumers: Sequence[Consumer] = ()
    name: str = ""  # of the tokenizer, as it is told; "" = the one it is opened by
    _rows: list[tuple[int, int]] = field(default_factory=list)  # tokens of the prompt, and of the whole row
    _characters: int = 0

    def __post_init__(self) -> None:
        self._count = open_tokenizer(self.tokenizer) if self.tokenizer else estimate
        self._around = around(self.tokenizer) if self.tokenizer else Around()

    def add(self, prompt: Sequence[Message], reply: str) -> int:
        """The tokens of the whole row, for a sum of all."""
        before = self._around.all + sum(self._count(message.content) + self._around.each for message in prompt)
        whole = before + self._count(reply) + self._around.each
        self._rows.append((before, whole))
        self._characters = max(self._characters, sum(len(message.content) for message in prompt) + len(reply))
        return whole if self.tokenizer else round(whole * LEAST / USUAL)

    def lengths(self) -> Lengths:
        longest = max((whole for _, whole in self._rows), default=0)
        return Lengths(
            measured_by=self.name or self.tokenizer or f"an estimate of {LEAST} to {USUAL} bytes a token",
            estimated=not self.tokenizer,
            longest_tokens=longest,
            longest_characters=self._characters,
            max_length=-(-longest // STEP) * STEP,
            fits=tuple(self._fit(consumer) for consumer in self.consumers),
        )

    def _fit(self, consumer: Consumer) -> Fit:
        limit = consumer.limit or math.inf
        cut = [(prompt, whole) for prompt, whole in self._rows if whole > limit]
        return Fit(
            consumer=consumer.name,
            setting=consumer.setting,
            limit=consumer.limit,
            rows_cut=len(cut),
            rows_lost=sum(consumer.loses(prompt, whole) for prompt, whole in cut),
            says=consumer.says,
        )


def estimate(text: str) -> int:
    """About how many tokens a text has, rather more than fewer."""
    return math.ceil(len(text.encode(errors="replace")) / LEAST)


def open_tokenizer(name: str) -> Count:
    """What counts the tokens of a text: a tokenizer.json, a folder with one, tiktoken:ENCODING, or a model of a hub.

    Raises UserError where the library is not installed, or there is no such tokenizer.
    """
    try:
        return _of_tiktoken(name.removeprefix(TIKTOKEN)) if name.startswith(TIKTOKEN) else _of_tokenizers(name)
    except ImportError as error:
        raise UserError(f"counting tokens by {name} needs {error.name}: pip install {error.name}") from None
    except (OSError, ValueError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"cannot open the tokenizer {name}: {first}") from None


def around(tokenizer: str) -> Around:
    """What the chat template adds that comes with a tokenizer: measured where it can be rendered, else assumed."""
    from jinja2 import TemplateError

    from lbi.training.tokens import ChatTokenizer

    if tokenizer.startswith(TIKTOKEN) or tokenizer.endswith(".json"):
        return Around()
    roles = ("system", "user", "assistant", "user", "assistant")
    said = [{"role": role, "content": "word"} for role in roles]
    try:
        chat = ChatTokenizer.load(tokenizer)
        three, five = (len(chat.inner(chat.text(said[:n]), add_special_tokens=False)["input_ids"]) for n in (3, 5))
    except (UserError, TemplateError):
        return Around()  # no template, or one that takes no such roles
    one = len(chat.inner("word", add_special_tokens=False)["input_ids"])
    each = max(0, -(-(five - three) // 2) - one)
    return Around(max(0, three - 3 * (one + each)), each)


def _of_tiktoken(name: str) -> Count:
    import tiktoken

    encoding = tiktoken.get_encoding(name)
    return lambda text: len(encoding.encode(text, disallowed_special=()))


def _of_tokenizers(name: str) -> Count:
    from tokenizers import Tokenizer

    path = Path(name).expanduser()
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file() and not path.is_absolute() and not name.endswith(".json"):
        from huggingface_hub import hf_hub_download

        file = Path(hf_hub_download(name, "tokenizer.json"))
    tokenizer = Tokenizer.from_buffer(file.read_bytes())
    tokenizer.no_truncation()  # which its file may ask for
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def sentences(lengths: Lengths, rows: int) -> list[str]:
    """What a person should know before training: the longest row, and what each consumer would cut by default."""
    about = "about " if lengths.estimated else ""
    said = [
        f"Longest row: {about}{lengths.longest_tokens:,} tokens ({lengths.measured_by}; "
        f"{lengths.longest_characters:,} characters); train with a maximum length of {lengths.max_length:,} or more."
        + (" With --tokenizer they are counted." if lengths.estimated else "")
    ]
    for fit in lengths.fits:
        if not fit.limit:
            said.append(f"{fit.consumer} cuts no row.")
            continue
        if not fit.rows_cut:
            said.append(f"{fit.consumer}: its {_limit(fit)} cuts no row.")
            continue
        lost = f", {about}{fit.rows_lost:,} of them lost" if fit.rows_lost else ""
        remedy = f" Set {fit.setting} to {lengths.max_length:,} or more." if fit.setting else ""
        said.append(
            f"Warning: {fit.consumer}: its {_limit(fit)} cuts {about}{fit.rows_cut:,} of {rows:,} rows{lost}; "
            f"{fit.says}.{remedy}"
        )
    return said


def _limit(fit: Fit) -> str:
    return f"default {fit.setting}={fit.limit:,}" if fit.setting else f"limit of {fit.limit:,} tokens"
