"""Pictures of lessons are kept until somebody deletes them, whatever else is cleared away."""

import sqlite3
import uuid
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import Sum
from django.utils import timezone

from edge_classifier.web.classify.upload_limits import file_limit, takes_files
from edge_classifier.web.config.settings import RetentionSettings, UploadSettings
from edge_classifier.web.lessons import class_folders, classes
from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.maintenance import cleanup, retention
from edge_classifier.web.models import Picture, Record
from tests.web import making
from tests.web.backup.test_backup import state, whole_pictures  # noqa: F401 (a fixture)
from tests.web.conftest import FOLDERS
from tests.web.lessons.filling import garden
from tests.web.serving import web

NEVER = RetentionSettings(days=0, max_records=0, max_gb=0)


def test_retention_deletes_records_and_leaves_the_pictures_of_lessons(db: None) -> None:
    lesson = garden(2)
    of_lesson = lesson.pictures.first()
    taken = of_lesson.picture
    old = timezone.now() - timedelta(days=400)
    record = making.event(at=old)
    Record.objects.filter(pk=record.pk).update(picture=taken)
    size = Picture.objects.aggregate(all=Sum("size"))["all"]
    limit = replace(NEVER, max_gb=size / 2e9)
    # Deleting records frees none of it, so none goes for it; that it is too much is told.
    assert retention.apply(limit, timezone.now()) == 0
    assert retention.surplus(limit) == retention.Surplus(0, size)
    assert retention.apply(replace(NEVER, days=30), timezone.now()) == 1
    assert cleanup.delete_unused_pictures(timezone.now() + timedelta(days=9)) == 0
    assert lesson.pictures.count() == Picture.objects.count() == 4


def test_folders_of_lessons_that_are_no_more_are_cleared_away(db: None) -> None:
    kept, gone = garden(1), garden(0)
    for lesson in (kept, gone):
        class_folders.folder(lesson, FOLDERS)
    Lesson.objects.filter(pk=gone.pk).delete()
    cleanup.delete_unfinished_files(FOLDERS, timezone.now())
    assert (FOLDERS.lessons / str(gone.key)).exists()  # It may be under way.
    cleanup.delete_unfinished_files(FOLDERS, timezone.now() + timedelta(days=2))
    assert not (FOLDERS.lessons / str(gone.key)).exists()
    assert (FOLDERS.lessons / str(kept.key)).exists()
    classes.delete_lesson(kept, FOLDERS)


_LESSON = """
INSERT INTO web_lesson (id, key, name, base, has_unknown, created_at, changed_at)
VALUES (1, ?, 'garden', '', 1, '2026-11-22', '2026-11-22');
"""
_CLASS = """
INSERT INTO web_lessonclass (id, lesson_id, name, chinese, is_other) VALUES (1, 1, 'a', '', 0)
"""
_PICTURE = """
INSERT INTO web_lessonpicture (lesson_id, of_id, picture_id, source, signature, added_at)
SELECT 1, 1, id, 'upload', zeroblob(256), '2026-11-22' FROM web_picture
"""


def test_backup_has_the_lessons_with_their_pictures(
    state: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    with closing(sqlite3.connect(state / "web.db")) as database:
        database.execute(_LESSON, [uuid.uuid4().hex])
        database.execute(_CLASS)
        database.execute(_PICTURE)
        database.execute("DELETE FROM web_record")
        database.commit()
    done = web(state, "backup", str(tmp_path / "backup.tar"))
    assert done.returncode == 0, done.stderr
    done = web(tmp_path / "other", "restore", str(tmp_path / "backup.tar"))
    assert done.returncode == 0, done.stderr
    assert whole_pictures(tmp_path / "other") == 20
    with closing(sqlite3.connect(tmp_path / "other" / "web.db")) as database:
        assert database.execute("SELECT count(*) FROM web_lessonpicture").fetchone() == (20,)


@pytest.mark.parametrize(
    ("path", "mb"),
    [("/pictures/add", 20), ("/upload", 100), ("/pictures", 0), ("/pictures/add/", 0), ("", 0)],
)
def test_large_requests_are_taken_where_files_of_lessons_go(path: str, mb: int) -> None:
    path = f"/teach/{uuid.uuid4()}{path}"
    assert takes_files(path) == (mb > 0)
    if mb:
        assert file_limit(UploadSettings(), path) == mb * 1e6
