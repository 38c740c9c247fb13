"""The models page, with the real child process; the daemon's side is played by ``Daemons``."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from edge_classifier.errors import MissingFileError, UsageError
from edge_classifier.modelfile.bundle import CARD_FILE, LABELS_FILE, append_bundle
from edge_classifier.modelfile.catalogue import (
    CATALOGUE_VARIABLE,
    MODELS_VARIABLE,
    load_catalogue,
    sha256_of,
)
from edge_classifier.web.config.settings import ClassifySettings, UploadSettings, WebSettings
from edge_classifier.web.installed_models.store import ModelStore
from edge_classifier.web.services import Services
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests import tiny
from tests.modelfile.test_model_zip import zip_file
from tests.web import making
from tests.web.installed_models.daemons import Change, Daemons
from tests.web.working import working

_CARD = "# Colours\n\n<script>alert(1)</script> <b>bold</b>\n"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    """The child process, once for all tests."""
    found = PictureWorker(ClassifySettings(), UploadSettings(), tmp_path_factory.mktemp("models"))
    yield found
    found.close()


@pytest.fixture
def models(tmp_path: Path, page: Services, change: Change, worker: PictureWorker) -> Path:
    """An empty folder of models, and a child process that tries what is uploaded."""
    folder = tmp_path / "installed"
    folder.mkdir()
    change(folders=replace(page.folders, models=folder), worker=worker)
    return folder


@pytest.fixture
def network(tmp_path: Path) -> bytes:
    """A model that names the brightest colour."""
    path = tiny.build(tmp_path / "tiny.tflite", tiny.Tiny())
    append_bundle(path, {LABELS_FILE: "red\ngreen\nblue\n", CARD_FILE: _CARD})
    return path.read_bytes()


@pytest.fixture
def store(models: Path) -> ModelStore:
    """What the page has in ``models``."""
    found: ModelStore = apps.get_app_config("web").services.models
    return found


def uploaded(client: Client, content: bytes, name: str = "", report: bytes = b"") -> str:
    """The page that an upload leads to."""
    form: dict[str, Any] = {"model": SimpleUploadedFile("../../x.tflite", content), "name": name}
    if report:
        form["report"] = SimpleUploadedFile("report.json", report)
    return client.post("/models/upload", form, follow=True).content.decode()


def report_of(sha256: str, **changed: Any) -> bytes:
    """A report.json with one label."""
    share = {"hits": 9, "count": 10, "share": 0.9, "low": 0.6, "high": 0.98}
    facts = {
        "format": 1,
        "title": "tiny on garden",
        "made": "2026-01-01T00:00:00+00:00",
        "model": {"sha256": sha256},
        "accuracy": {"top1": share},
        "labels": [{"label": "<i>red", "names": {}, "recall": share, "precision": share}],
        "confused_pairs": [{"truth": "red", "predicted": "blue", **share}],
    }
    return json.dumps({**facts, **changed}).encode()


def test_installed_are_the_embedded_ones_of_the_catalogue(page: Services) -> None:
    catalogue = load_catalogue()
    embedded = [entry for entry in catalogue.entries if entry.embedded]
    found = [model for model in page.models.installed() if not model.is_uploaded]
    assert [(one.name, one.path, one.sha256) for one in found] == [
        (entry.name, catalogue.file(entry), entry.sha256) for entry in embedded
    ]
    assert all(sha256_of(one.path) == one.sha256 for one in found)


def test_current_without_a_choice_is_the_catalogue_s_default(db: None, page: Services) -> None:
    assert (page.models.chosen(), page.models.current()) == ("", load_catalogue().default)


@pytest.fixture
def mirror(tmp_path: Path, network: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalogue of an administrator's own, with a pulled model as its default; its file."""
    folder = tmp_path / "pulled"
    folder.mkdir()
    (folder / "tiny.tflite").write_bytes(network)
    entry = """
[[model]]
name = "{name}"
file = "{name}.tflite"
title = "Colours"
input = [8, 8]
licence = "MIT"
source = "here"
sha256 = "{sha256}"
"""
    sha256 = hashlib.sha256(network).hexdigest()
    file = tmp_path / "mirror.toml"
    entries = [entry.format(name=name, sha256=sha256) for name in ("tiny", "not-pulled")]
    file.write_text('default = "tiny"\n' + "".join(entries), "utf-8")
    monkeypatch.setenv(MODELS_VARIABLE, str(folder))
    monkeypatch.setenv(CATALOGUE_VARIABLE, str(file))
    return file


