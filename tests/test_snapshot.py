"""From the accessibility tree to the observation's text and back."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from aria_text import parse_aria
from lbi.observations.parse import Element, parse_observation
from lbi.observations.render import render
from lbi.observations.tree import Node, fold

ORIGIN = "http://127.0.0.1:8000"


def shown(snapshot: str, limit: int = 12_000) -> str:
    return render(parse_aria(snapshot), ORIGIN, limit)[0]


FORM = """\
- generic [active] [ref=f2e1]:
  - 'heading "Error: none" [level=1] [ref=f2e2]'
  - link [ref=f2e4] [cursor=pointer]:
    - /url: http://127.0.0.1:8000/wiki?a=1#top
    - img "Logo" [ref=f2e5]
  - link "Elsewhere" [ref=f2e6] [cursor=pointer]:
    - /url: https://example.org/x
  - group "Properties" [ref=f2e43]:
    - table [ref=f2e45]:
      - rowgroup [ref=f2e51]:
        - row [ref=f2e52]:
          - rowheader "Summary:" [ref=f2e53]
          - cell [ref=f2e54]:
            - textbox "Summary:" [active] [ref=f2e55]: the text
        - row [ref=f2e79]:
          - rowheader "Type:" [ref=f2e80]
          - cell "defect" [ref=f2e81]:
            - combobox "Type:" [ref=f2e82]:
              - option "task"
              - option "defect" [selected]
    - 'link "Line: \\\\ and ''''it''''" [ref=f2e71]':
      - /url: "#"
  - generic [ref=f2e109]:
    - radio [checked] [ref=f2e110]
    - text: create
  - generic [ref=f2e111]:
    - text: assign to
    - textbox [disabled] [ref=f2e113]: "< default >\\nsecond line"
  - paragraph [ref=f2e126]:
    - text: See
    - link "TracTickets" [ref=f2e122]:
      - /url: /wiki/TracTickets
    - text: for help.
"""


def test_a_form_reads_as_the_format_says() -> None:
    assert shown(FORM).splitlines() == [
        'heading "Error: none"',
        'link "Logo" [e1] -> /wiki?a=1#top',
        'link "Elsewhere" [e2] -> https://example.org/x',
        'group "Properties"',
        '  textbox "Summary:" [e3]: the text',
        '  combobox "Type:" [e4]: "defect" of "defect" | "task"',
        "  link \"Line: \\\\ and ''it''\" [e5] -> #",
        'radio "create" [e6] (checked)',
        'textbox "assign to" [e7] (disabled): "< default >\\nsecond line"',
        'text: See link "TracTickets" [e8] -> /wiki/TracTickets for help.',
    ]


def test_references_lead_back_to_playwrights() -> None:
    _, refs = render(parse_aria(FORM), ORIGIN)
    assert refs["e3"] == "f2e55"
    assert refs["e8"] == "f2e122"


def test_an_observation_is_read_as_data() -> None:
    page = parse_observation(f"URL: /newticket\nTitle: New Ticket\nnote: a dialog\n{shown(FORM)}")
    assert (page.url, page.title, page.notes) == ("/newticket", "New Ticket", ("a dialog",))
    assert page.headings == ("Error: none",)
    kind = page.element("e4")
    assert kind is not None
    assert (kind.value, kind.options, kind.group, kind.line) == ("defect", ("defect", "task"), "Properties", 8)
    label = page.element("e7")
    assert label is not None
    assert label.value == "< default >\nsecond line"
    assert label.has("disabled")
    assert page.find("link", "TracTickets") == page.element("e8")
    assert page.find("link", "TracTickets", 1) is None
    assert "See TracTickets for help." in page.texts


TABLE = """\
- table [ref=e1]:
  - rowgroup [ref=e2]:
    - row [ref=e3]:
      - columnheader "Ticket" [ref=e4]:
        - link "Ticket" [ref=e5]:
          - /url: /query?order=id
      - columnheader "Summary" [ref=e6]
  - rowgroup [ref=e7]:
    - row [ref=e8]:
      - cell "#1" [ref=e9]:
        - link "#1" [ref=e10]:
          - /url: /ticket/1
      - cell "Door | stuck" [ref=e11]
    - row [ref=e12]:
      - cell [ref=e13]:
        - checkbox [ref=e14]
        - text: closed
      - cell "Say \\"[e9]\\"" [ref=e15]
- table [ref=e20]:
  - row [ref=e21]:
    - rowheader "Owned by:" [ref=e22]
    - cell "jane" [ref=e23]:
      - link "jane" [ref=e24]:
        - /url: /query?owner=jane
    - rowheader "Version:" [ref=e25]
    - cell [ref=e26]
- generic:
  - term: Reporter
  - definition: bob
- paragraph: "Due: tomorrow"
"""


def test_a_table_is_one_line_for_each_row() -> None:
    assert shown(TABLE).splitlines() == [
        'columns: link "Ticket" [e1] -> /query?order=id | Summary',
        'row: link "#1" [e2] -> /ticket/1 | Door ¦ stuck',
        'row: checkbox "closed" [e3] | Say "[ e9]"',
        'rowheader "Owned by:": link "jane" [e4] -> /query?owner=jane',
        'rowheader "Version:"',
        'term "Reporter": bob',
        "text: Due: tomorrow",
    ]


def test_fields_and_their_values_are_read_off() -> None:
    page = parse_observation(shown(TABLE))
    assert page.pairs == (("Owned by", "jane"), ("Reporter", "bob"), ("Due", "tomorrow"))
    assert [element.name for element in page.elements] == ["Ticket", "#1", "closed", "jane"]


def test_frames_and_hand_cursors_can_be_acted_on() -> None:
    snapshot = """\
