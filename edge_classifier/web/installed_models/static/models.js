// Asks before something is deleted, takes models that are dropped, shows how one travels.
"use strict";

document.addEventListener("submit", (event) => {
  const { ask, busy } = event.target.dataset;
  if (ask && !confirm(ask)) {
    event.preventDefault();
    return;
  }
  if (!busy || event.target.matches(".drop")) return;
  event.target.querySelector(".busy").textContent = busy;
  const button = event.target.querySelector("button");
  // After the form has been read.
  setTimeout(() => (button.disabled = true));
});

// A choice has its button once it is another one.
function quieten() {
  for (const form of document.querySelectorAll(".choice")) form.classList.toggle("same", isSame(form));
}
function isSame(form) {
  return [...form.querySelector("select").options].every((one) => one.selected === one.defaultSelected);
}
document.addEventListener("change", quieten);
quieten();

// How a model comes to devices is looked at again and again; what was chosen stays so.
async function again() {
  const rows = document.getElementById("rows");
  if (!rows) return;
  const isIdle = ![...rows.querySelectorAll(".choice")].some((form) => !isSame(form)) && !rows.contains(document.activeElement);
  const answer = isIdle || !rows.querySelector(".choice") ? await fetch(rows.dataset.again).catch(() => null) : null;
  if (answer?.ok) {
    const chosen = new Set([...rows.querySelectorAll(":checked")].map((box) => box.value));
    const opened = [...rows.querySelectorAll("details")].map((one) => one.open);
    const news = document.createElement("template");
    news.innerHTML = await answer.text();
    for (const box of news.content.querySelectorAll("input[type=checkbox]")) box.checked = chosen.has(box.value);
    const details = [...news.content.querySelectorAll("details")];
    if (details.length === opened.length) details.forEach((one, index) => (one.open = opened[index]));
    rows.replaceWith(news.content);
    quieten();
  }
  setTimeout(again, 1000 * document.getElementById("rows").dataset.afterS);
}
const first = document.getElementById("rows");
if (first) setTimeout(again, 1000 * first.dataset.afterS);

const drop = document.querySelector(".drop");
if (drop) {
  const files = (name) => drop.elements.namedItem(name);
  const has = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!has(event)) return;
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!has(event)) return;
    event.preventDefault();
    drop.classList.remove("over");
    put([...event.dataTransfer.files]);
  });
  drop.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });

  // A report that is dropped with the model is its own.
  function put(dropped) {
    for (const [name, ending] of [["report", /\.json$/i], ["model", /\.(tflite|zip)$/i]]) {
      const one = dropped.find((file) => ending.test(file.name));
      if (!one) continue;
      const list = new DataTransfer();
      list.items.add(one);
      files(name).files = list.files;
    }
    if (files("model").files.length) send();
  }

  function send() {
    const [bar, told] = [drop.querySelector("progress"), drop.querySelector(".busy")];
    const request = new XMLHttpRequest();
    const buttons = drop.querySelectorAll("button");
    const stop = () => {
      told.textContent = drop.dataset.failed;
      bar.hidden = true;
      for (const button of buttons) button.disabled = false;
    };
    request.open("POST", drop.action);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      bar.value = event.loaded / event.total;
      if (event.loaded === event.total) told.textContent = drop.dataset.busy;
    });
    request.addEventListener("load", () => {
      if (request.response?.address) location.assign(request.response.address);
      else stop();
    });
    request.addEventListener("error", stop);
    bar.hidden = false;
    told.textContent = files("model").files[0].name;
    request.send(new FormData(drop));
    for (const button of buttons) button.disabled = true;
  }
}
