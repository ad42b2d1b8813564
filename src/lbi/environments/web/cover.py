"""Covers password fields, and text that shows a secret, for as long as a picture of a page is taken.

What is covered is known here and not in the page: its texts are read in a JavaScript world of ours, secrets are looked
for in this process, and only numbers of texts go back. Nothing of the document is changed: texts are highlighted black
on black (CSS Custom Highlight API), and a box of a style sheet that only this world holds is drawn over them.
"""

from __future__ import annotations

import bisect
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from playwright.async_api import CDPSession, Page
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.password_fields import fields_script
from lbi.storage.secrets import holds_secret, spans

_WORLD = "lbi_cover"
#: texts: of the nodes in their order; fields: what each of them shows, null where that is nobody's business
_INSTALL = """(() => {
  if (self.lbi) return;
  // fields
  let nodes = [], fields = [], sheets = [], mark = '';
  const unseen = new Set(['SCRIPT', 'STYLE', 'NOSCRIPT', 'TEMPLATE', 'OPTION', 'TEXTAREA']);
  const chosen = field => [...field.selectedOptions || []].map(option => option.label);
  const shown = field => [field.value, field.placeholder, field.alt, ...chosen(field)].filter(Boolean).join('\\n');
  self.lbi = {
    read() {
      nodes = []; fields = [];
      for (const root of roots()) {
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        while (walker.nextNode())
          if (!unseen.has(walker.currentNode.parentElement?.nodeName)) nodes.push(walker.currentNode);
        fields.push(...root.querySelectorAll('input, textarea, select, img[alt], [contenteditable], [role=textbox]'));
      }
      return {
        texts: nodes.map(node => node.data),
        fields: fields.map(field => secret(field) ? null : field.isContentEditable ? '' : shown(field)),
      };
    },
    cover(texts, those) {
      mark = 'h' + crypto.getRandomValues(new Uint32Array(4)).join('');
      const ranges = texts.map(at => { const range = new Range(); range.selectNodeContents(nodes[at]); return range; });
      const rects = [...ranges.flatMap(range => [...range.getClientRects()]),
                     ...those.map(at => fields[at].getBoundingClientRect())];
      const boxes = rects.filter(box => box.width && box.height).map(box =>
        `linear-gradient(#000,#000) ${box.left}px ${box.top}px / ${box.width}px ${box.height}px no-repeat`);
      const hidden = new Set(those.map(at => fields[at]));
      for (const root of roots()) {
        const sheet = new CSSStyleSheet();
        const rules = [`::highlight(${mark}) { color: #000; background-color: #000; text-shadow: none;
          -webkit-text-fill-color: #000; text-decoration: none; }`];
        if (boxes.length) rules.push(`:root::after, :modal::after, :popover-open::after, :fullscreen::after {
          all: initial !important; content: "" !important; display: block !important; position: fixed !important;
          inset: 0 !important; z-index: 2147483647 !important; pointer-events: none !important;
          background: ${boxes.join(',')} !important; }`);
        for (const field of hidden)
          if (field.getRootNode() === root) rules.push(`${path(field)} { -webkit-text-security: square !important; }`);
        sheet.replaceSync(rules.join(' '));
        root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
        sheets.push([root, sheet]);
      }
      CSS.highlights.set(mark, new Highlight(...ranges));
      return true;
    },
    uncover() {
      for (const [root, sheet] of sheets)
        root.adoptedStyleSheets = [...root.adoptedStyleSheets].filter(other => other !== sheet);
      sheets = [];
      CSS.highlights.delete(mark);
    },
  };
  const path = element => {
    const parts = [];
    for (let at = element; at; at = at.parentElement)
      parts.unshift(at.parentNode?.children ? `:nth-child(${[...at.parentNode.children].indexOf(at) + 1})` : '*');
    return parts.join(' > ');
  };
})();"""


@cache
def _install() -> str:
    return _INSTALL.replace("  // fields\n", fields_script())


class Changed(Exception):
    """Something showed a secret that was not covered, as the page had changed."""


@contextlib.asynccontextmanager
async def covered(page: Page, cdp: CDPSession) -> AsyncIterator[None]:
    """While this is entered, no password field and no secret is to be seen.

    Raises Changed at the end if one came up meanwhile: then the picture must not be kept.
    """
    frames = await _frames(page, cdp)
    hidden = [await frame.cover() for frame in frames]
    try:
        yield
        again = [await frame.matches() for frame in frames]
    finally:
        for frame in frames:
            await frame.evaluate("lbi.uncover()")
    if None in hidden or again != hidden or len(frames) != len(await _frames(page, cdp)):
        raise Changed


class _CoveredFrame:
    def __init__(self, cdp: CDPSession, context: int) -> None:
        self._cdp, self._context = cdp, context

    async def evaluate(self, script: str) -> Any:
        with contextlib.suppress(PlaywrightError):  # the document is another by now
            values = {"expression": script, "contextId": self._context, "returnByValue": True}
            reply = await self._cdp.send("Runtime.evaluate", values)
            return reply.get("result", {}).get("value")
        return None

    async def matches(self) -> tuple[list[str], int] | None:
        """The texts with secrets in them, and how many fields are covered: what has to be the same afterwards.

        None if the document cannot be read, as one that was replaced.
        """
        found = await self._found()
        return found and (found[2], len(found[1]))

    async def cover(self) -> tuple[list[str], int] | None:
        found = await self._found()
        if found is None:
            return None
        done = not (found[0] or found[1]) or await self.evaluate(
            f"lbi.cover({json.dumps(found[0])}, {json.dumps(found[1])})"
        )
        return (found[2], len(found[1])) if done else None

    async def _found(self) -> tuple[list[int], list[int], list[str]] | None:
        """Numbers of the text nodes and of the fields to cover, and the texts."""
        read = await self.evaluate(_install() + "lbi.read()")
        if not isinstance(read, dict):
            return None
        texts, fields = read["texts"], read["fields"]
        numbers = showing(texts)
        covered = [at for at, text in enumerate(fields) if text is None or holds_secret(text)]
        return numbers, covered, [texts[at] for at in numbers]


def showing(texts: Sequence[str]) -> list[int]:
    """The numbers of the texts that show a secret, also one that goes on from one to the next."""
    starts = [0, *accumulate(map(len, texts))]
    numbers: set[int] = set()
    for start, end in spans("".join(texts)):
        numbers.update(range(bisect.bisect_right(starts, start) - 1, bisect.bisect_left(starts, end)))
    return sorted(number for number in numbers if texts[number].strip())


async def _frames(page: Page, cdp: CDPSession) -> list[_CoveredFrame]:
    """The page's frames, also those of other sites, which are in processes of their own."""
    frames = await _local_frames(cdp)
    for frame in page.frames[1:]:
        with contextlib.suppress(PlaywrightError):  # it is in the page's own process
            frames += await _local_frames(await page.context.new_cdp_session(frame))
    return frames


async def _local_frames(cdp: CDPSession) -> list[_CoveredFrame]:
    tree = (await cdp.send("Page.getFrameTree"))["frameTree"]
    trees, frames = [tree], []
    for each in trees:
        trees += each.get("childFrames", [])
        with contextlib.suppress(PlaywrightError):  # it is gone already
            world = {"frameId": each["frame"]["id"], "worldName": _WORLD}
            frames.append(_CoveredFrame(cdp, (await cdp.send("Page.createIsolatedWorld", world))["executionContextId"]))
    return frames
