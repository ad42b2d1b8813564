"""The 812 tasks as WebArena first judged them: by strings, by the final address, by what pages show afterwards.

``{"eval_types": ["string_match"], "reference_answers": {"exact_match": "Quest"}}`` -> a score, or why there is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lbi.benchmarks.webarena.oracle import filled_in

Json = dict[str, Any]
OR = " |OR| "
_POST = "func:reddit_get_post_url('__last_url__')"
#: opens an address on the site and gives the value of a script there
Ask = Callable[[str, str], Awaitable[object]]


def not_runnable(task: Json) -> str:
    """Why a task cannot be judged here; "" if it can."""
    checks = task["eval"]
    if "fuzzy_match" in (checks.get("reference_answers") or {}):
        return "its answer is judged by a language model"
    for page in checks["program_html"]:
        for part in ("url", "locator"):
            if page[part].startswith("func:") and page[part] != _POST:
                return (
                    f"its check calls {page[part].partition('(')[0].removeprefix('func:')}, a program of WebArena's own"
                )
    return ""


def oracle(task: Json, address: dict[str, str]) -> tuple[str, str]:
    """The right answer and the right final address, as far as strings and addresses are asked for."""
    wanted = task["eval"].get("reference_answers") or {}
    answer = str(wanted.get("exact_match") or " ".join(wanted.get("must_include", [])))
    url = filled_in(task["eval"].get("reference_url") or task["start_url"], address).split(OR)[0].strip()
    return answer, url


async def grade(task: Json, answer: str, url: str, address: dict[str, str], ask: Ask) -> tuple[float, str]:
    """1.0 if every check holds, else 0.0 and the first that does not. ``url`` is the final one."""
    checks = task["eval"]
    failed = ""
    if "string_match" in checks["eval_types"]:
        failed = wrong_string(checks["reference_answers"], answer)
    if not failed and "url_match" in checks["eval_types"]:
        failed = wrong_url(filled_in(checks["reference_url"], address), url)
    if not failed and "program_html" in checks["eval_types"]:
        failed = await _wrong_pages(checks["program_html"], url, address, ask)
    return (0.0, failed) if failed else (1.0, "every check holds")


def wrong_string(wanted: Json, answer: str) -> str:
    """What an answer lacks; "" if it is right. Case, outer blanks and outer quotation marks do not count."""
    said = _clean(answer)
    exact = wanted.get("exact_match")
    if exact is not None and said != _clean(exact):
        return f"the answer {answer!r} is not {exact!r}"
    parts = wanted.get("must_include", [])
    for part in parts:
        # a single short one has to be a word of its own, or "1" would be in "10"
        words = re.findall(r"\w+|\S", said) if len(parts) == 1 and len(_clean(part).split()) == 1 else None
        if _clean(part) not in (words if words is not None and len(_clean(part)) < 3 else said):
            return f"the answer {answer!r} does not include {part!r}"
    return ""


def wrong_url(wanted: str, url: str) -> str:
    """One of the addresses has to be in the final one: its path within, and each of its parameters among those."""
    now = urlsplit(url.rstrip("/"))
    here, parameters = now.netloc + now.path, parse_qs(now.query)
    for each in wanted.split(OR):
        parts = urlsplit(each.strip().rstrip("/"))
        asked = parse_qs(parts.query)
        if parts.netloc + parts.path in here and all(
            set(values) & set(parameters.get(key, ())) for key, values in asked.items()
        ):
            return ""
    return f"the final address {url} is not {wanted}"


async def _wrong_pages(pages: list[Json], url: str, address: dict[str, str], ask: Ask) -> str:
    for page in pages:
        where = (
            url
            if page["url"] == "last"
            else _post_url(url)
            if page["url"] == _POST
            else filled_in(page["url"], address)
        )
        shown = await ask(where, _script(page["locator"]))
        text = shown if isinstance(shown, str) else json.dumps(shown)
        required = page["required_contents"]
        if "exact_match" in required and _clean(text) != _clean(required["exact_match"]):
            return f"{where} shows {text[:200]!r}, not {required['exact_match']!r}"
        for part in required.get("must_include", []):
            if not any(_clean(each) in _clean(text) for each in part.split(OR)):
                return f"{where} does not show {part!r}"
    return ""


def _script(locator: str) -> str:
    """A script whose value is the text that a check reads; "" where what it reads is not there."""
    what = locator.strip() or "document.documentElement.outerHTML"
    return f"(() => {{ try {{ return {what}; }} catch (error) {{ return ''; }} }})()"


def _post_url(url: str) -> str:
    """The address of the post that an address of a forum belongs to: /f/books/123/..."""
    parts = urlsplit(url)
    post = re.match(r"/f/[^/]+/\d+", parts.path)
    return f"{parts.scheme}://{parts.netloc}{post[0]}/" if post else url


def _clean(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    return text.lower()
