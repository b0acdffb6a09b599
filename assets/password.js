// The strength meter of a field with data-strength="<id of the meter>" (asked at data-strength-at, with the field
// data-strength-with), and an offered passphrase ([data-suggest="<ids of the fields>"]). show.js shows and hides. The judgement is the server's: what is typed goes to our own address, by POST, a moment after the
// last key, and nowhere else.
"use strict";
(() => {
  const WAIT_MS = 250;
  const AGAIN_MS = 1_000; // where it was asked too often
  let timer;
  let asked = 0; // only the newest answer counts
  let asking;

  function fill(meter, score, word, why) {
    meter.querySelector("[data-strength-bars]").className = `strength s${score}`;
    meter.querySelector("[data-strength-word]").textContent = word;
    meter.querySelector("[data-strength-why]").textContent = why;
  }

  function tick(field, score) {
    const long = [...field.value.normalize("NFKC")].length >= (field.minLength > 0 ? field.minLength : 1);
    for (const tip of field.form?.querySelectorAll("[data-tip]") ?? []) {
      tip.classList.toggle("done", tip.dataset.tip === "length" ? long : score >= 3);
    }
  }

  // "6 more characters needed" was said of what stood there then: it goes as soon as it is not true any more.
  const SHORT = /^\s*(\d+) more characters? needed/;
  function outdated(field) {
    const missing = field.minLength - [...field.value.normalize("NFKC")].length;
    const why = document.getElementById(field.dataset.strength)?.querySelector("[data-strength-why]");
    if (why && SHORT.test(why.textContent) && Number(SHORT.exec(why.textContent)[1]) !== missing) why.textContent = "";
    const error = document.getElementById(`${field.id}-error`);
    if (!error || error.hidden || missing > 0 || !SHORT.test(error.textContent)) return;
    error.hidden = true; // not emptied: its words may be React's
    field.setAttribute("aria-invalid", "false");
    const summary = document.getElementById("error-summary");
    const line = summary?.querySelector(`a[href="#${CSS.escape(field.id)}"]`)?.closest("li");
    if (!line) return;
    line.hidden = true;
    summary.hidden = summary.querySelector("li:not([hidden])") === null;
  }

  async function judge(field) {
    const meter = document.getElementById(field.dataset.strength);
    const turn = ++asked;
    if (!meter) return;
    if (!field.value) { fill(meter, 0, "", ""); tick(field, 0); return; }
    asking = new AbortController();
    try {
      const more = document.getElementById(field.dataset.strengthWith); // where there is no session, whose questions count together
      const answer = await fetch(field.dataset.strengthAt ?? "/auth/password-strength", {
        method: "POST",
        cache: "no-store",
        signal: asking.signal,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ password: field.value, ...(more && { [more.id]: more.value }) }),
      });
      if (turn !== asked) return;
      if (answer.status === 429) timer = setTimeout(judge, AGAIN_MS, field);
      if (!answer.ok) { fill(meter, 0, "", ""); tick(field, 0); return; } // not the judgement of what stood there before
      const { score, word, why } = await answer.json();
      fill(meter, score, word ?? "", why ?? "");
      tick(field, score);
    } catch { /* offline: the server judges again when the form is sent */ }
  }

  async function suggest(button) {
    const fields = button.dataset.suggest.split(",").map((id) => document.getElementById(id)).filter(Boolean);
    const status = button.parentElement.querySelector("[data-suggest-status]");
    let made = "";
    try {
      const answer = await fetch("/auth/passphrase", { method: "POST", cache: "no-store" });
      if (answer.ok) made = (await answer.json()).passphrase ?? "";
    } catch { /* said below */ }
    if (!made) { status.textContent = "No suggestion is available right now. Three or four words of your own are just as good."; return; }
    for (const field of fields) {
      field.value = made;
      const shows = document.querySelector(`[data-shows="${field.id}"]`);
      if (field.type === "password" && shows) shows.click();
      if (field.dataset.strength) judge(field);
    }
    status.textContent = `Filled in: ${made}. Keep it in your password manager, or write it down and keep it safe.`;
  }

  for (const field of document.querySelectorAll("[data-strength]")) if (field.value) judge(field); // a passphrase of ours

  // A form that is sent may end the session: nothing more is asked under it.
  document.addEventListener("submit", () => { clearTimeout(timer); asking?.abort(); });

  document.addEventListener("click", (event) => {
    const suggesting = event.target.closest("[data-suggest]");
    if (suggesting) { event.preventDefault(); suggest(suggesting); } // a plain page's button would ask for a whole page
  });
  document.addEventListener("input", (event) => {
    const field = event.target.closest("[data-strength]");
    if (!field) return;
    outdated(field);
    clearTimeout(timer);
    timer = setTimeout(judge, WAIT_MS, field);
  });
})();
