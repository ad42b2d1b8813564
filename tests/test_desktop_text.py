"""What a desktop tells -> the text an agent reads, and the words it writes -> strokes; without any desktop."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import tomllib
import xml.etree.ElementTree as Tree
import zipfile
from errno import ENOENT, ETIMEDOUT
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lbi.benchmarks import osworld, spider2v
from lbi.benchmarks.osworld import needs
from lbi.cli.check import _desktops_of_benchmarks, _lacks
from lbi.environments.desktop import application, session
from lbi.environments.desktop.actions import ACTIONS, KINDS, Call, Target, UnreadableAction, parse_action
from lbi.environments.desktop.application import load_desktop, shipped_desktops
from lbi.environments.desktop.at_spi_xml import xml_of
from lbi.environments.desktop.digests import Digests
from lbi.environments.desktop.home import make_home, pristine_home
from lbi.environments.desktop.inside import accessibility, boxes, choices, dbus, desk, keyboard
from lbi.environments.desktop.perform import strokes_for, unfit
from lbi.environments.desktop.session import missing_packages, require_packages
from lbi.environments.desktop.targets import NotFound, Place, cell_named, place_of
from lbi.environments.desktop.tree import View, view_of
from lbi.errors import UserError
from lbi.evaluation.benchmark import load_benchmark
from lbi.observations.parse import parse_observation
from lbi.observations.render import render
from lbi.records import Action

SHOWN = ["enabled", "sensitive", "showing", "visible"]


def node(role: str, name: str = "", *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A node as the desktop tells it, by default 10 by 10 points large."""
    told = {"to": ":1.1", "path": f"/{name}", "role": role, "name": name, "states": SHOWN, "box": [0, 0, 10, 10]}
    return {**told, "text": "", "value": "", "interfaces": [], "children": list(children), **more}


def seen(*windows: dict[str, Any]) -> tuple[str, View]:
    order = [[number, window["name"]] for number, window in enumerate(windows, 1)]
    view = view_of({"windows": list(windows), "order": order, "active": 0})
    return render(view.tree)[0], view


def cell(name: str, text: str, row: int, column: int) -> dict[str, Any]:
    return {"name": name, "text": text, "row": row, "column": column, "box": [0, 0, 9, 9], "states": SHOWN}


def test_elements_stand_in_reading_order_with_their_states_and_values() -> None:
    text, _ = seen(
        node(
            "frame",
            "Settings",
            node("push button", "Save", box=[100, 50, 9, 9]),
            node("push button", "Back", box=[10, 52, 9, 9], states=["showing"]),
            node("check box", "Wrap", box=[10, 20, 9, 9], states=[*SHOWN, "checked", "focused"]),
            node("entry", "Name", box=[10, 30, 9, 9], text="Ann", states=[*SHOWN, "editable"]),
            node("scroll bar", "Side", box=[0, 0, 9, 9]),
            node("menu bar", "", node("menu", "File"), box=[0, 0, 100, 0]),
        )
    )
    assert text.split("\n") == [
        'window "Settings"',
        '  checkbox "Wrap" [e1] (checked, current)',
        '  textbox "Name" [e2]: Ann',
        '  button "Back" [e3] (disabled)',
        '  button "Save" [e4]',
    ]


def test_a_sheet_has_a_row_for_each_row_that_holds_something() -> None:
    cells = [cell("A1", "Month", 0, 0), cell("C1", "Rent | Food", 0, 2), cell("A7", "May", 6, 0)]
    text, view = seen(node("frame", "Book", node("table", "Sheet 1", cells=cells, said=[0, 0, 9, 9])))
    assert text.split("\n")[1:] == [
        '  table "Sheet 1"',
        '    row: cell "A1" [e1] Month | cell "C1" [e2] Rent ¦ Food',
        '    row: cell "A7" [e3] May',
    ]
    assert view.sheet is not None
    assert parse_observation(text).find("cell", "A7") is not None


