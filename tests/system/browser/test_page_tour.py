"""A tour through the page as its users take it: a real browser, server, broker and daemon."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("django", reason="the extra [web] is not installed")
pytest.importorskip("playwright", reason="playwright is not installed: no browser can be driven")

from playwright.sync_api import Page as Tab
from playwright.sync_api import StorageState, expect

from edge_classifier import samples
from tests import browsing
from tests.conftest import REPOSITORY
from tests.mosquitto import Broker
from tests.ports import HOST
from tests.running_daemon import HASTY, Daemon
from tests.system.browser.tour import Program, Sent, Site, Verdict, choose_password, log_in
from tests.waiting import eventually
from tests.web.serving import Page, edge_classify

pytestmark = pytest.mark.system

PEOPLE = ("administrator", "reviewer", "viewer")
LIMIT_MB = 90
SETTINGS = ("classify.idle_s=1", f"mqtt.host={HOST}")
TINY_RUN = (
    *("--size", "96", "--epochs", "1", "--device", "cpu", "--workers", "0"),
    *("--set", "head.epochs=5", "--set", "quantize.epochs=1", "--set", "data.held_out=0.4"),
)
ADDRESSES = (
    *(
        "/",
        "/classify",
        "/live",
        "/history",
        "/models",
        "/tokens",
        "/password",
        "/login",
        "/records/{key}",
    ),
    *(
        "/review",
        "/review?view=piles",
        "/review?view=grid",
        "/review?view=dataset",
        "/review/compare",
    ),
    "/models/mobilenet-v2-int8/report",
)
People = dict[str, StorageState]


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
        settings = (*SETTINGS, f"mqtt.port={broker.port}")
        # The first start takes the most memory.
        with Page(folder / "state", settings, is_first_start=True) as server:
            yield Site(server, broker, browser)


@pytest.fixture(scope="module")
def people(site: Site) -> People:
    """Cookies of one person a role; all accounts are made on the page."""
    with site.visit() as tab:
        tab.goto(site.server.invitation)
        tab.get_by_label("Username").fill("administrator")
        choose_password(tab)
        tab.get_by_role("button", name="Make the administrator").click()
        expect(tab.get_by_text("You are the administrator")).to_be_visible()
        states = {"administrator": tab.context.storage_state()}
        for name in ("reviewer", "viewer"):
            tab.goto("/admin/web/user/add/")
            tab.get_by_label("Username").fill(name)
            tab.get_by_label("Role").select_option(name)
            choose_password(tab)
            tab.get_by_role("button", name="Save", exact=True).click()
            expect(tab.locator(".messagelist .success")).to_contain_text(name)
    return {**states, **{name: log_in(site, name) for name in ("reviewer", "viewer")}}


@pytest.fixture(scope="module")
def program(site: Site, people: People) -> Program:
    """A program of the reviewer's, whose token is made on the page."""
    with site.visit(people["reviewer"]) as tab:
        tab.goto("/tokens")
        tab.get_by_label("What is it for?").fill("tour")
        tab.get_by_role("button", name="Make a token").click()
        return Program(site, tab.get_by_label("Copy it now").input_value())


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
        tab.goto("/classify")
        tab.locator("#choose").set_input_files([samples.FOLDER / "espresso.jpg", notes])
        result = tab.locator(".card.result")
        expect(result.get_by_role("heading")).to_have_text("espresso")
        # How many come behind it is the model's affair.
        expect(result.locator("meter").first).to_have_accessible_name("espresso")
        expect(result.get_by_role("img", name="What the model saw")).to_be_visible()
        expect(result).to_contain_text("mobilenet-v2-int8@")
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
        other = item.locator("[name=choose]").first.get_attribute("value")
        _press(tab, key, "1")
        return "corrected", other
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
        tab.get_by_text("Name and report").click()
        tab.get_by_label("Name", exact=True).fill("tour")
        tab.get_by_label("Drop a .tflite").set_input_files(run / "model.tflite")
        tab.get_by_label("Its report.json").set_input_files(run / "report.json")
        tab.get_by_role("button", name="Upload", exact=True).click()
        expect(tab.get_by_role("status").filter(has_text="tour")).to_be_visible()
        expect(tab.get_by_role("heading", name="Report")).to_be_visible()
        tab.goto("/models")
        model = tab.get_by_role("region", name=re.compile("^tour-"))
        model.get_by_role("button", name="Use for uploads").click()
        expect(model.locator(".badge.good")).to_be_visible()
        tab.goto("/classify")
        tab.locator("#choose").set_input_files(samples.FOLDER / "cat.jpg")
        result = tab.locator(".card.result")
        expect(result).to_contain_text("Model tour")
        expect(result.locator("meter").first).to_have_accessible_name("cat")
        tab.goto("/models")
        tab.get_by_role("button", name="go back to the model of the settings").click()
        expect(model.locator(".badge.good")).to_have_count(0)


