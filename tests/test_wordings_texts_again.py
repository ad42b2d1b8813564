"""A second set of wordings, on other applications, for what a box holds or what is written anew."""

from __future__ import annotations

import pytest

from lbi.offline.goal import Goal
from lbi.offline.revise import revised
from test_wordings_texts import REPLIES, Case, Entry, Spec, filled_in

GARDENS = """== Allotment club ==

The gate is locked at 20:00. The yearly fee is 45 euros; guests pay 6 euros a day.
Compost is delivered on Thursdays. Our treasurer is Nils Aker.

=== Plots ===
|| '''Plot''' || '''Size''' || '''Tenant''' ||
|| P1 || 120 || Rosa ||
|| P2 || 95 || Emil ||
|| P3 || 140 || (free) ||

=== Tools ===
 * wheelbarrow, shed 1
 * ladder, shed 2
 * hedge trimmer, shed 1

=== Duties ===
1. Sweep the path.
2. Water the young trees.
3. Lock the shed."""

BAND = """# Rehearsals

We meet every Tuesday at 19:30 in the school hall. Bring your own music stand.
Conductor: Vera
Players: 28

## Programme
| Piece | Minutes | Soloist |
|---|---|---|
| Overture | 7 | none |
| Waltz | 5 | Clara |
| March | 4 | Jonas |

## To bring
- scores
- spare strings
- water"""

TEXTS = {"gardens": GARDENS, "band": BAND}

CASES: list[Case] = [
    ("gardens", "The gate is now locked at 21:00. Please have the club page say so.", "20:00", "21:00"),
    (
        "gardens",
        "Compost comes on Fridays these days, not on Thursdays any more. Correct the page.",
        "Thursdays",
        "Fridays",
    ),
    ("gardens", "The fee for a year has been raised to 50 euros.", "45", "50"),
    ("gardens", "Guests are to pay 8 euros a day from now on, so please update the club page.", "6 euros", "8 euros"),
    (
        "gardens",
        "Lotte Berg has replaced Nils Aker as our treasurer; the page must be corrected.",
        "Nils Aker",
        "Lotte Berg",
    ),
    ("gardens", "Plot P3 has found a tenant: Hugo. Enter him in the table.", "(free)", "Hugo"),
    ("gardens", "P2 was measured again and has a size of 98. Put that into the table of plots.", "95", "98"),
    ("gardens", "Rosa has given up plot P1. Its tenant is Ida now.", "Rosa", "Ida"),
    ("gardens", "The ladder stands in shed 3 now.", "shed 2", "shed 3"),
    ("gardens", "The wheelbarrow has broken. Please delete it from the tools.", " * wheelbarrow, shed 1\n", ""),
    (
        "gardens",
        'A new tool was bought: add "chainsaw, shed 2" to the list of tools.',
        "trimmer, shed 1",
        "trimmer, shed 1\n * chainsaw, shed 2",
    ),
    ("gardens", 'Make "Empty the bins." the last of the duties.', "the shed.", "the shed.\n4. Empty the bins."),
    (
        "gardens",
        'Insert the duty "Oil the gate." between sweeping and watering, that is after "Sweep the path."',
        "path.\n2. Water the young trees.\n3. Lock",
        "path.\n2. Oil the gate.\n3. Water the young trees.\n4. Lock",
    ),
    (
        "gardens",
        "We have a new plot, P4, with a size of 110, let to Otto. Add it to the table of plots.",
        "(free) ||",
        "(free) ||\n|| P4 || 110 || Otto ||",
    ),
    (
        "gardens",
        "Nobody has to water the young trees any longer: remove this duty.",
        "2. Water the young trees.\n3.",
        "2.",
    ),
    (
        "gardens",
        "Please get rid of the sentence about the compost on the club page.",
        "Compost is delivered on Thursdays. ",
        "",
    ),
    ("gardens", 'Where the page has "yearly fee", I would like it to have "annual fee".', "yearly fee", "annual fee"),
    ("gardens", "The word delivered should be replaced with the word brought.", "delivered", "brought"),
    ("band", "We meet on Wednesdays: change Tuesday to Wednesday on the page Rehearsals.", "Tuesday", "Wednesday"),
    ("band", "Rehearsals start half an hour earlier, at 19:00.", "19:30", "19:00"),
    (
        "band",
        "Vera has stopped; Paul is the conductor now. Please correct this on the page about the rehearsals.",
        "Vera",
        "Paul",
    ),
    ("band", "There are 31 players by now.", "28", "31"),
    ("band", 'The hall is not the "school hall" but the "town hall".', "school hall", "town hall"),
    ("band", "The waltz takes 6 minutes, correct the programme.", "| 5 |", "| 6 |"),
    ("band", "Clara is ill, so Maria will play the solo in the waltz. Put Maria in place of Clara.", "Clara", "Maria"),
    ("band", "The soloist of the Overture is Ben.", "none", "Ben"),
    (
        "band",
        "Add the piece Tango to the programme: 3 minutes, soloist Clara.",
        "Jonas |",
        "Jonas |\n| Tango | 3 | Clara |",
    ),
    ("band", "The March will not be played, so take it out of the programme.", "| March | 4 | Jonas |\n", ""),
    ("band", 'Add "pencils" to the things to bring, above "water".', "- water", "- pencils\n- water"),
    (
        "band",
        'At the start of the page put "No rehearsal in August!"',
        "# Rehearsals",
        "No rehearsal in August!\n# Rehearsals",
    ),
    ("band", "Nobody needs to bring water; please drop it from the list.", "\n- water", ""),
    (
        "band",
        'Append one more sentence, "Visitors are welcome.", after the one about the music stand.',
        "stand.",
        "stand. Visitors are welcome.",
    ),
    (
        "band",
        'Put "cushions" first on the list of what to bring, and delete "scores" from it.',
        "- scores",
        "- cushions",
    ),
    (
        "band",
        "Two changes to the page: Players should be 30, and the conductor is Paul instead of Vera.",
        "28",
        "30",
        "Vera",
        "Paul",
    ),
]

