// A tick that says that another input has nothing to hold ([data-switches-off="<id of the input>"]) empties it and switches
// it off at once, without asking the server. What was typed there comes back when the tick is taken away.
"use strict";
(() => {
  const typed = new WeakMap(); // input -> what was in it

  document.addEventListener("change", (event) => {
    const tick = event.target;
    const input = tick.dataset.switchesOff && document.getElementById(tick.dataset.switchesOff);
    if (!input) return;
    if (tick.checked) {
      typed.set(input, input.value);
      input.value = "";
    } else {
      input.value = typed.get(input) ?? input.value;
    }
    input.disabled = tick.checked;
  });
})();
