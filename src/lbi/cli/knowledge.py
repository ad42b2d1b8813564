"""knowledge: what a run has learnt, as somebody looks after it; every change can be taken back."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from lbi.config import resolve
from lbi.context import context_of
from lbi.environments import open_environments
from lbi.errors import UserError
from lbi.interop.library import Difference, Item, Library, open_library
from lbi.monitoring.progress import Progress
from lbi.monitoring.terminal import open_console, say
from lbi.report.words import cut, plural
from lbi.synthesis.refresh import Refreshed
from lbi.synthesis.refresh import refresh as refresh_run

ACTIONS = ("list", "show", "update", "refresh", "retire", "restore", "diff", "rollback")
WRITING = frozenset({"update", "refresh", "retire", "restore", "rollback"})
LONGEST = 90
MOST_LISTED = 200


def knowledge(run: Path, action: str, names: Sequence[str], reason: str, as_json: bool, quiet: bool) -> int:
    """Raises UserError for what there is not, and where the run is at work."""
    if action not in ACTIONS:
        raise UserError(f'no action "{action}"; there are {", ".join(ACTIONS)}')
    _check(action, names)
    with open_library(run, writing=action in WRITING) as folder:
        if action == "refresh":
            progress = Progress(None if quiet or as_json else open_console(stderr=True))
            config = resolve(folder.config, str(run / "config.json"))
            context = context_of(folder, config, progress, open_environments(config, folder.save_image))
            _tell_refreshed(asyncio.run(_refreshed(context)), as_json)
            return 0
        return _do(Library(folder), action, names, reason, as_json)


def _do(library: Library, action: str, names: Sequence[str], reason: str, as_json: bool) -> int:
    if action == "list":
        _tell_all(library, as_json)
    elif action == "show":
        _tell_one(library, library.find(names[0]), as_json)
    elif action == "update":
        entries = library.update()
        counts = Counter(entry.event for entry in entries)
        told = ", ".join(f"{count} {event}" for event, count in sorted(counts.items())) or "nothing to change"
        shown = [entry for entry in entries if as_json or entry.event not in ("sank", "rose")]
        changes = [{"item": each.item, "change": each.event, "reason": each.reason} for each in shown]
        _tell(f"{told}; version {library.log.version()}", changes, as_json)
    elif action in ("retire", "restore"):
        items = library.change("retired" if action == "retire" else "restored", names, reason or "by hand")
        told = f"{action}d {plural(len(items), 'item')}; version {library.log.version()}"
        _tell(told, [_row(item) for item in items], as_json)
    elif action == "diff":
        first = _number(names[0])
        second = _number(names[1]) if names[1:] else library.log.version()
        _tell_difference(library, library.difference(first, second), as_json)
    else:
        _tell_difference(library, library.roll_back(_number(names[0])), as_json)
    return 0


def _check(action: str, names: Sequence[str]) -> None:
    least, most = {"show": (1, 1), "retire": (1, 1000), "restore": (1, 1000), "diff": (1, 2), "rollback": (1, 1)}.get(
        action, (0, 0)
    )
    if not least <= len(names) <= most:
        what = {"diff": "one or two versions", "rollback": "a version"}.get(action, "the id of an example or skill")
        raise UserError(f"{action} takes {what if most else 'nothing more'}; `lbi knowledge RUN` lists what there is")


def _number(text: str) -> int:
    if not text.isdecimal():
        raise UserError(f'"{text}" is no version; versions are numbers, and `lbi knowledge RUN` ends with the last one')
    return int(text)


async def _refreshed(context: Any) -> Refreshed:
    try:
        return await refresh_run(context)
    finally:
        await context.close()


def _tell(line: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        say(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        say("  ".join(str(row[key]) for key in ("item", "change", "status", "reason") if row.get(key)))
    say(line)


def _tell_all(library: Library, as_json: bool) -> None:
    items, version = library.items(), library.log.version()
    if as_json:
        say(json.dumps({"version": version, "items": [_row(each) for each in items]}, indent=2, ensure_ascii=False))
        return
    say("status   shown  helped  hurt  well  ill  people  what")
    for each in items[:MOST_LISTED]:
        u, people = each.uses, _judged(each)
        told = f"{each.status:8} {u.shown:5}  {u.helped:6}  {u.hurt:4}  {u.succeeded:4}  {u.failed:3}  {people:>6}"
        say(f"{told}  {each.id}  {cut(each.text, LONGEST)}{f'  ({each.reason})' if each.reason else ''}")
    if len(items) > MOST_LISTED:
        say(f"and {len(items) - MOST_LISTED} more; --json lists all")
    live = sum(each.status in ("live", "sunk") for each in items)
    say(f"{live} of {plural(len(items), 'item')} live; version {version}")
    if waiting := len({entry.item for entry in library.by_people().entries}):
        verb = "changes" if waiting == 1 else "change"
        say(f"by what people said, {plural(waiting, 'item')} {verb} at the next `lbi knowledge RUN update`")


def _judged(item: Item) -> str:
    """How many people accept it as it stands, of how many; "" where nobody has judged it."""
    return f"{item.people.accept}/{sum(item.people)}" if sum(item.people) else ""


def _tell_one(library: Library, item: Item, as_json: bool) -> None:
    events = library.log.events(item.id)
    said = [each for each in library.judgements() if each.example == item.id]
    if as_json:
        rows = [{"version": e.number, "event": e.event, "source": e.source, "reason": e.reason} for e in events]
        told = [each.model_dump(mode="json", exclude={"example"}) for each in said]
        say(json.dumps({**_row(item), "events": rows, "judgements": told}, indent=2, ensure_ascii=False))
        return
    say(f"{item.what} {item.id}  {item.status}{f': {item.reason}' if item.reason else ''}")
    say(f"{item.text}\n{item.origin or 'learnt before origins were noted'}")
    for event in events:
        when = datetime.fromtimestamp(event.created).isoformat(sep=" ", timespec="seconds")
        say(f"{event.number:6}  {when}  {event.event:9}  {event.source}  {event.reason}")
    for each in said:
        say(f"        {each.time}  {each.judge} said {each.decision}  {each.instruction}  {each.reason}".rstrip())


def _tell_difference(library: Library, found: Difference, as_json: bool) -> None:
    if as_json:
        told = {"version": library.log.version(), "come": found.come, "gone": found.gone}
        say(json.dumps(told, indent=2, ensure_ascii=False))
        return
    texts = {each.id: each.text for each in library.items()}
    for sign, ids in (("+", found.come), ("-", found.gone)):
        for id_ in ids:
            say(f"{sign} {id_}  {cut(texts.get(id_, ''), LONGEST)}")
    say(f"{len(found.come)} more, {len(found.gone)} fewer; version {library.log.version()}")


def _tell_refreshed(done: Refreshed, as_json: bool) -> None:
    if as_json:
        told = {
            "documents": done.documents,
            "pages": done.pages,
            "carried_out": done.concerned,
            "same": done.same,
            "renewed": done.renewed,
            "retired": done.retired,
            "failed": done.failed,
        }
        say(json.dumps(told, indent=2, ensure_ascii=False))
        return
    for page in done.pages:
        say(f"changed  page {page}")
    say(f"changed  {plural(len(done.documents), 'section')} of documents")
    for id_, why in done.retired.items():
        say(f"retired  {id_}  {why}")
    for id_, new in done.renewed.items():
        say(f"renewed  {id_}  as {new}")
    if done.failed:
        walks = plural(done.failed, "roll-out")
        say(f"failed   {walks} could not be carried out, and nothing is decided of them; try again later")
    walks, came = plural(done.concerned, "roll-out"), (len(done.same), len(done.renewed), len(done.retired))
    say("{} carried out again; of their examples {} are as before, {} renewed, {} retired".format(walks, *came))


def _row(item: Item) -> dict[str, Any]:
    return {
        "item": item.id,
        "what": item.what,
        "status": item.status,
        "reason": item.reason,
        "uses": item.uses._asdict(),
        "people": item.people._asdict(),
        "text": item.text,
        "tier": item.tier,
        "origin": item.origin,
    }
