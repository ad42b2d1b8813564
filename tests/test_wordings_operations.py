"""Requests as colleagues put them: which operation, on which thing, with which values, whatever the wording."""

from __future__ import annotations

from functools import lru_cache

import pytest

from lbi.contracts import Shown
from ledgers import Application, Changes, Kind, Life, carried_out

BAYS = ("front", "back", "paint shop")


def job(number: int, summary: str, **values: str) -> tuple[tuple[str, str], dict[str, str]]:
    blank = {"Description": "", "Type": "repair", "Priority": "normal", "Bay": "front", "Round": "", "Tags": ""}
    life = {"Status": "open", "Mechanic": ""}
    return ("job", str(number)), {"Summary": summary, **blank, **life, **values}


JOB = Kind(
    "job",
    "jobs",
    {
        "Summary": (),
        "Description": (),
        "Type": ("repair", "inspection", "overhaul", "warranty claim"),
        "Priority": ("low", "normal", "high", "urgent"),
        "Bay": "bay",
        "Round": "round",
        "Tags": (),
    },
    {"Type": "repair", "Priority": "normal", "Bay": "front"},
    numbered=True,
    life=Life(results=("done", "scrapped", "duplicate", "cannot reproduce", "declined")),
    create="Create job",
    save="Submit changes",
)
BAY = Kind("bay", "bays", {"Name": (), "Foreman": (), "Note": ()}, save="Save", delete="Remove")
ROUND = Kind("round", "rounds", {"Name": (), "Due": (), "Completed": ("tick",)}, save="Submit", delete="Delete round")


def at(kind: str, name: str, *actions: str) -> tuple[str, ...]:
    return (f"""click('link "{kind.capitalize()}"')""", f"""click('link "{name}"')""", *actions)


def fill(name: str, text: str) -> str:
    return f"""fill('textbox "{name}"', "{text}")"""


def select(name: str, text: str) -> str:
    return f"""select('combobox "{name}"', "{text}")"""


def click(role: str, name: str) -> str:
    return f"""click('{role} "{name}"')"""


SEND = click("button", "Submit changes")
WORKSHOP = Application(
    (JOB, BAY, ROUND),
    dict(
        [
            job(1, "Squeaky brake on the red tandem", Round="spring", Mechanic="jonas", Tags="brake"),
            job(
                2,
                "Cracked frame of the cargo bike",
                Type="warranty claim",
                Priority="high",
                Bay="back",
                Round="summer",
                Mechanic="mira",
            ),
            job(3, "Chain slips in third gear", Priority="low", Round="spring"),
            job(
                4,
                "Repaint the rental fleet",
                Type="overhaul",
                Priority="low",
                Bay="paint shop",
                Round="autumn",
                Mechanic="mira",
            ),
            job(5, "Yearly look at the mayor's bicycle", Type="inspection", Mechanic="jonas"),
            job(6, "Flat tyre again", Bay="back", Status="closed", Result="done"),
            job(7, "Bell missing", Priority="low", Status="closed", Result="scrapped"),
            job(8, "Lamp flickers when it rains", Priority="high", Bay="back", Round="summer", Mechanic="tilda"),
            (("bay", "front"), {"Name": "front", "Foreman": "tilda", "Note": ""}),
            (("bay", "back"), {"Name": "back", "Foreman": "jonas", "Note": ""}),
            (("bay", "paint shop"), {"Name": "paint shop", "Foreman": "mira", "Note": ""}),
            (("round", "spring"), {"Name": "spring", "Due": "2025-03-31", "Completed": ""}),
            (("round", "summer"), {"Name": "summer", "Due": "2025-06-30", "Completed": ""}),
            (("round", "autumn"), {"Name": "autumn", "Due": "2025-09-30", "Completed": ""}),
            (("round", "winter check"), {"Name": "winter check", "Due": "", "Completed": ""}),
        ]
    ),
    (
        (
            click("link", "New job"),
            fill("Summary", "Spokes are loose"),
            select("Type", "overhaul"),
            click("button", "Create job"),
        ),
        (click("link", "New bay"), fill("Name", "cellar"), fill("Foreman", "olaf"), click("button", "Add bay")),
        (
            click("link", "New round"),
            fill("Name", "advent"),
            fill("Due", "2025-12-01"),
            click("button", "Add round"),
        ),
        at("jobs", "#2", fill("Comment", "Looked at it"), SEND),
        at("jobs", "#3", select("Priority", "high"), select("Bay", "back"), SEND),
        at("jobs", "#8", fill("Tags", "electric"), SEND),
        at("jobs", "#4", click("radio", "finish"), select("as", "scrapped"), SEND),
        at("jobs", "#1", click("radio", "hand over"), fill("to", "olaf"), SEND),
        at("jobs", "#5", click("radio", "take"), SEND),
        at("jobs", "#6", click("radio", "reopen"), SEND),
        at("jobs", "#7", click("button", "Delete")),
        at("bays", "back", fill("Foreman", "olaf"), click("button", "Save")),
        at("bays", "front", fill("Name", "hall"), click("button", "Save")),
        at("bays", "paint shop", click("button", "Remove")),
        at("rounds", "spring", fill("Due", "2025-04-15"), click("button", "Submit")),
        at("rounds", "summer", click("checkbox", "Completed"), click("button", "Submit")),
        at("rounds", "autumn", click("button", "Delete round")),
        (click("link", "Jobs"),),
        (click("link", "Rounds"),),
    ),
)