def test_live_page_changes_by_itself_when_a_daemon_sees_something_else(
    site: Site, people: People, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for kind in ("cat", "espresso"):
        shutil.copy(samples.FOLDER / f"{kind}.jpg", pictures)
    camera = {"source": f"pictures:{pictures}", "picture_s": 2}
    settings = {"cameras": {"door": camera}, "decision": HASTY, "device": {"name": "tour"}}
    daemon = Daemon(tmp_path, site.broker.port, settings, tmp_path / "cache")
    with site.visit(people["viewer"]) as tab:
        tab.goto("/live")
        expect(tab.get_by_text("No device has been heard yet")).to_be_visible()
        tab.evaluate("window.isTheSame = true")
        with daemon.running():
            label = tab.locator("[data-part='tour/door'] .score strong")
            for seen in ("espresso", "cat", "espresso"):
                expect(label).to_have_text(seen)
            expect(tab.get_by_alt_text("Last picture of door")).to_be_visible()
            expect(tab.locator(".moving canvas")).to_be_visible()
            assert tab.evaluate("window.isTheSame")
            tab.get_by_role("link", name="door").click()
            expect(tab.get_by_role("heading", level=1, name="door")).to_be_visible()
            expect(tab.locator(".moving canvas")).to_be_visible()


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
        tab.goto("/classify")
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
        tab.locator(".menu summary").click()
        tab.get_by_role("button", name="简体中文").click()
        expect(tab.locator("html")).to_have_attribute("lang", "zh-hans")
        tab.wait_for_load_state("networkidle")
        expect(tab.get_by_role("navigation").first).to_contain_text(re.compile("[一-鿿]{2}"))
        assert tab.url.endswith("/history")
        for address in ("/classify", "/live", "/review", "/models", "/tokens", "/admin/"):
            tab.goto(address)
            expect(tab.locator("html")).to_have_attribute("lang", "zh-hans")


def test_page_works_without_javascript(site: Site, people: People, program: Program) -> None:
    before = site.reviews()
    with site.visit(people["reviewer"], java_script_enabled=False) as tab:
        tab.goto("/classify")
        tab.locator("#choose").set_input_files(samples.FOLDER / "rocket.jpg")
        tab.get_by_role("button", name="Classify").click()
        expect(tab.locator(".facts")).to_contain_text("mobilenet-v2-int8@")
        tab.goto("/review")
        item = tab.locator(".item").first
        key = item.get_attribute("data-key") or ""
        item.get_by_label("Another label").fill("rocket")
        item.get_by_role("button", name="Save").click()
        expect(tab.get_by_role("button", name="Undo the last one")).to_be_visible()
        assert site.reviews() == {**before, key: ("corrected", "rocket")}


@pytest.fixture(scope="module")
def key(program: Program) -> str:
    """A record that is looked at, and stays as it is."""
    (one,) = program.upload(["uniform"], seed=4)
    return one


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_page_fits_on_a_narrow_phone(
    site: Site, people: People, key: str, address: str, language: str
) -> None:
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
        for address in ("/classify", "/live", "/review", "/models", "/admin/web/record/"):
            tab.goto(address)
        # Its chart comes after the page.
        tab.goto("/history", wait_until="networkidle")
    eventually(lambda: not _children(site.server))

    def resident_mb() -> float:
        return _status_kb(site.server, "VmRSS") * 1024 / 1e6

    # What is free goes back to the system twice a minute.
    eventually(lambda: resident_mb() <= LIMIT_MB, within_s=70)
    print(f"the server has {resident_mb():.1f} MB")


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
