"""Points, clicks, types and chooses on elements that look.py saw: what a person's hand would do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from playwright.async_api import ElementHandle, Frame, Page
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web import samples
from lbi.environments.web.actions import Call
from lbi.environments.web.look import ask, handle_of
from lbi.environments.web.session import Session
from lbi.observations.parse import TICKS, Element
from lbi.observations.tree import fold
from lbi.storage.secrets import MASK, mask

ELEMENT_MS = 4000  # in which an element must become ready for an action
TYPED_BY_KEYS = 200  # characters; a longer text is put into a field at once, but for its last character
_BUTTONS: dict[str, Any] = {"right": "right"}
_CHOOSE = """
(list, [labels, exactly]) => {
  const fold = text => text.replace(/\\s+/g, ' ').trim();
  const plain = text => fold(text).replace(/[ :*]+$/, '').replace(/^[^\\p{L}\\p{N}]+(?=.)/u, '').toLowerCase();
  const label = option => option.label || option.text;
  const options = [...list.options], chosen = [], missing = [];
  for (const wanted of labels) {
    const found = options.find(o => fold(label(o)) === wanted)
      || options.find(o => plain(label(o)) === plain(wanted)) || options.find(o => o.value === wanted);
    if (!found) missing.push(wanted);
    else if (found.disabled) return {disabled: wanted};
    else chosen.push(found.index);
  }
  if (!exactly) for (const o of options) if (o.selected && !chosen.includes(o.index)) chosen.push(o.index);
  return {chosen, missing, known: options.slice(0, 20).map(o => fold(label(o)))};
}
"""


class ActionRefused(Exception):
    """The action could not be carried out; the message is for the model."""


class Gone(ActionRefused):
    """The element is no longer on the page, as one that was rendered anew."""


class TimedOut(ActionRefused):
    """The page was not ready for the action in time, by its own design or on a busy machine."""


class Hand:
    """Acts on the elements of one look; ``refs`` are the look's names of the observation's references."""

    def __init__(self, page: Page, frames: list[Frame], refs: Mapping[str, str]) -> None:
        self._page = page
        self._frames = frames
        self._refs = refs

    async def use(self, call: Call, element: Element) -> None:
        """Carry out an action on an element. Raises ActionRefused and Playwright's errors."""
        if call.kind == "click":
            await self.click(element, call.value)
        elif call.kind == "fill":
            await self.fill(element, call.value)
        elif call.kind == "type":
            await self._type_on(element, call.value)
        elif call.kind == "select":
            await self.select(element, call.value.split("\n"))
        elif call.kind == "press":
            await self._focus(element)
            await self._page.keyboard.press(call.value)
        elif call.kind == "hover":
            await self._hover(element)
        elif call.kind == "drag":
            await self.draw(element, call.value)

    async def click(self, element: Element, how: str = "") -> None:
        if "," in how:
            handle = await self._handle(element, "place")
            await self._press_point(handle, _point(how))
            return
        at = await self._spot(element)
        if how == "" and await self._pressed_still(element, at):
            return
        handle, at = await self._aimed(element)
        if at.get("changes"):
            await handle.hover(timeout=ELEMENT_MS, position=_place(at))
            handle, at = await self._aimed(element)
        button: Any = _BUTTONS.get(how, "left")
        if "drawn" in at and self._key(element).startswith("0:") and how in ("", "double", "right"):
            await self._page.mouse.click(*at["drawn"], button=button, click_count=2 if how == "double" else 1)
            return
        modifiers: Any = [how] if how in ("Shift", "Control", "Alt", "Meta") else None
        options: dict[str, Any] = {"timeout": ELEMENT_MS, "no_wait_after": True, "modifiers": modifiers}
        options |= {"force": bool(at.get("force")), "position": _place(at)}
        if how == "double":
            await handle.dblclick(**options)
        else:
            await handle.click(button=button, **options)

    async def _pressed_still(self, element: Element, at: Mapping[str, Any]) -> bool:
        """Press what stands still where it was found; False where that cannot be told, or changes as it is pointed at.

        The browser's driver would wait for two frames to see that it stands still, a third of a click on a plain page.
        """
        if "still" not in at or not self._key(element).startswith("0:"):
            return False
        await self._page.mouse.move(*at["still"])
        now = await ask(self._frames, self._key(element), "aim")
        if now.get("still") != at["still"]:
            return False
        await self._page.mouse.down()
        await self._page.mouse.up()
        return True

    async def _press_point(self, handle: ElementHandle, at: Any) -> None:
        await handle.scroll_into_view_if_needed(timeout=ELEMENT_MS)
        box = await handle.bounding_box()
        if box is not None:
            await self._page.mouse.click(box["x"] + at["x"], box["y"] + at["y"])

    async def fill(self, element: Element, text: str) -> None:
        """Replace the text of a field; by keys where the page listens to them, as for suggestions."""
        key, facts = await self._field(element, text)
        if facts["form"]:
            takes = "only numbers" if facts["form"] == "a number" else f"the form {facts['form']}"
            raise ActionRefused(f'{_named(element)} takes {takes}, not "{text[:80]}"; its value is as before')
        handle = await self._handle(element, "element", key)
        if facts["pressed"]:  # a person clicks into a field first, and this one minds
            await self.click(element)
        if not facts["keys"] or facts["type"] in ("range", "color", "date", "time", "month", "week", "datetime-local"):
            await handle.fill(text, timeout=ELEMENT_MS)
            return
        await handle.fill("", timeout=ELEMENT_MS)
        await handle.focus()
        await self._keys(text)
        if text and not facts["editable"]:
            await self._taken(element, handle, str(facts["value"]), text)

    async def _taken(self, element: Element, handle: ElementHandle, before: str, text: str) -> None:
        """See that a field has taken what was typed: some let no key through, and have buttons beside them instead."""
        now = await handle.evaluate("field => field.value")
        if now == text or now not in ("", before):
            return  # it may have been put into another form, as numbers of telephones are
        await handle.evaluate("(field, value) => { field.value = value; }", before)
        raise ActionRefused(f'{_named(element)} lets no key through; its value is as before: "{before}"')

    async def _type_on(self, element: Element, text: str) -> None:
        key, _ = await self._field(element, text)
        handle = await self._handle(element, "element", key)
        await handle.focus()
        await self._page.keyboard.press("Control+End")
        await self._keys(text)

    async def _keys(self, text: str) -> None:
        if len(text) > TYPED_BY_KEYS:
            await self._page.keyboard.insert_text(text[:-1])
            text = text[-1]
        await self._page.keyboard.type(text)

    async def _field(self, element: Element, text: str) -> tuple[str, dict[str, Any]]:
        """The look's name of the field that takes the text, which may lie within the element, and what it is like."""
        if element.options or element.role in TICKS | {"link"}:
            instead = "select" if element.options else "click"
            raise ActionRefused(f"{_named(element)} takes no text; use {instead}")
        key = self._key(element)
        facts = await ask(self._frames, key, "facts", text)
        if facts.get("inner"):
            key = f"{key.partition(':')[0]}:{facts['inner']}"
            facts = await ask(self._frames, key, "facts", text)
        if facts.get("gone"):
            raise Gone(f"{_named(element)} is gone from the page")
        writable = (
            facts["editable"]
            or facts["tag"] == "textarea"
            or (
                facts["tag"] == "input"
                and facts["type"] not in ("button", "submit", "reset", "image", "file", "checkbox", "radio")
            )
        )
        if not writable:
            raise ActionRefused(f"{_named(element)} takes no text; click it")
        if element.has("readonly"):
            raise ActionRefused(f"{_named(element)} cannot be edited")
        return key, facts

    async def select(self, element: Element, labels: list[str]) -> None:
        """Choose options of a native list by their labels. Of several-choice lists one label is added to the rest."""
        if not element.options:
            if element.role not in ("combobox", "listbox"):
                raise ActionRefused(f"{_named(element)} has no options")
            raise ActionRefused(f"{_named(element)} is no plain list: click it, or fill it, and click an option")
        handle = await self._handle(element, "element")
        labels = [label for label in labels if label]
        if any(MASK in label for label in labels):  # an option shows a secret, and the agent was not told it
            real = await handle.evaluate("list => [...list.options].map(option => option.label || option.text)")
            shown = {mask(fold(label)): fold(label) for label in real}
            labels = [shown.get(label, label) for label in labels]
        exactly = len(labels) != 1 or not element.multiple
        found = await handle.evaluate(_CHOOSE, [labels, exactly])
        if disabled := found.get("disabled"):
            raise ActionRefused(f'the option "{disabled}" of {_named(element)} is disabled')
        if found["missing"]:
            known = ", ".join(f'"{mask(option)}"' for option in found["known"])
            raise ActionRefused(f'"{found["missing"][0]}" is no option of {_named(element)}; there are: {known}')
        await handle.select_option(index=found["chosen"], timeout=ELEMENT_MS, no_wait_after=True)

    async def drag(self, element: Element, onto: Element) -> None:
        """Press on one element, move onto the other in two steps, as pages need it, and let go."""
        first, at = await self._aimed(element)
        await first.hover(timeout=ELEMENT_MS, force=bool(at.get("force")), position=_place(at))
        await self._page.mouse.down()
        try:
            second = await self._handle(onto, "place")
            for _ in range(2):
                await second.hover(timeout=ELEMENT_MS, force=True)
        finally:
            await self._page.mouse.up()

    async def draw(self, element: Element, path: str) -> None:
        """Press at the first of several points within an element, in pixels from its corner, and move through them."""
        handle = await self._handle(element, "place")
        await handle.scroll_into_view_if_needed(timeout=ELEMENT_MS)
        box = await handle.bounding_box()
        if box is None:
            raise ActionRefused(f"{_named(element)} is not visible")
        points = [_point(each) for each in path.split()]
        places = [(box["x"] + point["x"], box["y"] + point["y"]) for point in points]
        await self._page.mouse.move(*places[0])
        await self._page.mouse.down()
        try:
            for x, y in places[1:]:
                await self._page.mouse.move(x, y, steps=5)
        finally:
            await self._page.mouse.up()

    async def upload(self, session: Session, element: Element, name: str, text: str) -> None:
        """Give a file to a field for files, or to what opens the browser's window for one."""
        accept = element.expects
        if not samples.fits(name, accept):
            raise ActionRefused(f'{_named(element)} takes only {accept}, not "{name}"')
        file = samples.write(session.files.folder / "uploads", name, text)
        handle = await self._handle(element, "element")
        if await handle.evaluate("one => one.localName === 'input' && one.type === 'file'"):
            await handle.set_input_files(file, timeout=ELEMENT_MS, no_wait_after=True)
            return
        session.files.offered = file
        await self.click(element)

    async def scroll(self, element: Element | None, sign: int) -> str:
        """Scroll the box around an element, else the page or its largest box. Returns what there is to know."""
        key = self._key(element) if element is not None else "0:0"
        moved = await ask(self._frames, key, "scroll", sign)
        if abs(moved["moved"]) < 1:
            raise ActionRefused(f"nothing moved: this is the {'end' if sign > 0 else 'beginning'}")
        return "" if sign < 0 or moved["left"] >= 1 else "this is the end"

    async def _hover(self, element: Element) -> None:
        handle, at = await self._aimed(element)
        await handle.hover(timeout=ELEMENT_MS, force=bool(at.get("force")), position=_place(at))

    async def _focus(self, element: Element) -> None:
        handle = await self._handle(element, "element")
        await handle.focus()

    async def _aimed(self, element: Element) -> tuple[ElementHandle, Any]:
        """What to press for an element, and where on it. Raises ActionRefused for one that is covered or gone."""
        at = await self._spot(element)
        return await self._handle(element, "place"), at

    async def _spot(self, element: Element) -> Any:
        """Where to press for an element. Raises ActionRefused for one that is covered or gone."""
        at = await ask(self._frames, self._key(element), "aim")
        waits = time.monotonic() + ELEMENT_MS / 1000
        while "covered" in at and time.monotonic() < waits:  # by something that goes away by itself, perhaps
            await asyncio.sleep(0.05)
            at = await ask(self._frames, self._key(element), "aim")
        if at.get("gone"):
            raise Gone(f"{_named(element)} is gone from the page")
        if "covered" in at:
            by = f": {at['covered']}" if at["covered"] else ""
            raise TimedOut(f"{_named(element)} is covered by something else{by}")
        return at

    async def _handle(self, element: Element, what: str, key: str = "") -> ElementHandle:
        try:
            handle = await handle_of(self._frames, key or self._key(element), what)
        except PlaywrightError as error:
            if "detached" in str(error) or "context was destroyed" in str(error):
                handle = None
            else:
                raise
        if handle is None:
            raise Gone(f"{_named(element)} is gone from the page")
        return handle

    def _key(self, element: Element) -> str:
        if element.ref not in self._refs:
            raise Gone(f"{_named(element)} is gone from the page")
        return self._refs[element.ref]


def _place(at: Mapping[str, Any]) -> Any:
    return {"x": at["x"], "y": at["y"]}


def _point(text: str) -> dict[str, int]:
    x, y = text.split(",")
    return {"x": int(x), "y": int(y)}


def _named(element: Element) -> str:
    return f'{element.role} "{element.name}"'