def test_the_cells_of_other_tables_are_named_by_their_text() -> None:
    cells = [cell("", "budget.fods", 0, 0), cell("", "2 kB", 0, 1)]
    text, view = seen(node("dialog", "Open", node("tree table", "Files", cells=cells, said=[0, 0, 9, 9])))
    assert 'row: cell "budget.fods" [e1] | cell "2 kB" [e2]' in text
    assert view.sheet is None


def test_a_dialog_that_waits_stands_first_and_what_is_behind_it_is_only_named() -> None:
    window = node("frame", "Letter", node("push button", "Bold"), states=SHOWN)
    dialog = node("dialog", "Really?", node("push button", "Yes"), states=[*SHOWN, "modal", "active"])
    text, view = seen(window, dialog)
    assert text.split("\n") == ['dialog "Really?"', '  button "Yes" [e1]', 'window "Letter" [e2]']
    assert view.title == "Really?"
    assert list(view.windows.values()) == [1]


def test_a_window_that_tells_nothing_of_what_is_in_it_is_a_window_all_the_same() -> None:
    letter = node("frame", "Letter", node("push button", "Bold"))
    mute = {"window": 7, "title": "Game", "box": [5, 5, 90, 90], "hung": False}
    told = {"windows": [letter], "order": [[1, "Letter"], [7, "Game"]], "active": 7, "mute": [mute]}
    in_front = view_of(told)
    assert render(in_front.tree)[0].split("\n") == ['window "Game" [e1]', 'window "Letter" [e2]']
    assert (in_front.title, list(in_front.windows.values())) == ("Game", [7, 1])
    assert in_front.note == (
        'the window "Game" is in front; its program tells nothing of what is in it: use keys, and points of the screen'
    )
    hung = view_of({**told, "mute": [{**mute, "hung": True}]})
    assert hung.note.endswith("its program does not answer; wait, or end it")
    behind = view_of({**told, "active": 1})
    assert render(behind.tree)[0].split("\n") == ['window "Letter"', '  button "Bold" [e1]', 'window "Game" [e2]']
    assert (behind.title, behind.note) == ("Letter", "")


def test_what_a_part_of_a_page_without_height_holds_is_seen_and_a_bar_without_any_is_not() -> None:
    part = node("section", "", node("radio button", "Allow"), box=[0, 9, 99, 0])
    bar = node("menu bar", "", node("menu", "File"), box=[0, 0, 99, 0])
    text, _ = seen(node("frame", "Browser", bar, node("document web", "Settings", part)))
    assert text.split("\n") == ['window "Browser"', '  document "Settings"', '    radio "Allow" [e1]']


def test_a_menu_of_a_page_is_its_items_and_a_field_of_a_page_has_a_name_and_what_is_chosen() -> None:
    items = [node("menu item", " Small "), node("menu item", " Large ", states=[*SHOWN, "selected"])]
    menu = node("menu", "", *items)
    size = node("combo box", "Font size", menu, text="\ufffc")
    text, _ = seen(node("frame", "Browser", node("section", "", menu), size))
    assert text.split("\n")[1:] == [
        "  menu",
        '    menuitem "Small" [e1]',
        '    menuitem "Large" [e2] (selected)',
        '  combobox "Font size" [e3]: Large',
    ]


def test_a_box_of_options_holds_the_one_that_is_chosen_which_need_not_be_what_it_calls_itself() -> None:
    text, view = seen(node("frame", "Settings", node("combo box", "always", chosen="All the time")))
    assert text.split("\n")[1:] == ["  combobox [e1]: All the time"]
    place = place_of(Target(ref="e1"), parse_observation(text), render(view.tree)[1], view)
    assert strokes_for(parse_action('select(e1, "Never")'), place, None) == [
        ["choose", ":1.1", "/always", 5, 5, "Never"]
    ]
    at = place_of(Target(point=(5, 5)), parse_observation(text), render(view.tree)[1], view)
    assert at == place, "at a point the same is done"


