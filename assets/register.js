// On *Register as a patient*: has the challenge solved while somebody types. Sent early, the form waits and goes by itself.
"use strict";
(() => {
  const form = document.getElementById("register");
  if (!form) return;
  form.querySelector("[autofocus]")?.focus(); // it was not there when the browser looked for it
  const challenge = JSON.parse(form.dataset.challenge);
  const answer = form.elements.namedItem("altcha");
  const bar = form.querySelector("progress");
  let waits = null, words = ""; // the button that was pressed, and what it said
  let reached = false; // the server, after that press

  function show(which) {
    for (const part of form.querySelectorAll("[data-proof]")) part.hidden = part.dataset.proof !== which;
  }

  function solved(number) {
    answer.value = btoa(JSON.stringify({ ...challenge, number }));
    show("done");
    if (waits) send();
  }

  function failed() {
    show("failed");
    for (const button of form.querySelectorAll("[type=submit]")) button.hidden = true;
  }

  // Without a line the browser would put a page of its own in place of the form, and Back would not bring that again.
  function send() {
    const over = new AbortController();
    setTimeout(() => over.abort(), 10_000);
    fetch("/healthz", { cache: "no-store", signal: over.signal }).then(({ status }) => {
      if (status >= 500) throw new Error(); // from the proxy: the server begins anew
    }).then(() => {
      reached = true;
      form.requestSubmit(waits);
    }, () => {
      waits.removeAttribute("aria-disabled");
      waits.querySelector("span").textContent = words;
      waits = null;
      show("away");
    });
  }

  form.addEventListener("submit", (event) => {
    if (reached) return;
    event.preventDefault();
    if (waits) return;
    waits = event.submitter || form.querySelector("[type=submit]");
    const span = waits.querySelector("span");
    words = span.textContent;
    span.textContent = waits.dataset.busy;
    waits.setAttribute("aria-disabled", "true");
    show(answer.value ? "done" : "waits");
    if (answer.value) send();
  });

  // A line that is away for a moment keeps nobody out: the worker is asked for again after each of these seconds.
  function work(pauses) {
    try {
      const worker = new Worker("/register-worker.js");
      worker.onerror = () => {
        worker.terminate();
        if (pauses.length) setTimeout(work, pauses[0] * 1000, pauses.slice(1));
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
