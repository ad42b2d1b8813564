"""To answer a question from all pages known: go to the page that tells it, look whether it still does, and say it."""

from __future__ import annotations

from lbi.environments.snapshot import Page
from lbi.offline.query import query
from lbi.offline.seek import SOUGHT, leads_to_form
from lbi.offline.situation import Move, Situation, finish, goto
from lbi.offline.tell import Told, Teller

#: share of a question that an answer has to account for
SURE = 0.7
LIKELY = 0.5  # where there is nothing more to try


def inquire(here: Situation, enough: float = SURE) -> Move | None:
    """Say what the pages tell, or go to where they tell it; None if they tell not enough of it."""
    best = _best(here)
    if best is None or best.score < enough:
        return None
    if _bare(best.url) in {_bare(page.url) for page in here.seen}:
        return finish(here, "the page tells", best.text)
    move = goto(best.url)
    return None if here.tried(move) else (move, SOUGHT)


def _best(here: Situation) -> Told | None:
    pages: list[Page] = [page for url, page in here.atlas.pages.items() if url and not leads_to_form(url)]
    found = Teller(query(here.goal.text), pages).answers()
    return found[0] if found else None


def _bare(url: str) -> str:
    return url.split("#")[0]
