"""A tour through the page as its users take it: a real browser, server, broker and daemon."""

import io
import json
import random
import re
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

pytest.importorskip("django", reason="the extra [web] is not installed")
pytest.importorskip("playwright", reason="playwright is not installed: no browser can be driven")

from PIL import Image, ImageEnhance, ImageOps
from playwright.sync_api import Browser, StorageState, expect
from playwright.sync_api import Page as Tab

from edge_classifier import samples
from tests import browsing
from tests.conftest import REPOSITORY
from tests.mosquitto import Broker
from tests.ports import HOST
from tests.running_daemon import HASTY, Daemon
from tests.waiting import eventually
from tests.web.serving import PASSWORD, Page, edge_classify

pytestmark = pytest.mark.system

PEOPLE = ("administrator", "reviewer", "viewer")
LIMIT_MB = 90
SETTINGS = ("classify.idle_s=1", f"mqtt.host={HOST}")
TINY_RUN = (
    *("--size", "96", "--epochs", "1", "--device", "cpu", "--workers", "0"),
    *("--set", "head.epochs=5", "--set", "quantize.epochs=1", "--set", "data.held_out=0.4"),
)
ADDRESSES = (
    *("/", "/live", "/history", "/models", "/tokens", "/password", "/login", "/records/{key}"),
    *("/review", "/review?view=grid", "/review?view=dataset", "/review/compare"),
    "/models/efficientnet-lite0/report",
)
People = dict[str, StorageState]
# And the true label.
Verdict = tuple[str, str | None]


@dataclass(frozen=True)
class Site:
    """The server, the broker that it listens to, and a browser."""

    server: Page
    broker: Broker
    browser: Browser

    @contextmanager
    def visit(self, state: StorageState | None = None, **options: Any) -> Iterator[Tab]:
        """A tab in which nothing may go wrong."""
        with browsing.visit(self.browser, self.server.address, state, **options) as tab:
            yield tab

    def reviews(self) -> dict[str, Verdict]:
        """What was said of each record that has been reviewed, by its key."""
        query = (
            "SELECT key, verdict, name FROM web_record LEFT JOIN web_label"
            " ON web_label.id = truth_id WHERE verdict <> ''"
        )
        address = f"file:{self.server.state / 'web.db'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as database:
            rows = database.execute(query)
            return {str(UUID(key)): (verdict, truth) for key, verdict, truth in rows}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with (
        pytest.MonkeyPatch.context() as environment,
        browsing.browser() as browser,
        Broker(folder / "broker") as broker,
    ):
        environment.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        # What an installation has: byte code, which else is made in memory, and stays there.
        environment.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        package = str(REPOSITORY / "edge_classifier")
        subprocess.run([sys.executable, "-m", "compileall", "-q", package], check=True)
        with Page(folder / "state", (*SETTINGS, f"mqtt.port={broker.port}")) as server:
            yield Site(server, broker, browser)


@pytest.fixture(scope="module")
def people(site: Site) -> People:
    """Cookies of one person a role; all accounts are made on the page."""
    with site.visit() as tab:
        tab.goto(site.server.invitation)
        tab.get_by_label("Username").fill("administrator")
        _choose_password(tab)
        tab.get_by_role("button", name="Make the administrator").click()
        expect(tab.get_by_role("link", name="Administration")).to_be_visible()
        states = {"administrator": tab.context.storage_state()}
        for name in ("reviewer", "viewer"):
            tab.goto("/admin/web/user/add/")
            tab.get_by_label("Username").fill(name)
            tab.get_by_label("Role").select_option(name)
            _choose_password(tab)
            tab.get_by_role("button", name="Save", exact=True).click()
            expect(tab.locator(".messagelist .success")).to_contain_text(name)
    return {**states, **{name: _logged_in(site, name) for name in ("reviewer", "viewer")}}


def _choose_password(tab: Tab) -> None:
    for field in ("#id_password1", "#id_password2"):
        tab.locator(field).fill(PASSWORD)


def _logged_in(site: Site, name: str) -> StorageState:
    with site.visit() as tab:
        tab.goto("/login")
        tab.get_by_label("Username").fill(name)
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Log in").click()
        expect(tab.get_by_role("button", name="Log out")).to_be_visible()
        return tab.context.storage_state()


@dataclass(frozen=True)
class Sent:
    """A picture that was sent."""

    truth: str
    # The model's.
    guess: str


