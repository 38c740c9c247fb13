"use strict";
// Pictures of a lesson: ticked, moved, removed, dropped and sent, without loading the page anew.
(() => {
  const root = document.getElementById("lesson");
  const form = document.getElementById("pictures");
  for (const button of document.querySelectorAll("[data-tick]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      for (const box of button.form.querySelectorAll("[name=key]")) box.checked = button.dataset.tick === "all";
    });
  }
  if (!root || !form) return;
  const texts = root.dataset;
  const undoButton = form.querySelector("[value=undo]");
  const onThem = form.querySelector(".on-them");
  const isClassPage = root.classList.contains("class-page");
  root.classList.add("scripted");
  let last = []; // What was added since anything else was done.
  const section = (number) => root.querySelector(`[data-class="${number}"]`);
  const ticked = () => [...document.querySelectorAll("[name=picture]:checked")];

  function write(template, values) {
    return template.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  // A line of a class, or of the page.
  function say(text, where, isBad = false) {
    const line = where ? where.querySelector(".said") : form.querySelector(".how-many");
    line.textContent = text;
    line.classList.toggle("bad", isBad);
    if (!where) form.classList.toggle("open", text !== "" || !onThem.hidden || !undoButton.hidden);
  }

  async function post(address, body) {
    const token = form.elements.csrfmiddlewaretoken.value;
    const headers = { "X-CSRFToken": token, Accept: "application/json" };
    const answer = await fetch(address, { method: "POST", body, headers, redirect: "manual" });
    if (answer.type === "opaqueredirect" || answer.status === 403) location.reload(); // Logged out.
    if (answer.status === 507) throw new Error(texts.full);
    if (!(answer.headers.get("Content-Type") || "").startsWith("application/json")) throw new Error(texts.broken);
    const facts = await answer.json();
    if (!answer.ok) throw new Error(facts.problem || texts.broken);
    return facts;
  }

  function drawn(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content.firstElementChild;
  }

  // What is selected, and what can be done with it.
  function show() {
    const boxes = ticked();
    const count = boxes.length;
    if (count && onThem.hidden) offer(boxes[0].closest("[data-class]")?.dataset.class);
    onThem.hidden = !count;
    say(count ? write(texts.selected, { count }) : "");
  }

  // Another class than the one that they are in.
  function offer(own) {
    const to = form.elements.to;
    if (to.value === own) to.value = [...to.options].find((one) => one.value !== own)?.value || own;
  }

  // One after the other: what is undone is the last that the server has noted.
  let before = Promise.resolve();
  function act(what, to, pictures) {
    before = before.then(() => carryOut(what, to, pictures));
  }

  async function carryOut(what, to, pictures) {
    const body = new FormData();
    body.append("do", what);
    if (to) body.append("to", to);
    for (const one of pictures) body.append("picture", one);
    try {
      const facts = await post(form.getAttribute("action"), body);
      last = [];
      if (isClassPage) return leave(what, pictures, facts);
      for (const [number, html] of Object.entries(facts.classes)) replace(section(number), drawn(html));
      undoButton.hidden = !facts.can_undo;
      show();
      say(facts.said);
    } catch (error) {
      say(error.message, null, true);
    }
  }

  // On the page of a class, which shows no others, pictures only go.
  function leave(what, pictures, facts) {
    if (what === "undo") return location.reload();
    for (const one of pictures) root.querySelector(`[name=picture][value="${one}"]`)?.closest("li").remove();
    undoButton.hidden = !facts.can_undo;
    show();
    say(facts.said);
  }

  // Its list and its number; what somebody holds or has typed into stays.
  function replace(old, fresh) {
    if (!old) return;
    const kept = new Map([...old.querySelectorAll(".thumbs li")].map((one) => [one.querySelector("input").value, one]));
    for (const one of fresh.querySelectorAll(".thumbs li")) {
      const there = kept.get(one.querySelector("input").value);
      if (!there) continue;
      there.querySelector("input").checked = false;
      one.replaceWith(there);
    }
    for (const part of [".count", ".thumbs"]) old.querySelector(part).replaceWith(fresh.querySelector(part));
    old.querySelector(".more")?.remove();
    const more = fresh.querySelector(".more");
    if (more) old.append(more);
  }

  // New pictures of a class, as the server has drawn them.
  function put(facts) {
    const to = section(facts.class);
    if (!to) return;
    const list = to.querySelector(".thumbs");
    for (const html of facts.thumbnails) list.prepend(drawn(html));
    to.querySelector(".count").textContent = facts.count;
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const pictures = ticked().map((box) => box.value);
    act(event.submitter.value, form.elements.to.value, event.submitter.value === "undo" ? [] : pictures);
  });
  document.addEventListener("change", (event) => {
    if (event.target.name === "picture") show();
  });
  const none = form.querySelector(".none");
  none.hidden = false;
  none.addEventListener("click", () => {
    for (const box of ticked()) box.checked = false;
    show();
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input:not([type=checkbox]), select, textarea")) return;
    if (event.key === "Delete" && ticked().length) act("remove", "", ticked().map((box) => box.value));
    if (event.key === "z" && (event.ctrlKey || event.metaKey) && !undoButton.hidden) act("undo", "", []);
    if (event.key === "Escape") none.click();
  });

  // Sending files, one after the other.
  const queue = [];
  let sending = false;

  function send(number, files) {
    queue.push(...[...files].map((file) => ({ number, file })));
    if (!sending) next(new Map());
  }

  async function next(results) {
    sending = queue.length > 0;
    if (!sending) return finish(results);
    const { number, file } = queue.shift();
    const where = section(number);
    const found = results.get(number) || { all: 0, ids: [], alike: 0, there: 0, problems: [] };
    results.set(number, found);
    found.all += 1;
    say(write(texts.sending, { number: found.all, count: found.all + queue.length }), where);
    try {
      if (file.size > Number(texts.maxBytes)) throw new Error(texts.tooLarge);
      const body = new FormData();
      body.append("class", number);
      body.append("pictures", file, file.name || "picture");
      const facts = await post(where.querySelector(".send").getAttribute("action"), body);
      put(facts);
      found.ids.push(...facts.ids);
      found.said = facts.said || found.said;
      for (const outcome of facts.outcomes) if (outcome in found) found[outcome] += 1;
      found.problems.push(...facts.problems);
    } catch (error) {
      found.problems.push(`${file.name}: ${error.message}`);
    }
    next(results);
  }

  function finish(results) {
    for (const [number, found] of results) {
      const text = [tell(section(number), found), ...found.problems.slice(0, 5)].filter(Boolean).join(" ");
      say(text, section(number), found.problems.length > 0);
      if (found.ids.length) added(found.ids);
    }
  }

  // The sentence of the server's words, with all of a series counted.
  function tell(where, { ids, alike, there }) {
    const lines = root.querySelector("#told").content;
    const line = (name, count) => (count ? write(lines.querySelector(`[data-told=${name}]`).textContent, { count }) : "");
    return [line("added", ids.length), line("alike", alike), line("there", there)].filter(Boolean).join(" ");
  }

  // What was added can be undone by removing it.
  function added(ids) {
    last = ids;
    undoButton.hidden = false;
    show();
  }
  undoButton.addEventListener("click", (event) => {
    if (!last.length) return;
    event.preventDefault();
    const ids = last;
    last = [];
    act("remove", "", ids);
  });

  if (!isClassPage) {
    for (const input of root.querySelectorAll(".send input[type=file]")) {
      input.addEventListener("change", () => {
        send(input.closest("[data-class]").dataset.class, input.files);
        input.value = "";
      });
    }
  }

  // Dragging: pictures between classes, and files onto them.
  const DRAGGED = "application/x-lesson-pictures";
  document.addEventListener("dragstart", (event) => {
    const item = event.target.closest?.(".thumbs li");
    if (!item) return;
    const box = item.querySelector("input");
    if (!box.checked) {
      for (const other of ticked()) other.checked = false;
      box.checked = true;
      show();
    }
    event.dataTransfer.setData(DRAGGED, ticked().map((one) => one.value).join());
    event.dataTransfer.effectAllowed = "move";
  });
  const target = (event) => event.target.closest?.("[data-class]");
  const fits = (event) => ["Files", DRAGGED].some((kind) => event.dataTransfer.types.includes(kind));
  function mark(one) {
    for (const other of root.querySelectorAll(".over")) if (other !== one) other.classList.remove("over");
    one?.classList.add("over");
  }
  document.addEventListener("dragover", (event) => {
    if (!fits(event)) return;
    event.preventDefault();
    mark(target(event));
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || mark(null));
  document.addEventListener("dragend", () => mark(null));
  document.addEventListener("drop", (event) => {
    if (!fits(event)) return;
    event.preventDefault();
    mark(null);
    const to = target(event);
    if (!to) return;
    const moved = event.dataTransfer.getData(DRAGGED);
    if (moved) act("move", to.dataset.class, moved.split(","));
    else send(to.dataset.class, event.dataTransfer.files);
  });

  // Pictures were moved elsewhere on this page.
  document.addEventListener("lesson-changed", async () => {
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const one of fresh.querySelectorAll("[data-class]")) replace(section(one.dataset.class), one);
    show();
  });

  globalThis.lesson = { root, put, say, tell, added, section };
  show();
})();
