"""Words and sentences of every page stand apart: what is seen is walked, in a real browser."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.messages import constants  # noqa: F401 (Django must be set up before a browser)
from django.test import Client
from django.utils import timezone

from edge_classifier.web.lessons import classes
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Comparison, Label, Lesson, Record, TaughtModel
from edge_classifier.web.records import picture_storage
from edge_classifier.web.review import verdicts
from edge_classifier.web.services import Services
from tests import browsing
from tests.web import making
from tests.web.accounts.test_roles_matrix import ALL, KEY, rule_of
from tests.web.conftest import SETTINGS

from playwright.sync_api import Browser  # isort: skip (tests.browsing may skip)

pytestmark = pytest.mark.django_db(transaction=True)
# Pages of other makers, and one that takes a visitor.
_NOT_OURS = ("admin:", "api-1:")
_MORE = ("/review?view=piles", "/review?view=grid", "/review?view=dataset", "/history?kind=all")
# Text nodes of one line box that touch, and joints of sentences within one. Between Latin words
# only where the page is Chinese, which writes no blanks.
_TOUCHING = r"""(chinese) => {
  const found = [];
  const unseen = "script, style, template, noscript, option, code, pre, textarea";
  const apart = "br, img, svg, input, select, button, meter, progress, canvas";
  const line = (node) => {
    let element = node.parentElement;
    while (getComputedStyle(element).display === "inline") element = element.parentElement;
    return element;
  };
  const end = chinese ? /[A-Za-z0-9.!?;]$/ : /[\p{L}\p{N}.!?;,:]$/u;
  const begin = chinese ? /^[A-Za-z0-9]/ : /^[\p{L}\p{N}]/u;
  const sentences = /[a-z]{2}[.!?;,:][A-Z][a-z]/;
  const joint = chinese ? sentences : /[a-z]{2}[.!?;,:][A-Z][a-z]|[a-z]\p{Script=Han}/u;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let before = null;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    if (!node.data || parent.closest(unseen)) continue;
    if (!parent.checkVisibility()) continue;
    if (joint.test(node.data)) found.push(node.data.trim());
    if (before && line(before) === line(node) && end.test(before.data) && begin.test(node.data)) {
      const between = document.createRange();
      between.setStartAfter(before);
      between.setEndBefore(node);
      const isApart = between.cloneContents().querySelector(apart);
      if (!isApart) found.push(`${before.data.trim()} | ${node.data.trim()}`);
    }
    before = node;
  }
  return found;
}"""


@pytest.fixture
def live(change: Callable[..., Services]) -> Iterator[LiveClient]:
    """A device with two cameras, whose last model could not be had."""
    live = LiveClient(SETTINGS)
    camera = {"label": "daisy", "name": "雏菊", "score": 0.8, "ts": "2026-11-22T11:39:00Z"}
    model_change = {"model": "garden", "sha256": "0" * 64, "state": "failed", "error": "no room"}
    told: dict[str, Any] = {
        "pi/availability": "online",
        "pi/info": {
            "version": "1.0",
            "model": "flowers@7887654c",
            "resting_rules": ["cameras.front.decision.ignore: this model has no label 'cat'"],
            "model_change": model_change,
        },
        "pi/front/availability": "online",
        "pi/front/state": camera,
        "pi/gate/availability": "offline",
        "pi/gate/state": {**camera, "problem": "no frames"},
    }
    for topic, payload in told.items():
        text = payload if isinstance(payload, str) else json.dumps(payload)
        live._take(f"edge-classifier/{topic}", text.encode())
    change(live=live)
    yield live
    live.end_streams()


def fill() -> None:
    """Something on every page."""
    Label.objects.create(name="daisy", chinese="雏菊", first_seen=timezone.now())
    told = {"path": ["plant", "flower", "daisy"], "box": [0.1, 0.1, 0.5, 0.5]}
    top = [["daisy", 0.6], ["tulip", 0.3]]
    facts: dict[str, Any] = {"picture": making.jpeg(), "top": top, "margin": 0.1, "detail": told}
    record = making.event("daisy", key=KEY, duration_s=12.5, new_here=True, **facts)
    picture_storage.put_file(picture_storage.thumbnail_name(record.picture.sha256), making.jpeg())
    making.event("tulip", source="glimpse", **{**facts, "detail": {**told, "reason": "margin"}})
    for number in range(3):
        making.event("daisy", **facts, camera=making.camera(f"gate {number}"))
    making.upload("daisy", verdict="corrected", truth=making.label("tulip"), reviewed_at=record.at)
    lesson = Lesson.objects.create(key=KEY, name="garden")
    classes.add_class(lesson, "daisy")
    taught = {"right": [3, 4, 0.5, 0.9], "left_one_out": True, "labels": [["daisy", "雏菊", 1, 2]]}
    empty = {"want_more": [["daisy", 2]], "wrong": [], "alike": [], "unknown": None}
    result = {**taught, **empty, "unreadable": 1, "base": "x"}
    TaughtModel.objects.create(
        lesson=lesson, number=1, taught_from=timezone.now(), sha256="0" * 64, result=result
    )
    Comparison.objects.create(model="x@1", pictures=1, hits=0, result={"error": "no"})
    assert verdicts.queue(Record.objects.all()).exists()


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        ("daisy<b>雏菊</b>", ["daisy | 雏菊"]),
        ("the rest.There is", ["the rest.There is"]),
        ("daisyDaisy雏菊", ["daisyDaisy雏菊"]),
        ("The end.<a href='#'>More</a>", ["The end. | More"]),
        ("The end. <a href='#'>More</a> <code>a.Bc</code><br>x<br>y", []),
        ("<span>one</span><p>two</p>three", []),
    ],
)
def test_walk_finds_what_is_glued(browser: Browser, seen: str, found: list[str]) -> None:
    tab = browser.new_page()
    tab.set_content(f"<p>{seen}" if "<p>" not in seen else seen)
    assert tab.evaluate(_TOUCHING, False) == found
    tab.close()


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_no_words_of_any_page_are_glued_together(
    browser: Browser,
    live_server: object,
    administrator: Client,
    live: LiveClient,
    language: str,
) -> None:
    fill()
    administrator.post("/i18n/setlang/", {"language": language})
    found, visited = {}, 0
    with browsing.visit(browser, str(live_server), allowed=range(400, 600)) as tab:
        cookies = {"sessionid": administrator.cookies["sessionid"].value}
        cookies["django_language"] = language
        tab.context.add_cookies(
            [
                {"name": name, "value": text, "url": str(live_server)}
                for name, text in cookies.items()
            ]
        )
        for path in (*pages(administrator), *_MORE):
            tab.goto(path)
            visited += 1
            if touching := tab.evaluate(_TOUCHING, language != "en"):
                found[path] = touching
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)
    assert visited > 20


def pages(client: Client) -> Iterator[str]:
    """The addresses that answer with a page."""
    for address in ALL:
        is_ours = not address.name.startswith(_NOT_OURS)
        if not is_ours or "GET" not in rule_of(address.name) or address.name.endswith("stream"):
            continue
        answer: Any = client.get(address.path, follow=True)
        kind = answer.headers.get("Content-Type", "")
        answer.close()
        if kind.startswith("text/html") and address.name not in ("login", "first-run"):
            yield address.path