REPAIR: Spec = {
    "Subject": "Bike with brokn chain",
    "Description": "",
    "Labels": "chain; urgent",
    "Mechanics": "ana, bo",
    "Price": "40",
    "Status": ("waiting", "waiting", "in work", "finished"),
    "Internal note": "",
    "Show to customer": True,
    "Warranty": False,
}
LEAFLET: Spec = {"Heading": "", "Body": "", "Labels": "", "Print by default": False}

ENTRIES: list[Entry] = [
    (REPAIR, "Label this repair with gears as well.", {"Labels": "chain; urgent; gears"}),
    (REPAIR, "It is not urgent any longer, so the label urgent can go.", {"Labels": "chain"}),
    (REPAIR, "cleo is also one of the mechanics now.", {"Mechanics": "ana, bo, cleo"}),
    (REPAIR, "Strike bo from the mechanics of this repair.", {"Mechanics": "ana"}),
    (REPAIR, "Among the mechanics cleo replaces ana.", {"Mechanics": "cleo, bo"}),
    (
        REPAIR,
        'There is a typo in the subject: it has to be "broken" and not "brokn".',
        {"Subject": "Bike with broken chain"},
    ),
    (REPAIR, "The price went up to 55.", {"Price": "55"}),
    (REPAIR, "It costs 55 instead of 40.", {"Price": "55"}),
    (
        REPAIR,
        'The repair is finished. Leave the internal note "paid in cash".',
        {"Status": "finished", "Internal note": "paid in cash"},
    ),
    (
        REPAIR,
        'Set the status to in work and explain in the internal note: "parts have come".',
        {"Status": "in work", "Internal note": "parts have come"},
    ),
    (REPAIR, "Do not show this to the customer any more.", {"Show to customer": False}),
    (REPAIR, "It is covered by the warranty: tick warranty and set the price to 0.", {"Price": "0", "Warranty": True}),
    (
        LEAFLET,
        'A leaflet headed "Tyres" which reads "We change tyres while you wait." is wanted.',
        {"Heading": "Tyres", "Body": "We change tyres while you wait."},
    ),
    (
        LEAFLET,
        'Create a leaflet with "Tyres" as heading and "We change tyres while you wait." as body.',
        {"Heading": "Tyres", "Body": "We change tyres while you wait."},
    ),
    (
        LEAFLET,
        'Write a leaflet "Tyres". Its only sentence is "From DAY on tyres are half price.", with Friday for DAY.',
        {"Heading": "Tyres", "Body": "From Friday on tyres are half price."},
    ),
    (
        LEAFLET,
        'Make a leaflet "Tyres" with the body "Half price!" and let it be printed by default.',
        {"Heading": "Tyres", "Body": "Half price!", "Print by default": True},
    ),
    (REPLIES[0][0], 'Let the author know: "It is ready."', {"Message": "It is ready."}),
    (
        REPLIES[0][0],
        'Please send "It is ready." as an answer and notify the author.',
        {"Message": "It is ready.", "Notify the author": True},
    ),
]
GROUPS, FORMS = {"again": CASES}, {"entered": ENTRIES}


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_a_text_is_changed_as_it_was_said(case: Case) -> None:
    which, instruction, *changes = case
    wanted = TEXTS[which]
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        wanted = wanted.replace(old, new, 1)
    assert revised(Goal(instruction), TEXTS[which]) == wanted


@pytest.mark.parametrize("entry", ENTRIES, ids=range(len(ENTRIES)))
def test_a_form_is_filled_as_it_was_said(entry: Entry) -> None:
    spec, instruction, wanted = entry
    assert filled_in(spec, instruction) == wanted