def test_a_box_that_can_be_written_in_takes_text_as_other_fields_do() -> None:
    text, view = seen(node("frame", "W", node("combo box", "Colour", text="red", states=[*SHOWN, "editable"])))
    place = place_of(Target(ref="e1"), parse_observation(text), render(view.tree)[1], view)
    assert strokes_for(parse_action('fill(e1, "blue")'), place, None)[-1] == ["replace", ":1.1", "/Colour", "blue"]


def test_of_a_terminal_the_line_of_the_command_is_replaced() -> None:
    text, view = seen(node("frame", "W", node("terminal", "", text="$ ls\na\n$ junk")))
    place = place_of(Target(ref="e1"), parse_observation(text), render(view.tree)[1], view)
    assert strokes_for(parse_action('fill(e1, "ls -a")'), place, None)[2:] == [
        ["press", "Control+e"],
        ["press", "Control+u"],
        ["type", "ls -a"],
    ]


@pytest.mark.parametrize(
    ("role", "states", "why"),
    [
        ("button", (), 'button "Save" takes no text; click it'),
        ("checkbox", (), 'checkbox "Save" takes no text; click it'),
        ("option", (), 'option "Save" takes no text; click it'),
        ("slider", (), 'slider "Save" takes no text; move it with keys, as in press(slider "Save", "Right")'),
        ("textbox", ("readonly",), 'textbox "Save" cannot be edited'),
        ("textbox", (), ""),
        ("cell", (), ""),
        ("combobox", (), ""),
        ("point", (), ""),
    ],
)
def test_what_takes_no_text_is_not_filled_and_what_can_be_done_is_said(
    role: str, states: tuple[str, ...], why: str
) -> None:
    assert unfit(parse_action('fill(e1, "a")'), Place(1, 2, role, "Save", states=states)) == why
    assert unfit(parse_action("click(e1)"), Place(1, 2, role, "Save", states=states)) == ""


def test_a_program_is_told_by_another_name_where_evaluators_look_for_that() -> None:
    told = {"windows": [{**node("frame", "New Tab"), "program": "Chromium"}, {**node("frame", "A"), "program": "gimp"}]}
    assert [name.get("name") for name in Tree.fromstring(xml_of(told, {"Chromium": "Google Chrome"}))] == [
        "Google Chrome",
        "gimp",
    ]


def test_paragraphs_that_can_be_written_in_are_told_apart_by_number() -> None:
    lines = [node("paragraph", "", text=text, states=["showing", "editable"]) for text in ("One", "Two")]
    text, _ = seen(node("frame", "Letter", node("document text", "letter", *lines)))
    assert 'textbox "paragraph 1" [e1]: One' in text
    assert 'textbox "paragraph 2" [e2]: Two' in text


def test_a_field_without_a_name_has_that_of_what_holds_it_alone() -> None:
    field = node("text", "", text="Sans", states=[*SHOWN, "editable"])
    text, _ = seen(node("frame", "W", node("panel", "Font Name", node("filler", "", field))))
    assert 'textbox "Font Name" [e1]: Sans' in text


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("click(e12)", Call("click", Target(ref="e12"))),
        ('click("640,400")', Call("click", Target(point=(640, 400)))),
        ("click(640, 400)", Call("click", Target(point=(640, 400)))),
        ("click(640, 400, 'right')", Call("click", Target(point=(640, 400)), "right")),
        ("double_click(e1)", Call("click", Target(ref="e1"), "double")),
        ("right_click(e1)", Call("click", Target(ref="e1"), "right")),
        ('type("a\\n")', Call("type", value="a\n")),
        ('type(" ")', Call("type", value=" ")),
        ('type(e3, "a, b")', Call("type", Target(ref="e3"), "a, b")),
        ('press("Control+S")', Call("press", value="Control+S")),
        ('hotkey("ctrl", "shift", "s")', Call("press", value="ctrl+shift+s")),
        ('press(e3, "Enter")', Call("press", Target(ref="e3"), "Enter")),
        ("drag(e1, e2)", Call("drag", Target(ref="e1"), onto=Target(ref="e2"))),
        ('drag("1,2 30,40")', Call("drag", value="1,2 30,40")),
        ('scroll("left")', Call("scroll", value="left")),
        ('scroll(e1, "up")', Call("scroll", Target(ref="e1"), "up")),
        ('open("calc", "a.ods")', Call("open", value="calc", file="a.ods")),
        ("import pyautogui\npyautogui.click(1, 2)", Call("python", value="import pyautogui\npyautogui.click(1, 2)")),
        ("```python\npyautogui.press('a')\n```", Call("python", value="pyautogui.press('a')")),
        ("wait()", Call("wait")),
        ('ACTION: finish("42")', Call("finish", value="42")),
        ('click(button "Save" #2)', Call("click", Target(role="button", name="Save", nth=2))),
        ('click(3rd button "Save")', Call("click", Target(role="button", name="Save", nth=2))),
        ('fill(2nd textbox, "a")', Call("fill", Target(role="textbox", nth=1), "a")),
        ('select(e4, "Large")', Call("fill", Target(ref="e4"), "Large")),
        ('select(e4, option="Large")', Call("fill", Target(ref="e4"), "Large")),
    ],
)
def test_an_action_is_read(text: str, call: Call) -> None:
    assert parse_action(text) == call


