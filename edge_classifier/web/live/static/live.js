// Keeps the live page up to date: the server sends the HTML of what has changed.
"use strict";
(() => {
  const all = document.getElementById("live");
  const byId = (name) => document.getElementById(`live-${name}`);
  const [topLine, status, lost, full, empty, filter, moving] = ["top", "status", "lost", "full", "empty", "filter", "moving"].map(byId);
  const AFTER_MS = 4000; // Most interruptions are over by then, and need not be spoken of.
  let source = null;
  let timer = 0;

  function drawn(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  }

  const pictures = (root) => new Map([...root.querySelectorAll(".shot > img")].map((one) => [one.closest("[data-part]").dataset.part, one]));

  // The pictures that are there stay, so that nothing flickers: a new address is loaded behind them.
  function replace(old, fresh) {
    const focused = document.activeElement;
    const hadFocus = old.contains(focused);
    const there = pictures(old.parentNode);
    for (const [part, image] of pictures(fresh)) {
      const kept = there.get(part);
      if (!kept) continue;
      if (kept.getAttribute("src") !== image.getAttribute("src")) kept.src = image.getAttribute("src");
      image.replaceWith(kept);
    }
    // So do those that move (moving.js), while their camera gives any.
    for (const kept of old.parentNode.querySelectorAll(".shot > .kept")) {
      const part = kept.closest("[data-part]").dataset.part;
      fresh.querySelector(`[data-part="${part}"] [data-moving]`)?.append(kept);
    }
    // And what was unfolded stays so.
    for (const one of fresh.querySelectorAll("details")) one.open = document.getElementById(one.id)?.open || false;
    old.replaceWith(fresh);
    // So does the focus: on what stayed, or on the link that was drawn anew.
    if (!hadFocus) return;
    const isSame = (one) => one.getAttribute("href") === focused.getAttribute("href");
    const again = focused.isConnected ? focused : [...all.querySelectorAll("a")].find(isSame);
    again?.focus({ preventScroll: true });
  }

  function take(event) {
    heard();
    const news = JSON.parse(event.data);
    if (news.top !== undefined) {
      topLine.innerHTML = news.top;
      all.classList.toggle("is-old", topLine.querySelector("[data-broker]") !== null);
    }
    if (news.status !== undefined) status.innerHTML = news.status;
    if (news.whole !== undefined) replace(all.firstElementChild, drawn(news.whole));
    for (const [part, html] of Object.entries(news.parts || {})) {
      const old = all.querySelector(`[data-part="${part}"]`);
      if (old) replace(old, drawn(html));
    }
    const devices = Number(all.firstElementChild.dataset.heard);
    empty.hidden = devices > 0;
    moving.parentNode.hidden = devices === 0;
    if (devices > 1 && !all.classList.contains("is-single")) filter.hidden = false;
  }

  function heard() {
    clearTimeout(timer);
    timer = 0;
    lost.hidden = full.hidden = true;
    all.classList.remove("is-lost");
  }

  function miss() {
    lost.hidden = false;
    all.classList.add("is-lost");
  }

  function open() {
    close();
    if (document.hidden) return;
    source = new EventSource(all.dataset.stream);
    source.addEventListener("open", heard);
    source.addEventListener("whole", take);
    source.addEventListener("change", take);
    source.addEventListener("error", failed);
  }

  function close() {
    if (source) source.close();
    source = null;
    clearTimeout(timer);
    timer = 0;
  }

  // The browser tries again by itself, unless the server has answered something else.
  function failed() {
    if (source && source.readyState === EventSource.CLOSED) ask();
    else if (!timer) timer = setTimeout(miss, AFTER_MS);
  }

  async function ask() {
    close();
    let again = AFTER_MS;
    try {
      const answer = await fetch(all.dataset.room, { redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 403) return location.reload(); // Logged out.
      if (answer.status === 503) {
        full.hidden = false;
        lost.hidden = true;
        again = 1000 * (Number(answer.headers.get("Retry-After")) || Number(all.dataset.again));
      }
    } catch {
      miss();
    }
    timer = setTimeout(open, again);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  open();
})();
