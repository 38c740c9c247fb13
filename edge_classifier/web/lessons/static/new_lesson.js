"use strict";
// One more field for a class on the form of a new lesson.
(() => {
  const button = document.getElementById("one-more");
  button.hidden = false;
  button.addEventListener("click", () => {
    const last = button.previousElementSibling;
    const field = last.cloneNode();
    field.value = "";
    field.setAttribute("aria-label", last.getAttribute("aria-label").replace(/\d+/, (n) => Number(n) + 1));
    last.after(field);
    field.focus();
  });
})();
