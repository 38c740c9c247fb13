"""Takes the pictures of all pages in docs/images/web: the real server, broker and daemons.

    .venv/bin/python scripts/take_screenshots.py [--only NAME] [--out FOLDER]

Needs mosquitto, Chromium and fonts with Chinese characters (apt install mosquitto chromium
fonts-noto-cjk). What is seen on them are the bundled photographs, which may be shown; records of
earlier days are made up, today's are what two daemons and the page really say of them.
"""

import argparse
import io
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from edge_classifier import samples
from edge_classifier.web import startup
from edge_classifier.web.load_settings import load

FOLDER = Path(__file__).parent.parent / "docs/images/web"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
LANGUAGES = {"en": ("en", "en-GB"), "zh": ("zh-hans", "zh-CN")}
DARK = ("live", "review")
QUALITY = 72
DAYS = 21
EVENTS = 420
HOST = "127.0.0.1"
MODEL = "efficientnet-lite0@21331c65"
# Devices, their cameras, and the bundled photographs that these see.
SCENES = {
    "garden": {"gate": ("cat", "raccoon"), "meadow": ("rocket", "cat")},
    "kitchen": {"counter": ("espresso", "cat"), "door": ("uniform", "espresso")},
}
# What the daemons say of them.
LABELS = {
    "cat": ("Egyptian cat", "tabby", "tiger cat"),
    "espresso": ("espresso", "cup"),
    "raccoon": ("badger", "polecat"),
    "rocket": ("rocket",),
    "uniform": ("military uniform",),
}
# What reviewers say, where that is not it.
TRUTHS = {"cat": "Egyptian cat", "espresso": "espresso", "raccoon": "raccoon"}
CHINESE = {
    "Egyptian cat": "埃及猫",
    "tabby": "虎斑猫",
    "tiger cat": "虎纹猫",
    "espresso": "意式浓缩咖啡",
    "cup": "杯子",
    "badger": "獾",
    "polecat": "林鼬",
    "military uniform": "军装",
    "raccoon": "浣熊",
    "rocket": "火箭",
}
# Waits for those that are seen; others may never be loaded.
ALL_IMAGES = """Promise.all([...document.images]
    .filter((image) => image.src && image.getBoundingClientRect().top < innerHeight)
    .map((image) => image.decode().catch(() => {})))"""
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
            take_all(browser, address, cookie, shots, options.out)
    return 0


def all_shots() -> Iterator[Shot]:
    """Every page for people."""
    yield Shot("login", "/login", role="")
    yield Shot("classify", "/", classify)
    yield Shot("record", "/", open_record)
    yield Shot("live", "/live", await_cameras)
    yield Shot("history", "/history")
    yield Shot("review", "/review")
    yield Shot("compare", "/review/compare", compare)
    yield Shot("models", "/models")
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
    expect(page.locator(".record")).to_be_visible()


def await_cameras(page: Page) -> None:
    """Wait until each camera has shown something, for long enough to have a chart."""
    count = sum(len(cameras) for cameras in SCENES.values())
    expect(page.locator(".camera .shot img")).to_have_count(count, timeout=60_000)
    expect(page.locator(".camera .chart")).to_have_count(count, timeout=60_000)


def await_api(page: Page) -> None:
    """The API's page draws itself."""
    expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)


def compare(page: Page) -> None:
    """Measure a model, unless that has been done for a picture before."""
    if page.locator(".compared").count() == 0:
        page.locator("form.card button.primary").click()
        expect(page.locator(".compared")).to_be_visible(timeout=120_000)


def take_all(
    browser: Browser, address: str, cookie: str, shots: Sequence[Shot], folder: Path
) -> None:
    """All pages in all languages, sizes and themes."""
    folder.mkdir(parents=True, exist_ok=True)
    for shot in shots:
        for language in LANGUAGES:
            for size in SIZES:
                for theme in ("light", "dark") if shot.name in DARK else ("light",):
                    ending = "-dark" if theme == "dark" else ""
                    path = folder / f"{shot.name}-{size}-{language}{ending}.webp"
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


def write(path: Path, png: bytes) -> None:
    """A tenth of the bytes, without a difference that is seen."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").save(path, "WEBP", quality=QUALITY, method=6)


@contextmanager
def chromium(playwright: Any) -> Iterator[Browser]:
    """The system's browser."""
    program = shutil.which("chromium")
    if not program:
        raise SystemExit("chromium is not installed (apt install chromium)")
    browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
    yield browser
    browser.close()


