"""Scripts that find out, within the page and without fixed pauses, when a page is ready to be observed.

WATCH runs in every document before its own scripts. It counts requests in flight, and notes new tabs and a navigation
that has begun (the Navigation API reports it long before the new document arrives). SETTLE waits until nothing is under
way. If the document is replaced meanwhile, the call fails and is repeated in the new one.
"""

from __future__ import annotations

#: requests older than this (ms) are taken for long polls and not waited for
STALE = 2000
#: a timer (ms) that an action starts counts as a request: the page goes on when it has run off, as with suggestions
DEBOUNCE = 1000
#: the same for a timer that a page starts while it loads; longer ones are for carousels and the like
LOADING = 300
#: timers and answers that follow each other from one action: what a page repeats for ever is not waited for
CHAIN = 3
#: the longest movement (ms) that is waited for: panels and dialogs that slide or fade in
MOVING = 600
#: a form that was sent (ms): the browser begins its navigation in a task of its own, which may come late
SENT = 1000
#: elements without a size of which it is asked whether a picture of a style is to fill them
EMPTY = 500
#: questions to the browser's own stores (IndexedDB, caches, files) that are waited for, of one action or one loading
ASKED = 500

WATCH = (
    """
(() => {
  const key = Symbol.for('lbi.watch');
  if (window[key]) return;
  const watch = {requests: new Map(), count: 0, going: 0, opened: 0, choosers: 0, active: false, changed: 0,
    sent: null, drawn: new Map(), now: () => performance.now()};
  Object.defineProperty(window, key, {value: watch});
  const begin = (draws = true) => {
    const id = ++watch.count;
    watch.requests.set(id, performance.now());
    watch.active = watch.active || draws;
    // what the page makes of an answer comes after it, as a change of the document does
    return () => { watch.requests.delete(id); watch.changed = performance.now(); };
  };
  for (const name of ['arrayBuffer', 'blob', 'formData', 'json', 'text']) {
    const read = Response.prototype[name];
    Response.prototype[name] = function () {
      const end = begin();
      const promise = read.call(this);
      promise.then(end, end);
      return promise;
    };
  }
  const setTimer = window.setTimeout, clearTimer = window.clearTimeout, timers = new Map();
  // how many timers and answers in a row still belong to the action, or to the loading, that runs at this moment
  let acting = 1, longest = LOADING_MS, turn = 0, asks = MOST_ASKED;
  // of a timer of a loading page it is enough that it has run, unless it changes something, or starts what may
  let idle = 0;
  const stir = () => { if (idle) watch.active = true; };
  const goOn = depth => {
    acting = Math.max(0, depth);
    const mine = ++turn;
    setTimer.call(window, () => { if (turn === mine) acting = 0; });
  };
  const fetch = window.fetch;
  if (fetch) window.fetch = function (...args) {
    const end = begin();
    const promise = fetch.apply(this, args);
    const depth = acting;
    const ended = () => { end(); goOn(depth - 1); };
    promise.then(ended, ended);
    return promise;
  };
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...args) {
    const end = begin(), depth = acting;
    this.addEventListener('readystatechange', () => { if (this.readyState === 4) goOn(depth - 1); });
    this.addEventListener('loadend', end);
    try { return send.apply(this, args); } catch (error) { end(); throw error; }
  };
  // what the browser keeps for a page is asked for and answered as a request is
  const asked = (kind, names, answered) => {
    for (const name of names) {
      const ask = kind && kind.prototype[name];
      if (ask) kind.prototype[name] = function (...args) {
        const answer = ask.apply(this, args);
        if (!acting || asks-- <= 0) return answer;
        const end = begin(), depth = acting;
        answered(answer, () => { goOn(depth); end(); }, this);
        return answer;
      };
    }
  };
  const once = {once: true};
  const promised = (promise, done) => { promise.then(done, done); };
  const fired = (request, done) => {
    for (const kind of ['success', 'error']) request.addEventListener(kind, done, once);
  };
  const READ = ['get', 'getAll', 'getKey', 'getAllKeys', 'count', 'openCursor', 'openKeyCursor'];
  asked(window.IDBFactory, ['databases'], promised);
  asked(window.IDBFactory, ['open', 'deleteDatabase'], fired);
  asked(window.IDBObjectStore, [...READ, 'put', 'add', 'delete', 'clear'], fired);
  asked(window.IDBIndex, READ, fired);
  const NEXT = ['continue', 'continuePrimaryKey', 'advance'];
  asked(window.IDBCursor, NEXT, (_, done, cursor) => fired(cursor.request, done));
  asked(window.CacheStorage, ['open', 'keys', 'match', 'has', 'delete'], promised);
  asked(window.Cache, ['keys', 'match', 'matchAll', 'put', 'delete'], promised);
  asked(window.ServiceWorkerContainer, ['register', 'getRegistration', 'getRegistrations'], promised);
  asked(window.SubtleCrypto, ['digest', 'sign', 'verify', 'encrypt', 'decrypt', 'importKey', 'deriveKey'], promised);
  asked(window.Blob, ['text', 'arrayBuffer'], promised);
  asked(window.FileReader, ['readAsText', 'readAsDataURL', 'readAsArrayBuffer', 'readAsBinaryString'],
    (_, done, reader) => reader.addEventListener('loadend', done, once));
  for (const kind of [window.MessagePort, window.Worker]) {
    const post = kind && kind.prototype.postMessage;
    if (post) kind.prototype.postMessage = function (...args) { stir(); return post.apply(this, args); };
  }
  for (const name of ['requestAnimationFrame', 'requestIdleCallback']) {
    const ask = window[name];
    if (ask) window[name] = function (...args) { stir(); return ask.apply(window, args); };
  }
  const by = ['pointerdown', 'pointerup', 'click', 'dblclick', 'keydown', 'keyup', 'input', 'change', 'submit', 'drop'];
  for (const kind of by) {
    addEventListener(kind, event => {
      longest = DEBOUNCE_MS;
      asks = MOST_ASKED;
      if (event.isTrusted || !acting) goOn(CHAIN_LENGTH);
    }, true);
  }
  addEventListener('load', () => goOn(0));
  window.setTimeout = function (task, delay, ...args) {
    if (!acting || !(delay > 0 && delay <= longest) || typeof task !== 'function') {
      if (!(delay > LOADING_MS)) stir();
      return setTimer.call(window, task, delay, ...args);
    }
    const draws = longest > LOADING_MS, end = begin(draws), depth = acting;
    const timer = setTimer.call(window, () => {
      goOn(depth - 1);
      if (!draws) {
        idle++;
        setTimer.call(window, () => { idle--; });
      }
      try { task.apply(window, args); } finally { timers.delete(timer); end(); }
    }, delay);
    timers.set(timer, end);
    return timer;
  };
  window.clearTimeout = function (timer) {
    if (timers.has(timer)) timers.get(timer)();
    timers.delete(timer);
    clearTimer.call(window, timer);
  };
  // a page that asks for a file by a field that is not on it
  for (const name of ['click', 'showPicker']) {
    const ask = HTMLInputElement.prototype[name];
    if (ask) HTMLInputElement.prototype[name] = function () {
      if (this.type === 'file' && !(name === 'click' && this.isConnected)) watch.choosers++;
      return ask.call(this);
    };
  }
  const open = window.open;
  window.open = function (...args) { watch.opened++; return open.apply(this, args); };
  const opens = element => {
    const target = element && (element.getAttribute('formtarget') || element.getAttribute('target'));
    return target && !['_self', '_top', '_parent'].includes(target) && !window.frames[target];
  };
  addEventListener('click', event => {
    const link = event.composedPath().find(node => node.tagName === 'A' && node.href);
    const field = event.composedPath().find(node => node.tagName === 'INPUT' && node.type === 'file');
    if (field) queueMicrotask(() => { if (!event.defaultPrevented) watch.choosers++; });
    if (opens(link)) queueMicrotask(() => { if (!event.defaultPrevented) watch.opened++; });
  }, true);
  addEventListener('submit', event => {
    if (opens(event.submitter) || opens(event.target)) {
      queueMicrotask(() => { if (!event.defaultPrevented) watch.opened++; });
    }
  }, true);
  // whether the page keeps the form for itself is known only once all of its own listeners have run
  const formSent = (form, submitter, kept) => {
    const said = name => (submitter && submitter.getAttribute('form' + name)) || form.getAttribute(name) || '';
    const here = ['', '_self'].includes(said('target').toLowerCase()) && said('method').toLowerCase() !== 'dialog';
    if (here && !/^\\s*javascript:/i.test(said('action'))) watch.sent = {kept, at: performance.now()};
  };
  addEventListener('submit', event => {
    if (event.isTrusted) formSent(event.target, event.submitter, () => event.defaultPrevented);
  }, true);
  const submit = HTMLFormElement.prototype.submit;
  HTMLFormElement.prototype.submit = function (...args) {
    if (this.isConnected) formSent(this, null, () => false);
    return submit.apply(this, args);
  };
  if (window.navigation) {
    navigation.addEventListener('navigate', event => {
      watch.sent = null;
      if (event.hashChange || event.destination.sameDocument || event.downloadRequest !== null) return;
      watch.going = performance.now();
    });
    for (const kind of ['navigatesuccess', 'navigateerror']) {
      navigation.addEventListener(kind, () => { watch.going = 0; });
    }
  }
  // what the browser would fetch ahead passes nobody who judges it
  const ahead = node => node.tagName === 'SCRIPT' && node.type.toLowerCase() === 'speculationrules';
  new MutationObserver(changes => {
    watch.changed = performance.now();
    stir();
    for (const change of changes) for (const node of change.addedNodes) if (ahead(node)) node.remove();
  }).observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
})();
""".replace("DEBOUNCE_MS", str(DEBOUNCE))
    .replace("LOADING_MS", str(LOADING))
    .replace("CHAIN_LENGTH", str(CHAIN))
    .replace("MOST_ASKED", str(ASKED))
)

