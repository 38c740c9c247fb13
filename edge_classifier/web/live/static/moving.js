// Moving pictures on the live page: once a second the newest frames of the cameras in sight.
"use strict";
(() => {
  const all = document.getElementById("live");
  const choice = document.getElementById("live-moving");
  const EVERY_MS = 1000;
  const SOON_MS = 300; // A camera's first frame is on its way.
  const LATER_MS = 5000; // The server cannot answer, or has too much to do.
  const MOST = 12; // As in moving.py.
  const LARGE_PX = 540; // A wider picture wants more than a tile has.
  const KEPT = "edge-classifier.moving";
  const shown = new Map(); // By camera: the number of the frame that is shown.
  let timer = 0;

  const name = (shot) => shot.dataset.moving;
  const size = (shot) => (shot.clientWidth > LARGE_PX ? "large" : "tile");

  function inSight() {
    const isSeen = (shot) => {
      const place = shot.getBoundingClientRect();
      return place.width > 0 && place.bottom > 0 && place.top < innerHeight;
    };
    return [...all.querySelectorAll("[data-moving]")].filter(isSeen).slice(0, MOST);
  }

  async function look() {
    const shots = inSight();
    let pause = EVERY_MS;
    if (shots.length) {
      const asked = shots.map((shot) => ["camera", `${name(shot)}/${size(shot)}/${shown.get(name(shot)) || 0}`]);
      try {
        const answer = await fetch(`${all.dataset.frames}?${new URLSearchParams(asked)}`, { redirect: "manual" });
        if (answer.type === "opaqueredirect" || answer.status === 403) return; // Logged out: the stream says so.
        const hasMore = answer.ok && (await take(shots, new Uint8Array(await answer.arrayBuffer())));
        if (!answer.ok) pause = LATER_MS;
        else if (hasMore) pause = 0;
        else if (shots.some((shot) => !shot.querySelector(".moving, .shot-note"))) pause = SOON_MS;
      } catch {
        pause = LATER_MS;
      }
    }
    plan(pause);
  }

  function plan(pause) {
    clearTimeout(timer);
    timer = choice.checked && !document.hidden ? setTimeout(look, pause) : 0;
  }

  // A line of JSON, and behind it the pictures that it lists. Whether there are more.
  async function take(shots, bytes) {
    const end = bytes.indexOf(10);
    const { frames, problems, has_more: hasMore } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
    let at = end + 1;
    for (const frame of frames) {
      shown.set(frame.camera, frame.number);
      const jpeg = new Blob([bytes.subarray(at, at + frame.bytes)], { type: "image/jpeg" });
      at += frame.bytes;
      const picture = await createImageBitmap(jpeg);
      // Its place may be another by now: what has changed was drawn anew.
      const shot = all.querySelector(`[data-moving="${frame.camera}"]`);
      if (shot && choice.checked) show(shot, picture, frame.box);
      picture.close();
    }
    for (const shot of shots) {
      const problem = problems[name(shot)] || "";
      if (problem) shot.querySelector(".moving")?.remove();
      note(shot, problem);
    }
    return hasMore;
  }

  // A canvas: an image would load its picture again each time that its place is drawn anew.
  function show(shot, picture, box) {
    let moving = shot.querySelector(".moving");
    if (!moving) {
      moving = document.createElement("div");
      moving.className = "moving kept";
      moving.ariaHidden = "true"; // The picture behind it has the words.
      moving.append(document.createElement("canvas"));
      shot.append(moving);
    }
    const canvas = moving.firstChild;
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.getContext("2d").drawImage(picture, 0, 0);
    moving.replaceChildren(canvas);
    if (box) canvas.insertAdjacentHTML("afterend", box);
  }

  function note(shot, text) {
    let line = shot.querySelector(".shot-note");
    if (!text) return line?.remove();
    if (!line) {
      line = document.createElement("p");
      line.className = "shot-note small kept";
      shot.append(line);
    }
    if (line.textContent !== text) line.textContent = text;
  }

  function choose() {
    if (!choice.checked) for (const one of all.querySelectorAll(".shot > .kept")) one.remove();
    shown.clear();
    plan(0);
  }

  try {
    const kept = localStorage.getItem(KEPT);
    choice.checked = kept === null ? !matchMedia("(prefers-reduced-motion: reduce)").matches : kept === "1";
  } catch {
    choice.checked = true; // A browser that keeps nothing.
  }
  choice.addEventListener("change", () => {
    try {
      localStorage.setItem(KEPT, choice.checked ? "1" : "0");
    } catch {} // Likewise.
    choose();
  });
  choice.closest("label").classList.remove("is-idle");
  document.addEventListener("visibilitychange", () => plan(0));
  addEventListener("pagehide", () => clearTimeout(timer));
  addEventListener("pageshow", () => plan(0));
  plan(0);
})();
