"use strict";
(() => {
  // Everything untrusted goes through textContent: nothing a page or a model said ever becomes markup.
  const marks = { solved: "✓", part: "◐", missed: "✗", error: "!", ran: "·" };
  const overview = document.getElementById("overview");
  const page = document.getElementById("page");
  const form = document.getElementById("search");
  const lines = {};
  const unpacked = {};
  let left = { hash: "", y: 0 };

  // One line of the packed data: the first says where what is, and only the lines that a page needs are unpacked.
  function unpack(id, number = 0) {
    unpacked[id + number] ??= (async () => {
      lines[id] ??= document.getElementById(id).textContent.trim().split("\n");
      const bytes = Uint8Array.from(atob(lines[id][number]), (character) => character.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return JSON.parse(await new Response(stream).text());
    })();
    return unpacked[id + number];
  }

  async function textOf(number) {
    if (!number) return "";
    const { starts } = await unpack("texts");
    let pack = starts.length - 1;
    while (starts[pack] > number - 1) pack -= 1;
    return (await unpack("texts", pack + 1))[number - 1 - starts[pack]];
  }

  function add(parent, tag, look, text) {
    const node = document.createElement(tag);
    if (look) node.className = look;
    if (text) node.textContent = text;
    parent.append(node);
    return node;
  }

  function link(parent, look, text, anchor) {
    const node = add(parent, "a", look, text);
    if (/^[a-z0-9-]+$/.test(anchor)) node.setAttribute("href", "#" + anchor);
    return node;
  }

  // A <details> whose content is made when it is first opened.
  function fold(parent, summary, fill) {
    const details = add(parent, "details");
    add(details, "summary", "said", summary);
    details.addEventListener("toggle", () => {
      if (!details.open || details.dataset.filled) return;
      details.dataset.filled = "yes";
      fill(details).catch((error) => add(details, "p", "failed", "This could not be unpacked: " + error));
    });
    return details;
  }

  function addSeen(parent, word, [place, title, length, text, image]) {
    const summary = [word, place, title, length.toLocaleString("en") + " characters"].filter(Boolean).join(" · ");
    fold(parent, summary, async (details) => {
      const shot = await textOf(image);
      if (/^data:image\/png;base64,[A-Za-z0-9+/=]+$/.test(shot)) {
        const picture = add(details, "img", "seen");
        picture.alt = "Screenshot";
        picture.src = shot;
      }
      add(details, "pre", "", (await textOf(text)) || "(empty)");
    });
  }

  function addStep(list, [seen, reason, action, grounded, error, shown], index) {
    const item = add(list, "li");
    add(item, "span", "number", String(index + 1));
    const body = add(item, "div");
    addSeen(body, "Saw", seen);
    if (reason) add(body, "p", "said", reason);
    add(add(body, "p", "did"), "code", "said", action || "(no action)");
    if (grounded) add(add(body, "p", "dim"), "code", "said", grounded);
    if (error) add(body, "p", "failed said", error);
    if (!shown.length) return;
    fold(body, shown.length + (shown.length === 1 ? " example" : " examples") + " in the prompt", async (details) => {
      const { examples } = await unpack("texts");
      const rows = add(details, "ul");
      for (const number of shown) {
        const [label, instruction, anchor] = examples[number];
        const row = add(rows, "li");
        if (anchor) link(row, "", label, anchor);
        else add(row, "span", "", label);
        add(row, "span", "said", ": " + instruction);
      }
    });
  }

  function addSpan(list, [kept, label, tier, instruction, said, votes]) {
    const item = add(list, "li");
    const word = kept ? "kept" : "dropped";
    add(item, "span", "tag " + word, word);
    item.append(" ");
    add(item, "span", "dim", label + (kept ? ", " + tier : ""));
    add(item, "p", "said", instruction);
    for (const reason of said) add(item, "p", "why said", reason);
    if (!votes.length) return;
    const yes = votes.filter((vote) => vote[1] === "accepts").length;
    fold(item, `${yes} of ${votes.length} votes accept it`, async (details) => {
      for (const [member, answer, reason] of votes) {
        const line = add(details, "p", "why said");
        add(line, "b", "", member);
        line.append(" " + answer + (reason ? ": " + reason : ""));
      }
    });
  }

  function addWays(parent, anchor) {
    const ways = add(parent, "p", "ways");
    link(ways, "", "All trajectories", "trajectories");
    const listed = [...document.querySelectorAll("#trajectories tbody tr:not([hidden]) a")].map((a) => a.hash.slice(1));
    const at = listed.indexOf(anchor);
    if (at > 0) link(ways, "", "Previous", listed[at - 1]);
    if (at >= 0 && at + 1 < listed.length) link(ways, "", "Next", listed[at + 1]);
  }

  function addFacts(parent, data) {
    const facts = add(parent, "dl", "facts");
    for (const [name, value] of data.facts) {
      add(facts, "dt", "", name);
      const cell = add(facts, "dd", name === "Key" || name === "Task" ? "mono said" : "said");
      add(cell, "span", name === "Outcome" ? "tag " + data.outcome : "", value);
    }
  }

  function addOthers(parent, others, pages) {
    add(parent, "h3", "", "The same task elsewhere");
    const chips = add(parent, "ul", "chips");
    for (const [label, outcome, anchor] of others) {
      const text = marks[outcome] + " " + label;
      if (anchor in pages) link(add(chips, "li"), "tag " + outcome, text, anchor);
      else add(add(chips, "li"), "span", "tag " + outcome, text);
    }
  }

  function show(anchor, data, pages) {
    page.replaceChildren();
    addWays(page, anchor);
    add(page, "p", "eyebrow", data.eyebrow);
    add(page, "h2", "said", data.title).tabIndex = -1;
    addFacts(page, data);
    if (data.scoring) fold(page, "How it is scored", async (details) => add(details, "pre", "", data.scoring));
    if (data.others.length) addOthers(page, data.others, pages);
    add(page, "h3", "", "Steps");
    const steps = add(page, "ol", "steps");
    data.steps.forEach((step, index) => addStep(steps, step, index));
    if (data.more) add(add(steps, "li"), "span", "number", "+" + data.more);
    const end = add(steps, "li");
    add(end, "span", "number", "end");
    addSeen(add(end, "div"), "Saw last", data.last);
    if (!data.spans) return;
    add(page, "h3", "", "Examples made of it");
    if (!data.spans.length) add(page, "p", "empty", "No example was made of this trajectory.");
    const spans = add(page, "ul", "spans");
    for (const span of data.spans) addSpan(spans, span);
  }

  async function route() {
    const anchor = location.hash.slice(1);
    if (!/^t-[0-9a-f]{16}$/.test(anchor)) {
      const back = !page.hidden;
      page.hidden = true;
      overview.hidden = false;
      if (back && left.hash === location.hash) scrollTo(0, left.y);
      else if (back && anchor) document.getElementById(anchor)?.scrollIntoView();
      return;
    }
    const where = await unpack("pages");
    if (!Object.hasOwn(where, anchor)) return;
    const pages = await unpack("pages", where[anchor]);
    if (location.hash.slice(1) !== anchor) return;
    show(anchor, pages[anchor], where);
    page.dataset.anchor = anchor;
    overview.hidden = true;
    page.hidden = false;
    scrollTo(0, 0);
    page.querySelector("h2").focus({ preventScroll: true });
  }

  function search() {
    const rows = [...document.querySelectorAll("#trajectories tbody tr")];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const { words, source, end, count } = form.elements;
    function sift() {
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      rows.forEach((row, index) => {
        const fits =
          wanted.every((word) => texts[index].includes(word)) &&
          (!source.value || row.dataset.source === source.value) &&
          (!end.value || row.dataset.end === end.value);
        row.hidden = !fits;
        found += fits;
      });
      count.textContent = `${found} of ${rows.length}`;
    }
    form.hidden = false;
    form.addEventListener("input", sift);
    form.addEventListener("submit", (event) => event.preventDefault());
    sift();
  }

  // Where the reader left the overview, to bring them back there.
  document.addEventListener("click", (event) => {
    if (!overview.hidden && event.target.closest("a")) left = { hash: location.hash, y: scrollY };
  });
  addEventListener("hashchange", route);
  if (form) search();
  route();
})();
