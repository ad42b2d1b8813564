"""Password fields: what they hold is never read out of a page. <input type=password value=abc> reads as "••••".

Playwright reads pages in a JavaScript world of its own, where the page's scripts do not run. There, and only there, the
value of such a field is the mask. A selector engine is the door to that world.
"""

from __future__ import annotations

import asyncio
import contextlib

from playwright.async_api import Error as PlaywrightError
from playwright.async_api import Frame, Page, Playwright

from lbi.storage.secrets import MASK

_ENGINE = "lbi_password_fields"
_FRAME_SECONDS = 2.0  # in which a frame answers; one that does not cannot be read either

#: JavaScript: all roots of a document, and ``secret(field)`` for whether its value is nobody's business. A field that
#: was one for passwords stays one when a button shows its text.
FIELDS = """
const was = new WeakSet(), watched = new WeakSet();
const hides = element => {
  const security = getComputedStyle(element).webkitTextSecurity;
  return !!security && security !== 'none';
};
const secret = field => {
  if (was.has(field)) return true;
  const type = (field.type || '').toLowerCase();
  const names = `${field.name} ${field.id}`, completed = field.getAttribute('autocomplete') || '';
  const named = type === 'text' && /pass(word|wd|phrase|code)|(^|[^a-z])pwd([^a-z]|$)/i.test(names);
  if (type === 'password') was.add(field);
  return type === 'password' || named || hides(field) ||
    /(^|\\s)((current|new)-password|one-time-code)(\\s|$)/i.test(completed);
};
const noticed = changes => {
  for (const {target, oldValue} of changes) if ((oldValue || '').toLowerCase() === 'password') was.add(target);
};
const observer = new MutationObserver(noticed);
const roots = () => {
  const found = [document];
  for (let at = 0; at < found.length; at++)
    for (const element of found[at].querySelectorAll('*'))
      if (element.shadowRoot) found.push(element.shadowRoot);
  noticed(observer.takeRecords());
  for (const root of found) {
    if (!watched.has(root)) {
      watched.add(root);
      observer.observe(root, {subtree: true, attributeFilter: ['type'], attributeOldValue: true});
    }
    for (const field of root.querySelectorAll('input[type=password i]')) was.add(field);
  }
  return found;
};
"""

_SCRIPT = f"""(() => {{
  const mask = {MASK!r};
  const install = () => {{
    {FIELDS}
    let veiled = [];
    for (const prototype of [HTMLInputElement.prototype, HTMLTextAreaElement.prototype]) {{
      const value = Object.getOwnPropertyDescriptor(prototype, 'value');
      Object.defineProperty(prototype, 'value', {{
        ...value,
        get() {{ const held = value.get.call(this); return held && secret(this) ? mask : held; }},
      }});
    }}
    for (const name of ['nodeValue', 'textContent']) {{
      const text = Object.getOwnPropertyDescriptor(Node.prototype, name);
      Object.defineProperty(Node.prototype, name, {{
        ...text,
        get() {{
          const held = text.get.call(this);
          return held && veiled.length && veiled.some(field => field.contains(this)) ? mask : held;
        }},
      }});
    }}
    return () => {{
      veiled = roots().flatMap(root => [...root.querySelectorAll('[contenteditable], [role=textbox]')].filter(hides));
    }};
  }};
  let look;
  return {{
    query(root, body) {{ return this.queryAll(root, body)[0]; }},
    queryAll() {{
      const before = !!look;
      look ??= install();
      look();
      return before || self === top ? [document.body ?? document.documentElement] : [];
    }},
  }};
}})()"""


async def register(driver: Playwright) -> None:
    """Make the fields of all pages of this driver known by their kind."""
    await driver.selectors.register(_ENGINE, _SCRIPT, content_script=True)


async def read(page: Page) -> tuple[str, bool]:
    """Playwright's snapshot of a page, in which password fields read as the mask.

    The page itself is guarded in the same call. False if a frame's document is another than the one that was guarded.
    """
    await _guard(page)
    snapshot = await page.locator(f"{_ENGINE}=fields").aria_snapshot(mode="ai")
    return snapshot, await _guard(page)


async def _guard(page: Page) -> bool:
    """Guard the frames in a page. False where one was not guarded before."""
    return all(await asyncio.gather(*(_guarded(frame) for frame in page.frames if frame.parent_frame)))


async def _guarded(frame: Frame) -> bool:
    with contextlib.suppress(PlaywrightError, TimeoutError):  # it is gone already
        async with asyncio.timeout(_FRAME_SECONDS):
            return await frame.locator(f"{_ENGINE}=fields").count() > 0
    return True