SETTLE = """
(async () => {
  const PLACED = new RegExp('^(transform|translate|scale|rotate|opacity|visibility|display|clipPath|inset|margin'
    + '|grid|flex|((max|min)?(width|height)|left|right|top|bottom)$)', 'i');
  const pause = ms => new Promise(done => setTimeout(done, ms));
  const key = Symbol.for('lbi.watch');
  const start = performance.now();
  const after = ms => performance.now() - start > ms;
  // looked up each time: a frame that navigates gets a new window
  const windows = (top = window, found = []) => {
    try { top.document && found.push(top); } catch (error) { return found; }
    for (let i = 0; i < top.length; i++) windows(top[i], found);
    return found;
  };
  const watches = () => windows().map(one => one[key]).filter(Boolean);
  const sent = watch => watch.sent && !watch.sent.kept() && watch.now() - watch.sent.at < SENT_MS;
  const going = () => watches().some(watch => watch.going || sent(watch));
  const waiting = () => watches().some(watch =>
    [...watch.requests.values()].some(began => watch.now() - began < STALE_MS));
  const restless = () => watches().some(watch => watch.active && watch.now() - watch.changed < 40);
  const loading = () => windows().some(one => one !== window && one.document.readyState === 'loading');
  // a picture that is on its way and has no size yet: what it fills, such as a link, cannot be seen before it is there
  const sizeless = picture => !picture.complete && picture.loading !== 'lazy' && picture.getClientRects().length > 0
    && !(picture.offsetWidth && picture.offsetHeight);
  // a style puts one in the place of an element, or before it; that it has come is told by asking for the same again
  const drawn = one => {
    const known = (one[key] || {}).drawn, found = [];
    let empty = 0;
    for (const element of known && one.document.body ? one.document.body.getElementsByTagName('*') : []) {
      if (element.offsetWidth !== 0 && element.offsetHeight !== 0 || !element.getClientRects().length) continue;
      if (++empty > EMPTY_MOST) break;
      for (const part of [null, '::before', '::after']) {
        const url = /^url\\("(.+?)"\\)/.exec(one.getComputedStyle(element, part).content);
        if (!url) continue;
        if (!known.has(url[1])) known.set(url[1], Object.assign(new one.Image(), {src: url[1]}));
        found.push(known.get(url[1]));
      }
    }
    return found;
  };
  let asked = [];
  const styled = () => {
    if (!asked.some(picture => !picture.complete)) asked = windows().flatMap(drawn);
    return asked.some(picture => !picture.complete);
  };
  const pictures = () => !after(STALE_MS)
    && (windows().some(one => [...one.document.images].some(sizeless)) || styled());
  // what slides or fades in lies elsewhere, or is not to be seen, until it is there; what goes on for ever is not
  // waited for
  const moves = animation => {
    const {endTime, activeDuration} = animation.effect ? animation.effect.getComputedTiming() : {};
    if (animation.playState !== 'running' || !(activeDuration > 0 && endTime <= MOVING_MS)) return false;
    return animation.effect.getKeyframes().some(frame => Object.keys(frame).some(name => PLACED.test(name)));
  };
  const moving = () => !after(MOVING_MS) && windows().some(one => one.document.getAnimations().some(moves));
  let released = false;
  if (document.readyState === 'loading') {
    // of a document whose connection broke off, this event never comes; a page that goes elsewhere while it is read,
    // and is not let, becomes complete without any event
    const parsed = new Promise(done => document.addEventListener('DOMContentLoaded', done, {once: true}));
    const given_up = new Promise(done => {
      if (window[key]) window[key].release = () => { released = true; done(); };
    });
    while (document.readyState === 'loading' && !released && !after(GOING_MS)) {
      await Promise.race([parsed, given_up, pause(50)]);
    }
  }
  await pause(0);
  await pause(0);
  while (going() && !after(GOING_MS)) await pause(5);
  while ((waiting() || restless() || loading() || pictures() || moving()) && !after(QUIET_MS)) {
    await pause(5);
    while (going() && !after(GOING_MS)) await pause(5);
  }
  let opened = 0, choosers = 0;
  for (const watch of watches()) {
    opened += watch.opened;
    choosers += watch.choosers;
    watch.opened = watch.choosers = 0;
    watch.active = false;
  }
  const arrival = performance.getEntriesByType('navigation')[0];
  const arrived = released || document.readyState !== 'loading';
  return {url: location.href, title: document.title, opened, choosers, going: going() || !arrived,
    status: (arrival && arrival.responseStatus) || 0, born: performance.timeOrigin};
})()
"""


