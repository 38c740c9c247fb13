"use strict";
// The camera's moving picture, and the buttons that let it fill a class as long as they are held.
//
// Each request asks for the newest frame; while a button is held it also says into which class the
// frame goes. Whoever lets go, closes the page or loses the connection asks no more.
(() => {
  const view = document.getElementById("camera");
  const { root, put, say, tell, added, section } = globalThis.lesson;
  view.hidden = false;
  const place = document.getElementById("place");
  if (!place) return;
  const canvas = view.querySelector("canvas");
  const note = view.querySelector(".note");
  const EVERY_MS = 333; // Three frames a second.
  const LATER_MS = 3000; // The server cannot answer.
  const KEPT = "edge-classifier.lesson-camera";
  let number = 0; // Of the frame that is shown.
  let held = null; // The class that is being filled, and what came of it.
  let timer = 0;

  function plan(pause) {
    clearTimeout(timer);
    timer = document.hidden ? 0 : setTimeout(look, pause);
  }

  async function look() {
    const begun = performance.now();
    const into = held;
    const body = new FormData();
    body.append("place", place.value);
    // The frame that is shown when a button is pressed is the first that is meant.
    body.append("number", into?.isNew ? 0 : number);
    if (into) {
      body.append("class", into.number);
      into.isNew = false;
    }
    let pause = EVERY_MS;
    try {
      const token = document.querySelector("#pictures [name=csrfmiddlewaretoken]").value;
      const headers = { "X-CSRFToken": token };
      const answer = await fetch(view.dataset.frames, { method: "POST", body, headers, redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 403) return location.reload(); // Logged out.
      if (answer.status === 404) return location.reload(); // The lesson was deleted elsewhere.
      if (!answer.ok) throw new Error(answer.status);
      await take(new Uint8Array(await answer.arrayBuffer()), into);
    } catch {
      note.textContent = view.dataset.lost;
      pause = LATER_MS;
    }
    plan(Math.max(0, pause - (performance.now() - begun)));
  }

  // A line of JSON, and behind it the picture if there is a newer one.
  async function take(bytes, into) {
    const end = bytes.indexOf(10);
    const facts = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    note.textContent = facts.problem;
    if (end + 1 < bytes.length) {
      const picture = await createImageBitmap(new Blob([bytes.subarray(end + 1)], { type: "image/jpeg" }));
      number = facts.number;
      [canvas.width, canvas.height] = [picture.width, picture.height];
      canvas.getContext("2d").drawImage(picture, 0, 0);
      picture.close();
    }
    if (!into || !facts.added) return;
    if (facts.added.problem) {
      release();
      return say(facts.added.problem, section(into.number), true);
    }
    put(facts.added);
    into.ids.push(...facts.added.ids);
    for (const outcome of facts.added.outcomes) if (outcome in into) into[outcome] += 1;
    say(tell(null, into) || view.dataset.collecting, section(into.number));
  }

  function hold(button) {
    if (held) return;
    const card = button.closest("[data-class]");
    held = { number: card.dataset.class, button, isNew: true, ids: [], alike: 0, there: 0 };
    card.classList.add("is-held");
    view.classList.add("is-held");
    card.querySelector(".said").ariaLive = "off"; // A number that rises is not read out each time.
    say(view.dataset.collecting, card);
    plan(0);
  }

  function release() {
    if (!held) return;
    const done = held;
    held = null;
    for (const one of [view, section(done.number)]) one?.classList.remove("is-held");
    // A frame may still be on its way.
    setTimeout(() => finish(done), EVERY_MS);
  }

  function finish(done) {
    const line = section(done.number)?.querySelector(".said");
    if (!line) return;
    line.ariaLive = null;
    line.replaceChildren(line.textContent); // Read out once, with all that came.
    if (done.ids.length) added(done.ids);
  }

  for (const button of root.querySelectorAll(".hold")) {
    button.hidden = false;
    button.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      button.setPointerCapture(event.pointerId); // A finger may slip.
      hold(button);
    });
    // Pressing one button takes the focus from another, which is nothing to this one.
    const leave = () => held?.button === button && release();
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture", "blur", "keyup"]) button.addEventListener(kind, leave);
    button.addEventListener("contextmenu", (event) => event.preventDefault()); // A long touch is what is meant.
    button.addEventListener("keydown", (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) hold(button);
    });
  }
  for (const kind of ["blur", "pagehide"]) addEventListener(kind, release);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) release();
    plan(0);
  });
  addEventListener("pageshow", () => plan(0));

  try {
    const kept = localStorage.getItem(KEPT);
    if ([...place.options].some((one) => one.value === kept)) place.value = kept;
  } catch {} // A browser that keeps nothing.
  place.addEventListener("change", () => {
    try {
      localStorage.setItem(KEPT, place.value);
    } catch {} // Likewise.
    number = 0;
    plan(0);
  });
  plan(0);
})();