class Program:
    """Somebody's program, which sends pictures to the API."""

    def __init__(self, site: Site, secret: str) -> None:
        self.port = site.server.port
        self.headers = {"Authorization": f"Bearer {secret}"}

    def upload(self, kinds: Sequence[str], seed: int) -> dict[str, Sent]:
        """Classify one picture of each of ``kinds``; by the records' keys."""
        sent = {}
        for jpeg, kind in zip(photographs(kinds, seed), kinds, strict=True):
            result = self._ask("POST", "/classify", jpeg, "image/jpeg")["results"][0]
            sent[result["saved"]["key"]] = Sent(kind, result["label"])
        return sent

    def review(self, key: str, truth: str) -> None:
        """Say what a record really shows; without ``truth`` take back what was said."""
        verdict = {"verdict": "corrected", "truth": truth} if truth else {"verdict": ""}
        body = json.dumps(verdict).encode()
        self._ask("PUT", f"/records/{key}/review", body, "application/json")

    def _ask(self, method: str, path: str, body: bytes, kind: str) -> Any:
        headers = {**self.headers, "Content-Type": kind}
        connection = HTTPConnection(HOST, self.port, timeout=60)
        with closing(connection):
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            return json.load(answer)


@pytest.fixture(scope="module")
def program(site: Site, people: People) -> Program:
    """A program of the reviewer's, whose token is made on the page."""
    with site.visit(people["reviewer"]) as tab:
        tab.goto("/tokens")
        tab.get_by_label("What is it for?").fill("tour")
        tab.get_by_role("button", name="Make a token").click()
        return Program(site, tab.get_by_label("Copy it now").input_value())


def photographs(kinds: Sequence[str], seed: int) -> Iterator[bytes]:
    """For each of ``kinds`` that bundled photograph, as if taken from elsewhere; JPEGs."""
    chance = random.Random(seed)  # noqa: S311 (pictures only)
    for kind in kinds:
        with Image.open(samples.FOLDER / f"{kind}.jpg") as opened:
            picture = opened.convert("RGB")
        share = chance.uniform(0.55, 0.9)
        width, height = (round(share * side) for side in picture.size)
        left = chance.randrange(picture.width - width)
        top = chance.randrange(picture.height - height)
        picture = picture.crop((left, top, left + width, top + height))
        if chance.random() < 0.5:
            picture = ImageOps.mirror(picture)
        picture = picture.rotate(chance.uniform(-25, 25))
        picture = ImageEnhance.Brightness(picture).enhance(chance.uniform(0.6, 1.4))
        file = io.BytesIO()
        picture.save(file, "JPEG")
        yield file.getvalue()


def test_first_run_link_is_good_for_one_administrator(site: Site, people: People) -> None:
    with site.visit(allowed=[404]) as tab:
        assert _status(tab, site.server.invitation) == 404
    with site.visit(people["administrator"]) as tab:
        tab.goto("/admin/web/user/")
        for name in PEOPLE:
            expect(tab.get_by_role("link", name=name, exact=True).first).to_be_visible()


