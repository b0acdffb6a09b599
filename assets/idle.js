// Leaves the page when the session is over, and tells the other tabs.
// The server decides when a session is over; this script reports activity and asks.
// Active on pages with the sign-out form (#sign-out); on the others it only sees to a fresh start.
"use strict";
(() => {
  const BEAT_MS = 30_000; // ask this often; also the longest time the page stays after the end
  let active = false;
  let leaving = false;
  let beatTimer;
  const tabs = new BroadcastChannel("clinic-session");
  const form = () => document.getElementById("sign-out");

  function leave() {
    if (leaving) return;
    leaving = true;
    const address = form()?.dataset.signIn ?? "/login";
    document.documentElement.classList.add("locked"); // look.css hides everything at once
    sessionStorage.removeItem("token"); // the next page starts with a fresh Reflex state
    location.replace(address); // replace: Back does not return to the record
  }

  async function beat() {
    clearTimeout(beatTimer);
    if (form()) {
      const wasActive = active;
      active = false;
      try {
        const answer = wasActive
          ? await fetch("/auth/touch", { method: "POST", cache: "no-store" })
          : await fetch("/auth/session", { cache: "no-store" });
        if (answer.status === 401) { leave(); return; }
      } catch { active ||= wasActive; } // offline: try again next time
    }
    beatTimer = setTimeout(beat, BEAT_MS);
  }

  for (const type of ["pointerdown", "keydown", "wheel", "touchstart"]) {
    addEventListener(type, () => { active = true; }, { capture: true, passive: true });
  }
  document.addEventListener("submit", (event) => {
    const sent = event.target;
    if (sent.method !== "post" || !sent.hasAttribute("action")) return; // those that the browser posts itself
    if (sent.dataset.sent) { event.preventDefault(); return; } // second Enter
    sent.dataset.sent = "yes";
    sessionStorage.removeItem("token");
    if (sent.id === "sign-out") tabs.postMessage("signed-out");
  }, true);
  tabs.onmessage = (event) => { if (event.data === "signed-out" && form()) leave(); };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) beat(); });
  // Where nobody is signed in, leaving or reloading the page forgets what it said: a name, a refusal.
  addEventListener("pagehide", () => { if (!form()) sessionStorage.removeItem("token"); });
  addEventListener("pageshow", (event) => {
    document.querySelectorAll("form[data-sent]").forEach((sent) => delete sent.dataset.sent);
    if (event.persisted) { leaving = false; beat(); } // Back out of the browser's page cache
  });
  beatTimer = setTimeout(beat, BEAT_MS);
})();
