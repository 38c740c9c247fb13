// What is changed of a camera goes to its daemon without leaving the page; the answer stands beside it.
"use strict";
(() => {
  const all = document.querySelector(".controls");
  const said = document.getElementById("control-said");
  const live = document.getElementById("live");
  const PAUSE_MS = 200; // While a slider moves.
  const AGAIN_MS = 4000; // The page's server was not reached.
  const SCORES = 25; // Bars from 0 to 1, as in threshold_effect.py.
  let timer = 0;
  let asked = ""; // What is being asked for.

  async function send(event) {
    const form = event.target.closest("form.control");
    if (!form) return;
    event.preventDefault();
    if (form.ariaBusy === "true") return;
    const name = form.elements.name.value;
    const wasFocused = document.activeElement?.value;
    form.ariaBusy = "true";
    answer(form, all.dataset.asking, "");
    try {
      const reply = await fetch(form.action, {
        method: "POST",
        headers: { "X-Fragment": "1" },
        body: new FormData(form, event.submitter),
        redirect: "manual",
      });
      if (!reply.ok) throw new Error(reply.status);
      form.insertAdjacentHTML("beforebegin", await reply.text());
      const fresh = form.previousElementSibling;
      form.remove();
      ready(fresh);
      const fields = [...fresh.querySelectorAll("button, input:not([type=hidden]), select, textarea")];
      const shown = fields.filter((one) => one.checkVisibility());
      (shown.find((one) => one.type === "submit" && one.value === wasFocused) || shown.at(-1))?.focus({ preventScroll: true });
      said.textContent = fresh.querySelector(".answer").textContent;
      fresh.dispatchEvent(new CustomEvent("control:changed", { bubbles: true, detail: name }));
    } catch {
      form.ariaBusy = "false";
      answer(form, all.dataset.failed, "bad");
    }
  }

  function answer(form, text, kind) {
    const line = form.querySelector(".answer");
    line.className = `answer small ${kind}`;
    line.textContent = said.textContent = text;
  }

  // Somebody else may change them, too: what the daemon tells of them is in the live part of the page.
  async function follow() {
    const told = live.querySelector("[data-state]")?.dataset.state;
    if (!told || told === all.dataset.state || told === asked) return;
    asked = told;
    try {
      const reply = await fetch(location.pathname, { headers: { "X-Fragment": "1" }, redirect: "manual", cache: "no-store" });
      if (!reply.ok) throw new Error(reply.status);
      renew(new DOMParser().parseFromString(await reply.text(), "text/html").querySelector(".controls"));
    } catch {
      setTimeout(follow, AGAIN_MS);
    }
    asked = "";
  }

  const forms = (root) => [...root.querySelectorAll("form.control")];
  const shape = (root) => forms(root).map((one) => one.id).join();
  // What somebody is at is not taken away.
  const isTouched = (form) =>
    form.ariaBusy === "true" || form.querySelector("[data-save].primary") || (form.id === "control-region" && document.querySelector(".region-editor"));

  function renew(fresh) {
    const title = document.getElementById("live-title");
    document.title = document.title.replace(title.textContent, fresh.dataset.title);
    title.textContent = fresh.dataset.title;
    if (shape(all) !== shape(fresh)) {
      if (forms(all).some(isTouched)) return;
      all.dataset.state = fresh.dataset.state;
      for (const one of [...all.children]) if (one !== said) one.remove();
      said.before(...[...fresh.children].filter((one) => one.id !== said.id));
      return ready(all);
    }
    all.dataset.state = fresh.dataset.state;
    for (const one of forms(fresh)) {
      const old = document.getElementById(one.id);
      if (old.dataset.state === one.dataset.state) continue;
      if (isTouched(old)) {
        answer(old, all.dataset.meanwhile, "bad");
        continue;
      }
      const { name, value } = old.contains(document.activeElement) ? document.activeElement : {};
      old.replaceWith(one);
      ready(one);
      const again = name && [...one.elements].filter((field) => field.name === name);
      if (again) (again.find((field) => field.value === value) || again[0])?.focus({ preventScroll: true });
    }
  }

  // What a threshold would have done is told while it moves.
  function slide(event) {
    const slider = event.target.closest("input[type=range]");
    if (!slider) return;
    document.getElementById(slider.dataset.shownIn).textContent = Number(slider.value).toFixed(2);
    shade(slider);
    if (!slider.dataset.effect) return;
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const reply = await fetch(`${slider.dataset.effect}?value=${slider.value}`).catch(() => null);
      if (!reply?.ok) return;
      const { text } = await reply.json();
      document.getElementById(slider.getAttribute("aria-describedby")).textContent = text;
    }, PAUSE_MS);
  }

  // Scores that would not be enough.
  function shade(slider) {
    const bars = slider.closest("form").querySelectorAll(".scores rect:not(.ground)");
    for (const bar of bars) bar.classList.toggle("is-below", (bar.x.baseVal.value + 0.9) / SCORES < Number(slider.value));
  }

  // Buttons that need a script; and of a form that was changed, the one that matters.
  function ready(root) {
    for (const one of root.querySelectorAll("[data-draw]")) one.classList.remove("is-idle");
    for (const one of root.querySelectorAll("input[type=range]")) shade(one);
  }

  function touch(event) {
    event.target.closest("form").querySelector("[data-save]")?.classList.add("primary");
  }

  all.addEventListener("submit", send);
  all.addEventListener("input", slide);
  all.addEventListener("input", touch);
  ready(all);
  new MutationObserver(follow).observe(live, { childList: true, subtree: true });
})();