@pytest.mark.parametrize("text", ["dance()", "click()", "drag(e1)", 'scroll("round")', 'press("")', "open()", ""])
def test_what_cannot_be_read_is_told_in_a_line(text: str) -> None:
    with pytest.raises(UnreadableAction) as error:
        parse_action(text)
    assert "\n" not in str(error.value)


def test_the_words_for_the_model_name_every_action_and_examples_that_can_be_read() -> None:
    lines = [re.split(r"\s{2,}", line)[0] for line in ACTIONS.split("\n") if re.match(r"\w+\(", line)]
    assert {parse_action(line).kind for line in lines} == set(KINDS)


@pytest.mark.parametrize(
    ("written", "grounded"),
    [
        (Action(text="", kind="click", role="button", name="Save"), "click('button \"Save\"')"),
        (Action(text="", kind="click", role="point", name="6,7", value="right"), 'click(\'point "6,7"\', "right")'),
        (Action(text="", kind="click", role="button", name="Save", nth=1), "click('button \"Save\" #1')"),
        (Action(text="", kind="type", value="a\n"), 'type("a\\n")'),
        (Action(text="", kind="press", value="F2"), 'press("F2")'),
        (Action(text='open("calc")', kind="open", name="calc"), 'open("calc")'),
    ],
)
def test_the_grounded_form_can_be_read_again(written: Action, grounded: str) -> None:
    assert written.grounded == grounded
    for form in (written.grounded, written.written):
        assert parse_action(form).kind == written.kind
    assert parse_action(grounded) == parse_action(written.written)


def test_a_target_is_found_by_reference_name_and_point_or_the_nearest_is_named() -> None:
    text, view = seen(node("frame", "W", node("push button", "Save As...", box=[10, 10, 40, 20])))
    refs = render(view.tree)[1]
    page = parse_observation(text)
    wanted = Place(30, 20, "button", "Save As...", origin=(":1.1", "/Save As..."))
    for target in (Target(ref="e1"), Target(role="button", name="save as")):
        assert place_of(target, page, refs, view) == wanted
    at = place_of(Target(point=(12, 12)), page, refs, view)
    assert (at.x, at.y, at.grounded) == (12, 12, 'button "Save As..."')
    with pytest.raises(NotFound, match=r'there is button "Save As\.\.\."'):
        place_of(Target(role="link", name="Save As"), page, refs, view)
    assert cell_named(Target(role="cell", name="aa10")) == "AA10"
    assert cell_named(Target(role="button", name="A1")) == ""


