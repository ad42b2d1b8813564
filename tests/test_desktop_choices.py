"""fill and select on fields that hold one of several options: of pages, of GTK 2 and 3, of Qt, and of LibreOffice."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from lbi.environments.desktop.application import Desktop, Program, load_desktop
from lbi.environments.desktop.environment import DesktopEnvironment, DesktopEnvironments
from lbi.observations.parse import Element, Page, parse_observation
from lbi.records import Task
from needs_desktop import needs_desktop

pytestmark = [*needs_desktop, pytest.mark.asyncio(loop_scope="module")]
needs_chromium = pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
PAGE = """<!doctype html><title>order</title>
<select id=size aria-label=Size onchange="said('change to ' + value)" oninput="said('input')">
  <option>Small caps<option>Small<option selected>Large<option disabled>Giant</select>
<select aria-label=Fruit onchange="said('change to ' + value)">
  <optgroup label=Citrus><option>Lime<option>Lemon</optgroup>
  <optgroup label=Other><option value=7>Fig</optgroup></select>
<select aria-label=Town id=towns onchange="said('change to ' + value)"></select>
<input list=colours aria-label=Colour oninput="said('colour ' + value)"><datalist id=colours><option>red</datalist>
<div role=combobox aria-label=Drink id=drink tabindex=0 aria-expanded=false aria-controls=drinks onclick="toggle()">
  Tea</div>
<div role=listbox id=drinks hidden>
  <div role=option onclick="take(this)">Tea</div><div role=option onclick="take(this)">Coffee</div></div>
<div role=combobox aria-label=Stuck tabindex=0 aria-expanded=false aria-controls=none
  onclick="none.hidden=false">A</div>
<div role=listbox id=none hidden><div role=option>A</div><div role=option>B</div></div>
<button onclick="said('pressed')">Send</button> <input aria-label=Number value=17 readonly>
<script>
  const said = text => document.title += ', ' + text;
  for (let at = 0; at < 300; at++) towns.append(new Option('Town ' + at));
  const toggle = () => { drinks.hidden = !drinks.hidden; drink.ariaExpanded = !drinks.hidden; };
  const take = option => { drink.textContent = option.textContent; toggle(); said('took ' + option.textContent); };
