// The region of a camera, drawn on its picture by mouse, finger or keys; the numbers of the form follow.
"use strict";
(() => {
  const live = document.getElementById("live");
  const controls = document.querySelector(".controls");
  const EDGES = ["left", "top", "width", "height"];
  const LEAST = 0.02; // Of the picture's width and height.
  const STEP = 0.01; // Of one key.
  let editor = null;

  const form = () => document.getElementById("control-region");
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);

  function read() {
    const [left, top, width, height] = EDGES.map((edge) => Number(form().elements[edge].value) / 100 || 0);
    return { left, top, width: width || 1, height: height || 1 };
  }

  function write(region) {
    region.width = clamp(region.width, LEAST, 1);
    region.height = clamp(region.height, LEAST, 1);
    region.left = clamp(region.left, 0, 1 - region.width);
    region.top = clamp(region.top, 0, 1 - region.height);
    for (const edge of EDGES) form().elements[edge].value = Math.round(1000 * region[edge]) / 10;
    form().querySelector("[data-save]").classList.add("primary");
    show();
  }

  // Where the picture is in its place, which may be wider or higher.
  function place() {
    const shot = editor.parentNode;
    const shown = shot.querySelector(".moving canvas") || shot.querySelector("img");
    const [wide, high] = [shown.naturalWidth || shown.width, shown.naturalHeight || shown.height];
    const scale = Math.min(shot.clientWidth / wide, shot.clientHeight / high);
    const [width, height] = [wide * scale, high * scale];
    Object.assign(editor.style, {
      left: `${(shot.clientWidth - width) / 2}px`, top: `${(shot.clientHeight - height) / 2}px`,
      width: `${width}px`, height: `${height}px`,
    });
  }

  function show() {
    if (!editor) return;
    const region = read();
    const area = editor.querySelector(".area");
    for (const edge of EDGES) area.style[edge] = `${100 * region[edge]}%`;
  }

  function open() {
    const shot = live.querySelector(".large .shot");
    if (editor || !shot.querySelector("img, canvas")) return;
    const words = form().querySelector(".edges").dataset;
    editor = document.createElement("div");
    editor.className = "region-editor kept";
    editor.tabIndex = 0;
    editor.setAttribute("role", "application");
    editor.setAttribute("aria-label", words.label);
    editor.innerHTML = '<div class="area"><i class="handle left-top"></i><i class="handle right-top"></i><i class="handle left-bottom"></i><i class="handle right-bottom"></i></div>';
    const help = document.createElement("p");
    help.className = "region-help small kept";
    help.textContent = matchMedia("(any-pointer: fine)").matches ? `${words.help} ${words.keys}` : words.help;
    // On a phone the form is far below the picture.
    const save = document.createElement("button");
    save.className = "primary kept region-save";
    save.type = "button";
    save.textContent = form().querySelector("[data-save]").textContent;
    save.addEventListener("click", () => {
      form().requestSubmit(form().querySelector("[data-save]"));
      form().scrollIntoView({ block: "center" });
    });
    editor.before = read();
    editor.around = [help, save];
    shot.append(editor, ...editor.around);
    editor.addEventListener("pointerdown", press);
    editor.addEventListener("keydown", key);
    place();
    show();
    shot.scrollIntoView({ block: "nearest" });
    editor.focus({ preventScroll: true });
  }

  function close() {
    for (const one of editor?.around ?? []) one.remove();
    editor?.remove();
    editor = null;
  }

  const point = (event) => {
    const box = editor.getBoundingClientRect();
    return [clamp((event.clientX - box.left) / box.width, 0, 1), clamp((event.clientY - box.top) / box.height, 0, 1)];
  };

  // On a corner: the opposite one stays. Inside: it moves. Elsewhere, and on one that is everything:
  // another one begins.
  function press(event) {
    event.preventDefault();
    editor.focus({ preventScroll: true });
    editor.setPointerCapture(event.pointerId);
    const begun = read();
    const [x, y] = point(event);
    const classes = event.target.classList;
    const isEverything = begun.width > 0.99 && begun.height > 0.99;
    const isMoved = classes.contains("area") && !isEverything;
    let corner = [x, y];
    if (classes.contains("handle")) {
      const isLeft = classes.contains("left-top") || classes.contains("left-bottom");
      const isTop = classes.contains("left-top") || classes.contains("right-top");
      corner = [isLeft ? begun.left + begun.width : begun.left, isTop ? begun.top + begun.height : begun.top];
    }
    const drag = (move) => {
      const [atX, atY] = point(move);
      if (isMoved) return write({ ...begun, left: begun.left + atX - x, top: begun.top + atY - y });
      write({
        left: Math.min(corner[0], atX), top: Math.min(corner[1], atY),
        width: Math.abs(atX - corner[0]), height: Math.abs(atY - corner[1]),
      });
    };
    const end = () => editor?.removeEventListener("pointermove", drag);
    editor.addEventListener("pointermove", drag);
    for (const kind of ["pointerup", "pointercancel"]) editor.addEventListener(kind, end, { once: true });
  }

  const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

  function key(event) {
    const region = read();
    if (event.key === "Escape") {
      write(editor.before);
      close();
      form().querySelector("[data-draw]").focus();
    } else if (event.key === "Enter") {
      close();
      const save = form().querySelector("[data-save]");
      (save.checkVisibility() ? save : form().querySelector("[data-draw]")).focus();
    } else if (event.key in MOVES) {
      const [right, down] = MOVES[event.key];
      if (event.shiftKey) write({ ...region, width: region.width + right, height: region.height + down });
      else write({ ...region, left: region.left + right, top: region.top + down });
    } else return;
    event.preventDefault();
  }

  controls.addEventListener("click", (event) => {
    if (event.target.closest("[data-draw]")) editor ? close() : open();
  });
  controls.addEventListener("input", (event) => {
    if (event.target.closest("#control-region")) show();
  });
  controls.addEventListener("control:changed", (event) => {
    if (event.detail === "region") close();
  });
  addEventListener("resize", () => editor && place());
})();
