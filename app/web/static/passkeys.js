// Speaks with the browser's passkeys for a form that says `data-passkey` ("get" or "create"), and with nobody but this site.
"use strict";

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const send = (path, body) => fetch(path, {
  method: "POST",
  headers: { "Content-Type": "application/json", Accept: "application/json" },
  body: JSON.stringify(body),
});

function forGet(asked) {
  return { ...asked, challenge: bytes(asked.challenge), allowCredentials: [] };
}

function forCreate(asked) {
  return {
    ...asked,
    challenge: bytes(asked.challenge),
    user: { ...asked.user, id: bytes(asked.user.id) },
    excludeCredentials: (asked.excludeCredentials ?? []).map((known) => ({ ...known, id: bytes(known.id) })),
  };
}

function said(credential) {
  const { response } = credential;
  const parts = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const sent = Object.fromEntries(parts.filter((name) => response[name]).map((name) => [name, text(response[name])]));
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, clientExtensionResults: {}, response: sent };
}

async function speak(form) {
  const asked = await send(form.dataset.options, {});
  if (asked.status === 403 && form.dataset.confirm) {
    location.assign(form.dataset.confirm);
    return;
  }
  if (!asked.ok) throw new Error(asked.status === 429 ? form.dataset.later : form.dataset.failed);
  const options = await asked.json();
  const made = form.dataset.passkey === "create"
    ? await navigator.credentials.create({ publicKey: forCreate(options) })
    : await navigator.credentials.get({ publicKey: forGet(options) });
  const label = form.elements.namedItem("label");
  const answer = await send(form.dataset.answer, label ? { ...said(made), label: label.value } : said(made));
  if (!answer.ok) throw new Error(form.dataset.failed);
  const { to } = await answer.json();
  const again = document.getElementById("again");
  if (to === null && again) again.submit();
  else location.assign(to ?? form.dataset.then);
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const [button, wrong] = [form.querySelector("button"), form.querySelector("[role=alert]")];
  button.disabled = !window.PublicKeyCredential;
  if (button.disabled) {
    wrong.textContent = form.dataset.none;
    wrong.hidden = false;
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    button.disabled = true;
    wrong.hidden = true;
    speak(form).catch((error) => {
      wrong.textContent = error instanceof DOMException ? form.dataset.failed : error.message;
      wrong.hidden = false;
      button.disabled = false;
    });
  });
}
