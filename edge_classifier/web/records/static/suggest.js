// Offers names for fields with data-search: on focus the first ones, then those that contain what
// is typed. Without this the whole name has to be typed.
"use strict";
{
  const WAIT_MS = 200;
  let timer = 0;
  let asked = 0;
  function listOf(field) {
    if (!field.list) {
      const list = document.createElement("datalist");
      list.id = "names-of-" + new URL(field.dataset.search, location.href).searchParams.get("field");
      // Fields of the same names share a list: one is written in at a time.
      if (!document.getElementById(list.id)) document.body.append(list);
      field.setAttribute("list", list.id);
    }
    return field.list;
  }
  async function offer(field, number) {
    try {
      const answer = await fetch(field.dataset.search + encodeURIComponent(field.value));
      const options = answer.ok && !answer.redirected ? await answer.text() : "";
      if (number === asked) listOf(field).innerHTML = options;
    } catch {
      // Without a connection the names that are there stay.
    }
  }
  function soon(field, ms) {
    if (!field.dataset?.search) return;
    clearTimeout(timer);
    const number = ++asked;
    timer = setTimeout(() => offer(field, number), ms);
  }
  document.addEventListener("focusin", (event) => soon(event.target, 0));
  document.addEventListener("input", (event) => soon(event.target, WAIT_MS));
}
