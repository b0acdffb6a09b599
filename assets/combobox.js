// Keys in the search box. The box of the bar is input[role=combobox], with the list its aria-controls names; that
// comes from the server; which row is reached is known here alone, so no key stroke waits for it.
// Rows that answer an older term than the one in the box ([data-answers], which says what they answer) are marked as
// waiting and cannot be opened.
//   ↑ ↓ move, Enter opens the row, Esc closes the list (the words stay), Tab leaves it. What is no patient
//   ([data-beside]) is reached by the arrow keys only.
// The box of *Patients* has the table below it: ↓ goes to the first name and on, ↑ back, Enter opens the only one found,
// and goes to the first of several.
// An empty box offers the records opened last; of those none is reached until an arrow key asks for it. Enter that comes
// before the answer waits for it (a scanner types faster than a server answers) and opens what was found if it is the
// only one. Which term the rows belong to is the popup's data-answers; empty, they were opened last.
"use strict";
(() => {
  let active = null; // the option the keys have reached
  let reached = ""; // its id, for rows that go while an older term is answered and come back
  let closed = false; // by Esc, or because the focus is elsewhere
  let scheduled = false;
  let entered = null; // the term that Enter was pressed for before its rows were there

  const typed = (field) => field.value.slice(0, 100).trim(); // as the server reads it
  const box = () => (document.activeElement?.matches("input[role=combobox]") ? document.activeElement : null);
  const list = (field) => document.getElementById(field.getAttribute("aria-controls"));
  const options = (field) => [...(list(field)?.querySelectorAll("[role=option]") ?? [])];

  function stale(place) {
    const field = document.getElementById("search");
    return field !== null && typed(field) !== place.dataset.answers;
  }

  const people = (rows) => rows.filter((row) => row.dataset.beside === undefined);
  const names = () => [...document.querySelectorAll("section[data-answers] tbody a.name")];

  // A server that was started again does not know what stands in the box: it is asked once more. React hears of a value
  // only where it differs from the one it knows.
  let asked = null;
  function askAgain(field, place) {
    const term = typed(field);
    if (asked === term) return;
    asked = term;
    setTimeout(() => {
      if (!field.isConnected || typed(field) !== term || place.dataset.answers === term) { asked = null; return; }
      const value = field.value;
      field.value = "";
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, value);
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }, 5000);
  }

  function compare() {
    const field = document.getElementById("search");
    for (const place of document.querySelectorAll("[data-answers]")) {
      const waits = field !== null && stale(place);
      if (waits) askAgain(field, place);
      if (waits) place.setAttribute("aria-busy", "true"); else place.removeAttribute("aria-busy");
    }
  }

  function mark(field, option) {
    for (const other of options(field)) other.setAttribute("aria-selected", String(other === option));
    active = option;
    if (option) {
      field.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else field.removeAttribute("aria-activedescendant");
  }

  // Whether what hangs there is for another kind of term than the one in the box.
  function isOld(field, popup) {
    return typed(field) === "" ? popup.dataset.answers !== "" : popup.dataset.answers === "" && options(field).length > 0;
  }

  function look() {
    scheduled = false;
    compare();
    const focused = box();
    for (const field of document.querySelectorAll("input[role=combobox]")) {
      const popup = list(field)?.closest("[data-pop]");
      if (!popup) continue;
      const open = field === focused && !closed && !popup.classList.contains("off") && !isOld(field, popup);
      popup.hidden = !open;
      const rows = open ? options(field) : [];
      field.setAttribute("aria-expanded", String(rows.length > 0));
      if (!rows.includes(active)) {
        const again = reached && rows.find((row) => row.id === reached);
        mark(field, again || (popup.dataset.answers && people(rows)[0]) || null);
      }
      if (open && entered !== null && entered === popup.dataset.answers) {
        entered = null;
        if (people(rows).length === 1) people(rows)[0].click();
      }
    }
    if (entered !== null && inTable(document.activeElement) && table()?.dataset.answers === entered) openOrReach();
  }

  const inTable = (element) => element?.matches?.("#search:not([role=combobox])") === true;
  const table = () => document.querySelector("section[data-answers]");

  // Enter in the box of *Patients*, once its rows are there.
  function openOrReach() {
    entered = null;
    const found = names();
    if (found.length === 1) found[0].click(); else found[0]?.focus();
  }

  function walk(event) {
    const field = document.getElementById("search");
    const inBox = event.target === field;
    if (event.key === "Enter" && inBox) {
      if (!table()) return;
      event.preventDefault();
      if (!typed(field)) return;
      entered = typed(field);
      if (table().dataset.answers === entered) openOrReach();
      return;
    }
    if ((event.key !== "ArrowDown" && event.key !== "ArrowUp") || stale(table() ?? field)) return;
    const found = names();
    const at = found.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1);
    if (!found.length || (inBox && event.key === "ArrowUp")) return;
    event.preventDefault();
    if (at < 0) field.focus(); else found[at]?.focus();
  }

  function soon() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(look);
  }

  new MutationObserver(soon).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["class", "data-answers"],
  });
  document.addEventListener("input", (event) => {
    if (event.target.id === "search") compare(); // at once
    if (event.target.matches("input[role=combobox]")) { closed = false; active = null; reached = ""; soon(); }
    if (event.target.id === "search" && typed(event.target) !== entered) entered = null;
  });
  document.addEventListener("focusin", () => { if (box()) closed = false; soon(); });
  document.addEventListener("focusout", () => { entered = null; reached = ""; soon(); });
  // Pressing a row must not take the focus from the field: the list would be gone before the click.
  document.addEventListener("mousedown", (event) => { if (event.target.closest("[data-pop]")) event.preventDefault(); });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-pop] [role=option]")) { closed = true; soon(); } });
  document.addEventListener("click", (event) => {
    const place = event.target.closest("[data-answers]");
    if (!place || !stale(place) || !event.target.closest("a, button, tbody tr")) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  document.addEventListener("keydown", (event) => {
    const field = box();
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (inTable(event.target) || event.target.matches?.("section[data-answers] tbody a.name")) { walk(event); return; }
    if (!field) return;
    if (scheduled) look(); // the rows may have come since the last frame
    const rows = options(field);
    const open = field.getAttribute("aria-expanded") === "true";
    if (event.key === "Escape" && open) { event.preventDefault(); closed = true; reached = ""; look(); return; }
    if (event.key === "Enter" && typed(field) && list(field)?.closest("[data-pop]")?.dataset.answers !== typed(field)) {
      event.preventDefault();
      entered = typed(field);
      return;
    }
    if (event.key === "Enter" && open && active && stale(active.closest("[data-answers]"))) { event.preventDefault(); return; }
    if (event.key === "Enter" && open && active) { event.preventDefault(); active.click(); return; }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    if (!rows.length) return;
    event.preventDefault();
    if (closed) { closed = false; look(); return; }
    if (!open) return;
    const step = event.key === "ArrowDown" ? 1 : -1;
    const from = active ? rows.indexOf(active) : Math.min(-step, 0); // with none reached, ↓ is the first and ↑ the last
    mark(field, rows[(from + step + rows.length) % rows.length]);
    reached = active.id;
  }, true);
})();
