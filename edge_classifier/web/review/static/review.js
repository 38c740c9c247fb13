// Review at the speed of keys: verdicts are sent in the background, the next picture is there
// already. Without this file every button is a plain form's.
"use strict";

const root = document.querySelector("#review");
const grid = document.querySelector("#grid");
const AHEAD = 3; // Pictures that are loaded before they are wanted.
const FEW = 5; // With fewer pictures left, more are fetched.
const LONGEST_PAUSE_MS = 30000;

if (root) startReview();
if (grid) startGrid();

function startReview() {
  const finished = document.querySelector("#finished");
  const items = [...root.querySelectorAll(".item")];
  const judged = []; // In order, for undo.
  const saving = saver();
  let at = 0;
  let fetching = false;
  let isAll = false;
  const undoButton = document.querySelector("#undo");
  document.querySelector("#undo-last")?.remove();

  function show(index) {
    items[at]?.toggleAttribute("hidden", true);
    at = Math.max(0, Math.min(index, items.length));
    items[at]?.toggleAttribute("hidden", false);
    finished.hidden = at < items.length;
    undoButton.hidden = !judged.length;
    drawRest();
    for (const item of items.slice(at, at + 1 + AHEAD)) load(item);
    document.activeElement?.blur?.();
    drawStrip(items, at, show);
    if (items.length - at < FEW) fetchMore();
  }

  async function fetchMore() {
    if (fetching || isAll) return;
    fetching = true;
    try {
      const last = items.at(-1)?.dataset.key ?? "";
      const answer = await fetch(`${root.dataset.more}&after=${last}`, { redirect: "error" });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const known = new Set(items.map((item) => item.dataset.key));
      const fresh = [...page.querySelectorAll(".item")].filter((item) => !known.has(item.dataset.key));
      isAll = fresh.length === 0;
      root.append(...fresh);
      items.push(...fresh);
      if (fresh.length && !finished.hidden) show(at);
      else drawStrip(items, at, show);
    } catch {
      // Tried again with the next picture.
    } finally {
      fetching = false;
    }
  }

  // `name`: what the label is called on this page. It holds for all that are ticked on the pile.
  function judge(verdict, truth, name = truth) {
    const item = items[at];
    if (!item) return;
    const keys = onPile(item);
    const before = item.filed ?? [];
    const left = before.filter((key) => !keys.includes(key));
    if (left.length) saving.add(item, "", "", left);
    // What its camera ignores since then is shown again.
    if (item.dataset.verdict === "never" && verdict !== "never") saving.add(item, "again", "", [item.dataset.key]);
    count(keys.length - before.length);
    item.filed = keys;
    mark(item, verdict, name);
    judged.push(item);
    saving.add(item, verdict, truth, keys);
    show(at + 1);
  }

  function choose(button) {
    judge("corrected", button.value, button.querySelector("span").textContent);
  }

  function undo() {
    const item = judged.pop();
    if (!item) return;
    const keys = item.filed ?? [];
    item.filed = [];
    count(-keys.length);
    const before = item.dataset.verdict;
    mark(item, "", "");
    if (keys.length) saving.add(item, before === "never" ? "again" : "", "", keys);
    show(items.indexOf(item));
  }

  const keys = {
    Enter: () => judge("confirmed", ""),
    y: () => judge("confirmed", ""),
    n: () => judge("nothing", ""),
    x: () => judge("rejected", ""),
    i: () => items[at]?.dataset.never && judge("never", ""),
    s: () => show(at + 1),
    ArrowRight: () => show(at + 1),
    ArrowLeft: () => show(at - 1),
    u: undo,
    c: () => items[at]?.querySelector("[name=truth]").focus(),
    o: () => items[at]?.querySelector(".pile")?.toggleAttribute("open"),
  };
  keys["/"] = keys.c;

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.key === "Escape") target.blur();
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, select, textarea")) return;
    if (event.key === "Enter" && target.matches("a, button, summary")) return;
    const choice = items[at]?.querySelectorAll("[name=choose]")[Number(event.key) - 1];
    const act = choice ? () => choose(choice) : keys[event.key];
    if (!act) return;
    event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) act();
  });
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    const { name, value } = event.submitter;
    const truth = event.target.elements.truth?.value ?? "";
    if (name === "choose") choose(event.submitter);
    else judge(value, truth);
  });
  document.addEventListener("click", (event) => {
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (!act) return;
    event.preventDefault();
    ({ skip: keys.s, undo, retry: saving.retry })[act]();
  });
  show(0);
}

function load(item) {
  const image = item.querySelector("img[data-src]");
  if (!image) return;
  image.src = image.dataset.src;
  image.removeAttribute("data-src");
}

// The records that a verdict on `item` is for, its own first.
function onPile(item) {
  return [item.dataset.key, ...[...item.querySelectorAll(".pile :checked")].map((box) => box.value)];
}

function mark(item, verdict, name) {
  item.dataset.verdict = verdict;
  const said = item.querySelector(".verdict");
  said.hidden = !verdict;
  said.textContent = verdict ? `${root.dataset[verdict]} ${name}` : "";
}

