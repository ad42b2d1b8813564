"""Many wordings of requests to change what a box holds, or to write something new, on invented applications."""

from __future__ import annotations

import json
import re

import pytest

from fake_environment import observed
from lbi.offline.assign import assign, holds
from lbi.offline.forms import forms
from lbi.offline.goal import Goal, page_of
from lbi.offline.placeholders import with_values
from lbi.offline.revise import revised, revision, unused
from lbi.offline.situation import Situation, enter
from lbi.records import Action, Step

LIBRARY = """= Opening hours =

The reading room opens at 9:00 and closes at 18:30. On Sundays we are closed.
The children's corner has 24 seats. Please bring your own headphones.

== Branches ==
|| Branch || Books || Head ||
|| North || 4200 || Irma ||
|| Harbour Street || 3100 || Tobias ||
|| Mill Lane || 980 || Irma ||

== Rules ==
 1. No food.
 2. Phones are silent.
 3. At most 5 books a person.

== Contacts ==
 * Irma Blum, phone 4411
 * Tobias Kern, phone 4417"""

CLINIC = """# Ward guide

Visiting hours are from 14:00 to 17:00. Vistors sign in at the desk.
Beds: 32
Charge nurse: Petra

## Rooms
| Room | Beds | Doctor |
|------|------|--------|
| A1 | 4 | Holm |
| A2 | 6 | Dr. Weiss |
| B1 | 2 | Holm |

## Steps on admission
- take the temperature
- fill in the blue form
- call the doctor on duty

## Suppliers
- Medisan, Graz
- Bandex, Wien"""

WORKSHOP = """== Machines ==
{| class="wikitable"
! Machine !! Bay !! Serviced
|-
| Lathe || 3 || 2026-01-10
|-
| Drill press || 5 || 2026-02-14
|}
The oil costs 12 euros a can; the filter costs 8 euros.
The gate code is kestrel. Ask Mr. Varga for the key."""

TEXTS = {"library": LIBRARY, "clinic": CLINIC, "context": WORKSHOP}

# (which text, instruction, what is there, what shall be there; then the next pair)
Case = tuple[str, ...]

