// A press counts once, on a slow line too. form[data-press="<name>"] (with a hidden input "intent") and
// button[data-press] get a name for their press, "<intent>-<try>": random, sent along, and known to the server once the
// work is done. Until #press[data-answered] names it the button looks busy ([data-pressed]; never disabled: a disabled
// input leaves the form's data) and a second press does nothing. After a new connection (#press[data-line]) the server
// is asked what became of presses without an answer: their outcome is shown, or that they were not sent; the form stays
// as it was typed. What has to outlive a reload is kept in sessionStorage: random names, and nothing that was typed.
// A button that opens a form ([data-reopens]: the form's name) looks busy until it is there.
// The second click of a double click is for what the first one was on: a button that has come there since is not pressed.
// Credentials on the screen ([data-shown]) are not left without a question (dialog#leave-credentials).
"use strict";
(() => {
  const KEPT = "presses"; // which holds random names only, and marks that say nothing else
  const live = new Map(); // name -> {intent, turn, what, pressed, element, line}
  let kept = read(); // presses of before a reload, and credentials that are on the screen
  let line = ""; // the connection whose page this is
  let asked = ""; // the press the server is being asked about
  let shown = ""; // the intent whose credentials are on the screen
  let had = ""; // and which they are, of those that it issued
  let now = ""; // the press that is being dispatched
  let scheduled = false;

  function read() {
    try { return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]").filter((one) => /^[0-9a-f]{32}-\d{1,4}$/.test(one.press)); }
    catch { return []; }
  }

  function keep() {
    const waiting = [...live.values()].filter((one) => one.pressed).map((one) => ({ press: value(one), what: own(one) }));
    const all = [...kept, ...waiting].slice(-9);
    try {
      if (all.length) sessionStorage.setItem(KEPT, JSON.stringify(all));
      else sessionStorage.removeItem(KEPT);
    } catch { /* then until a reload only */ }
  }

  const value = (one) => `${one.intent}-${one.turn}`;
  const own = (one) => (one.what === "registration" ? one.what : ""); // others' names hold a patient ID
  const region = () => document.getElementById("press");
  // Those that look busy with it. *Cancel* beside it is among them: what waits for the line happens, so it must not say no.
  function buttons(element) {
    const pressed = element.matches("form") ? element.querySelectorAll("[type=submit]") : [element];
    return [...pressed, ...element.closest("form, .dialog-foot")?.querySelectorAll("[data-cancels]") ?? []];
  }

  function fresh() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function mark(one) {
    const { element } = one;
    if (!one.pressed || !element.isConnected) return;
    element.dataset.pressed = "";
    for (const button of buttons(element)) { button.dataset.pressed = ""; button.setAttribute("aria-disabled", "true"); }
  }

  function free(one) {
    one.pressed = false;
    for (const element of [one.element, ...buttons(one.element)]) {
      delete element.dataset.pressed;
      element.removeAttribute("aria-disabled");
    }
  }

  function begin(element, event) {
    const name = element.dataset.press;
    const { instance } = element.dataset; // a half-filled form's own: what was kept of it goes with the press (drafts.js)
    let one = live.get(name);
    if (!one || (instance && !one.pressed && one.intent !== instance)) one = { intent: instance || fresh(), turn: 0 };
    if (one.pressed) { event.preventDefault(); event.stopImmediatePropagation(); return; }
    Object.assign(one, { turn: one.turn + 1, what: name, pressed: true, element, line });
    if (one.turn > 9_000) Object.assign(one, { intent: fresh(), turn: 1 });
    live.set(name, one);
    const field = element.matches("form") && element.elements.namedItem("intent");
    if (field) field.value = value(one);
    keep();
    now = value(one);
    setTimeout(() => { now = ""; mark(one); }); // after it has been dispatched
  }

  // What a button's own event carries.
  globalThis.clinicPress = () => now;

  // --- answers --------------------------------------------------------------------------------------------

  function answers(box) {
    const [press, how] = (box.dataset.answered ?? "").split(" ");
    if (!press) return;
    for (const [name, one] of live) {
      if (!one.pressed || value(one) !== press) continue;
      free(one);
      if (how === "lost" && !one.element.isConnected) reopen(one);
      if (how === "done") live.delete(name); // else it may be tried again under the same intent: it still counts once
      keep();
    }
    if (asked !== press) return;
    asked = "";
    kept = kept.filter((one) => one.press !== press);
    keep();
  }

  // The form that a new connection has made anew holds what was typed into the one before.
  function refill(one) {
    const form = document.querySelector(`form[data-press="${CSS.escape(one.what)}"]`);
    if (!form || form === one.element) return;
    const before = one.element;
    one.element = form;
    one.again = false;
    if (before.dataset.instance) form.dataset.instance = before.dataset.instance; // and counts as the same one
    if (before.matches("form")) {
      for (const field of form.elements) {
        const old = field.name && before.elements.namedItem(field.name);
        if (!old || field.type === "hidden" || old instanceof RadioNodeList) continue;
        if (field.type === "checkbox") { if (field.checked !== old.checked) field.click(); } else field.value = old.value;
      }
    }
    mark(one);
  }

  // A form that went with the server's memory is opened again, as it was typed.
  function reopen(one) {
    one.again = true;
    document.querySelector(`[data-reopens="${CSS.escape(one.what)}"]`)?.click();
  }

  function resume() {
    const box = region();
    if (!box || asked) return;
    const waiting = [...live.values()].find((one) => one.pressed && one.line !== line);
    const next = kept.find((one) => !one.shown) ?? (waiting && { press: value(waiting), what: own(waiting) });
    if (!next) return;
    asked = next.press;
    box.elements.intent.value = next.press;
    box.elements.what.value = next.what ?? "";
    box.elements.left.value = next.left ?? "";
    box.elements.had.value = next.had ?? "";
    box.requestSubmit();
  }

  // --- a form that is asked for -----------------------------------------------------------------------------

  // Its button looks busy until the form is there, the line is another one, or it was refused: that is said elsewhere.
  const REFUSED_MS = 8_000;
  let opener = null; // {button, line}

  function opened() {
    if (opener) delete opener.button.dataset.pressed;
    opener = null;
  }

  function opens(button) {
    setTimeout(() => { // after it has been dispatched
      opened();
      if (form_of(button)) return;
      const mine = opener = { button, line };
      button.dataset.pressed = "";
      setTimeout(() => { if (opener === mine) opened(); }, REFUSED_MS);
    });
  }

  const form_of = (button) => document.querySelector(`form[data-press="${CSS.escape(button.dataset.reopens)}"]`);

  // --- credentials on the screen ----------------------------------------------------------------------------

  const on_screen = () => document.querySelector("[data-shown]")?.dataset.shown ?? "";
  const mark_of = () => document.querySelector("[data-shown]")?.dataset.mark ?? "";

  function credentials() {
    const here = on_screen();
    const which = mark_of();
    if (here === shown && which === had) return;
    if (here) { // after a reload they count as left
      kept = [...kept.filter((one) => one.press !== `${here}-0`), { press: `${here}-0`, shown: true, had: which }];
      shown = here;
      had = which;
      keep();
    } else closed();
  }

  function closed() {
    kept = kept.filter((one) => one.press !== `${shown}-0`);
    shown = had = "";
    keep();
  }

  function look() {
    scheduled = false;
    const box = region();
    if (!box) return;
    answers(box);
    if (opener && (form_of(opener.button) || opener.line !== box.dataset.line)) opened();
    for (const one of live.values()) if ((one.pressed || one.again) && !one.element.isConnected) refill(one);
    if (box.dataset.line && box.dataset.line !== line) {
      const lost = shown && !document.querySelector("[data-shown]"); // with the server's memory
      if (lost && path !== location.pathname) closed();
      if (lost && shown) kept = kept.map((one) => (one.press === `${shown}-0` ? { press: one.press, had: one.had } : one));
      if (lost) shown = had = "";
      line = box.dataset.line;
      asked = "";
      path = location.pathname;
    }
    if (!box.dataset.line) return; // the server remembers nothing yet
    credentials();
    resume();
  }

  let path = location.pathname;
  kept = kept.map((one) => (one.shown ? { press: one.press, left: "yes" } : one));
  new MutationObserver((changes) => {
    arrived();
    const box = changes.some((change) => change.attributeName === "data-answered") && region();
    if (box) answers(box); // at once: who reads what was wrong may go on typing
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(look);
  }).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["data-line", "data-answered", "data-shown", "data-mark"],
  });
  setInterval(() => { if (document.hidden && scheduled) look(); }, 1_000); // a hidden tab has no animation frames

  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-press]")) begin(event.target, event);
  }, true);
  let first = null; // what the first click of a double click was on
  document.addEventListener("click", (event) => {
    const on = event.target.closest("button");
    if (event.detail < 2) first = on;
    else if (on !== first && on?.matches("[data-press], [type=submit]")) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    if (event.target.closest("[data-cancels][data-pressed]")) { event.stopImmediatePropagation(); return; }
    const button = event.target.closest("button[data-press]");
    if (button) begin(button, event);
    const opening = event.target.closest("button[data-reopens]");
    if (opening?.dataset.reopens) opens(opening);
    if (event.target.closest("[data-shown-close]")) closed();
  }, true);
  // While it is under way the form stays as it was sent.
  for (const type of ["beforeinput", "mousedown", "click", "keydown"]) {
    document.addEventListener(type, (event) => {
      const field = event.target.closest?.("form[data-pressed] :is(input, select, textarea)");
      if (field && !(type === "keydown" && event.key === "Tab")) event.preventDefault();
    }, true);
  }

  // --- leaving them ------------------------------------------------------------------------------------------

  let leaving = false; // it was asked, and the answer is yes
  let seen = ""; // whose they are
  let home = 0; // where in the tab's history they are shown
  let far = 0; // how far from there somebody wants to go

  const position = () => globalThis.navigation?.currentEntry?.index ?? history.state?.idx ?? 0;

  function arrived() {
    if (on_screen() === seen) return;
    seen = on_screen();
    home = position();
  }

  addEventListener("pagehide", () => { if (on_screen() || [...live.values()].some((one) => one.pressed)) sessionStorage.removeItem("token"); });

  function ask(go) {
    const question = document.getElementById("leave-credentials");
    if (!question || question.open) return;
    question.returnValue = "";
    question.addEventListener("close", () => { if (question.returnValue === "leave") { leaving = true; closed(); go(); } }, { once: true });
    question.showModal();
    question.querySelector("[value='']")?.focus();
  }

  addEventListener("keydown", (event) => { // Escape answers the question, too: the dialog below it would keep it open
    if (event.key === "Escape" && document.getElementById("leave-credentials")?.open) event.stopImmediatePropagation();
  }, true);

  // Whether the page stays, for now: asked by connection.js before anybody else hears of it. The browser asks itself
  // before it unloads a page. Where Back and Forward lead, it is already: they are undone, and then it is asked.
  clinicTab.holds = (event) => {
    const shows = on_screen() && !leaving;
    if (event.type !== "popstate") return shows;
    leaving = false;
    if (!shows) return false;
    const away = position() - home;
    if (away) { far = away; history.go(-away); } else ask(() => history.go(far));
    return true;
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || !on_screen() || leaving || link.target || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    ask(() => { link.click(); leaving = false; });
  }, true);
})();