- iframe [ref=e2]:
  - button "Inside" [ref=f1e3] [cursor=pointer]
- generic [ref=e4] [cursor=pointer]: Modify Ticket
"""
    text, refs = render(parse_aria(snapshot))
    assert text.splitlines() == [
        "iframe",
        '  button "Inside" [e1]',
        'generic "Modify Ticket" [e2]',
    ]
    assert list(refs.values()) == ["f1e3", "e4"]


def test_the_middle_of_a_long_list_is_left_out() -> None:
    items = "".join(f'  - listitem:\n    - link "Page {n}" [ref=e{n}]:\n      - /url: /{n}\n' for n in range(2000))
    text = shown(f'- heading "All pages"\n- list:\n{items}- paragraph: The end\n', 5000)
    assert len(text) <= 5000
    lines = text.splitlines()
    assert lines[0] == 'heading "All pages"'
    assert lines[-1] == "text: The end"
    assert 'link "Page 0" [e1] -> /0' in lines
    assert 'link "Page 1999" [e2000] -> /1999' in lines
    left_out = next(line for line in lines if line.startswith("… "))
    assert left_out == f"… {2000 - (len(lines) - 3)} more left out here"


def test_a_page_without_lists_is_cut_too() -> None:
    text = shown("".join(f'- heading "h{n}"\n- paragraph: {"word " * 50}\n' for n in range(200)), 3000)
    assert len(text) <= 3100
    assert "left out here" in text


# -- what is written can be read back ------------------------------------------------------------------------------

NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).map(fold).filter(bool)
VALUE = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PATH = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"'), max_size=15).map("/".__add__)
STATE = st.sampled_from([(), ("checked",), ("disabled",), ("pressed", "expanded")])


@st.composite
def fields(draw: st.DrawFn) -> Node:
    role = draw(st.sampled_from(["textbox", "searchbox", "combobox", "spinbutton"]))
    node = Node(role, draw(NAME), "x", states=draw(STATE))
    if role == "combobox":
        names = draw(st.lists(NAME, min_size=1, max_size=4, unique=True))
        chosen = draw(st.integers(0, len(names) - 1))
        node.options = [(name, at == chosen, "") for at, name in enumerate(names)]
    elif value := draw(VALUE):
        node.value = value
    if node.role in ("spinbutton", "slider"):
        node.range = draw(st.sampled_from(["", "from 0", "up to 5", "0 to 100", "-1.5 to 1.5"]))
    return node


@st.composite
def links(draw: st.DrawFn) -> Node:
    role = draw(st.sampled_from(["link", "button", "checkbox", "radio", "tab", "generic"]))
    node = Node(role, draw(NAME), "x", states=draw(STATE))
    if role == "link":
        node.url = draw(PATH)
    return node


TEXTS = VALUE.map(lambda text: Node("text", text))
PHRASES = st.lists(st.one_of(links(), TEXTS), max_size=4)


@st.composite
def containers(draw: st.DrawFn, inside: st.SearchStrategy[list[Node]]) -> Node:
    role = draw(st.sampled_from(["group", "generic", "paragraph", "list", "row", "form", "table"]))
    children = draw(inside)
    if role == "list":
        children = [Node("listitem", children=draw(PHRASES)) for _ in range(3)] + [Node("listitem", children=children)]
    if role == "row":
        header = draw(st.sampled_from(["rowheader", "cell"]))
        children = [Node(header, children=draw(PHRASES)), Node("cell", children=children)]
    return Node(role, draw(NAME) if role == "group" else "", children=children)


TREES = st.recursive(
    st.lists(st.one_of(fields(), links(), TEXTS), max_size=5),
    lambda inside: st.lists(containers(inside), max_size=3),
    max_leaves=8,
)


def expected(node: Node) -> list[tuple[str, str, str, tuple[str, ...], frozenset[str], str]]:
    if node.ref:
        names = [name for name, _, _ in node.options]
        chosen = [name for name, is_chosen, _ in node.options if is_chosen]
        value = chosen[0] if chosen else node.value or ""
        options = (*chosen, *(name for name in names if name not in chosen))
        return [(node.role, node.name, value if value.strip() else "", options, frozenset(node.states), node.url)]
    return [found for child in node.children for found in expected(child)]


def as_read(element: Element) -> tuple[str, str, str, tuple[str, ...], frozenset[str], str]:
    return element.role, element.name, element.value, element.options, frozenset(element.states), element.url


@settings(max_examples=80, deadline=None)
@given(TREES)
def test_every_element_that_is_written_is_read_back(nodes: list[Node]) -> None:
    root = Node("document", children=nodes)
    text, refs = render(root, ORIGIN, 1_000_000)
    elements = parse_observation(text).elements
    assert [as_read(element) for element in elements] == expected(root)
    assert [element.ref for element in elements] == list(refs)


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    parse_observation(text)
    render(parse_aria(f"- generic [ref=e1]:\n  - {text}"))


def test_a_text_of_several_lines_keeps_them() -> None:
    tree = Node("document", children=[Node("textbox", "Plan", "x", value="one two\n three\n")])
    text, _ = render(tree)
    assert parse_observation(text).elements[0].value == "one two\n three\n"
    assert len(text.splitlines()) == 1
