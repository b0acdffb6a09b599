// Leaves the page when the session is over, and tells the other tabs. Half-filled forms are kept before it (drafts.js).
// The server decides when a session is over, and says when that will be; this script reports activity, and on which page.
// Active on pages with the sign-out form (#sign-out); on the others it only sees to a fresh start.
"use strict";
(() => {
  const RENEWING = ["/auth/reauthenticate", "/auth/change-password", "/patient-portal/password"];
  const BEAT_MS = 30_000; // ask this often
  let active = false;
  let beatTimer;
  let endTimer;
  const tab = window.clinicTab; // connection.js
  const tabs = new BroadcastChannel("clinic-session");
  const form = () => document.getElementById("sign-out");

  function send(method, address, body) {
    return fetch(address, {
      method, cache: "no-store", keepalive: true, headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    });
  }

  async function beat() {
    clearTimeout(beatTimer);
    if (form()) {
      await window.clinicDrafts?.save();
      const wasActive = active;
      active = false;
      try {
        const answer = wasActive
          ? await send("POST", "/auth/touch", { path: location.pathname })
          : await fetch("/auth/session", { cache: "no-store" });
        if (answer.status === 401) { tab.leave(); return; }
        if (answer.ok) {
          document.documentElement.classList.remove("locked");
          const { seconds } = await answer.json();
          clearTimeout(endTimer);
          endTimer = setTimeout(beat, seconds * 1000 + 200); // its end, unless something is done
        }
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
    const press = sent.elements.namedItem("intent"); // sent again by the browser, it is the same press
    if (press) press.value = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    sessionStorage.removeItem("token");
    const address = new URL(sent.action).pathname;
    const out = address === "/auth/logout" || address === "/auth/everywhere";
    // These end the session that this page has, and lead on: nothing that notices the end first may overtake them.
    if (out || RENEWING.includes(address)) tab.leaving = true;
    if (out) tabs.postMessage("signed-out");
    if (RENEWING.includes(address)) sessionStorage.setItem("renewed", "1");
  }, true);
  tabs.onmessage = async (event) => {
    if (event.data === "signed-out" && form()) tab.leave(form().dataset.signIn); // not back here: somebody else may be next
    if (event.data === "renewed" && form()) { await window.clinicDrafts?.save(); location.reload(); }
  };
  // The session has another token now, which the sockets of the other tabs do not carry: they begin anew.
  const stays = ["/account/confirm", "/patient-portal/password"]; // there it has been refused
  if (sessionStorage.getItem("renewed") && !stays.includes(location.pathname)) {
    sessionStorage.removeItem("renewed");
    tabs.postMessage("renewed");
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) beat(); });
  // Where nobody is signed in, leaving or reloading the page forgets what it said: a name, a refusal.
  // Where a form is half filled, or done, the page that comes back begins with an empty one, and offers what was typed.
  addEventListener("pagehide", () => {
    if (!form() || document.querySelector("form[data-draft], [data-form-done]")) sessionStorage.removeItem("token");
  });
  addEventListener("pageshow", (event) => {
    document.querySelectorAll("form[data-sent]").forEach((sent) => delete sent.dataset.sent);
    if (!event.persisted) return;
    tab.leaving = false; // Back out of the browser's page cache: nothing is shown before the server has said whose it is
    if (form()) { document.documentElement.classList.add("locked"); beat(); }
  });
  beatTimer = setTimeout(beat, BEAT_MS);
})();
