"""Takes the pictures that documents show of the page: the real server, broker and daemons.

    .venv/bin/python scripts/pictures/take_screenshots.py [--only NAME] [--all] [--out FOLDER]

Needs mosquitto, Chromium and fonts with Chinese characters (apt install mosquitto chromium
fonts-noto-cjk). What is seen on them are the bundled photographs, which may be shown; records of
earlier days are made up, today's are what two daemons and the page really say of them.
"""

import argparse
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from browser_pictures import ALL_IMAGES, FOLDER, chromium, write
from made_records import SCENES, fill
from playwright.sync_api import Browser, Page, expect, sync_playwright
from programs import COMMAND, HOST, broker, process, served

from edge_classifier import samples

SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
LANGUAGES = {"en": ("en", "en-GB"), "zh": ("zh-hans", "zh-CN")}
DARK = ("live", "camera", "review")
# Cameras that show the same thing make no picture of a page.
DIFFERENT = """() => new Set(
    [...document.querySelectorAll(".camera .score strong")].map((label) => label.textContent)
).size >= 4"""
TITLES = {"gate": "Garden gate", "meadow": "Meadow", "counter": "Kitchen", "door": "Front door"}
DAEMON = """
[device]
name = "{device}"
state_folder = "{folder}/state"
[mqtt]
host = "127.0.0.1"
port = {port}
stats_s = 2
[http]
enabled = false
[decision]
time_constant_s = 0.5
enter = 0.3
leave = 0.2
margin = 0
[decision.groups]
rocket = ["missile", "projectile", "space shuttle"]
"""
CAMERA = """
[cameras.{camera}]
title = "{title}"
source = "pictures:{pictures}"
picture_s = {picture_s}
"""


@dataclass(frozen=True)
class Shot:
    """One page, and what has to be done before it is worth a picture."""

    name: str
    path: str
    prepare: Callable[[Page], None] = lambda _page: None
    role: str = "administrator"


def main() -> int:
    """Start everything, fill it, and take all pictures."""
    parser = argparse.ArgumentParser(description="Take the pictures of all pages.")
    parser.add_argument("--only", default="", metavar="NAME", help="of one page")
    text = "in all languages, sizes and themes, and not only those that documents show"
    parser.add_argument("--all", action="store_true", help=text)
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder, ExitStack() as stack:
        port = stack.enter_context(broker())
        settings = [f"state_folder={folder}/web", f"mqtt.host={HOST}", f"mqtt.port={port}"]
        cookie = fill(settings)
        address = stack.enter_context(served([*settings, 'title="Our cameras"']))
        for device in SCENES:
            stack.enter_context(watching(Path(folder, device), device, port))
        with sync_playwright() as playwright, chromium(playwright) as browser:
            shots = [one for one in all_shots() if options.only in ("", one.name)]
            names = None if options.all else shown()
            take_all(browser, address, cookie, shots, options.out, names)
    return 0


def shown() -> set[str]:
    """Names of the pictures that stand in documents."""
    repository = Path(__file__).resolve().parents[2]
    documents = [repository / "README.md", *repository.glob("docs/**/*.md")]
    return {
        name
        for document in documents
        for name in re.findall(r"images/web/([\w-]+\.webp)", document.read_text("utf-8"))
    }


def all_shots() -> Iterator[Shot]:
    """Every page for people."""
    yield Shot("login", "/login", role="")
    yield Shot("classify", "/classify", classify)
    yield Shot("record", "/classify", open_record)
    yield Shot("live", "/live", await_cameras)
    yield Shot("camera", "/live", open_camera)
    yield Shot("history", "/history", await_days)
    yield Shot("label", "/history", open_label)
    yield Shot("event", "/history?order=score&source=event", open_event)
    yield Shot("review", "/review")
    yield Shot("compare", "/review/compare", compare)
    yield Shot("models", "/models", await_devices)
    yield Shot("notify", "/notify", try_rule)
    yield Shot("administration", "/admin/web/record/")
    yield Shot("api", "/api/v1/docs", await_api)


def classify(page: Page) -> None:
    """Send two pictures."""
    files = [samples.FOLDER / f"{name}.jpg" for name in ("espresso", "cat")]
    page.locator("#choose").set_input_files(files)
    expect(page.locator(".card.result")).to_have_count(2, timeout=30_000)


def open_record(page: Page) -> None:
    """Send one, and go to its record."""
    page.locator("#choose").set_input_files(samples.FOLDER / "espresso.jpg")
    page.locator(".card.result .button").click(timeout=30_000)
    expect(page.locator(".large")).to_be_visible()


def open_label(page: Page) -> None:
    """Go to the page of the label that was seen the most."""
    page.locator(".strip .legend a").first.click()
    page.locator(".chips a[href*='/labels/']").first.click()
    expect(page.locator(".label-top")).to_be_visible()