QUOTED_WORDS: list[Case] = [
    ("library", 'In the opening hours, replace "headphones" by "earphones".', "headphones", "earphones"),
    (
        "library",
        'Where it says "closed" on the page Opening hours it should read "open from noon".',
        "are closed",
        "are open from noon",
    ),
    ("library", '"Tobias Kern" has to be "Tobias Kerner" on the opening hours page.', "Tobias Kern,", "Tobias Kerner,"),
    (
        "library",
        'It is "the youth corner" now, no longer "The children\'s corner". Fix the page.',
        "The children's corner",
        "the youth corner",
    ),
    ("library", 'The page says "Sundays", but that is wrong: it must be "Mondays".', "Sundays", "Mondays"),
    ("library", 'Please write "mobile phones" where "Phones" is written in the rules.', "Phones", "mobile phones"),
    ("clinic", 'Swap "blue form" for "green form" in the ward guide.', "blue form", "green form"),
    ("clinic", 'Could you put "Petra Lang" in place of "Petra" in the ward guide?', "Petra", "Petra Lang"),
    ("clinic", 'In the guide the word "Vistors" is misspelt; it is "Visitors".', "Vistors", "Visitors"),
    ("clinic", 'Use "reception" instead of "the desk" in the ward guide.', "the desk", "reception"),
    (
        "context",
        'The gate code was changed from "kestrel" to "merlin". Bring the page up to date.',
        "kestrel",
        "merlin",
    ),
    ("context", 'Rather than "Mr. Varga" the page should name "Mrs. Toth".', "Mr. Varga", "Mrs. Toth"),
]
PLAIN_WORDS: list[Case] = [
    (
        "library",
        "The page about the opening hours says headphones, but it should say earphones.",
        "headphones",
        "earphones",
    ),
    ("library", "Correct the opening hours page: we are closed on Mondays, not on Sundays.", "Sundays", "Mondays"),
    ("clinic", "Visitors is spelt wrong (Vistors) in the ward guide. Please correct it.", "Vistors", "Visitors"),
    ("clinic", "There is a typo in the ward guide: Vistors should be Visitors.", "Vistors", "Visitors"),
    ("clinic", "The form in the steps on admission is green instead of blue.", "blue", "green"),
    ("clinic", "Change the charge nurse in the ward guide from Petra to Agnes.", "Petra", "Agnes"),
    ("clinic", "Petra is no longer the charge nurse, Agnes is. Update the ward guide.", "Petra", "Agnes"),
    ("clinic", "Bandex has moved from Wien to Linz, so correct the list of suppliers.", "Wien", "Linz"),
    ("clinic", "Medisan is in Salzburg now. Please mend the ward guide.", "Graz", "Salzburg"),
    ("context", "The gate code is merlin from now on; change it on the machines page.", "kestrel", "merlin"),
    ("context", "Ask Mrs. Toth for the key, not Mr. Varga. Put that right on the page.", "Mr. Varga", "Mrs. Toth"),
    ("context", "Replace kestrel with merlin on the machines page.", "kestrel", "merlin"),
    ("context", "On the machines page kestrel has to become merlin.", "kestrel", "merlin"),
]
NUMBERS: list[Case] = [
    ("library", "The children's corner now seats 30. Update the opening hours page.", "24", "30"),
    ("library", "There are 30 seats in the children's corner by now, please correct the page.", "24", "30"),
    (
        "library",
        "We allow 8 books a person from now on; the rules on the page Opening hours have to say so.",
        "most 5",
        "most 8",
    ),
    ("library", "Raise the number of books a person may take to 8.", "most 5", "most 8"),
    ("library", "Tobias Kern has a new phone number, 4490. Correct his entry among the contacts.", "4417", "4490"),
    ("library", "Irma's phone is 4400, not 4411.", "4411", "4400"),
    ("library", "The reading room closes at 19:00 now. Change the opening hours page accordingly.", "18:30", "19:00"),
    (
        "library",
        "As of May the reading room will open at 8:30 instead of 9:00; please correct the page.",
        "9:00",
        "8:30",
    ),
    (
        "clinic",
        "The ward has 36 beds now, so the line with the beds in the ward guide must be changed.",
        "Beds: 32",
        "Beds: 36",
    ),
    ("clinic", "Visiting hours now end at 18:00 rather than 17:00.", "17:00", "18:00"),
    ("context", "The oil has gone up to 14 euros a can. Adjust the machines page.", "12 euros", "14 euros"),
    (
        "context",
        "Filters have become cheaper: 7 euros. Please correct the price on the machines page.",
        "8 euros",
        "7 euros",
    ),
]
CELLS: list[Case] = [
    ("library", "The branch Mill Lane has 1015 books now. Correct the table on the opening hours page.", "980", "1015"),
    ("library", "Update the number of books of the North branch to 4350 on the opening hours page.", "4200", "4350"),
    ("library", "The head of Harbour Street is Judit now, please change the page.", "Tobias ||", "Judit ||"),
    (
        "library",
        "Judit is the new head of the Mill Lane branch. Put that into the table.",
        "980 || Irma",
        "980 || Judit",
    ),
    ("library", "In the table of branches set the books of Harbour Street to 3300.", "3100", "3300"),
    ("clinic", "Room A2 has 5 beds now; change the ward guide.", "| 6 |", "| 5 |"),
    ("clinic", "Room B1 is now looked after by the doctor Weiss. Correct the table.", "| 2 | Holm", "| 2 | Weiss"),
    ("clinic", "A third bed was put into B1, so the ward guide should give 3 beds for this room.", "| 2 |", "| 3 |"),
    ("clinic", 'The doctor of room A1 is "Novak", no longer Holm.', "| 4 | Holm", "| 4 | Novak"),
    ("context", "The lathe stands in bay 7 now. Update the table of machines.", "|| 3 ||", "|| 7 ||"),
    ("context", "The drill press was serviced on 2026-05-02; enter that in the table.", "2026-02-14", "2026-05-02"),
    ("context", "Please change the service date of the lathe to 2026-04-20.", "2026-01-10", "2026-04-20"),
]
LINES: list[Case] = [
    (
        "library",
        'Add "No dogs." to the rules in the same way as the others are written.',
        "person.",
        "person.\n 4. No dogs.",
    ),
    ("library", 'Add a fourth rule to the opening hours: "No dogs."', "person.", "person.\n 4. No dogs."),
    ("library", 'Below the other contacts, enter "Judit Sós, phone 4420".', "4417", "4417\n * Judit Sós, phone 4420"),
    (
        "library",
        'We have a new contact: "Judit Sós, phone 4420". Please append her to the list of contacts.',
        "4417",
        "4417\n * Judit Sós, phone 4420",
    ),
    (
        "library",
        'After "No food." add the rule "No drinks."',
        "No food.\n 2. Phones are silent.\n 3. At",
        "No food.\n 2. No drinks.\n 3. Phones are silent.\n 4. At",
    ),
    (
        "library",
        'Write "Last update: May" as the last line of the page Opening hours.',
        "phone 4417",
        "phone 4417\nLast update: May",
    ),
    (
        "library",
        'Put the sentence "Dogs wait outside." after the sentence about the headphones.',
        "headphones.",
        "headphones. Dogs wait outside.",
    ),
    (
        "clinic",
        'The suppliers lack "Orthofit, Linz". Add it as the last item.',
        "Bandex, Wien",
        "Bandex, Wien\n- Orthofit, Linz",
    ),
    (
        "clinic",
        'Enter "Orthofit, Linz" at the beginning of the list of suppliers.',
        "- Medisan",
        "- Orthofit, Linz\n- Medisan",
    ),
    (
        "clinic",
        'One must "check the allergies" first: insert this step before "call the doctor on duty".',
        "- call",
        "- check the allergies\n- call",
    ),
    (
        "clinic",
        'Add another step on admission, right after "take the temperature": "weigh the patient".',
        "temperature",
        "temperature\n- weigh the patient",
    ),
    (
        "clinic",
        'Put "Draft, not approved" at the very top of the ward guide.',
        "# Ward guide",
        "Draft, not approved\n# Ward guide",
    ),
    (
        "context",
        'Append the line "Gloves are in the box." to the machines page.',
        "the key.",
        "the key.\nGloves are in the box.",
    ),
    (
        "context",
        "Add at the bottom of the machines page the sentence: Gloves are in the box.",
        "the key.",
        "the key. Gloves are in the box.",
    ),
]
ROWS: list[Case] = [
    (
        "library",
        "Add the branch South with 1500 books, headed by Judit, to the table on the opening hours page.",
        "980 || Irma ||",
        "980 || Irma ||\n|| South || 1500 || Judit ||",
    ),
    (
        "library",
        "There is a new branch, South: 1500 books, its head is Judit. Add a row to the table.",
        "980 || Irma ||",
        "980 || Irma ||\n|| South || 1500 || Judit ||",
    ),
    (
        "library",
        'Append a row for the branch "South" to the table of branches: books 1500, head Judit.',
        "980 || Irma ||",
        "980 || Irma ||\n|| South || 1500 || Judit ||",
    ),
    (
        "library",
        'Enter "South", "1500" and "Judit" as a new row of the table of branches.',
        "980 || Irma ||",
        "980 || Irma ||\n|| South || 1500 || Judit ||",
    ),
    (
        "clinic",
        "Please add the room B2 with 3 beds and the doctor Holm to the table of rooms.",
        "| B1 | 2 | Holm |",
        "| B1 | 2 | Holm |\n| B2 | 3 | Holm |",
    ),
    (
        "clinic",
        "The table of rooms lacks B2 (3 beds, doctor Novak). Add it.",
        "| B1 | 2 | Holm |",
        "| B1 | 2 | Holm |\n| B2 | 3 | Novak |",
    ),
    (
        "clinic",
        "Add a row to the rooms: B2, 3 beds, Novak.",
        "| B1 | 2 | Holm |",
        "| B1 | 2 | Holm |\n| B2 | 3 | Novak |",
    ),
    (
        "context",
        "Add the machine Planer to the table: bay 6, serviced on 2026-03-01.",
        "2026-02-14\n",
        "2026-02-14\n|-\n| Planer || 6 || 2026-03-01\n",
    ),
    (
        "context",
        'A "Planer" was put into bay 6 and serviced on 2026-03-01: add it to the table of machines.',
        "2026-02-14\n",
        "2026-02-14\n|-\n| Planer || 6 || 2026-03-01\n",
    ),
]
GONE: list[Case] = [
    ("library", "Remove the rule about the phones from the opening hours.", " 2. Phones are silent.\n 3.", " 2."),
    ("library", 'Take "Tobias Kern" off the list of contacts.', "\n * Tobias Kern, phone 4417", ""),
    (
        "library",
        "Tobias Kern has left us, so he should no longer be among the contacts.",
        "\n * Tobias Kern, phone 4417",
        "",
    ),
    (
        "library",
        "The branch in Mill Lane was closed. Delete its row in the table.",
        "|| Mill Lane || 980 || Irma ||\n",
        "",
    ),
    (
        "library",
        "The sentence on the headphones is no longer true; strike it from the opening hours.",
        " Please bring your own headphones.",
        "",
    ),
    (
        "library",
        "Delete the whole section Rules from the opening hours page.",
        "== Rules ==\n 1. No food.\n 2. Phones are silent.\n 3. At most 5 books a person.\n\n",
        "",
    ),
    ("clinic", "We do not buy from Bandex any more: take them out of the suppliers.", "\n- Bandex, Wien", ""),
    ("clinic", "Cross out the step with the blue form in the ward guide.", "- fill in the blue form\n", ""),
    ("clinic", "Room A1 is to disappear from the table of the ward guide.", "| A1 | 4 | Holm |\n", ""),
    ("clinic", 'Delete "on duty" in the ward guide.', " on duty", ""),
    ("clinic", "Please drop the line with the charge nurse.", "Charge nurse: Petra\n", ""),
    (
        "context",
        "The lathe was sold, so remove it from the table of machines.",
        "|-\n| Lathe || 3 || 2026-01-10\n",
        "",
    ),
    ("context", "Erase the sentence with the gate code from the machines page.", "The gate code is kestrel. ", ""),
]
SEVERAL: list[Case] = [
    (
        "library",
        'Change "headphones" to "earphones" and "Sundays" to "Mondays" on the opening hours page.',
        "headphones",
        "earphones",
        "Sundays",
        "Mondays",
    ),
    (
        "library",
        "The reading room opens at 8:00 instead of 9:00 and closes at 19:00 instead of 18:30.",
        "9:00",
        "8:00",
        "18:30",
        "19:00",
    ),
    (
        "library",
        'Add the rule "No dogs." to the rules and replace "silent" with "off".',
        "person.",
        "person.\n 4. No dogs.",
        "silent",
        "off",
    ),
    (
        "library",
        "North has 4300 books and Mill Lane 1000 now. Correct the table of branches.",
        "4200",
        "4300",
        "980",
        "1000",
    ),
    (
        "library",
        'Remove the sentence about the headphones from the page, and put "30 seats" in place of "24 seats".',
        " Please bring your own headphones.",
        "",
        "24 seats",
        "30 seats",
    ),
    ("clinic", 'Take Bandex off the suppliers and add "Orthofit, Linz" to them.', "- Bandex, Wien", "- Orthofit, Linz"),
    (
        "clinic",
        'In the ward guide "Vistors" must be "Visitors", and "blue form" must be "green form".',
        "Vistors",
        "Visitors",
        "blue form",
        "green form",
    ),
    (
        "clinic",
        "Two corrections to the ward guide: it is Agnes, not Petra, and the form is green, not blue.",
        "Petra",
        "Agnes",
        "blue",
        "green",
    ),
    (
        "context",
        "The oil costs 14 euros now and the filter 9 euros. Correct both on the machines page.",
        "12 euros",
        "14 euros",
        "8 euros",
        "9 euros",
    ),
    (
        "context",
        "The lathe stands in bay 4 now and was serviced on 2026-04-20. Correct its row.",
        "|| 3 || 2026-01-10",
        "|| 4 || 2026-04-20",
    ),
]

