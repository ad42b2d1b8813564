"use strict";
(() => {
  // Texts are shown through textContent only: nothing a page or a model said ever becomes markup.
  let unpacked = null;

  function unpack() {
    unpacked ??= (async () => {
      const packed = document.getElementById("texts").textContent.trim();
      const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      return JSON.parse(await new Response(stream).text());
    })();
    return unpacked;
  }

  function add(parent, tag, text) {
    const node = document.createElement(tag);
    node.textContent = text;
    parent.append(node);
    return node;
  }

  async function showObservation(details) {
    const data = await unpack();
    const image = data.texts[Number(details.dataset.image || 0)];
    if (/^data:image\/png;base64,[A-Za-z0-9+/=]+$/.test(image)) {
      const node = document.createElement("img");
      node.className = "seen";
      node.alt = "Screenshot";
      node.src = image;
      details.append(node);
    }
    add(details, "pre", data.texts[Number(details.dataset.text)] || "(empty)");
  }

  async function showExamples(details) {
    const data = await unpack();
    const list = document.createElement("ul");
    for (const number of details.dataset.examples.split(" ")) {
      const [label, instruction, link] = data.examples[Number(number)];
      const item = add(list, "li", "");
      const name = add(item, link ? "a" : "span", label);
      if (/^#t-[0-9a-f]{16}$/.test(link)) name.setAttribute("href", link);
      item.append(": " + instruction);
    }
    details.append(list);
  }

  function opened(event) {
    const details = event.target;
    if (!details.open || details.dataset.shown) return;
    const show = details.dataset.text ? showObservation : details.dataset.examples ? showExamples : null;
    if (!show) return;
    details.dataset.shown = "yes";
    show(details).catch((error) => add(details, "pre", "This browser could not unpack the text: " + error));
  }

  function search(form) {
    const rows = [...document.querySelectorAll("#trajectories tbody tr")];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    function sift() {
      const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
      const source = form.elements.source.value;
      const end = form.elements.end.value;
      let found = 0;
      rows.forEach((row, index) => {
        const fits =
          words.every((word) => texts[index].includes(word)) &&
          (!source || row.dataset.source === source) &&
          (!end || row.dataset.end === end);
        row.hidden = !fits;
        found += fits;
      });
      form.elements.count.textContent = `${found} of ${rows.length}`;
    }
    form.hidden = false;
    form.addEventListener("input", sift);
    form.addEventListener("submit", (event) => event.preventDefault());
    sift();
  }

  document.addEventListener("toggle", opened, true);
  const form = document.getElementById("search");
  if (form) search(form);
})();
