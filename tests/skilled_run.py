"""A run folder whose verified examples show operations that recur: lamps that are made, painted and looked for."""

from __future__ import annotations

import itertools
from pathlib import Path

from fake_environment import click, fill, select, walk
from lbi.config import resolve
from lbi.records import Example, Tier, Trajectory
from lbi.storage.run_folder import RunFolder

#: instruction -> actions, and where they begin
MADE = {
    f'Add a lamp with the name "{name}" and the colour "{colour}"': (
        click("link", "New lamp"),
        fill("Name", name),
        fill("Colour", colour),
        click("button", "Create"),
    )
    for name, colour in (("Desk lamp", "blue"), ("Roof lamp", "white"), ("Bed lamp", "green"))
}
PAINTED = {
    f'Set the colour of lamp {number} to "{colour}" and save it': (
        click("link", "Lamps"),
        click("link", name),
        fill("Colour", colour),
        click("button", "Save"),
    )
    for number, name, colour in ((7, "Green lamp", "red"), (8, "Tall lamp", "black"))
}
NOTED = {
    f'Keep the note "{note}" in the {room}': (
        click("link", "Rooms"),
        click("link", room),
        fill("Note", note),
        click("button", "Keep"),
    )
    for room, note in (("hall", "Dust it"), ("attic", "Bulb is gone"))
}
ONCE = {
    'Add a lamp in the room "attic"': (
        click("link", "New lamp"),
        fill("Name", "Late lamp"),
        fill("Colour", "red"),
        select("Room", "attic"),
        click("button", "Create"),
    )
}
RECUR = {**MADE, **PAINTED, **NOTED}


Pairs = list[tuple[Example, Trajectory]]


async def pairs_of(instructions: dict[str, tuple[str, ...]], tier: Tier = "replayed") -> Pairs:
    """An example for each instruction, with the trajectory that it is the whole of."""
    pairs = []
    for instruction, actions in instructions.items():
        walked = await walk(instruction, *actions, document=f"about {instruction[:3]}")
        assert not [page.error for page in walked.observations if page.error]
        example = Example(
            kind="abstract",
            instruction=instruction,
            trajectory=walked.id,
            start=0,
            end=len(actions),
            document=walked.task.document,
            tier=tier,
        )
        pairs.append((example, walked))
    return pairs


PARTS = "beds chairs desks doors floors halls keys racks shelves".split()  # noqa: SIM905
DEEDS = "bend carve drill fold glue hang join lift mend nail paint sand".split()  # noqa: SIM905


async def pairs_of_a_large_application() -> Pairs:
    """Two examples of each of twelve operations in each of nine parts."""
    two = await pairs_of(dict(list(MADE.items())[:2]))
    pairs = []
    for example, walked in two:
        for part, deed in itertools.product(PARTS, DEEDS):
            text = walked.model_dump_json().replace("Create", f"Now {deed} it").replace('"/new"', f'"/{part}"')
            other = Trajectory.model_validate_json(text.replace("Add a lamp", f"To {deed} one of the {part}"))
            update = {"instruction": other.task.instruction, "trajectory": other.id}
            pairs.append((example.model_copy(update=update), other))
    return pairs


def keep(folder: RunFolder, pairs: Pairs, seed: int = 0) -> None:
    for example, walked in pairs:
        folder.store.put("trajectory", f"{seed}/{walked.task.id}/0", walked)
        folder.store.put("example", f"{seed}/{walked.id}/abstract/000-{example.end:03d}", example)


async def make_skilled_run(
    folder: Path, instructions: dict[str, tuple[str, ...]] = RECUR, tier: Tier = "replayed"
) -> Path:
    """A run folder with these examples."""
    run = folder / "run"
    config = resolve({"name": "lamps", "url": "http://127.0.0.1:9/"}, "test")
    with RunFolder(run, config.identity()) as kept:
        keep(kept, await pairs_of(instructions, tier))
    return run
