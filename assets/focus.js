// Where the keyboard is, when the page changes under it.
//   - after navigation inside the app: the new page's h1, as a full page load would start there; where [data-begins]
//     names the field that one comes for, that field, unless it would bring up a phone's keyboard
//     (not on the first load: there the browser starts at the top, with the skip link first)
//   - [data-takes-focus="…"] that appears, or whose value changes to something: that element
//   - when a form[aria-busy] has finished and nothing has the focus (what had it was switched off
//     meanwhile): the first wrong field, else the submit button
//   - when a dialog has gone: what opened it; if that is gone too, the nearest [data-focus-home]
//     of its row or section; else that row, or the one in its place, where Enter presses nothing; else the h1
//   - when a press ([data-press]) has taken away what was pressed, with its row: the same
//   - when a list has changed by itself: a row that is only moved keeps it; what has gone with its row: the row in its
//     place
//   - a link to #something: that element, without a new address (an address would load the page's data again)
// And "Error: " before the title while #error-summary is there, which is heard first.
"use strict";
(() => {
  const DIALOG = "[role=dialog], [role=alertdialog]";
  const TICK = "[type=checkbox], [type=radio]";
  const ROW = "main :is(li, tr)";
  let path = location.pathname;
  let heading = null;
  let begun = null; // what was given the focus on entering the page
  let entered = false; // and nobody has moved it since
  let scheduled = false;
  let opener = null; // what was pressed last outside of dialogs, and the nodes around it, inner first
  let around = [];
  let neighbours = []; // and the row it was in, with its neighbours
  let wasOpen = false;
  let returned = 0; // when the focus went back: the opener may still be replaced by a badge
  let held = null; // what has the focus in a list: {element, rows}
  const busy = new WeakSet(); // forms that are at work
  const taken = new WeakMap(); // element -> the value it took the focus with

  function focus(element, how) {
    if (!element) return;
    if (element.tabIndex < 0 && !element.hasAttribute("tabindex")) element.tabIndex = -1;
    element.focus(how);
  }

  function home() {
    if (opener?.isConnected && !opener.disabled) { focus(opener); return; }
    for (const node of around) {
      const found = node.isConnected && node.matches("tr, li, section, article, form") && node.querySelector("[data-focus-home]");
      if (found) { focus(found); return; }
    }
    inPlaceOf(neighbours);
  }

  // The row that stands where one was: it can be tabbed on from, and Enter presses nothing there. Else the h1.
  function inPlaceOf(rows) {
    const next = rows.flat().find((row) => row.isConnected);
    focus(next ?? document.querySelector("main h1"), { preventScroll: Boolean(next) });
  }

  // The row that something is in, and those after and before it, nearest first; then the same of the row around that.
  function rowsOf(element) {
    const found = [];
    for (let row = element.closest(ROW); row; row = row.parentElement.closest(ROW)) {
      const all = [...row.parentElement.children];
      const place = all.indexOf(row);
      found.push([row, ...all.slice(place + 1), ...all.slice(0, place).reverse()]);
    }
    return found;
  }

  function beginning() {
    const place = document.querySelector("main [data-begins]");
    const field = place && document.getElementById(place.dataset.begins);
    const typing = field && !field.disabled && matchMedia("(pointer: fine)").matches;
    return typing ? field : document.querySelector("main h1");
  }

  function lookAtPage() {
    const found = document.querySelector("main h1");
    if (location.pathname === path) {
      heading = found ?? heading;
      const first = beginning();
      if (!entered || !first || first === begun || document.activeElement !== document.body) return;
      begun = first; // the record has taken the place of its skeleton, or a new form that of the one before
      focus(begun);
      return;
    }
    if (!found || found === heading) return; // the old page is still there
    path = location.pathname;
    heading = found;
    opener = held = null;
    around = neighbours = [];
    begun = beginning();
    focus(begun);
    entered = true;
  }

  function lookAtDialog() {
    const open = document.querySelector(DIALOG) !== null;
    if (wasOpen && !open) { returned = Date.now(); home(); }
    else if (!open && returned && Date.now() - returned < 5000
      && opener && !opener.isConnected && document.activeElement === document.body) home();
    wasOpen = open;
  }

  function lookAtGone() {
    const gone = opener?.matches("[data-press]") && !opener.isConnected && document.activeElement === document.body;
    if (gone && !document.querySelector(DIALOG)) home();
  }

  function lookAtRows() {
    if (!held || held.element.isConnected || document.activeElement !== document.body || location.pathname !== path) return;
    const { rows } = held;
    held = null;
    if (!document.querySelector(DIALOG)) inPlaceOf(rows);
  }

  function lookAtTakers() {
    const dialog = document.querySelector(DIALOG);
    for (const element of document.querySelectorAll("[data-takes-focus]")) {
      const value = element.dataset.takesFocus;
      if (taken.get(element) === value) continue;
      if (value && dialog && !dialog.contains(element)) continue; // not from under a dialog: once that has gone
      taken.set(element, value);
      if (!value) continue;
      focus(element);
      element.scrollIntoView({ block: "nearest" });
      return; // the first one; the others have their turn when they change
    }
  }

  function lookAtForms() {
    for (const form of document.querySelectorAll("form[aria-busy]")) {
      if (form.getAttribute("aria-busy") === "true") { busy.add(form); continue; }
      if (!busy.delete(form)) continue;
      const now = document.activeElement;
      if (now && now !== document.body && !now.matches(":disabled")) continue;
      focus(form.querySelector("[aria-invalid=true]") ?? form.querySelector("[type=submit]"));
    }
  }

  function lookAtTitle() {
    const wrong = document.getElementById("error-summary") !== null;
    const said = document.title.startsWith("Error: ");
    if (wrong && !said) document.title = `Error: ${document.title}`;
    if (!wrong && said) document.title = document.title.slice(7);
  }

  function look() {
    scheduled = false;
    lookAtPage();
    lookAtDialog();
    lookAtGone();
    lookAtForms();
    lookAtTakers();
    lookAtRows();
    lookAtTitle();
  }

  new MutationObserver((changes) => {
    const moved = held?.element.isConnected && document.activeElement === document.body
      && changes.some((change) => [...change.removedNodes].some((node) => node.contains(held.element)));
    if (moved) focus(held.element, { preventScroll: true });
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(look);
  }).observe(document.documentElement, {
    childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ["data-takes-focus", "aria-busy"],
  });

  document.addEventListener("focusin", (event) => {
    if (event.target !== begun) entered = false;
    held = event.target.closest(ROW) && { element: event.target, rows: rowsOf(event.target) };
  }, true);

  // A press beside an open dialog must not take the focus out of it (the dialog decides whether it closes). Nor must one
  // on a button, a tick or a label of the form one types in: leaving a field may show a sentence or a question under it,
  // and what is pressed would move away before it is let go, so that nothing would be pressed. The focus goes on with the
  // click: a label's by itself, a tick's below, and a button keeps one in the field.
  document.addEventListener("mousedown", (event) => {
    const beside = document.querySelector(DIALOG) && !event.target.closest(DIALOG);
    const pressed = event.target.closest("a, button, input, label, select, textarea");
    const form = pressed?.matches(`button, label, ${TICK}`) && pressed.form;
    if (beside || (form && document.activeElement?.form === form)) event.preventDefault();
    setTimeout(() => { if (document.activeElement === document.body) held = null; }); // it was left, beside everything
  });

  // A field that is switched off while its form is at work has not been left: checking it now would take back the sentence
  // that the work ends with.
  document.addEventListener("focusout", (event) => {
    if (event.target.matches?.(":disabled")) event.stopImmediatePropagation();
  }, true);

  document.addEventListener("click", (event) => {
    if (event.target.matches(TICK)) event.target.focus();
    const inside = event.target.closest(`${DIALOG}, dialog`);
    const pressed = event.target.closest("a, button, input, select, textarea, summary");
    if (!inside && pressed) {
      opener = pressed;
      around = [];
      neighbours = rowsOf(pressed);
      for (let node = pressed.parentElement; node; node = node.parentElement) around.push(node);
      returned = 0;
    }
    const link = event.target.closest('a[href*="#"]');
    const here = link && link.pathname === location.pathname && link.hash;
    const target = here && document.getElementById(here.slice(1));
    if (target) { event.preventDefault(); focus(target); target.scrollIntoView({ block: "nearest" }); }
  }, true);
})();
