// Passkeys: signing in with one ([data-passkey-sign-in]), confirming with one that it is you ([data-passkey-confirm]), and
// adding one (form[data-passkey-new]), where the browser can: [data-passkey] is shown then, here what is drawn later than
// show.js looks, and [data-no-passkey] goes. The server says what to ask the device for; a form that is posted brings the
// answer.
"use strict";
(() => {
  const NONE = "No passkey was used. Try again, or sign in with your password.";
  const NOT_CONFIRMED = "No passkey was used. Try again, or enter your password.";
  const NO_LINE = "There is no connection. Try again in a moment.";
  const STOPPED = "Your device stopped it, or it took too long. Nothing has changed; you can try again.";
  const THERE_ALREADY = "This device has a passkey for you already.";

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  // What may be asked for, as the server says; throws a sentence for people where it says no.
  async function asked(address, body) {
    let answer, told;
    try {
      answer = await fetch(address, {
        method: "POST", cache: "no-store", headers: { "content-type": "application/json" }, body: JSON.stringify(body ?? {}),
      });
      told = await answer.json();
    } catch { throw { detail: NO_LINE }; }
    if (!answer.ok) throw { detail: NO_LINE, ...told };
    const ids = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
    const options = { ...told, challenge: bytes(told.challenge) };
    if (told.user) return { ...options, user: { ...told.user, id: bytes(told.user.id) }, excludeCredentials: ids(told.excludeCredentials) };
    return { ...options, allowCredentials: ids(told.allowCredentials) };
  }

  function written({ id, rawId, type, response }) {
    const parts = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (response[name]) parts[name] = text(response[name]);
    }
    return JSON.stringify({ id, rawId: text(rawId), type, response: parts });
  }

  function busy(button, on) {
    const words = button.querySelector("span");
    button.dataset.words ??= words.textContent;
    button.style.minWidth = on ? `min(100%, ${button.offsetWidth}px)` : ""; // nothing moves
    words.textContent = on ? button.dataset.busy : button.dataset.words;
    if (on) button.setAttribute("aria-disabled", "true"); else button.removeAttribute("aria-disabled");
  }

  function send(address, fields) {
    const form = document.createElement("form");
    Object.assign(form, { method: "post", action: address, hidden: true });
    for (const [name, value] of Object.entries(fields)) {
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
    form.append(...document.querySelectorAll("#sign-in [name=kept]")); // what was typed before the session ended
    document.body.append(form);
    form.requestSubmit(); // idle.js hears of it
  }

  // Signing in, or confirming: the form of the answer leads on, or comes back with what was wrong.
  async function use(button) {
    const { passkeySignIn, passkeyConfirm, sendsTo, next } = button.dataset;
    if (button.ariaDisabled === "true") return;
    const part = button.closest("[data-passkey]");
    const error = part.querySelector("[data-passkey-error]");
    error.textContent = "";
    busy(button, true);
    try {
      const publicKey = await asked(passkeySignIn ?? passkeyConfirm);
      const passkey = written(await navigator.credentials.get({ publicKey }));
      if (passkeyConfirm) send(sendsTo, { passkey, next });
      else send(document.getElementById("sign-in").action, { passkey });
    } catch (refused) {
      busy(button, false);
      error.textContent = refused.detail ?? (passkeyConfirm ? NOT_CONFIRMED : NONE); // the browser does not tell "cancelled" from "there is none"
    }
  }

  function wrong(form, errors) {
    for (const error of form.querySelectorAll("p.error")) error.textContent = "";
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    let first;
    for (const [name, words] of Object.entries(errors)) {
      const field = form.elements[name];
      if (!field) { location.reload(); return; } // a password is asked for meanwhile
      const error = document.getElementById(`${field.id}-error`);
      error.textContent = words;
      field.setAttribute("aria-invalid", "true");
      const described = field.getAttribute("aria-describedby") ?? "";
      if (!described.includes(error.id)) field.setAttribute("aria-describedby", `${described} ${error.id}`.trim());
      first ??= field;
    }
    first?.focus();
  }

  function failed(form, words) {
    form.querySelector("[data-passkey-failed]").hidden = !words;
    form.querySelector("[data-passkey-why]").textContent = words;
  }

  async function add(form) {
    const button = form.querySelector("button[type=submit]");
    if (button.ariaDisabled === "true") return;
    failed(form, "");
    wrong(form, {});
    busy(button, true);
    try {
      const body = { passkey_name: form.elements.passkey_name.value, password: form.elements.password?.value ?? "" };
      const publicKey = await asked(form.dataset.passkeyNew, body);
      form.elements.passkey.value = written(await navigator.credentials.create({ publicKey }));
      form.submit();
    } catch (refused) {
      busy(button, false);
      delete form.dataset.sent; // idle.js lets a form go once
      if (refused.location) { location.assign(refused.location); return; }
      if (refused.errors && Object.keys(refused.errors).length) { wrong(form, refused.errors); return; }
      failed(form, refused.detail ?? (refused.name === "InvalidStateError" ? THERE_ALREADY : STOPPED));
    }
  }

  const able = (part) => isSecureContext && !!window.PublicKeyCredential && location.hostname === part.dataset.passkey;

  function show() {
    const parts = [...document.querySelectorAll("[data-passkey]")];
    for (const part of parts) part.hidden = !able(part);
    for (const part of document.querySelectorAll("[data-no-passkey]")) part.hidden = parts.some(able);
  }

  show();
  new MutationObserver(show).observe(document.body, { childList: true, subtree: true });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-passkey-sign-in], [data-passkey-confirm]");
    if (button) use(button);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-passkey-new]")) return;
    event.preventDefault();
    add(event.target);
  });
})();
