"""Normalises an observation, so that two visits to the same page give the same text: what changes is masked.

'link "3 weeks ago" [e12] -> /log?from=2026-11-22T07%3A57Z#top' -> 'link "<time>" -> /log?from=<time>'
(for the exact look-up of the paper, sec. 2.4)
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote

from lbi.records import Observation

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_WEEKDAY = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\b\.?"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[ap]\.?m\b\.?)?(?:\s?(?:utc\b|gmt\b|z\b|[+-]\d{2}:?\d{2}\b))?"
_UNIT = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?)"
_ABOUT = r"(?:(?:about|almost|nearly|over|around|less than|more than)\s)?"
_COUNT = _ABOUT + r"(?:\d+(?:/\d+)?|[½¼¾]|half an?|(?:a )?quarter of an|an?|one|two|three|a few|few|several)"
_YEAR = r"(?:,? (?:\d{4}|['’]\d{2})\b)"
_TIMES = (
    rf"\d{{4}}-\d{{2}}-\d{{2}}(?:[t ]{_CLOCK})?",
    r"\d{4}/\d{1,2}/\d{1,2}",
    r"\d{1,2}/\d{1,2}/\d{2}(?:\d{2})?",
    r"\d{1,2}\.\d{1,2}\.\d{4}",
    rf"(?:{_WEEKDAY},? )?{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?:,? {_CLOCK})?{_YEAR}?",
    rf"(?:{_WEEKDAY},? )?\d{{1,2}}(?:st|nd|rd|th)?\.? {_MONTH}{_YEAR}?",
    _CLOCK,
    rf"{_COUNT}\s{_UNIT}(?:,?\s(?:and\s)?{_COUNT}\s{_UNIT})*\s(?:ago|late|left|overdue|old|from now)\b",
    rf"in\s{_COUNT}\s{_UNIT}\b",
    r"\d{1,3}\s?(?:s|m|h|d|w|mo|y)\s+ago\b",
    r"(?:just now|moments ago|yesterday)\b",
    r"(?<=: )now(?=$| \|)",
)
_TIME = re.compile(rf"(?<![\w/.\-])(?:{'|'.join(_TIMES)})(?![\w/])", re.IGNORECASE)
_TIMES_IN_A_ROW = re.compile(r"<time>(?:(?:,? (?:at )?|,)<time>)+")
_MAYBE_TIME = re.compile(rf"[\d½¼¾]|\s{_UNIT}\b|now\b|ago\b|yesterday", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_REFERENCE = re.compile(r"\s?\[(?:f\d+)?e\d+\]")
_UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE)
# at least one digit and sixteen places: words, and short commit hashes, which are content, are no tokens
_HEX = re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{16,}\b", re.IGNORECASE)
_RANDOM = re.compile(r"\b(?=[\w-]*[a-z])(?=[\w-]*[A-Z])(?=(?:[\w-]*\d){3})[\w-]{24,}")
#: these differ between two runs of one program: addresses in memory, names of temporary files, processes, durations
_MEMORY = re.compile(r"\b0x[0-9a-f]{6,16}\b", re.IGNORECASE)
_TEMPORARY = re.compile(
    r"(?<![\w.])(?:/private)?(?:/var)?/tmp/(?:tmp[\w.]{5,}|pytest-of-\w+/pytest-\d+|[\w.-]*\d{3,}[\w.-]*)"
)
_PROCESS = re.compile(r"\b(pid|process)([ =:#]{1,2})\d+\b|^\[\d+\] \d+$", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(r"(?<![\w.])(?:\d+m)?\d+\.\d+\s?(?:[mµun]?s|sec(?:ond)?s?)\b")
_NAMED = re.compile(r"(\b\w*(?:token|nonce|csrf|xsrf)\w*\s?=\s?)[^\s&\"'<>]+", re.IGNORECASE)
_VOLATILE = re.compile(
    r"token|nonce|csrf|xsrf|sess(?:ion)?_?id|^(?:_+|sid|session|ts|timestamp|cache_?bust(?:er)?|cb|rnd|rand)$|^utm_",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?<=-> )\S+|https?://[^\s\"'<>)\]]+")
_LOOPBACK = re.compile(r"^https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?(?=[/?#]|$)")
_HEADER = re.compile(r"\A(?:(?:URL|Title): .*(?:\n|\Z)){1,2}")
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def normalise(observation: Observation) -> str:
    """The observation without references, tokens, dates and extra blanks. Its error note is no part of it."""
    return _normalise(observation.text, observation.url, observation.title)


def observation_key(observation: Observation) -> int:
    """64-bit hash of the normalised observation, signed, as SQLite stores integers."""
    return _key(observation.text, observation.url, observation.title)


@lru_cache(maxsize=8192)
def normalise_url(url: str) -> str:
    """Path and query without fragment, session and token parameters; parameters in alphabetical order."""
    path, _, query = _LOOPBACK.sub("", url).partition("#")[0].partition("?")
    path = re.sub(r";\w*sessionid=[^/]*", "", path, flags=re.IGNORECASE)
    stable = sorted(
        (name, mask(value))
        for name, value in parse_qsl(query, keep_blank_values=True)
        if not _VOLATILE.search(name) and not _is_session_ticket(name, value)
    )
    path = quote(mask(unquote(path)), safe="/:<>@!$&'()*+,;=~-._") or "/"
    return path + ("?" if stable else "") + "&".join(f"{name}={value}" for name, value in stable)


def place(observation: Observation) -> str:
    """Where an observation was made: its normalised address, or its title where the environment has no addresses."""
    return normalise_url(observation.url) if observation.url else mask(observation.title)


def kind_of_place(address: str) -> str:
    """A place without its numbers: /ticket/12 and /ticket/13 are pages of one kind."""
    return re.sub(r"\d+", "0", address)


def mask(text: str) -> str:
    """One line of text with tokens and times replaced and blanks folded."""
    plain = text.isascii()
    text = " ".join((text if plain else _INVISIBLE.sub("", text)).split())
    if "=" in text:
        text = _NAMED.sub(r"\1<id>", text)
    if plain and not _DIGIT.search(text) and not _names_time(text.lower()):
        return text  # as the next line would say of it, in a third of the time
    if not _MAYBE_TIME.search(text):  # true of most lines, and the rest takes ten times as long
        return text
    text = _PROCESS.sub(lambda match: f"{match[1]}{match[2]}<id>" if match[1] else "<id>", text)
    text = _DURATION.sub("<time>", _TEMPORARY.sub("<temporary>", text))
    for pattern in (_UUID, _HEX, _RANDOM, _MEMORY):
        text = pattern.sub("<id>", text)
    return _TIMES_IN_A_ROW.sub("<time>", _TIME.sub("<time>", text))


def _names_time(text: str) -> bool:
    """Whether a text in small letters may name a time: without one of these words, or a digit, none does."""
    units = "sec" in text or "min" in text or "hour" in text or "hr" in text or "day" in text or "week" in text
    return units or "month" in text or "year" in text or "now" in text or "ago" in text


def _is_session_ticket(name: str, value: str) -> bool:
    """``ticket=12`` is an issue's number, ``ticket=ST-4f8a...`` a login's."""
    return name.lower() == "ticket" and (mask(value) == "<id>" or bool(re.fullmatch(r"(?:ST|PT)-[\w.-]{8,}", value)))


@lru_cache(maxsize=256)  # a search needs the same one several times; a page is a few kilobytes
def _normalise(text: str, url: str, title: str) -> str:
    if url or title:
        text = _HEADER.sub("", text)  # url and title are added below, in the same form for every environment
    text = _ADDRESS.sub(lambda match: normalise_url(match[0]), _REFERENCE.sub("", text))
    lines = [f"URL: {normalise_url(url)}" if url else "", f"Title: {mask(title)}" if title else ""]
    lines += [mask(line) for line in text.split("\n")]
    return "\n".join(line for line in lines if line)


@lru_cache(maxsize=8192)  # filters and composition ask for the same observations many times
def _key(text: str, url: str, title: str) -> int:
    digest = hashlib.blake2b(_normalise(text, url, title).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
