"""Storage that fails: each page and each address of the API says so, and none is a bug's."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import requests
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings

from edge_classifier.web.config.settings import StorageSettings, WebSettings
from edge_classifier.web.django_settings import storage_backend
from edge_classifier.web.models import Picture, Record, User
from edge_classifier.web.worker.messages import Classified, CropBox, LabelScore
from tests.ports import free_port
from tests.waiting import eventually
from tests.web import making
from tests.web.conftest import FOLDERS
from tests.web.serving import PASSWORD, Page, hidden_token, prepare


class Worker:
    """Classifies everything as a cat."""

    def classify(self, *_: object) -> Classified:
        jpeg = making.jpeg()
        return Classified(
            label="cat",
            top=(LabelScore("cat", "", 0.9),),
            model="test@00000000",
            jpeg=jpeg,
            thumbnail=jpeg,
            width=64,
            height=48,
            crop=CropBox(0, 0, 1, 1),
            timings_ms={},
        )

    def thumbnail(self, _jpeg: bytes) -> bytes:
        return making.jpeg()


def bucket_that_is_away(_: Path) -> dict[str, Any]:
    pytest.importorskip("storages", reason="the extra [fleet] is not installed")
    address = f"http://127.0.0.1:{free_port()}"
    chosen = WebSettings(storage=StorageSettings(bucket="pictures", endpoint=address))
    return storage_backend(chosen, FOLDERS)


def folder_that_is_none(tmp_path: Path) -> dict[str, Any]:
    """What stands in its place is a file: as with a share that another thing is mounted over."""
    file = tmp_path / "pictures"
    file.write_bytes(b"")
    options = {**storages.backends["default"]["OPTIONS"], "location": str(file)}
    return {**storages.backends["default"], "OPTIONS": options}


@pytest.fixture(params=[bucket_that_is_away, folder_that_is_none])
def away(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Any,
    administrator: Client,
) -> Iterator[Record]:
    """A reviewed record whose picture was kept while storage still worked."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    change(worker=Worker())
    label = making.label("cat")
    made = making.upload("cat", picture=making.jpeg((9, 9, 9)), verdict="confirmed", truth=label)
    with override_settings(STORAGES={**storages.backends, "default": request.param(tmp_path)}):
        yield made


@pytest.fixture
def browser(administrator: Client) -> Client:
    administrator.raise_request_exception = False
    return administrator


def said(response: Any) -> str:
    return b"".join(response).decode("utf-8", "replace")


@pytest.mark.parametrize("address", ["/pictures/{}.jpg", "/review/dataset.zip"])
def test_page_with_pictures_says_that_storage_does_not_answer(
    away: Record, browser: Client, address: str
) -> None:
    response: Any = browser.get(address.format(away.key))
    assert (response.status_code, response["Retry-After"]) == (503, "30")
    text = said(response)
    assert "The storage of pictures does not answer" in text
    for detail in ("127.0.0.1", "boto", "Errno", str(FOLDERS.state)):
        assert detail not in text


def test_thumbnail_is_a_placeholder_that_is_not_kept(away: Record, browser: Client) -> None:
    response: Any = browser.get(f"/thumbnails/{away.key}.jpg")
    assert response.status_code in (302, 503)
    assert "max-age" not in response.get("Cache-Control", "")


@pytest.mark.parametrize("address", ["/", "/history", "/review", "/records/{}", "/live", "/models"])
def test_other_pages_go_on(away: Record, browser: Client, address: str) -> None:
    assert browser.get(address.format(away.key)).status_code == 200


def test_upload_is_refused_with_a_sentence_and_leaves_no_record(
    away: Record, browser: Client
) -> None:
    file = SimpleUploadedFile("cat.jpg", making.jpeg())
    response: Any = browser.post("/classify", {"pictures": file})
    assert response.status_code == 503
    assert "cannot be kept" in said(response)
    assert list(Record.objects.all()) == [away]
    assert Picture.objects.count() == 1


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/api/v1/records/{}/picture"),
        ("delete", "/api/v1/records/{}"),
        ("post", "/api/v1/classify"),
    ],
)
def test_api_answers_with_a_problem(
    away: Record, browser: Client, method: str, address: str
) -> None:
    sent: dict[str, Any] = {"data": making.jpeg(), "content_type": "image/jpeg"}
    response = getattr(browser, method)(
        address.format(away.key), **(sent if method == "post" else {})
    )
    assert response.status_code in (503, 507)
    assert response["Content-Type"] == "application/problem+json"
    assert "pictures: cannot be" in response.json()["detail"]
    assert "127.0.0.1" not in response.json()["detail"]


def test_deletion_says_that_the_picture_is_tried_again(away: Record, browser: Client) -> None:
    form = {"what": "selected", "key": str(away.key), "confirmed": "1"}
    response: Any = browser.post("/history/delete", form, follow=True)
    assert response.status_code == 200
    assert "A picture could not be deleted just now" in said(response)
    assert Picture.objects.count() == 1


def test_deletion_in_the_administration_says_so(away: Record, browser: Client) -> None:
    response: Any = browser.post(f"/admin/web/record/{away.pk}/delete/", {"post": "yes"})
    assert response.status_code == 503
    assert "The storage of pictures does not answer" in said(response)


def test_dataset_with_storage_is_a_whole_zip(administrator: Client) -> None:
    making.upload("cat", verdict="confirmed", truth=making.label("cat"))
    assert User.objects.exists()
    content = b"".join(administrator.get("/review/dataset.zip"))
    assert ZipFile(io.BytesIO(content)).testzip() is None


def test_log_says_in_a_line_what_storage_has_said(tmp_path: Path) -> None:
    prepare(tmp_path, "anna")
    with Page(tmp_path) as page:
        cookies = page.log_in("anna", PASSWORD).cookies.values()
        cookie = "; ".join(line.partition(";")[0] for line in cookies)
        token = hidden_token(page.ask("/", headers={"Cookie": cookie}).body)
        fields: dict[str, Any] = {
            "csrfmiddlewaretoken": (None, token),
            "pictures": ("a.jpg", making.jpeg()),
        }
        sent = requests.post(
            f"{page.address}/classify",
            files=fields,
            headers={"Cookie": cookie},
            timeout=60,
            allow_redirects=False,
        )
        assert sent.status_code == 302
        shutil.rmtree(tmp_path / "pictures")
        (tmp_path / "pictures").write_bytes(b"")
        key = sent.headers["Location"].rpartition("/")[2]
        assert page.ask(f"/pictures/{key}.jpg", headers={"Cookie": cookie}).status == 503
        eventually(lambda: "pictures: cannot be read just now [Errno 20]" in page.said)
        assert "Traceback" not in page.said
