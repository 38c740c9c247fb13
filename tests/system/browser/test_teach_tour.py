"""New labels in a minute: a lesson filled from a live camera, taught, tried, used; for real."""

import io
import random
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle

import pytest

pytest.importorskip("django", reason="the extra [web] is not installed")
pytest.importorskip("playwright", reason="playwright is not installed: no browser can be driven")

from PIL import Image, ImageEnhance
from playwright.sync_api import Browser, StorageState, expect
from playwright.sync_api import Page as Tab

from edge_classifier import samples
from edge_classifier.daemon.models.active_model import UPLOADS_VARIABLE
from tests import browsing
from tests.mjpeg import MjpegCamera
from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.running_daemon import ROOT, Daemon, Remote
from tests.waiting import eventually
from tests.web.serving import PASSWORD, Page

pytestmark = pytest.mark.system

# Of each class; and what the whole may take, from the first press on, where nothing else runs.
PICTURES, AIM_S = 20, 60
# Where the thing is not: the camera sees something else.
CLASSES = {"our cat": "cat", "coffee": "espresso"}
ALL_IN_TIME_MS = 240_000


class Scene:
    """A network camera before which something stands that moves a little."""

    def __init__(self, camera: MjpegCamera) -> None:
        self._camera = camera
        self._views = {kind: list(views(kind)) for kind in (*CLASSES.values(), "rocket")}
        self._now = cycle(self._views["rocket"])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._move)

    def show(self, kind: str) -> None:
        self._now = cycle(self._views[kind])

    def __enter__(self) -> "Scene":
        self._camera.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._camera.kill()

    def _move(self) -> None:
        while not self._over.wait(0.15):
            self._camera.picture = next(self._now)


def views(kind: str) -> Iterator[bytes]:
    """A photograph as a camera sees it that is moved a little, in changing light; JPEGs."""
    chance = random.Random(kind)  # noqa: S311 (pictures only)
    with Image.open(samples.FOLDER / f"{kind}.jpg") as opened:
        whole = opened.convert("RGB")
    for _ in range(60):
        width, height = (round(chance.uniform(0.7, 1) * side) for side in whole.size)
        left, top = chance.randint(0, whole.width - width), chance.randint(0, whole.height - height)
        cut = whole.crop((left, top, left + width, top + height)).resize((640, 480))
        file = io.BytesIO()
        ImageEnhance.Brightness(cut).enhance(chance.uniform(0.6, 1.3)).save(file, "JPEG")
        yield file.getvalue()


@dataclass(frozen=True)
class Site:
    """All that runs."""

    scene: Scene
    remote: Remote
    page: Page
    browser: Browser

    @contextmanager
    def visit(self, state: StorageState | None = None, *allowed: int) -> Iterator[Tab]:
        with browsing.visit(self.browser, self.page.address, state, allowed=allowed) as tab:
            yield tab


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    camera = MjpegCamera(fps=5)
    state = folder / "state"
    with (
        pytest.MonkeyPatch.context() as environment,
        browsing.browser() as browser,
        Broker(folder / "broker") as broker,
        Scene(camera) as scene,
        Listener(broker.port, f"{ROOT}/#") as listener,
        Page(state, (f"mqtt.host={HOST}", f"mqtt.port={broker.port}")) as page,
    ):
        environment.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        # As the services of one machine have it.
        environment.setenv(UPLOADS_VARIABLE, str(state / "models"))
        settings = {"cameras": {"door": {"source": camera.url, "look": "whole"}}}
        daemon = Daemon(folder / "daemon", broker.port, settings, folder / "cache")
        with daemon.running():
            yield Site(scene, Remote(listener), page, browser)


@pytest.fixture(scope="module")
def administrator(site: Site) -> StorageState:
    with site.visit() as tab:
        tab.goto(site.page.invitation)
        tab.get_by_label("Username").fill("anna")
        for field in ("#id_password1", "#id_password2"):
            tab.locator(field).fill(PASSWORD)
        tab.get_by_role("button", name="Make the administrator").click()
        expect(tab.get_by_text("You are the administrator")).to_be_visible()
        return tab.context.storage_state()


