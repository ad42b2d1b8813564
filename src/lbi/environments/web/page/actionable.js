// What the browser knows can be acted on in this document, against the elements that an observation offers.
//
// Evaluated by the debugging protocol with its command line functions, of which `getEventListeners` says what each
// element listens to. It shares nothing with look.js, whose choice it judges. The rules are in coverage.py.
(offered, strict) => {
  const PRESS = new Set(['click', 'dblclick', 'mousedown', 'mouseup', 'pointerdown', 'pointerup', 'touchstart',
    'touchend', 'contextmenu', 'auxclick']);
  const KEYS = new Set(['keydown', 'keyup', 'keypress']);
  const OVER = new Set(['mouseenter', 'mouseover', 'pointerenter', 'pointerover']);
  const NATIVE = 'a[href],area[href],button,input:not([type=hidden]),select,textarea,details>summary:first-of-type,' +
    'video[controls],audio[controls]';
  const MOST = 2000; // elements whose place is tried out

  // -- the composed tree ---------------------------------------------------------------------------------------------

  const all = [];
  const collect = root => {
    for (const element of root.querySelectorAll('*')) {
      all.push(element);
      if (element.shadowRoot) collect(element.shadowRoot);
    }
  };
  collect(document);
  const up = element => element.assignedSlot || element.parentElement || (element.getRootNode().host ?? null);
  const inside = (element, outer) => {
    for (let at = element; at; at = up(at)) if (at === outer) return true;
    return false;
  };
  const hit = (x, y) => {
    let found = document.elementFromPoint(x, y);
    while (found && found.shadowRoot) {
      const inner = found.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === found) break;
      found = inner;
    }
    return found;
  };
  const area = box => box.width * box.height;
  const text = element => (element.innerText ?? element.textContent ?? '').replace(/\s+/g, ' ').trim();

  // -- where it is pressed -------------------------------------------------------------------------------------------

  const picture = area => document.querySelector(`img[usemap="#${CSS.escape(area.closest('map')?.name || '')}"]`);
  // points of an element in view, its own middle first
  const points = element => {
    const found = [];
    if (element.localName === 'area') {
      const box = picture(element).getBoundingClientRect(), at = element.coords.split(',').map(Number);
      const middle = start => { // of a polygon's corners, too
        let sum = 0, many = 0;
        for (let i = start; i < at.length; i += 2) { sum += at[i]; many++; }
        return sum / many;
      };
      if (element.shape === 'circle' || at.length === 3) return [[box.left + at[0], box.top + at[1]]];
      return at.length < 4 ? [[box.left + box.width / 2, box.top + box.height / 2]] : [[box.left + middle(0), box.top + middle(1)]];
    }
    for (const box of [element.getBoundingClientRect(), ...[...element.getClientRects()].slice(0, 4)]) {
      for (const [x, y] of [[.5, .5], [.1, .5], [.9, .5], [.5, .1], [.5, .9], [.1, .1], [.9, .9], [.9, .1], [.1, .9]]) {
        found.push([box.left + box.width * x, box.top + box.height * y]);
      }
      for (const x of [box.left + 2, (box.left + box.right) / 2, box.right - 2]) {
        for (const y of [box.top + 2, (box.top + box.bottom) / 2, box.bottom - 2]) found.push([x, y]);
      }
    }
    return found.filter(([x, y]) => x >= 0 && y >= 0 && x < innerWidth && y < innerHeight);
  };
  const scrolled = new Map();
  const show = element => {
    if (element.localName === 'area') element = picture(element);
    const box = element.getBoundingClientRect();
    const whole = box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
    if (whole) { // it may be cut off by a box that scrolls
      const found = hit((box.left + box.right) / 2, (box.top + box.bottom) / 2);
      if (found && acts(found, element)) return;
    }
    for (let at = element; at; at = up(at)) {
      if (!scrolled.has(at) && (at.scrollTop || at.scrollLeft || at.scrollHeight > at.clientHeight || at.scrollWidth > at.clientWidth)) scrolled.set(at, [at.scrollTop, at.scrollLeft]);
    }
    element.scrollIntoView({block: 'center', inline: 'nearest', behavior: 'instant'});
  };
  // whether a press there acts on the element: within it, or on a label of it
  const acts = (found, element) => inside(found, element) || (!!found.closest && found.closest('label')?.control === element);
  // the element that a press on `element` would hit, once it is scrolled into view; null if something covers it
  const pressed = element => {
    show(element);
    let second = null;
    for (const [x, y] of points(element)) {
      const found = hit(x, y);
      if (!found || !acts(found, element)) continue;
      let own = true; // not in another of those offered
      for (let at = found; at && at !== element && own; at = up(at)) if (places.has(at)) own = false;
      if (own) return found;
      second = second || found;
    }
    return second;
  };

  // -- what can be acted on ------------------------------------------------------------------------------------------

  const heard = (element, kinds) => {
    for (const kind of kinds) if (element[kind]?.length) return true;
    return false;
  };
  const off = element => {
    try { if (element.matches(':disabled')) return true; } catch (error) {}
    for (let at = element; at; at = up(at)) {
      if (at.inert || at.getAttribute('aria-disabled') === 'true') return true;
    }
    return false;
  };
  const modal = [...document.querySelectorAll('dialog')].filter(one => { try { return one.matches(':modal'); } catch (error) { return false; } }).pop();
  const drawn = element => {
    if (element.localName === 'area') return !!picture(element) && drawn(picture(element));
    const box = element.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) {
      if (![...element.getClientRects()].some(one => one.width >= 2 && one.height >= 2)) return false;
    }
    // a transparent box to tick lies over its picture
    const clear = !['checkbox', 'radio', 'file'].includes(element.type);
    if (element.checkVisibility && !element.checkVisibility({visibilityProperty: true, opacityProperty: clear, contentVisibilityAuto: false})) return false;
    const style = getComputedStyle(element);
    return style.pointerEvents !== 'none' && style.clip !== 'rect(0px, 0px, 0px, 0px)';
  };
  const cursors = new Map();
  const cursor = element => {
    let found = cursors.get(element);
    if (found === undefined) cursors.set(element, found = getComputedStyle(element).cursor);
    return found;
  };
  const why = (element, listeners) => {
    const reasons = [];
    if (element.matches(NATIVE)) reasons.push('native');
    else if (element.localName === 'label' && element.control) reasons.push('label');
    if (element.isContentEditable && !(element.parentElement && element.parentElement.isContentEditable)) reasons.push('editable');
    if (heard(listeners, PRESS)) reasons.push('listens to the pointer');
    // keys come to what can have the focus, by a click at least
    if (heard(listeners, KEYS) && (element.hasAttribute('tabindex') || reasons.length)) reasons.push('listens to keys');
    if (element.getAttribute('draggable') === 'true') reasons.push('draggable');
    if (element.hasAttribute('tabindex') && element.tabIndex >= 0) reasons.push('focusable');
    const above = up(element);
    if (cursor(element) === 'pointer' && (!above || cursor(above) !== 'pointer')) reasons.push('pointer cursor');
    return reasons;
  };

  const places = new Map(); // where a reference is pressed -> its number
  const owners = new Set(); // the elements of the references, which may be pressed elsewhere (by their labels)
  offered.forEach(([element, place], number) => {
    if (!element) return;
    owners.add(element);
    if (place) { places.set(place, number); owners.add(place); }
  });
  // the nearest offered element around one, itself included
  const offeredAround = element => {
    for (let at = element; at; at = up(at)) if (owners.has(at)) return at;
    return null;
  };
  const holders = new Map(); // an element -> those offered within it
  for (const one of owners) {
    for (let at = up(one); at; at = up(at)) {
      if (!holders.has(at)) holders.set(at, []);
      holders.get(at).push(one);
    }
  }
  const spoken = (element, parts) => { // whether all that it says and shows lies in its parts
    const rest = parts.filter(part => !parts.some(other => other !== part && inside(part, other)));
    let left = text(element);
    for (const part of rest) left = left.replace(text(part), ' ');
    return !/[\p{L}\p{N}]/u.test(left);
  };

  // whether a reference is or does the same
  const PASSED = 'passed on';
  const offers = (element, reasons, native, listening, label) => {
    if (owners.has(element)) return true;
    if (label === element && owners.has(label.control)) { known.add(label.control); return true; }
    const parts = holders.get(element) || [];
    if (parts.length && !native) {
      if (!reasons.includes('pointer cursor') && !reasons.includes('draggable')) return PASSED;
      const box = area(element.getBoundingClientRect());
      return parts.some(part => area(part.getBoundingClientRect()) > 0.6 * box) || spoken(element, parts);
    }
    const around = native ? null : offeredAround(up(element));
    if (!around || !listening) return !!around;
    // a press on the element around it must land in it
    const place = places.has(around) ? around : [...places.keys()].find(one => inside(one, around)) || around;
    const found = pressed(place);
    return !!found && inside(found, element);
  };

  let total = 0, covered = 0, passing = 0, hovering = 0, hoveringOffered = 0, known = new Set();
  const candidates = [];
  for (const element of all) {
    if (element === document.documentElement || element === document.body || element.closest('head')) continue;
    if (modal && !inside(element, modal)) continue;
    const listeners = getEventListeners(element);
    const reasons = why(element, listeners);
    if (!reasons.length) {
      if (heard(listeners, OVER) && drawn(element)) { hovering++; if (owners.has(element)) { hoveringOffered++; known.add(element); } }
      continue;
    }
    if (owners.has(element)) known.add(element);
    if (!drawn(element) || off(element)) continue;
    const listening = reasons.some(reason => reason.startsWith('listens'));
    const native = reasons.includes('native') || reasons.includes('editable');
    const label = element.closest('label');
    if (label === element && label.control) { // it stands for its control where that is not drawn
      if (off(label.control) || drawn(label.control) || !['checkbox', 'radio', 'file'].includes(label.control.type)) continue;
    } else if (label && label.control && !native && !listening) continue; // a part of a label
    if (total < MOST && !pressed(element)) continue;
    total++;
    const how = offers(element, reasons, native, listening, label);
    if (how) covered++; else candidates.push([element, reasons]);
    if (how === PASSED) passing++;
  }
  const missing = [];
  const selector = element => {
    const steps = [];
    for (let at = element; at && steps.length < 4; at = up(at)) {
      if (at === document.body) break;
      let step = at.localName;
      if (at.id) { steps.unshift(`${step}#${at.id}`); break; }
      const kind = (at.getAttribute('class') || '').trim().split(/\s+/).filter(Boolean).slice(0, 2);
      if (kind.length) step += '.' + kind.join('.');
      steps.unshift(step);
    }
    return steps.join(' > ');
  };
  for (const [element, reasons] of candidates) { // of those in each other that say the same, one is named
    const outer = missing.find(one => inside(element, one.element) && text(one.element) === text(element));
    if (!outer || reasons.includes('native')) missing.push({element, reasons, selector: selector(element)});
  }
  const unusable = [];
  if (strict) {
    offered.forEach(([element, place], number) => {
      if (!place || !place.isConnected || !pressed(place)) unusable.push(number);
    });
  }
  for (const [box, [top, left]] of scrolled) { box.scrollTop = top; box.scrollLeft = left; }
  const idle = [];
  offered.forEach(([element, place], number) => { if (element && !known.has(element) && !known.has(place)) idle.push(number); });
  return {total, covered, passing, hovering, hoveringOffered, idle, unusable, beyond: Math.max(0, total - MOST),
    missing: missing.map(one => ({role: one.element.getAttribute('role') || one.element.localName,
      name: (one.element.getAttribute('aria-label') || text(one.element) || one.element.getAttribute('title') || '').slice(0, 80),
      selector: one.selector, why: one.reasons.join(', ')}))};
}