def test_models_are_those_of_the_catalogue_that_the_child_process_reads(
    administrator: Client, page: Services, change: Change, mirror: Path, tmp_path: Path
) -> None:
    """The default, and what was pulled; what is not here is not listed."""
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(making.jpeg((220, 20, 20)))
    with working(page.folders.models) as worker:
        store = change(worker=worker).models
        found = worker.classify(picture, store.chosen())
    (listed,) = store.installed()
    assert (found.label, found.model) == ("red", listed.version)
    assert (listed.name, listed.title, listed.is_uploaded) == ("tiny", "Colours", False)
    assert store.current() == "tiny"
    shown = administrator.get("/models").content.decode()
    assert "Colours" in shown
    assert "efficientnet" not in shown
    assert "not-pulled" not in shown
    assert "Colours" in administrator.get("/models/tiny/report").content.decode()
    answer = administrator.post("/models/tiny/delete", follow=True).content.decode()
    assert "is not an upload, and stays" in answer.lower()


def test_chosen_is_the_administrator_s_then_the_settings(
    db: None, page: Services, change: Change
) -> None:
    store = change(settings=WebSettings(classify=ClassifySettings(model="flowers"))).models
    assert store.chosen() == "flowers"
    store.choose("efficientnet-lite0")
    assert store.chosen() == "efficientnet-lite0"
    store.choose("")
    assert store.chosen() == "flowers"
    with pytest.raises(MissingFileError):
        store.choose("../../etc/passwd")


def test_upload_is_tried_and_kept_under_a_name_of_ours(
    administrator: Client, models: Path, store: ModelStore, network: bytes
) -> None:
    page = uploaded(administrator, network, "My Gärden № 2/..")
    (path,) = models.glob("*.tflite")
    model = store.find(path.stem)
    assert path.name == f"my-garden-no-2-{model.sha256[:8]}.tflite"
    assert path.read_bytes() == network
    assert model.facts is not None
    assert (model.facts.name, model.facts.labels) == (path.stem, ("red", "green", "blue"))
    assert "has been tried, and is installed" in page


def test_upload_is_what_the_child_process_finds_by_its_name(
    administrator: Client, models: Path, store: ModelStore, network: bytes, tmp_path: Path
) -> None:
    uploaded(administrator, network, "colours")
    (model,) = (one for one in store.installed() if one.is_uploaded)
    store.choose(model.name)
    picture = tmp_path / "blue.jpg"
    picture.write_bytes(making.jpeg((20, 20, 220)))
    child = PictureWorker(ClassifySettings(), UploadSettings(), models)
    try:
        found = child.classify(picture, store.chosen())
    finally:
        child.close()
    assert (found.label, found.model) == ("blue", model.version)


def test_upload_of_a_zip_is_the_model_in_it_with_its_labels(
    administrator: Client, models: Path, store: ModelStore, tmp_path: Path
) -> None:
    plain = tiny.build(tmp_path / "plain.tflite").read_bytes()
    packed = zip_file(
        tmp_path / "garden.zip", {"model_unquant.tflite": plain, "labels.txt": b"2 c\n0 a\n1 b\n"}
    )
    page = uploaded(administrator, packed.read_bytes(), "Garden.zip")
    (path,) = models.glob("*.tflite")
    model = store.find(path.stem)
    assert path.name == f"garden-{model.sha256[:8]}.tflite"
    assert model.facts is not None
    assert model.facts.labels == ("a", "b", "c")
    assert "has been tried, and is installed" in page
    assert "is here already" in uploaded(administrator, packed.read_bytes())


def test_upload_of_a_zip_with_two_models_is_refused_and_leaves_nothing(
    administrator: Client, models: Path, tmp_path: Path
) -> None:
    packed = zip_file(tmp_path / "two.zip", {"a.tflite": b"", "b.tflite": b""})
    page = uploaded(administrator, packed.read_bytes())
    assert "one .tflite is needed" in page
    assert list(models.iterdir()) == []


@pytest.mark.parametrize(
    "content", [b"", b"no model", b"\0\0\0\0TFL3" + bytes(3000), making.jpeg(), b"PK\3\4" * 9]
)
def test_upload_that_is_no_model_is_refused_and_leaves_nothing(
    administrator: Client, models: Path, content: bytes
) -> None:
    page = uploaded(administrator, content)
    assert 'class="message error"' in page
    assert str(models) not in page.replace(f"<code>{models}</code>", "")
    assert list(models.iterdir()) == []