@contextmanager
def broker() -> Iterator[int]:
    """A mosquitto for this machine alone; its port."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin"
    program = shutil.which("mosquitto", path=search)
    if not program:
        raise SystemExit("mosquitto is not installed (apt install mosquitto)")
    port = free_port()
    with process([program, "-p", str(port)]):
        await_port(port)
        yield port


@contextmanager
def served(settings: Sequence[str]) -> Iterator[str]:
    """The page; its address."""
    port = free_port()
    options = [part for line in settings for part in ("--set", line)]
    with process([*COMMAND, "web", "--port", str(port), *options]):
        await_port(port)
        yield f"http://{HOST}:{port}"


@contextmanager
def watching(folder: Path, device: str, port: int) -> Iterator[None]:
    """A daemon whose cameras see the photographs of their scene by turns."""
    config = DAEMON.format(device=device, folder=folder, port=port)
    for number, (camera, kinds) in enumerate(SCENES[device].items()):
        pictures = folder / camera
        pictures.mkdir(parents=True)
        for kind in kinds:
            shutil.copy(samples.FOLDER / f"{kind}.jpg", pictures)
        config += CAMERA.format(camera=camera, pictures=pictures, picture_s=5 + 2 * number)
    (folder / "config.toml").write_text(config, "utf-8")
    with process([*COMMAND, "run", "--config", str(folder / "config.toml")]):
        yield


COMMAND = (sys.executable, "-m", "edge_classifier")


@contextmanager
def process(command: Sequence[str]) -> Iterator[None]:
    """``command``, for as long as it is needed; what it says is not."""
    silent = subprocess.DEVNULL
    started = subprocess.Popen(command, stdout=silent, stderr=silent)
    try:
        yield
    finally:
        started.terminate()
        started.wait(30)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def await_port(port: int, within_s: float = 60) -> None:
    """Return when somebody listens on it. Raises SystemExit."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nobody listens on port {port}")


def fill(settings: Sequence[str]) -> str:
    """Make people, and events of some weeks; the cookie of an administrator.

    Before a browser is started: Django does not work beside Playwright's loop.
    """
    startup.migrate(startup.configure(load(None, settings, environment={})))
    from django.db import transaction

    from edge_classifier.web.models import Camera, Label, User

    chance = random.Random(3)  # noqa: S311 (the same pictures each time, and no secret)
    anna = User.objects.create_user("anna", password=None, role="administrator")
    User.objects.create_user("bo", password=None, role="reviewer")
    cameras = [
        (Camera.objects.create(device=device, name=name), kinds)
        for device, scenes in SCENES.items()
        for name, kinds in scenes.items()
    ]
    now = datetime.now().astimezone()
    begin = now - timedelta(days=DAYS)
    Label.objects.bulk_create(
        Label(name=name, chinese=text, first_seen=begin) for name, text in CHINESE.items()
    )
    for _ in range(EVENTS):
        camera, kinds = chance.choice(cameras)
        at = daytime(now - timedelta(days=DAYS * chance.random()), chance)
        with transaction.atomic():
            make_event(chance, camera, chance.choice(kinds), min(at, now), anna)
    return log_in(anna)


def daytime(at: datetime, chance: random.Random) -> datetime:
    """The same day at an hour at which somebody is awake."""
    return at.replace(hour=round(chance.triangular(6, 22, 17)))


def make_event(chance: random.Random, camera: Any, kind: str, at: datetime, reviewer: Any) -> None:
    """One event of a made-up day."""
    from django.utils import timezone

    from edge_classifier.web.models import Label, Record
    from edge_classifier.web.records import picture_storage
    from edge_classifier.web.review import verdicts

    label = Label.objects.get(name=chance.choice(LABELS[kind]))
    width, height, jpeg = seen(kind, chance)
    score = chance.betavariate(6, 2)
    record = Record.objects.create(
        key=uuid.UUID(int=chance.getrandbits(128)),
        source=Record.Source.EVENT,
        camera=camera,
        at=at,
        day=timezone.localdate(at),
        label=label,
        before=chance.choice(("unknown", "tabby", "espresso")),
        score=score,
        margin=score * chance.random(),
        model=MODEL,
        delay_ms=chance.triangular(5, 30, 8),
        picture=picture_storage.put(jpeg, width, height),
    )
    if chance.random() < 0.35:
        truth = TRUTHS.get(kind, label.name)
        verdicts.judge(record, verdicts.CORRECTED, truth, reviewer)


def seen(kind: str, chance: random.Random) -> tuple[int, int, bytes]:
    """Width, height and JPEG of a photograph, as a camera sees it that is moved a little."""
    with Image.open(samples.FOLDER / f"{kind}.jpg") as opened:
        picture = opened.convert("RGB")
    width, height = (round(chance.uniform(0.75, 1) * side) for side in picture.size)
    left, top = chance.randint(0, picture.width - width), chance.randint(0, picture.height - height)
    cut = picture.crop((left, top, left + width, top + height))
    file = io.BytesIO()
    cut.save(file, "JPEG", quality=80)
    return width, height, file.getvalue()


def log_in(user: Any) -> str:
    """The cookie of somebody who has logged in."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


if __name__ == "__main__":
    raise SystemExit(main())
