// Keyboard shortcuts: data-shortcut="/" on the search field focuses it, data-shortcut="n" on a link or
// button, or around one, presses it, ? shows the help (dialog#shortcuts, also opened by [data-shortcuts-open]).
// Silent while typing, inside dialogs and menus, and with Ctrl, Alt or Cmd held. Single keys can be
// switched off in the help (WCAG 2.1.4); the choice is all that is kept in the browser.
// Escape in dialogs belongs to Radix; here it empties a search field, and leaves an empty one.
"use strict";
(() => {
  const TYPING = "input, textarea, select, [contenteditable], [role=textbox], [role=combobox], [role=listbox], [role=menu]";
  const OPEN = "[role=dialog], [role=alertdialog], dialog[open]";
  const KEPT = "shortcuts";

  function isOff() {
    try { return localStorage.getItem(KEPT) === "off"; } catch { return false; }
  }

  function show() {
    const help = document.getElementById("shortcuts");
    if (!help || help.open) return;
    help.querySelector("[data-shortcuts-switch]").checked = !isOff();
    help.showModal(); // gives the focus back by itself
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      const field = document.activeElement;
      if (!field.matches('input[data-shortcut]:not([aria-expanded="true"])')) return; // suggestions close first
      if (!field.value) { field.blur(); return; }
      field.setRangeText("", 0, field.value.length); // not "value =": React would not notice
      field.dispatchEvent(new Event("input", { bubbles: true }));
      return;
    }
    if (isOff() || event.target.closest(TYPING) || document.querySelector(OPEN)) return;
    if (event.key === "?") { event.preventDefault(); show(); return; }
    const place = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
    const target = place?.matches("a, button, input, textarea") ? place : place?.querySelector("a, button");
    if (!target || target.disabled) return;
    event.preventDefault(); // or the "/" ends up in the field
    if (target.matches("input, textarea")) { target.focus(); target.select(); } else { target.focus(); target.click(); }
  });

  document.addEventListener("click", (event) => {
    const help = document.getElementById("shortcuts");
    if (event.target.closest("[data-shortcuts-open]")) show();
    else if (event.target === help || event.target.closest("[data-shortcuts-close]")) help.close();
  });

  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-shortcuts-switch]")) return;
    try { localStorage.setItem(KEPT, event.target.checked ? "on" : "off"); } catch { /* then for this page only */ }
  });
})();
