"""Pictures that programs send, with a real child process that looks at them."""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from edge_classifier.samples import CAT, FOLDER
from edge_classifier.web.config.settings import AccessSettings, UploadSettings
from edge_classifier.web.models import Record
from edge_classifier.web.services import Services
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.web.api.client import Program, problem, program
from tests.web.conftest import FOLDERS, SETTINGS
from tests.web.making import jpeg
from tests.web.working import working

BROKEN = CAT.read_bytes()[:4000]


@pytest.fixture(scope="module")
def worker() -> Iterator[PictureWorker]:
    """One child for all tests here: none of them is about its life."""
    with working(FOLDERS.models) as found:
        yield found


Setting = Callable[..., None]


@pytest.fixture(autouse=True)
def setting(worker: PictureWorker, change: Callable[..., Services]) -> Setting:
    """The page has a worker, and settings that a test may change."""

    def put(**changed: Any) -> None:
        change(worker=worker, settings=replace(SETTINGS, **changed))

    put()
    cache.clear()
    return put


@pytest.fixture
def ann(db: None) -> Program:
    """A program of a viewer."""
    return program("viewer", "ann")


def form(*files: bytes, name: str = "picture.jpg") -> dict[str, Any]:
    """A form with these files."""
    return {"data": {"file": [SimpleUploadedFile(name, file) for file in files]}}


def test_picture_in_a_form_is_classified_and_kept(ann: Program) -> None:
    answer = ann.ask("post", "/classify", **form(CAT.read_bytes(), name="my cat.jpg"))
    [told] = answer.json()["results"]
    assert told["file"] == "my cat.jpg"
    assert told["label"] == "cat"
    assert told["top"][0]["label"] == told["label"]
    assert "猫" in told["top"][0]["chinese"]
    assert set(told["crop"]) == {"left", "top", "width", "height"}
    assert told["timings_ms"]["inference"] > 0
    record = ann.get(f"/records/{told['saved']['key']}")
    assert record["links"] == told["saved"]["links"]
    for key in ("label", "model", "crop", "top"):
        assert record[key] == told[key]
    assert (record["source"], Record.objects.get().owner) == ("api", ann.user)


def test_picture_as_the_body_is_classified(ann: Program) -> None:
    request = {"data": (FOLDER / "espresso.jpg").read_bytes(), "content_type": "image/jpeg"}
    [told] = ann.ask("post", "/classify", **request).json()["results"]
    assert (told["label"], told["file"]) == ("espresso", "body")
    picture = ann.ask("get", f"/records/{told['saved']['key']}/picture")
    assert Image.open(io.BytesIO(picture.content)).size == (told["width"], told["height"])


def test_picture_is_not_kept_if_it_is_not_to_be(ann: Program) -> None:
    answer = ann.ask("post", "/classify?save=false", **form(jpeg()))
    assert answer.json()["results"][0]["saved"] is None
    assert not Record.objects.exists()


def test_pictures_that_are_good_are_classified_beside_those_that_are_not(ann: Program) -> None:
    answer = ann.ask("post", "/classify", **form(jpeg(), BROKEN, CAT.read_bytes()))
    first, second, third = answer.json()["results"]
    assert answer.status_code == 200
    assert second["problem"]["status"] == 422
    assert set(second) == {"file", "problem"}
    assert first["saved"]["key"] != third["saved"]["key"]
    assert Record.objects.count() == 2


@pytest.mark.parametrize(
    ("picture", "status"),
    [
        (BROKEN, 422),
        (b"", 422),
        (b"GIF89a", 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422),
        (b"\xff\xd8" + b"\0" * 30_000, 413),
    ],
)
@pytest.mark.parametrize("as_form", [True, False])
def test_picture_that_cannot_be_classified_is_a_problem(
    ann: Program, setting: Setting, picture: bytes, status: int, *, as_form: bool
) -> None:
    setting(uploads=UploadSettings(max_mb=0.02))
    # By its name in WSGI, as the client leaves it out where there is no body.
    raw = {"data": picture, "content_type": "image/jpeg", "CONTENT_TYPE": "image/jpeg"}
    answer = ann.ask("post", "/classify", **(form(picture) if as_form else raw))
    found = problem(answer)
    assert found["status"] == status
    # What helps at a command line, and formats of files that nobody uploads.
    assert not re.search(r"--|PPM", answer.content.decode())
    assert str(FOLDERS.state) not in answer.content.decode()
    assert not Record.objects.exists()
    assert not list(FOLDERS.scratch.iterdir())


def test_picture_that_is_too_large_does_not_stop_the_others(ann: Program, setting: Setting) -> None:
    setting(uploads=UploadSettings(max_mb=0.02))
    answer = ann.ask("post", "/classify", **form(b"\0" * 30_000, jpeg()))
    good, large = answer.json()["results"]
    assert good["label"]
    assert (large["file"], large["problem"]["status"]) == ("picture.jpg", 413)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"data": "{}", "content_type": "application/json"}, 415),
        ({"data": jpeg(), "content_type": "application/x-www-form-urlencoded"}, 415),
        ({"data": jpeg(), "content_type": ""}, 415),
        ({"data": {"picture": SimpleUploadedFile("a.jpg", jpeg())}}, 422),
        ({"data": {"file": "no file"}}, 422),
        ({"data": {}}, 422),
        ({"data": b"--x\r\nno", "content_type": "multipart/form-data; boundary=x"}, 422),
        ({"data": b"no", "content_type": "multipart/form-data"}, 400),
        (form(*[b"x"] * (SETTINGS.uploads.at_once + 1)), 413),
        ({"data": jpeg(), "content_type": "image/jpeg", "query_params": {"save": "x"}}, 422),
    ],
)
def test_request_without_a_picture_is_a_problem(
    ann: Program, request_: dict[str, Any], status: int
) -> None:
    assert problem(ann.ask("post", "/classify", **request_))["status"] == status
    assert not list(FOLDERS.scratch.iterdir())


def test_name_of_a_file_is_text_and_nothing_else(ann: Program) -> None:
    answer = ann.ask("post", "/classify", **form(jpeg(), name="../../<script>猫\0.jpg"))
    [told] = answer.json()["results"]
    assert "/" not in told["file"]
    assert answer["Content-Type"].startswith("application/json")
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_pictures_beyond_the_limit_have_to_wait(ann: Program, setting: Setting) -> None:
    setting(access=AccessSettings(uploads_per_hour=2))
    assert ann.ask("post", "/classify", **form(jpeg(), BROKEN)).status_code == 200
    answer = ann.ask("post", "/classify", **form(jpeg()))
    assert "2 pictures an hour" in problem(answer)["detail"]
    assert answer.status_code == 429
    assert 3540 <= int(answer["Retry-After"]) <= 3660
    assert program("viewer", "ben").ask("post", "/classify", **form(jpeg())).status_code == 200


def test_picture_is_a_problem_of_ours_if_the_model_has_gone(
    ann: Program, change: Callable[..., Services]
) -> None:
    with working(FOLDERS.models, model="gone") as without:
        change(worker=without)
        answer = ann.ask("post", "/classify", **form(jpeg()))
    assert problem(answer)["status"] == 503