def test_strokes_are_those_of_a_person() -> None:
    place = Place(5, 6, "cell", "B2")
    click = [["move", 5, 6], ["click", "left", 1]]
    assert strokes_for(parse_action("click(e1)"), place, None) == click
    assert strokes_for(parse_action('click(e1, "Control")'), place, None) == [
        ["down", "Control"],
        *click,
        ["up", "Control"],
    ]
    assert strokes_for(parse_action('fill(e1, "7")'), place, None) == [
        *click,
        ["press", "Delete"],
        ["type", "7"],
        ["press", "Enter"],
    ]
    assert strokes_for(parse_action("click(e1)"), Place(5, 6, window=9), None) == [["front", 9]]
    assert strokes_for(parse_action('drag("1,2 3,4")'), None, None) == [["drag", [[1, 2], [3, 4]]]]


# what runs inside


def test_boxes_of_a_part_that_does_not_know_what_is_above_it_are_moved() -> None:
    island = node("panel", "", node("text", "", box=[4, 124, 50, 20]), box=[4, 124, 162, 35])
    table = node("table", "", box=[0, 97, 100, 100], cells=[{"box": [0, 97, 10, 10]}])
    inner = node("root pane", "", table, node("panel", "", island, box=[4, 99, 162, 34]), box=[0, 19, 100, 100])
    top = node("frame", "", node("panel", "", inner, box=[0, 44, 100, 100]))
    boxes.correct(top)
    assert inner["box"] == [0, 44, 100, 100]
    assert (table["box"], table["cells"][0]["box"]) == ([0, 122, 100, 100], [0, 122, 10, 10])
    assert island["box"] == [4, 124, 162, 35]
    assert island["children"][0]["box"] == [4, 124, 50, 20]


def test_a_bus_reads_what_it_writes() -> None:
    call = dbus.Call(":1.5", "/a/b", "org.example.I", "Do", "siod", ["Käse", -3, "/x", 0.5])
    raw = dbus._packed(call, 7)
    body, serial, fields = struct.unpack_from("<III", raw, 4)
    head = dbus.Reader(raw, 12).value("a(yv)")
    assert (serial, dict(head)) == (7, {1: "/a/b", 6: ":1.5", 2: "org.example.I", 3: "Do", 8: "siod"})
    start = 16 + fields + (-fields) % 8
    assert len(raw) == start + body
    assert dbus.Reader(raw[start:]).values("siod") == ("Käse", -3, "/x", 0.5)
    assert dbus._types("sa(so)a{sv}u") == ("s", "a(so)", "a{sv}", "u")
    assert dbus._socket_name("unix:path=/tmp/bus,guid=1f") == "/tmp/bus"
    with pytest.raises(dbus.BusError):
        dbus._socket_name("tcp:host=localhost")


@pytest.mark.parametrize(
    ("name", "keysym"),
    [("Enter", 0xFF0D), ("ctrl", 0xFFE3), ("F12", 0xFFC9), ("page_down", 0xFF56), ("é", 0xE9), ("€", 0x010020AC)],
)
def test_keys_have_the_names_that_people_use(name: str, keysym: int) -> None:
    assert keyboard.keysym_of(name) == keysym


def test_a_key_that_there_is_not_is_named() -> None:
    with pytest.raises(keyboard.UnknownKey, match="there is no key 'Hyper'"):
        keyboard.keysym_of("Hyper")


def options(*names: str) -> list[choices.Option]:
    return [choices.Option(":1", f"/{at}", (":1", "/"), at, "menu item", name, SHOWN) for at, name in enumerate(names)]


def test_an_option_is_found_by_its_name_as_it_is_before_one_that_differs_in_capitals_and_colons() -> None:
    assert choices.named(options("small", "Small"), "Small").number == 1
    assert choices.named(options("Large ", "Small:"), " small").number == 1
    assert choices.named(options("One", ""), "").number == 1


def test_an_option_that_there_is_not_is_told_with_those_there_are_the_nearest_first() -> None:
    with pytest.raises(ValueError, match=r'^there is no option "Huge"; there are: "Small", "Large"$'):
        choices.named(options("Small", "Large"), "Huge")
    with pytest.raises(ValueError, match="there are") as many:
        choices.named(options(*(f"Town {number}" for number in range(300))), "Town 299b")
    assert 'there are: "Town 299", ' in str(many.value)
    assert str(many.value).endswith(" and 280 more")
    assert choices._no_option("x", []).endswith('click it and choose with keys, as in press("Down") and press("Enter")')


