// Copies the link. Browsers let pages by HTTPS, and of this machine, do so.
"use strict";
const copy = document.getElementById("copy");
if (copy && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById("link").value);
    copy.textContent = copy.dataset.copied;
  });
}
