// Keeps an open page up to date. Everything works without it.
"use strict";

(() => {
  const body = document.body;
  if (!body.dataset.events || !window.EventSource) return;

  const pulse = document.getElementById("pulse");
  const retryAfter = 5000; // milliseconds, after the server said no
  let source = null;
  let version = body.dataset.version;
  let failures = 0;

  // say shows whether the page is up to date.
  function say(on) {
    pulse.hidden = false;
    pulse.classList.toggle("off", !on);
    pulse.textContent = on ? pulse.dataset.live : pulse.dataset.away;
  }

  function open() {
    if (source || document.hidden) return;
    source = new EventSource(body.dataset.events + "&have=" + encodeURIComponent(version));
    source.onopen = () => { failures = 0; say(true); };
    source.addEventListener("page", (event) => {
      version = event.lastEventId;
      show(event.data);
    });
    source.addEventListener("end", () => { close(); open(); });
    source.onerror = () => {
      say(false);
      if (source && source.readyState === EventSource.CLOSED) { close(); again(); }
      else { close(); window.setTimeout(open, 1000); } // with the version that is shown now
    };
  }

  function close() {
    if (source) source.close();
    source = null;
  }

  // again waits, and finds out whether the session has ended.
  function again() {
    failures++;
    window.setTimeout(async () => {
      try {
        const answer = await fetch(location.href, { method: "HEAD", redirect: "manual", cache: "no-store" });
        if (answer.type === "opaqueredirect") { location.reload(); return; }
      } catch { /* the server is away; it will be back */ }
      open();
    }, Math.min(retryAfter * failures, 60000));
  }

  // show makes the page what the server says it is, and touches only what differs.
  function show(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const id of ["nav", "main"]) {
      const here = document.getElementById(id);
      const there = fresh.getElementById(id);
      if (here && there) morph(here, there);
    }
  }

  function alike(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");
  }

  function morph(here, there) {
    if (here.nodeType !== Node.ELEMENT_NODE) {
      if (here.nodeValue !== there.nodeValue) here.nodeValue = there.nodeValue;
      return;
    }
    if (here.isEqualNode(there)) return;
    for (const { name, value } of [...there.attributes]) {
      if (!kept(here, name) && here.getAttribute(name) !== value) here.setAttribute(name, value);
    }
    for (const { name } of [...here.attributes]) {
      if (!kept(here, name) && !there.hasAttribute(name)) here.removeAttribute(name);
    }
    children(here, there);
  }

  // kept is what belongs to the person: what is unfolded, what is typed.
  function kept(element, name) {
    return (name === "open" && element.nodeName === "DETAILS") ||
      (name === "value" && element.nodeName === "INPUT" && element.type !== "hidden");
  }

  function children(here, there) {
    const byId = new Map();
    const staying = new Set([...there.children].map((child) => child.id));
    for (const child of [...here.children]) {
      if (child.id && !staying.has(child.id)) child.remove();
      else if (child.id) byId.set(child.id, child);
    }
    let at = here.firstChild;
    for (const wanted of [...there.childNodes]) {
      const named = wanted.id && byId.get(wanted.id);
      if (named && alike(named, wanted)) {
        if (named === at) at = at.nextSibling;
        else here.insertBefore(named, at);
        morph(named, wanted);
      } else if (at && alike(at, wanted) && !at.id) {
        const next = at.nextSibling;
        morph(at, wanted);
        at = next;
      } else {
        const added = document.importNode(wanted, true);
        here.insertBefore(added, at);
        if (added.nodeType === Node.ELEMENT_NODE && added.id) added.classList.add("fresh");
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  // A browser opens few connections to one server: a page that nobody sees has none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else open();
  });
  window.addEventListener("pagehide", close);
  open();
})();
