"""Which words belong together: owned, owner; due, deadline; wrote, author. English of interfaces, no application's."""

from __future__ import annotations

from functools import lru_cache

from lbi.offline.lexical import ARTICLES, WORD, listed


@lru_cache(maxsize=50_000)
def root(word: str) -> str:
    """A word without the endings of number and tense."""
    lower = word.lower()
    for suffix, rest in (("ies", "y"), ("ied", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", "e"), ("s", "")):
        if lower.endswith(suffix) and len(lower) - len(suffix) >= 3 and not lower.endswith("ss"):
            lower = lower[: -len(suffix)] + rest
            break
    if len(lower) > 3 and lower[-1] == lower[-2] and lower[-1] not in "sl":
        lower = lower[:-1]
    return lower.removesuffix("e") if len(lower) > 3 else lower


@lru_cache(maxsize=100_000)
def roots(text: str) -> tuple[str, ...]:
    """All words of a text but articles and the like."""
    return tuple(root(word) for word in WORD.findall(text) if word.lower() not in ARTICLES)


_ENDINGS = frozenset(
    listed("""
er or r ed d ing ion tion ation ment s es al ial ance ence ity y ly able e ian ied ies ys man ar st t ant
""")
) | {""}
#: what a question says, and what interfaces call the field that tells it
_GROUPS = tuple(
    frozenset(root(word) for word in group.split())
    for group in (
        "user account member person login",
        "name title subject summary headline called call",
        "description text content body",
        "owner assignee responsible own",
        "created create opened open new submitted",
        "start starts begin begins date",
        "due deadline return until back ready end target finish complete finished completed needed by",
        "price cost fee rent charge pay cheap cheapest expensive dear dearest dearer euro amount worth",
        "telephone phone call ring number mobile reach",
        "city town place location where room office based seat address",
        "where shelf place location room stand find hang kept",
        "responsible owner belong belongs handle looks care charge manager manages lead leads run runs"
        " head maintain take takes",
        "assign assigned owner mechanic doing work working",
        "author wrote write written writer by",
        "role job position function work works duty profession",
        "status state condition",
        "joined since start started began member join from",
        "kind type category sort class",
        "report reported reporter raised complained submitted opened requester filed by creator",
        "duration long length hours minutes last takes",
        "host hosts organise organised held leader",
        "old age born birthday",
        "big large size capacity",
        "heavy weight weigh weighs",
        "tall high height",
        "mail email e-mail write address",
        "date day when place happen take",
        "borrower borrowed lent home loan got",
        "release released version",
    )
)

#: forms of one word
_FORMS = tuple(
    frozenset(root(word) for word in group.split())
    for group in """
keep keeps kept|sell sold sale|buy bought|make made|send sent|leave left|teach taught|build built|
lose lost|write wrote written|mend repair fix|begin began begun start|pay paid|hold held|find found|
speak spoke spoken|choose chose chosen|take took taken|bring brought|meet met|win won|lend lent|
drive drove driven|know knew known|give gave given|steal stole stolen|break broke broken
""".replace("\n", "").split("|")
)


@lru_cache(maxsize=200_000)
def akin(a: str, b: str) -> float:
    """How far two stems belong together: 1 for one word in two forms, less for words of one matter, else 0."""
    if a == b:
        return 1.0
    at = 0
    while at < min(len(a), len(b)) and a[at] == b[at]:
        at += 1
    if at >= 4 and a[at:] in _ENDINGS and b[at:] in _ENDINGS:
        return 0.95
    if any(a in group and b in group for group in _FORMS):
        return 0.95
    return 0.6 if any(a in group and b in group for group in _GROUPS) else 0.0
