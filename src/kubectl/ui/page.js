// Asks for the page again when something on it has changed, and puts in what differs: focus, open parts and what is being
// typed stay as they are.
"use strict";
(() => {
  const policy = window.trustedTypes ? trustedTypes.createPolicy("page", { createHTML: (text) => text }) : null;
  const link = document.getElementById("link");
  const parse = (text) => new DOMParser().parseFromString(policy ? policy.createHTML(text) : text, "text/html");
  const say = (state, words) => { link.className = "soft " + state; if (link.textContent !== words) link.textContent = words; };

  const attributes = (old, fresh) => {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  };
  const alike = (old, fresh) =>
    old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && old.id === fresh.id &&
    (old.dataset?.key ?? "") === (fresh.dataset?.key ?? "");
  const patch = (old, fresh) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    attributes(old, fresh);
    if (old.tagName === "FORM" && old.contains(document.activeElement)) return;
    children(old, fresh);
  };
  // Rows have keys, so one that moved is moved and not written over.
  const children = (old, fresh) => {
    const keyed = new Map([...old.children].filter((one) => one.dataset.key).map((one) => [one.dataset.key, one]));
    let at = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      const known = wanted.dataset?.key ? keyed.get(wanted.dataset.key) : null;
      if (known && known !== at && alike(known, wanted)) {
        old.insertBefore(known, at);
        patch(known, wanted);
      } else if (at && alike(at, wanted)) {
        const next = at.nextSibling;
        patch(at, wanted);
        at = next;
      } else {
        old.insertBefore(document.importNode(wanted, true), at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  let asking = false;
  let again = false;
  const renew = async () => {
    if (asking) { again = true; return; }
    asking = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const fresh = parse(await answer.text());
      const main = fresh.getElementById("content");
      if (main) {
        children(document.getElementById("content"), main);
        document.title = fresh.title;
        document.body.dataset.version = fresh.body.dataset.version;
        say("on", "live");
      }
    } catch {
      say("off", "not live");
    }
    asking = false;
    if (again) { again = false; renew(); }
  };

  const { live, version } = document.body.dataset;
  if (live) {
    const changes = new EventSource("/live?on=" + encodeURIComponent(live) + "&seen=" + version);
    changes.onopen = () => say("on", "live");
    changes.onmessage = renew;
    changes.onerror = () => say("off", "not live: kubectl sfn ui has ended or cannot be reached");
    addEventListener("pagehide", () => changes.close());
    // Ages and bars grow though nothing changes.
    setInterval(() => { if (!document.hidden) renew(); }, 15000);
  }
})();
