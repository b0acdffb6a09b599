// Emails in forms, without asking the server.
//   <input data-follows="email">                                    is filled from #email, until it is typed itself
//   <button data-changes="email" data-domain="gmail.com">           gives #email that domain: a slip of the keys is mended
//   <button data-keeps-it="email">                                  leaves it; the focus goes back to it, too
"use strict";
(() => {
  const before = new WeakMap(); // input -> what was in it the last time
  const own = new WeakSet(); // followers that were typed themselves

  document.addEventListener("focusin", (event) => {
    if (event.target.matches("input[type=email]")) before.set(event.target, event.target.value);
  });

  document.addEventListener("input", (event) => {
    const input = event.target;
    if (!input.matches("input[type=email]")) return;
    if (input.dataset.follows) { input.value ? own.add(input) : own.delete(input); return; }
    const follower = input.form?.querySelector(`[data-follows="${CSS.escape(input.id)}"]`);
    const was = before.get(input) ?? input.defaultValue;
    before.set(input, input.value);
    if (!follower || own.has(follower) || (follower.value && follower.value !== was)) return;
    follower.value = input.value;
  });

  document.addEventListener("click", (event) => {
    const answer = event.target.closest("[data-changes], [data-keeps-it]");
    const input = answer && document.getElementById(answer.dataset.changes ?? answer.dataset.keepsIt);
    if (!input) return;
    if (answer.dataset.changes) {
      before.set(input, input.value);
      input.value = `${input.value.slice(0, input.value.lastIndexOf("@") + 1)}${answer.dataset.domain}`;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    }
    input.focus(); // the question goes
  });
})();
