"""Pictures of a lesson: what is taken, what is the same, and how it lies on disk."""

import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.utils import timezone
from PIL import Image, ImageDraw

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.dataset.folder import scan
from edge_classifier.errors import PictureError, UsageError
from edge_classifier.web.config.settings import LessonSettings
from edge_classifier.web.lessons import class_folders, classes, storage
from edge_classifier.web.lessons.storage import AddOutcome, Filling
from edge_classifier.web.lessons.tables import Lesson, LessonClass, LessonPicture
from edge_classifier.web.maintenance import cleanup
from edge_classifier.web.models import Picture
from edge_classifier.web.records import deletion, picture_storage
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.web import making
from tests.web.conftest import FOLDERS
from tests.web.lessons.filling import scene
from tests.web.working import decoded, encoded, working

UPLOAD = str(LessonPicture.Source.UPLOAD)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    with working(tmp_path_factory.mktemp("models")) as found:
        yield found


@pytest.fixture
def lesson(db: None) -> Lesson:
    return classes.create_lesson("garden", classes=["cat", "bird"])


@pytest.fixture
def cat(lesson: Lesson) -> LessonClass:
    return lesson.classes.get(name="cat")


@pytest.fixture
def bird(lesson: Lesson) -> LessonClass:
    return lesson.classes.get(name="bird")


@pytest.fixture
def fill(worker: PictureWorker) -> Callable[..., Filling]:
    return lambda of, **limits: Filling(of, worker, LessonSettings(**limits))


def test_pictures_of_all_ways_lie_as_teach_and_train_read_them(
    lesson: Lesson, cat: LessonClass, bird: LessonClass, fill: Callable[..., Filling]
) -> None:
    classes.rename_class(cat, 'a "cat", 猫 🐈', "猫")
    classes.rename_class(bird, "bird", "鸟")
    nothing = lesson.classes.get(is_other=True)
    for number, of in enumerate((cat, bird, nothing)):
        for picture in (scene(2 * number), scene(2 * number + 1)):
            fill(of).add(encoded(picture, "PNG"), UPLOAD)
    found = scan(class_folders.folder(lesson, FOLDERS).root)
    assert found.labels == ("a _cat_, 猫 🐈", "bird", UNKNOWN)
    assert found.names["zh"] == ("猫", "鸟", "未知")
    assert found.names["en"][0] == 'a "cat", 猫 🐈'
    assert [sample.label for sample in found.samples] == [0, 0, 1, 1, 2, 2]


def test_folder_follows_what_is_moved_removed_and_renamed(
    lesson: Lesson, cat: LessonClass, bird: LessonClass, fill: Callable[..., Filling]
) -> None:
    filling = fill(cat)
    first, second = (filling.add(encoded(scene(n)), UPLOAD).picture for n in range(2))
    assert first
    assert second
    root = class_folders.folder(lesson, FOLDERS).root
    assert files(root) == {"cat": 2}
    before = storage.move(lesson, [first.pk], bird)
    assert files(class_folders.folder(lesson, FOLDERS).root) == {"cat": 1, "bird": 1}
    assert storage.remove(lesson, [second.pk]) == [second.pk]
    classes.rename_class(bird, "robin", "")
    assert files(class_folders.folder(lesson, FOLDERS).root) == {"robin": 1}
    assert storage.restore(lesson, [second.pk], LessonSettings()) == 1
    assert storage.move_back(lesson, before) == 1
    assert files(class_folders.folder(lesson, FOLDERS).root) == {"cat": 2}
    classes.delete_lesson(lesson, FOLDERS)
    assert not root.exists()
    assert not Picture.objects.exists()


def files(root: Path) -> dict[str, int]:
    """How many pictures each class folder has."""
    return {
        folder.name: len(list(folder.iterdir())) for folder in root.iterdir() if folder.is_dir()
    }