#: for a navigation that became a download, an empty reply or a refusal: no event tells the page that it has ended
RELEASE = """
(() => {
  const visit = frame => {
    try {
      const watch = frame[Symbol.for('lbi.watch')] || {};
      watch.going = 0;
      watch.sent = null;
      if (watch.release) watch.release();
    } catch (error) { return; }
    for (let i = 0; i < frame.length; i++) visit(frame[i]);
  };
  visit(window);
})()
"""


def settle_script(navigation: float, quiet: float) -> str:
    """SETTLE with its limits in seconds: ``navigation`` for a page to arrive, ``quiet`` for its requests to end."""
    limits = {
        "MOVING_MS": MOVING,
        "GOING_MS": int(navigation * 1000),
        "QUIET_MS": int(quiet * 1000),
        "STALE_MS": STALE,
        "SENT_MS": SENT,
        "EMPTY_MOST": EMPTY,
    }
    script = SETTLE
    for name, value in limits.items():
        script = script.replace(name, str(value))
    return script


#: for an agent that waits: whether the page changed by itself, within three seconds
WAIT = """
(async () => {
  const watch = window[Symbol.for('lbi.watch')];
  const start = performance.now(), before = watch.changed;
  while (performance.now() - start < 3000) {
    // what moves has come to rest when nothing has changed for a while
    if (watch.changed !== before && performance.now() - watch.changed > 150) return true;
    await new Promise(done => setTimeout(done, 20));
  }
  return watch.changed !== before;
})()
"""
