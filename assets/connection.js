// The line to the server, and the ways off a page. The first script of a page: it stands before Reflex's own.
//   - the session is over: the page is hidden at once, and its address is asked for again; the server leads to the
//     sign-in page from there, and back to this page afterwards
//   - Reflex goes to a page that is not Reflex's: that is loaded, as a link would load it
//   - what is about one page, such as a record ([data-under="<path>"]), is hidden in the moment the address becomes
//     another one: Reflex takes it away some frames later
//   - somebody may have to stay (clinicTab.holds, which press.js sets): asked before the router and Reflex hear of Back,
//     Forward or an unload. On the window listeners run in the order in which they were added, whether they capture or
//     not, and Reflex's own scripts may come before any but this one
//   - more was sent at once than the server takes: a banner says so, and a new line tells what became of it
//   - no connection, or no answer to a press for ten seconds: a banner says so, and goes by itself
// Reflex tries a lost or refused connection again by itself, for ever; this script only asks why it was refused.
"use strict";
(() => {
  const WORDS = "No connection. What you typed is kept.";
  const TOO_MUCH_WORDS = "Too much at once. Wait a moment. What you typed is kept.";
  const SIGNING_IN = /^\/(login|choose-password|patient-portal\/(login|change-password))(\/|$)/;
  const PLAIN = /^\/auth\//; // pages of ours, not of Reflex's, besides those of signing in
  const DOUBT_MS = 5_000; // after a press without any answer: ask on the same line whether anybody is there
  const LOST_MS = 10_000; // after a press without any answer: say so
  const AGAIN_MS = 2_000; // between questions while the server does not answer them
  const APART_MS = 2_500; // without a line, if the server can be asked otherwise
  const PING = '42/_event,["ping"]'; // Reflex's server answers it
  const TOO_MUCH = '42/_event,["too_much"]'; // the server says it: something was dropped
  const CALM_MS = 3_000; // after it was said the last time: a new line
  const CLOSE = "1"; // Reflex's server wants to end the line

  const tab = { leaving: false, answered: -Infinity, leave, ask, holds: () => false };
  let line = null; // the socket that was opened last
  let up = false; // it has said something since
  let doubt, lost, apart, again, calm;
  let asking = false, anew = false;
  let away = false; // the server could not be asked the last time

  // --- leaving -------------------------------------------------------------------------------------

  function leave(address) {
    if (tab.leaving) return;
    tab.leaving = true;
    document.documentElement.classList.add("locked"); // look.css hides everything at once
    sessionStorage.removeItem("token"); // the next page starts with a fresh Reflex state
    const typed = address === undefined && document.querySelector("form[data-keeps][data-typed]");
    if (typed) { typed.submit(); return; } // without a session it is not saved: it waits on the page that asks to sign in
    location.replace(address ?? location.pathname + location.search); // replace: Back does not return to the record
  }

  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-keeps]");
    if (form) form.dataset.typed = "yes";
  });

  for (const name of ["pushState", "replaceState"]) {
    const change = history[name];
    history[name] = function (state, title, address) {
      const to = address === undefined || address === null ? null : new URL(address, location.href);
      if (to && SIGNING_IN.test(to.pathname)) { leave(); return; }
      if (to && PLAIN.test(to.pathname)) { location.assign(to.href); return; }
      change.apply(this, arguments);
      hide();
    };
  }

  const hidden = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, hidden];

  function hide() {
    let path = location.pathname;
    try { path = decodeURIComponent(path); } catch { /* then as it is */ }
    path = CSS.escape(path.replace(/(.)\/+$/, "$1"));
    hidden.replaceSync(`[data-under]:not([data-under=""], [data-under="${path}"]) { display: none !important; }`);
  }

  hide();
  addEventListener("popstate", (event) => {
    if (tab.holds(event)) event.stopImmediatePropagation(); // the router stays where it is
    else hide();
  }, true);
  addEventListener("beforeunload", (event) => {
    if (!tab.holds(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation(); // else the page's connection ends before the answer
  }, true);

  // --- the banner ----------------------------------------------------------------------------------

  function say(none) {
    none ||= calm !== undefined;
    let banner = document.getElementById("no-connection");
    if (!banner && none && document.body) {
      banner = document.createElement("p");
      banner.id = "no-connection";
      banner.setAttribute("role", "alert");
      document.body.append(banner);
    }
    if (!banner) return;
    banner.hidden = !none;
    const words = !none ? "" : calm === undefined ? WORDS : TOO_MUCH_WORDS;
    if (banner.textContent !== words) banner.textContent = words; // else it would be read out again
  }

  function tooMuch(socket) {
    clearTimeout(calm);
    calm = setTimeout(() => { calm = undefined; socket.close(); }, CALM_MS); // Reflex opens another one
    say(true);
  }

  // Whether the session still lasts; where that cannot be said, there is no connection.
  async function ask() {
    if (tab.leaving) return;
    if (asking) { anew = true; return; } // the answer under way may be of before the line went
    asking = true;
    try {
      const answer = await fetch("/auth/session", { cache: "no-store", signal: AbortSignal.timeout(5_000) });
      if (answer.status === 401) { leave(); return; }
      if (!answer.ok) throw new Error("not now");
      if ((await answer.json()).held) { leave(); return; }
      away = false;
      if (up) say(false);
    } catch {
      away = true;
      if (!tab.leaving) {
        say(true);
        clearTimeout(again);
        again = setTimeout(ask, AGAIN_MS);
      }
    } finally {
      asking = false;
      if (anew) { anew = false; ask(); }
    }
  }

  // --- the line ------------------------------------------------------------------------------------

  function heard() {
    up = true;
    if (lost !== undefined) tab.answered = performance.now(); // the first word since something was sent (moved.js)
    clearTimeout(doubt); clearTimeout(lost); clearTimeout(apart);
    doubt = lost = apart = undefined;
    if (!away) say(false); else ask();
  }

  function waiting(socket) {
    if (lost !== undefined) return;
    doubt = setTimeout(() => { if (socket.readyState === 1) socket.ask(PING); }, DOUBT_MS);
    lost = setTimeout(() => {
      lost = undefined;
      up = false;
      say(true);
      socket.close(); // Reflex opens another one
      ask();
    }, LOST_MS);
  }

  function gone(socket) {
    if (socket !== line || tab.leaving) return;
    up = false;
    clearTimeout(doubt); clearTimeout(lost);
    doubt = lost = undefined;
    apart ??= setTimeout(() => { if (!up && !tab.leaving) say(true); }, APART_MS);
    ask();
  }

  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      line = this;
      this.addEventListener("message", (event) => {
        if (event.data === TOO_MUCH) { tooMuch(this); return; }
        if (event.data === CLOSE) this.close(); // its server waits for that; Reflex's client does not know it
        else if (this === line && String(event.data).startsWith("4")) heard();
      });
      this.addEventListener("close", () => gone(this));
    }

    send(data) {
      if (this.readyState < 2) super.send(data); // else it is lost either way, and the browser complains
      if (String(data).startsWith("42")) waiting(this);
    }

    ask(data) { super.send(data); }
  };

  addEventListener("pagehide", () => { clearTimeout(doubt); clearTimeout(lost); clearTimeout(apart); clearTimeout(again); clearTimeout(calm); doubt = lost = apart = calm = undefined; });
  addEventListener("offline", () => { if (!tab.leaving) ask(); });
  addEventListener("online", ask);
  window.clinicTab = tab;
})();
