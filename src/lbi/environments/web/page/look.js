// What a page shows, and what on it can be acted on: one pass over the composed tree of a document.
//
// It runs in every document before the page's own scripts, so that it sees which elements are listened to. `snapshot`
// gives the tree that render.py writes as text; `element`, `aim` and `facts` serve the actions. Roles and names follow
// HTML-AAM and "Accessible Name and Description Computation"; what they leave without a role but a person can press
// (a listener, a hand for a cursor, a place in the tab order) is a `generic` with an id.
(() => {
  const KEY = Symbol.for('lbi.look');
  if (window[KEY]) return;

  // -- what is listened to -------------------------------------------------------------------------------------------

  const PRESS = new Set(['click', 'dblclick', 'mousedown', 'mouseup', 'pointerdown', 'pointerup', 'touchstart',
    'touchend', 'contextmenu', 'auxclick']);
  const OVER = new Set(['mouseenter', 'mouseover', 'pointerenter', 'pointerover']);
  const TYPED = new Set(['keydown', 'keyup', 'keypress', 'input', 'beforeinput']);
  const KEYS = new Set(['keydown', 'keyup', 'keypress']);
  const DROP = new Set(['dragstart', 'drop', 'dragover']);
  const MANY = 12; // an element with listeners for more types than this passes on what happens in it (React's root)
  const heard = new WeakMap(); // element -> Map(type -> Map(listener -> 1 in the capturing phase, 2 in the other, 3 both))
  const add = EventTarget.prototype.addEventListener, drop = EventTarget.prototype.removeEventListener;
  const note = (target, type, listener, options, added) => {
    if (!target || target.nodeType !== 1) return;
    const phase = options === true || (!!options && options.capture === true) ? 1 : 2;
    let types = heard.get(target);
    if (!types) heard.set(target, types = new Map());
    let live = types.get(type);
    if (!live) types.set(type, live = new Map());
    const phases = added ? (live.get(listener) || 0) | phase : (live.get(listener) || 0) & ~phase;
    if (phases) live.set(listener, phases); else live.delete(listener);
  };
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    if (listener) note(this, String(type), listener, options, true);
    return add.call(this, type, listener, options);
  };
  EventTarget.prototype.removeEventListener = function (type, listener, options) {
    if (listener) note(this, String(type), listener, options, false);
    return drop.call(this, type, listener, options);
  };
  const listens = (element, kinds) => {
    const types = heard.get(element);
    if (!types) return false;
    let live = 0, found = false;
    for (const [type, each] of types) {
      if (!each.size) continue;
      live++;
      if (kinds.has(type)) found = true;
    }
    return found && live <= MANY;
  };

  // React keeps an element's handlers in a property of its own whose name is random for each page
  const REACT = /^__reactProps\$|^__reactEventHandlers\$/;
  const reactProps = element => {
    for (const name of Object.keys(element)) if (REACT.test(name)) return element[name] || {};
    return null;
  };
  const handled = element => {
    if (element.onclick || element.onmousedown || element.onmouseup || element.ondblclick || element.onpointerdown
        || element.onpointerup || element.ontouchstart || element.ontouchend || element.oncontextmenu || element.onauxclick) return true;
    if (listens(element, PRESS)) return true;
    const props = reactProps(element);
    return !!props && !!(props.onClick || props.onMouseDown || props.onPointerDown || props.onMouseUp
      || props.onPointerUp || props.onDoubleClick || props.onTouchStart);
  };
  // keys come to what can have the focus, by a click at least
  const keyed = element => element.hasAttribute('tabindex')
    && !!(element.onkeydown || element.onkeyup || element.onkeypress || listens(element, KEYS));
  const hovered = element => {
    if (element.onmouseenter || element.onmouseover || listens(element, OVER)) return true;
    const props = reactProps(element);
    return !!props && !!(props.onMouseEnter || props.onMouseOver || props.onPointerEnter);
  };
  // jQuery's delegated handlers: the selectors for which the document or its body listens
  const delegated = () => {
    const found = new Set(), jq = window.jQuery;
    if (!jq || typeof jq._data !== 'function') return found;
    for (const root of [document, document.body]) {
      let events;
      try { events = root && jq._data(root, 'events'); } catch (error) { continue; }
      for (const type of Object.keys(events || {})) {
        if (!PRESS.has(type)) continue;
        for (let i = 0; i < events[type].length; i++) {
          const selector = events[type][i].selector;
          if (!selector) continue;
          try { for (const element of root.querySelectorAll(selector)) found.add(element); } catch (error) {}
        }
      }
    }
    return found;
  };

  // style sheets that show something when the pointer is over something else: li:hover > ul { display: block }
  let sheets = -1, opening = [];
  const SHOWS = /(?:^|;)\s*(?:display\s*:\s*(?!none)|visibility\s*:\s*visible|opacity\s*:\s*[^0;\s]|max-height|height\s*:\s*[^0]|clip|transform|pointer-events|left|top)/;
  const openers = () => {
    const list = document.styleSheets;
    let size = list.length;
    for (let i = 0; i < list.length; i++) try { size += list[i].cssRules.length * 7; } catch (error) {}
    if (size === sheets) return opening;
    sheets = size;
    const found = new Map(); // what is pointed at -> what of it, or beside it, then shows
    const visit = rules => {
      for (let i = 0; i < rules.length; i++) {
        const rule = rules[i];
        if (rule.selectorText && rule.selectorText.includes(':hover')) {
          if (SHOWS.test(rule.style.cssText)) {
            for (const selector of rule.selectorText.split(',')) {
              const at = selector.indexOf(':hover');
              const rest = at < 0 ? null : /^:hover[^\s>+~]*([\s>+~]+\S.*)/.exec(selector.slice(at));
              if (!rest) continue;
              const head = selector.slice(0, at).trim().replace(/[\s>+~]$/, '$&*') || '*';
              if (head !== '*') found.set(head, [...found.get(head) || [], rest[1].replace(/::?(?:before|after)\b.*/, '').trim()]);
            }
          }
        } else if (rule.cssRules) visit(rule.cssRules);
      }
    };
    for (let i = 0; i < list.length; i++) try { visit(list[i].cssRules); } catch (error) {} // another site's
    return opening = [...found];
  };
  const opensOnHover = () => {
    const found = new Set();
    for (const [selector, rests] of openers()) {
      try {
        for (const element of document.querySelectorAll(selector)) if (!found.has(element) && rests.some(rest => opens(element, rest))) found.add(element);
      } catch (error) {}
    }
    return found;
  };
  // the address of a heading, which says nothing new, is not worth to be pointed at
  const opens = (element, rest) => {
    if (/^[+~]/.test(rest)) return !!element.nextElementSibling;
    for (const part of element.querySelectorAll(`:scope ${rest}`)) if (!/^#./.test(attribute(part, 'href') || '')) return true;
    return false;
  };

  // -- roles -----------------------------------------------------------------------------------------------------------

  const TAGS = {
    a: 'link', area: 'link', button: 'button', summary: 'button', select: 'combobox', textarea: 'textbox',
    option: 'option', progress: 'progressbar', meter: 'meter', output: 'status', h1: 'heading', h2: 'heading',
    h3: 'heading', h4: 'heading', h5: 'heading', h6: 'heading', ul: 'list', ol: 'list', menu: 'list', li: 'listitem',
    dt: 'term', dfn: 'term', dd: 'definition', nav: 'navigation', main: 'main', aside: 'complementary',
    header: 'banner', footer: 'contentinfo', article: 'article', section: 'region', form: 'form', search: 'search',
    fieldset: 'group', details: 'group', optgroup: 'group', hgroup: 'group', dialog: 'dialog', img: 'img',
    figure: 'figure', iframe: 'iframe', frame: 'iframe', p: 'paragraph', blockquote: 'blockquote', code: 'code',
    em: 'emphasis', strong: 'strong', time: 'time', mark: 'mark', ins: 'insertion', del: 'deletion', s: 'deletion',
    sub: 'subscript', sup: 'superscript', hr: 'separator', table: 'table', thead: 'rowgroup', tbody: 'rowgroup',
    tfoot: 'rowgroup', tr: 'row', td: 'cell', th: 'columnheader', caption: 'caption', math: 'math', svg: 'img',
    video: 'video', audio: 'audio', canvas: 'canvas', embed: 'embed', object: 'embed', address: 'group',
  };
  const INPUTS = {
    button: 'button', submit: 'button', reset: 'button', image: 'button', checkbox: 'checkbox', radio: 'radio',
    range: 'slider', number: 'spinbutton', search: 'searchbox', file: 'button', hidden: '',
  };
  const ROLES = new Set(('alert alertdialog application article banner blockquote button caption cell checkbox code ' +
    'columnheader combobox complementary contentinfo definition deletion dialog directory document emphasis feed ' +
    'figure form generic grid gridcell group heading img insertion link list listbox listitem log main mark marquee ' +
    'math menu menubar menuitem menuitemcheckbox menuitemradio meter navigation none note option paragraph ' +
    'presentation progressbar radio radiogroup region row rowgroup rowheader scrollbar search searchbox separator ' +
    'slider spinbutton status strong subscript superscript switch tab table tablist tabpanel term textbox time timer ' +
    'toolbar tooltip tree treegrid treeitem').split(' '));
  // roles that say by themselves that something can be acted on
  const CONTROLS = new Set(('button link checkbox radio switch textbox searchbox combobox listbox spinbutton slider ' +
    'tab menuitem menuitemcheckbox menuitemradio option treeitem').split(' '));
  const FIELDS = new Set(['textbox', 'searchbox', 'combobox', 'listbox', 'spinbutton', 'slider']);
  const TICKS = new Set(['checkbox', 'radio', 'switch', 'menuitemcheckbox', 'menuitemradio']);
  // named by what they hold
  const CONTENT = new Set(('button link checkbox radio switch tab menuitem menuitemcheckbox menuitemradio option ' +
    'treeitem heading tooltip').split(' '));
  const ITEMS = new Set(['row', 'listitem', 'cell', 'gridcell', 'option', 'article', 'term']);
  const SKIP = new Set(['script', 'style', 'template', 'noscript', 'head', 'meta', 'link', 'title', 'base', 'param',
    'source', 'track', 'datalist', 'colgroup', 'col', 'rp', 'noframes', 'noembed', 'defs', 'symbol', 'clipPath', 'mask',
    'pattern', 'linearGradient', 'radialGradient', 'marker', 'metadata', 'desc', 'filter']);
  const SECTIONING = 'article,aside,main,nav,section,[role=article],[role=complementary],[role=main],' +
    '[role=navigation],[role=region]';

  const tagOf = element => element.localName;
  const attribute = (element, name) => element.getAttribute(name);
  // a place on the page itself as it is written, any other address whole
  const addressOf = link => {
    const written = (attribute(link, 'href') || '').trim(), whole = link.href;
    if (written.startsWith('#') && document.baseURI.split('#')[0] === location.href.split('#')[0]) return written;
    return String(typeof whole === 'string' ? whole : whole && whole.baseVal || '');
  };
  const fold = text => text.replace(/[\u200b\u2060\ufeff\u00ad\ue000-\uf8ff]/g, "").replace(/\s+/g, ' ').trim();
  const focusable = element => {
    const index = attribute(element, 'tabindex');
    return index !== null && index.trim() !== '' && !isNaN(index);
  };

  const roleOf = element => {
    const given = attribute(element, 'role');
    if (given) {
      for (const token of given.toLowerCase().split(/\s+/)) {
        if (!ROLES.has(token)) continue;
        if (token !== 'none' && token !== 'presentation') return token;
        if (!focusable(element) && !nativeControl(element)) return 'none';
        break; // what can be reached by the keyboard keeps its role
      }
    }
    const tag = tagOf(element);
    if (tag === 'input') {
      const type = element.type;
      if (type in INPUTS) return INPUTS[type] || 'none';
      return element.list && type !== 'password' ? 'combobox' : 'textbox';
    }
    if (tag === 'select') return element.multiple || element.size > 1 ? 'listbox' : 'combobox';
    if (tag === 'a' || tag === 'area') return element.hasAttribute('href') || element.hasAttribute('xlink:href') ? 'link' : 'generic';
    if (tag === 'th') {
      const scope = (attribute(element, 'scope') || '').toLowerCase();
      if (scope === 'row' || scope === 'rowgroup') return 'rowheader';
      if (scope === 'col' || scope === 'colgroup') return 'columnheader';
      const row = element.parentElement;
      return row && row.querySelector(':scope > td') ? 'rowheader' : 'columnheader';
    }
    if (tag === 'header' || tag === 'footer') return element.closest(SECTIONING) ? 'generic' : TAGS[tag];
    if (tag === 'img') return attribute(element, 'alt') === '' && !element.title && !attribute(element, 'aria-label') ? 'none' : 'img';
    if (tag === 'summary') return element.parentElement && tagOf(element.parentElement) === 'details' ? 'button' : 'generic';
    if (element.isContentEditable && editingHost(element)) return 'textbox';
    return TAGS[tag] || 'generic';
  };
  const editingHost = element => {
    const own = attribute(element, 'contenteditable');
    return own !== null && own.toLowerCase() !== 'false' && element.isContentEditable;
  };
  const nativeControl = element => {
    const tag = tagOf(element);
    if (tag === 'a' || tag === 'area') return element.hasAttribute('href');
    if (tag === 'input') return element.type !== 'hidden';
    return tag === 'button' || tag === 'select' || tag === 'textarea' || tag === 'summary' || editingHost(element);
  };

  // -- names -----------------------------------------------------------------------------------------------------------

  const byIds = (element, ids) => {
    const root = element.getRootNode(), texts = [];
    for (const id of (ids || '').split(/\s+/)) {
      const other = id && root.getElementById && root.getElementById(id);
      if (other) texts.push(attribute(other, 'aria-label') || valueText(other) || textOf(other, 0, element));
    }
    return fold(texts.join(' '));
  };
  const valueText = element => {
    const tag = tagOf(element);
    if (tag === 'select') return [...element.selectedOptions].map(option => option.label).join(' ');
    if ((tag === 'textarea' || tag === 'input') && secret(element)) return element.value && SECRET;
    if (tag === 'textarea') return element.value;
    if (tag === 'input' && !['checkbox', 'radio', 'file', 'image'].includes(element.type)) return element.value;
    return '';
  };
  const INLINE = /^(?:inline|contents|ruby)/;
  const UNCONTAINED = /^(?:inline|contents|ruby|table-.*)$/; // whose content no style sheet can leave out as a whole
  // an element's text as a person reads it; `except` is the control that it labels, which is no part of its own name
  const textOf = (element, depth = 0, except = null) => {
    if (depth > 200) return '';
    let text = '';
    for (const child of childrenOf(element)) {
      if (child.nodeType === 3) { text += child.data; continue; }
      if (child.nodeType !== 1 || child === except || SKIP.has(tagOf(child))) continue;
      const style = getComputedStyle(child);
      if (style.display === 'none' || style.visibility === 'hidden' || attribute(child, 'aria-hidden') === 'true' || drawnAsIcon(child, style)) continue;
      const part = attribute(child, 'aria-label') || (tagOf(child) === 'img' ? child.alt : '')
        || (nativeControl(child) && valueText(child)) || svgTitle(child) || textOf(child, depth + 1, except);
      text += INLINE.test(style.display) ? part : ` ${part} `;
      if (tagOf(child) === 'br') text += ' ';
      if (text.length > 4000) break;
    }
    return text;
  };
  const SVG = 'http://www.w3.org/2000/svg';
  const svgTitle = element => {
    if (element.namespaceURI !== SVG) return '';
    const title = element.querySelector(':scope > title');
    return title ? title.textContent : '';
  };
  const PICTURE = /(?:^|[\s_])(?:fa[srlbd]?|icon|ico|glyphicon|bi|mdi|ti|octicon|lucide|material-icons)[-_]([a-z][a-z0-9-]{1,30})/i;
  // what a picture shows, said by the names that its author gave to it; for controls that have no other name
  const ICONS = /\b(?:material (?:icons|symbols)|[\w -]*icons?|font ?awesome|glyphicons|symbols)\b/i;
  const ICON_CLASS = /(?:^|\s)(?:material-(?:icons|symbols)\S*|icon-font|icofont|mdi|ligature-icon)(?:\s|$)/i;
  // text that its font draws as a picture, or would if the font had come
  const fonts = new Map(); // family -> whether it draws pictures
  const drawnAsIcon = (element, style) => {
    const family = style.fontFamily;
    let draws = fonts.get(family);
    if (draws === undefined) fonts.set(family, draws = ICONS.test(family.split(',')[0]));
    return draws || ICON_CLASS.test(attribute(element, 'class') || '');
  };
  const pictured = element => {
    for (const part of [element, ...element.querySelectorAll('*')].slice(0, 12)) {
      const text = part.childElementCount ? '' : fold(part.textContent);
      if (text && text.length < 40 && drawnAsIcon(part, getComputedStyle(part))) return text.replace(/_+/g, ' ');
    }
    const parts = [element, ...element.querySelectorAll('*')].slice(0, 12);
    for (const part of parts) {
      for (const name of ['data-tooltip', 'data-original-title', 'data-title', 'data-tip', 'data-bs-title', 'data-label', 'data-icon', 'icon', 'name']) {
        if (name === 'name' && !tagOf(part).includes('-')) continue;
        const value = attribute(part, name);
        if (value && value.length < 60 && !/^[\d\W]*$/.test(value)) return fold(value);
      }
      if (tagOf(part) === 'use') {
        const href = attribute(part, 'href') || attribute(part, 'xlink:href') || '';
        const id = href.split('#')[1];
        if (id) return fold(id.replace(/^(?:icon|ico|i)[-_]|[-_]icon$/i, '').replace(/[-_]+/g, ' '));
      }
      const classes = attribute(part, 'class') || '';
      const found = PICTURE.exec(classes.replace(/\b(?:fa|icon)-(?:fw|lg|xs|sm|\dx|spin|solid|regular|light|brands|duotone)\b/g, ''));
      if (found) return fold(found[1].replace(/[-_]+/g, ' '));
    }
    for (const name of ['data-testid', 'data-test', 'data-action', 'data-command', 'data-qa', 'data-cy', 'id']) {
      const value = attribute(element, name);
      if (value && value.length < 40 && /^[a-z][a-z_-]+$/i.test(value)) return fold(value.replace(/[-_]+/g, ' ').replace(/([a-z])([A-Z])/g, '$1 $2'));
    }
    const label = /\b(?:btn|button|icon|action)[-_]{1,2}([a-z][a-z-]{2,20})\b|\b([a-z]{3,20})[-_](?:btn|button|icon)\b/i.exec(attribute(element, 'class') || '');
    if (!label) return '';
    const way = /(?:^|[\s_-])(up|down|left|right|prev|previous|next|first|last|plus|minus|increase|decrease|add|remove|open|close)(?=$|[\s_-])/i.exec(attribute(element, 'class'));
    const words = (label[1] || label[2]).replace(/[-_]+/g, ' ');
    return way && !words.includes(way[1]) ? `${words} ${way[1]}` : words;
  };
  // how a person would point out what has no words at all: its picture, its colour, its shape. A hint, and no name.
  const looksLike = element => {
    const parts = [element, ...element.querySelectorAll('*')].slice(0, 12);
    const drawn = parts.filter(part => tagOf(part) === 'img' || tagOf(part) === 'image').map(part => part.currentSrc || attribute(part, 'src') || attribute(part, 'href') || '');
    const behind = () => parts.map(part => (/^url\("?([^"]*)"?\)/.exec(getComputedStyle(part).backgroundImage) || ['', ''])[1]);
    return fileWords(drawn) || (element.namespaceURI === SVG ? shape(element) : coloured(element.style.backgroundColor)) || classWords(parts) || fileWords(behind());
  };
  // the file of a picture: images/star.png
  const fileWords = sources => {
    for (const source of sources) {
      const file = /([^/?#]+)\.(?:png|svg|gif|jpe?g|webp|avif|ico)(?:[?#]|$)/i.exec(source);
      const words = file && file[1].replace(/@\dx$|[-_.](?:icon|ico|\d+x\d+|[0-9a-f]{8,})$/gi, '').replace(/^(?:icon|ico)[-_]/i, '');
      if (words && /^[a-z][a-z _-]{1,30}$/i.test(words) && !/sprite|icons?$|image|spacer|blank|pixel/i.test(words)) return fold(words.replace(/[-_]+/g, ' '));
    }
    return '';
  };
  // colours that an author gave to one element, as to a swatch; those of a style sheet change with the pointer
  const COLOURS = {'#000000': 'black', '#ffffff': 'white', '#ff0000': 'red', '#00ff00': 'lime', '#008000': 'green', '#0000ff': 'blue',
    '#ffff00': 'yellow', '#00ffff': 'cyan', '#ff00ff': 'magenta', '#808080': 'grey', '#c0c0c0': 'silver', '#800000': 'maroon', '#808000': 'olive',
    '#800080': 'purple', '#008080': 'teal', '#000080': 'navy', '#ffa500': 'orange', '#ffc0cb': 'pink', '#a52a2a': 'brown'};
  let brush = null;
  const coloured = value => {
    if (!value || /none|transparent|inherit|initial|currentcolor|var\(|url\(/i.test(value)) return '';
    brush = brush || document.createElement('canvas').getContext('2d');
    if (!brush) return '';
    brush.fillStyle = '#010203';
    brush.fillStyle = value;
    const hex = String(brush.fillStyle);
    return hex === '#010203' ? '' : COLOURS[hex] || hex;
  };
  const SHAPES = new Set(['circle', 'rect', 'ellipse', 'polygon', 'polyline', 'path', 'line', 'g', 'image', 'use', 'text']);
  const shape = element => {
    const tag = tagOf(element);
    if (!SHAPES.has(tag)) return '';
    const points = tag === 'polygon' ? (attribute(element, 'points') || '').trim().split(/[\s,]+/).length / 2 : 0;
    const kind = {rect: 'rectangle', g: 'group', 3: 'triangle'}[points === 3 ? 3 : tag] || tag;
    const fill = coloured(element.style.fill || attribute(element, 'fill')), line = coloured(element.style.stroke || attribute(element, 'stroke'));
    return fold(`${fill || line} ${kind}`);
  };
  // what its author calls it, where it is small and shows no words
  const CLASSES = /^(?:ui|js|is|has|col|row|box|item|items|cell|card|list|left|right|top|bottom|center|first|last|odd|even|main|inner|outer|wrap|wrapper|container|content|block|inline|flex|grid|relative|absolute|fixed|sticky|static|hidden|visible|clickable|pointer|button|btn|icon|icons|ico|link|svg|img|image|color|colour|swatch|default|corner|all|state|active|widget|primary|secondary|small|large|group|media|cursor|transition|rounded|shadow|border|bg|text|font|opacity|inset|shrink|grow|overflow|select|focus|hover|disabled|enabled|selected|checked)$/i;
  const classWords = parts => {
    for (const part of parts) {
      const box = part.getBoundingClientRect();
      if (box.width > 64 || box.height > 64) continue;
      for (const name of (attribute(part, 'class') || '').split(/\s+/)) {
        if (!/^[a-z]{2,}(?:[-_]{1,2}[a-z]{2,}){0,3}$|^[a-z]{2,}(?:[A-Z][a-z]+){1,2}$/.test(name) || name.length > 30) continue;
        const words = name.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase().split(/[-_ ]+/).filter(word => !CLASSES.test(word));
        if (words.length) return words.join(' ');
      }
    }
    return '';
  };
  // what the style sheet writes before and after an element, or says of it: content: "\f00d" / "Remove"
  const pseudoText = element => {
    let text = '';
    for (const part of [element, ...[...element.querySelectorAll('*')].slice(0, 6)]) {
      for (const which of ['::before', '::after']) {
        const content = getComputedStyle(part, which).content;
        const quoted = content && /^"((?:[^"\\]|\\.)*)"(?:\s*\/\s*"((?:[^"\\]|\\.)*)")?/.exec(content);
        if (quoted) text += ` ${(quoted[2] ?? quoted[1]).replace(/[\ue000-\uf8ff]/g, '')} `;
      }
    }
    return fold(text);
  };
  const NAMES = {'\u00d7': 'close', '\u2715': 'close', '\u2716': 'close', '\u2717': 'close', '\u22ee': 'more', '\u2026': 'more', '\u2630': 'menu', '\u22ef': 'more'};

  // the browser looks through the whole document for the labels of one control, so all are looked up at once
  let labelled = null; // document or shadow root -> Map(control -> its labels), while a page is looked at
  const labelsOf = element => {
    const live = element.labels;
    if (!live) return [];
    if (!labelled) return [...live];
    const root = element.getRootNode();
    let found = labelled.get(root);
    if (!found) {
      labelled.set(root, found = new Map());
      for (const label of root.querySelectorAll('label')) {
        const control = label.control;
        if (!control) continue;
        if (found.has(control)) found.get(control).push(label); else found.set(control, [label]);
      }
    }
    return found.get(element) || [];
  };

  // the name by labels and attributes; by content only where `content` is given
  const nameOf = (element, role, content) => {
    const tag = tagOf(element);
    const by = attribute(element, 'aria-labelledby');
    let name = by ? byIds(element, by) : '';
    if (!name) name = fold(attribute(element, 'aria-label') || '');
    if (name) return name;
    if (tag === 'input' || tag === 'select' || tag === 'textarea' || tag === 'meter' || tag === 'progress' || tag === 'output') {
      if (tag === 'input' && ['button', 'submit', 'reset'].includes(element.type)) {
        name = fold(element.value) || (element.type === 'submit' ? 'Submit' : element.type === 'reset' ? 'Reset' : '');
        if (name) return name;
      }
      if (tag === 'input' && element.type === 'image') name = fold(element.alt || element.value || 'Submit');
      if (!name) name = fold(labelsOf(element).map(label => attribute(label, 'aria-label') || textOf(label, 0, element)).join(' '));
      if (!name && element.type !== 'file') name = fold(attribute(element, 'placeholder') || attribute(element, 'aria-placeholder') || '');
      return name || fold(element.title || '');
    }
    if (tag === 'button') {
      name = fold(labelsOf(element).map(label => textOf(label, 0, element)).join(' '));
      if (name) return name;
    }
    if (tag === 'img' || tag === 'area') name = fold(element.alt || '');
    if (element.namespaceURI === SVG) name = fold(svgTitle(element));
    if (tag === 'fieldset' || tag === 'table' || tag === 'figure') {
      const caption = element.querySelector(':scope > legend, :scope > caption, :scope > figcaption');
      if (caption) name = fold(textOf(caption));
    }
    if (tag === 'details') {
      const summary = element.querySelector(':scope > summary');
      if (summary) name = fold(textOf(summary));
    }
    if (!name && content !== undefined) name = fold(content);
    if (!name) name = fold(attribute(element, 'title') || attribute(element, 'placeholder') || attribute(element, 'aria-placeholder') || attribute(element, 'data-placeholder') || '');
    if (!name && role === 'textbox' && element.isContentEditable) {
      const inner = element.querySelector('[data-placeholder],[placeholder]');
      if (inner) name = fold(attribute(inner, 'data-placeholder') || attribute(inner, 'placeholder') || '');
    }
    return name;
  };

  // -- what is seen ----------------------------------------------------------------------------------------------------

  const childrenOf = element => {
    if (element.shadowRoot) return element.shadowRoot.childNodes;
    if (tagOf(element) === 'slot') {
      const assigned = element.assignedNodes ? element.assignedNodes() : [];
      if (assigned.length) return assigned;
    }
    return element.childNodes;
  };
  const parentOf = node => node.assignedSlot || node.parentElement
    || (node.parentNode && node.parentNode.host) || null;
  const within = (node, ancestor) => {
    for (let at = node; at; at = parentOf(at)) if (at === ancestor) return true;
    return false;
  };
  // nothing moves while a page is looked at, so each box is asked for once
  let boxes = null;
  const boxOf = element => {
    if (!boxes) return element.getBoundingClientRect();
    let box = boxes.get(element);
    if (!box) boxes.set(element, box = element.getBoundingClientRect());
    return box;
  };
  const sized = element => {
    const box = boxOf(element);
    return box.width >= 1 && box.height >= 1;
  };
  const shown = element => {
    const style = getComputedStyle(element);
    return style.visibility === 'visible' && style.display !== 'none' && sized(element);
  };
  const clear = element => {
    let opacity = 1;
    for (let at = element, i = 0; at && i < 4; at = parentOf(at), i++) opacity *= Number(getComputedStyle(at).opacity);
    return opacity >= 0.05;
  };
  // where a pointer has to go for an element: itself, or what stands for it (the slider that is a check box's picture)
  const placeOf = (element, role) => {
    const tiny = boxOf(element);
    const own = tiny.width >= 1 && tiny.height >= 1 && getComputedStyle(element).visibility === 'visible';
    const toggle = TICKS.has(role) || (tagOf(element) === 'input' && element.type === 'file');
    if (own && !(toggle && (tiny.width < 4 || tiny.height < 4 || !clear(element)))) return element;
    if (toggle || tagOf(element) === 'input') {
      for (const label of labelsOf(element)) if (shown(label)) return label;
      const beside = [element.nextElementSibling, element.previousElementSibling, element.parentElement];
      for (const other of beside) if (other && shown(other)) return other;
    }
    if (own) return element;
    for (const part of element.querySelectorAll('*')) if (shown(part)) return part;
    return null;
  };
  const layers = () => {
    const modal = [...document.querySelectorAll('dialog')].filter(dialog => { try { return dialog.matches(':modal'); } catch (error) { return false; } });
    if (modal.length) return {front: [modal[modal.length - 1]], sure: true};
    const width = innerWidth, height = innerHeight, front = new Set();
    for (const x of [0.06, 0.5, 0.94]) for (const y of [0.06, 0.5, 0.94]) {
      const hit = deepest(width * x, height * y);
      let fixed = null;
      for (let at = hit; at && at !== document.body && at !== document.documentElement; at = parentOf(at)) {
        if (getComputedStyle(at).position === 'fixed') { fixed = at; break; }
      }
      if (!fixed) return {front: [], sure: false};
      front.add(fixed);
    }
    return {front: [...front], sure: false};
  };
  const deepest = (x, y) => {
    let hit = document.elementFromPoint(x, y);
    while (hit && hit.shadowRoot) {
      const inner = hit.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === hit) break;
      hit = inner;
    }
    return hit;
  };
  const inView = box => box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
  const hitAt = (element, x, y) => {
    const hit = deepest(x, y);
    return !!hit && (within(hit, element) || within(element, hit) && hit.contains(element) && getComputedStyle(element).pointerEvents === 'none');
  };
  const behind = (element, front) => {
    if (!front.length) return false;
    for (const layer of front) if (within(element, layer)) return false;
    const box = boxOf(element);
    if (!inView(box)) return true;
    return !hitAt(element, (Math.max(0, box.left) + Math.min(innerWidth, box.right)) / 2, (Math.max(0, box.top) + Math.min(innerHeight, box.bottom)) / 2);
  };
  // whether no pointer gets to it: it lets them through, is cut down to a point, or lies where no scrolling leads
  const unreachable = (element, style) => {
    if (style.pointerEvents === 'none') {
      for (const part of element.children) if (getComputedStyle(part).pointerEvents !== 'none') return false;
      return true;
    }
    const box = boxOf(element);
    if (box.width <= 1 && box.height <= 1 && style.position === 'absolute' && style.overflow !== 'visible') return true;
    if (inView(box)) return false;
    if (!box.width && !box.height) return false; // its parts may have places
    const {moves, fixed} = style.position === 'fixed' ? {moves: false, fixed: true} : around(parentOf(element));
    return !moves && (fixed || box.right + scrollX <= 0 || box.bottom + scrollY <= 0);
  };
  // whether boxes around an element scroll, and whether they stand still in the window; asked of each box once in a look
  let known = new Map();
  const NOWHERE = {moves: false, fixed: false}, STILL = {moves: false, fixed: true};
  const around = box => {
    if (!box) return NOWHERE;
    let found = known.get(box);
    if (found) return found;
    const style = getComputedStyle(box);
    const fixed = style.position === 'fixed';
    if (fixed && style.overflowY === 'visible' && style.overflowX === 'visible') found = STILL;
    else {
      const outer = fixed ? STILL : around(parentOf(box)); // it may scroll what is in it all the same
      const moves = outer.moves || style.overflowY !== 'visible' && box.scrollHeight > box.clientHeight + 4
        || style.overflowX !== 'visible' && box.scrollWidth > box.clientWidth + 4;
      found = moves === outer.moves ? outer : {moves, fixed: outer.fixed};
    }
    known.set(box, found);
    return found;
  };
  // whether it lies outside of a box that shows only its inside, where that cannot be scrolled to
  const cutOff = (element, style, clip) => {
    if (!clip) return false;
    const position = style.position;
    if (position === 'fixed') return false;
    let box = boxOf(element);
    for (let at = clip; at; at = at.up) {
      if (at.node === document.body || at.node === document.documentElement) break;
      if (position === 'absolute' && !at.fixed) continue; // it belongs to another box
      const outer = boxOf(at.node);
      if (outer.width < 2 || outer.height < 2) return true;
      const left = outer.left - at.node.scrollLeft, top = outer.top - at.node.scrollTop;
      if (box.right <= left || box.bottom <= top) return true;
      if (box.left >= left + at.node.scrollWidth || box.top >= top + at.node.scrollHeight) return true;
      box = outer; // into which it can be scrolled
    }
    return false;
  };
  // points at the edges of a box, of which a strip may be left free
  const edges = box => {
    const x = (box.left + box.right) / 2, y = (box.top + box.bottom) / 2;
    return [[box.left + 2, box.top + 2], [box.right - 2, box.bottom - 2], [box.left + 2, box.bottom - 2], [box.right - 2, box.top + 2],
      [x, box.top + 2], [x, box.bottom - 2], [box.left + 2, y], [box.right - 2, y]];
  };
  // one axis of it: what scrolls back comes out behind the sheet, what scrolls on before it
  const passesAlong = (start, end, window, sheetStart, sheetEnd, from, to, back, most) => {
    const size = to - from;
    return sheetEnd - from <= back && Math.min(end, window) - sheetEnd >= size
      || to - sheetStart <= most - back && sheetStart - Math.max(start, 0) >= size;
  };
  // whether a box that scrolls has room beside a sheet that lies over it, into which something in it can be scrolled
  const passes = (scroller, sheet, box) => {
    const outer = scroller.getBoundingClientRect(), over = sheet.getBoundingClientRect();
    return passesAlong(outer.top, outer.bottom, innerHeight, over.top, over.bottom, box.top, box.bottom,
        scroller.scrollTop, scroller.scrollHeight - scroller.clientHeight)
      || getComputedStyle(scroller).overflowX !== 'visible' && passesAlong(outer.left, outer.right, innerWidth, over.left, over.right,
        box.left, box.right, scroller.scrollLeft, scroller.scrollWidth - scroller.clientWidth);
  };
  let lying = []; // sheets over boxes that scroll, as this look comes upon them
  // whether what is out of view can only be scrolled under such a sheet
  const comesUnder = (place, box) => {
    let scroller = parentOf(place);
    while (scroller && (scroller.scrollHeight <= scroller.clientHeight + 4 || getComputedStyle(scroller).overflowY === 'visible')) scroller = parentOf(scroller);
    if (!scroller || scroller === document.body || scroller === document.documentElement) return false;
    return lying.some(sheet => {
      const over = sheet.getBoundingClientRect();
      return !within(sheet, scroller) && box.left >= over.left && box.right <= over.right && !passes(scroller, sheet, box);
    });
  };
  // whether something lies over all of an element that scrolling does not move away: an open menu, a panel, a cover
  const covered = (place, node) => {
    const box = boxOf(place);
    if (box.top < 0 || box.left < 0 || box.bottom > innerHeight || box.right > innerWidth) return lying.length > 0 && comesUnder(place, box);
    let over = null;
    for (const [left, top] of [[0.5, 0.5], [0.1, 0.2], [0.9, 0.8], [0.1, 0.8], [0.9, 0.2]].map(([x, y]) => [box.left + box.width * x, box.top + box.height * y]).concat(edges(box))) {
      const hit = deepest(left, top);
      if (!hit || within(hit, place) || within(place, hit)) return false;
      const label = hit.closest('label');
      if (label && label.control === node) return false;
      over = hit;
    }
    let layer = '', sheet = null;
    for (let at = over; at && !within(place, at); at = parentOf(at)) {
      const position = getComputedStyle(at).position;
      if (position === 'fixed' || position === 'sticky' || (position === 'absolute' && !layer)) { layer = position; sheet = at; }
    }
    if (!layer) return false; // it is cut off, and what is seen there lies beside it
    for (let at = parentOf(place); at; at = parentOf(at)) {
      const root = at === document.documentElement || at === document.body;
      if (root || at.scrollHeight <= at.clientHeight + 4 || getComputedStyle(at).overflowY === 'visible') continue;
      if (within(over, at)) break;
      if (layer === 'absolute' || passes(at, sheet, box)) return false; // it may be scrolled out from under
      if (!lying.includes(sheet)) lying.push(sheet);
      return true;
    }
    const page = document.scrollingElement || document.documentElement;
    if (layer === 'absolute') return true;
    const bar = sheet.getBoundingClientRect(), left = page.scrollHeight - page.clientHeight - page.scrollTop;
    const down = page.scrollTop >= bar.bottom - box.top && bar.bottom + box.height <= innerHeight;
    const up = left >= box.bottom - bar.top && bar.top - box.height >= 0;
    return !down && !up;
  };

  // -- states and values -----------------------------------------------------------------------------------------------

  // include password.js
  const SECRET = '\u2022\u2022\u2022\u2022';
  const wasSecret = new WeakSet(); // fields that hid their text once: a button that shows it does not make it public
  const noticed = changes => {
    for (const {target, oldValue} of changes) if ((oldValue || '').toLowerCase() === 'password') wasSecret.add(target);
  };
  const typeWatch = new MutationObserver(noticed);
  const watchTypes = root => typeWatch.observe(root, {subtree: true, attributeFilter: ['type'], attributeOldValue: true});
  watchTypes(document);
  const attach = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (options) {
    const root = attach.call(this, options);
    watchTypes(root);
    return root;
  };
  const veiling = style => {
    const security = style.webkitTextSecurity;
    return !!security && security !== 'none';
  };
  const veiled = element => {
    return veiling(getComputedStyle(element));
  };
  // the same rule as in password_fields.py, which is for pictures
  const secret = field => {
    if (tagOf(field) !== 'input' && tagOf(field) !== 'textarea') return veiled(field);
    const type = (field.type || '').toLowerCase();
    if (type === 'password') wasSecret.add(field);
    noticed(typeWatch.takeRecords());
    const names = `${attribute(field, 'name') || ''} ${attribute(field, 'id') || ''}`;
    return wasSecret.has(field) || veiled(field) || forPasswords(type, names, attribute(field, 'autocomplete') || '');
  };
  const editorText = element => {
    let text = element.innerText || '';
    return text.replace(/\u00a0/g, ' ').replace(/[\u200b\ufeff]/g, '').replace(/\n$/, '');
  };
  const FORMS = {date: 'YYYY-MM-DD', month: 'YYYY-MM', week: 'YYYY-Www', time: 'HH:MM', 'datetime-local': 'YYYY-MM-DDTHH:MM', color: '#rrggbb'};
  const truth = (element, name) => attribute(element, 'aria-' + name);

  const describe = (element, role, out) => {
    const tag = tagOf(element), states = {};
    const input = tag === 'input', type = input ? element.type : '';
    if (TICKS.has(role)) {
      if (input && (type === 'checkbox' || type === 'radio')) {
        if (element.indeterminate) states.mixed = 1; else if (element.checked) states.checked = 1;
      } else {
        const checked = truth(element, 'checked') ?? truth(element, 'pressed');
        if (checked === 'true') states.checked = 1; else if (checked === 'mixed') states.mixed = 1;
      }
    }
    const pressed = truth(element, 'pressed');
    if (pressed !== null && role === 'button') { if (pressed === 'true') states.pressed = 1; else if (pressed === 'mixed') states.mixed = 1; }
    if (truth(element, 'selected') === 'true' || (tag === 'option' && element.selected)) states.selected = 1;
    let expanded = truth(element, 'expanded');
    if (tag === 'summary' && element.parentElement && tagOf(element.parentElement) === 'details') expanded = String(element.parentElement.open);
    if (expanded === 'true') states.expanded = 1; else if (expanded === 'false') states.collapsed = 1;
    let off = truth(element, 'disabled') === 'true';
    try { off = off || element.matches(':disabled'); } catch (error) {}
    if (!off) for (let at = parentOf(element), i = 0; at && i < 6; at = parentOf(at), i++) if (truth(at, 'disabled') === 'true') { off = true; break; }
    if (off) states.disabled = 1;
    const current = truth(element, 'current');
    if (current && current !== 'false') states.current = 1;
    if (truth(element, 'invalid') && truth(element, 'invalid') !== 'false') states.invalid = 1;
    if (FIELDS.has(role) || TICKS.has(role)) {
      if ((FIELDS.has(role) && element.readOnly === true) || truth(element, 'readonly') === 'true') states.readonly = 1;
      if (element.required === true || truth(element, 'required') === 'true') states.required = 1;
      if (input && !states.invalid) try { if (element.matches(':user-invalid')) states.invalid = 1; } catch (error) {}
    }
    if (FIELDS.has(role) || role === 'progressbar' || role === 'meter' || role === 'scrollbar' || role === 'separator') {
      if (tag === 'select') {
        out.o = [];
        for (const option of element.options) {
          if (getComputedStyle(option).display === 'none' && element.size > 1) continue;
          const group = option.parentElement && tagOf(option.parentElement) === 'optgroup' ? option.parentElement.label : '';
          out.o.push([fold(option.label || option.text), option.selected ? 1 : 0, group, option.disabled || (option.parentElement && option.parentElement.disabled) ? 1 : 0]);
        }
      } else if (input || tag === 'textarea') {
        const value = element.value;
        out.v = value && secret(element) ? SECRET : value;
        if (type in FORMS) out.t = FORMS[type];
        if (type === 'range' || type === 'number') {
          const low = attribute(element, 'min'), high = attribute(element, 'max');
          if (low !== null || high !== null) out.g = [low ?? (type === 'range' ? '0' : ''), high ?? (type === 'range' ? '100' : '')];
        }
      } else if (tag === 'progress' || tag === 'meter') {
        out.v = tag === 'progress' && !element.hasAttribute('value') ? '' : String(element.value);
        out.g = [tag === 'meter' ? String(element.min) : '0', String(element.max)];
      } else if (element.isContentEditable) {
        out.v = veiled(element) && editorText(element) ? SECRET : editorText(element);
      } else {
        const now = attribute(element, 'aria-valuetext') || attribute(element, 'aria-valuenow');
        if (now !== null && now !== '') {
          out.v = now;
          const low = attribute(element, 'aria-valuemin'), high = attribute(element, 'aria-valuemax');
          if (low !== null || high !== null) out.g = [low || '', high || ''];
        } else if (role === 'combobox' || role === 'textbox' || role === 'searchbox') {
          out.v = element.querySelector('input,textarea') ? '' : fold(textOf(element));
        }
      }
    }
    if (type === 'file') {
      out.f = [...element.files].map(file => file.name).join(', ') || 'no file';
      if (element.accept) out.k = element.accept;
    }
    for (const name in states) { out.s = states; break; }
  };

  // -- ids -------------------------------------------------------------------------------------------------------------

  const ids = new WeakMap(), elements = new Map();
  let count = 0;
  const idOf = element => {
    let id = ids.get(element);
    if (!id) ids.set(element, id = ++count);
    elements.set(id, new WeakRef(element));
    return id;
  };
  const element = id => {
    const found = elements.get(id);
    const alive = found && found.deref();
    return alive && alive.isConnected ? alive : null;
  };

  // -- the pass --------------------------------------------------------------------------------------------------------

  const DEEP = 400, MOST = 60000; // levels and nodes of one document that are looked at
  const snapshot = () => {
    boxes = new Map();
    labelled = new Map();
    try { return pass(); } finally { boxes = labelled = null; known = new Map(); lying = []; } // the page goes on
  };
  const pass = () => {
    elements.clear();
    const root = document.body || document.documentElement;
    if (!root) return {c: [], frames: 0};
    const jquery = delegated(), openersNow = opensOnHover();
    const {front} = layers();
    const owned = new Map();
    for (const owner of document.querySelectorAll('[aria-owns]')) {
      for (const id of attribute(owner, 'aria-owns').split(/\s+/)) {
        const child = id && document.getElementById(id);
        if (child && !within(owner, child)) owned.set(child, owner);
      }
    }
    const frames = [], madeOf = new Map();
    let seen = 0, cut = 0, hiddenBehind = 0;

    const walk = (node, depth, above) => {
      // `above`: {pointer, control, muted, pre, table}
      if (node.nodeType === 3) {
        const text = node.data;
        if (!text) return null;
        if (above.muted) return null;
        if (/\S/.test(text) && hides(above)) return SECRET;
        return above.invisible ? null : text.replace(/\s+/g, ' ');
      }
      if (node.nodeType !== 1) return null;
      const tag = tagOf(node);
      if (SKIP.has(tag)) return null;
      if (++seen > MOST || depth > DEEP) { cut++; return null; }
      // each value of a style that is read costs time, so none is read twice, and none that nothing depends on
      const style = getComputedStyle(node), display = style.display;
      if (display === 'none') return tag === 'area' ? region(node) : hiddenFile(node, tag);
      if (node.checkVisibility && !UNCONTAINED.test(display) && style.contentVisibility === 'hidden') return null;
      if (tag === 'details' && !node.open) {
        const summary = node.querySelector(':scope > summary');
        return summary ? build(node, style, display, depth, above, [summary]) : null;
      }
      return build(node, style, display, depth, above, null);
    };
    // whether the text of an element is drawn as dots
    const hides = around => {
      if (around.veiled === undefined) around.veiled = !!around.style && veiling(around.style);
      return around.veiled;
    };

    // boxes side by side with controls of the same name (cards with a "Delete" each) are told apart as items of a list
    const tellApart = children => {
      const kinds = new Map();
      for (const child of children) {
        if (typeof child !== 'object' || child.r !== 'generic' || !child.b || child.i || !holds(child.c)) continue;
        const node = madeOf.get(child);
        const kind = node && `${tagOf(node)}.${(attribute(node, 'class') || '').split(' ')[0]}`;
        if (!kind) continue;
        if (!kinds.has(kind)) kinds.set(kind, []);
        kinds.get(kind).push(child);
      }
      for (const boxes of kinds.values()) {
        if (boxes.length < 2) continue;
        const first = new Set(namesIn(boxes[0].c));
        if (namesIn(boxes[1].c).some(name => first.has(name))) for (const box of boxes) box.r = 'listitem';
      }
    };
    const namesIn = children => children.flatMap(child => typeof child !== 'object' ? []
      : child.i ? [`${child.r} ${child.n || ''}`] : namesIn(child.c || []));

    // whether something in it, or right after it, is hidden and may come to light
    const conceals = node => {
      const parts = [...node.querySelectorAll('*')].slice(0, 60);
      if (node.nextElementSibling) parts.push(node.nextElementSibling);
      for (const part of parts) {
        if (SKIP.has(tagOf(part)) || tagOf(part) === 'svg' || tagOf(part) === 'path') continue;
        if (/^#./.test(attribute(part, 'href') || '')) continue; // the address of a heading says nothing new
        const style = getComputedStyle(part);
        if ((style.display === 'none' || style.visibility === 'hidden' || style.opacity === '0') && (/\S/.test(part.textContent) || part.querySelector('button,a,input'))) return true;
      }
      return false;
    };

    // a region of a picture is pressed on the picture
    const region = node => {
      const picture = pictureOf(node);
      if (!node.hasAttribute('href') || !picture || !shown(picture)) return null;
      places.set(node, picture);
      const out = {r: 'link', n: nameOf(node, 'link'), i: idOf(node), u: node.href};
      return out;
    };
    // whether a drawing is more than a picture: it holds words, links or what is pressed
    const livesIn = (drawing, above) => {
      if (above.control || drawing.childElementCount === 0) return false;
      const parts = drawing.querySelectorAll('*');
      for (let i = 0; i < parts.length && i < 3000; i++) {
        const part = parts[i], tag = tagOf(part);
        if (tag === 'text' && /\S/.test(part.textContent) || tag === 'a' || tag === 'foreignObject' || part.hasAttribute('tabindex')
            || handled(part) || jquery.has(part) || CONTROLS.has(attribute(part, 'role'))) return true;
      }
      return false;
    };

    // an upload's field that is not drawn at all is pressed by its label
    const hiddenFile = (node, tag) => {
      if (tag !== 'input' || !['file', 'checkbox', 'radio'].includes(node.type) || node.matches(':disabled')) return null;
      for (const label of labelsOf(node)) {
        if (!shown(label)) continue;
        const role = roleOf(node), out = {r: role, n: nameOf(node, role), i: idOf(node)};
        describe(node, role, out);
        places.set(node, label);
        return out;
      }
      return null;
    };

    // text beside text is one text, and what is in line and has no meaning of its own dissolves
    const put = (children, made) => {
      if (made === null) return;
      if (Array.isArray(made)) { for (const part of made) put(children, part); return; }
      const last = children.length - 1;
      if (typeof made === 'string' && typeof children[last] === 'string') children[last] += made;
      else children.push(made);
    };

    const build = (node, style, display, depth, above, only) => {
      const tag = tagOf(node);
      const role = roleOf(node);
      const inert = above.inert || node.inert === true;
      const muted = above.muted || attribute(node, 'aria-hidden') === 'true';
      const invisible = style.visibility !== 'visible';
      const hand = style.cursor === 'pointer';
      const isControl = CONTROLS.has(role) && !(role === 'option' && tag === 'option');
      const handles = handled(node) || jquery.has(node);
      const editable = editingHost(node);
      const sketch = tag === 'svg' && !livesIn(node, above);
      const composite = FIELDS.has(role) && (tag === 'input' || tag === 'select' || tag === 'textarea' || editable);
      const page = node === document.body || node === document.documentElement;
      const hoverable = !page && !invisible && !above.hover && (openersNow.has(node) || hovered(node)) && conceals(node);
      const tabs = focusable(node) && node.tabIndex >= 0 && !['main', 'region', 'document', 'application'].includes(role);
      const draggable = node.draggable === true && tag !== 'a' && tag !== 'img';
      const media = (tag === 'video' || tag === 'audio') && node.controls;
      let wants = !page && !invisible && (isControl || handles || editable || media || tabs || keyed(node) || draggable || hoverable
        || (hand && !above.hand && !above.control) || (tag === 'canvas' && handles) || tag === 'label' && labelOnly(node));
      if (tag === 'label' && !isControl && node.control && !labelOnly(node)) wants = false; // its control is offered
      if ((above.control || above.label) && !isControl && !handles && !editable && !tabs) wants = false;
      if (wants && !TICKS.has(role) && !FIELDS.has(role) && (unreachable(node, style) || cutOff(node, style, above.clip))) wants = false;
      const below = {
        hand: hand && (above.hand || wants || page || tag === 'label'), control: above.control || (isControl && !FIELDS.has(role)),
        muted: muted && !wants, inert, invisible, style, veiled: undefined,
        label: above.label || (tag === 'label' && !!node.control && !labelOnly(node)), hover: above.hover || hoverable,
        clip: above.clip,
      };
      if ((node.firstElementChild || node.shadowRoot || tag === 'slot' || owned.size) && (style.overflowX !== 'visible' || style.overflowY !== 'visible')) {
        below.clip = {node, up: above.clip, fixed: style.position !== 'static'};
      }
      const out = {r: role === 'none' ? 'generic' : tag === 'svg' && role === 'img' && !sketch ? 'group' : role};
      let children = [];
      if (!composite && tag !== 'iframe' && tag !== 'frame' && !sketch && tag !== 'video' && tag !== 'audio' && tag !== 'canvas' && tag !== 'object') {
        const list = only || childrenOf(node);
        for (let i = 0; i < list.length; i++) {
          const child = list[i];
          if (owned.has(child) && owned.get(child) !== node) continue;
          put(children, walk(child, depth + 1, below));
        }
        for (const [child, owner] of owned) if (owner === node) put(children, walk(child, depth + 1, below));
      } else if (tag === 'iframe' || tag === 'frame') {
        if (!invisible && sized(node)) { out.frame = frames.length; frames.push(node); } else return null;
      }
      if (tag === 'text' && node.namespaceURI === SVG) children = [' ', ...children, ' ']; // apart from its neighbours
      if (children.length && INLINE.test(display)) children = setApart(children, style);
      if (children.every(child => typeof child === 'string' && !/\S/.test(child))) children = children.length && INLINE.test(display) ? [' '] : [];
      const block = !INLINE.test(display) && (node.namespaceURI !== SVG || tag === 'svg');
      if (block) out.b = 1;
      out.c = children;
      if (children.length > 1) tellApart(children);
      madeOf.set(out, node);

      if (wants && !isControl && !editable && !media) wants = worthy(node, out, {handles, hand, tabs, draggable, hoverable, jq: jquery.has(node)});
      // the options of a list are what is chosen; a list that is drawn empty may still open by the keyboard
      if (role === 'listbox' && tag !== 'select' && holds(children)) wants = false;
      let place = null;
      if (wants) {
        place = placeOf(node, role);
        if (place && muted && !reachable(place)) place = null;
        if (place) {
          if (inert || behind(place, front) || covered(place, node)) { hiddenBehind++; out.h = 1; }
          else { out.i = idOf(node); if (place !== node) places.set(node, place); else places.delete(node); }
        }
      }
      const offered = !!place;
      const drawn = !node.childElementCount && children.length > 0 && drawnAsIcon(node, style);
      const content = (offered && !FIELDS.has(role) && role !== 'row' || CONTENT.has(role)) && !drawn;
      const named = nameOf(node, role, content ? flat(children) : undefined);
      if (named) out.n = named;
      if (offered || FIELDS.has(role) || role === 'progressbar' || role === 'meter' || role === 'separator') describe(node, role, out);
      if (offered && !out.n && !FIELDS.has(role) && !TICKS.has(role)) out.n = pseudoText(node) || pictured(node);
      if (offered && out.n && !named && !flat(children).trim()) { // a swatch: what its author calls it, and its colour
        const colour = coloured(node.style && node.style.backgroundColor);
        if (colour) out.n += ` ${colour}`;
      }
      if (offered && !out.n && !isControl && !FIELDS.has(role) || offered && !out.n && role === 'button') {
        const like = flat(children).trim() ? '' : looksLike(node);
        if (like) out.hint = like;
      }
      if (offered && out.n in NAMES) out.n = `${out.n} ${NAMES[out.n]}`;
      if (offered && !out.n && (FIELDS.has(role) || TICKS.has(role))) { const hint = fieldHint(node); if (hint) out.hint = hint; }
      if (offered && hoverable && !isControl && !handles && !hand && !tabs) (out.s = out.s || {}).hover = 1;
      if (offered && draggable) (out.s = out.s || {}).draggable = 1;
      if ((tag === 'a' || tag === 'area') && node.hasAttribute('href')) out.u = addressOf(node);
      if (!offered && !isControl && children.length && drawn) return null; // its text draws a picture
      if (role === 'heading') out.l = Number(attribute(node, 'aria-level') || (/^h([1-6])$/.exec(tag) || [0, 0])[1]);
      if (sketch && !out.n && !offered) return null;
      if (!offered && !out.n && !out.h && (children.length === 0 || children[0] === ' ' && children.length === 1) && !['textbox', 'iframe', 'dialog', 'alertdialog', 'cell', 'gridcell', 'columnheader', 'rowheader'].includes(role) && out.frame === undefined && out.v === undefined) {
        const text = page ? '' : pseudoText(node);
        if (!text || muted || invisible) return children.length ? ' ' : null;
        out.c = [text];
      }
      if (muted && !offered && !holds(children)) return null;
      if (invisible && !offered && children.every(child => typeof child === 'string' && !/\S/.test(child))) return null;
      if (!block && !offered && !out.h && PLAIN.has(out.r) && !(out.n && out.r !== 'generic')) {
        return out.n && !/\S/.test(flat(out.c)) ? [` ${out.n} `] : out.c; // a title may be all that a picture says
      }
      return out;
    };

    // whether something without a role of its own is worth a reference, seen by what is in it
    const worthy = (node, out, why) => {
      const inner = holds(out.c);
      if (!inner) {
        return !((why.handles || why.jq) && spread(node, out, why));
      }
      if (why.draggable) return true;
      if (why.handles && (why.hand || why.tabs)) return true;
      if (why.hoverable) return true;
      if (why.tabs && getRoleAttribute(node)) return true;
      // a hand or a listener around elements: its own text may be what is pressed
      return (why.hand || why.handles) && ownText(out.c).length > 0 && !big(node);
    };
    // whether parts of a drawing can be pressed
    const getRoleAttribute = node => !!attribute(node, 'role');
    const big = node => {
      const box = boxOf(node);
      return box.width * box.height > 0.5 * innerWidth * innerHeight;
    };
    // a listener on a list that asks which of its items was hit: each item is something to press
    const spread = (node, out, why) => {
      if (why.hand) return false;
      let at = out.c;
      let list = node;
      while (at.length === 1 && typeof at[0] === 'object') { at = at[0].c || []; list = list && list.children[0]; }
      const items = at.filter(item => typeof item === 'object');
      if (items.length < 3 || !list || ITEMS.has(out.r)) return false;
      const parts = [...childrenOf(list)].filter(part => part.nodeType === 1);
      const kinds = new Set(parts.map(part => tagOf(part) + '.' + (attribute(part, 'class') || '').split(' ')[0]));
      if (kinds.size > Math.max(1, parts.length / 3)) return false;
      let given = 0;
      for (const part of parts) {
        const made = items.find(item => madeOf.get(item) === part);
        if (made && !made.i && placeOf(part, 'generic')) { made.i = idOf(part); given++; if (!made.n) made.n = fold(flat(made.c)); }
      }
      return given > 1;
    };
    const reachable = place => {
      const box = boxOf(place);
      return inView(box) && hitAt(place, (box.left + box.right) / 2, (box.top + box.bottom) / 2);
    };

    let tree = walk(root, 0, {});
    if (Array.isArray(tree)) tree = {r: 'generic', c: tree};
    framesSeen = frames;
    return write({c: tree === null ? [] : [tree], frames: frames.length, behind: hiddenBehind, cut});
  };
  // JSON by hand, as old libraries give arrays a `toJSON` of their own
  const quote = JSON.stringify;
  const write = value => {
    if (typeof value === 'string') return quote(value);
    if (typeof value !== 'object') return String(value);
    let text = '';
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) text += (i ? ',' : '') + write(value[i]);
      return `[${text}]`;
    }
    for (const name of Object.keys(value)) if (value[name] !== undefined) text += (text ? ',"' : '"') + name + '":' + write(value[name]);
    return `{${text}}`;
  };
  let framesSeen = [];
  const frameIndex = frame => framesSeen.indexOf(frame);

  const PLAIN = new Set(('generic emphasis strong code time mark insertion deletion subscript superscript none').split(' '));
  const places = new WeakMap();
  const labelOnly = label => {
    const control = label.control;
    return !!control && getComputedStyle(control).display === 'none' && !['file', 'checkbox', 'radio'].includes(control.type);
  };
  const holds = children => {
    for (const child of children) if (typeof child === 'object' && (child.i || child.h || holds(child.c || []))) return true;
    return false;
  };
  const ownText = children => {
    let text = '';
    for (const child of children) {
      if (typeof child === 'string') text += child;
      else if (!child.i) text += ' ' + (child.n && !child.c ? child.n : ownText(child.c || []));
    }
    return fold(text);
  };
  // what stands in a line with room around it, as a badge behind a name does, is a word of its own
  const setApart = (children, style) => {
    const room = side => parseFloat(style['margin' + side]) + parseFloat(style['padding' + side]) + parseFloat(style[`border${side}Width`]) >= 2;
    return [...(room('Left') ? [' '] : []), ...children, ...(room('Right') ? [' '] : [])];
  };
  const flat = children => {
    let text = '';
    for (const child of children) {
      if (typeof child === 'string') { text += child; continue; }
      if (child.i && !CONTENT.has(child.r) && child.r !== 'generic') continue;
      const own = child.n && (CONTENT.has(child.r) || child.r === 'img' || !(child.c && child.c.length)) ? child.n : child.v || flat(child.c || []);
      text += child.b ? ` ${own} ` : own;
      if (text.length > 4000) break;
    }
    return text;
  };
  // words near a field or in its attributes, for one that has no label
  const fieldHint = element => {
    const name = attribute(element, 'name') || element.id || '';
    const plain = name.replace(/\[\]$/, '').replace(/[\[\].:_-]+/g, ' ').replace(/([a-z])([A-Z])/g, '$1 $2').trim();
    if (plain && plain.length < 40 && /[a-z]{2}/i.test(plain) && !/\d{3}|^[0-9a-f-]{8,}$/i.test(plain)) return plain.toLowerCase();
    const type = tagOf(element) === 'input' ? element.type : '';
    return ['text', '', 'checkbox', 'radio'].includes(type) ? '' : type;
  };

  // -- for actions -----------------------------------------------------------------------------------------------------

  const shownAs = node => {
    const kind = attribute(node, 'id') ? `#${node.id}` : attribute(node, 'class') ? `.${attribute(node, 'class').trim().split(/\s+/)[0]}` : '';
    return `<${tagOf(node)}${kind}>`;
  };
  const place = id => { const found = element(id); return found && (places.get(found) || found); };
  // where to press, from the top left corner of the padding box: a point that belongs to the element and to nothing
  // else that can be pressed; after scrolling it into view
  const aim = id => {
    const target = place(id);
    if (!target) return {gone: true};
    if (tagOf(element(id)) === 'area') return inRegion(element(id), target);
    const box = target.getBoundingClientRect();
    const away = box.top < 0 || box.left < 0 || box.bottom > innerHeight || box.right > innerWidth;
    let found = away ? null : pointOf(id, target, box);
    if (!found || 'covered' in found) { // out of the window, or of a box within it that scrolls
      target.scrollIntoView({block: 'center', inline: 'nearest', behavior: 'instant'});
      found = pointOf(id, target, target.getBoundingClientRect());
    }
    if (!('covered' in found)) return found;
    const control = element(id);
    for (const label of control.labels || []) { // its picture lies over it
      const point = label !== target && shown(label) ? pointOf(id, label, label.getBoundingClientRect()) : found;
      if (!('covered' in point)) { places.set(control, label); return point; }
    }
    return found;
  };
  const pictureOf = region => {
    const map = region.closest('map');
    return map && map.name ? document.querySelector(`img[usemap="#${CSS.escape(map.name)}"]`) : null;
  };
  // `force`: what is hit there is the region, and not the picture
  const inRegion = (region, picture) => {
    picture.scrollIntoView({block: 'nearest', inline: 'nearest', behavior: 'instant'});
    const box = picture.getBoundingClientRect();
    const [x, y] = areaPoint(region, box);
    return deepest(box.left + x, box.top + y) === region ? {x, y, force: true} : {covered: ''};
  };
  const pointOf = (id, target, box) => {
    const inside = element(id);
    const points = [], centre = rect => points.push([(rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2]);
    const boxes = target.getClientRects();
    if (boxes.length === 1) centre(box);
    for (let i = 0; i < boxes.length && i < 4; i++) if (boxes[i].width && boxes[i].height) centre(boxes[i]);
    const texts = document.createTreeWalker(target, NodeFilter.SHOW_TEXT);
    for (let i = 0, text = texts.nextNode(); text && i < 8; text = texts.nextNode()) {
      if (!/\S/.test(text.data)) continue;
      const range = document.createRange();
      range.selectNodeContents(text);
      for (const rect of [...range.getClientRects()].slice(0, 2)) centre(rect);
      i++;
    }
    if (target.getTotalLength && target.getScreenCTM) { // of a drawn line or an empty shape, the line itself
      try {
        const all = target.getTotalLength(), screen = target.getScreenCTM();
        for (let i = 1; i < 12; i++) {
          const point = target.getPointAtLength(all * i / 12).matrixTransform(screen);
          points.push([point.x, point.y]);
        }
      } catch (error) {}
    }
    for (const x of [0.1, 0.5, 0.9]) for (const y of [0.1, 0.5, 0.9]) points.push([box.left + box.width * x, box.top + box.height * y]);
    points.push(...edges(box));
    let second = null, cover = null;
    for (const [x, y] of points) {
      if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
      const hit = deepest(x, y);
      if (!hit) continue;
      if (!within(hit, target)) { cover = cover || hit; continue; }
      let own = true;
      for (let at = hit; at && at !== target && own; at = parentOf(at)) if (at !== inside && elements.has(ids.get(at))) own = false;
      if (own) return at(target, box, x, y);
      second = second || [x, y];
    }
    if (second) return at(target, box, second[0], second[1]);
    return {covered: cover ? shownAs(cover) : ''};
  };
  const areaPoint = (area, box) => {
    const given = area.coords.split(/[\s,]+/).map(Number), kind = (area.shape || 'rect').slice(0, 4);
    if (kind === 'defa' || !given.length) return [box.width / 2, box.height / 2];
    if (kind === 'circ') return [given[0], given[1]];
    const xs = given.filter((_, i) => i % 2 === 0), ys = given.filter((_, i) => i % 2 === 1);
    const middle = list => kind === 'rect' ? (list[0] + list[1]) / 2 : list.reduce((sum, one) => sum + one, 0) / list.length;
    return [middle(xs), middle(ys)];
  };
  const at = (target, box, x, y) => {
    const style = getComputedStyle(target);
    const spot = {x: x - box.left - (parseFloat(style.borderLeftWidth) || 0), y: y - box.top - (parseFloat(style.borderTopWidth) || 0)};
    // a picture drawn by the style sheet may be another one under the pointer, and has no size until that has come
    if (style.content.includes('url(')) return {...spot, changes: true};
    // the box of a shape is another one for the browser's debugger, which counts the line around it
    if (target.namespaceURI === SVG && tagOf(target) !== 'svg') return {...spot, drawn: [x, y]};
    for (let box = target; box; box = parentOf(box)) {
      if (box.getAnimations && box.getAnimations().some(one => one.playState === 'running')) return spot; // it may move
    }
    return {...spot, still: [x, y]};
  };
  const KEYED = ['onKeyDown', 'onKeyUp', 'onKeyPress'];
  // what filling a field has to mind
  const facts = (id, text) => {
    const field = element(id);
    if (!field) return {gone: true};
    const tag = tagOf(field), type = tag === 'input' ? field.type : '';
    const props = reactProps(field) || {};
    const auto = attribute(field, 'aria-autocomplete');
    const keys = (auto && auto !== 'none') || attribute(field, 'role') === 'combobox' || field.onkeyup || field.onkeydown
      || field.onkeypress || listens(field, new Set(['keydown', 'keyup', 'keypress'])) || KEYED.some(name => props[name]);
    let form = '';
    if (type in FORMS || type === 'number' || type === 'range') {
      const probe = document.createElement('input');
      probe.type = type;
      probe.value = text;
      if (text !== '' && probe.value !== text && !(type === 'range' && Number(text) == text.trim() && text.trim() !== '')
          && !(type === 'color' && probe.value === text.trim().toLowerCase())) form = FORMS[type] || 'a number';
    }
    const inner = field.querySelector && !['input', 'textarea', 'select'].includes(tag) && !field.isContentEditable
      ? field.querySelector('input:not([type=hidden]),textarea,[contenteditable=""],[contenteditable=true]') : null;
    return {tag, type, keys: !!keys, pressed: handled(field), form, editable: field.isContentEditable === true, inner: inner ? idOf(inner) : 0,
      multiple: !!field.multiple, value: tag === 'input' || tag === 'textarea' ? (secret(field) ? '' : field.value) : ''};
  };
  // the box that scrolls: the nearest around an element, else the page, else the largest box in view
  const scroller = id => {
    const moves = box => box.scrollHeight > box.clientHeight + 4 && /auto|scroll|overlay/.test(getComputedStyle(box).overflowY) && box.clientHeight > 20;
    if (id) for (let at = element(id); at; at = parentOf(at)) if (moves(at)) return at;
    const page = document.scrollingElement || document.documentElement;
    if (page.scrollHeight > page.clientHeight + 4 && getComputedStyle(document.body || page).overflowY !== 'hidden'
        && getComputedStyle(document.documentElement).overflowY !== 'hidden') return page;
    let best = null, size = 0;
    const visit = root => {
      for (const box of root.querySelectorAll('*')) {
        if (box.shadowRoot) visit(box.shadowRoot);
        if (box.scrollHeight <= box.clientHeight + 4 || !moves(box)) continue;
        const rect = box.getBoundingClientRect();
        const area = rect.width * rect.height;
        if (inView(rect) && area > size && hitAt(box, (Math.max(0, rect.left) + Math.min(innerWidth, rect.right)) / 2, (Math.max(0, rect.top) + Math.min(innerHeight, rect.bottom)) / 2)) { best = box; size = area; }
      }
    };
    visit(document);
    return best || page;
  };
  // how far it moved, and what of it is left below, in pixels
  const scroll = async (id, sign) => {
    const box = scroller(id);
    const before = box.scrollTop;
    box.scrollBy({top: sign * 0.9 * box.clientHeight, behavior: 'instant'});
    // the page hears of it with its next frame
    await new Promise(done => { requestAnimationFrame(() => setTimeout(done)); setTimeout(done, 200); });
    return {moved: box.scrollTop - before, left: box.scrollHeight - box.clientHeight - box.scrollTop};
  };

  Object.defineProperty(window, KEY, {
    value: Object.freeze({snapshot, element, place, aim, facts, scroll, frameIndex}), configurable: false,
  });
})();
