// On the pages before a session: once the page is there, fetch what the page after it will load, so that it need not wait
// for that. Three files at a time, behind everything else; not where somebody has asked to save data.
"use strict";
(() => {
  const files = (document.currentScript.dataset.files ?? "").split(" ").filter(Boolean);
  const AT_ONCE = 3;

  async function next() {
    while (files.length) {
      const file = files.shift();
      try { await (await fetch(file, { priority: "low" })).blob(); } catch { return; } // no line: the page fetches them itself
    }
  }

  addEventListener("load", () => {
    if (navigator.connection?.saveData) return;
    const later = window.requestIdleCallback ?? setTimeout;
    later(() => { for (let one = 0; one < AT_ONCE; one += 1) next(); });
  });
})();
