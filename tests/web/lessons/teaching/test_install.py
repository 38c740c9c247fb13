"""The model of a lesson among the installed ones, taught here or trained elsewhere."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from edge_classifier.errors import OutputError, UsageError
from edge_classifier.files import write_whole
from edge_classifier.web.lessons import classes
from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.lessons.teaching import taught_files
from edge_classifier.web.lessons.teaching.device_use import install
from edge_classifier.web.lessons.teaching.tables import TaughtModel
from edge_classifier.web.services import Services
from tests.teach.lessons import tiny_model
from tests.web.working import working

Change = Callable[..., Services]
pytestmark = pytest.mark.django_db


@pytest.fixture
def services(page: Services, change: Change) -> Iterator[Services]:
    """The page with a real child process."""
    with working(page.folders.models) as worker:
        yield change(worker=worker)


@pytest.fixture
def lesson() -> Lesson:
    return classes.create_lesson("花园 / Garden", classes=["red", "green"])


def taught(services: Services, lesson: Lesson, made: Any) -> TaughtModel:
    scratch = made / "made"
    scratch.mkdir()
    path = tiny_model(scratch)
    sha256 = taught_files.keep_model(services.folders, lesson, 3, path)
    return TaughtModel.objects.create(
        lesson=lesson, number=3, taught_from=timezone.now(), sha256=sha256
    )


def test_taught_model_is_installed_once_under_the_lesson_s_name_and_number(
    services: Services, lesson: Lesson, tmp_path: Any
) -> None:
    one = taught(services, lesson, tmp_path)
    model = install(one, services.models, services.folders)
    assert model.name.startswith("garden-3-")
    assert model.sha256 == one.sha256
    one.refresh_from_db()
    assert one.model == model.name
    # Also once the file of the lesson has gone.
    taught_files.forget_lesson(services.folders, lesson)
    assert install(one, services.models, services.folders) == model
    services.models.delete(model.name)
    with pytest.raises(UsageError, match="not kept any more"):
        install(one, services.models, services.folders)


def test_taught_model_without_devices_goes_among_the_models(
    administrator: Client, services: Services, lesson: Lesson, tmp_path: Any
) -> None:
    taught(services, lesson, tmp_path)
    page = administrator.post(f"/teach/{lesson.key}/3/use", follow=True).content.decode()
    assert "is among the models now" in page
    assert "garden-3-" in administrator.get("/models").content.decode()


def test_model_that_was_trained_elsewhere_is_the_lesson_s(
    administrator: Client, services: Services, lesson: Lesson, tmp_path: Any
) -> None:
    content = tiny_model(tmp_path).read_bytes()
    form = {"model": SimpleUploadedFile("x.tflite", content)}
    page = administrator.post(f"/teach/{lesson.key}/upload", form, follow=True).content.decode()
    assert "Trained elsewhere, and uploaded." in page
    one = lesson.taught.get()
    assert (one.number, one.origin) == (1, "trained")
    assert one.model.startswith("garden-1-")
    assert f"/teach/{lesson.key}/1/try" in page


@pytest.mark.parametrize("content", [b"", b"junk" * 1000])
def test_upload_that_is_no_model_is_refused(
    administrator: Client, services: Services, lesson: Lesson, content: bytes
) -> None:
    form = {"model": SimpleUploadedFile("x.tflite", content)} if content else {}
    page = administrator.post(f"/teach/{lesson.key}/upload", form, follow=True).content.decode()
    assert 'class="message error"' in page
    assert not lesson.taught.exists()


def test_keeping_a_model_where_nothing_can_be_written_is_told(
    services: Services, lesson: Lesson, tmp_path: Any
) -> None:
    made = tmp_path / "made.tflite"
    write_whole(made, b"a model")
    blocked = services.folders.taught / str(lesson.key)
    blocked.parent.mkdir(exist_ok=True)
    blocked.touch()
    with pytest.raises(OutputError, match="cannot be kept"):
        taught_files.keep_model(services.folders, lesson, 1, made)
    blocked.unlink()
