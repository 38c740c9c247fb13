// What every page has: a page for no network, and a menu that closes as menus do. It runs before the
// first paint, so that what needs scripts has its place from the beginning (.has-scripts).
"use strict";
document.documentElement.classList.add("has-scripts");
// Only pages by HTTPS, and of this machine, can have one.
navigator.serviceWorker?.register(document.currentScript.dataset.worker).catch(() => {});
addEventListener("DOMContentLoaded", () => {
  const menu = document.querySelector(".menu");
  document.addEventListener("click", (event) => {
    if (menu.open && !menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
});
