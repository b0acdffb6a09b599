// For the plain pages, none of which needs it: shows what needs scripts, and sends a form once.
"use strict";
(() => {
  try { sessionStorage.removeItem("token"); } catch { /* storage is off */ } // the next page starts with a fresh Reflex state
  for (const part of document.querySelectorAll("[data-script]")) part.hidden = false;
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("[data-once]")) return;
    if (form.ariaBusy === "true") { event.preventDefault(); return; } // second Enter
    form.ariaBusy = "true";
    const button = event.submitter;
    const words = button?.dataset.busy && button.querySelector("span");
    if (!words) return;
    button.style.minWidth = `min(100%, ${button.offsetWidth}px)`; // nothing moves
    words.textContent = button.dataset.busy;
    button.setAttribute("aria-disabled", "true");
  });
  // Back out of the browser's page cache: whether somebody is signed in by now is the server's to say.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
