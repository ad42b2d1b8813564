"""A Jinja2 file of this folder -> text; what was copied from elsewhere goes between tags that it cannot close."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent


#: between these tags lines of ours stand beside what was copied; that goes through ``not_ours`` by itself
_MIXED = frozenset({"examples", "history"})
_LIKE_OURS = re.compile(
    r"^([ \t]*)(?=(?:EXAMPLE|PAGE|ACTION|PASSAGE) \d|(?:INSTRUCTION|OBJECTIVE|REASON|ACTION|OUTPUT|CHANGED|FAILED)\b *:"
    r"|(?:LED TO|ANSWER given|WHAT HAPPENED|WHAT YOU DID|ADDITIONAL INFORMATION|MORE EXAMPLES|CURRENT (?:PAGE|OUTPUT))"
    r"|Step \d+(?: ACTION:|, on )|\[(?:system|user|assistant)\])",
    re.MULTILINE,
)


def not_ours(text: str) -> str:
    """Copied text whose lines cannot be taken for headings of a prompt: one that begins like such gets a mark."""
    return _LIKE_OURS.sub(r"\1| ", text)


def fence(text: str, kind: str) -> str:
    """Untrusted text between tags that it cannot close itself."""
    safe = re.sub(r"<(?=\s*/?\s*untrusted)", "&lt;", text, flags=re.IGNORECASE)
    safe = safe if kind in _MIXED else not_ours(safe)
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


def shorter(text: str, most: int = 140) -> str:
    """A text on one line, cut where it is longer than ``most`` characters."""
    line = one_line(text)
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


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


def block(name: str, block: str, **values: Any) -> str:
    template = _environment().get_template(f"{name}.j2")
    text = "".join(template.blocks[block](template.new_context(values))).strip()
    return text.encode(errors="replace").decode()  # half an emoji, as pages have them, cannot be sent
