"""What the offline policy does without an example: answers, searches, and what it leaves alone."""

from __future__ import annotations

import pytest

from fake_environment import asked, observed
from lbi.offline.answers import answer, is_repeated
from lbi.offline.assign import assign
from lbi.offline.forms import Form, called, forms, row_of
from lbi.offline.goal import Goal, page_of
from lbi.offline.ground import ground, search
from lbi.offline.inquire import inquire
from lbi.offline.lexical import is_question
from lbi.offline.policy import act
from lbi.offline.situation import Situation
from lbi.records import Action, Observation, Step

BOX = 'textbox "Search"'
FIND = 'button "Find"'


def step(page: Observation, action: Action, reason: str = "") -> Step:
    return Step(observation=page, action=action, reason=reason)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("On which date does the boat arrive? Answer as in 12 June.", True),
        ("The tester found something. Who is the tester?", True),
        ("Report the comment of pavel", False),
        ('Create a page "What is new?"', False),
        ("Find out who wrote the guide", True),
        ("Check the box beside hall", False),
    ],
)
def test_a_question_is_told_from_a_task(text, question):
    assert is_question(text) is question


def test_a_question_presses_no_button():
    page = observed("/", "Start", 'button "Vote"', 'link "Poll" -> /poll')
    assert act(asked("How many votes has the poll?", page))[0] == "click(e2)"
    assert act(asked("How many votes are there?", observed("/", "Start", 'button "Vote"')))[0] == 'finish("")'


def test_what_no_link_names_is_searched_for_and_the_best_result_opened():
    start = observed("/", "Start", 'link "Away" -> /away', BOX, FIND)
    question = "Who takes care of the lighthouse?"
    first, _ = act(asked(question, start))
    assert first == 'fill(e2, "lighthouse")'
    filled = observed("/", "Start", 'link "Away" -> /away', BOX + ": lighthouse", FIND)
    typed = step(start, Action(text=first, kind="fill", role="textbox", name="Search", value="lighthouse"))
    second, reason = act(asked(question, filled, history=(typed,)))
    assert second in ('press(e2, "Enter")', "click(e3)")
    sent = step(filled, Action(text=second, kind="press", role="textbox", name="Search", value="Enter"), reason)
    results = observed(
        "/search?q=lighthouse",
        "Results",
        'link "Away" -> /away',
        BOX,
        FIND,
        'link "Boats" -> /boats',
        'link "Lighthouse rota" -> /rota',
    )
    assert act(asked(question, results, history=(typed, sent)))[0] == "click(e5)"


def test_who_wrote_something_is_the_name_above_it():
    page = page_of(
        observed(
            "/topic/1",
            "Tomatoes",
            'link "jane" -> /user/3/jane',
            "text: Which variety stands blight?",
            'link "olu Admin" -> /user/5/olu',
            "text: Crimson Crush, without a doubt.",
        )
    )
    found = answer(Goal("Who recommended Crimson Crush in the topic?"), page)
    assert found is not None
    assert found.text == "olu"


@pytest.mark.parametrize(
    ("lines", "question", "expected"),
    [
        (('heading "Results (1 - 4 of 14)"',), "How many results are there for boats?", "14"),
        (("columns: Harbour | Berths", "row: Porto | 18", "row: Split | 51"), "How many berths has Split?", "51"),
    ],
)
def test_a_number_is_counted_by_the_page(lines, question, expected):
    found = answer(Goal(question), page_of(observed("/x", "X", *lines)))
    assert found is not None
    assert found.text == expected


# fields


def only(*lines: str) -> Form:
    (form,) = forms(page_of(observed("/x", "X", *lines)))
    return form


def test_a_box_without_a_name_is_called_like_the_switch_beside_it():
    form = only('checkbox "Due:"', "textbox [e9]", 'button "Save"')
    assert [called(field) for field in form.fields] == ["Due", "Due"]
    goal = Goal("The milestone is due on 2028-01-15")
    found = assign(goal.text, goal.values, form.fields, {}, ())
    assert [(filling.field.role, filling.value) for filling in found] == [("checkbox", ""), ("textbox", "2028-01-15")]


def test_a_box_whose_name_is_advice_is_called_like_the_heading():
    form = only('heading "Add Comment"', 'textbox "You may use *stars* for bold text"', 'button "Save"')
    assert called(form.fields[0]) == "Add Comment"


def test_a_labelled_file_button_does_not_end_a_form():
    form = only('textbox "First name"', 'button "Picture:"', 'textbox "Last name"', 'button "Save"')
    assert [field.name for field in form.fields] == ["First name", "Last name"]