GROUPS = {
    "quoted words": QUOTED_WORDS,
    "plain words": PLAIN_WORDS,
    "numbers": NUMBERS,
    "cells": CELLS,
    "lines": LINES,
    "rows": ROWS,
    "gone": GONE,
    "several": SEVERAL,
}


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{k}-{i}") for k, g in GROUPS.items() for i, c in enumerate(g)])
def test_a_text_is_changed_as_it_was_said(case: Case) -> None:
    which, instruction, *changes = case
    wanted = TEXTS[which]
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert wanted.count(old) >= 1
        wanted = wanted.replace(old, new, 1)
    assert revised(Goal(instruction), TEXTS[which]) == wanted


# forms: name -> what it holds; a tuple = chosen and options; a bool = a switch

Spec = dict[str, "str | tuple[str, ...] | bool"]

BOOK: Spec = {
    "Title": "The old sea and the man",
    "Author": "Hemingway",
    "Keywords": "fishing, cuba, classics",
    "Pages": "127",
    "Shelf": ("B4", "B4", "C1", "D9"),
    "Due back": "2026-03-01",
    "Readers to notify": "irma, tobias",
    "Comment": "",
    "Lent out": True,
    "Notify readers": False,
}
SHIFT: Spec = {
    "Summary": "Clean the ward on Fryday",
    "Staff": "petra agnes holm",
    "Tags": "night urgent",
    "State": ("open", "open", "done", "dropped"),
    "Beds": "32",
    "Remark": "",
    "Visible to patients": True,
    "Minor change": False,
    "Send a mail to all": False,
}
POST: Spec = {"Title": "", "Text": "", "Tags": "", "Pinned": False}
REPLY: Spec = {"Message": "", "Notify the author": False}

