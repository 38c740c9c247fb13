"""The page of a lesson in a real browser: held buttons, dropped files, moved pictures."""

import threading
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from django.test import Client
from django.urls import reverse

from edge_classifier.core.jpeg_comment import with_comment
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Label
from edge_classifier.web.services import Services
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.waiting import eventually
from tests.web.lessons.filling import garden, scene
from tests.web.live.test_live_page import receive, receive_all
from tests.web.live.test_moving import comment
from tests.web.visiting import visit_as
from tests.web.working import encoded, working

from playwright.sync_api import Browser, FilePayload, Locator, Page, expect  # isort: skip (tests.browsing may skip)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    with working(tmp_path_factory.mktemp("models")) as found:
        yield found


@pytest.fixture
def live(change: Callable[..., Services], child: PictureWorker) -> Iterator[LiveClient]:
    """A camera that shows something else all the time."""
    made = LiveClient(WebSettings())
    change(live=made, worker=child)
    receive_all(made)
    is_over = threading.Event()

    def show() -> None:
        for number in count():
            if is_over.wait(0.1):
                return
            jpeg = with_comment(encoded(scene(number % 200)), comment())
            receive(made, "pi/front/burst", jpeg)

    thread = threading.Thread(target=show)
    thread.start()
    yield made
    is_over.set()
    thread.join()


@pytest.fixture
def lesson(db: None) -> Lesson:
    return garden(2)


@pytest.fixture
def tab(
    browser: Browser, live_server: object, reviewer: Client, lesson: Lesson, live: LiveClient
) -> Iterator[Page]:
    """The lesson's page, as a reviewer has it."""
    with visit_as(reviewer, browser, live_server, allowed=(409, 503), has_touch=True) as page:
        page.goto(f"/teach/{lesson.key}")
        yield page


def counted(lesson: Lesson, name: str) -> int:
    return int(lesson.pictures.filter(of__name=name, removed_at=None).count())


def card(tab: Page, name: str) -> Locator:
    return tab.get_by_role("region", name=name, exact=True)


def hold(tab: Page, name: str) -> Locator:
    return card(tab, name).locator(".hold")


def middle(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def fills(
    lesson: Lesson, name: str, begin: Callable[[], object], end: Callable[[], object]
) -> None:
    """A class fills from when ``begin`` was called until ``end`` was, and no longer."""
    before = counted(lesson, name)
    begin()
    eventually(lambda: counted(lesson, name) >= before + 2)
    end()


def stays(tab: Page, lesson: Lesson, name: str) -> None:
    """Nothing comes any more: at most the frame that was on its way did."""
    tab.wait_for_timeout(1000)
    then = counted(lesson, name)
    tab.wait_for_timeout(1500)
    assert counted(lesson, name) == then


def test_class_fills_while_its_button_is_held_by_the_mouse(tab: Page, lesson: Lesson) -> None:
    for name in ("cat", "bird"):
        tab.mouse.move(*middle(hold(tab, name)))
        fills(lesson, name, tab.mouse.down, tab.mouse.up)
        stays(tab, lesson, name)
        expect(card(tab, name).locator(".count")).to_have_text(str(counted(lesson, name)))
        expect(card(tab, name).locator(".said")).to_contain_text("Added: ")


@pytest.mark.parametrize("key", [" ", "Enter"])
def test_class_fills_while_a_key_is_held(tab: Page, lesson: Lesson, key: str) -> None:
    hold(tab, "cat").focus()
    fills(lesson, "cat", lambda: tab.keyboard.down(key), lambda: tab.keyboard.up(key))
    stays(tab, lesson, "cat")
    # All that one press brought is undone by one more.
    tab.get_by_role("button", name="Undo").click()
    eventually(lambda: counted(lesson, "cat") == 2)


def test_class_fills_while_a_finger_is_on_its_button(tab: Page, lesson: Lesson) -> None:
    devtools = tab.context.new_cdp_session(tab)
    x, y = middle(hold(tab, "cat"))
    point = {"x": x, "y": y}

    def touch(kind: str, points: list[dict[str, float]]) -> Callable[[], object]:
        touches = {"type": kind, "touchPoints": points}
        return lambda: devtools.send("Input.dispatchTouchEvent", touches)

    fills(lesson, "cat", touch("touchStart", [point]), touch("touchEnd", []))
    stays(tab, lesson, "cat")


def test_browser_that_vanishes_ends_it(tab: Page, lesson: Lesson, live: LiveClient) -> None:
    hold(tab, "cat").focus()
    fills(lesson, "cat", lambda: tab.keyboard.down(" "), lambda: tab.goto("about:blank"))
    stays(tab, lesson, "cat")


def test_pictures_are_moved_by_keys_and_by_dragging_and_undone(tab: Page, lesson: Lesson) -> None:
    card(tab, "cat").locator("[name=picture]").first.focus()
    tab.keyboard.press("Space")
    tab.get_by_label("Move to").select_option(label="bird")
    tab.get_by_role("button", name="Move", exact=True).click()
    eventually(lambda: (counted(lesson, "cat"), counted(lesson, "bird")) == (1, 3))
    expect(card(tab, "bird").locator(".thumbs li")).to_have_count(3)
    picture = card(tab, "cat").locator(".thumbs li img").first
    picture.drag_to(card(tab, "Nothing there").locator(".thumbs"))
    eventually(lambda: counted(lesson, "unknown") == 1)
    tab.keyboard.press("Control+z")
    tab.get_by_text("Undone: 1 picture").wait_for()
    tab.keyboard.press("Control+z")
    eventually(lambda: (counted(lesson, "cat"), counted(lesson, "bird")) == (2, 2))


def test_ticked_pictures_are_removed_by_a_key_and_come_back(tab: Page, lesson: Lesson) -> None:
    card(tab, "cat").locator(".thumbs label").first.click()
    tab.keyboard.press("Delete")
    eventually(lambda: counted(lesson, "cat") == 1)
    tab.get_by_role("button", name="Undo").click()
    eventually(lambda: counted(lesson, "cat") == 2)
    expect(card(tab, "cat").locator(".count")).to_have_text("2")


def test_files_go_into_the_class_they_are_chosen_for(tab: Page, lesson: Lesson) -> None:
    files: list[FilePayload] = [
        {"name": "one.png", "mimeType": "image/png", "buffer": encoded(scene(41), "PNG")},
        {"name": "two.jpg", "mimeType": "image/jpeg", "buffer": encoded(scene(41))},
        {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": b"nothing"},
    ]
    card(tab, "bird").locator("input[type=file]").first.set_input_files(files)
    said = card(tab, "bird").locator(".said")
    expect(said).to_contain_text("Added: 1. Nearly the same, and left out: 1.")
    expect(said).to_contain_text("bad.jpg: This picture cannot be taken")
    assert counted(lesson, "bird") == 3


def test_labels_are_offered_where_pictures_of_the_history_are_looked_for(
    tab: Page, lesson: Lesson
) -> None:
    Label.objects.create(name="tabby", chinese="虎斑猫")
    of = lesson.classes.get(name="cat")
    tab.goto(reverse("lesson-history", args=[lesson.key, of.pk]))
    box = tab.locator("input[name=label]")
    box.evaluate("box => box.closest('details').setAttribute('open', '')")
    box.press_sequentially("tab")
    expect(tab.locator("#names-of-label option")).to_have_attribute("value", "tabby")