def test_upload_that_is_too_large_is_refused(
    administrator: Client, models: Path, change: Change, network: bytes
) -> None:
    change(settings=WebSettings(uploads=UploadSettings(model_max_mb=0.001)))
    assert "larger than 0.001 MB" in uploaded(administrator, network)


def test_upload_of_the_same_model_again_is_refused(
    administrator: Client, models: Path, network: bytes
) -> None:
    uploaded(administrator, network, "one")
    assert "is here already: one-" in uploaded(administrator, network, "two")
    assert len(list(models.glob("*.tflite"))) == 1


def test_upload_with_its_report_shows_figures_and_no_markup(
    administrator: Client, models: Path, network: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "hashed"
    path.write_bytes(network)
    page = uploaded(administrator, network, "colours", report_of(sha256_of(path)))
    assert "60.0 % to 98.0 % (95 % interval): 9 of 10 pictures right" in page
    assert "&lt;i&gt;red" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        (b"{", "is not a report"),
        (b"[" * 100_000, "is not a report"),
        (b"[]", "is not a report"),
        (b'{"format": 1}', "is not a report"),
        (report_of("0" * 64), "is the report of another model"),
        (report_of("0" * 64, format=2), "another version"),
        (report_of("0" * 64, labels=[{"label": 1}]), "is not a report"),
    ],
)
def test_upload_with_another_report_is_refused(
    administrator: Client, models: Path, network: bytes, report: bytes, problem: str
) -> None:
    assert problem in uploaded(administrator, network, "colours", report).lower()
    assert list(models.iterdir()) == []


def test_page_starts_no_child_process_until_it_is_asked(viewer: Client, page: Services) -> None:
    # ``page`` has a worker that fails when it is used.
    assert viewer.get("/models").status_code == 200
    assert "have not been read yet" in viewer.get("/models/flowers/report").content.decode()


def test_card_is_read_once(viewer: Client, models: Path, page: Services, change: Change) -> None:
    assert viewer.post("/models/flowers/report", follow=True).status_code == 200
    change(worker=page.worker)  # Again without a child process.
    shown = viewer.get("/models/flowers/report").content.decode()
    assert "held-out pictures" in shown
    assert "sunflower" in shown


def test_card_facts_that_are_damaged_are_read_again(viewer: Client, models: Path) -> None:
    viewer.post("/models/flowers/report")
    (kept,) = (models / ".facts").iterdir()
    kept.write_text('{"facts": {"labels": 3}}')
    assert "have not been read yet" in viewer.get("/models/flowers/report").content.decode()


def test_delete_of_a_model_in_use_is_refused(
    administrator: Client, models: Path, store: ModelStore, change: Change, network: bytes
) -> None:
    uploaded(administrator, network, "colours")
    (model,) = (one for one in store.installed() if one.is_uploaded)
    store.choose(model.name)
    with pytest.raises(UsageError, match="Choose another one first"):
        store.delete(model.name)
    store.choose("")
    with pytest.raises(UsageError, match="in use by pi"):
        change(live=Daemons({}, model.version)).models.delete(model.name)
    change(live=None)
    administrator.post(f"/models/{model.name}/delete")
    assert not [path for path in models.rglob("*") if path.is_file()]


def test_delete_of_an_embedded_model_is_refused(administrator: Client, page: Services) -> None:
    shown = administrator.post("/models/flowers/delete", follow=True).content.decode()
    assert "is not an upload, and stays" in shown.lower()
    assert page.models.find("flowers").path.is_file()


@pytest.mark.parametrize("name", ["nothing", "..", "%2e%2e%2fetc", "flowers.tflite"])
def test_report_of_no_model_is_not_found(viewer: Client, name: str) -> None:
    assert viewer.get(f"/models/{name}/report").status_code == 404


@pytest.mark.parametrize("path", ["upload", "choose", "switch", "flowers/delete", "flowers/send"])
def test_changes_are_for_administrators(reviewer: Client, visitor: Client, path: str) -> None:
    assert reviewer.post(f"/models/{path}").status_code == 403
    assert visitor.post(f"/models/{path}").status_code == 302
    assert visitor.get("/models").status_code == 302
