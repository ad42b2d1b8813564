"""To answer a question from all pages known: go to the page that tells it, look whether it still does, and say it."""

from __future__ import annotations

import re

from lbi.observations.parse import Page
from lbi.offline.forms import usable
from lbi.offline.ground import RESULT, search
from lbi.offline.kin import root
from lbi.offline.lexical import contains_phrase, words
from lbi.offline.places import segments
from lbi.offline.query import query
from lbi.offline.seek import LOOKS, SOUGHT, asked, leads_to_form
from lbi.offline.situation import Move, Situation, click, finish, goto
from lbi.offline.tell import Teller
from lbi.offline.things import variants
from lbi.offline.weigh import Told

#: share of a question that an answer has to account for
SURE = 0.7
WELL = 0.88  # less than that: the page of the thing itself may tell more
NEAR = 0.3  # how much the name of a page has to share with the question
LIKELY = 0.5  # where there is nothing more to try
#: it is what the search finds that is to be counted
_FINDS = re.compile(r"\bhow many (?:results|matches|hits)\b", re.IGNORECASE)


def inquire(here: Situation, enough: float = SURE) -> Move | None:
    """Say what the pages tell, or go to where they tell it; None if they tell not enough of it."""
    if here.history and "search for " in here.history[-1].reason and _FINDS.search(here.goal.text):
        return finish(here, "this is what was found") if here.history[-1].action.kind != "fill" else None
    if here.history and here.history[-1].action.kind == "fill" and "search for " in here.history[-1].reason:
        return search(here, ())  # what was typed is sent first, whatever the pages known may tell
    best = _best(here)
    # what a search found is looked at first, before anything else is tried
    searching = bool(here.history) and ("search for " in here.history[-1].reason or here.history[-1].reason == RESULT)
    if enough == SURE and searching and (best is None or best.score < SURE):
        return None
    if (best is None or best.score < WELL) and (closer := _closer(here)):
        return closer
    if best is None or best.score < enough:
        return search(here, ()) if enough == SURE and _unsaid(here) else None
    searched = any("search for " in step.reason for step in here.history)
    if enough < SURE and best.score < SURE and not searched and (sought := search(here, ())):
        return sought  # before what is not sure is said
    if _bare(best.url) in {_bare(page.url) for page in here.seen}:
        return finish(here, "the page tells", best.text)
    return None if here.tried(goto(best.url)) else (_lead(here, best.url), SOUGHT)


def _unsaid(here: Situation) -> bool:
    """Whether the question has a word that no page known says."""
    return any(word not in here.atlas.rarity for word in asked(here))


def _closer(here: Situation) -> Move | None:
    """To the page of what the question names, where it was not looked at yet."""
    if sum(step.reason == SOUGHT for step in here.history) >= LOOKS:
        return None
    rarity, said = here.atlas.rarity, here.about
    best: tuple[float, str] = (0.0, "")
    for url, names in here.atlas.names.items():
        if (
            url in here.atlas.pages
            or not url.startswith("/")
            or "?" in url
            or leads_to_form(url)
            or here.tried(goto(url))
        ):
            continue
        for form in {form for name in names for form in variants(name)}:
            own = set(words(form))
            told = sum(rarity.get(word, 0.0) for word in own & said)
            whole = contains_phrase(here.goal.text, form) and (len(own) > 1 or form.startswith("#"))
            share = 1.0 if whole else told / (len(own) or 1)
            if own and (whole or len(own & said) >= 0.5 * len(own)) and share > best[0]:
                best = (share, url)
    return (_lead(here, best[1]), SOUGHT) if best[0] > NEAR else None


def _lead(here: Situation, url: str) -> str:
    """By the link on this page, if there is one."""
    link = next((e for e in here.page.elements if e.role == "link" and e.url == url and usable(e)), None)
    return click(link) if link else goto(url)


def _best(here: Situation) -> Told | None:
    pages: list[Page] = [page for url, page in here.atlas.pages.items() if url and not _found_or_form(url)]
    found = Teller(query(here.goal.text), pages).answers()
    return found[0] if found else None


def _found_or_form(url: str) -> bool:
    """Whether it is a page to fill in, or what a search found, which tells only bits of other pages."""
    return leads_to_form(url) or root("search") in {root(part) for part in segments(url)}


def _bare(url: str) -> str:
    return url.split("#")[0]
