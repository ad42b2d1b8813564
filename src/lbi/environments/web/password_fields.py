"""Password fields in pictures: which fields hold what is nobody's business, by the rule that texts have, too."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

#: JavaScript: all roots of a document, and ``secret(field)`` for whether its value is nobody's business. A field that
#: was one for passwords stays one when a button shows its text.
_FIELDS = """
const was = new WeakSet(), watched = new WeakSet();
const hides = element => {
  const security = getComputedStyle(element).webkitTextSecurity;
  return !!security && security !== 'none';
};
const secret = field => {
  if (was.has(field)) return true;
  const type = (field.type || '').toLowerCase();
  if (type === 'password') was.add(field);
  return hides(field) || forPasswords(type, `${field.name} ${field.id}`, field.getAttribute('autocomplete') || '');
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


@cache
def fields_script() -> str:
    """``roots`` and ``secret``, with the rule that page/password.js holds for texts and pictures."""
    return files("lbi.environments.web").joinpath("page/password.js").read_text("utf-8") + _FIELDS
