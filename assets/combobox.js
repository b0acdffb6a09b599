// Arrow keys in the search box: input[role=combobox] and the list its aria-controls names. The list
// comes from the server; which row is reached is known here alone, so no key stroke waits for it.
//   ↑ ↓ move, Enter opens the row, Esc closes the list (the words stay), Tab leaves it.
"use strict";
(() => {
  let active = null; // the option the keys have reached
  let closed = false; // by Esc, or because the focus is elsewhere
  let scheduled = false;

  const box = () => (document.activeElement?.matches("input[role=combobox]") ? document.activeElement : null);
  const list = (field) => document.getElementById(field.getAttribute("aria-controls"));
  const options = (field) => [...(list(field)?.querySelectorAll("[role=option]") ?? [])];

  function mark(field, option) {
    for (const other of options(field)) other.setAttribute("aria-selected", String(other === option));
    active = option;
    if (option) {
      field.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else field.removeAttribute("aria-activedescendant");
  }

  function look() {
    scheduled = false;
    const focused = box();
    for (const field of document.querySelectorAll("input[role=combobox]")) {
      const popup = list(field)?.closest("[data-pop]");
      if (!popup) continue;
      const open = field === focused && !closed && !popup.classList.contains("off");
      popup.hidden = !open;
      const rows = open ? options(field) : [];
      field.setAttribute("aria-expanded", String(rows.length > 0));
      if (!rows.includes(active)) mark(field, rows[0] ?? null);
    }
  }

  function soon() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(look);
  }

  new MutationObserver(soon).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["class"],
  });
  document.addEventListener("input", (event) => {
    if (event.target.matches("input[role=combobox]")) { closed = false; active = null; soon(); }
  });
  document.addEventListener("focusin", () => { if (box()) closed = false; soon(); });
  document.addEventListener("focusout", soon);
  // Pressing a row must not take the focus from the field: the list would be gone before the click.
  document.addEventListener("mousedown", (event) => { if (event.target.closest("[data-pop]")) event.preventDefault(); });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-pop] [role=option]")) { closed = true; soon(); } });
  document.addEventListener("keydown", (event) => {
    const field = box();
    if (!field || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = options(field);
    const open = field.getAttribute("aria-expanded") === "true";
    if (event.key === "Escape" && open) { event.preventDefault(); closed = true; look(); return; }
    if (event.key === "Enter" && open && active) { event.preventDefault(); active.click(); return; }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    if (!rows.length) return;
    event.preventDefault();
    if (closed) { closed = false; look(); return; }
    const step = event.key === "ArrowDown" ? 1 : -1;
    mark(field, rows[(rows.indexOf(active) + step + rows.length) % rows.length]);
  }, true);
})();