def test_of_two_options_that_are_named_the_new_one_is_chosen():
    form = only('combobox "Room": "hall" of "hall" | "attic"', 'button "Save"')
    goal = Goal('Move it from the room "hall" to the room "attic"')
    assert [filling.value for filling in assign(goal.text, goal.values, form.fields, {}, ())] == ["attic"]


def test_a_row_is_read_cell_by_cell():
    page = page_of(observed("/x", "X", 'row: checkbox [e1] | link "hall" [e2] -> /rooms/hall | 3 m'))
    assert row_of(page, page.elements[0]) == ["hall", "3 m"]


def test_a_row_over_several_lines_is_read_to_its_end():
    page = page_of(
        observed(
            "/", "T", "row", '  checkbox ""', '  link "red" -> /red', "row", '  checkbox ""', '  link "blue" -> /b'
        )
    )
    boxes = [element for element in page.elements if element.role == "checkbox"]
    assert [row_of(page, box) for box in boxes] == [["red"], ["blue"]]


BERTHS = page_of(
    observed(
        "/berths",
        "Berths",
        "row: Harbour | Berths | Contact | Since",
        "row: Aarhus | 42 | Ida | 17 March 2025",
        "row: Brest | 65 | Yann | 2 April 2025",
        "text: All figures are estimates",
    )
)


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("Who is the contact in Brest?", "Yann"),  # no line says that the first row has the names of the columns
        ("How many berths do Aarhus and Brest have together?", "107"),
        ("How many berths does Aarhus have?", "42"),
        ("Which harbour was added on 2025-04-02?", "Brest"),
        ("Which harbour has the most berths?", "Brest"),
    ],
)
def test_a_table_whose_columns_are_not_marked_is_read(question, told):
    found = answer(Goal(question), BERTHS)
    assert found is not None
    assert found.text == told


def test_rows_with_numbers_above_them_have_no_names_of_columns():
    page = page_of(observed("/x", "X", "row: 1 | red", "row: 2 | blue"))
    found = answer(Goal("Which colour is called blue?"), page)
    assert found is None or not found.sure


def test_what_is_searched_for_is_no_form_of_an_answer_and_no_short_mark():
    goal = Goal("Who is on the Cc of the ticket about oars, and since when (YYYY-MM-DD)?")
    page = page_of(observed("/", "Start", 'textbox "Search"', 'button "Search"'))
    here = Situation(goal=goal, page=page, observation=observed("/", "Start"), history=(), documents=frozenset())
    reasons = set()
    for said in ((), ("ticket",), ("ticket", "sinc")):
        _, reason = search(here, said) or ("", "")
        reasons.add(reason)
    assert "search for oars" in reasons
    assert not reasons & {"search for Cc", "search for YYYY-MM-DD"}


@pytest.mark.parametrize(("url", "told"), [("/tickets/22", "22"), ("/tickets", None), ("/search?q=oars&page=2", None)])
def test_the_number_of_the_one_thing_that_is_asked_for_is_its_own(url, told):
    page = page_of(observed(url, "Found", "text: 4 results for oars"))
    found = answer(Goal("In some ticket oars are mentioned. What is the number of the ticket?"), page)
    assert (found.text if found else None) == told


def test_the_number_of_things_is_counted():
    page = page_of(observed("/tickets/22", "Found", "text: 4 tickets found"))
    found = answer(Goal("What is the number of the open tickets?"), page)
    assert found is not None
    assert found.text == "4"


def test_how_much_a_search_found_is_no_answer():
    found = page_of(observed("/search?q=hours", "Search", "text: 1 matches", "text: Cancel 72 hours before you sail."))
    goal = Goal("How many hours before sailing can one cancel?")
    told = answer(goal, found, found=True)
    assert told is not None
    assert (told.text, told.sure) == ("72", True)
    nothing = answer(goal, page_of(observed("/search?q=hours", "Search", "text: 20 matches")), found=True)
    assert nothing is None or not nothing.sure


def test_what_was_typed_to_search_for_is_sent_whatever_else_is_known_by_then():
    page = page_of(observed("/", "Start", 'textbox "Search": kroner', 'button "Search"', "text: crowns crowns"))
    typed = Step(
        observation=observed("/", "Start"),
        action=Action(text='fill(e1, "kroner")', kind="fill", role="textbox", name="Search", value="kroner"),
        reason="search for kroner",
    )
    goal = Goal("Which page says something about crowns and kroner?")
    here = Situation(goal=goal, page=page, observation=observed("/", "Start"), history=(typed,), documents=frozenset())
    assert search(here, frozenset()) == ('press(e1, "Enter")', "search for kroner")


