// A press is for the row that stood there when it was aimed at. Other desks decide and register, and an open list moves
// by itself: a button that decides at once is not pressed where one of another row stood a moment (HOLD_MS) before. A
// line at the top says so. Links, and what opens a dialog, show whom they are about before anything is done.
// Whoever has just typed or pressed moves the list themselves: that holds nothing back, but for the answer to a press
// that decided something, which on a slow line comes when the next row is aimed at. focus.js sees to the keyboard.
"use strict";
(() => {
  const HOLD_MS = 500;
  const OWN_MS = 1_000; // after a key or press
  const ANSWER_MS = 300; // after the server's answer to one
  const SAID_MS = 5_000;
  const ROW = "main :is(li, tr)";
  const DECIDES = ":is([data-press], [type=submit])";
  let places = []; // where those of rows stand: {row, box}
  let before = []; // where they stood when something changed by itself: {places, at}
  let touched = -OWN_MS; // when somebody typed or pressed last
  let decides = false; // and whether that decided something
  let scheduled = false;
  let changed = false;
  let held = false;
  let bar = null;
  let hides = 0;

  function row_of(control) {
    const row = control.closest(ROW);
    return row && (row.querySelector("[id]")?.id || row); // React may draw the same row anew
  }

  function look() {
    scheduled = changed = false;
    places = [...document.querySelectorAll(`${ROW} ${DECIDES}`)]
      .map((control) => ({ row: row_of(control), box: control.getBoundingClientRect() }))
      .filter(({ box }) => box.bottom > 0 && box.top < innerHeight);
  }

  function schedule() {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => setTimeout(look)); // drawn by then
  }

  function own(now) {
    return now - touched < OWN_MS || (!decides && now - clinicTab.answered < ANSWER_MS);
  }

  new MutationObserver(() => {
    const now = performance.now();
    if (!changed && places.length && !own(now)) {
      before = [...before.filter(({ at }) => now - at < HOLD_MS), { places, at: now }];
    }
    changed = true;
    schedule();
  }).observe(document.documentElement, { childList: true, subtree: true });
  addEventListener("scroll", schedule, { capture: true, passive: true });
  addEventListener("resize", schedule);
  for (const type of ["wheel", "touchmove"]) addEventListener(type, () => { before = []; }, { capture: true, passive: true });

  for (const type of ["keydown", "input", "click"]) {
    addEventListener(type, (event) => {
      touched = performance.now();
      decides = type === "click" && Boolean(event.target.closest(DECIDES));
    }, true);
  }

  addEventListener("pointerdown", (event) => {
    const row = event.target.closest(DECIDES) && row_of(event.target);
    const { clientX: x, clientY: y } = event;
    const there = ({ row: other, box }) => other !== row && x >= box.left && x < box.right && y >= box.top && y < box.bottom;
    held = Boolean(row) && before.some((one) => performance.now() - one.at < HOLD_MS && one.places.some(there));
  }, true);
  addEventListener("click", (event) => {
    if (held && event.detail) { event.preventDefault(); event.stopImmediatePropagation(); say(); }
    held = false;
  }, true);

  // React draws all of the page: beside its root is the one place that is ours.
  function say() {
    bar ??= document.body.appendChild(Object.assign(document.createElement("p"), { id: "moved", role: "status" }));
    clearTimeout(hides);
    bar.textContent = "The list has just moved. Look whose row it is, and press again.";
    hides = setTimeout(() => { bar.textContent = ""; }, SAID_MS);
  }
})();
