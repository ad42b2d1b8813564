"""A page and its references -> a screenshot with a box and a name at each reference.

The boxes are drawn over the picture in a page of their own, so that the page itself notices nothing.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Page

from lbi.environments.web.look import Look

_BOXES = """ids => ids.map(id => {
  const place = window[Symbol.for('lbi.look')].place(id);
  const box = place && place.getBoundingClientRect();
  return box ? [box.left, box.top, box.width, box.height] : null;
})"""
_STYLE = """body{margin:0;position:relative}img{display:block}
i{position:absolute;box-sizing:border-box;border:1px solid;}
b{position:absolute;font:bold 10px/11px sans-serif;color:#fff;padding:0 2px;white-space:nowrap}"""
_COLOURS = ("#c00", "#06c", "#080", "#a0a", "#b60", "#077")
Box = tuple[str, float, float, float, float]  # reference, left, top, width, height in pixels of the window


async def marked(page: Page, look: Look, refs: Mapping[str, str]) -> bytes:
    """A PNG of what is in view. Raises Playwright's Error."""
    picture = await page.screenshot()
    boxes = await boxes_of(look, refs)
    size = page.viewport_size or {"width": 1280, "height": 900}
    browser = page.context.browser
    if browser is None:
        raise PlaywrightError("the browser is gone")
    context = await browser.new_context(viewport=size)
    try:
        drawing = await context.new_page()
        await drawing.set_content(_drawn(picture, boxes, size["width"], size["height"]))
        return await drawing.screenshot()
    finally:
        await context.close()


async def boxes_of(look: Look, refs: Mapping[str, str]) -> list[Box]:
    """Where the references are in the window, frames included."""
    in_frame: dict[int, list[tuple[str, int]]] = {}
    for ref, key in refs.items():
        frame_number, _, identity = key.partition(":")
        in_frame.setdefault(int(frame_number), []).append((ref, int(identity)))
    boxes: list[Box] = []
    for number, members in in_frame.items():
        frame, left, top = look.frames[number], 0.0, 0.0
        if number:
            holder = await frame.frame_element()
            place = await holder.bounding_box() or {"x": 0.0, "y": 0.0}
            border = await holder.evaluate("one => [one.clientLeft, one.clientTop]")
            left, top = place["x"] + border[0], place["y"] + border[1]
        found = await frame.evaluate(_BOXES, [one for _, one in members])
        for (ref, _), box in zip(members, found, strict=True):
            if box is not None:
                boxes.append((ref, box[0] + left, box[1] + top, box[2], box[3]))
    return boxes


def _drawn(picture: bytes, boxes: list[Box], width: int, height: int) -> str:
    """The page that shows a picture with boxes on it; those out of view are left out."""
    parts = [f"<style>{_STYLE}</style><img src=data:image/png;base64,{base64.b64encode(picture).decode()}>"]
    for at, (ref, left, top, wide, high) in enumerate(boxes):
        if left + wide <= 0 or top + high <= 0 or left >= width or top >= height:
            continue
        colour = _COLOURS[at % len(_COLOURS)]
        over = top - 11 if top >= 11 else top
        parts.append(
            f'<i style="left:{left}px;top:{top}px;width:{wide}px;height:{high}px;color:{colour}"></i>'
            f'<b style="left:{max(0, left)}px;top:{over}px;background:{colour}">{html.escape(ref)}</b>'
        )
    return "".join(parts)
