"""A task's checks -> an answer and requests that meet them, without any site: {"evaluator": ...} -> (answer, entries).

What the evaluator makes of them proves the set before anybody pays: the right ones score 1, and silence scores 0.
"""

from __future__ import annotations

import json
import re
from re import _parser as parser  # type: ignore[attr-defined]  # no public module tells the parts of a pattern
from typing import Any
from urllib.parse import urlencode

Json = dict[str, Any]
_STEP = re.compile(r"\.([^.\[\]]+)|\['([^']+)'\]|\[(\d+)\]|\[\?\(@\.(\w+) == (\d+)\)\]")


def answer(task: Json) -> str:
    """The right answer, as ``finish`` takes it."""
    check = next(each for each in task["eval"] if each["evaluator"] == "AgentResponseEvaluator")
    expected = check["expected"]
    data = expected.get("retrieved_data")
    items = check["results_schema"].get("items", {})
    return json.dumps(
        {
            "task_type": expected["task_type"].upper(),
            "status": expected["status"],
            "retrieved_data": None if data is None else [_chosen(item, items) for item in data],
            "error_details": None if expected["status"] == "SUCCESS" else "it is not there",
        }
    )


def entries(task: Json, address: dict[str, str]) -> list[Json]:
    """Entries of a HAR that meet every check of requests; ``address`` is the site's for each ``__SITE__``."""
    wanted = [each for each in task["eval"] if each["evaluator"] == "NetworkEventEvaluator"]
    site = "map" if "map" in task["sites"] else task["sites"][0]
    here = address[f"__{site.upper()}__"]
    return [_entry(each, address, here) for each in wanted if not each.get("should_not_exist")]


def first_page(task: Json, address: dict[str, str]) -> Json:
    """The entry of the page that an episode begins with."""
    return entry("GET", filled_in(task["start_urls"][0], address), headers={"accept": "text/html"})


def entry(
    method: str,
    url: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    body: str = "",
    body_type: str = "",
    redirect: str = "",
    answer_headers: dict[str, str] | None = None,
    content: str = "",
    content_type: str = "",
    cookies: list[Json] | None = None,
) -> Json:
    """One request and its response in the form of a HAR. ``status`` -1 = it failed before there was a response."""
    request: Json = {"method": method, "url": url, "headers": _pairs(headers or {})}
    if body:
        request["postData"] = {"mimeType": body_type, "text": body}
    response: Json = {"status": status, "redirectURL": redirect, "headers": _pairs(answer_headers or {})}
    if content:
        response["content"] = {"mimeType": content_type, "text": content}
    if cookies:
        response["cookies"] = cookies
    return {"request": request, "response": response}


def _pairs(headers: dict[str, str]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in headers.items()]


def _entry(check: Json, address: dict[str, str], here: str) -> Json:
    """``here`` is the address of the site where the check leaves it open."""
    expected = check["expected"]
    url = _chosen_url(expected["url"], address, here)
    if query := expected.get("query_params"):
        pairs = [(name, _chosen(value, {})) for name, value in query.items()]
        url += ("&" if "?" in url else "?") + urlencode(pairs)
    method = expected.get("http_method", "GET")
    given = (expected.get("headers") or {}).items()
    headers = {name: _text(filled_in(str(_chosen(value, {})), address)) for name, value in given}
    if method == "GET":
        headers["accept"] = "text/html"
    status = expected.get("response_status") or 200
    posted = expected.get("post_data")
    cookies = expected.get("response_cookies") or {}
    return entry(
        method,
        url,
        status=status,
        headers=headers,
        body=json.dumps(_nested(posted, check.get("post_data_schema", {}))) if posted else "",
        body_type="application/json",
        redirect=url if status in range(300, 400) else "",
        content=json.dumps(_nested(expected["response_content"], {})) if expected.get("response_content") else "",
        content_type="application/json",
        cookies=[{"name": name, "value": _text(value)} for name, value in cookies.items()],
    )


