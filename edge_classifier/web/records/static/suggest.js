// Names that contain what is typed, for fields with more names than a page carries. Without this
// the whole name has to be typed.
"use strict";
{
  const WAIT_MS = 200;
  let timer = 0;
  let asked = 0;
  document.addEventListener("input", (event) => {
    const source = event.target.dataset.search;
    if (!source) return;
    clearTimeout(timer);
    const number = ++asked;
    timer = setTimeout(async () => {
      try {
        const answer = await fetch(source + encodeURIComponent(event.target.value));
        const options = answer.ok && !answer.redirected ? await answer.text() : "";
        if (number === asked) event.target.list.innerHTML = options;
      } catch {
        // Without a connection the names that are there stay.
      }
    }, WAIT_MS);
  });
}
