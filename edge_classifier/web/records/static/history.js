// History works without this: it fetches the strip of days, sends what is chosen of the names, and counts what is selected.
"use strict";
{
  const days = document.getElementById("days");
  if (days) {
    fetch(days.dataset.source)
      .then((answer) => (answer.ok && !answer.redirected ? answer.text() : ""))
      .then((html) => { days.innerHTML = html; })
      .catch(() => {}); // Without a connection the list alone is there.
  }

  // What is chosen from the names that are offered need not be sent by a button.
  document.querySelector(".find input[name=label]").addEventListener("input", (event) => {
    if (event.inputType === "insertReplacementText" || !event.inputType) event.target.form.requestSubmit();
  });

  const list = document.getElementById("list");
  const button = document.getElementById("selected");
  const all = document.getElementById("all");
  const boxes = list ? [...list.querySelectorAll("input[name=key]")] : [];

  const count = () => {
    const selected = boxes.filter((box) => box.checked).length;
    button.disabled = selected === 0;
    button.textContent = button.dataset.text + (selected ? ` (${selected})` : "");
    all.checked = selected === boxes.length;
    all.indeterminate = selected > 0 && selected < boxes.length;
  };

  let last = -1;
  const choose = (event) => {
    const now = boxes.indexOf(event.target);
    if (now < 0) return;
    if (event.shiftKey && last >= 0) { // From the last one to this, as in lists of files.
      for (const box of boxes.slice(Math.min(last, now), Math.max(last, now) + 1)) {
        box.checked = event.target.checked;
      }
    }
    last = now;
    count();
  };

  if (boxes.length) {
    all.parentElement.hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes) box.checked = all.checked;
      count();
    });
    list.addEventListener("click", choose);
    addEventListener("pageshow", count); // The browser restores boxes when one comes back.
    count();
  }
}