# what is state


def hashed(content: bytes) -> str:
    return Digests(load_desktop("debian"))._hash(content)


def archive(**members: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, text in members.items():
            date = (2026, 1, 1 + len(text) % 9, 0, 0, 0)
            file.writestr(zipfile.ZipInfo(name.replace("_", "."), date), text)
    return packed.getvalue()


def test_when_a_document_was_saved_is_no_state_and_what_stands_in_it_is() -> None:
    flat = "<office:document><office:meta><meta:date>{}</meta:date></office:meta><text:p>{}</text:p></office:document>"
    assert hashed(flat.format("10:00", "one").encode()) == hashed(flat.format("11:00", "one").encode())
    assert hashed(flat.format("10:00", "one").encode()) != hashed(flat.format("10:00", "two").encode())
    first, later = archive(content_xml="one", meta_xml="10:00"), archive(meta_xml="11:00!", content_xml="one")
    assert first != later
    assert hashed(first) == hashed(later) != hashed(archive(content_xml="two", meta_xml="10:00"))


@pytest.mark.parametrize("content", [b"PK\x03\x04 no archive", archive(content_xml="x" * (9 << 20)), b"", b"\0" * 99])
def test_what_only_looks_like_a_document_has_a_hash_too(content: bytes) -> None:
    assert hashed(content) == hashed(content) != hashed(content + b"x")


# a desktop as data


def test_shipped_desktops_are_read_and_their_home_is_made_the_same_each_time(tmp_path: Path) -> None:
    assert shipped_desktops()
    for name in shipped_desktops():
        desktop = load_desktop(name)
        for folder in ("one", "two"):
            make_home(desktop, tmp_path / name / folder)
        files = [
            {str(f.relative_to(root)): (f.read_bytes(), f.stat().st_mtime) for f in root.rglob("*") if f.is_file()}
            for root in (tmp_path / name / "one", tmp_path / name / "two")
        ]
        assert files[0]
        assert {path: content for path, (content, _) in files[0].items()} == {
            path: content for path, (content, _) in files[1].items()
        }


def test_tasks_of_a_desktop_begin_with_files_and_programs_that_it_has(tmp_path: Path) -> None:
    benchmark = load_benchmark("desktop-small")
    desktop = load_desktop(benchmark.application)
    make_home(desktop, tmp_path / "home")
    assert len(benchmark.task) >= 12
    assert {task.category for task in benchmark.task} >= {"calc", "writer", "gimp", "vlc", "terminal"}
    for task in benchmark.task:
        name, _, file = task.start_url.strip("/").partition("/")
        assert desktop.find(name) is not None, task.name
        assert not file or (tmp_path / "home" / file).is_file(), task.name
        assert task.gold, task.name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('name = "x"\nhome = "nowhere"', "home: there is no folder"),
        ('name = "x"\nhoem = "y"', "hoem"),
        ('name = "x"\n[[program]]\nname = "p"\ncommand = []', "command"),
        ("name = ", "x.toml"),
    ],
)
def test_a_faulty_desktop_is_told_in_a_line(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(UserError) as error:
        load_desktop(str(file))
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_installed_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text('name = "x"\n[[program]]\nname = "p"\ncommand = ["no-such-program"]\npackage = "its-package"')
    assert "its-package" in missing_packages(load_desktop(str(file)))
    with pytest.raises(UserError, match=r"its-package.*scripts/setup\.sh desktop"):
        require_packages(load_desktop(str(file)))


def test_the_set_up_installs_all_that_a_check_could_name(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (Path(__file__).parents[1] / "scripts" / "setup.sh").read_text("utf-8")
    lists = re.findall(r"^(?:desktop|benchmarks)=\((.*?)\)", script, re.S | re.M)
    installs = {name for each in lists for name in each.split()}

    def bare(name: str) -> str | None:  # of a machine that has no more than every Debian
        return f"/usr/bin/{name}" if name in ("env", "python3") else None

    monkeypatch.setattr(application, "program_on_host", bare)
    monkeypatch.setattr(application, "glob", lambda path: [])
    monkeypatch.setattr(needs, "program", bare)
    monkeypatch.setattr(session, "program", bare)
    monkeypatch.setattr(session, "BUS_LAUNCHERS", ())
    named = {
        *(package for name in shipped_desktops() for package in missing_packages(load_desktop(name))),
        *osworld.packages(),
        *spider2v.packages(),
    }
    assert {"xvfb", "at-spi2-core", "libgail-common", "chromium", "sqlite3", "libreoffice-impress", "wmctrl"} <= named
    assert named <= installs


def test_the_set_up_of_desktops_brings_uv_which_makes_the_interpreters_of_evaluators() -> None:
    root = Path(__file__).parents[1]
    options = re.search(r"^extras=.*?(?=^venv=)", (root / "scripts" / "setup.sh").read_text("utf-8"), re.S | re.M)
    assert options is not None
    command = ["bash", "-c", f'{options[0]}\necho "$with_desktop:$extras"', "setup", "desktop"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert said.strip() == "desktop:swe"
    assert any(each.startswith("uv") for each in extras["swe"])


def test_a_check_of_desktops_names_what_benchmarks_lack_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "program_on_host", lambda name: None if name in ("jq", "chromium") else name)
    rows = {row["what"]: row for row in _desktops_of_benchmarks()}
    assert rows["desktop of spider2v"]["passed"]
    assert "not installed: jq chromium (scripts/setup.sh desktop)" in rows["desktop of spider2v"]["found"]


async def test_a_cache_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"cannot make .*; set XDG_CACHE_HOME"):
        await pristine_home(load_desktop("debian"), tmp_path / "file" / "cache")


def test_checks_of_everything_say_what_is_missing_and_fail_nothing() -> None:
    row = _lacks("desktop small", ["xvfb", "openbox"])
    assert row is not None
    assert row["passed"]
    assert row["found"].startswith("not runnable: these packages are not installed: xvfb openbox")
    assert _lacks("desktop small", []) is None


class Field:
    """A field of a busy program: keys come to it when it has come to rest, and it loses the first selection."""

    def __init__(self, text: str) -> None:
        self.text, self.keys, self.chosen = text, list[str](), False
        self.presses = 0

    def press(self, key: str) -> None:
        assert key == "Control+a"
        self.presses += 1
        self.chosen = self.presses > 1

    def type(self, text: str) -> None:
        self.keys.append(text)

    def rest(self, *_: object) -> None:
        for key in self.keys:
            self.text, self.chosen = key if self.chosen else self.text + key, False
        self.keys.clear()


def test_a_field_whose_program_is_busy_is_replaced_once_it_has_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Field("old")
    monkeypatch.setattr(desk.settle, "answers", lambda services: None)
    monkeypatch.setattr(desk.settle, "settle", field.rest)
    monkeypatch.setattr(desk.accessibility, "text_of", lambda *_: field.text)
    monkeypatch.setattr(desk.accessibility, "all_chosen", lambda *_: True)  # it was, for a moment
    inside: Any = object.__new__(desk.Desk)
    inside.services = SimpleNamespace(bus=None)
    inside.keyboard = field
    inside._replace("program", "/field", "new")
    field.rest()
    assert field.text == "new"


@pytest.mark.parametrize(("number", "chosen", "text"), [(ETIMEDOUT, False, None), (ENOENT, True, "")])
def test_what_a_program_does_not_say_in_time_is_not_known(number: int, chosen: bool, text: str | None) -> None:
    bus: Any = SimpleNamespace(ask_all=lambda calls, seconds: [dbus.BusError(number, "no answer") for _ in calls])
    assert accessibility.all_chosen(bus, "program", "/field") is chosen
    assert accessibility.text_of(bus, "program", "/field") == text
