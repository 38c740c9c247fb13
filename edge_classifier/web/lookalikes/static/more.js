// More like these: a key takes or refuses the picture that is marked, and marks the next. Without
// this file every button is the form's own.
"use strict";

const form = document.querySelector("#more");
if (form) startMore();

function startMore() {
  const items = [...form.querySelectorAll("[data-key]")];
  const left = form.querySelector("#left");
  const said = []; // In order, for undo.
  let at = 0;
  let saving = Promise.resolve();
  for (const one of form.querySelectorAll("#undo, #keys")) one.hidden = false;

  function show(index, isByKey = true) {
    items[at]?.removeAttribute("aria-current");
    at = Math.max(0, Math.min(index, items.length - 1));
    items[at].setAttribute("aria-current", "true");
    if (isByKey) items[at].focus({ preventScroll: false });
  }

  // One after the other, so that what was undone is undone.
  function save(name, item) {
    saving = saving.then(async () => {
      try {
        const answer = await fetch(form.action, {
          method: "POST",
          redirect: "error",
          headers: { Accept: "application/json", "X-CSRFToken": form.elements.csrfmiddlewaretoken.value },
          body: new URLSearchParams({ [name]: item.dataset.key }),
          signal: AbortSignal.timeout(60000),
        });
        if (!answer.ok) throw new Error((await answer.json()).problem);
      } catch (error) {
        if (item.dataset.said) left.textContent = Number(left.textContent) + 1;
        delete item.dataset.said;
        const box = form.querySelector("#problem");
        box.textContent = error.name === "Error" && error.message ? error.message : form.dataset.unsaved;
        box.hidden = false;
      }
    });
  }

  function say(name, item) {
    if (item.dataset.said === name) return;
    if (!item.dataset.said) left.textContent = Number(left.textContent) - 1;
    else save("back", item);
    item.dataset.said = name;
    said.push(item);
    save(name, item);
    const next = items.findIndex((one) => !one.dataset.said);
    if (next >= 0) show(next);
    else saving.then(() => form.querySelector("[data-key]:not([data-said])") ?? location.reload());
  }

  function undo() {
    const item = said.pop();
    if (!item?.dataset.said) return;
    delete item.dataset.said;
    left.textContent = Number(left.textContent) + 1;
    save("back", item);
    show(items.indexOf(item));
  }

  const keys = {
    Enter: () => say("take", items[at]),
    y: () => say("take", items[at]),
    n: () => say("refuse", items[at]),
    x: () => say("refuse", items[at]),
    ArrowRight: () => show(at + 1),
    ArrowLeft: () => show(at - 1),
    u: undo,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    if (event.key === "Enter" && event.target.matches("a, button, summary")) return;
    event.preventDefault();
    if (!event.repeat || event.key.startsWith("Arrow")) keys[event.key]();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say(event.submitter.name, event.submitter.closest("[data-key]"));
  });
  form.querySelector("#undo").addEventListener("click", undo);
  form.querySelector("#next").addEventListener("click", (event) => {
    event.preventDefault();
    saving.then(() => location.reload());
  });
  show(0, false);
}
