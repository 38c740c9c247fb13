"""Deletion of records, and of the files that nothing else uses."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.db.models import QuerySet

from edge_classifier.errors import StorageError
from edge_classifier.web.classify import uploads
from edge_classifier.web.models import EventPicture, Picture, Record, User
from edge_classifier.web.records import deletion, picture_storage
from edge_classifier.web.worker.messages import Classified, CropBox, LabelScore
from tests.web import making


def is_there(picture: Picture) -> bool:
    return bool(default_storage.exists(picture_storage.picture_name(picture.sha256)))


def with_thumbnail(record: Record) -> Record:
    picture_storage.put_file(picture_storage.thumbnail_name(record.picture.sha256), b"small")
    return record


def no_rest(_seconds: float) -> None:
    """Tests have no recorder that waits."""


def delete(records: QuerySet[Record]) -> int:
    return deletion.delete(records, rest=no_rest)


def test_delete_takes_record_picture_and_both_files(db: None) -> None:
    record = with_thumbnail(making.upload(picture=making.jpeg((1, 2, 3))))
    other = making.upload(picture=making.jpeg((4, 5, 6)))
    assert delete(Record.objects.filter(key=record.key)) == 1
    assert list(Record.objects.all()) == [other]
    assert list(Picture.objects.all()) == [other.picture]
    assert not is_there(record.picture)
    assert not default_storage.exists(picture_storage.thumbnail_name(record.picture.sha256))
    assert is_there(other.picture)


def test_delete_leaves_a_picture_that_another_record_shows(db: None) -> None:
    first, second = making.upload("a"), making.upload("b")
    assert delete(Record.objects.filter(key=first.key)) == 1
    assert is_there(second.picture)
    second.refresh_from_db()
    assert second.picture == first.picture
    delete(Record.objects.all())
    assert not is_there(first.picture)


def test_delete_leaves_a_picture_that_waits_for_its_event(db: None) -> None:
    record = making.upload()
    EventPicture.objects.create(key=record.key, picture=record.picture)
    delete(Record.objects.all())
    assert is_there(record.picture)


def test_delete_goes_through_more_than_one_step(db: None) -> None:
    for number in range(2 * deletion.STEP + 3):
        making.event("cat" if number % 2 else "dog")
    rests: list[float] = []
    cats = Record.objects.filter(label__name="cat").order_by("-at")
    assert deletion.delete(cats, rest=rests.append) == deletion.STEP + 1
    assert len(rests) == 2
    assert Record.objects.count() == deletion.STEP + 2


def test_delete_spares_what_is_reviewed_between_its_steps(db: None) -> None:
    for _ in range(deletion.STEP + 5):
        making.event()

    def review(_seconds: float) -> None:
        Record.objects.update(verdict="confirmed")

    unreviewed = Record.objects.filter(verdict="")
    assert deletion.delete(unreviewed, rest=review) == deletion.STEP
    assert Record.objects.count() == 5


def test_remove_unused_after_a_failure_finds_the_picture_again(db: None, tmp_path: Path) -> None:
    record = making.upload(picture=making.jpeg((7, 7, 7)))
    file = Path(default_storage.path(picture_storage.picture_name(record.picture.sha256)))
    file.rename(tmp_path / "kept")
    (file / "in the way").mkdir(parents=True)
    with pytest.raises(StorageError):
        delete(Record.objects.all())
    assert Picture.objects.filter(id=record.picture.id).exists()
    (file / "in the way").rmdir()
    assert deletion.remove_unused([record.picture.id]) == 1


@pytest.mark.parametrize(
    ("role", "expected"), [("viewer", {"own"}), ("reviewer", {"own", "other", "event", "nobody"})]
)
def test_deletable_by_a_role(db: None, role: str, expected: set[str]) -> None:
    user = User.objects.create_user("somebody", role=role)
    making.upload(model="own", owner=user)
    making.upload(model="other", owner=User.objects.create_user("else"))
    making.upload(model="nobody")
    making.event(model="event")
    assert set(deletion.deletable_by(user).values_list("model", flat=True)) == expected


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """``work`` on a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_remove_unused_waits_for_a_record_that_is_being_made(transactional_db: None) -> None:
    jpeg = making.jpeg((9, 9, 9))
    with transaction.atomic():
        picture = picture_storage.put(jpeg)
    begun, go_on = threading.Event(), threading.Event()

    def record() -> None:
        with transaction.atomic():
            picture_storage.put(jpeg)
            begun.set()
            go_on.wait(20)
            making.upload(picture=jpeg)

    recording = in_thread(record)
    assert begun.wait(20)
    removing = in_thread(lambda: deletion.remove_unused([picture.id]))
    removing.join(0.3)
    assert removing.is_alive(), "it decided before the other had committed"
    go_on.set()
    recording.join(20)
    removing.join(20)
    assert Record.objects.get().picture == picture
    assert is_there(picture)


