// A large file is sent in parts, each an ordinary request: form[data-upload="<address>"] with one input[type=file].
// The server is told name and size, answers with a number and how large a part may be, and says after each part how many
// bytes have come. A part that was lost on the line is sent again; what came is not.
// [data-upload-error] says what went wrong, [data-upload-progress] how far it is; the page shows the rest by itself.
"use strict";
(() => {
  const NO_LINE = "The line was away for too long. Choose Check the file to send it again.";
  const NONE = "Choose a file first.";
  const TRIES = 8;

  const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

  async function asked(address, options) {
    for (let turn = 0; ; turn += 1) {
      let answer, told;
      try {
        answer = await fetch(address, { method: "POST", cache: "no-store", ...options });
        told = await answer.json().catch(() => ({}));
      } catch { answer = undefined; }
      if (answer?.ok) return told;
      if (answer?.status === 409 && Number.isInteger(told.received)) return told;
      const later = !answer || answer.status === 429 || answer.status >= 500;
      if (!later || turn >= TRIES) throw { detail: told?.detail ?? NO_LINE };
      await pause(Math.min(8000, 250 * 2 ** turn));
    }
  }

  function say(form, words) {
    const error = form.querySelector("[data-upload-error]");
    const input = form.querySelector("input[type=file]");
    error.textContent = words;
    error.hidden = !words;
    if (words) { input.setAttribute("aria-invalid", "true"); input.focus(); } else input.removeAttribute("aria-invalid");
  }

  function show(form, done, whole) {
    const part = form.querySelector("[data-upload-progress]");
    part.hidden = false;
    part.querySelector("progress").value = done / whole;
    part.querySelector("[data-upload-words]").textContent = `${Math.floor((100 * done) / whole)} %`;
  }

  async function send(form) {
    const button = form.querySelector("button[type=submit]");
    if (button.getAttribute("aria-disabled") === "true") return;
    const file = form.querySelector("input[type=file]").files[0];
    if (!file) { say(form, NONE); return; }
    say(form, "");
    button.setAttribute("aria-disabled", "true");
    try {
      const about = { headers: { "content-type": "application/json" }, body: JSON.stringify({ name: file.name, size: file.size }) };
      const { number, part } = await asked(form.dataset.upload, about);
      show(form, 0, file.size);
      for (let at = 0; at < file.size && form.isConnected;) {
        const body = await file.slice(at, at + part).arrayBuffer();
        const told = await asked(`${form.dataset.upload}/${number}/${at}`, { headers: { "content-type": "application/octet-stream" }, body });
        at = told.received;
        show(form, at, file.size);
      }
    } catch (refused) {
      say(form, refused.detail ?? "The file cannot be read. Choose it again.");
      form.querySelector("[data-upload-progress]").hidden = true;
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-upload]");
    if (!form) return;
    event.preventDefault();
    send(form);
  });
})();