def test_lesson_by_holding_a_button_is_taught_tried_used_and_named_by_the_next_event(
    site: Site, administrator: StorageState
) -> None:
    with site.visit(administrator) as tab:
        begin_lesson(tab, tuple(CLASSES))
        began = time.monotonic()
        spent: dict[str, float] = {}

        def note(step: str) -> None:
            spent[step] = time.monotonic() - began - sum(spent.values())

        for label, kind in CLASSES.items():
            site.scene.show(kind)
            hold(tab, label, PICTURES)
        note("filled")
        tab.get_by_role("button", name="Teach", exact=True).click()
        said = tab.locator("#teaching .verdict")
        expect(said).to_contain_text("pictures that it had not seen", timeout=ALL_IN_TIME_MS)
        right, count = map(int, re.findall(r"\d+", said.inner_text())[:2])
        assert count >= 2 * PICTURES
        assert right >= 0.9 * count
        note("taught")
        lesson = tab.url.partition("#")[0]
        site.scene.show("cat")
        tab.get_by_role("link", name="Try it live").click()
        expect(tab.locator("#try-frame")).to_be_visible(timeout=ALL_IN_TIME_MS)
        expect(tab.locator("#try-bars .score").first).to_contain_text("our cat")
        expect(tab.locator("#try-now .score")).not_to_contain_text("our cat")
        note("tried")
        tab.goto(lesson)
        before = len(site.remote.changes("door"))
        tab.get_by_role("button", name="Use it").click()
        expect(tab.locator("#teaching .uses")).to_contain_text("runs it", timeout=ALL_IN_TIME_MS)
        note("used")
        eventually(lambda: "our cat" in labels(site.remote, before), 60)
        note("its next event")
        told = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in spent.items())
        sys.stdout.write(f"from the first press to the event: {sum(spent.values()):.1f} s ({told})")
        go_back(tab, site.remote)
        fits_on_a_narrow_phone(tab, site.page.address, lesson, f"{lesson}/1/try")


def test_class_and_lesson_that_another_browser_deletes_are_told_to_whoever_fills_them(
    site: Site, administrator: StorageState
) -> None:
    with site.visit(administrator, 404) as tab, site.visit(administrator) as other:
        site.scene.show("cat")
        begin_lesson(tab, ("cup", "plate"))
        lesson = tab.url.partition("#")[0]
        plate = tab.locator(".class", has=tab.get_by_role("heading", name="plate"))
        plate.get_by_role("button", name="Hold to collect").hover()
        tab.mouse.down()
        expect(plate.locator(".count")).not_to_have_text("0")
        other.goto(lesson)
        other.get_by_role("link", name="plate").click()
        other.get_by_text("Rename or delete").click()
        other.get_by_role("button", name="Delete this class").click()
        other.get_by_role("button", name="Delete").click()
        expect(plate.locator(".said")).to_have_text("This class is not there any more.")
        expect(plate).not_to_have_class(re.compile("is-held"))
        expect(tab.locator("#camera .note")).to_have_text("")
        tab.mouse.up()
        other.goto(f"{lesson}/settings")
        other.get_by_role("button", name="Delete this lesson").click()
        other.get_by_role("button", name="Delete").click()
        expect(tab.get_by_role("heading", name="Not found")).to_be_visible()


def begin_lesson(tab: Tab, classes: Sequence[str]) -> None:
    tab.goto("/teach")
    tab.get_by_label("What is it about?").fill("Kitchen")
    for number, name in enumerate(classes, 1):
        tab.get_by_label(f"Class {number}").fill(name)
    tab.get_by_role("button", name="Begin").click()
    # The camera is seen before anything is pressed.
    expect(tab.locator("#camera canvas")).to_be_visible()


def hold(tab: Tab, label: str, count: int) -> None:
    """Hold the button of a class until it has ``count`` pictures."""
    card = tab.locator(".class", has=tab.get_by_role("heading", name=label))
    card.get_by_role("button", name="Hold to collect").hover()
    tab.mouse.down()
    try:
        expect(card.locator(".count")).to_have_text(
            re.compile(rf"^({'|'.join(str(n) for n in range(count, 3 * count))})$"),
            timeout=ALL_IN_TIME_MS,
        )
    finally:
        tab.mouse.up()


def fits_on_a_narrow_phone(tab: Tab, address: str, *pages: str) -> None:
    tab.set_viewport_size({"width": 360, "height": 780})
    for language in ("en", "zh-hans"):
        tab.context.add_cookies([{"name": "django_language", "value": language, "url": address}])
        for page in pages:
            tab.goto(page)
            expect(tab.locator("html")).to_have_attribute("lang", language)
            assert tab.evaluate("document.documentElement.scrollWidth") <= 360


def labels(remote: Remote, since: int) -> list[str]:
    return [str(event["to"]) for event in remote.changes("door")[since:]]


def go_back(tab: Tab, remote: Remote) -> None:
    """To the model before, with one click."""
    before = str(remote.state("door")["model"])
    assert before.startswith("kitchen-1-")
    tab.get_by_role("button", name=re.compile("^Back to ")).click()
    expect(tab.locator("#teaching .uses")).to_contain_text("is back at", timeout=ALL_IN_TIME_MS)
    eventually(lambda: not str(remote.state("door")["model"]).startswith("kitchen"), 60)