# (form, instruction, what the fields hold afterwards as far as it differs)
Entry = tuple[Spec, str, dict[str, "str | bool"]]

LISTS: list[Entry] = [
    (BOOK, 'Add the keyword "novel" to the book and keep the others.', {"Keywords": "fishing, cuba, classics, novel"}),
    (BOOK, "Give the book the additional keyword novel.", {"Keywords": "fishing, cuba, classics, novel"}),
    (BOOK, "The book should also have the keyword novel.", {"Keywords": "fishing, cuba, classics, novel"}),
    (BOOK, "Take the keyword cuba away from this book.", {"Keywords": "fishing, classics"}),
    (BOOK, 'Of the keywords, "fishing" is to go; the rest stays.', {"Keywords": "cuba, classics"}),
    (BOOK, "Among the keywords replace cuba by havana.", {"Keywords": "fishing, havana, classics"}),
    (
        BOOK,
        "judit wants to be notified as well: put her among the readers to notify.",
        {"Readers to notify": "irma, tobias, judit"},
    ),
    (BOOK, "tobias no longer wants to be among the readers to notify.", {"Readers to notify": "irma"}),
    (BOOK, "Instead of tobias, judit is to be one of the readers to notify.", {"Readers to notify": "irma, judit"}),
    (
        BOOK,
        "In the list of readers to notify add judit besides irma and tobias.",
        {"Readers to notify": "irma, tobias, judit"},
    ),
    (SHIFT, "Add novak to the staff of this shift.", {"Staff": "petra agnes holm novak"}),
    (SHIFT, "holm is ill; remove him from the staff.", {"Staff": "petra agnes"}),
    (SHIFT, 'The tag "urgent" should not be there any longer.', {"Tags": "night"}),
    (SHIFT, "Tag this with weekend too.", {"Tags": "night urgent weekend"}),
    (SHIFT, "novak takes the place of holm in the staff.", {"Staff": "petra agnes novak"}),
]
VALUES: list[Entry] = [
    (
        BOOK,
        'The title should be "The old man and the sea", not "The old sea and the man".',
        {"Title": "The old man and the sea"},
    ),
    (BOOK, "The book has 132 pages, not 127.", {"Pages": "132"}),
    (BOOK, "It was miscounted: the number of pages is 132.", {"Pages": "132"}),
    (BOOK, "Change the due date (due back) from 2026-03-01 to 2026-03-15.", {"Due back": "2026-03-15"}),
    (BOOK, "The author has to read Ernest Hemingway.", {"Author": "Ernest Hemingway"}),
    (BOOK, 'Set "Ernest Hemingway" as the author.', {"Author": "Ernest Hemingway"}),
    (BOOK, "It is not on shelf B4 any more but on C1.", {"Shelf": "C1"}),
    (BOOK, "Move the book from shelf B4 to shelf D9.", {"Shelf": "D9"}),
    (SHIFT, 'In the summary "Fryday" is spelt wrong, it is "Friday".', {"Summary": "Clean the ward on Friday"}),
    (SHIFT, "The summary says Fryday; this should be Friday.", {"Summary": "Clean the ward on Friday"}),
    (SHIFT, "Correct Fryday to Friday in the summary.", {"Summary": "Clean the ward on Friday"}),
    (SHIFT, "The beds went up to 36.", {"Beds": "36"}),
    (SHIFT, "We count 36 beds rather than 32.", {"Beds": "36"}),
    (SHIFT, "This is done, no longer open.", {"State": "done"}),
]
COMMENTS: list[Entry] = [
    (
        BOOK,
        'Move the book to shelf C1 and say in the comment "water damage".',
        {"Shelf": "C1", "Comment": "water damage"},
    ),
    (BOOK, 'Shelf D9 with the comment "too heavy", please.', {"Shelf": "D9", "Comment": "too heavy"}),
    (BOOK, "Change the number of pages to 132. Comment: counted again", {"Pages": "132", "Comment": "counted again"}),
    (BOOK, 'Leave the comment "Found behind the heater." on the book.', {"Comment": "Found behind the heater."}),
    (BOOK, 'Comment on this book that it is "missing page 12".', {"Comment": "missing page 12"}),
    (
        BOOK,
        'Put it on shelf C1; the reason, "B4 is full", belongs into the comment.',
        {"Shelf": "C1", "Comment": "B4 is full"},
    ),
    (
        SHIFT,
        'Set the state to dropped and give the reason in the remark: "no patients".',
        {"State": "dropped", "Remark": "no patients"},
    ),
    (SHIFT, 'Mark it as done with the remark "took two hours".', {"State": "done", "Remark": "took two hours"}),
    (SHIFT, 'The state is done. Tell the others why: "took two hours".', {"State": "done", "Remark": "took two hours"}),
    (SHIFT, 'Note "ask Petra first" as a remark.', {"Remark": "ask Petra first"}),
    (
        SHIFT,
        'Drop this ("dropped") and let them know in a remark that "the ward is closed".',
        {"State": "dropped", "Remark": "the ward is closed"},
    ),
]
POSTS: list[Entry] = [
    (
        POST,
        'Write a post with the title "Spring sale" and the text "All saws 10% off."',
        {"Title": "Spring sale", "Text": "All saws 10% off."},
    ),
    (
        POST,
        'Publish a post titled "Spring sale" which says "All saws 10% off."',
        {"Title": "Spring sale", "Text": "All saws 10% off."},
    ),
    (
        POST,
        'Under the title "Spring sale" publish the text "All saws 10% off."',
        {"Title": "Spring sale", "Text": "All saws 10% off."},
    ),
    (
        POST,
        'Create the post "Spring sale" containing only the line "All saws 10% off."',
        {"Title": "Spring sale", "Text": "All saws 10% off."},
    ),
    (
        POST,
        'Make a post called "Spring sale". It should read: All saws are cheap.',
        {"Title": "Spring sale", "Text": "All saws are cheap."},
    ),
    (
        POST,
        '"All saws 10% off." shall be the text of a new post, "Spring sale" its title.',
        {"Title": "Spring sale", "Text": "All saws 10% off."},
    ),
    (
        POST,
        'Post this: "All saws 10% off." Call it "Spring sale".',
        {"Title": "Spring sale", "Text": "All saws 10% off."},
    ),
    (
        POST,
        'Create a post "Spring sale" with the tags "saws prices" and the content "All saws 10% off."',
        {"Title": "Spring sale", "Tags": "saws prices", "Text": "All saws 10% off."},
    ),
    (
        POST,
        'We need a post with the heading "Spring sale"; it only says "All saws 10% off.". Pin it: it must be pinned.',
        {"Title": "Spring sale", "Text": "All saws 10% off.", "Pinned": True},
    ),
    (
        POST,
        'Write the post "Sale" with the text "From DATE on saws are cheap." where DATE is 2026-05-04.',
        {"Title": "Sale", "Text": "From 2026-05-04 on saws are cheap."},
    ),
    (
        POST,
        'Create the post "Sale" that says "Call NUMBER for prices", with 4417 in place of NUMBER.',
        {"Title": "Sale", "Text": "Call 4417 for prices"},
    ),
    (
        POST,
        'Publish "Sale" with the text "Ask NAME for a saw". For NAME put in Judit.',
        {"Title": "Sale", "Text": "Ask Judit for a saw"},
    ),
]
REPLIES: list[Entry] = [
    (REPLY, 'Reply "Yes, on Monday." to this message.', {"Message": "Yes, on Monday."}),
    (REPLY, 'Answer the question with "Yes, on Monday."', {"Message": "Yes, on Monday."}),
    (REPLY, 'Tell her "Yes, on Monday." in a reply.', {"Message": "Yes, on Monday."}),
    (REPLY, "Reply with: Yes, on Monday.", {"Message": "Yes, on Monday."}),
    (REPLY, 'Respond to it: "Yes, on Monday."', {"Message": "Yes, on Monday."}),
    (
        REPLY,
        'Post the answer "Yes, on Monday." and have the author notified.',
        {"Message": "Yes, on Monday.", "Notify the author": True},
    ),
    (
        REPLY,
        'Write back "Yes, on Monday."; notify the author.',
        {"Message": "Yes, on Monday.", "Notify the author": True},
    ),
    (
        REPLY,
        'The answer is "Yes, on Monday." Please send it without notifying the author.',
        {"Message": "Yes, on Monday."},
    ),
]
SWITCHES: list[Entry] = [
    (BOOK, "The book is no longer lent out.", {"Lent out": False}),
    (BOOK, "The book has come back, so it is not lent out now.", {"Lent out": False}),
    (BOOK, "Set the pages to 132 and notify the readers.", {"Pages": "132", "Notify readers": True}),
    (BOOK, "Change the shelf to C1 without notifying readers.", {"Shelf": "C1"}),
    (
        SHIFT,
        "Patients should not see this any more: make it no longer visible to patients.",
        {"Visible to patients": False},
    ),
    (SHIFT, "Hide this shift from the patients.", {"Visible to patients": False}),
    (SHIFT, "Set the beds to 36 as a minor change.", {"Beds": "36", "Minor change": True}),
    (SHIFT, "36 beds now. That is only a minor change.", {"Beds": "36", "Minor change": True}),
    (SHIFT, "Mark it as done and mail all of them.", {"State": "done", "Send a mail to all": True}),
    (SHIFT, "Set the state to done, and a mail should be sent to all.", {"State": "done", "Send a mail to all": True}),
]

