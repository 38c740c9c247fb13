"""The thread that looks at recorded pictures: which, in which order, and what it marks."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from edge_classifier.errors import ModelError, PictureError, StorageError, UnavailableError
from edge_classifier.web.config.settings import LookalikeSettings
from edge_classifier.web.lookalikes import codes, encoder
from edge_classifier.web.lookalikes.encoder import PictureEncoder, base_key, is_wanted
from edge_classifier.web.models import Picture, PictureCode, Record
from edge_classifier.web.records import deletion, picture_storage
from tests.waiting import eventually
from tests.web import making
from tests.web.lookalikes.looks import ColourWorker, picture

pytestmark = pytest.mark.django_db

_LOTS = codes.LEAST_SEEN + codes.LEAST_MEASURED


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rests, and events are there at once."""
    for name in ("_REST", "_BUSY_S", "_EVENT_COMES_S"):
        monkeypatch.setattr(encoder, name, 0.0)


def encoding(worker: ColourWorker | None = None, **settings: Any) -> PictureEncoder:
    return PictureEncoder(LookalikeSettings(**settings), worker or ColourWorker())


def known(record: Record) -> PictureCode | None:
    return PictureCode.objects.filter(picture=record.picture_id).first()


def events(count: int, red: int = 20, **facts: Any) -> list[Record]:
    return [making.event(picture=picture(red, n), **facts) for n in range(count)]


def marked() -> list[int]:
    return list(Record.objects.filter(new_here=True).values_list("pk", flat=True))


@pytest.fixture
def watched() -> tuple[PictureEncoder, list[Record]]:
    """An encoder that knows enough of the camera, and what it announces."""
    announced: list[Record] = []
    making.event(picture=picture(0))
    running = PictureEncoder(LookalikeSettings(), ColourWorker(), announced.append)
    running.run_once()
    events(_LOTS)
    while running.run_once():
        pass
    return running, announced


def test_every_recorded_picture_gets_a_code_once() -> None:
    event, upload = making.event(picture=picture(20)), making.upload(picture=picture(200))
    making.event()  # Without a picture.
    worker = ColourWorker()
    running = encoding(worker)
    assert running.run_once() == 2
    assert running.run_once() == 0
    assert encoding(worker).run_once() == 0
    assert len(worker.boxes) == 2
    for record in (event, upload):
        row = known(record)
        assert row
        assert row.base == base_key()


def test_pictures_that_were_there_before_come_after_new_ones_and_the_newest_first() -> None:
    old = events(3)
    running = encoding()
    running._begin(base_key())
    new = making.event(picture=picture(20, 9))
    assert [one.pk for one in running._next_arrived()] == [new.picture_id]
    step = running._next_earlier(base_key())
    assert [one.pk for one in step] == [one.picture_id for one in reversed(old)]


def test_what_was_looked_at_in_a_picture_is_compared_and_not_all_of_it() -> None:
    making.event(picture=picture(20), detail={"box": [0.1, 0.2, 0.3, 0.4]})
    worker = ColourWorker()
    encoding(worker).run_once()
    assert worker.boxes == [(0.1, 0.2, 0.3, 0.4)]


def test_code_of_another_base_is_made_again() -> None:
    record = making.event(picture=picture(20))
    PictureCode.objects.create(picture=record.picture, base="other", code=b"", pile=1)
    encoding().run_once()
    row = known(record)
    assert row
    assert row.base == base_key()
    assert len(row.code) == 256


def test_code_goes_with_its_picture() -> None:
    record = making.event(picture=picture(20))
    encoding().run_once()
    assert known(record)
    deletion.delete(Record.objects.all(), rest=lambda _: None)
    assert not PictureCode.objects.exists()
    assert not Picture.objects.exists()


def test_newest_codes_stay_where_there_are_too_many() -> None:
    records = events(130)
    running = encoding(most=100)
    while running.run_once():
        pass
    kept = set(PictureCode.objects.values_list("picture", flat=True))
    assert kept == {one.picture_id for one in records[-100:]}


def test_alike_at_one_camera_are_one_pile_and_at_another_one_another() -> None:
    first, second, other = events(2) + events(1, red=250)
    elsewhere = making.event(picture=picture(20, 7), camera=making.camera("back"))
    encoding().run_once()
    piles = {one.pk: known(one).pile for one in (first, second, other, elsewhere)}  # type: ignore[union-attr]
    assert piles[first.pk] == piles[second.pk]
    assert len(set(piles.values())) == 3


@pytest.mark.parametrize("owned", [True, False])
def test_uploads_of_one_account_are_piled(owned: bool, viewer: object) -> None:
    from edge_classifier.web.models import User

    owner = User.objects.get() if owned else None
    one, two = (making.upload(picture=picture(20, n), owner=owner) for n in range(2))
    making.event(picture=picture(20, 3))
    encoding().run_once()
    assert known(one).pile == known(two).pile  # type: ignore[union-attr]
    assert PictureCode.objects.values("pile").distinct().count() == 2


