// Asks before a roll-out is ended, and looks again and again how far it is; chooses all at once.
"use strict";

for (const form of document.querySelectorAll("[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(event.submitter?.dataset.ask || form.dataset.ask)) event.preventDefault();
  });
}

async function again() {
  const shown = document.getElementById("progress");
  const answer = await fetch(shown.dataset.again).catch(() => null);
  if (answer?.ok) {
    const news = document.createElement("template");
    news.innerHTML = await answer.text();
    const isOver = !news.content.querySelector("[data-again]");
    // The buttons stand outside of what is looked at again.
    if (isOver) return location.reload();
    shown.replaceWith(news.content);
  }
  setTimeout(again, 3000);
}
if (document.querySelector("#progress[data-again]")) setTimeout(again, 3000);

const all = document.getElementById("all");
const chosen = document.getElementById("chosen");
function count() {
  const devices = document.querySelectorAll("[name=device]:checked").length;
  chosen.hidden = false;
  chosen.querySelector("b").textContent = devices;
  document.getElementById("begin").disabled = !devices;
}
all?.addEventListener("change", () => {
  for (const box of document.querySelectorAll("[name=device]")) box.checked = all.checked;
});
all?.form.addEventListener("change", count);
if (chosen) {
  // The browser restores boxes when one comes back.
  addEventListener("pageshow", count);
  count();
}
