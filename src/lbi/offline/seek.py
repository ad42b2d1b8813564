"""To find the page that an instruction wants to be shown, or that tells what it asks: known ones, then the search."""

from __future__ import annotations

import re

from lbi.offline.answers import answer
from lbi.offline.assign import assign, holds
from lbi.offline.forms import TEXT_ROLES, forms, usable
from lbi.offline.lexical import stem, words
from lbi.offline.situation import Move, Situation, click, enter, finish, goto, path

SOUGHT = "a page that says what is asked for"
APPLIED = "applies what was chosen"
#: pages that are looked at for an answer, at most
LOOKS = 3
#: share of what is asked for that a page has to say: with it alone, and rather than nothing
SURE = 0.6
LIKELY = 0.5
#: what buttons say that apply a choice; a page that shows itself anew at once needs none
_APPLY = frozenset(["apply", "update", "go", "show", "filter", "sort", "submit", "ok", "search", "refresh"])
#: words of an instruction that say how it wants to be answered, not what it is about
_MANNER = frozenset(words("open find search page answer give form tell name called show list"))


def asked(here: Situation) -> frozenset[str]:
    """Words that the page must say."""
    plain = re.sub(r"\b(?:YYYY|MM|DD)\b", " ", here.goal.text)
    return frozenset(words(plain)) - _MANNER


def seek(here: Situation, enough: float) -> Move | None:
    """To the best page known that was not looked at yet; None if none says enough."""
    if here.history and here.history[-1].reason == SOUGHT:
        if not here.goal.question:
            return adjust(here) or finish(here, "this is what was asked for")
        told = answer(here.goal, here.page)
        if told and told.text:
            return finish(here, "the page tells", told.text)
    if here.history and here.history[-1].reason == APPLIED:
        return finish(here, "this is what was asked for")
    looked = {path(step.observation.url) for step in here.history} | {path(here.page.url)}
    if sum(step.reason == SOUGHT for step in here.history) >= LOOKS:
        return None
    for score, url in here.atlas.places(asked(here), [v.text for v in here.goal.values])[:20]:
        if score < enough:
            return None
        if path(url) not in looked and not leads_to_form(url):
            link = next((e for e in here.page.elements if e.role == "link" and e.url == url and usable(e)), None)
            return (click(link) if link else goto(url)), SOUGHT
    return None


def adjust(here: Situation) -> Move | None:
    """Set what the page has to choose from as the goal says, such as "by owner", and press what applies it."""
    for form in forms(here.page):
        own = [e for e in form.fields if e.role not in TEXT_ROLES and (e.role, e.name) not in here.frame]
        for filling in assign(here.goal.text, [], own, {}, here.frame):
            done = here.pressed(filling.field) or here.has_filled(filling.field)
            if not done and not holds(filling.field, filling.value):
                return enter(filling), SOUGHT
        button = next((e for e in form.buttons if e.name.strip().lower() in _APPLY), None)
        if (
            button is not None
            and any(here.has_filled(e) for e in own)
            and here.history[-1].observation.url == here.page.url
        ):
            return click(button), APPLIED
    return None


def leads_to_form(url: str) -> bool:
    """Whether an address is that of a form or a download, not of a page to read."""
    query = url.partition("?")[2]
    said = {stem(word) for word in re.findall(r"[a-z]+", query + " " + path(url).rsplit("/", 1)[-1])}
    return bool(said & {stem(word) for word in ("edit", "delete", "new", "create", "rename", "format")})
