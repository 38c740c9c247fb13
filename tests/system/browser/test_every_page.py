"""Every page, as somebody sees it who needs contrast, names, and a screen that is not wide.

axe-core looks for faults; beside it are those of layout: wider than the screen, words glued to
each other, what moves while it loads.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("django", reason="the extra [web] is not installed")
pytest.importorskip("playwright", reason="playwright is not installed: no browser can be driven")
pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page as Tab

from edge_classifier import samples
from tests import browsing
from tests.conftest import REPOSITORY
from tests.mosquitto import Broker
from tests.ports import HOST
from tests.running_daemon import HASTY, Daemon
from tests.system.browser.slow_line import slow_line
from tests.web.serving import Page

pytestmark = pytest.mark.system

# Events of weeks, people and a lesson; prints the cookie of an administrator.
FILL = """
import sys
sys.path.insert(0, sys.argv[1])
import made_records
cookie = made_records.fill(sys.argv[2:])
from edge_classifier.web.models import Lesson, LessonClass
lesson = Lesson.objects.create(name="garden")
for name in ("cat", "raccoon"):
    LessonClass.objects.create(lesson=lesson, name=name)
print(cookie)
"""
BEGIN = (
    *("/live", "/history", "/history?kind=glimpsed", "/review", "/review?view=grid"),
    *("/review?view=dataset", "/review/compare", "/teach", "/models", "/models/tokens"),
    *("/classify", "/notify", "/accounts", "/accounts/2/remove", "/tokens", "/password"),
    *("/offline", "/nowhere", "/admin/", "/admin/web/user/"),
)
# Files, and pages of other programs, which stand in the page as they are.
SKIPPED = re.compile(r"^/(?:admin|api|static|pictures|thumbnails|healthz)|\.\w+$|/report$")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
WORDS = set(re.findall(r"[a-z-]+", (REPOSITORY / "edge_classifier/web/urls.py").read_text()))
# Before the first byte of each page: adds up what moves though nobody has touched anything.
WATCH_SHIFTS = """
window.shifted = 0;
window.shiftedWhat = "";
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) {
    if (one.hadRecentInput) continue;
    window.shifted += one.value;
    const moved = one.sources.map((source) => source.node?.outerHTML?.slice(0, 60));
    window.shiftedWhat += moved.join(" | ");
  }
}).observe({ type: "layout-shift", buffered: true });
"""
WAIT_FOR_TRANSITIONS = """
Promise.allSettled(
  document.getAnimations()
    .filter((one) => one instanceof CSSTransition)
    .map((one) => one.finished)
)
"""
FAULTS = (Path(__file__).parent / "page_faults.js").read_text()
DESKTOP, PHONE = (1440, 900), (320, 640)
RULES: dict[str, Any] = {"resultTypes": ["violations"]}
COLOURS = {**RULES, "runOnly": {"type": "rule", "values": ["color-contrast"]}}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """A page with records of weeks and a daemon; its port, and an administrator's cookie."""
    folder = tmp_path_factory.mktemp("every")
    with Broker(folder / "broker") as broker:
        settings = (f"mqtt.host={HOST}", f"mqtt.port={broker.port}")
        state = f"state_folder={folder / 'state'}"
        command = [
            sys.executable,
            "-c",
            FILL,
            str(REPOSITORY / "scripts/pictures"),
            state,
            *settings,
        ]
        filled = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True)
        # How often it looks is seen on no page.
        cameras = {
            name: {"source": f"pictures:{samples.FOLDER}", "picture_s": 60, "rate_fps": 1}
            for name in ("gate", "meadow")
        }
        told = {"cameras": cameras, "decision": HASTY, "device": {"name": "garden"}}
        daemon = Daemon(folder / "daemon", broker.port, told, folder / "cache")
        with Page(folder / "state", settings) as server, daemon.running():
            yield server.port, filled.stdout.split()[-1]