def test_put_leaves_the_file_there_when_a_deletion_comes_in_between(db: None) -> None:
    jpeg = making.jpeg((8, 80, 8))
    picture = picture_storage.put(jpeg)

    def deleted_meanwhile(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        picture_storage.remove(picture.sha256)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(deleted_meanwhile):
        picture_storage.put(jpeg)
    assert is_there(picture)


def test_pictures_of_records_are_there_while_the_same_ones_are_deleted(
    transactional_db: None,
) -> None:
    jpegs = [making.jpeg((60 * number, 0, 0)) for number in range(4)]
    making.label("cat")
    stopped = threading.Event()

    def record() -> None:
        while not stopped.is_set():
            for jpeg in jpegs:
                with transaction.atomic():
                    making.upload(picture=jpeg)

    recording = in_thread(record)
    for _ in range(40):
        delete(Record.objects.all())
    stopped.set()
    recording.join(20)
    pictures = Picture.objects.filter(record__isnull=False).distinct()
    assert all(is_there(picture) for picture in pictures)
    assert not [picture for picture in deletion.unused() if is_there(picture)]
    delete(Record.objects.all())
    assert Picture.objects.count() == 0


@pytest.fixture
def deleted_before_the_record(transactional_db: None) -> Iterator[list[threading.Thread]]:
    """Once a picture is there, somebody deletes it, if nothing keeps them from it, and at once."""
    begun: list[threading.Thread] = []

    def delete_first(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith('INSERT INTO "web_record"') and not begun:
            ids = list(Picture.objects.values_list("id", flat=True))
            begun.append(in_thread(lambda: deletion.remove_unused(ids)))
            begun[0].join(0.3)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(delete_first):
        yield begun
    for thread in begun:
        thread.join(20)


def test_upload_whose_picture_is_deleted_by_somebody_else_meanwhile_is_kept_whole(
    deleted_before_the_record: list[threading.Thread],
) -> None:
    found = Classified(
        jpeg=making.jpeg((6, 60, 6)),
        thumbnail=b"small",
        width=64,
        height=48,
        label="cat",
        top=(LabelScore("cat", "", 0.9),),
        crop=CropBox(0, 0, 1, 1),
        timings_ms={},
        model="test@00000000",
    )
    record = uploads.save(found, source=Record.Source("upload"), owner=None)
    deleted_before_the_record[0].join(20)
    record.refresh_from_db()
    assert record.picture is not None
    assert is_there(record.picture)
    assert default_storage.exists(picture_storage.thumbnail_name(record.picture.sha256))


def test_picture_outside_the_transaction_of_its_record_is_refused(transactional_db: None) -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        picture_storage.put(making.jpeg())
    assert Picture.objects.count() == 0


def test_thumbnail_of_a_picture_that_was_deleted_meanwhile_is_not_kept(db: None) -> None:
    picture = making.upload().picture
    delete(Record.objects.all())
    picture_storage.put_thumbnail(picture.sha256, b"small")
    assert not default_storage.exists(picture_storage.thumbnail_name(picture.sha256))
