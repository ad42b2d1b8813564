"""The secrets of this process, and their mask: "token=p%40ss" -> "token=••••", for a variable whose value is "p@ss".

A value is learnt where it is read (``from_environ``), and everything that is stored, shown, exported or sent passes
``mask`` or ``masked``. One expression finds all values in all their forms: as they stand, percent-, plus-, HTML-,
JSON-, hex- and Base64-encoded, also several times over, as far as each character is encoded by itself.
"""

from __future__ import annotations

import html.entities
import os
import re
import threading
import unicodedata
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

T = TypeVar("T")

MASK = "••••"
#: characters of the shortest value that is masked: fewer stand in ordinary text all the time
SHORTEST = 4
#: from this length on a value is recognised in other capitals too, if it is nothing but letters
_ANY_CASE = 8
#: characters up to which every letter is recognised encoded; of longer values only what encoders do encode
_LONG = 160
_WITHIN = 12  # characters of a line of a value that is a secret by itself

#: variables that hold secrets whoever reads them; an ordinary word, or a path, is none
_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL", re.IGNORECASE)
_NO_SECRET = re.compile(r"[A-Za-z]+|[/~.].*|.{0,7}|\d{1,9}", re.DOTALL)
#: variables that hold no secret even where an application names them: a home folder is part of most paths
_PLAIN = re.compile(r"HOME|PWD|PATH|TMPDIR|LANG|LC_\w+|TZ|XDG_\w+")
_HEADERS = re.compile(r"OTEL_EXPORTER_OTLP\w*_HEADERS")
#: fields of records that hold words of ours, and names by which records find each other
_OURS = frozenset({"kind", "stop", "tier", "fault", "filter", "arm", "environment", "agent", "task", "category"})
_DIGEST = re.compile(r"[0-9a-f]{16}(?:[0-9a-f]{16})?")

_guard = threading.Lock()
_values: dict[str, str] = {}  # value: the variable that it came from, or ""
_short: dict[str, None] = {}  # variables whose values are too short
_pattern: re.Pattern[str] | None = None


def from_environ(name: str) -> str:
    """The value of a variable, which is kept out of everything from now on; "" if it is not set."""
    value = os.environ.get(name, "")
    return value if _PLAIN.fullmatch(name) else learn(value, name)


def learn(value: str, name: str = "") -> str:
    """Keep a value out of everything from now on; returns it. ``name`` is the variable that it came from."""
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # no half characters
    texts = {whole.strip(), *(line.strip() for line in whole.splitlines() if len(line.strip()) >= _WITHIN)}
    for text in texts - {""}:
        if len(text) < SHORTEST:
            _short.setdefault(name)
        elif text not in _values and MASK not in text:
            _add(text, name)
    return value


def learn_address(address: str, name: str = "") -> str:
    """Learn the user's name and password in an address, and what its query says; returns the address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if "@" in parts.netloc:
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        pair = [password] if password else [user]  # a name alone is a token
        for part in pair:
            learn(unquote(part), name)
            learn(part, name)
        learn(f"{unquote(user)}:{unquote(password)}" if password else "")
    for key, value in parse_qsl(parts.query) if parts.query else ():
        if _NAMES.search(key):
            learn(value, name)
    return address


def learn_usual(environ: Mapping[str, str]) -> None:
    """Learn of all variables those that hold secrets by their names, and passwords within addresses."""
    for name, value in environ.items():
        if _HEADERS.fullmatch(name):
            for pair in value.split(","):
                learn(unquote(pair.partition("=")[2]), name)
        elif "://" in value:
            learn_address(value, name)
        elif _NAMES.search(name) and not _NO_SECRET.fullmatch(value):
            learn(value, name)


def learn_addresses_in(value: Any) -> None:
    """Learn the passwords of all addresses in a structure, such as a config."""
    if isinstance(value, str):
        if "://" in value:
            learn_address(value)
    elif isinstance(value, Mapping):
        learn_addresses_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for inner in value:
            learn_addresses_in(inner)


def warnings() -> list[str]:
    """A line for each variable whose value is too short to be masked, once."""
    names = list(_short)
    _short.clear()
    return [
        f"the value of {name or 'a secret'} has fewer than {SHORTEST} characters, which is too few to mask it: it "
        "may be found in what is stored and shown"
        for name in names
    ]


def forget() -> None:
    """Know no secret any more: for tests."""
    global _pattern
    with _guard:
        _values.clear()
        _short.clear()
        _pattern = None
        _mask_long.cache_clear()
    _keep_out_of_ids(None)


def any_known() -> bool:
    """Whether there is anything to mask, for those who would ask for every word of a long page."""
    return bool(_values)


def mask(text: str) -> str:
    """The text without any secret in any of its forms. What is masked stays as it is when it is masked again."""
    if not _values:
        return text
    return _mask_long(text) if len(text) > 200 else _compiled().sub(MASK, text)


@lru_cache(maxsize=256)
def _mask_long(text: str) -> str:
    """A page is masked where it is seen, for its id and where it is stored."""
    return _compiled().sub(MASK, text)


def holds_secret(text: str) -> bool:
    """Whether there is a secret in a text."""
    return bool(_values) and _compiled().search(text) is not None


def spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of each secret in a text."""
    return [match.span() for match in _compiled().finditer(text)] if _values else []