@contextmanager
def browse(site: tuple[int, str], language: str, piece_bytes: int = 3000) -> Iterator[Tab]:
    """A tab of an administrator on ``site``.

    Documents come in pieces: what moves when the rest of one arrives, is seen to move.
    """
    server, session = site
    cookies = {"sessionid": session, "django_language": language, "theme": "light"}
    # What moves by itself, as buttons do that change their colour, is not measured halfway.
    options: dict[str, Any] = {"allowed": [404], "reduced_motion": "reduce"}
    with slow_line(server, piece_bytes) as port, browsing.browser() as browser:
        address = f"http://{HOST}:{port}"
        with browsing.visit(browser, address, **options) as tab:
            tab.context.add_cookies(
                [{"name": name, "value": value, "url": address} for name, value in cookies.items()]
            )
            tab.add_init_script(WATCH_SHIFTS)
            # Nothing here is about how long it takes.
            tab.set_default_timeout(120_000)
            tab.goto("/live")
            # A camera that appears takes its place, and what stands below makes way.
            tab.locator("#live img").nth(1).wait_for()
            yield tab


def shape(address: str) -> tuple[str, ...]:
    """What is the same of all addresses of one page."""
    parts = urlsplit(address)
    view = parse_qs(parts.query).get("view", [""])[0]
    return (*(part if part in WORDS else "*" for part in parts.path.split("/")), view)


def links(tab: Tab) -> list[str]:
    """Addresses of this page that are in ``tab``."""
    found: list[str] = tab.evaluate(
        "[...document.querySelectorAll('a[href]:not([download])')]"
        ".filter((link) => link.origin === location.origin)"
        ".map((link) => link.pathname + link.search)"
    )
    return [address for address in found if not SKIPPED.search(urlsplit(address).path)]


# Much is drawn for it: an idle machine takes a minute, one that does something else takes longer.
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("language", "size"), [("en", DESKTOP), ("zh-hans", PHONE)])
def test_every_page_has_no_serious_fault_and_fits_in_both_themes(
    site: tuple[int, str], language: str, size: tuple[int, int]
) -> None:
    faults: dict[str, list[str]] = {}
    pages = {shape(path): path for path in BEGIN}
    with browse(site, language) as tab:
        visited = 0
        while visited < len(pages):
            path = list(pages.values())[visited]
            visited += 1
            for fault in faults_of(tab, path, size):
                faults.setdefault(fault, []).append(path)
            for found in links(tab):
                pages.setdefault(shape(found), found)
    assert len(pages) > 20
    assert not faults, "\n".join(f"{fault}: {where}" for fault, where in faults.items())


# Small enough that the ways at a phone's lower edge, too, arrive one after the other.
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_what_is_there_stays_in_its_place_wherever_a_document_is_cut(
    site: tuple[int, str], size: tuple[int, int]
) -> None:
    faults = {}
    with browse(site, "zh-hans", piece_bytes=700) as tab:
        _resize(tab, size)
        for path in ("/live", "/history", "/review", "/review?view=piles", "/models", "/notify"):
            tab.goto(path, wait_until="load")
            shifted, what = tab.evaluate("[window.shifted, window.shiftedWhat]")
            if shifted > 0.01:
                faults[path] = shifted, what
    assert not faults


def faults_of(tab: Tab, path: str, size: tuple[int, int]) -> Iterator[str]:
    """All that is wrong with one page: axe looks at it in ``size``, in which it is loaded."""
    _resize(tab, size)
    tab.goto(path, wait_until="load")
    tab.evaluate(AXE_SCRIPT)
    yield from _faults_of_axe(tab, "light", RULES)
    # Nothing but colours depends on the theme.
    tab.evaluate("document.documentElement.dataset.theme = 'dark'")
    # Pages of other programs fade from one colour to the other, whatever the visitor prefers.
    tab.evaluate(WAIT_FOR_TRANSITIONS)
    yield from _faults_of_axe(tab, "dark", COLOURS)
    for one in (size, PHONE if size == DESKTOP else DESKTOP):
        _resize(tab, one)
        for fault in tab.evaluate(FAULTS):
            yield f"{one[0]} px: {fault}"


def _faults_of_axe(tab: Tab, theme: str, rules: dict[str, Any]) -> Iterator[str]:
    run = "async (rules) => (await axe.run(rules)).violations"
    for found in tab.evaluate(run, rules):
        if found["impact"] in ("serious", "critical"):
            for node in found["nodes"]:
                yield f"axe {found['id']}, {theme}: {node['html'][:150]}"


def _resize(tab: Tab, size: tuple[int, int]) -> None:
    tab.set_viewport_size({"width": size[0], "height": size[1]})