def test_pictures_that_are_chosen_become_results_and_records(
    site: Site, people: People, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.jpg"
    notes.write_text("no picture")
    with site.visit(people["viewer"], allowed=[422]) as tab:
        tab.goto("/")
        tab.locator("#choose").set_input_files([samples.FOLDER / "espresso.jpg", notes])
        result = tab.locator(".card.result")
        expect(result.get_by_role("heading")).to_have_text("espresso")
        expect(result.locator("meter")).to_have_count(5)
        expect(result.get_by_role("img", name="What the model saw")).to_be_visible()
        expect(result).to_contain_text("efficientnet-lite0@")
        expect(tab.locator(".card.failed")).to_contain_text("notes.jpg")
        result.get_by_role("link", name="Open the record").click()
        expect(tab.get_by_role("heading", level=1)).to_contain_text("espresso")
        expect(tab.get_by_role("img", name="What the model saw")).to_be_visible()
        expect(tab.locator(".facts")).to_contain_text("Uploaded by")
        assert re.search(r"/records/[0-9a-f-]{36}$", tab.url)
        tab.goto("/history")
        expect(tab.locator("#main")).to_contain_text("espresso")


def test_ten_records_are_reviewed_by_keyboard_alone(
    site: Site, people: People, program: Program
) -> None:
    sent = program.upload(["cat", "espresso"] * 6, seed=1)
    before = site.reviews()
    said: dict[str, Verdict] = {}
    with site.visit(people["reviewer"]) as tab:
        tab.goto("/review?source=api")
        item = tab.locator(".item:visible")
        for act in ("right", "right", "other", "choice", "slip", "no use", *["other"] * 4):
            key = item.get_attribute("data-key") or ""
            said[key] = _say(tab, act, key, sent[key])
        expect(tab.locator("#reviewed")).to_have_text("10")
        expect(tab.locator("#unsaved")).to_be_hidden()
        eventually(lambda: len(site.reviews()) == len(before) + 10)
        tab.reload()
        expect(tab.locator("#to-go")).to_have_text("2")
    assert site.reviews() == {**before, **said}


def _say(tab: Tab, act: str, key: str, sent: Sent) -> Verdict:
    """Review the record ``key``, which is shown, by ``act``; what has then to be in the tables."""
    item = tab.locator(".item:visible")
    if act == "right":
        _press(tab, key, "Enter")
        return "confirmed", sent.guess
    if act == "no use":
        _press(tab, key, "x")
        return "rejected", None
    if act == "choice":
        second = item.locator("[name=choose]").nth(1).get_attribute("value")
        _press(tab, key, "2")  # 1 is the model's own.
        return "corrected", second
    if act == "slip":
        _press(tab, key, "x")
        tab.keyboard.press("u")
        expect(item).to_have_attribute("data-key", key)
    _press(tab, key, "c", *sent.truth, "Enter")
    return "confirmed" if sent.truth == sent.guess else "corrected", sent.truth


def _press(tab: Tab, key: str, *keys: str) -> None:
    """Press ``keys``, by which the record ``key`` makes room for the next one."""
    for one in keys:
        tab.keyboard.press(one)
    expect(tab.locator(".item:visible")).not_to_have_attribute("data-key", key)


@pytest.fixture(scope="module")
def dataset(
    site: Site, people: People, program: Program, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder that was unpacked from a download."""
    for key in site.reviews():  # Cats of all kinds, if other tests came before.
        program.review(key, "")
    for key, sent in program.upload(["cat", "espresso"] * 10, seed=2).items():
        program.review(key, sent.truth)
    folder = tmp_path_factory.mktemp("download")
    with site.visit(people["reviewer"]) as tab:
        tab.goto("/review?view=dataset")
        with tab.expect_download() as download:
            tab.get_by_role("link", name="Download dataset.zip").click()
        download.value.save_as(folder / "dataset.zip")
    with zipfile.ZipFile(folder / "dataset.zip") as archive:
        archive.extractall(folder / "dataset")
    return folder / "dataset"


@pytest.fixture(scope="module")
def run(dataset: Path) -> Path:
    """The folder of a run of one epoch on that dataset."""
    pytest.importorskip("torch", reason="the extra [train] is not installed")
    out = dataset.parent / "run"
    command = [sys.executable, "-m", "edge_classifier", "train", str(dataset), "--out", str(out)]
    done = subprocess.run([*command, *TINY_RUN], capture_output=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return out


def test_dataset_of_the_page_passes_the_check(dataset: Path) -> None:
    done = edge_classify("data", "check", dataset)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "training can start" in done.stdout
    assert {path.name for path in dataset.iterdir() if path.is_dir()} >= {"cat", "espresso"}


def test_model_trained_on_the_dataset_is_uploaded_chosen_and_used(
    site: Site, people: People, run: Path
) -> None:
    with site.visit(people["administrator"]) as tab:
        tab.goto("/models")
        tab.get_by_label("Name", exact=True).fill("tour")
        tab.get_by_label("Model (.tflite, or a zip with one)").set_input_files(run / "model.tflite")
        tab.get_by_label("Its report.json").set_input_files(run / "report.json")
        tab.get_by_role("button", name="Upload", exact=True).click()
        expect(tab.get_by_role("status").filter(has_text="tour")).to_be_visible()
        expect(tab.get_by_role("heading", name="Report")).to_be_visible()
        tab.goto("/models")
        tab.get_by_label("tour").get_by_role("button", name="Use for uploads").click()
        expect(tab.get_by_label("tour").locator(".tag.good")).to_be_visible()
        tab.goto("/")
        tab.locator("#choose").set_input_files(samples.FOLDER / "cat.jpg")
        result = tab.locator(".card.result")
        expect(result).to_contain_text("Model tour")
        expect(result.locator("meter").first).to_have_accessible_name("cat")
        tab.goto("/models")
        tab.get_by_role("button", name="go back to the model of the settings").click()
        expect(tab.get_by_label("tour").locator(".tag.good")).to_have_count(0)


def test_live_page_changes_by_itself_when_a_daemon_sees_something_else(
    site: Site, people: People, tmp_path: Path
) -> None:
    camera = {"source": f"pictures:{samples.FOLDER}", "picture_s": 1}
    settings = {"cameras": {"door": camera}, "decision": HASTY, "device": {"name": "tour"}}
    daemon = Daemon(tmp_path, site.broker.port, settings, tmp_path / "cache")
    with site.visit(people["viewer"]) as tab:
        tab.goto("/live")
        expect(tab.get_by_text("No device has been heard yet")).to_be_visible()
        tab.evaluate("window.isTheSame = true")
        with daemon.running():
            label = tab.locator("[data-part='tour/door'] .score strong")
            for seen in ("espresso", "unknown", "espresso"):
                expect(label).to_have_text(seen)
            expect(tab.get_by_alt_text("Last picture of door of tour")).to_be_visible()
        assert tab.evaluate("window.isTheSame")


@pytest.mark.parametrize("address", ["/review", "/review/dataset.zip", "/admin/web/user/"])
def test_viewer_is_refused_where_reviewers_and_administrators_work(
    site: Site, people: People, address: str
) -> None:
    with site.visit(people["viewer"], allowed=[403]) as tab:
        tab.goto(address)
        expect(tab.get_by_role("heading", level=1)).to_have_text("Not for you")
        expect(tab.get_by_role("link", name="Review")).to_have_count(0)


def test_visitor_is_asked_to_log_in_and_gets_no_picture(
    site: Site, people: People, program: Program
) -> None:
    (key,) = program.upload(["rocket"], seed=3)
    with site.visit() as tab:
        for address in (f"/records/{key}", "/live", "/history", "/review", "/models", "/tokens"):
            tab.goto(address)
            expect(tab.get_by_role("heading", level=1)).to_have_text("Log in")
        tab.goto("/")
        expect(tab.locator("input[type=file]")).to_have_count(0)
    for state in (None, people["viewer"]):  # It is the reviewer's.
        with site.visit(state, allowed=[404]) as tab:
            for address in (f"/pictures/{key}.jpg", f"/thumbnails/{key}.jpg"):
                assert _status(tab, address) == 404


def _status(tab: Tab, address: str) -> int:
    answer = tab.goto(address)
    assert answer
    return answer.status


def test_page_speaks_chinese_when_asked_to(site: Site, people: People) -> None:
    with site.visit(people["administrator"]) as tab:
        # Its chart comes after the page; who leaves before that has it cancelled.
        tab.goto("/history", wait_until="networkidle")
        tab.get_by_role("button", name="简体中文").click()
        expect(tab.locator("html")).to_have_attribute("lang", "zh-hans")
        tab.wait_for_load_state("networkidle")
        expect(tab.get_by_role("navigation").first).to_contain_text(re.compile("[一-鿿]{2}"))
        assert tab.url.endswith("/history")
        for address in ("/", "/live", "/review", "/models", "/tokens", "/admin/"):
            tab.goto(address)
            expect(tab.locator("html")).to_have_attribute("lang", "zh-hans")


def test_page_works_without_javascript(site: Site, people: People, program: Program) -> None:
    before = site.reviews()
    with site.visit(people["reviewer"], java_script_enabled=False) as tab:
        tab.goto("/")
        tab.locator("#choose").set_input_files(samples.FOLDER / "rocket.jpg")
        tab.get_by_role("button", name="Classify").click()
        expect(tab.locator(".facts")).to_contain_text("efficientnet-lite0@")
        tab.goto("/review")
        item = tab.locator(".item").first
        key = item.get_attribute("data-key") or ""
        item.get_by_label("Another label").fill("rocket")
        item.get_by_role("button", name="Save").click()
        expect(tab.get_by_role("button", name="Undo the last one")).to_be_visible()
        assert site.reviews() == {**before, key: ("corrected", "rocket")}


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_page_fits_on_a_narrow_phone(
    site: Site, people: People, program: Program, address: str, language: str
) -> None:
    (key,) = program.upload(["uniform"], seed=4)
    size = {"width": 360, "height": 780}
    with site.visit(people["administrator"], viewport=size, is_mobile=True) as tab:
        tab.context.add_cookies(
            [{"name": "django_language", "value": language, "url": site.server.address}]
        )
        tab.goto(address.format(key=key))
        expect(tab.locator("html")).to_have_attribute("lang", language)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360


def test_server_is_small_after_the_tour(site: Site, people: People) -> None:
    with site.visit(people["administrator"]) as tab:
        for address in ("/", "/live", "/history", "/review", "/models", "/admin/web/record/"):
            tab.goto(address)
    eventually(lambda: not _children(site.server))
    resident_mb = _status_kb(site.server, "VmRSS") * 1024 / 1e6
    print(f"the server has {resident_mb:.1f} MB")
    assert resident_mb <= LIMIT_MB


def _children(server: Page) -> str:
    assert server.process
    number = server.process.pid
    tasks = Path(f"/proc/{number}/task").iterdir()
    return "".join((task / "children").read_text() for task in tasks)


def _status_kb(server: Page, field: str) -> int:
    assert server.process
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found
    return int(found[1])
