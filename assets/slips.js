// Slips are on the screen for a while ([data-shown-for], in minutes): then they are taken out of the page, which says so.
// The clock decides, not the timer, which stands still while a computer sleeps.
"use strict";
(() => {
  const slips = document.querySelector("[data-shown-for]");
  const end = Date.now() + Number(slips.dataset.shownFor) * 60_000;

  function look() {
    if (!slips.isConnected || Date.now() < end) return;
    slips.remove();
    document.querySelectorAll("[data-print]").forEach((button) => button.remove());
    document.getElementById("slips-over").append(document.getElementById("slips-over-words").content);
  }

  setInterval(look, 1000);
  for (const type of ["visibilitychange", "pageshow", "beforeprint"]) addEventListener(type, look, true);
})();
