"""Password fields in pictures: which fields hold what is nobody's business (page/look.js has the rule for texts)."""

from __future__ import annotations

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
