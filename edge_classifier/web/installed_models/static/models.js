// Asks before something is deleted, and says that a model is being tried: that takes a while.
"use strict";

for (const form of document.querySelectorAll("[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.dataset.ask)) event.preventDefault();
  });
}
for (const form of document.querySelectorAll("[data-busy]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    form.querySelector(".busy")?.append(form.dataset.busy);
    // After the form has been read.
    setTimeout(() => (button.disabled = true));
  });
}
