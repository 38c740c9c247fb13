// The page of a record works without this: it adds keys, swiping, and the copying of the address.
"use strict";
{
  const SWIPE_PX = 60;
  const link = (relation) => document.querySelector(`a[rel=${relation}]`);
  const go = (target) => { if (target) target.click(); };

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea")) return;
    const target = {
      ArrowLeft: () => link("prev"),
      ArrowRight: () => link("next"),
      Escape: () => document.getElementById("list"),
      d: () => document.getElementById("download"),
      Delete: () => document.getElementById("delete"),
    }[event.key];
    if (target) go(target());
  });

  const stage = document.getElementById("stage");
  let begun = null;
  stage.addEventListener("touchstart", (event) => {
    begun = event.touches.length === 1 ? event.touches[0] : null;
  }, { passive: true });
  stage.addEventListener("touchend", (event) => {
    if (!begun || visualViewport.scale > 1.05) return;
    const [right, down] = [event.changedTouches[0].clientX - begun.clientX, event.changedTouches[0].clientY - begun.clientY];
    if (Math.abs(right) > SWIPE_PX && Math.abs(right) > 2 * Math.abs(down)) go(link(right > 0 ? "prev" : "next"));
  });

  // So that the next one is there at once.
  addEventListener("load", () => {
    for (const one of document.querySelectorAll("[data-picture]")) new Image().src = one.dataset.picture;
  });

  const copy = document.getElementById("copy");
  const address = document.getElementById("address");
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    address.select();
    // The first is there on secure pages only.
    if (navigator.clipboard) await navigator.clipboard.writeText(address.value);
    else document.execCommand("copy");
    copy.textContent = copy.dataset.done;
  });
}