FORMS = {
    "lists": LISTS,
    "values": VALUES,
    "comments": COMMENTS,
    "posts": POSTS,
    "replies": REPLIES,
    "switches": SWITCHES,
}


def drawn(spec: Spec) -> list[str]:
    lines = []
    for name, holding in spec.items():
        if isinstance(holding, bool):
            lines.append(f'checkbox "{name}"' + " (checked)" * holding)
        elif isinstance(holding, tuple):
            lines.append(f'combobox "{name}": "{holding[0]}" of ' + " | ".join(f'"{one}"' for one in holding[1:]))
        else:
            lines.append(f'textbox "{name}": {json.dumps(holding, ensure_ascii=False)}')
    return [*lines, 'button "Save"']


def filled_in(spec: Spec, instruction: str) -> dict[str, str | bool]:
    """What the form holds when nothing is left to enter, as far as that differs."""
    now, history = dict(spec), list[Step]()
    goal = Goal(with_values(instruction))
    for _ in range(8):
        seen = observed("/x/12", "Number 12", *drawn(now))
        here = Situation(goal, page_of(seen), seen, tuple(history), frozenset())
        [form] = forms(here.page)
        move = revision(here, form)
        if move is None:
            values = unused(here, form, here.free_values())
            found = assign(goal.text, values, form.fields, {}, here.frame, here.named)
            left = [f for f in found if not holds(f.field, f.value) and not here.has_filled(f.field)]
            move = (enter(left[0]), "") if left else None
        if move is None:
            break
        ref, value = re.fullmatch(r"\w+\((e\d+)(?:, (.*))?\)", move[0], re.S).groups()
        element = here.page.element(ref)
        was = now[element.name]
        if isinstance(was, bool):
            now[element.name] = not was
        else:
            now[element.name] = (json.loads(value), *was[1:]) if isinstance(was, tuple) else json.loads(value)
        kind = "click" if value is None else "fill"
        action = Action(
            text=move[0], kind=kind, role=element.role, name=element.name, nth=element.nth, value=value or ""
        )
        history.append(Step(observation=seen, action=action))
    after = {name: holding[0] if isinstance(holding, tuple) else holding for name, holding in now.items()}
    before = {name: holding[0] if isinstance(holding, tuple) else holding for name, holding in spec.items()}
    return {name: holding for name, holding in after.items() if holding != before[name]}


@pytest.mark.parametrize("entry", [pytest.param(c, id=f"{k}-{i}") for k, g in FORMS.items() for i, c in enumerate(g)])
def test_a_form_is_filled_as_it_was_said(entry: Entry) -> None:
    spec, instruction, wanted = entry
    assert filled_in(spec, instruction) == wanted
