"""The page as an app on a phone, and what it shows while it cannot be reached."""

import json
from pathlib import Path

from django.contrib.staticfiles import finders
from django.test import Client

from edge_classifier.web.services import Services
from tests import browsing
from tests.web.conftest import PASSWORD
from tests.web.serving import Page, prepare


def test_manifest_has_name_icons_and_start(visitor: Client, page: Services) -> None:
    answer = visitor.get("/manifest.webmanifest")
    manifest = json.loads(answer.content)
    assert answer.headers["Content-Type"] == "application/manifest+json"
    assert (manifest["name"], manifest["start_url"]) == (page.settings.title, "/")
    assert {icon["sizes"] for icon in manifest["icons"]} == {"192x192", "512x512"}
    assert "maskable" in {icon["purpose"] for icon in manifest["icons"]}
    for icon in manifest["icons"]:
        file = finders.find(icon["src"].removeprefix("/static/"))
        data = Path(file).read_bytes()
        side = int(icon["sizes"].partition("x")[0])
        # A PNG's width and height (its chunk IHDR).
        assert (data[1:4], data[16:24]) == (b"PNG", 2 * side.to_bytes(4, "big"))
        assert len(data) < 10_000


def test_page_that_cannot_be_reached_is_told_and_no_private_page_is_kept(tmp_path: Path) -> None:
    prepare(tmp_path, "anna")
    with (
        browsing.browser() as browser,
        Page(tmp_path) as server,
        # No tab of ``browsing.visit``: here a request has to fail.
        browser.new_context(base_url=server.address) as context,
    ):
        tab = context.new_page()
        tab.goto("/login")
        tab.get_by_label("Username").fill("anna")
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Log in").click()
        tab.evaluate("navigator.serviceWorker.ready.then(() => true)")
        tab.goto("/history", wait_until="networkidle")
        tab.reload(wait_until="networkidle")
        kept = tab.evaluate(
            "caches.keys().then((names) => Promise.all(names.map((name) => caches.open(name))))"
            ".then((all) => Promise.all(all.map((cache) => cache.keys())))"
            ".then((lists) => lists.flat().map((request) => new URL(request.url).pathname))"
        )
        assert sorted(kept) == ["/offline", "/static/web/icon.svg", "/static/web/page.css"]
        server.end()
        tab.goto("/history")
        assert tab.text_content("h1") == "Not reachable"