def test_zip_of_a_lesson_is_what_its_folder_is(
    lesson: Lesson,
    cat: LessonClass,
    bird: LessonClass,
    fill: Callable[..., Filling],
    tmp_path: Path,
) -> None:
    for number, of in enumerate((cat, bird)):
        fill(of).add(encoded(scene(number)), UPLOAD)
    with ZipFile(io.BytesIO(b"".join(class_folders.archive(lesson)))) as file:
        file.extractall(tmp_path)
    root = class_folders.folder(lesson, FOLDERS).root
    assert files(tmp_path) == files(root) == {"cat": 1, "bird": 1}
    assert scan(tmp_path).labels == ("bird", "cat")


def test_same_picture_is_in_a_lesson_once(
    cat: LessonClass, bird: LessonClass, fill: Callable[..., Filling]
) -> None:
    picture = encoded(scene(1))
    filling = fill(cat)
    assert filling.add(picture, UPLOAD).outcome is AddOutcome.ADDED
    assert filling.add(picture, UPLOAD).outcome is AddOutcome.ALIKE
    again = fill(bird).add(picture, UPLOAD)
    assert again.outcome is AddOutcome.THERE
    assert again.picture
    assert again.picture.of == cat
    assert cat.pictures.count() == 1
    assert not bird.pictures.exists()


def test_picture_that_was_removed_is_added_again_where_it_is_sent(
    lesson: Lesson, cat: LessonClass, bird: LessonClass, fill: Callable[..., Filling]
) -> None:
    picture = encoded(scene(1))
    added = fill(cat).add(picture, UPLOAD).picture
    assert added
    storage.remove(lesson, [added.pk])
    assert fill(bird).add(picture, UPLOAD).outcome is AddOutcome.ADDED
    assert [one.of for one in lesson.pictures.filter(removed_at=None)] == [bird]


def noisy(picture: Image.Image, seed: int) -> Image.Image:
    """As a sensor sees the same again: noise in each pixel, and a little brighter."""
    grain = Image.effect_noise(picture.size, 20 + seed).convert("RGB")
    return Image.blend(picture, grain, 0.1).point(lambda value: value + seed)


def test_nearly_the_same_is_dropped_and_what_moves_is_kept(
    cat: LessonClass, fill: Callable[..., Filling]
) -> None:
    filling = fill(cat)
    base = noisy(scene(9), 0)
    assert filling.add(encoded(base), UPLOAD).outcome is AddOutcome.ADDED
    for again in (noisy(scene(9), 1), noisy(scene(9), 3), base.resize((640, 480))):
        assert filling.add(encoded(again), UPLOAD).outcome is AddOutcome.ALIKE
    assert filling.add(encoded(noisy(scene(10), 1)), UPLOAD).outcome is AddOutcome.ADDED
    # Whoever fills the class later compares with these, too.
    assert fill(cat).add(encoded(noisy(scene(9), 2)), UPLOAD).outcome is AddOutcome.ALIKE


def test_clock_that_a_camera_writes_into_its_pictures_makes_no_new_one(
    cat: LessonClass, fill: Callable[..., Filling]
) -> None:
    outcomes = []
    filling = fill(cat)
    for second in range(3):
        picture = scene(9, (640, 480))
        ImageDraw.Draw(picture).text((500, 455), f"12:00:0{second}", fill=(255, 255, 255))
        outcomes.append(filling.add(encoded(picture), UPLOAD).outcome)
    assert outcomes == [AddOutcome.ADDED, AddOutcome.ALIKE, AddOutcome.ALIKE]


