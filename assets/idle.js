// Leaves the page when the session is over, tells the other tabs, and keeps half-filled forms.
// The server decides when a session is over; this script reports activity, and on which page, and asks.
// What is typed into form[data-draft="<name>"] goes to the server a moment after the last key, never into
// this browser's storage; fields of type password never.
// Active on pages with the sign-out form (#sign-out); on the others it only sees to a fresh start.
"use strict";
(() => {
  const RENEWING = ["/auth/reauthenticate", "/auth/change-password", "/auth/password"];
  const BEAT_MS = 30_000; // ask this often; also the longest time the page stays after the end
  const DRAFT_MS = 1_000; // after the last key
  let active = false;
  let unsaved = false;
  let draftTimer;
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

  function send(method, address, body) {
    return fetch(address, {
      method, cache: "no-store", keepalive: true, headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
  }

  async function saveDraft() {
    const typed = document.querySelector("form[data-draft]:not([aria-busy=true])");
    clearTimeout(draftTimer);
    if (!typed || !unsaved) return;
    unsaved = false;
    const body = {};
    for (const [name, value] of new FormData(typed)) {
      if (typeof value !== "string" || !value.trim() || typed.elements[name]?.type === "password") continue;
      if (typed.elements[name]?.tagName === "SELECT" && typed.elements[name].selectedIndex === 0) continue; // nothing chosen
      body[name] = value;
    }
    try { await send("PUT", `/auth/draft/${typed.dataset.draft}`, body); } catch { unsaved = true; }
  }

  async function beat() {
    clearTimeout(beatTimer);
    if (form()) {
      await saveDraft();
      const wasActive = active;
      active = false;
      try {
        const answer = wasActive
          ? await send("POST", "/auth/touch", { path: location.pathname })
          : await fetch("/auth/session", { cache: "no-store" });
        if (answer.status === 401) { leave(); return; }
      } catch { active ||= wasActive; } // offline: try again next time
    }
    beatTimer = setTimeout(beat, BEAT_MS);
  }

  for (const type of ["pointerdown", "keydown", "wheel", "touchstart"]) {
    addEventListener(type, () => { active = true; }, { capture: true, passive: true });
  }
  document.addEventListener("input", (event) => {
    if (!event.target.closest("form[data-draft]")) return;
    unsaved = true;
    clearTimeout(draftTimer);
    draftTimer = setTimeout(saveDraft, DRAFT_MS);
  });
  document.addEventListener("submit", (event) => {
    const sent = event.target;
    if (sent.matches("form[data-draft]")) clearTimeout(draftTimer); // gone on success; else the next beat keeps it
    if (sent.method !== "post" || !sent.hasAttribute("action")) return; // those that the browser posts itself
    if (sent.dataset.sent) { event.preventDefault(); return; } // second Enter
    sent.dataset.sent = "yes";
    sessionStorage.removeItem("token");
    const address = new URL(sent.action).pathname;
    if (address === "/auth/logout" || address === "/auth/everywhere") tabs.postMessage("signed-out");
    if (RENEWING.includes(address)) sessionStorage.setItem("renewed", "1");
  }, true);
  tabs.onmessage = async (event) => {
    if (event.data === "signed-out" && form()) leave();
    if (event.data === "renewed" && form()) { await saveDraft(); location.reload(); }
  };
  // The session has another token now, which the sockets of the other tabs do not carry: they begin anew.
  if (sessionStorage.getItem("renewed") && location.pathname !== "/account/confirm") {
    sessionStorage.removeItem("renewed");
    tabs.postMessage("renewed");
  }
  document.addEventListener("visibilitychange", () => { document.hidden ? saveDraft() : beat(); });
  // Where nobody is signed in, leaving or reloading the page forgets what it said: a name, a refusal.
  // Where a form is half filled, the page that comes back begins with its draft.
  addEventListener("pagehide", () => {
    saveDraft();
    if (!form() || document.querySelector("form[data-draft]")) sessionStorage.removeItem("token");
  });
  addEventListener("pageshow", (event) => {
    document.querySelectorAll("form[data-sent]").forEach((sent) => delete sent.dataset.sent);
    if (event.persisted) { leaving = false; beat(); } // Back out of the browser's page cache
  });
  beatTimer = setTimeout(beat, BEAT_MS);
})();
