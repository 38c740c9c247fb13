// What is wrong with the layout of a page: ran in it, gives a list of texts.
() => {
  const faults = [];
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) {
    const limit = document.documentElement.clientWidth;
    const out = [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > limit + 1);
    faults.push(`wider than the screen by ${wide} px: ${out.slice(0, 3).map((one) => one.outerHTML.slice(0, 90)).join(" | ")}`);
  }
  // Words that stand beside each other in a line without a gap, though they are of different elements.
  const isWord = /[\p{L}\p{N}]/u;
  const walker = document.createTreeWalker(document.getElementById("main") || document.body, NodeFilter.SHOW_TEXT);
  let before = null;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim() || !node.parentElement.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const places = range.getClientRects();
    if (!places.length) continue;
    const now = { text: node.data, first: places[0], last: places[places.length - 1] };
    if (before && isWord.test(before.text.at(-1)) && isWord.test(now.text[0])) {
      const gap = now.first.left - before.last.right;
      const isBeside = Math.abs(now.first.top - before.last.top) < now.first.height / 2 && gap > -1;
      if (isBeside && gap < 2) faults.push(`glued: ${before.text.slice(-30)}|${now.text.slice(0, 30)}`);
    }
    before = now;
  }
  for (const found of document.body.innerText.matchAll(/[a-z]{2}\.[A-Z][a-z]+|\\x0a/g)) faults.push(`glued: ${found[0]}`);
  if (innerWidth < 760) {
    for (const link of document.querySelectorAll(".side nav a, .side summary")) {
      const place = link.getBoundingClientRect();
      const isShown = link.checkVisibility();
      if (isShown && (place.height < 44 || place.width < 44)) faults.push(`too small: ${link.textContent.trim()}`);
      if (isShown && (place.left < 0 || place.right > innerWidth + 1)) faults.push(`off screen: ${link.textContent.trim()}`);
    }
  }
  if (window.shifted > 0.02) faults.push(`its layout shifts by ${window.shifted.toFixed(3)}: ${window.shiftedWhat}`);
  return [...new Set(faults)];
}
