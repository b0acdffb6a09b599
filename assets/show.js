// Show/Hide beside a password ([data-shows="<id of the field>"]), and passkeys: what has [data-passkey] is shown where the
// browser knows them and the address is safe, and the one they are made for. Signing in with one, what asks the device
// (passkeys.js) is fetched at the first press.
"use strict";
(() => {
  function toggle(button) {
    const field = document.getElementById(button.dataset.shows);
    if (!field) return;
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    button.setAttribute("aria-label", shown ? "Hide typed characters" : "Show typed characters");
    button.querySelector("[data-words]").textContent = shown ? "Hide" : "Show";
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-shows]");
    if (button) toggle(button);
  });
  // What is posted is a password field again, or the browser might keep it as ordinary text.
  document.addEventListener("submit", (event) => {
    for (const button of event.target.querySelectorAll?.('[data-shows][aria-pressed="true"]') ?? []) toggle(button);
    // Answered by a file the page stays, on a phone that others may hold: not with the password in it.
    if (event.submitter?.hasAttribute("formaction")) setTimeout(() => { for (const one of event.target.querySelectorAll('input[type="password"]')) one.value = ""; });
  }, true);

  const able = (part) => isSecureContext && !!window.PublicKeyCredential && location.hostname === part.dataset.passkey;
  for (const part of document.querySelectorAll("[data-passkey]")) part.hidden = !able(part);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-passkey-sign-in]");
    if (!button || document.querySelector('script[src="/passkeys.js"]')) return;
    const script = document.createElement("script");
    const words = button.querySelector("span");
    const before = words.textContent;
    words.textContent = button.dataset.busy;
    script.src = "/passkeys.js";
    script.onload = () => { words.textContent = before; button.click(); };
    script.onerror = () => {
      script.remove(); // tried again at the next press
      words.textContent = before;
      button.closest("[data-passkey]").querySelector("[data-passkey-error]").textContent = "There is no connection. Try again in a moment.";
    };
    document.head.append(script);
  });
})();
