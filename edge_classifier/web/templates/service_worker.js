{% load static %}// Shows a page of its own while the network or the server is away. It keeps that page and its
// files, and nothing else: no page or picture that somebody had to log in for.
"use strict";
const NAME = "offline-{{ version|escapejs }}";
const OFFLINE = "{% url 'offline' %}";
const KEPT = [OFFLINE, "{% static 'web/page.css' %}", "{% static 'web/icon.svg' %}"];

addEventListener("install", (event) => {
  const fresh = KEPT.map((address) => new Request(address, { cache: "reload", credentials: "omit" }));
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(fresh)).then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  const remove = (names) => Promise.all(names.filter((name) => name !== NAME).map((name) => caches.delete(name)));
  event.waitUntil(caches.keys().then(remove));
});

addEventListener("fetch", (event) => {
  const path = new URL(event.request.url).pathname;
  if (event.request.mode === "navigate") {
    event.respondWith(fetch(event.request).catch(() => caches.match(OFFLINE)));
  } else if (KEPT.includes(path)) {
    event.respondWith(fetch(event.request).catch(() => caches.match(path)));
  }
});