// At once; what the server counts comes with its answer.
function count(change) {
  const [reviewed, left] = [document.querySelector("#reviewed"), document.querySelector("#to-go")];
  reviewed.textContent = Math.max(0, Number(reviewed.textContent) + change);
  if (!("many" in left.dataset)) left.textContent = Math.max(0, Number(left.textContent) - change);
}

function showCounts({ to_go, many, reviewed }) {
  document.querySelector("#reviewed").textContent = reviewed;
  const left = document.querySelector("#to-go");
  left.toggleAttribute("data-many", many);
  left.textContent = many ? `${to_go}+` : to_go;
  drawRest();
}

// At the end: whether others wait, which were skipped.
function drawRest() {
  const left = document.querySelector("#to-go").textContent !== "0";
  document.querySelector("#rest").hidden = !left;
  document.querySelector("#all-done").hidden = left;
}

function drawStrip(items, at, show) {
  const first = Math.max(0, at - 2);
  const template = document.querySelector("#thumbnail");
  const entries = items.slice(first, at + 10).map((item, offset) => {
    const entry = template.content.firstElementChild.cloneNode(true);
    entry.querySelector("img").src = item.dataset.thumbnail;
    entry.querySelector("img").alt = item.querySelector("img").alt;
    entry.dataset.verdict = item.dataset.verdict;
    if (first + offset === at) entry.setAttribute("aria-current", "true");
    entry.querySelector("button").addEventListener("click", () => show(first + offset));
    return entry;
  });
  document.querySelector("#strip").replaceChildren(...entries);
}

// Sends verdicts one after the other, so that what was undone is undone; keeps what cannot be
// sent, says so, and tries again.
function saver() {
  const waiting = [];
  let busy = false;
  let pause_ms = 1000;
  let timer = 0;
  let counts = null; // Of the last answer.

  async function send({ item, verdict, truth, keys }) {
    const form = item.querySelector("form");
    const body = new URLSearchParams({ verdict, truth, shown: form.elements.shown.value });
    for (const name of ["camera", "label", "source"]) body.append(name, form.elements[name]?.value ?? "");
    for (const key of keys.slice(1)) body.append("key", key);
    const address = form.action.replace(item.dataset.key, keys[0]);
    // What a camera is to ignore goes to its daemon, too, and comes back from there.
    const isOfCamera = verdict === "never" || verdict === "again";
    if (verdict === "again") body.append("undo", "1");
    const answer = await fetch(isOfCamera ? item.dataset.never : address, {
      method: "POST",
      redirect: "manual",
      headers: { Accept: "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
      body,
      signal: AbortSignal.timeout(15000),
    });
    const told = await answer.text(); // In any case, or the connection would be given up.
    if (answer.ok) {
      counts = JSON.parse(told);
      return "";
    }
    if (answer.status === 400) {
      mark(item, "", "");
      count(-keys.length);
      item.filed = [];
      return JSON.parse(told).problem;
    }
    if (answer.status === 404) return root.dataset.gone;
    throw new Error(answer.type === "opaqueredirect" || answer.status === 403 ? root.dataset.login : answer.status);
  }

  async function work() {
    if (busy) return;
    busy = true;
    clearTimeout(timer);
    try {
      while (waiting.length) {
        tellRefused(await send(waiting[0]));
        waiting.shift();
        pause_ms = 1000;
      }
      // Others review, too. What is under way still is counted here already.
      if (counts) showCounts(counts);
      counts = null;
      tell("");
    } catch (error) {
      tell(error.name === "Error" ? error.message : "");
      timer = setTimeout(work, pause_ms);
      pause_ms = Math.min(2 * pause_ms, LONGEST_PAUSE_MS);
    } finally {
      busy = false;
    }
  }

  function tell(why) {
    const box = document.querySelector("#unsaved");
    box.hidden = waiting.length === 0;
    box.querySelector("span").textContent = `${root.dataset.unsaved} ${waiting.length}. ${why}`;
  }

  window.addEventListener("beforeunload", (event) => {
    if (waiting.length) event.preventDefault();
  });
  return {
    retry: work,
    add(item, verdict, truth, keys) {
      waiting.push({ item, verdict, truth, keys });
      work();
    },
  };
}

function tellRefused(problem) {
  const box = document.querySelector("#refused");
  if (!problem) return;
  box.hidden = false;
  box.textContent = problem;
}

function startGrid() {
  const boxes = [...grid.querySelectorAll("[name=key]")];
  const tell = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    grid.querySelector("output").textContent = ticked;
    for (const button of grid.querySelectorAll("[name=verdict]")) button.disabled = !ticked;
  };
  for (const button of grid.querySelectorAll("[data-tick]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      for (const box of boxes) box.checked = button.dataset.tick === "all";
      tell();
    });
  }
  grid.addEventListener("change", (event) => {
    // The first one of a pile stands for all of them.
    const first = event.target.closest(".pile")?.querySelector("[name=key]");
    if (event.target === first) {
      for (const box of first.closest(".pile").querySelectorAll("[name=key]")) box.checked = first.checked;
    }
    tell();
  });
  grid.addEventListener("keydown", (event) => {
    // The first button of a form is not what Enter means in a field.
    if (event.key === "Enter" && event.target.name === "truth") {
      event.preventDefault();
      grid.querySelector("[value=corrected]").click();
    }
  });
  // The browser restores boxes when one comes back.
  addEventListener("pageshow", tell);
  tell();
}
