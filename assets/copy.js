// Copy and print buttons. One listener on the document: works for whatever React shows later.
//   <button data-copy-target="#user">           copies that field
//   <button data-copy-target="#user,#password"> copies "Label: value" lines; what is no field has data-label, and may
//                                               have data-copies: another text than the one that is read
//   <button data-print="#region">               prints a copy of that region, alone on its sheet
// The outcome is said in the nearest [data-copy-status] (role=status) of the dialog or section.
// While a [data-slip] is on the page, the browser's own Print prints it too, and nothing else. Each print of it presses
// the slip's [data-when-printed] once, so that it is recorded whoever started it.
"use strict";
(() => {
  const labelOf = (field) => field.dataset.label ?? field.labels?.[0]?.textContent.trim() ?? "";
  const textOf = (field) => field.dataset.copies ?? field.value ?? field.textContent;

  function say(button, words) {
    const scope = button.closest("[role=dialog], section") ?? document;
    const status = scope.querySelector("[data-copy-status]");
    if (!status) return;
    status.textContent = ""; // so that the same words are announced again
    setTimeout(() => { status.textContent = words; }, 50);
  }

  function select(field) {
    field.focus();
    if (field.select) { field.select(); return; }
    const range = document.createRange();
    range.selectNodeContents(field);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }

  async function copy(button) {
    const fields = [...document.querySelectorAll(button.dataset.copyTarget)];
    if (!fields.length) return;
    const text = fields.length === 1
      ? textOf(fields[0])
      : fields.map((field) => `${labelOf(field)}: ${textOf(field)}`).join("\n");
    try {
      await navigator.clipboard.writeText(text); // undefined outside https and localhost: also lands below
      say(button, "Copied");
    } catch {
      select(fields[0]);
      const keys = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘C" : "Ctrl+C";
      say(button, fields.length === 1
        ? `Your browser did not allow copying. The text is selected: press ${keys}.`
        : `Your browser did not allow copying. ${labelOf(fields[0])} is selected: press ${keys}, then do the same with the next field.`);
    }
  }

  // Printing: a copy of the region beside the page, because a dialog is positioned, scrolls and clips.
  let wanted = null;
  let sheet = null;
  let told = 0; // when the print that is under way was recorded

  function tell(slip) {
    if (!slip || Date.now() - told < 1000) return; // the button has told it just before
    told = Date.now();
    document.querySelector("[data-when-printed]")?.click();
  }

  function lay() {
    const region = wanted ?? document.querySelector(".for-print [data-slip]");
    if (!region || sheet) return;
    tell(region.closest(".for-print"));
    sheet = document.createElement("div");
    sheet.id = "print-sheet";
    sheet.className = "app";
    sheet.append(...(wanted ? [...region.children] : [region]).map((part) => part.cloneNode(true)));
    sheet.querySelectorAll("[id]").forEach((part) => part.removeAttribute("id"));
    document.body.append(sheet);
    document.documentElement.classList.add("print-one");
  }

  function clear() {
    wanted = null;
    told = 0;
    sheet?.remove();
    sheet = null;
    document.documentElement.classList.remove("print-one");
  }

  addEventListener("beforeprint", lay);
  addEventListener("afterprint", clear);

  document.addEventListener("click", (event) => {
    const copying = event.target.closest("[data-copy-target]");
    if (copying) copy(copying);
    const printing = event.target.closest("[data-print]");
    if (!printing) return;
    wanted = document.querySelector(printing.dataset.print);
    if (!wanted) return;
    tell(wanted.closest(".for-print")); // also where the browser prints without saying so
    print();
  });
})();
