// A camera's frames with what a taught model says of them, while the page can be seen.
"use strict";
(() => {
  const all = document.getElementById("try");
  if (!all) return;
  const [image, problem, bars, now] = ["frame", "problem", "bars", "now"].map((name) => document.getElementById(`try-${name}`));
  let source = null;

  function bar(name, score) {
    const line = document.createElement("div");
    line.className = "score";
    const [label, meter, number] = ["span", "meter", "span"].map((kind) => document.createElement(kind));
    label.textContent = meter.ariaLabel = name;
    meter.max = 1;
    meter.value = score;
    number.className = "number";
    number.textContent = score.toFixed(2);
    line.append(label, meter, number);
    return line;
  }

  function take(event) {
    const news = JSON.parse(event.data);
    problem.hidden = !news.problem;
    if (news.problem) problem.textContent = news.problem;
    if (news.frame) {
      image.src = `data:image/jpeg;base64,${news.frame}`;
      image.hidden = false;
    }
    if (news.bars) bars.replaceChildren(...news.bars.map((one) => bar(one.name, one.score)));
    if (news.now) now.replaceChildren(bar(news.now.name, news.now.score));
  }

  function open() {
    if (source || document.hidden) return;
    source = new EventSource(all.dataset.stream);
    source.addEventListener("message", take);
    source.addEventListener("error", () => {
      // Refused, and not tried again by itself.
      if (source?.readyState === EventSource.CLOSED) {
        close();
        setTimeout(open, 10000);
      }
    });
  }

  function close() {
    source?.close();
    source = null;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  open();
})();
