// Takes away what the server put on the page (web/shell.py) as soon as the page itself is there.
"use strict";
(() => {
  const watch = new MutationObserver(look);
  function look() {
    const shell = document.querySelector("clinic-shell");
    if (shell && !document.querySelector("main:not(clinic-shell main)")) return;
    shell?.remove();
    if (document.querySelectorAll("head > title").length > 1) document.querySelector("head > title[data-shell]")?.remove();
    watch.disconnect();
  }
  watch.observe(document.documentElement, { childList: true, subtree: true });
  look();
})();