def test_unlike_all_before_at_its_camera_is_marked_and_announced_once(
    watched: tuple[PictureEncoder, list[Record]],
) -> None:
    running, announced = watched
    assert marked() == []
    new = making.event("fox", picture=picture(250))
    again = making.event("fox", picture=picture(250, 1))
    usual = making.event(picture=picture(20, 999))
    running.run_once()
    assert marked() == [new.pk]
    assert [one.pk for one in announced] == [new.pk]
    assert known(again).pile == new.picture_id  # type: ignore[union-attr]
    assert known(usual).nearest == 0  # type: ignore[union-attr]


def test_better_picture_of_what_is_new_is_not_announced_again(
    watched: tuple[PictureEncoder, list[Record]],
) -> None:
    running, announced = watched
    new = making.event("fox", picture=picture(250))
    running.run_once()
    first = new.picture
    better = making.event(picture=picture(251, 3))
    Record.objects.filter(pk=new.pk).update(picture=better.picture)
    better.delete()
    assert first
    deletion.remove_unused([first.pk])
    running.run_once()
    assert marked() == [new.pk]
    assert len(announced) == 1


def test_nothing_is_new_of_an_upload_or_at_a_camera_that_showed_little(
    watched: tuple[PictureEncoder, list[Record]],
) -> None:
    running, announced = watched
    making.upload(picture=picture(250))
    making.event(picture=picture(250, 1), camera=making.camera("back"))
    running.run_once()
    assert marked() == []
    assert announced == []


def test_what_was_there_before_is_not_new_when_comparing_begins() -> None:
    events(_LOTS)
    making.event("fox", picture=picture(250))
    running = encoding()
    while running.run_once():
        pass
    assert marked() == []


def test_what_was_shown_long_ago_is_new_again(
    watched: tuple[PictureEncoder, list[Record]],
) -> None:
    running, _ = watched
    at = timezone.now() - timedelta(days=29)
    making.event("fox", picture=picture(250), at=at)
    running.run_once()
    Record.objects.filter(label__name="fox").update(new_here=None)
    new = making.event("fox", picture=picture(250, 1))
    running.run_once()
    assert marked() == [new.pk]


def test_uploads_go_first() -> None:
    record = making.event(picture=picture(20))
    worker = ColourWorker()
    worker.busy = 3
    encoding(worker).run_once()
    assert worker.busy == 0
    assert known(record)


@pytest.mark.parametrize(
    "error", [PictureError("it", "is broken"), UnavailableError("it", "crashed")]
)
def test_picture_that_cannot_be_looked_at_stops_no_other(error: Exception) -> None:
    class Broken(ColourWorker):
        def encode_if_idle(self, jpeg: bytes, base: str, box: Any = None) -> bytes | None:
            if jpeg == picture(90):
                raise error
            return super().encode_if_idle(jpeg, base, box)

    broken, other = making.event(picture=picture(90)), making.event(picture=picture(20))
    running = encoding(Broken())
    assert running.run_once() == 2
    assert running.run_once() == 0
    assert not known(broken)
    assert known(other)


def test_storage_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    record = making.event(picture=picture(20))
    running = encoding()
    with monkeypatch.context() as patch:

        def away(_name: str) -> bytes:
            raise StorageError("cannot be read just now", "away")

        patch.setattr(picture_storage, "read", away)
        assert running.run_once() == 0
    assert running.run_once() == 1
    assert known(record)


def test_picture_that_is_deleted_meanwhile_leaves_no_code() -> None:
    class Deleting(ColourWorker):
        def encode_if_idle(self, jpeg: bytes, base: str, box: Any = None) -> bytes | None:
            Record.objects.all().delete()
            Picture.objects.all().delete()
            return super().encode_if_idle(jpeg, base, box)

    making.event(picture=picture(20))
    encoding(Deleting()).run_once()
    assert not PictureCode.objects.exists()


@pytest.mark.parametrize(
    ("enabled", "memory", "is_on"),
    [
        ("auto", 4_000_000_000, True),
        ("auto", 512_000_000, False),
        ("on", 512_000_000, True),
        ("off", 4_000_000_000, False),
    ],
)
def test_small_machine_is_left_alone_unless_settings_say_otherwise(
    enabled: Any, memory: int, is_on: bool
) -> None:
    assert is_wanted(LookalikeSettings(enabled=enabled), memory) == is_on


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OperationalError("away"), "pictures are not compared just now: OperationalError"),
        (ModelError("base", "cannot be taught"), "what pictures look like is not compared"),
    ],
)
def test_thread_says_once_why_it_rests_and_ends_when_it_is_asked_to(
    error: Exception,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = encoding()

    def fail() -> int:
        raise error

    monkeypatch.setattr(running, "run_once", fail)
    running.start()
    eventually(lambda: told in caplog.text)
    assert running.problem == ""
    running.stop()
    assert caplog.text.count(told) == 1
    assert not running._thread._thread.is_alive()
