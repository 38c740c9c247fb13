"""Uploading on the page, and the pages of what was recognized."""

import uuid
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings
from django.utils import timezone

from edge_classifier.samples import CAT
from edge_classifier.web.classify import uploads
from edge_classifier.web.config.settings import AccessSettings, UploadSettings
from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.records import picture_storage
from edge_classifier.web.services import Services
from edge_classifier.web.worker.messages import Classified, CropBox, LabelScore
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.web import making
from tests.web.conftest import SETTINGS
from tests.web.working import decoded, encoded, image, working

_BAD = ("bad.jpg", b"no picture")
_GOOD = ("good.jpg", encoded(image()))
Change = Callable[..., Services]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    """One child for all tests of this file."""
    with working(tmp_path_factory.mktemp("models")) as found:
        yield found


@pytest.fixture
def change(change: Change, worker: PictureWorker) -> Change:
    """As everywhere, but the worker stays."""
    return partial(change, worker=worker)


@pytest.fixture(autouse=True)
def _installed(change: Change) -> None:
    cache.clear()  # Uploads of tests before this one count as well.
    change()


@pytest.fixture
def opened(change: Change) -> Services:
    """The page is open for visitors."""
    return change(settings=replace(SETTINGS, access=AccessSettings(allow_anonymous_uploads=True)))


def _send(client: Client, *files: tuple[str, bytes], **headers: str) -> Any:
    pictures = [SimpleUploadedFile(name, content) for name, content in files]
    return client.post("/classify", {"pictures": pictures}, headers=headers)