def masked(value: T) -> T:
    """What JSON can represent, with every text in it masked; words of ours, ids and keys stay as they are."""
    return _masked(value) if _values else value


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        if _DIGEST.fullmatch(value):  # a short secret may be found in any id
            return MASK if _compiled().fullmatch(value) else value
        return mask(value)
    if isinstance(value, dict):
        return {
            key: inner if key in _OURS and isinstance(inner, str) else _masked(inner) for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        inside = [_masked(inner) for inner in value]
        return inside if isinstance(value, list) else tuple(inside)
    return value


# the expression

#: accents may be written apart, and wide or joined letters as plain ones
_FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")


def _add(text: str, name: str) -> None:
    global _pattern
    with _guard:
        _values[text] = name
        _pattern = None
        _mask_long.cache_clear()
    _keep_out_of_ids(masked)


def _keep_out_of_ids(mask: Callable[[Any], Any] | None) -> None:
    from lbi.records import keep_out_of_ids  # which loads more than `lbi --help` needs

    keep_out_of_ids(mask)


def _compiled() -> re.Pattern[str]:
    global _pattern
    pattern = _pattern
    if pattern is None:
        with _guard:
            pattern = _pattern = _expression(_values)
    return pattern


def _expression(values: Iterable[str]) -> re.Pattern[str]:
    """One alternation by first characters, which `re` scans for before it tries anything; the longest value first."""
    after: dict[str, list[str]] = defaultdict(list)
    for value in sorted(values, key=lambda value: (-len(value), value)):
        variants = [value, *(unicodedata.normalize(form, value).strip() for form in _FORMS)]
        for text in dict.fromkeys(variant for variant in variants if len(variant) >= SHORTEST):
            for first, rest in _spelled(text):
                after[first].append(rest)
        for first, rest in _whole(value.encode()):
            after[first].append(rest)
    return re.compile("|".join(f"{re.escape(first)}(?:{'|'.join(rests)})" for first, rests in after.items()))


def _spelled(text: str) -> Iterable[tuple[str, str]]:
    """(first character, expression for the rest) for each way to write the first character of a text."""
    any_case, long = len(text) >= _ANY_CASE or not text.isalpha(), len(text) > _LONG
    first, *others = [part for part in re.split(r"(\s+)|(?<=.)(?=.)", text, flags=re.DOTALL) if part]
    rest = "".join(f"(?:{'|'.join(_ways(part, any_case, long))})" for part in others)
    by_first: dict[str, list[str]] = defaultdict(list)
    for way in _ways(first, any_case, long):
        size = 2 if way[0] == "\\" else 1  # an escaped character
        by_first[way[size - 1]].append(way[size:])
    for char, ways in by_first.items():
        yield char, f"(?:{'|'.join(ways)}){rest}"


@cache
def _ways(part: str, any_case: bool, long: bool) -> tuple[str, ...]:
    """Expressions for one character, or for blanks in a row; each begins with a literal character."""
    if part.isspace():
        return _BLANKS
    chars = dict.fromkeys([part, *([part.lower(), part.upper()] if any_case else [])])
    plain = [char for char in chars if len(char) == 1]
    ways = [re.escape(char) for char in plain]
    if part in "'\"":
        ways.insert(0, re.escape(part * 2))
    if part == "\\":
        ways.insert(0, r"\\\\{0,15}+")
    if long and part.isalnum() and part.isascii():
        return tuple(ways)
    percent, entity, escaped = _merged(map(_percent, plain)), _merged(map(_entity, plain)), _merged(map(_escape, plain))
    encoded = [f"%(?:25){{0,4}}(?:{percent})", f"&(?:amp;){{0,4}}(?:{entity})", rf"\\\\{{0,15}}+(?:{escaped})"]
    return (*encoded, *ways) if part in "%&" else (*ways, *encoded)  # %25 begins with what it stands for


def _merged(alternatives: Iterable[str]) -> str:
    return "|".join(dict.fromkeys(alternatives))


def _percent(char: str) -> str:
    """After the first percent sign: UTF-8, Latin-1, and what JavaScript's escape() writes."""
    encoded = [_hex_bytes(char.encode(), "%(?:25){0,4}")]
    if "\x7f" < char <= "\xff":
        encoded.append(_digits(f"{ord(char):02x}"))
    return "|".join([*encoded, *(f"u{_digits(unit)}" for unit in [f"{ord(char):04x}"] if len(unit) == 4)])


def _entity(char: str) -> str:
    """After the ampersand."""
    code = ord(char)
    named = [re.escape(name) for name in _names().get(char, ())]
    return "|".join([*named, f"#0{{0,6}}{code};?", f"#[xX]0{{0,6}}{_digits(f'{code:x}')};?"])


def _escape(char: str) -> str:
    """After the first backslashes: of JSON, JavaScript, Python and C; punctuation may be escaped by itself."""
    code = ord(char)
    units = char.encode("utf-16-be")
    wide = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
    ways = [r"\\{1,16}+".join(f"u{_digits(unit)}" for unit in wide), rf"u\{{0{{0,4}}{_digits(f'{code:x}')}\}}"]
    ways += [f"U{_digits(f'{code:08x}')}", "x" + _hex_bytes(char.encode(), r"\\{1,16}+x")]
    ways += [r"\\{1,16}+".join(f"{byte:03o}" for byte in char.encode())]
    if code <= 0xFF:
        ways += ["x" + _digits(f"{code:02x}")]
    return "|".join([*ways, re.escape(char)] if not char.isalnum() else ways)


def _hex_bytes(data: bytes, between: str) -> str:
    return between.join(_digits(f"{byte:02x}") for byte in data)


def _digits(digits: str) -> str:
    """Hexadecimal digits in either case."""
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


@cache
def _names() -> dict[str, tuple[str, ...]]:
    """{"&": ("amp;", "AMP;", "amp", "AMP")}: HTML's names, the longest first."""
    names: dict[str, list[str]] = defaultdict(list)
    for name, char in html.entities.html5.items():
        if len(char) == 1:
            names[char].append(name)
    return {char: tuple(sorted(those, key=lambda name: (-len(name), name))) for char, those in names.items()}


#: any blanks for any others, as pages fold them and encoders write them
_BLANK = (
    r"\s|\+|%(?:25){0,4}(?:20|2[bB]|0[9aAdD]|[cC]2%(?:25){0,4}[aA]0)|&(?:amp;){0,4}(?:nbsp;|Tab;|NewLine;|#0{0,6}(?:32|9|10|13|160);"
    r"|#[xX]0{0,6}(?:20|9|[aAdD]|[aA]0);)|\\{1,16}+(?:[nrt ]|u00(?:20|09|0[aAdD]|[aA]0)|x(?:20|09|0[aAdD]|[aA]0))"
)
_BLANKS = (f"(?:{_BLANK}){{1,40}}",)

#: what may stand between two characters of Base64, which is wrapped at some width: blanks, also as \\n
_WRAP = r"[\s\\nrt]{0,4}"


def _whole(data: bytes) -> Iterable[tuple[str, str]]:
    """(first character, expression for the rest) of encodings of several bytes at once: Base64 and hexadecimal."""
    for text in dict.fromkeys(_base64_cores(data)):
        if len(text.rstrip("=")) >= SHORTEST:
            yield from _joined(text)
    digits = data.hex()
    for first in dict.fromkeys([digits[0], digits[0].upper()]):
        yield first, _digits(digits[1:])


def _base64_cores(data: bytes) -> Iterable[str]:
    """What is certain to stand in the Base64 of any text with these bytes in it, for each place modulo three."""
    for offset in range(3):
        encoded = b64encode(bytes(offset) + data).decode().rstrip("=")
        whole = (offset + len(data)) * 8 // 6  # characters all of whose bits are known from the left
        first = -(-offset * 8 // 6)
        yield encoded[first:] + "="  # where nothing follows
        yield encoded[first:whole]


def _joined(text: str) -> Iterable[tuple[str, str]]:
    ways = [_BASE64.get(char, (char,)) for char in text]
    wrap = _WRAP if len(text) >= _ANY_CASE else ""
    rest = "".join(f"{wrap}(?:{'|'.join(way)})" if len(way) > 1 else f"{wrap}{way[0]}" for way in ways[1:])
    for way in ways[0]:
        size = 2 if way[0] == "\\" else 1
        yield way[size - 1], way[size:] + rest


_BASE64 = {
    "=": ("={0,2}",),
    "+": (r"\+", "-", r"%(?:25){0,4}2[bB]", r"\\\\{0,15}+u002[bB]", "&(?:#(?:43|[xX]2[bB])|plus);"),
    "/": ("/", "_", r"%(?:25){0,4}2[fF]", r"\\\\{0,15}+(?:/|u002[fF])", "&(?:#(?:47|[xX]2[fF])|sol);"),
}