NEW = {"Type": "repair", "Priority": "normal", "Bay": "front", "Status": "open"}


def changed(number: int, **values: str) -> Changes:
    return {("job", str(number)): values}


def made(summary: str, **values: str) -> Changes:
    return {("job", "new"): {"Summary": summary, **NEW, **values}}


def bay(name: str, **values: str) -> Changes:
    return {("bay", name): values}


def round_(name: str, **values: str) -> Changes:
    return {("round", name): values}


DONE = {"Status": "closed", "Result": "done"}
TAKEN = {"Status": "taken", "Mechanic": "me"}
OPEN = {"Status": "open"}

#: one list for each kind of request
CHOICE = [
    ("Make job 1 urgent.", changed(1, Priority="urgent")),
    ("Job 3 should have high priority.", changed(3, Priority="high")),
    (
        "Please raise the priority of job 1 to urgent, as the customer leaves on Friday.",
        changed(1, Priority="urgent"),
    ),
    ("The customer can wait, so job 2 is of low priority now.", changed(2, Priority="low")),
    ("For #8 urgent is the right priority.", changed(8, Priority="urgent")),
    ("Could you set job 4 to normal priority?", changed(4, Priority="normal")),
    ("Lower #2 to normal.", changed(2, Priority="normal")),
    ("Job 5's priority ought to be high.", changed(5, Priority="high")),
    ("We treat job 4 as urgent from today.", changed(4, Priority="urgent")),
]
RATHER = [
    ("Job 1 is a warranty claim, not a repair.", changed(1, Type="warranty claim")),
    (
        "It turned out that job 3 is an overhaul rather than a repair. Correct its type.",
        changed(3, Type="overhaul"),
    ),
    ("Job 5 was entered as an inspection, but it is a repair.", changed(5, Type="repair")),
    ("Please turn #8 into a warranty claim.", changed(8, Type="warranty claim")),
    ("Instead of a repair, job 1 should be an inspection.", changed(1, Type="inspection")),
    ("#2 is no longer a warranty claim but an overhaul.", changed(2, Type="overhaul")),
    ("Change job 4 from overhaul to repair.", changed(4, Type="repair")),
    ("Treat the job about the chain as an inspection instead of a repair.", changed(3, Type="inspection")),
]
PLAN = [
    ("Plan job 1 for autumn instead of spring.", changed(1, Round="autumn")),
    ("Move job 3 to the summer round.", changed(3, Round="summer")),
    ("Job 2 cannot be done in summer any more: put it into autumn.", changed(2, Round="autumn")),
    ("We will do #8 in the winter check, not in summer.", changed(8, Round="winter check")),
    ("Postpone job 1 to the winter check.", changed(1, Round="winter check")),
    ("Job 5 belongs to the spring round.", changed(5, Round="spring")),
    ("Have job 4 done in the summer round instead of the autumn one.", changed(4, Round="summer")),
    ("The summer round is full. Please shift job 8 to autumn.", changed(8, Round="autumn")),
]
HAND = [
    ("Hand job 1 to mira.", changed(1, Mechanic="mira")),
    ("Give #3 to tilda.", changed(3, Mechanic="tilda")),
    ("mira takes over job 8.", changed(8, Mechanic="mira")),
    ("tilda should look after job 2 instead of mira.", changed(2, Mechanic="tilda")),
    ("Assign job 5 to mira, please, since jonas is ill.", changed(5, Mechanic="mira")),
    ("From now on, jonas works on job 8.", changed(8, Mechanic="jonas")),
    ("Let tilda do job 1.", changed(1, Mechanic="tilda")),
    ("Job 4 is to be passed on to jonas.", changed(4, Mechanic="jonas")),
    ("Reassign the job about the cracked frame to jonas.", changed(2, Mechanic="jonas")),
]
TAKE = [
    ("Take job 3 yourself.", changed(3, **TAKEN)),
    ("Accept job 8.", changed(8, **TAKEN)),
    ("Take on job 1.", changed(1, **TAKEN)),
    ("Have job 5 accepted in your name.", changed(5, **TAKEN)),
    ("Job 3 is yours: accept it.", changed(3, **TAKEN)),
    ("Please take over job 2 yourself.", changed(2, **TAKEN)),
    ("Mark #4 as accepted by you.", changed(4, **TAKEN)),
    ("Nobody looks after job 8, so take it.", changed(8, **TAKEN)),
]
CLOSE = [
    ("Close job 1 as done.", changed(1, **DONE)),
    ("Job 3 has been done. Close it.", changed(3, **DONE)),
    ("Finish #8 as a duplicate.", changed(8, Status="closed", Result="duplicate")),
    ("Job 2 is a duplicate, close it accordingly.", changed(2, Status="closed", Result="duplicate")),
    (
        "Nobody can reproduce what job 3 says, so finish it as cannot reproduce.",
        changed(3, Status="closed", Result="cannot reproduce"),
    ),
    ("Mark job 5 as done.", changed(5, **DONE)),
    ("Resolve job 4 as declined: nobody wants to pay for it.", changed(4, Status="closed", Result="declined")),
    ("Job 8 can be closed, it is done.", changed(8, **DONE)),
    ("Shut job 2; the bike has been scrapped.", changed(2, Status="closed", Result="scrapped")),
]
REOPEN = [
    ("Reopen job 6.", changed(6, **OPEN)),
    ("Job 6 is not done after all: reopen it.", changed(6, **OPEN)),
    ("The tyre is flat again, so please open job 6 again.", changed(6, **OPEN)),
    ("Put job 7 back among the open ones.", changed(7, **OPEN)),
    ("Job 7 was closed too early. It has to be open again.", changed(7, **OPEN)),
    ("Undo the closing of job 6.", changed(6, **OPEN)),
    ("The job about the missing bell should be opened once more.", changed(7, **OPEN)),
    ("#7 must be reopened, the bell is still missing.", changed(7, **OPEN)),
]
REMARK = [
    ('Add the comment "Parts have arrived" to job 2.', changed(2, Comment="Parts have arrived")),
    ('Leave a note on job 1: "Call before noon"', changed(1, Comment="Call before noon")),
    ('Write "Waiting for paint" as a comment on #4.', changed(4, Comment="Waiting for paint")),
    ('Let the others know on job 3 that "the chain is on order".', changed(3, Comment="the chain is on order")),
    ('Comment on job 8 with "Cannot be seen in dry weather".', changed(8, Comment="Cannot be seen in dry weather")),
    ('Please remark on job 5 that "the mayor calls on Monday".', changed(5, Comment="the mayor calls on Monday")),
    ('Under the job about the cargo bike, note "Frame number 8811".', changed(2, Comment="Frame number 8811")),
    ('On job 1, say "Ready by noon" in a comment.', changed(1, Comment="Ready by noon")),
]
CREATE = [
    ('Create a job "Wheel is bent" of type overhaul with high priority.', made("Wheel is bent", Type="overhaul", Priority="high")),
    (
        'There is a new job: the summary is "Wheel is bent". It is urgent and goes to the paint shop bay.',
        made("Wheel is bent", Priority="urgent", Bay="paint shop"),
    ),
    (
        'Please enter an overhaul called "Gear box rattles" for the autumn round.',
        made("Gear box rattles", Type="overhaul", Round="autumn"),
    ),
    (
        'Register a warranty claim: "Saddle broke". Its priority is high, and it belongs to bay back.',
        made("Saddle broke", Type="warranty claim", Priority="high", Bay="back"),
    ),
    (
        'Open a job with the summary "Fork is loose", tagged "fork", in the back bay.',
        made("Fork is loose", Tags="fork", Bay="back"),
    ),
    (
        "A customer reports that the pump leaks. Enter it as an overhaul with the summary "
        '"Pump leaks" and urgent priority, planned for summer. Leave everything else as it is.',
        made("Pump leaks", Type="overhaul", Priority="urgent", Round="summer"),
    ),
    (
        'Add an inspection named "Check the trailer". It is part of the winter check, is of low priority '
        'and has the tag "trailer".',
        made("Check the trailer", Type="inspection", Round="winter check", Priority="low", Tags="trailer"),
    ),
    (
        'File "Pedal squeaks" as a new job; its type is warranty claim and its bay is back.',
        made("Pedal squeaks", Type="warranty claim", Bay="back"),
    ),
    (
        'A new inspection is to be entered: "Rim dented", priority urgent, bay paint shop.',
        made("Rim dented", Type="inspection", Priority="urgent", Bay="paint shop"),
    ),
    (
        'We need a job titled "Sort the drawers". The description should be "All of them.", and it is of low priority.',
        made("Sort the drawers", Description="All of them.", Priority="low"),
    ),
]
NAMED = [
    ('Add a bay called "wash".', bay("new", Name="wash")),
    ('Set up a new bay "wash" with jonas as foreman.', bay("new", Name="wash", Foreman="jonas")),
    ('Introduce a bay "wash" whose foreman is mira.', bay("new", Name="wash", Foreman="mira")),
    ("mira is the new foreman of bay front.", bay("front", Foreman="mira")),
    ("Make jonas foreman of the paint shop.", bay("paint shop", Foreman="jonas")),
    ("The foreman of the bay front is now jonas instead of tilda.", bay("front", Foreman="jonas")),
    ("tilda runs the back bay from now on, as foreman.", bay("back", Foreman="tilda")),
    ('Rename the bay back to "yard".', bay("back", Name="yard")),
    ('The paint shop is to be called "spray room" from now on.', bay("paint shop", Name="spray room")),
    ('Call the front bay "reception".', bay("front", Name="reception")),
    ('Give the bay back the name "yard".', bay("back", Name="yard")),
]
DELETE: list[tuple[str, Changes]] = [
    ("Delete the bay back.", {("bay", "back"): None}),
    ('Remove bay "front".', {("bay", "front"): None}),
    ("We no longer need the paint shop bay; delete it.", {("bay", "paint shop"): None}),
    ("Get rid of the summer round.", {("round", "summer"): None}),
    ('Drop the round "autumn" altogether.', {("round", "autumn"): None}),
    ("There will be no winter check after all: remove the round.", {("round", "winter check"): None}),
    ("Please have the back bay deleted.", {("bay", "back"): None}),
    ("The spring round is superfluous. Take it off the list of rounds.", {("round", "spring"): None}),
    ("Erase job 4.", {("job", "4"): None}),
]
DATE = [
    ("The summer round is due on 2025-07-15.", round_("summer", Due="2025-07-15")),
    ("Set the due date of the spring round to 1 April 2025.", round_("spring", Due="2025-04-01")),
    ("Move the due date of the round autumn to October 5, 2025.", round_("autumn", Due="2025-10-05")),
    ("The summer round is due a week later than now.", round_("summer", Due="2025-07-07")),
    ("Postpone the spring round by two weeks.", round_("spring", Due="2025-04-14")),
    ("The autumn round is due on the day after 2 October 2025.", round_("autumn", Due="2025-10-03")),
    ("The winter check is due on the 20th of December 2025.", round_("winter check", Due="2025-12-20")),
    ("Let the autumn round be due three days earlier.", round_("autumn", Due="2025-09-27")),
    ("The winter check has to be finished by 24 December 2025.", round_("winter check", Due="2025-12-24")),
    ("The summer round's due date is 5 August 2025 now.", round_("summer", Due="2025-08-05")),
]
ROUNDS = [
    ("Mark the spring round as completed.", round_("spring", Completed="yes")),
    ("The summer round is completed.", round_("summer", Completed="yes")),
    ("Complete the autumn round.", round_("autumn", Completed="yes")),
    ("All of the spring round has been done, so tick it as completed.", round_("spring", Completed="yes")),
    ('Create a round "easter" that is due on 2026-04-05.', round_("new", Name="easter", Due="2026-04-05")),
    ('Set up a new round called "easter", due 5 April 2026.', round_("new", Name="easter", Due="2026-04-05")),
    ('Add a further round "easter". Its due date is 2026-04-05.', round_("new", Name="easter", Due="2026-04-05")),
    ('We need another round, "easter", due on April 5, 2026.', round_("new", Name="easter", Due="2026-04-05")),
]
DESCRIBED = [
    ("Make the job about the flickering lamp urgent.", changed(8, Priority="urgent")),
    ("The job about the squeaky tandem brake is of low priority.", changed(1, Priority="low")),
    ("Give the job with the chain that slips high priority.", changed(3, Priority="high")),
    ("Raise the priority of the job about the mayor's bicycle to urgent.", changed(5, Priority="urgent")),
    (
        "Close the job about repainting the rental fleet as declined.",
        changed(4, Status="closed", Result="declined"),
    ),
    ('Hand the job "Cracked frame of the cargo bike" to jonas.', changed(2, Mechanic="jonas")),
    ('Set the tags of the job about the lamp to "light".', changed(8, Tags="light")),
    ("Reopen the job on the flat tyre.", changed(6, **OPEN)),
    (
        'The summary of job 3 is wrong: it should be "Chain slips in all gears".',
        changed(3, Summary="Chain slips in all gears"),
    ),
]
TOGETHER = [
    ("Set the priority of job 1 to high and its bay to back.", changed(1, Priority="high", Bay="back")),
    (
        "Job 3 is urgent and belongs to the paint shop. Also plan it for summer.",
        changed(3, Priority="urgent", Bay="paint shop", Round="summer"),
    ),
    ('Close job 5 as done and leave the comment "All fine".', changed(5, **DONE, Comment="All fine")),
    (
        "Change job 2: low priority, bay front, round autumn.",
        changed(2, Priority="low", Bay="front", Round="autumn"),
    ),
    (
        'Hand #8 to jonas with the comment "You know lamps best".',
        changed(8, Mechanic="jonas", Comment="You know lamps best"),
    ),
    (
        'Job 4 gets high priority. Its tags are "paint". Keep the other fields.',
        changed(4, Priority="high", Tags="paint"),
    ),
    ("Take job 3 yourself and raise it to urgent.", changed(3, **TAKEN, Priority="urgent")),
    (
        'Please give job 1 the tag "tandem", make it urgent, and move it to bay back; the other fields stay as they are.',
        changed(1, Tags="tandem", Priority="urgent", Bay="back"),
    ),
    (
        'Reopen job 7, with the comment "Still missing", and give it high priority.',
        changed(7, **OPEN, Comment="Still missing", Priority="high"),
    ),
]
ORDERED: list[tuple[str, Changes]] = [
    ("First set job 1 to urgent, then delete the round winter check.", changed(1, Priority="urgent") | {("round", "winter check"): None}),
    ('Create a bay "wash". Then put job 3 into it.', bay("new", Name="wash") | changed(3, Bay="wash")),
    ('Add a round "easter", and plan job 5 for it.', round_("new", Name="easter") | changed(5, Round="easter")),
    ("Close job 1 as done. After that, hand job 8 to mira.", changed(1, **DONE) | changed(8, Mechanic="mira")),
    ("Give jobs 1 and 5 high priority.", changed(1, Priority="high") | changed(5, Priority="high")),
    ('Rename the bay back to "yard", and remove the bay front.', bay("back", Name="yard") | {("bay", "front"): None}),
    (
        "Move job 2 to autumn, then mark the summer round as completed.",
        changed(2, Round="autumn") | round_("summer", Completed="yes"),
    ),
    (
        "Before you delete the round winter check, make job 3 urgent.",
        changed(3, Priority="urgent") | {("round", "winter check"): None},
    ),
]
EMPTY = [
    ("Remove the tags of job 1.", changed(1, Tags="")),
    ("Job 1 is not part of any round any more.", changed(1, Round="")),
    ("Take job 2 out of the summer round.", changed(2, Round="")),
    ("Clear the due date of the spring round.", round_("spring", Due="")),
    ("Empty the tags field of job 1.", changed(1, Tags="")),
    ("The summer round has no due date any longer.", round_("summer", Due="")),
    ("Job 8 is no longer planned for any round.", changed(8, Round="")),
    ("Delete the tags of #1.", changed(1, Tags="")),
]
BATCH = {
    "choice": CHOICE, "rather": RATHER, "plan": PLAN, "hand": HAND, "take": TAKE, "close": CLOSE, "reopen": REOPEN,
    "remark": REMARK, "create": CREATE, "named": NAMED, "delete": DELETE, "date": DATE, "rounds": ROUNDS,
    "described": DESCRIBED, "together": TOGETHER, "ordered": ORDERED, "empty": EMPTY,
}  # fmt: skip


@lru_cache(maxsize=1)
def workshop() -> tuple[Shown, ...]:
    return WORKSHOP.examples()


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [pytest.param(*case, id=f"{kind}-{n}") for kind, cases in BATCH.items() for n, case in enumerate(cases)],
)
def test_what_is_asked_for_is_done_and_nothing_else(instruction, expected):
    found, steps = carried_out(WORKSHOP, workshop(), instruction)
    assert found == expected, [f"{s.action.text} {s.action.name} [{s.reason}]" for s in steps]
