"""Requests as colleagues put them: which operation, on which thing, with which values, whatever the wording."""

from __future__ import annotations

from functools import lru_cache

import pytest

from fake_applications import Application, Changes, Kind, Life, carried_out
from lbi.protocols import Shown

BAYS = ("front", "back", "paint context")


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
                Bay="paint context",
                Round="autumn",
                Mechanic="mira",
            ),
            job(5, "Yearly look at the mayor's bicycle", Type="inspection", Mechanic="jonas"),
            job(6, "Flat tyre again", Bay="back", Status="closed", Result="done"),
            job(7, "Bell missing", Priority="low", Status="closed", Result="scrapped"),
            job(8, "Lamp flickers when it rains", Priority="high", Bay="back", Round="summer", Mechanic="tilda"),
            (("bay", "front"), {"Name": "front", "Foreman": "tilda", "Note": ""}),
            (("bay", "back"), {"Name": "back", "Foreman": "jonas", "Note": ""}),
            (("bay", "paint context"), {"Name": "paint context", "Foreman": "mira", "Note": ""}),
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
        at("bays", "paint context", click("button", "Remove")),
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
    ('Comment on job 8 with "Cannot be seen in dry weather".', changed(8, Comment="Cannot be seen in dry weather")),
    ('Please remark on job 5 that "the mayor calls on Monday".', changed(5, Comment="the mayor calls on Monday")),
    ('Under the job about the cargo bike, note "Frame number 8811".', changed(2, Comment="Frame number 8811")),
    ('On job 1, say "Ready by noon" in a comment.', changed(1, Comment="Ready by noon")),
]
CREATE = [
    (
        'Create a job "Wheel is bent" of type overhaul with high priority.',
        made("Wheel is bent", Type="overhaul", Priority="high"),
    ),
    (
        'There is a new job: the summary is "Wheel is bent". It is urgent and goes to the paint context bay.',
        made("Wheel is bent", Priority="urgent", Bay="paint context"),
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
        'A new inspection is to be entered: "Rim dented", priority urgent, bay paint context.',
        made("Rim dented", Type="inspection", Priority="urgent", Bay="paint context"),
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
    ("Make jonas foreman of the paint context.", bay("paint context", Foreman="jonas")),
    ("The foreman of the bay front is now jonas instead of tilda.", bay("front", Foreman="jonas")),
    ("tilda runs the back bay from now on, as foreman.", bay("back", Foreman="tilda")),
    ('Rename the bay back to "yard".', bay("back", Name="yard")),
    ('The paint context is to be called "spray room" from now on.', bay("paint context", Name="spray room")),
    ('Call the front bay "reception".', bay("front", Name="reception")),
    ('Give the bay back the name "yard".', bay("back", Name="yard")),
]
DELETE: list[tuple[str, Changes]] = [
    ("Delete the bay back.", {("bay", "back"): None}),
    ('Remove bay "front".', {("bay", "front"): None}),
    ("We no longer need the paint context bay; delete it.", {("bay", "paint context"): None}),
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
        "Job 3 is urgent and belongs to the paint context. Also plan it for summer.",
        changed(3, Priority="urgent", Bay="paint context", Round="summer"),
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
        'Please give job 1 the tag "tandem", make it urgent and move it to bay back; the rest stays as it is.',
        changed(1, Tags="brake, tandem", Priority="urgent", Bay="back"),
    ),
    (
        'Reopen job 7, with the comment "Still missing", and give it high priority.',
        changed(7, **OPEN, Comment="Still missing", Priority="high"),
    ),
]
ORDERED: list[tuple[str, Changes]] = [
    (
        "First set job 1 to urgent, then delete the round winter check.",
        changed(1, Priority="urgent") | {("round", "winter check"): None},
    ),
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


# a second application, whose wordings were written after all of the above worked and before they were tried


CASE = Kind(
    "case",
    "cases",
    {
        "Title": (),
        "Category": ("complaint", "referral", "follow-up", "emergency"),
        "Urgency": ("routine", "soon", "immediate"),
        "Ward": "ward",
        "Clinic day": "day",
        "Labels": (),
        "Form version": ("1", "2", "2.5"),
    },
    {"Category": "complaint", "Urgency": "routine", "Form version": "1"},
    numbered=True,
    life=Life(
        leave="keep as it is",
        close="resolve",
        close_as="with",
        results=("treated", "withdrawn", "referred elsewhere", "invalid"),
        reopen="reopen",
        hand="assign",
        hand_to="assignee",
        take="accept",
        worker="Nurse",
    ),
    create="Register case",
    save="Save case",
    delete="Delete case",
)
WARD = Kind("ward", "wards", {"Title": (), "Manager": (), "Opened on": ()}, save="Apply changes", delete="Delete ward")
DAY = Kind("day", "days", {"Title": (), "Date": (), "Done": ("tick",)}, save="Update", delete="Delete")


def case(number: int, title: str, **values: str) -> tuple[tuple[str, str], dict[str, str]]:
    blank = {"Category": "complaint", "Urgency": "routine", "Ward": "", "Clinic day": "", "Labels": ""}
    return ("case", str(number)), {
        "Title": title, **blank, "Form version": "1", "Status": "open", "Nurse": "", **values
    }  # fmt: skip


CLINIC = Application(
    (CASE, WARD, DAY),
    dict(
        [
            case(11, "Bed lamp in the corner room is broken", Ward="Rosehip", Nurse="petra"),
            case(12, "Referral letter got lost", Category="referral", Urgency="soon", Ward="Hazel", Nurse="yusuf"),
            case(13, "Vaccination reminder for the school", Category="follow-up", **{"Clinic day": "Harvest"}),
            case(14, "Food arrives cold", Ward="Hazel", Labels="kitchen", Nurse="petra"),
            case(15, "Parking fee charged twice", Urgency="soon", **{"Clinic day": "Solstice"}),
            case(16, "Wheelchair squeals", Status="closed", Result="treated"),
            case(17, "Noise at night", Ward="Rosehip", Status="closed", Result="invalid"),
            case(18, "Allergic reaction to plaster", Category="emergency", Urgency="immediate", Nurse="ines"),
            (("ward", "Rosehip"), {"Title": "Rosehip", "Manager": "petra", "Opened on": "May 4, 2021"}),
            (("ward", "Hazel"), {"Title": "Hazel", "Manager": "yusuf", "Opened on": "June 1, 2022"}),
            (("ward", "Juniper"), {"Title": "Juniper", "Manager": "", "Opened on": ""}),
            (("day", "Harvest"), {"Title": "Harvest", "Date": "2026-09-14", "Done": ""}),
            (("day", "Solstice"), {"Title": "Solstice", "Date": "2026-12-21", "Done": ""}),
            (("day", "Carnival"), {"Title": "Carnival", "Date": "2027-02-08", "Done": ""}),
        ]
    ),
    (
        (
            click("link", "New case"),
            fill("Title", "Door jams"),
            select("Urgency", "soon"),
            click("button", "Register case"),
        ),
        (click("link", "New ward"), fill("Title", "Willow"), click("button", "Add ward")),
        (click("link", "New day"), fill("Title", "Spring"), fill("Date", "2027-03-20"), click("button", "Add day")),
        at("cases", "#12", fill("Comment", "Asked the post office"), click("button", "Save case")),
        at("cases", "#13", select("Category", "complaint"), click("button", "Save case")),
        at("cases", "#14", click("radio", "resolve"), select("with", "withdrawn"), click("button", "Save case")),
        at("cases", "#11", click("radio", "assign"), fill("assignee", "olga"), click("button", "Save case")),
        at("cases", "#15", click("radio", "accept"), click("button", "Save case")),
        at("cases", "#16", click("radio", "reopen"), click("button", "Save case")),
        at("cases", "#17", click("button", "Delete case")),
        at("wards", "Hazel", fill("Manager", "olga"), click("button", "Apply changes")),
        at("wards", "Rosehip", fill("Opened on", "July 9, 2021"), click("button", "Apply changes")),
        at("wards", "Juniper", click("button", "Delete ward")),
        at("days", "Harvest", fill("Date", "2026-09-15"), click("button", "Update")),
        at("days", "Solstice", click("checkbox", "Done"), click("button", "Update")),
        at("days", "Carnival", click("button", "Delete")),
        (click("link", "Cases"),),
    ),
)
FRESH = {"Category": "complaint", "Urgency": "routine", "Form version": "1", "Status": "open"}


def case_(number: int, **values: str) -> Changes:
    return {("case", str(number)): values}


def fresh(title: str, **values: str) -> Changes:
    return {("case", "new"): {"Title": title, **FRESH, **values}}


SECOND: dict[str, list[tuple[str, Changes]]] = {
    "field": [
        ("Case 14 needs immediate attention, so its urgency must be immediate.", case_(14, Urgency="immediate")),
        ("The category of #12 is wrong; it is a complaint.", case_(12, Category="complaint")),
        ("Please have a look at case 15: this is an emergency, not a complaint.", case_(15, Category="emergency")),
        ("Case 18 is not so urgent any more. Soon will do.", case_(18, Urgency="soon")),
        ("Case 12 was written on form version 2.", case_(12, **{"Form version": "2"})),
        ("The form version of the case about the cold food is 2.5.", case_(14, **{"Form version": "2.5"})),
        ("Case 11 does not belong to Rosehip but to Juniper.", case_(11, Ward="Juniper")),
        ("Could somebody move the case of the lost referral letter to the ward Rosehip?", case_(12, Ward="Rosehip")),
        ("Reschedule case 13 from Harvest to Carnival.", case_(13, **{"Clinic day": "Carnival"})),
        ("Case 15 has to wait until Carnival.", case_(15, **{"Clinic day": "Carnival"})),
        ("Plan the vaccination reminder for Solstice instead.", case_(13, **{"Clinic day": "Solstice"})),
        ('Label case 11 with "electric".', case_(11, Labels="electric")),
        ('Add "soup" to the labels of case 14.', case_(14, Labels="kitchen, soup")),
        (
            'Case 15 should have the title "Parking fee charged three times".',
            case_(15, Title="Parking fee charged three times"),
        ),
    ],
    "who": [
        ("yusuf will look after case 14 from today.", case_(14, Nurse="yusuf")),
        ("Since petra is on leave, pass case 11 on to ines.", case_(11, Nurse="ines")),
        ("ines takes case 12 over from yusuf.", case_(12, Nurse="ines")),
        ("Please make petra responsible for case 13.", case_(13, Nurse="petra")),
        ("Case 18 should be assigned to petra rather than ines.", case_(18, Nurse="petra")),
        ("Ask yusuf to handle the case about the parking fee: assign it to him.", case_(15, Nurse="yusuf")),
        ("I will do case 15 myself, so accept it.", case_(15, Status="taken", Nurse="me")),
        ("You can take case 13.", case_(13, Status="taken", Nurse="me")),
        ("ines manages Juniper.", {("ward", "Juniper"): {"Manager": "ines"}}),
        ("The ward Hazel has a new manager: ines.", {("ward", "Hazel"): {"Manager": "ines"}}),
        ("Rosehip is managed by yusuf now, no longer by petra.", {("ward", "Rosehip"): {"Manager": "yusuf"}}),
    ],
    "life": [
        (
            "The patient of case 11 has been treated, so the case can be resolved.",
            case_(11, Status="closed", Result="treated"),
        ),
        ("Case 14 was withdrawn. Please close it with that result.", case_(14, Status="closed", Result="withdrawn")),
        ("Resolve #12 as referred elsewhere.", case_(12, Status="closed", Result="referred elsewhere")),
        ("Case 15 is invalid; shut it.", case_(15, Status="closed", Result="invalid")),
        ("The wheelchair squeals again. Reopen its case.", case_(16, Status="open")),
        ("Somebody closed case 17 by mistake; it is still open.", case_(17, Status="open")),
        (
            'Close the case about the school as treated, and say "All children came" in the comment.',
            case_(13, Status="closed", Result="treated", Comment="All children came"),
        ),
        ('Put a comment under case 18: "Allergy card updated"', case_(18, Comment="Allergy card updated")),
        ("Case 17 was a joke. Delete it.", {("case", "17"): None}),
        ("There is no Carnival any more, so get rid of that day.", {("day", "Carnival"): None}),
        ("The ward Juniper has been given up. Please remove it.", {("ward", "Juniper"): None}),
        ("The day Harvest is over: mark it as done.", {("day", "Harvest"): {"Done": "yes"}}),
    ],
    "new": [
        (
            'Please register an emergency with the title "Fall on the stairs" in the ward Hazel. '
            "It needs the urgency immediate.",
            fresh("Fall on the stairs", Category="emergency", Ward="Hazel", Urgency="immediate"),
        ),
        (
            '"Curtains are torn" is a new case. It is for Rosehip, should be dealt with soon '
            'and has the label "textiles".',
            fresh("Curtains are torn", Ward="Rosehip", Urgency="soon", Labels="textiles"),
        ),
        (
            'Enter a follow-up, "Call the dentist", planned for Solstice and written on form version 2.',
            fresh("Call the dentist", Category="follow-up", **{"Clinic day": "Solstice", "Form version": "2"}),
        ),
        ('Could you open a new case titled "Tap drips"? Nothing but the title is known so far.', fresh("Tap drips")),
        (
            'There should be another ward, "Maple", with ines as its manager.',
            {("ward", "new"): {"Title": "Maple", "Manager": "ines"}},
        ),
        ('Add a day "Midsummer" on 24 June 2027.', {("day", "new"): {"Title": "Midsummer", "Date": "2027-06-24"}}),
        ('Hazel will be called "Chestnut" in future.', {("ward", "Hazel"): {"Title": "Chestnut"}}),
        ('The day Solstice gets a new name, "Longest Night".', {("day", "Solstice"): {"Title": "Longest Night"}}),
    ],
    "date": [
        ("Harvest takes place on 20 September 2026.", {("day", "Harvest"): {"Date": "2026-09-20"}}),
        ("Put Carnival off by a week.", {("day", "Carnival"): {"Date": "2027-02-15"}}),
        (
            "The date of Solstice moves to the day before 24 December 2026.",
            {("day", "Solstice"): {"Date": "2026-12-23"}},
        ),
        ("Hold Harvest two days earlier than planned.", {("day", "Harvest"): {"Date": "2026-09-12"}}),
        (
            "Rosehip was opened on 3 April 2020. Correct the date.",
            {("ward", "Rosehip"): {"Opened on": "April 3, 2020"}},
        ),
        ("Carnival has no date yet, so clear the date.", {("day", "Carnival"): {"Date": ""}}),
    ],
    "several": [
        ("Assign case 13 to ines and give it the urgency soon.", case_(13, Nurse="ines", Urgency="soon")),
        (
            "Case 12: ward Rosehip, urgency routine, category complaint. Nothing else changes.",
            case_(12, Ward="Rosehip", Urgency="routine", Category="complaint"),
        ),
        ("Cases 11 and 14 belong to Juniper from now on.", case_(11, Ward="Juniper") | case_(14, Ward="Juniper")),
        (
            'Add the ward "Elder". Afterwards move case 15 to Elder.',
            {("ward", "new"): {"Title": "Elder"}} | case_(15, Ward="Elder"),
        ),
        (
            "Resolve case 11 as treated, then delete the day Carnival.",
            case_(11, Status="closed", Result="treated") | {("day", "Carnival"): None},
        ),
        (
            "Once you have moved case 14 to Rosehip, make ines manager of Hazel.",
            case_(14, Ward="Rosehip") | {("ward", "Hazel"): {"Manager": "ines"}},
        ),
        ("Take case 13 out of Harvest, as the school is closed.", case_(13, **{"Clinic day": ""})),
        ("The labels of case 14 are not needed, so remove them.", case_(14, Labels="")),
    ],
}


@lru_cache(maxsize=2)
def examples_of(which: str) -> tuple[Shown, ...]:
    return {"context": WORKSHOP, "clinic": CLINIC}[which].examples()


def cases_of(batch: dict[str, list[tuple[str, Changes]]]) -> list[object]:
    return [pytest.param(*case, id=f"{kind}-{n}") for kind, cases in batch.items() for n, case in enumerate(cases)]


@pytest.mark.parametrize(("instruction", "expected"), cases_of(BATCH))
def test_what_is_asked_for_in_the_workshop_is_done_and_nothing_else(instruction, expected):
    found, steps = carried_out(WORKSHOP, examples_of("context"), instruction)
    assert found == expected, [f"{s.action.text} {s.action.name} [{s.reason}]" for s in steps]


@pytest.mark.parametrize(("instruction", "expected"), cases_of(SECOND))
def test_what_is_asked_for_in_the_clinic_is_done_and_nothing_else(instruction, expected):
    found, steps = carried_out(CLINIC, examples_of("clinic"), instruction)
    assert found == expected, [f"{s.action.text} {s.action.name} [{s.reason}]" for s in steps]
