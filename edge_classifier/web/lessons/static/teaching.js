// Keeps the part of a lesson's page about teaching up to date while something is under way.
"use strict";
(() => {
  const EVERY_MS = 700;
  const panel = () => document.getElementById("teaching");
  let timer = 0;

  function show(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    panel().replaceWith(template.content);
    later();
  }

  async function refresh() {
    timer = 0;
    if (!panel() || document.hidden) return;
    try {
      const answer = await fetch(panel().dataset.panel, { headers: { "X-Requested-With": "fetch" } });
      if (answer.ok && !answer.redirected) return show(await answer.text());
      if (answer.status === 404) return location.reload(); // The lesson was deleted elsewhere.
    } catch {
      // The page is away; it is asked again.
    }
    later();
  }

  function later() {
    clearTimeout(timer);
    if (panel() && "busy" in panel().dataset) timer = setTimeout(refresh, EVERY_MS);
  }

  // A picture that looks wrongly filed is settled without leaving the place on the page.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("#teaching form[data-quiet]")) return;
    event.preventDefault();
    const body = new FormData(form, event.submitter);
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body });
      if (!answer.ok) throw new Error(answer.status);
      document.dispatchEvent(new CustomEvent("lesson-changed"));
      refresh();
    } catch {
      location.reload();
    }
  });
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  later();
})();
