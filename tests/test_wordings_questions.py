# ruff: noqa: E501  (rows of tables)
"""How people ask: many wordings of questions on invented applications, answered by walking through their pages."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

import pytest

from fake_environment import asked, observed
from lbi.environments.web.actions import parse_action
from lbi.observations.parse import parse_observation
from lbi.offline.policy import act
from lbi.protocols import Shown
from lbi.records import Action, Example, Observation, Step, Task, Trajectory

STEPS = 10


@dataclass
class Site:
    """Pages by address, with links to the main ones and a search on each."""

    menu: tuple[str, ...]
    pages: dict[str, tuple[str, ...]]  # title, lines

    def look(self, url: str) -> Observation:
        url = url.split("#")[0]
        if url.startswith("/search?q="):
            term = unquote_plus(url.removeprefix("/search?q=")).lower()
            hits = [(at, page) for at, page in self.pages.items() if term in " ".join(page).lower()]
            lines = [f'link "{page[0]}" -> {at}' for at, page in hits] or ["text: Nothing was found."]
            return self._page(url, "Results", f'heading "Results (1 - {len(hits)} of {len(hits)})"', *lines)
        if url in self.pages:
            return self._page(url, *self.pages[url])
        return self._page(url, "Not found", "text: There is no such page.")

    def _page(self, url: str, title: str, *lines: str) -> Observation:
        number = itertools.count(500)  # of what stands within a line
        inside = [re.sub(r'(?<=[:|] )link ("[^"]*")', lambda m: f"link {m[1]} [e{next(number)}]", one) for one in lines]
        page = observed(url, title, *self.menu, 'textbox "Search"', 'button "Search"', *inside)
        once = re.sub(r'(: link "[^"]*") \[e\d+\] (?=\[e)', r"\1 ", page.text)
        return page.model_copy(update={"text": once})

    def walk(self, *urls: str) -> Shown:
        pages = [self.look(url) for url in ("/", *urls)]
        action = Action(text="click(e1)", kind="click", role="link", name="Start")
        steps = tuple(Step(observation=page, action=action) for page in pages[:-1])
        task = Task(instruction="look around", environment="site")
        trajectory = Trajectory(task=task, agent="explore", steps=steps, last=pages[-1], stop="done")
        example = Example(kind="abstract", instruction="Look around", trajectory=trajectory.id, start=0, end=1)
        return Shown(example=example, trajectory=trajectory, at=0, why="query")


def told(site: Site, question: str, *examples: Shown) -> str:
    """The answer after at most so many steps."""
    here, history = site.look("/"), list[Step]()
    for _ in range(STEPS):
        text, reason = act(asked(question, here, *examples, history=tuple(history)))
        call = parse_action(text)
        page = parse_observation(here.text)
        element = page.element(call.target.ref) if call.target else None
        if call.kind == "finish":
            return call.value
        role, name = (element.role, element.name) if element else ("", "")
        action = Action(text=text, kind=call.kind, role=role, name=name, value=call.value)
        history.append(Step(observation=here, action=action, reason=reason))
        if call.kind == "goto":
            here = site.look(call.value)
        elif call.kind == "fill" and element is not None:
            ref = f"[{element.ref}]"
            text = site.look(here.url).text.replace(ref, f"{ref}: {call.value}", 1)
            here = here.model_copy(update={"text": text})
        elif call.kind == "press" or role == "button":
            box = next((e.value for e in page.elements if e.role == "textbox" and e.value), "")
            here = site.look(f"/search?q={box}")
        elif element is not None and element.url:
            here = site.look(element.url)
    return ""


def right(answer: str, wanted: str) -> bool:
    """The value is told, and not much else."""
    said = re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", answer, re.IGNORECASE) is not None
    return said and len(answer) <= len(wanted) + 30


LIBRARY = Site(
    (
        'link "Books" -> /books',
        'link "Members" -> /members',
        'link "Branches" -> /branches',
        'link "Events" -> /events',
        'link "All pages" -> /pages',
    ),
    {
        "/": ("Riverside library", "text: Welcome to the catalogue of the Riverside library."),
        "/books": (
            "Books",
            'heading "Books (7)"',
            "columns: No. | Title | Author | Shelf | Status | Borrower | Due",
            'row: link "#3" -> /books/3 | link "The tin ship" -> /books/3 | Ada Berg | C4 | lent | olga | 2026-03-14',
            'row: link "#5" -> /books/5 | link "Bees in winter" -> /books/5 | Tom Reed | A1 | available |  | ',
            'row: link "#7" -> /books/7 | link "A short history of salt" -> /books/7 | Ines Duarte | B2 | lent | pavel | 2026-02-27',
            'row: link "#8" -> /books/8 | link "Rivers of the north" -> /books/8 | Ada Berg | B7 | available |  | ',
            'row: link "#9" -> /books/9 | link "Knots for beginners" -> /books/9 | Jun Sato | D1 | lost |  | ',
            'row: link "#11" -> /books/11 | link "The clockmaker" -> /books/11 | Ines Duarte | C1 | lent | olga | 2026-04-02',
            'row: link "#12" -> /books/12 | link "Moss and lichen" -> /books/12 | Tom Reed | A3 | reserved | rosa | 2026-03-01',
        ),
        "/books/3": (
            "#3 The tin ship",
            'heading "The tin ship"',
            'rowheader "Author:": Ada Berg',
            'rowheader "Borrowed by:": link "olga" -> /members/olga',
            'rowheader "Due back:": 2026-03-14',
            'rowheader "Price:": 14.50 EUR',
            'rowheader "Pages:": 212',
            'rowheader "Donated by:": rosa',
            "text: A toy ship gets lost in a storm drain and sees the environments.",
        ),
        "/books/7": (
            "#7 A short history of salt",
            'heading "A short history of salt"',
            'rowheader "Author:": Ines Duarte',
            'rowheader "Borrowed by:": link "pavel" -> /members/pavel',
            'rowheader "Due back:": 2026-02-27',
            'rowheader "Price:": 22.00 EUR',
            'rowheader "Pages:": 348',
            'rowheader "Donated by:": kemal',
            "text: From the mines of Wieliczka to the kitchen table.",
        ),
        "/books/12": (
            "#12 Moss and lichen",
            'heading "Moss and lichen"',
            'rowheader "Author:": Tom Reed',
            'rowheader "Due back:": 2026-03-01',
            'rowheader "Price:": 31.00 EUR',
            'rowheader "Pages:": 160',
            'rowheader "Donated by:": olga',
            "text: A field guide with forty plates.",
        ),
        "/members": (
            "Members",
            'heading "Members"',
            "columns: Name | Account | Role | Telephone | Joined",
            "row: Olga Petrova | olga | volunteer | 555-0181 | 2021-05-03",
            "row: Pavel Novak | pavel | reader | 555-0144 | 2019-11-20",
            "row: Rosa Lind | rosa | head librarian | 555-0102 | 2016-01-11",
            "row: Kemal Aydin | kemal | bookbinder | 555-0177 | 2023-08-30",
        ),
        "/branches": (
            "Branches",
            'heading "Branches"',
            "columns: Branch | City | Manager | Seats | Rent",
            "row: Harbour | Varna | rosa | 24 | 900",
            "row: Old mill | Ruse | kemal | 60 | 1200",
            "row: Station | Sofia | olga | 35 | 1500",
            "row: Garden | Plovdiv | pavel | 18 | 650",
        ),
        "/events": (
            "Events",
            'heading "Events"',
            'heading "Event: Poetry night"',
            "text: in 3 weeks (2026-03-12)",
            "text: Host: olga",
            "text: Guests: 41",
            "text: Four poets read from their new books.",
            'heading "Event: Map context"',
            "text: in 5 weeks (2026-03-28)",
            "text: Host: kemal",
            "text: Guests: 12",
            "text: We draw the river from memory.",
            'heading "Event: Book sale"',
            "text: No date yet",
            "text: Host: rosa",
            "text: Guests: 90",
            "text: Everything that nobody has borrowed for ten years.",
        ),
        "/pages": (
            "All pages",
            'item: link "House rules" -> /pages/rules',
            'item: link "Desk rota" -> /pages/rota',
            'item: link "Binding" -> /pages/binding',
            'item: link "Wireless network" -> /pages/network',
        ),
        "/pages/rules": (
            "House rules",
            'heading "House rules"',
            "text: A book may be kept for 28 days. Late books cost 40 cents a day, children pay 10 cents.",
            "text: Bags go into the lockers beside the entrance. The key is kept by the doorman.",
            "text: The reading room is closed on Mondays.",
        ),
        "/pages/rota": (
            "Desk rota",
            'heading "Desk rota"',
            "row: Month | At the desk",
            "row: January | pavel",
            "row: February | rosa",
            "row: March | kemal",
        ),
        "/pages/binding": (
            "Binding",
            'heading "Binding"',
            "text: Torn books are repaired in the cellar of the Old mill. The machine for the covers is called Gutenberg; the press for the spines is Aldus.",
            "text: At most 15 books can be bound in one week.",
        ),
        "/pages/network": (
            "Wireless network",
            'heading "Wireless network"',
            "item: Network: readers",
            "item: Password: quiet-please",
            "item: Help desk: 555-0110",
        ),
    },
)

#: kind of question -> (wording, answer)
FIRST = {
    "property": [
        ("On which shelf does The clockmaker stand?", "C1"),
        ("What is the status of the book Knots for beginners?", "lost"),
        ("What's Rosa Lind's telephone number?", "555-0102"),
        ("Which role does the account kemal have?", "bookbinder"),
        ("In what city is the Garden branch?", "Plovdiv"),
        ("What is the account name of Pavel Novak?", "pavel"),
        ("Under which number can I call Olga Petrova?", "555-0181"),
        ("Where do I find Bees in winter, on which shelf?", "A1"),
        ("How many pages does A short history of salt have?", "348"),
        ("What price is given for Moss and lichen?", "31"),
    ],
    "who": [
        ("Who wrote Knots for beginners?", "Jun Sato"),
        ("Who has borrowed The clockmaker?", "olga"),
        ("Who is the manager of the Old mill?", "kemal"),
        ("Who manages the branch in Plovdiv?", "pavel"),
        ("By whom was The tin ship donated?", "rosa"),
        ("Who is at the desk in March?", "kemal"),
        ("Who hosts the map context?", "kemal"),
        ("Whose telephone number is 555-0144?", "Pavel"),
        ("Who is our head librarian?", "Rosa"),
        ("Which member works as a bookbinder?", "Kemal"),
    ],
    "when": [
        ("When is The tin ship due?", "2026-03-14"),
        ("By when must Pavel bring back A short history of salt?", "2026-02-27"),
        ("On which day does the poetry night take place?", "2026-03-12"),
        ("When did Rosa Lind join?", "2016-01-11"),
        ("What is the date of the map context?", "2026-03-28"),
        ("Until when is The clockmaker lent?", "2026-04-02"),
        ("Since when has Kemal Aydin been a member?", "2023-08-30"),
        ("What day is Moss and lichen due back?", "2026-03-01"),
    ],
    "order": [
        ("Tell me the author of Rivers of the north.", "Ada Berg"),
        ("Give me the telephone number of Kemal Aydin.", "555-0177"),
        ("Find out who borrowed A short history of salt.", "pavel"),
        ("I need to know the rent of the Station branch.", "1500"),
        ("Please look up the shelf of Moss and lichen.", "A3"),
        ("Could you tell me the password of the wireless network?", "quiet-please"),
        ("I'd like to know which city the Harbour branch is in.", "Varna"),
        ("Name the host of the book sale.", "rosa"),
        ("Let me know when The clockmaker is due.", "2026-04-02"),
        ("Check the status of book 12 and tell me what it is.", "reserved"),
    ],
    "count": [
        ("How many books are lent?", "3"),
        ("How many books did Ines Duarte write?", "2"),
        ("How many of the lent books has olga borrowed?", "2"),
        ("What is the number of available books?", "2"),
        ("How many books are there in all?", "7"),
        ("How many books by Tom Reed are available?", "1"),
        ("Count the books that are lost.", "1"),
        ("How many branches do we have?", "4"),
        ("How many guests are expected at the map context?", "12"),
        ("How many seats does the Garden have?", "18"),
    ],
    "extreme": [
        ("Which branch has the most seats?", "Old mill"),
        ("Which branch has the lowest rent?", "Garden"),
        ("Who joined first?", "Rosa"),
        ("Which member joined last?", "Kemal"),
        ("Of all books that are lent, which one is due first?", "A short history of salt"),
        ("Which event has the fewest guests?", "Map context"),
        ("What is the highest rent that we pay for a branch?", "1500"),
        ("Who is the manager of the branch with the most seats?", "kemal"),
        ("Which of the events that have a date comes last?", "Map context"),
        ("Which event is next?", "Poetry night"),
        ("Which branch has the second highest rent?", "Old mill"),
        ("Who has borrowed the most books?", "olga"),
    ],
    "condition": [
        ("Which book stands on shelf D1?", "Knots for beginners"),
        ("Which book is reserved?", "Moss and lichen"),
        ("Which branch does olga manage?", "Station"),
        ("Which branch is in Ruse?", "Old mill"),
        ("Which of the books by Tom Reed is available?", "Bees in winter"),
        ("Which book has pavel got at home?", "A short history of salt"),
        ("What is the title of the book that is due on 2026-03-14?", "The tin ship"),
        ("Which branch has more than 50 seats?", "Old mill"),
        ("What number has the book that got lost?", "9"),
        ("Which event has no date yet?", "Book sale"),
    ],
    "yes or no": [
        ("Is The tin ship lent?", "yes"),
        ("Is Rivers of the north available?", "yes"),
        ("Is Rosa Lind the head librarian?", "yes"),
        ("Does kemal manage the Old mill?", "yes"),
        ("Is the Garden branch in Sofia?", "no"),
        ("Has olga borrowed The clockmaker?", "yes"),
        ("Does the Harbour have 24 seats?", "yes"),
    ],
    "sum": [
        ("How many seats do the Harbour and the Garden have together?", "42"),
        ("What is the total rent of all branches?", "4250"),
        ("How many more seats than the Station does the Old mill have?", "25"),
        ("What is the difference between the rents of the Station and the Garden?", "850"),
        ("How many guests do the poetry night and the map context have in total?", "53"),
        ("How many days lie between the poetry night and the map context?", "16"),
        ("What do we pay in rent for the Harbour and the Old mill together?", "2100"),
        ("How many seats are there altogether in our branches?", "137"),
    ],
    "two hops": [
        ("What is the role of the person who hosts the poetry night?", "volunteer"),
        ("What is the telephone number of the manager of the Garden branch?", "555-0144"),
        ("Which role has the member who borrowed A short history of salt?", "reader"),
        ("When did the host of the book sale join?", "2016-01-11"),
        ("What telephone number does the person at the desk in January have?", "555-0144"),
        ("Give me the role of whoever donated The tin ship.", "head librarian"),
        ("In which city does the host of the map context manage a branch?", "Ruse"),
    ],
    "page": [
        ("On which page is it written that bags go into the lockers?", "House rules"),
        ("Which page explains where torn books are repaired?", "Binding"),
        ("In which page do we say that the reading room is closed on Mondays?", "House rules"),
        ("Which book is about a toy ship in a storm drain?", "The tin ship"),
        ("One book deals with the mines of Wieliczka. Which one?", "A short history of salt"),
        ("Which event is about drawing the river?", "Map context"),
    ],
    "prose": [
        ("How long may a book be kept?", "28 days"),
        ("How many days may a reader keep a book?", "28"),
        ("How many cents a day do children pay for late books?", "10"),
        ("On which day of the week is the reading room closed?", "Monday"),
        ("What is the machine for the covers called?", "Gutenberg"),
        ("What is the name of the press for the spines?", "Aldus"),
        ("Up to how many books can be bound in a week?", "15"),
        ("Who keeps the key of the lockers?", "doorman"),
        ("Where are torn books repaired?", "cellar"),
    ],
    "reason in front": [
        ("We plan a party at the Station. How many seats are there?", "35"),
        ("Somebody returned a book from shelf B2. Which one is it?", "A short history of salt"),
        ("pavel complains about his branch. Which one does he manage?", "Garden"),
        ("The members list tells who is a volunteer. Give the account only.", "olga"),
        ("Look at the list of branches and tell me which one costs 650.", "Garden"),
        ("Which book has to be returned on 1 March 2026?", "Moss and lichen"),
    ],
}


@pytest.mark.parametrize(("question", "wanted"), [case for cases in FIRST.values() for case in cases])
def test_questions_about_a_library(question, wanted):
    seen = (
        LIBRARY.walk("/books", "/books/7", "/books/12", "/members"),
        LIBRARY.walk("/branches", "/events", "/pages", "/pages/rules", "/pages/rota", "/pages/binding"),
    )
    answer = told(LIBRARY, question, *seen)
    assert right(answer, wanted), answer


CLUB = Site(
    (
        'link "Repairs" -> /repairs',
        'link "Staff" -> /staff',
        'link "Boats" -> /boats',
        'link "Courses" -> /courses',
        'link "Handbook" -> /handbook',
    ),
    {
        "/": ("Sailing club", "text: The pages of our club."),
        "/repairs": (
            "Open repairs",
            'heading "Open repairs (5 matches)"',
            "columns: Repair | Subject | Boat | Mechanic | State | Urgency | Reported",
            'row: link "#21" -> /repairs/21 | link "Rudder is loose" -> /repairs/21 | Heron | wanda | new | high | 2025-05-02',
            'row: link "#22" -> /repairs/22 | link "Torn mainsail" -> /repairs/22 | Gannet | igor | in work | medium | 2025-05-06',
            'row: link "#25" -> /repairs/25 | link "Bilge pump leaks" -> /repairs/25 | Heron | igor | waiting | high | 2025-04-18',
            'row: link "#27" -> /repairs/27 | link "Paint the hull" -> /repairs/27 | Tern | zoe | new | low | 2025-03-30',
            'row: link "#28" -> /repairs/28 | link "Replace the anchor chain" -> /repairs/28 | Gannet | igor | new | medium | 2025-05-11',
        ),
        "/repairs/21": (
            "#21 (Rudder is loose)",
            'heading "Rudder is loose"',
            'rowheader "Reported by:": link "milan" -> /staff/milan',
            'rowheader "Mechanic:": link "wanda" -> /staff/wanda',
            'rowheader "Cost estimate:": 320 EUR',
            'rowheader "Finished by:": 2025-06-01',
            "text: The pin of the rudder has worn out after the regatta.",
        ),
        "/repairs/25": (
            "#25 (Bilge pump leaks)",
            'heading "Bilge pump leaks"',
            'rowheader "Reported by:": link "zoe" -> /staff/zoe',
            'rowheader "Mechanic:": link "igor" -> /staff/igor',
            'rowheader "Cost estimate:": 95 EUR',
            'rowheader "Finished by:": 2025-05-20',
            "text: Needs a gasket of 40 mm.",
        ),
        "/staff": (
            "Staff",
            'heading "Staff"',
            "row: Person | Login | Job | Home port",
            "row: Wanda Kowalska | wanda | boat builder | Gdynia",
            "row: Igor Petrov | igor | mechanic | Odessa",
            "row: Zoe Martin | zoe | treasurer | Brest",
            "row: Milan Horvat | milan | sailing teacher | Zadar",
        ),
        "/boats": (
            "Boats",
            'heading "Boats"',
            "columns: Name | Length | Berths | Built | Price per day",
            "row: Heron | 9.4 m | 4 | 1998 | 120 EUR",
            "row: Gannet | 12.1 m | 8 | 2011 | 210 EUR",
            "row: Tern | 6.8 m | 2 | 2004 | 70 EUR",
        ),
        "/courses": (
            "Courses",
            'heading "Course: Beginners"',
            "text: starts 2025-07-07",
            "text: Teacher: milan",
            'link "Places: 12" -> /courses/beginners',
            'heading "Course: Navigation"',
            "text: starts 2025-06-16",
            "text: Teacher: wanda",
            'link "Places: 8" -> /courses/navigation',
            'heading "Course: Racing"',
            "text: starts 2025-08-18",
            "text: Teacher: igor",
            'link "Places: 6" -> /courses/racing',
        ),
        "/handbook": (
            "Handbook",
            'item: link "Fuel" -> /handbook/fuel',
            'item: link "Mooring fees" -> /handbook/fees',
            'item: link "Emergencies" -> /handbook/emergencies',
        ),
        "/handbook/fuel": (
            "Fuel",
            'heading "Fuel"',
            "text: Petrol is stored in the shed behind the slipway. Nobody may take more than 20 litres at a time.",
            "text: The pump is read by the treasurer every Friday.",
        ),
        "/handbook/fees": (
            "Mooring fees",
            'heading "Mooring fees"',
            "text: A night costs 12 euros for boats up to eight metres, longer boats pay 18 euros.",
            "text: The fee has to be paid within 14 days.",
        ),
        "/handbook/emergencies": (
            "Emergencies",
            'heading "Emergencies"',
            "text: In an emergency call the coast guard on channel 16. The rescue boat is called Albatros and lies at the north pier.",
        ),
    },
)

SECOND = {
    "property": [
        ("How long is the Gannet?", "12.1 m"),
        ("State the urgency of the repair Paint the hull.", "low"),
        ("Which boat does the repair #22 concern?", "Gannet"),
        ("What was the cost estimate for the loose rudder?", "320"),
        ("Zoe Martin's home port, please: what is it?", "Brest"),
        ("In which year was the Heron built?", "1998"),
        ("I would like to know the login of Milan Horvat.", "milan"),
    ],
    "who": [
        ("Who is working on the torn mainsail?", "igor"),
        ("Who reported that the bilge pump leaks?", "zoe"),
        ("To whom is the repair with the anchor chain assigned?", "igor"),
        ("Who teaches the navigation course?", "wanda"),
        ("Whose home port is Zadar?", "Milan"),
        ("Find out which of our staff comes from Odessa.", "Igor"),
    ],
    "when": [
        ("When does the racing course start?", "2025-08-18"),
        ("By which date should the loose rudder be finished?", "2025-06-01"),
        ("On what day was the repair of the hull reported?", "2025-03-30"),
        ("Tell me the start of the course for beginners.", "2025-07-07"),
    ],
    "count": [
        ("How many repairs does igor have?", "3"),
        ("How many of the repairs have a high urgency?", "2"),
        ("How many repairs concern the Gannet?", "2"),
        ("Igor has how many repairs that are new?", "1"),
        ("What is the number of repairs in the state new?", "3"),
        ("How many places are there in the racing course?", "6"),
        ("How many repairs were reported after 2025-05-01?", "3"),
    ],
    "extreme": [
        ("What is the name of the cheapest boat?", "Tern"),
        ("Which course starts first?", "Navigation"),
        ("Which repair was reported most recently?", "Replace the anchor chain"),
        ("Which boat has the fewest berths?", "Tern"),
        ("Which mechanic has the most repairs?", "igor"),
    ],
    "condition": [
        ("Which repair is waiting?", "Bilge pump leaks"),
        ("Which boat can sleep 8 people, according to its berths?", "Gannet"),
        ("Which course does Milan teach?", "Beginners"),
        ("What is the number of the repair that is in work?", "22"),
        ("Which boat was built in 2004?", "Tern"),
    ],
    "yes, sums, hops": [
        ("Is the repair of the bilge pump waiting?", "yes"),
        ("How many berths do all boats have together?", "14"),
        ("How much more does the Gannet cost per day than the Heron?", "90"),
        ("What is the job of the person who reported the loose rudder?", "sailing teacher"),
        ("From which home port does the mechanic of the repair Paint the hull come?", "Brest"),
    ],
    "prose": [
        ("How many litres of petrol may one take at a time?", "20"),
        ("Where is the petrol stored?", "shed"),
        ("What does a night cost for a boat that is longer than eight metres?", "18"),
        ("Within how many days must the mooring fee be paid?", "14"),
    ],
}


def club_seen() -> tuple[Shown, ...]:
    return (
        CLUB.walk("/repairs", "/repairs/25", "/boats", "/courses"),
        CLUB.walk("/staff", "/handbook", "/handbook/fees", "/handbook/fuel"),
    )


@pytest.mark.parametrize(("question", "wanted"), [case for cases in SECOND.values() for case in cases])
def test_questions_about_a_club(question, wanted):
    answer = told(CLUB, question, *club_seen())
    assert right(answer, wanted), answer