def filled_in(text: str, address: dict[str, str]) -> str:
    for name, url in address.items():
        text = text.replace(name, url)
    return text


def _chosen_url(pattern: Any, address: dict[str, str], here: str) -> str:
    url = pattern[0] if isinstance(pattern, list) else pattern
    for anywhere in ("^.*", "^http://.*"):
        if url.startswith(f"{anywhere}/"):
            return here + _text("^" + url.removeprefix(anywhere))
    return filled_in(_text(url), address)


def _nested(values: Json, schema: Json) -> Json:
    """Values by their names, those by paths such as ``$.items[0].name`` in objects and lists."""
    made: Json = {}
    for name, value in values.items():
        chosen = _chosen(value, schema.get("properties", {}).get(name, {}))
        path = name.strip()
        if not path.startswith("$"):
            made[path] = chosen
        elif path.startswith("$.^"):  # the name itself is a pattern
            made[_text(path.removeprefix("$."))] = chosen
        else:
            steps = _steps(path)
            several = isinstance(chosen, list) and any(isinstance(step, tuple) for step in steps)
            for each in chosen if several else [chosen]:
                _put(made, steps, each)
    return made


def _steps(path: str) -> list[Any]:
    """``$['a'][?(@.b == 1)].c`` -> ["a", ("b", 1), "c"]: names, places in lists, and what an item of a list has."""
    steps: list[Any] = []
    for plain, quoted, number, field, value in _STEP.findall(path[1:]):
        steps.append((field, int(value)) if field else int(number) if number else quoted or plain)
    return steps


def _put(inside: Any, steps: list[Any], value: Any) -> None:
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        empty: Any = value if following is None else {} if isinstance(following, str) else []
        if isinstance(step, tuple):
            inside.append({step[0]: step[1]})
            inside = inside[-1]
        elif isinstance(inside, list):
            while len(inside) <= step:
                inside.append(empty)
            inside = inside[step]
        else:
            inside = inside.setdefault(step, empty)


def _chosen(value: Any, schema: Json) -> Any:
    """One of the alternatives that a check leaves, in the form that its schema says."""
    if isinstance(value, list) and schema.get("type") != "array":
        return _chosen(value[0], schema) if value else None
    if isinstance(value, list):
        return [_chosen(each, schema.get("items", {})) for each in value]
    if isinstance(value, dict):
        return {key: _chosen(each, schema.get("properties", {}).get(key, {})) for key, each in value.items()}
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """A text as it is, or one that the pattern matches which it is."""
    if not (text.startswith("^") and text.endswith("$")):
        return text
    made = "".join(_matching(part) for part in parser.parse(text))
    return made if re.match(text, made, re.DOTALL) else text


def _matching(part: Any) -> str:
    """A short text for one part of a parsed pattern."""
    kind, value = str(part[0]), part[1]
    if kind == "LITERAL":
        return chr(value)
    if kind == "ANY":  # on its own mostly a full stop that its author left as it is
        return "."
    if kind == "NOT_LITERAL":
        return "x"
    if kind == "IN":
        return _one_of(value)
    if kind in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        least, most, inner = int(value[0]), int(value[1]), value[2]
        if str(inner[0][0]) == "ANY":
            return "x" * max(1, least)
        return "".join(_matching(each) for each in inner) * (least or int(most > 1))
    if kind == "SUBPATTERN":
        return "".join(_matching(each) for each in value[3])
    if kind == "BRANCH":
        return "".join(_matching(each) for each in value[1][0])
    if kind == "ASSERT":  # what it looks ahead for has to come, and nothing says where
        return "".join(_matching(each) for each in value[1]) + " "
    return ""


def _one_of(choices: Any) -> str:
    kind, value = str(choices[0][0]), choices[0][1]
    if kind == "LITERAL":
        return chr(value)
    if kind == "RANGE":
        return chr(value[0])
    if kind == "NEGATE":
        return "x"
    return {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " ", "CATEGORY_WORD": "a"}.get(str(value), "-")
