// Passkeys: signing in with one ([data-passkey-sign-in]) and adding one (form[data-passkey-new]), where the browser can:
// show.js, which comes before, has shown [data-passkey] then, and [data-no-passkey] goes. The server says what to ask the
// device for; a form that is posted brings the answer.
"use strict";
(() => {
  const NONE = "No passkey was used. Try again, or sign in with your password.";
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
    button.style.minWidth = on ? `${button.offsetWidth}px` : ""; // nothing moves
    words.textContent = on ? button.dataset.busy : button.dataset.words;
    if (on) button.setAttribute("aria-disabled", "true"); else button.removeAttribute("aria-disabled");
  }

  function send(address, passkey) {
    const form = document.createElement("form");
    const field = document.createElement("input");
    Object.assign(form, { method: "post", action: address, hidden: true });
    Object.assign(field, { type: "hidden", name: "passkey", value: passkey });
    form.append(field);
    document.body.append(form);
    form.submit();
  }

  async function signIn(button) {
    if (button.ariaDisabled === "true") return;
    const part = button.closest("[data-passkey]");
    const error = part.querySelector("[data-passkey-error]");
    error.textContent = "";
    busy(button, true);
    try {
      const publicKey = await asked(button.dataset.passkeySignIn);
      send(document.getElementById("sign-in").action, written(await navigator.credentials.get({ publicKey })));
    } catch (refused) {
      busy(button, false);
      error.textContent = refused.detail ?? NONE; // the browser does not tell "cancelled" from "there is none"
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

  for (const part of document.querySelectorAll("[data-no-passkey]")) part.hidden = !!document.querySelector("[data-passkey]:not([hidden])");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-passkey-sign-in]");
    if (button) signIn(button);
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-passkey-new]")) return;
    event.preventDefault();
    add(event.target);
  });
})();
