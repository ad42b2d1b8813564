"""What a click or a key would set off on a page besides the element it is meant for, by name.

A key goes to what has the focus, Enter in a field of a form presses its default button, a click on a picture presses
the button around it, a click on a label what it labels, and an access key what has it.
"""

from __future__ import annotations

import json

from playwright.async_api import ElementHandle
from playwright.async_api import Error as PlaywrightError

from lbi.environments.web.session import Session
from lbi.environments.web.tabs import DocumentReplaced

PROBE = """
(start, key) => {
  const found = new Set();
  const add = one => { if (one) found.add(one); };
  const above = one => one.parentElement || (one.getRootNode && one.getRootNode().host) || null;
  const within = one => [...one.childNodes].map(spoken).join(' ');
  const spoken = node => {
    if (node.nodeType === 3) return node.data;
    if (node.nodeType !== 1 || node.getAttribute('aria-hidden') === 'true') return '';
    const said = name => node.getAttribute(name) || '';
    return said('aria-label') || said('alt') || within(node) || said('title');
  };
  const names = one => {
    const root = one.getRootNode();
    const by = (one.getAttribute('aria-labelledby') || '').split(/\\s+/)
      .map(id => id && root.getElementById && root.getElementById(id)).filter(Boolean).map(within).join(' ');
    const submits = one.tagName === 'INPUT' && ['submit', 'image', 'reset'].includes(one.type);
    const preset = submits ? (one.type === 'reset' ? 'Reset' : 'Submit') : '';
    return [by, one.getAttribute('aria-label'), ...[...(one.labels || [])].map(within),
      ['INPUT', 'BUTTON'].includes(one.tagName) && !['password', 'text'].includes(one.type) ? one.value : '',
      one.getAttribute('alt'), within(one), one.textContent, one.getAttribute('title'),
      one.getAttribute('placeholder'), preset];
  };
  const ROLES = ['button', 'link', 'menuitem', 'menuitemcheckbox', 'menuitemradio', 'tab', 'option', 'checkbox',
    'radio', 'switch', 'treeitem'];
  const acts = one => ['BUTTON', 'A', 'AREA', 'INPUT', 'SELECT', 'SUMMARY', 'OPTION'].includes(one.tagName)
    || ROLES.includes(one.getAttribute('role'));
  const around = (one, labels) => {
    for (let node = one; node; node = above(node)) {
      if (acts(node)) add(node);
      if (labels && node.tagName === 'LABEL') { add(node); add(node.control); }
    }
  };
  const last = (key || '').split('+').filter(Boolean).pop() || '';
  if (!key) {
    start.scrollIntoView({block: 'nearest', inline: 'nearest', behavior: 'instant'});
    const box = start.getClientRects()[0];
    const root = start.getRootNode();
    let hit = box && root.elementFromPoint && root.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    while (hit && hit.shadowRoot && hit !== start) {
      const deeper = hit.shadowRoot.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
      if (!deeper || deeper === hit) break;
      hit = deeper;
    }
    let inside = hit;
    while (inside && inside !== start) inside = above(inside);
    around(inside ? hit : start, true);
  } else {
    let focus = start || document.activeElement;
    for (;;) {
      let deeper = null;
      try {
        deeper = focus && focus.contentDocument ? focus.contentDocument.activeElement
          : focus && focus.shadowRoot && focus.shadowRoot.activeElement;
      } catch (error) { /* a frame of another site */ }
      if (!deeper) break;
      focus = deeper;
    }
    const tag = focus ? focus.tagName : '';
    const field = tag === 'INPUT' && !['button', 'submit', 'image', 'reset', 'file', 'color'].includes(focus.type);
    if (focus && ['Enter', 'NumpadEnter', '\\r', '\\n'].includes(last)) {
      const form = field && focus.form;
      if (form) {
        const buttons = [...form.getRootNode().querySelectorAll('button, input')]
          .filter(one => one.form === form && ['submit', 'image'].includes(one.type));
        if (buttons[0] && !buttons[0].disabled) add(buttons[0]);
      }
      if (!field && tag !== 'TEXTAREA') around(focus, false);
    } else if (focus && ['Space', ' '].includes(last === '' ? ' ' : last)) {
      if (!field || ['checkbox', 'radio'].includes(focus.type)) around(focus, false);
    } else if (focus && (tag === 'SELECT' || field && ['radio', 'range'].includes(focus.type))
        && !['Tab', 'Escape', 'Shift', 'Control', 'Alt'].includes(last)) {
      add(focus);
      const group = focus.type === 'radio' && focus.name ? [...focus.getRootNode().querySelectorAll('input')] : [];
      group.filter(one => one.type === 'radio' && one.name === focus.name && one.form === focus.form).forEach(add);
    }
    if (/Alt\\+/.test(key)) {
      const letter = last.replace(/^(Key|Digit)/, '').toLowerCase();
      const page = (focus && focus.ownerDocument) || document;
      for (const one of page.querySelectorAll('[accesskey]')) {
        if (!one.getAttribute('accesskey').toLowerCase().split(/\\s+/).includes(letter)) continue;
        add(one);
        if (one.tagName === 'LABEL') add(one.control);
      }
    }
  }
  return [...found].flatMap(names).filter(Boolean).map(name => name.replace(/\\s+/g, ' ').trim().slice(0, 1000));
}
"""


async def names_clicked(element: ElementHandle) -> list[str]:
    """Names of all that a click on an element sets off. The click itself says why, where the element cannot be had."""
    try:
        return _texts(await element.evaluate(f"element => ({PROBE})(element, '')"))
    except PlaywrightError:
        return []


async def names_pressed(session: Session, key: str, element: ElementHandle | None) -> list[str]:
    """Names of all that a key sets off on an element, or on what has the focus."""
    try:
        if element is not None:
            return _texts(await element.evaluate(f"(element, key) => ({PROBE})(element, key)", key))
        return _texts(await session.evaluate(f"({PROBE})(null, {json.dumps(key)})"))
    except (PlaywrightError, DocumentReplaced):
        return []


def _texts(names: object) -> list[str]:
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
