// On *Set your password*: takes the code of the link out of the address at once, and into its field. Whoever has no scripts
// types it.
"use strict";
(() => {
  const field = document.getElementById("code");

  function take() {
    const code = location.hash.slice(1);
    if (!code || !field) return;
    history.replaceState(null, "", location.pathname); // neither in the history nor in a picture of the screen
    field.value = code.slice(0, field.maxLength).toUpperCase();
    for (const words of document.querySelectorAll("[data-when]")) words.hidden = words.dataset.when !== "link";
  }

  take();
  addEventListener("hashchange", take); // another link, opened where this page stands already
})();
