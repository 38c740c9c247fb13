"""A picture is on the medium before its record: no power cut leaves a record of an empty file."""

import os
import stat

import pytest
from django.core.files.storage import default_storage
from django.db import transaction

from edge_classifier.web.records import picture_storage

JPEG = b"\xff\xd8 a picture \xff\xd9"


def test_picture_and_its_name_are_flushed_before_the_record_is_committed(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        steps.append("folder" if stat.S_ISDIR(found.st_mode) else f"{found.st_size} bytes")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with transaction.atomic():
        transaction.on_commit(lambda: steps.append("committed"))
        picture_storage.put(JPEG)
    written = steps.index(f"{len(JPEG)} bytes")
    assert steps[written:] == [f"{len(JPEG)} bytes", "folder", "committed"]


def test_picture_that_an_earlier_power_cut_left_empty_is_written_again(db: None) -> None:
    content = JPEG + b"another"
    picture = picture_storage.put(content)
    name = picture_storage.picture_name(picture.sha256)
    with open(default_storage.path(name), "wb"):  # noqa: PTH123 (the storage's own path)
        pass
    picture_storage.put(content)
    assert picture_storage.read(name) == content
