"use strict";
(() => {
  // All markup is made by the server, which escapes what pages and models said; this fetches it from there only.
  const EVERY = 3000; // milliseconds

  async function fetched(address) {
    const answer = await fetch(address, { credentials: "omit" });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${answer.status}`);
    return new DOMParser().parseFromString(text, "text/html").body.childNodes;
  }

  // Prompts are long, so each is fetched when it is unfolded.
  for (const details of document.querySelectorAll("details[data-load]")) {
    details.addEventListener("toggle", async () => {
      if (!details.open || details.dataset.loaded) return;
      details.dataset.loaded = "yes";
      try {
        const summary = details.querySelector("summary");
        details.replaceChildren(summary, ...(await fetched(details.dataset.load)));
      } catch (error) {
        delete details.dataset.loaded; // the link in it still leads there
      }
    });
  }

  // A run that goes on is looked at again; a page that nobody sees is not.
  const live = document.getElementById("live");
  async function again() {
    if (!document.hidden) {
      try {
        const now = document.createElement("section");
        now.append(...(await fetched(live.dataset.again)));
        // what is the same stays: somebody may have marked a part of it, or scrolled in a table
        if (now.innerHTML.trim() !== live.innerHTML.trim()) live.replaceChildren(...now.childNodes);
      } catch (error) {
        // the viewer was stopped, or is busy: what is shown stays
      }
    }
    setTimeout(again, EVERY);
  }
  if (live) setTimeout(again, EVERY);
})();
