"""Files of docs/snippets -> the code blocks of the pages that name them, so that a page shows what a test runs.

python scripts/snippets.py           # puts each file after its mark: <!-- snippet: agent.py -->
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "docs" / "extending.md", ROOT / "docs" / "using.md")
MARK = re.compile(r"<!-- snippet: (\S+) -->\n(?:```\w+\n.*?\n```\n)?", re.DOTALL)


def with_snippets(page: str) -> str:
    """The page with each snippet's file, as it is now, after its mark."""

    def block(match: re.Match[str]) -> str:
        file = ROOT / "docs" / "snippets" / match[1]
        language = {"py": "python"}.get(file.suffix[1:], file.suffix[1:])
        return f"<!-- snippet: {match[1]} -->\n```{language}\n{file.read_text('utf-8')}```\n"

    return MARK.sub(block, page)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_snippets(page.read_text("utf-8")), "utf-8")