def open_event(page: Page) -> None:
    """Go to the surest event of which it is known where in the picture it was."""
    page.locator(".visit:has(svg.box) .name").first.click()
    expect(page.locator(".large .close")).to_be_visible()


def await_cameras(page: Page) -> None:
    """Wait until each camera has shown something."""
    count = sum(len(cameras) for cameras in SCENES.values())
    expect(page.locator(".camera .shot img")).to_have_count(count, timeout=60_000)
    expect(page.locator(".camera .score")).to_have_count(count, timeout=60_000)
    expect(page.locator(".moving canvas").first).to_be_visible(timeout=60_000)
    page.wait_for_function(DIFFERENT)
    # A label follows its picture after a moment.
    page.wait_for_timeout(1500)
    page.wait_for_function(DIFFERENT)


def await_days(page: Page) -> None:
    """The days above the list come after it."""
    expect(page.locator(".strip .legend")).to_be_visible(timeout=60_000)


def open_camera(page: Page) -> None:
    """Go to a camera's page, and wait until it moves and has shown something."""
    page.get_by_role("link", name=TITLES["gate"]).click(timeout=60_000)
    expect(page.locator(".large .moving canvas")).to_be_visible(timeout=60_000)
    expect(page.locator(".steps .lane").first).to_be_visible(timeout=60_000)


def await_devices(page: Page) -> None:
    """Wait until all devices are in the list, which renews itself."""
    expect(page.locator("section.device")).to_have_count(len(SCENES), timeout=60_000)


def try_rule(page: Page) -> None:
    """Try on today a rule for the rare ones, and go to what it would have sent."""
    page.locator("input[name=when][value=rare]").check()
    page.locator("input[name=day]").fill(f"{datetime.now().astimezone():%Y-%m-%d}")
    page.locator("form.card button.primary").click()
    expect(page.locator("#trial")).to_be_visible()


def await_api(page: Page) -> None:
    """The API's page draws itself."""
    expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)


def compare(page: Page) -> None:
    """Measure a model, unless that has been done for a picture before."""
    if page.locator(".compared").count() == 0:
        page.locator("form.card button.primary").click()
        expect(page.locator(".compared")).to_be_visible(timeout=120_000)
    expect(page.locator("main progress")).to_have_count(0, timeout=120_000)


def take_all(
    browser: Browser,
    address: str,
    cookie: str,
    shots: Sequence[Shot],
    folder: Path,
    names: Collection[str] | None = None,
) -> None:
    """All pages in all languages, sizes and themes; of these, those that are called ``names``."""
    folder.mkdir(parents=True, exist_ok=True)
    for shot in shots:
        for language in LANGUAGES:
            for size in SIZES:
                for theme in ("light", "dark") if shot.name in DARK else ("light",):
                    ending = "-dark" if theme == "dark" else ""
                    path = folder / f"{shot.name}-{size}-{language}{ending}.webp"
                    if names is not None and path.name not in names:
                        continue
                    write(path, take(browser, address, cookie, shot, language, size, theme))
                    print(f"{path.name} {path.stat().st_size / 1000:.0f} kB", flush=True)


def take(
    browser: Browser, address: str, cookie: str, shot: Shot, language: str, size: str, theme: Any
) -> bytes:
    """One PNG of what is seen without scrolling."""
    code, locale = LANGUAGES[language]
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        locale=locale,
        color_scheme=theme,
        base_url=address,
        is_mobile=size == "phone",
    )
    given = {"django_language": code, **({"sessionid": cookie} if shot.role else {})}
    context.add_cookies([{"name": k, "value": v, "url": address} for k, v in given.items()])
    page = context.new_page()
    page.goto(shot.path)
    shot.prepare(page)
    page.evaluate(ALL_IMAGES)
    png = page.screenshot(animations="disabled", caret="hide")
    context.close()
    return png


@contextmanager
def watching(folder: Path, device: str, port: int) -> Iterator[None]:
    """A daemon whose cameras see the photographs of their scene by turns."""
    config = DAEMON.format(device=device, folder=folder, port=port)
    for number, (camera, kinds) in enumerate(SCENES[device].items()):
        pictures = folder / camera
        pictures.mkdir(parents=True)
        for kind in kinds:
            shutil.copy(samples.FOLDER / f"{kind}.jpg", pictures)
        config += CAMERA.format(
            camera=camera, pictures=pictures, picture_s=5 + 2 * number, title=TITLES[camera]
        )
    (folder / "config.toml").write_text(config, "utf-8")
    with process([*COMMAND, "run", "--config", str(folder / "config.toml")]):
        yield


if __name__ == "__main__":
    raise SystemExit(main())