</script>"""


def field(page: Page, name: str) -> Element:
    found = page.find("combobox", name)
    assert found is not None, page.elements
    return found


async def done(environment: DesktopEnvironment, action: str) -> Page:
    outcome = await environment.step(action)
    assert outcome.observation.error == "", outcome.observation.error
    return parse_observation(outcome.observation.text)


async def refused(environment: DesktopEnvironment, action: str) -> tuple[str, Page]:
    observation = (await environment.step(action)).observation
    assert "\n" not in observation.error
    return observation.error, parse_observation(observation.text)


async def shown(environment: DesktopEnvironment, role: str, name: str) -> Page:
    """What is seen once an element is there: a page is there later than its window."""
    for _ in range(10):
        page = parse_observation(environment.last.text)
        if page.find(role, name) is not None:
            return page
        await environment.step("wait()")
    raise AssertionError(environment.last.text)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[DesktopEnvironment]:
    flags = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--force-renderer-accessibility", "--disable-sync")
    program = Program(name="browser", command=("chromium", *flags, "--password-store=basic"))
    settings = {"page.html": PAGE}
    environments = DesktopEnvironments(
        Desktop(name="small", program=(program,), settings=settings, etc=("chromium", "chromium.d"))
    )
    environment = await environments.open()
    yield environment
    await environments.close()


@asynccontextmanager
async def opened(program: str) -> AsyncIterator[DesktopEnvironment]:
    """A desktop with one program of those that are shipped, just started."""
    shipped = load_desktop("debian")
    programs = tuple(each.model_copy(update={"warm": False}) for each in shipped.program if each.name == program)
    environments = DesktopEnvironments(shipped.model_copy(update={"name": "small", "program": programs}))
    try:
        environment = await environments.open()
        await environment.reset(Task(instruction="", environment="small", start_url=f"/{program}"))
        yield environment
    finally:
        await environments.close()


async def ordered(browser: DesktopEnvironment) -> Page:
    await browser.reset(Task(instruction="", environment="small", start_url="/browser/page.html"))
    return await shown(browser, "button", "Send")


@needs_chromium
async def test_an_option_of_a_page_is_chosen_by_its_name_as_a_person_would_and_the_page_is_told(
    browser: DesktopEnvironment,
) -> None:
    assert field(await ordered(browser), "Size").value == "Large"
    page = await done(browser, 'fill(combobox "Size", "Small")')
    assert field(page, "Size").value == "Small", "and not the first that begins so"
    assert "input, change to Small" in browser.last.title
    page = await done(browser, 'select(combobox "Fruit", "fig")')
    assert field(page, "Fruit").value == "Fig", "in whatever group it is, in whatever letters"
    assert "change to 7" in browser.last.title
    for town in ("Town 299", "Town 3"):  # one that is far down, and one that is the beginning of others
        page = await done(browser, f'select({field(page, "Town").ref}, "{town}")')
        assert field(page, "Town").value == town
    assert "change to Town 299, change to Town 3" in browser.last.title
    assert browser.last.title.count("change") == 4
    assert page.find("option", "Town 3") is None, "no list is open"


@needs_chromium
async def test_an_option_of_a_page_that_cannot_be_chosen_is_told_and_what_is_chosen_stays(
    browser: DesktopEnvironment,
) -> None:
    await ordered(browser)
    why, page = await refused(browser, 'fill(combobox "Size", "Huge")')
    assert why == 'there is no option "Huge"; there are: "Small caps", "Small", "Large", "Giant"'
    assert field(page, "Size").value == "Large"
    why, page = await refused(browser, 'fill(combobox "Size", "Giant")')
    assert why == 'the option "Giant" is disabled'
    assert field(page, "Size").value == "Large"
    why, page = await refused(browser, 'fill(combobox "Drink", "Water")')
    assert why == 'there is no option "Water" in its list; it shows: "Tea", "Coffee"'
    assert page.find("option", "Coffee") is None, "its list is closed again"
    assert "change" not in browser.last.title
    why, page = await refused(browser, 'fill(combobox "Stuck", "B")')
    assert why == 'the option "B" was clicked, and its list is open still; see whether it was taken'
    assert field(page, "Stuck").value == "A"


@needs_chromium
async def test_a_list_that_the_page_draws_itself_is_opened_and_clicked_and_one_with_a_field_is_typed_into(
    browser: DesktopEnvironment,
) -> None:
    await ordered(browser)
    page = await done(browser, 'fill(combobox "Drink", "Coffee")')
    assert field(page, "Drink").value == "Coffee"
    assert "took Coffee" in browser.last.title
    page = await done(browser, 'fill(combobox "Colour", "blue")')
    assert field(page, "Colour").value == "blue"


@needs_chromium
async def test_what_takes_no_text_says_so_and_nothing_is_pressed(browser: DesktopEnvironment) -> None:
    await ordered(browser)
    assert (await refused(browser, 'fill(button "Send", "a ")'))[0] == 'button "Send" takes no text; click it'
    assert (await refused(browser, 'fill(textbox "Number", "1")'))[0] == 'textbox "Number" cannot be edited'
    assert browser.last.title.startswith("order"), browser.last.title
    assert "pressed" not in browser.last.title


async def test_a_field_of_gtk_3_shows_what_is_seen_of_it_and_an_option_is_chosen() -> None:
    async with opened("editor") as editor:
        await done(editor, 'click(menuitem "Edit")')
        await done(editor, 'click(menuitem "Preferences...")')
        page = await done(editor, 'click(tab "Editor")')
        keys = "Home/End: Detect leading/trailing whitespace:"
        assert field(page, keys).value == "Never", 'it calls itself "disabled", which nobody sees'
        page = await done(editor, f'fill(combobox "{keys}", "always")')
        assert field(page, keys).value == "Always"
        why, page = await refused(editor, f'fill(combobox "{keys}", "Sometimes")')
        assert why.startswith('there is no option "Sometimes"; there are: ')
        assert '"Second key press"' in why
        assert field(page, keys).value == "Always"
        assert page.find("tab", "Editor") is not None, "the dialog is open still"


async def test_a_field_of_gtk_2_and_what_a_button_unfolds() -> None:
    async with opened("gimp") as gimp:
        await done(gimp, 'press("Control+n")')
        await shown(gimp, "button", "Advanced Options")
        await done(gimp, 'click(button "Advanced Options")')
        page = await shown(gimp, "combobox", "Fill with:")
        assert field(page, "Fill with:").value == "Background color"
        page = await done(gimp, 'fill(combobox "Fill with:", "White")')
        assert field(page, "Fill with:").value == "White"
        page = await done(gimp, 'fill(combobox "Precision:", "16-bit integer")')
        assert field(page, "Precision:").value == "16-bit integer"
        why, page = await refused(gimp, 'fill(combobox "Fill with:", "Gold")')
        assert why.startswith('there is no option "Gold"; there are: "')
        assert field(page, "Fill with:").value == "White"


async def test_a_field_of_qt_whose_list_has_a_choice_of_its_own() -> None:
    async with opened("vlc") as vlc:
        await done(vlc, 'press("Control+p")')
        await shown(vlc, "combobox", "Continue playback?")
        page = await done(vlc, 'fill(combobox "Continue playback?", "Always")')
        assert field(page, "Continue playback?").value == "Always"
        page = await done(vlc, 'select(combobox "Force window style:", "Fusion")')
        assert field(page, "Force window style:").value == "Fusion"
        why, page = await refused(vlc, 'fill(combobox "Continue playback?", "Perhaps")')
        assert why == 'there is no option "Perhaps"; there are: "Never", "Ask", "Always"'
        assert field(page, "Continue playback?").value == "Always"


async def test_a_field_of_libreoffice_whose_options_are_told_once_it_is_open_also_those_out_of_view() -> None:
    async with opened("calc") as calc:
        await done(calc, 'press("Control+1")')
        await shown(calc, "combobox", "Language")
        code = "Displays the number format code for the selected format. You can also enter a custom format."
        for language, general in (("German (Germany)", "Standard"), ("Akan", "General")):
            await done(calc, f'fill(combobox "Language", "{language}")')
            page = await shown(calc, "textbox", code)
            said = page.find("textbox", code)
            assert said is not None
            assert said.value == general
        why, page = await refused(calc, 'fill(combobox "Language", "Klingon")')
        assert why.startswith('there is no option "Klingon" in its list; it shows: "')
        assert page.title == "Format Cells", "the list is closed again, and the dialog is not"
        assert page.find("button", "OK") is not None