def _body(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def _status(client: Client, path: str) -> int:
    response = client.get(path)
    if response.streaming:
        _body(response)  # At its end the client closes the file.
    return int(response.status_code)


def _classified(*top: LabelScore, label: str = "", jpeg: bytes | None = None) -> Classified:
    return Classified(
        jpeg=jpeg or making.jpeg(),
        thumbnail=making.jpeg(size=(32, 24)),
        width=64,
        height=48,
        label=label or top[0].label,
        top=top,
        crop=CropBox(0.125, 0.0, 0.75, 1.0),
        timings_ms={"decode": 1.23456},
        model="test@00000000",
    )


_SOURCE = Record.Source("upload")
_CAT = LabelScore("cat", "猫", 0.7)
_DOG = LabelScore("dog", "", 0.2)


def _save(classified: Classified, owner: User | None = None) -> Record:
    return uploads.save(classified, source=_SOURCE, owner=owner)


def test_save_keeps_all_that_was_found(db: None) -> None:
    record = Record.objects.get(key=_save(_classified(_CAT, _DOG)).key)
    assert (record.label.name, record.label.chinese) == ("cat", "猫")
    assert record.score == 0.7
    assert record.margin == pytest.approx(0.5)
    assert record.top == [["cat", 0.7], ["dog", 0.2]]
    assert record.detail["crop"] == [0.125, 0.0, 0.75, 1.0]
    assert record.detail["timings_ms"] == {"decode": 1.23}
    assert record.day == timezone.localdate(record.at)
    assert record.label.first_seen == record.at
    assert (
        picture_storage.read(picture_storage.picture_name(record.picture.sha256)) == making.jpeg()
    )
    assert default_storage.exists(picture_storage.thumbnail_name(record.picture.sha256))


def test_save_with_one_label_has_its_score_as_margin(db: None) -> None:
    assert _save(_classified(_CAT)).margin == 0.7


def test_save_unknown_keeps_the_score_of_the_best(db: None) -> None:
    record = _save(_classified(_CAT, _DOG, label="unknown"))
    assert (record.label.name, record.label.chinese, record.score) == ("unknown", "", 0.7)


def test_save_fills_what_a_label_lacks_and_changes_nothing_else(db: None) -> None:
    long_ago = timezone.now() - timedelta(days=9)
    Label.objects.create(name="cat", chinese="小猫", first_seen=long_ago)
    Label.objects.create(name="dog")
    _save(_classified(_CAT))
    _save(_classified(LabelScore("dog", "狗", 0.9)))
    cat, dog = Label.objects.order_by("name")
    assert (cat.chinese, cat.first_seen) == ("小猫", long_ago)
    assert dog.chinese == "狗"
    assert dog.first_seen


def test_save_names_that_are_too_long_are_cut(db: None) -> None:
    record = _save(replace(_classified(LabelScore("x" * 300, "字" * 300, 0.5)), model="m" * 300))
    record.full_clean(exclude=["picture"])
    assert len(record.label.name) == len(record.label.chinese) == len(record.model) == 200


def test_save_same_picture_twice_is_two_records_of_one_file(db: None) -> None:
    first, second = _save(_classified(_CAT)), _save(_classified(_CAT))
    assert first.key != second.key
    assert first.picture == second.picture


def test_upload_of_one_leads_to_its_record(viewer: Client) -> None:
    response = _send(viewer, ("cat.jpg", CAT.read_bytes()))
    record = Record.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/records/{record.key}")
    assert record.label.name == "cat"
    assert record.owner.username == "viewer"
    page = viewer.get(response["Location"]).content.decode()
    assert record.label.name in page
    assert record.model in page
    assert f'src="/pictures/{record.key}.jpg"' in page
    assert "<rect " in page
    assert "inference" in page


def test_upload_of_several_leads_to_a_page_of_all(viewer: Client) -> None:
    response = _send(viewer, ("cat.jpg", CAT.read_bytes()), _GOOD)
    page = viewer.get(response["Location"]).content.decode()
    for record in Record.objects.all():
        assert f'href="/records/{record.key}"' in page


def test_upload_with_a_bad_one_keeps_the_good_ones(viewer: Client) -> None:
    response = viewer.post(
        "/classify",
        {
            "pictures": [
                SimpleUploadedFile(*file) for file in (_GOOD, _BAD, ("cat.jpg", CAT.read_bytes()))
            ]
        },
        follow=True,
    )
    assert Record.objects.count() == 2
    assert b"bad.jpg: This picture cannot be taken: it is not a picture." in response.content


def test_upload_with_one_too_large_keeps_the_others(viewer: Client, change: Change) -> None:
    change(settings=replace(SETTINGS, uploads=UploadSettings(max_mb=0.1)))
    large = ("large.jpg", b"\0" * 200_000)
    response = _send(viewer, large, _GOOD, large)
    record = Record.objects.get()
    assert response["Location"] == f"/records/{record.key}"
    assert viewer.get(response["Location"]).content.count(b"large.jpg: This file is larger") == 2


def test_upload_without_a_picture_is_asked_for_one(viewer: Client) -> None:
    response = viewer.post("/classify")
    assert response.status_code == 400
    assert b"Choose a picture first." in response.content


def test_upload_of_too_many_files_is_refused_in_words(viewer: Client) -> None:
    response = _send(viewer, *[_GOOD] * (SETTINGS.uploads.at_once + 1))
    assert response.status_code == 400
    assert b"At most 20 files" in response.content
    assert not Record.objects.exists()


def test_upload_of_a_script_answers_with_a_fragment(viewer: Client) -> None:
    good, bad = (_send(viewer, file, **{"X-Fragment": "1"}) for file in (_GOOD, _BAD))
    assert (good.status_code, good["X-Fragment"]) == (200, "1")
    assert (bad.status_code, bad["X-Fragment"]) == (422, "1")
    assert b"<html" not in good.content + bad.content
    assert f'href="/records/{Record.objects.get().key}"'.encode() in good.content
    assert b"bad.jpg" in bad.content


def test_upload_when_the_disk_is_full_is_told(viewer: Client) -> None:
    broken = deepcopy(django_settings.STORAGES)
    broken["default"]["OPTIONS"]["location"] = "/dev/full/pictures"
    with override_settings(STORAGES=broken):
        response = _send(viewer, _GOOD)
    assert response.status_code == 503
    assert b"cannot be kept" in response.content
    assert not Record.objects.exists()


def test_upload_of_a_visitor_is_refused_unless_it_is_allowed(visitor: Client) -> None:
    assert b'type="file"' not in visitor.get("/").content
    response = _send(visitor, _GOOD)
    assert (response.status_code, response["Location"]) == (302, "/login?next=/classify")
    assert not Record.objects.exists()


def test_upload_of_a_visitor_is_theirs_alone(visitor: Client, opened: Services) -> None:
    assert b'type="file"' in visitor.get("/").content
    assert _send(visitor, _GOOD).status_code == 302
    record = Record.objects.get()
    assert record.owner is None
    paths = [f"/pictures/{record.key}.jpg", f"/thumbnails/{record.key}.jpg"]
    page = f"/records/{record.key}"
    assert [_status(visitor, path) for path in (page, *paths)] == [200, 200, 200]
    other = Client()
    assert [_status(other, path) for path in (page, *paths)] == [302, 404, 404]
    assert b"card result" not in other.get(f"/classify?records={record.key}").content


def test_uploads_of_a_visitor_are_limited(visitor: Client, change: Change) -> None:
    access = AccessSettings(allow_anonymous_uploads=True, anonymous_uploads_per_hour=2)
    change(settings=replace(SETTINGS, access=access))
    assert _send(visitor, _GOOD, _GOOD).status_code == 302
    response = _send(Client(), _GOOD)
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 3660
    assert b"Too many pictures within an hour" in response.content
    assert Record.objects.count() == 2


def test_uploads_of_a_viewer_are_hidden_from_other_viewers(
    viewer: Client, reviewer: Client
) -> None:
    _send(viewer, _GOOD)
    other = Client()
    other.force_login(User.objects.create_user("other", role="viewer"))
    path = f"/records/{Record.objects.get().key}"
    assert [c.get(path).status_code for c in (viewer, reviewer, other)] == [200, 200, 404]


def test_record_of_an_event_without_a_picture_is_shown(viewer: Client) -> None:
    event = making.event("dog", before="cat", seq=7, delay_ms=12.3)
    page = viewer.get(f"/records/{event.key}").content.decode()
    for text in ("dog", "cat", "pi/front", "12.3 ms", "There is no picture"):
        assert text in page
    assert viewer.get(f"/pictures/{event.key}.jpg").status_code == 404
    assert viewer.get(f"/thumbnails/{event.key}.jpg").status_code == 404


def test_record_that_was_reviewed_says_by_whom(viewer: Client, reviewer: Client) -> None:
    event = making.event("dog", picture=making.jpeg())
    event.verdict, event.truth = Record.Verdict.CORRECTED, making.label("wolf")
    event.reviewer, event.reviewed_at = User.objects.get(username="reviewer"), timezone.now()
    event.save()
    page = viewer.get(f"/records/{event.key}").content.decode()
    assert "corrected" in page
    assert "wolf" in page
    assert "reviewer" in page
    assert "<svg viewBox" not in page  # The crop of an event is not known.


def test_record_in_chinese_has_chinese_labels(viewer: Client) -> None:
    record = _save(_classified(_CAT, _DOG), User.objects.get(username="viewer"))
    page = viewer.get(f"/records/{record.key}", headers={"Accept-Language": "zh-hans"})
    assert "猫" in page.content.decode()
    assert ">cat<" not in page.content.decode()
    assert "dog" in page.content.decode()


def test_record_of_a_model_with_markup_in_its_labels_is_harmless(viewer: Client) -> None:
    evil = LabelScore("<script>x()</script>", "<b>", 0.9)
    owner = User.objects.get(username="viewer")
    record = _save(replace(_classified(evil), model="<i>@00000000"), owner)
    for path in (f"/records/{record.key}", f"/classify?records={record.key}"):
        page = viewer.get(path, headers={"Accept-Language": "zh-hans"}).content
        assert not any(text in page for text in (b"<script>x", b"<b>", b"<i>"))
        assert b"&lt;b&gt;" in page


def test_record_that_is_not_there_is_not_found(viewer: Client) -> None:
    assert viewer.get(f"/records/{uuid.uuid4()}").status_code == 404
    assert viewer.get("/classify?records=nonsense,,1").status_code == 200


def test_pages_ask_the_database_a_fixed_number_of_times(
    viewer: Client, django_assert_max_num_queries: Any
) -> None:
    owner = User.objects.get(username="viewer")
    records = [_save(_classified(LabelScore(f"l{i}", "", 0.5)), owner) for i in range(20)]
    keys = ",".join(str(record.key) for record in records)
    viewer.get("/")  # Once a day the session is written.
    with django_assert_max_num_queries(3):  # Session, user, records.
        page = viewer.get(f"/classify?records={keys}")
    assert page.content.count(b"card result") == 20
    with django_assert_max_num_queries(5):  # And those before and after it.
        viewer.get(f"/records/{records[0].key}")
    with django_assert_max_num_queries(3):
        assert _body(viewer.get(f"/thumbnails/{records[0].key}.jpg"))


def test_picture_is_sent_with_careful_headers(viewer: Client) -> None:
    at = datetime(2026, 3, 2, 20, 13, 22, tzinfo=timezone.get_current_timezone())
    event = making.event("cat", at=at, picture=making.jpeg())
    response = viewer.get(f"/pictures/{event.key}.jpg")
    assert _body(response) == making.jpeg()
    assert response["Content-Type"] == "image/jpeg"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, max-age=31536000, immutable"
    assert response["Content-Disposition"] == 'inline; filename="cat-20260302-201322.jpg"'
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_picture_whose_file_is_gone_is_not_found(viewer: Client) -> None:
    event = making.event(picture=making.jpeg((1, 2, 3)))
    picture_storage.remove(event.picture.sha256)
    assert viewer.get(f"/pictures/{event.key}.jpg").status_code == 404
    assert viewer.get(f"/thumbnails/{event.key}.jpg").status_code == 302


def test_thumbnail_of_a_snapshot_is_made_once(viewer: Client, change: Change) -> None:
    event = making.event(picture=encoded(image((1280, 720))))
    path = f"/thumbnails/{event.key}.jpg"
    assert decoded(_body(viewer.get(path))).size == (320, 180)
    worker: Any = None
    change(worker=worker)
    assert decoded(_body(viewer.get(path))).size == (320, 180)


def test_thumbnail_of_a_snapshot_that_is_none_is_a_placeholder(viewer: Client) -> None:
    event = making.event(picture=b"\xff\xd8 no picture")
    response = viewer.get(f"/thumbnails/{event.key}.jpg")
    assert (response.status_code, response["Location"]) == (302, "/static/web/no-picture.svg")
    assert response["Cache-Control"] == "private, max-age=3600"
    assert _body(viewer.get(response["Location"])).startswith(b"<svg")
