"use strict";
// Sends pictures one after the other, and puts what the server answers into the page.
(() => {
  const form = document.getElementById("upload");
  const results = document.getElementById("results");
  const texts = form.dataset;
  const queue = [];
  let sending = false;

  const copy = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

  function failed(name, text) {
    const card = copy("failed");
    card.querySelector("h3").textContent = name;
    card.querySelector("p").textContent = text;
    return card;
  }

  function pending(file) {
    const card = copy("pending");
    card.querySelector("h3").textContent = file.name;
    card.querySelector("p").textContent = texts.sending;
    const image = card.querySelector("img");
    image.src = URL.createObjectURL(file);
    image.addEventListener("error", () => image.removeAttribute("src"));
    return card;
  }

  function add(files) {
    const cards = [...files].map((file) => {
      if (file.size > Number(texts.maxBytes)) return failed(file.name, texts.tooLarge);
      const card = pending(file);
      queue.push({ file, card });
      return card;
    });
    results.prepend(...cards);
    next();
  }

  function next() {
    if (sending || !queue.length) return;
    sending = true;
    const { file, card } = queue.shift();
    send(file, card).then((content) => {
      URL.revokeObjectURL(card.querySelector("img").src);
      card.replaceWith(content);
      sending = false;
      next();
    });
  }

  // XMLHttpRequest, as fetch does not tell how much has been sent.
  function send(file, card) {
    const progress = card.querySelector("progress");
    const body = new FormData();
    body.append("pictures", file, file.name || "picture");
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("X-CSRFToken", form.elements.csrfmiddlewaretoken.value);
    request.setRequestHeader("X-Fragment", "1");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress.value = event.loaded / event.total;
    });
    request.upload.addEventListener("load", () => {
      progress.removeAttribute("value");
      card.querySelector("p").textContent = texts.working;
    });
    return new Promise((resolve) => {
      request.addEventListener("loadend", () => resolve(answer(request, file)));
      request.send(body);
    });
  }

  function answer(request, file) {
    if (request.status === 429) stop();
    // Else it is a page for people: of a proxy, of the login, of a server that is ending.
    if (!request.getResponseHeader("X-Fragment")) return failed(file.name, texts.broken);
    const holder = document.createElement("template");
    holder.innerHTML = request.responseText;
    return holder.content;
  }

  function stop() {
    for (const { file, card } of queue.splice(0)) card.replaceWith(failed(file.name, texts.stopped));
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  for (const input of form.querySelectorAll("input[type=file]")) {
    input.addEventListener("change", () => {
      add(input.files);
      input.value = "";
    });
  }
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) add(event.clipboardData.files);
  });
  const hasFiles = (event) => event.dataTransfer.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    form.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) form.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    form.classList.remove("over");
    add(event.dataTransfer.files);
  });
})();
