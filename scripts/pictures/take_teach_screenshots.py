"""Takes the pictures of docs/teach.md: a lesson filled, taught, tried and used, for real.

    .venv/bin/python scripts/pictures/take_teach_screenshots.py [--out FOLDER]

Needs what take_screenshots.py needs. The daemon's cameras see the bundled photographs, moved a
little and in changing light, as if somebody held them before it.
"""

import argparse
import os
import random
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from browser_pictures import ALL_IMAGES, FOLDER, chromium, write
from made_records import log_in
from PIL import Image, ImageEnhance
from playwright.sync_api import Locator, Page, expect, sync_playwright
from programs import COMMAND, HOST, broker, process, served

from edge_classifier import samples
from edge_classifier.daemon.models.active_model import UPLOADS_VARIABLE
from edge_classifier.web import startup
from edge_classifier.web.config.load_settings import load

SIZE = (1280, 800)
PICTURES = 20
# Classes, the cameras that see them, and the photographs that these see.
CLASSES = {"Mimi": ("cushion", "cat"), "coffee is ready": ("counter", "espresso")}
VIEWS = 60
CONFIG = """
[device]
name = "kitchen"
state_folder = "{folder}/state"
[mqtt]
host = "127.0.0.1"
port = {port}
[http]
enabled = false
"""
CAMERA = """
[cameras.{camera}]
title = "{title}"
source = "pictures:{pictures}"
picture_s = 0.3
rate_fps = 4
look = "whole"
"""
_WITHIN_MS = 120_000


def main() -> int:
    """Start everything, and take the pictures one after the other."""
    parser = argparse.ArgumentParser(description="Take the pictures of docs/teach.md.")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder, ExitStack() as stack:
        port = stack.enter_context(broker())
        settings = [f"state_folder={folder}/web", f"mqtt.host={HOST}", f"mqtt.port={port}"]
        cookie = administrator(settings)
        address = stack.enter_context(served([*settings, 'title="Our kitchen"']))
        os.environ[UPLOADS_VARIABLE] = f"{folder}/web/models"
        stack.enter_context(watching(Path(folder, "kitchen"), port))
        with sync_playwright() as playwright, chromium(playwright) as browser:
            context = browser.new_context(
                viewport={"width": SIZE[0], "height": SIZE[1]}, locale="en-GB", base_url=address
            )
            context.set_default_timeout(_WITHIN_MS)
            context.add_cookies([{"name": "sessionid", "value": cookie, "url": address}])
            take_all(context.new_page(), options.out)
            context.close()
    return 0


def administrator(settings: list[str]) -> str:
    """The cookie of one. Before a browser is started: Django does not work beside its loop."""
    startup.migrate(startup.configure(load(None, settings, environment={})))
    from edge_classifier.web.models import User

    return log_in(User.objects.create_user("anna", password=None, role="administrator"))


@contextmanager
def watching(folder: Path, port: int) -> Iterator[None]:
    """A daemon with a camera a class."""
    config = CONFIG.format(folder=folder, port=port)
    for camera, kind in CLASSES.values():
        pictures = folder / camera
        pictures.mkdir(parents=True)
        for number, view in enumerate(views(kind)):
            view.save(pictures / f"{number:02}.jpg", quality=90)
        title = camera.capitalize()
        config += CAMERA.format(camera=camera, title=title, pictures=pictures)
    (folder / "config.toml").write_text(config, "utf-8")
    with process([*COMMAND, "run", "--config", str(folder / "config.toml")]):
        yield


def views(kind: str) -> Iterator[Image.Image]:
    """A photograph as a camera sees it that is moved a little, in changing light."""
    chance = random.Random(kind)  # noqa: S311 (the same pictures each time, and no secret)
    with Image.open(samples.FOLDER / f"{kind}.jpg") as opened:
        whole = opened.convert("RGB")
    for _ in range(VIEWS):
        width, height = (round(chance.uniform(0.7, 1) * side) for side in whole.size)
        left, top = chance.randint(0, whole.width - width), chance.randint(0, whole.height - height)
        cut = whole.crop((left, top, left + width, top + height)).resize((640, 480))
        yield ImageEnhance.Brightness(cut).enhance(chance.uniform(0.7, 1.25))


def take_all(page: Page, out: Path) -> None:
    """The way of a lesson."""
    page.goto("/live")
    expect(page.locator(".camera")).to_have_count(len(CLASSES), timeout=_WITHIN_MS)
    page.goto("/teach")
    page.get_by_label("What is it about?").fill("Kitchen")
    for number, name in enumerate(CLASSES, 1):
        page.get_by_label(f"Class {number}").fill(name)
    page.get_by_role("button", name="Begin").click()
    for name, (camera, _) in CLASSES.items():
        page.locator("#place").select_option(f"kitchen/{camera}")
        card = page.locator(".class", has=page.get_by_role("heading", name=name))
        is_last = name == list(CLASSES)[-1]
        hold(page, card, out if is_last else None)
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.locator("#teaching .verdict")).to_be_visible(timeout=_WITHIN_MS)
    expect(page.get_by_role("link", name="The whole report")).to_be_visible(timeout=_WITHIN_MS)
    page.mouse.move(0, 0)
    take(page, out, "teach-result", page.locator("#teaching"))
    lesson = page.url
    page.get_by_role("link", name="Try it live").click()
    page.locator("#camera").select_option("kitchen/cushion")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#try-bars .score").first).to_contain_text("Mimi", timeout=_WITHIN_MS)
    expect(page.locator("#try-now .score")).to_be_visible()
    take(page, out, "teach-try")
    page.goto(lesson)
    page.get_by_role("checkbox", name="kitchen", exact=True).check()
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("#teaching .uses")).to_contain_text("runs it", timeout=_WITHIN_MS)
    page.goto("/live")
    expect(page.get_by_text(re.compile("Mimi")).first).to_be_visible(timeout=_WITHIN_MS)
    page.wait_for_timeout(3000)
    take(page, out, "teach-used")


def hold(page: Page, card: Locator, out: Path | None) -> None:
    """Hold the button of a class until it has enough pictures; ``out``: with a picture of that."""
    card.get_by_role("button", name="Hold to collect").hover()
    page.wait_for_timeout(1500)
    page.mouse.down()
    enough = rf"^({'|'.join(str(n) for n in range(PICTURES, 3 * PICTURES))})$"
    expect(card.locator(".count")).to_have_text(re.compile(enough), timeout=_WITHIN_MS)
    if out:
        take(page, out, "teach-fill")
    page.mouse.up()


def take(page: Page, out: Path, name: str, part: Locator | None = None) -> None:
    """What is seen now, or one ``part`` of it."""
    page.evaluate(ALL_IMAGES)
    shown = part or page
    path = out / f"{name}-desktop-en.webp"
    write(path, shown.screenshot(animations="disabled", caret="hide"))
    print(f"{path.name} {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
