// Half-filled forms. What is typed into form[data-draft="<name>"] goes to the server a moment after the last key, never into
// this browser's storage, and fields of secrets ([type=password], [data-secret]) go nowhere. Each such form on the screen is
// an instance of its own, with a random id ([data-instance]): a new one, or that of the unfinished form it goes on with
// ([data-continues]). A form that goes from the screen is saved once more, as one that nobody types into any more. A form
// that a restarted server has made anew (a lower [data-number]) is filled with what was typed into the one before.
// sessionStorage keeps the ids of this tab's forms, so that what is offered ([data-offer]) is not said to be in another window.
"use strict";
(() => {
  const KEPT = "forms";
  const KEPT_AT_MOST = 30;
  const AFTER_MS = 1_000; // after the last key
  const LATER_MS = 5_000; // after more was saved at once than the server takes
  const waiting = new Map(); // instance -> {name, fields, left}: what the server has not got yet
  const began = new WeakMap(); // form -> what stood in its fields at the beginning
  const touched = new WeakSet();
  let form = null; // the one on the screen
  let unsaved = false;
  let timer;
  let line = Promise.resolve(); // one request after the other: the last one typed is the last one kept

  const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  function own() {
    try { return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"); } catch { return []; }
  }

  function fieldsOf(one) {
    const found = {};
    for (const field of one.elements) {
      if (!field.name || field.name === "intent" || !field.matches("input, select, textarea")) continue;
      if (field.matches("[type=password], [type=hidden], [type=file], [data-secret]")) continue;
      if (field.type === "radio" && !field.checked) continue;
      found[field.name] = field.type === "checkbox" ? (field.checked ? "on" : "") : field.value;
    }
    return found;
  }

  function note(one, left) {
    if (!one.dataset.draft || !touched.has(one) || one.getAttribute("aria-busy") === "true") return;
    const now = fieldsOf(one), before = began.get(one);
    const typed = one.dataset.continues || Object.keys(now).some((name) => now[name].trim() !== (before[name] ?? "").trim());
    waiting.set(one.dataset.instance, { name: one.dataset.draft, fields: typed ? now : {}, left });
  }

  async function send(instance, draft) {
    waiting.delete(instance);
    try {
      const answer = await fetch(`/auth/draft/${draft.name}`, {
        method: "PUT", cache: "no-store", keepalive: true, headers: { "content-type": "application/json" },
        body: JSON.stringify({ instance, fields: draft.fields, left: draft.left }),
      });
      if (answer.status < 500 && answer.status !== 429) return;
      if (answer.status === 429) { clearTimeout(timer); timer = setTimeout(save, LATER_MS); }
    } catch { /* offline: with the next one */ }
    if (!waiting.has(instance)) waiting.set(instance, draft);
  }

  function save() {
    clearTimeout(timer);
    if (form && unsaved && form.getAttribute("aria-busy") !== "true") { unsaved = false; note(form, false); }
    line = line.then(async () => { for (const [instance, draft] of [...waiting]) await send(instance, draft); });
    return line;
  }

  // --- forms come and go ------------------------------------------------------------------------------

  function begin(one) {
    began.set(one, fieldsOf(one));
    unsaved = false;
    one.dataset.instance = one.dataset.continues || fresh();
    if (one.dataset.continues) touched.add(one);
    const ids = [...own().filter((id) => id !== one.dataset.instance), one.dataset.instance].slice(-KEPT_AT_MOST);
    try { sessionStorage.setItem(KEPT, JSON.stringify(ids)); } catch { /* then it is said */ }
  }

  // What was typed into `before`, in `one`.
  function refill(one, before) {
    for (const field of one.elements) {
      const old = field.name && before.elements.namedItem(field.name);
      if (!old || field.type === "hidden" || old instanceof RadioNodeList) continue;
      if (field.type === "checkbox") { if (field.checked !== old.checked) field.click(); } else field.value = old.value;
    }
    one.dataset.instance = before.dataset.instance;
    if (before.dataset.continues || touched.has(before)) { touched.add(one); unsaved = true; }
  }

  function look() {
    const now = document.querySelector("form[data-draft]");
    if (now !== form) {
      const before = form;
      const forgotten = before && now && before.dataset.draft === now.dataset.draft && Number(now.dataset.number) < Number(before.dataset.number);
      if (before && !forgotten) { note(before, true); unsaved = false; save(); }
      form = now;
      if (now) begin(now);
      if (forgotten) refill(now, before);
    }
    const mine = document.querySelector("[data-offer]") && own();
    for (const offer of mine ? document.querySelectorAll("[data-offer]") : []) {
      offer.toggleAttribute("data-own", mine.includes(offer.dataset.offer));
      offer.hidden = offer.dataset.offer === form?.dataset.instance; // after a restart: it is on the screen
    }
  }

  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
  document.addEventListener("input", (event) => {
    const one = event.target.closest("form[data-draft]");
    if (!one) return;
    look();
    touched.add(one);
    unsaved = true;
    clearTimeout(timer);
    timer = setTimeout(save, AFTER_MS);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-draft]")) clearTimeout(timer); // gone on success; else it is kept with the next key
  }, true);
  document.addEventListener("visibilitychange", () => { if (document.hidden) save(); });
  addEventListener("pagehide", () => {
    clearTimeout(timer);
    if (form) note(form, true);
    for (const [instance, draft] of [...waiting]) send(instance, draft); // no time to wait for one another
  });
  window.clinicDrafts = { save, instance: () => form?.dataset.instance ?? "" };
})();