def test_picture_is_made_anew_and_bounded(cat: LessonClass, fill: Callable[..., Filling]) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    exif[0x0112] = 6
    big = encoded(scene(3, (1600, 1200)), exif=exif, comment=b"another secret")
    added = fill(cat).add(big, UPLOAD).picture
    assert added
    kept = picture_storage.read(picture_storage.picture_name(added.picture.sha256))
    assert b"secret" not in kept
    assert decoded(kept).size == (480, 640)
    small = picture_storage.read(picture_storage.thumbnail_name(added.picture.sha256))
    assert max(decoded(small).size) == 320


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"<svg onload=alert(1)>", encoded(scene(1))[:700]]
)
def test_what_is_no_picture_is_refused_and_leaves_nothing(
    cat: LessonClass, fill: Callable[..., Filling], content: bytes
) -> None:
    with pytest.raises(PictureError):
        fill(cat).add(content, UPLOAD)
    assert not LessonPicture.objects.exists()
    assert not Picture.objects.exists()


def test_picture_of_a_record_is_what_the_model_looked_at(
    cat: LessonClass, fill: Callable[..., Filling]
) -> None:
    whole = making.event(picture=encoded(scene(0, (640, 480))))
    part = making.event(picture=encoded(scene(1, (640, 480))), detail={"box": [0, 0, 0.5, 0.25]})
    filling = fill(cat)
    first, second = filling.add_record(whole).picture, filling.add_record(part).picture
    assert first
    assert second
    # The very same row, so that it is stored once.
    assert first.picture == whole.picture
    assert (second.picture.width, second.picture.height) == (320, 120)
    assert first.source == LessonPicture.Source.HISTORY


def test_record_without_a_picture_cannot_be_added(
    cat: LessonClass, fill: Callable[..., Filling]
) -> None:
    with pytest.raises(PictureError, match="no picture"):
        fill(cat).add_record(making.event())


def test_lesson_takes_so_many_pictures_and_all_lessons_so_many_bytes(
    lesson: Lesson, cat: LessonClass, fill: Callable[..., Filling]
) -> None:
    filling = fill(cat, max_pictures=2)
    added = [filling.add(encoded(scene(n)), UPLOAD).picture for n in range(2)]
    with pytest.raises(UsageError, match="at most 2 pictures"):
        filling.add(encoded(scene(2)), UPLOAD)
    assert added[0]
    storage.remove(lesson, [added[0].pk])
    assert filling.add(encoded(scene(2)), UPLOAD).outcome is AddOutcome.ADDED
    with pytest.raises(UsageError, match="at most 2 pictures"):
        storage.restore(lesson, [added[0].pk], LessonSettings(max_pictures=2))
    with pytest.raises(UsageError, match="1e-06 GB"):
        fill(cat, max_gb=0.000001).add(encoded(scene(3)), UPLOAD)


def test_class_that_is_deleted_while_it_is_filled_says_so(
    lesson: Lesson, cat: LessonClass, fill: Callable[..., Filling]
) -> None:
    filling = fill(cat)
    classes.delete_class(lesson.classes.get(name="cat"))
    with pytest.raises(UsageError, match="not there any more"):
        filling.add(encoded(scene(1)), UPLOAD)
    assert not Picture.objects.exists()


def test_only_the_last_removed_pictures_are_kept(
    lesson: Lesson,
    cat: LessonClass,
    fill: Callable[..., Filling],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage, "MOST_REMOVED", 2)
    filling = fill(cat)
    added = [filling.add(encoded(scene(n)), UPLOAD).picture for n in range(4)]
    for one in added:
        assert one
        storage.remove(lesson, [one.pk])
    kept = [one.pk for one in added[2:] if one]
    assert sorted(lesson.pictures.values_list("pk", flat=True)) == kept
    assert Picture.objects.count() == 2


def test_picture_that_a_lesson_has_stays_when_its_record_goes(
    lesson: Lesson, cat: LessonClass, fill: Callable[..., Filling]
) -> None:
    record = making.event(picture=encoded(scene(1)))
    picture = fill(cat).add_record(record).picture
    assert picture
    deletion.delete(type(record).objects.all())
    assert cleanup.delete_unused_pictures(timezone.now() + timedelta(days=9)) == 0
    assert Picture.objects.get() == picture.picture
    classes.delete_lesson(lesson, FOLDERS)
    assert not Picture.objects.exists()