def searched(word: str, *, button: bool, where: str = "/") -> list[Step]:
    """A word typed into the box to search with, and sent."""
    typed = Action(text="fill(e1)", kind="fill", role="textbox", name="Search", value=word)
    key = Action(text="press(e1)", kind="press", role="textbox", name="Search", value="Enter")
    sent = Action(text="click(e2)", kind="click", role="button", name="Search") if button else key
    return [
        step(observed(where, "Start", BOX), typed, f"search for {word}"),
        step(observed(where, "Start", BOX), sent, "the form is filled" if button else f"search for {word}"),
    ]


def situation(text: str, page: Observation, history: list[Step]) -> Situation:
    return Situation(
        goal=Goal(text), page=page_of(page), observation=page, history=tuple(history), documents=frozenset()
    )


@pytest.mark.parametrize("button", [False, True])
def test_what_was_searched_for_is_not_searched_for_again_however_it_was_sent(button):
    nothing = observed("/search?q=rudder", "Search", BOX, "text: no matches")
    here = situation("Who repairs the rudder of the pinnace?", nothing, searched("rudder", button=button))
    action, reason = search(here, frozenset()) or ("", "")
    assert reason.startswith("search for ")
    assert "rudder" not in action


def test_the_most_of_something_is_no_word_to_search_for():
    here = situation("What is the largest number of oars that a pinnace has?", observed("/", "Start", BOX), [])
    history: list[Step] = []
    words = []
    while found := search(situation(here.goal.text, here.observation, history), frozenset()):
        words.append(found[1].removeprefix("search for "))
        history += searched(words[-1], button=False)
    assert words == ["pinnace", "oars"]


def test_where_a_result_tells_nothing_the_next_word_is_searched_for():
    results = observed("/search?q=rudder", "Search", BOX, 'link "Rudder and rope" -> /wiki/rope')
    opened = Action(text="click(e2)", kind="click", role="link", name="Rudder and rope")
    history = [*searched("rudder", button=False), step(results, opened, "the result that says most of it")]
    rope = observed("/wiki/rope", "Rope", BOX, "text: Rope is sold by the metre.")
    _, reason = ground(situation("Who repairs the rudder of the pinnace?", rope, history))
    assert reason.startswith("search for ")
    assert reason != "search for rudder"


@pytest.mark.parametrize(
    ("question", "told", "repeated"),
    [
        ("Who keeps the pinnace in April?", "April", True),
        ("Who keeps the pinnace in April?", "jane", False),
        ("Is the pinnace kept in April or in May?", "April", False),
        ("How many berths are there on pier 4?", "4", False),
    ],
)
def test_what_the_question_says_itself_is_no_answer_but_of_two_to_choose_from(question, told, repeated):
    assert is_repeated(told, question) is repeated


def test_a_field_that_holds_what_the_question_says_does_not_answer_it():
    page = page_of(observed("/rota", "Rota", 'textbox "Month": April', 'textbox "Pinnace": jane'))
    assert answer(Goal("In which month, April 2025, was the rota kept?"), page) is None


def test_the_way_to_more_results_is_no_result():
    results = observed("/search?q=rudder", "Search", BOX, 'link "2" -> /search?q=rudder&page=2', "text: rudder rudder")
    _, reason = ground(situation("Who repairs the rudder?", results, searched("rudder", button=False)))
    assert reason != "the result that says most of it"


def test_what_was_typed_to_search_for_is_sent_before_a_page_that_tells_something_is_gone_to():
    start = observed("/", "Start", 'textbox "Search": pinnace', 'link "Rudders" -> /wiki/rudders')
    begun = searched("pinnace", button=False)[:1]
    move = inquire(situation("Who repairs the rudders of the pinnace?", start, begun))
    assert move == ('press(e1, "Enter")', "search for pinnace")


def test_what_is_written_somewhere_is_searched_for_before_links_are_followed():
    page = page_of(observed("/", "Start", 'textbox "Search"', 'button "Search"', 'link "Wiki page" -> /wiki'))
    goal = Goal("Which wiki page says something about kroner?")
    here = Situation(goal=goal, page=page, observation=observed("/", "Start"), history=(), documents=frozenset())
    assert ground(here)[1].startswith("search for ")


def test_to_leave_a_note_is_to_change_something():
    assert Goal('Leave a note on lamp 5: "Too bright."').changes
    assert not Goal("Leave the closed ones out and show me the list.").orders_change
