"""Text of others -> text that a terminal shows and does not obey: "\\x1b]0;title\\x07" -> "\\u001b]0;title\\u0007".

Secrets are masked in it.

Everything that is printed goes through ``say`` or a console of ``open_console``.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

from lbi.storage.secrets import mask

if TYPE_CHECKING:
    from rich.console import Console

#: C0 without tab and line feed, DEL, C1, line and paragraph separators, and what changes the direction of text
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)


def escaped(text: str) -> str:
    """The text without secrets, and with control characters written out, as JSON writes them."""
    return _CONTROL.sub(_written, mask(text))


def _written(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def say(text: str = "", *, file: TextIO | None = None, end: str = "\n") -> None:
    """Print a text."""
    print(escaped(text), file=file or sys.stdout, end=end)


def open_console(*, stderr: bool = False) -> Console:
    """A console for tables and progress. What it draws itself is drawn; what it is given is text."""
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    class EscapingConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:  # before it is cut into lines
            return super().render_str(mask(text), **options)

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                yield segment if segment.control else Segment(escaped(segment.text), segment.style)

    return EscapingConsole(stderr=stderr)
