// On *Register as a patient*: has the challenge solved while somebody types. Sent early, the form waits and goes by itself.
"use strict";
(() => {
  const form = document.getElementById("register");
  if (!form) return;
  form.querySelector("[autofocus]")?.focus(); // it was not there when the browser looked for it
  const challenge = JSON.parse(form.dataset.challenge);
  const answer = form.elements.namedItem("altcha");
  const bar = form.querySelector("progress");
  let waits = null; // the button that was pressed

  function show(which) {
    for (const part of form.querySelectorAll("[data-proof]")) part.hidden = part.dataset.proof !== which;
  }

  function solved(number) {
    answer.value = btoa(JSON.stringify({ ...challenge, number }));
    show("done");
    if (waits) form.requestSubmit(waits);
  }

  function failed() {
    show("failed");
    for (const button of form.querySelectorAll("[type=submit]")) button.hidden = true;
  }

  form.addEventListener("submit", (event) => {
    if (answer.value) return;
    event.preventDefault();
    if (waits) return;
    waits = event.submitter || form.querySelector("[type=submit]");
    waits.setAttribute("aria-disabled", "true");
    waits.querySelector("span").textContent = waits.dataset.busy;
    show("waits");
  });

  // A line that is away for a moment keeps nobody out: the worker is asked for again after each of these seconds.
  function work(waits) {
    try {
      const worker = new Worker("/register-worker.js");
      worker.onerror = () => {
        worker.terminate();
        if (waits.length) setTimeout(work, waits[0] * 1000, waits.slice(1));
        else failed();
      };
      worker.onmessage = ({ data }) => {
        bar.value = data.share;
        if (data.number !== undefined) solved(data.number);
        else if (data.share >= 100) failed();
      };
      worker.postMessage(challenge);
    } catch { failed(); }
  }

  work([1, 3, 9]);
})();
