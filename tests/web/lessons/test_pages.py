"""The pages of lessons as Django answers for them, and without JavaScript."""

import io
from collections.abc import Callable, Iterator
from typing import Any
from zipfile import ZipFile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import OutputError, PictureError
from edge_classifier.web.lessons import classes
from edge_classifier.web.lessons.tables import Lesson, LessonPicture
from edge_classifier.web.records import picture_storage
from edge_classifier.web.services import Services
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.web import making
from tests.web.lessons.filling import garden, put, scene
from tests.web.working import encoded, working

pytestmark = pytest.mark.django_db
JSON = {"accept": "application/json"}
HOSTILE = "<script>alert(1)</script>\", '🐈"


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    with working(tmp_path_factory.mktemp("models")) as found:
        yield found


@pytest.fixture
def worker(change: Callable[..., Services], child: PictureWorker) -> PictureWorker:
    change(worker=child)
    return child


def page(client: Client, lesson: Lesson) -> str:
    return client.get(f"/teach/{lesson.key}").content.decode()


def shown(lesson: Lesson, name: str) -> list[int]:
    found = lesson.pictures.filter(of__name=name, removed_at=None).order_by("pk")
    return list(found.values_list("pk", flat=True))


def test_lesson_is_made_with_its_classes(reviewer: Client) -> None:
    form = {"name": " my  garden ", "class": ["cat", "", "bird"], "has_unknown": "1"}
    answer = reviewer.post("/teach", form)
    lesson = Lesson.objects.get()
    assert answer.headers["Location"] == f"/teach/{lesson.key}"
    assert lesson.name == "my garden"
    assert [str(one) for one in classes.with_counts(lesson)] == ["cat", "bird", "unknown"]
    assert "my garden" in reviewer.get("/teach").content.decode()


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"name": ""}, "The name is missing"),
        ({"name": "a" * 300}, "300 characters"),
        ({"name": "door", "class": ["a", "A"]}, "There is a class “A” already"),
        ({"name": "door", "base": "/etc/passwd"}, "no model of this name"),
        ({"name": "all", "class": [f"class {n}" for n in range(500)]}, "at most 100 classes"),
    ],
)
def test_lesson_that_cannot_be_is_refused_with_what_was_typed(
    reviewer: Client, form: dict[str, Any], problem: str
) -> None:
    answer = reviewer.post("/teach", form)
    assert answer.status_code == 400
    assert problem in answer.content.decode()
    assert f'value="{form["name"]}"' in answer.content.decode()
    assert not Lesson.objects.exists()


def test_names_of_all_kinds_are_shown_as_text(reviewer: Client) -> None:
    lesson = classes.create_lesson(HOSTILE, classes=[HOSTILE])
    put(lesson.classes.get(name=HOSTILE), 1)
    of = lesson.classes.get(name=HOSTILE)
    for path in ("", "/settings", f"/classes/{of.pk}", f"/classes/{of.pk}/history"):
        text = reviewer.get(f"/teach/{lesson.key}{path}").content.decode()
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;" in text
    reviewer.cookies.load({"django_language": "zh-hans"})
    assert "什么都没有" in page(reviewer, lesson)


def test_pictures_are_sent_by_a_form(reviewer: Client, worker: PictureWorker) -> None:
    lesson = garden()
    cat = lesson.classes.get(name="cat")
    files = [
        SimpleUploadedFile("one.png", encoded(scene(1), "PNG")),
        SimpleUploadedFile("again.jpg", encoded(scene(1))),
        SimpleUploadedFile("bad.jpg", b"\xff\xd8\xff nothing"),
        SimpleUploadedFile("two.jpg", encoded(scene(2))),
    ]
    form = {"class": str(cat.pk), "pictures": files}
    text = reviewer.post(f"/teach/{lesson.key}/pictures/add", form, follow=True).content.decode()
    assert "2 pictures added to cat. 1 was nearly the same" in text
    assert "bad.jpg: This picture cannot be taken" in text
    assert len(shown(lesson, "cat")) == 2
    undone = reviewer.post(f"/teach/{lesson.key}/pictures", {"do": "undo"}, follow=True)
    assert "Undone: 2 pictures" in undone.content.decode()
    assert not shown(lesson, "cat")


def test_picture_that_cannot_be_read_here_is_told_in_the_language_of_the_page(
    reviewer: Client, worker: PictureWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a phone sends them, where the extra [heic] is not installed."""

    def refuse(*_: object) -> None:
        raise PictureError("x", Sentence("is HEIC, which needs the extra [heic]"))

    monkeypatch.setattr(worker, "remake", refuse)
    lesson = garden()
    reviewer.post("/i18n/setlang/", {"language": "zh-hans"})
    file = SimpleUploadedFile("IMG_0001.HEIC", b"x")
    form = {"class": str(lesson.classes.get(name="cat").pk), "pictures": file}
    found = reviewer.post(f"/teach/{lesson.key}/pictures/add", form, headers=JSON).json()
    assert "是 HEIC 图片" in found["problems"][0]
    assert "needs the extra" not in found["problems"][0]


def test_pictures_are_sent_by_the_script(reviewer: Client, worker: PictureWorker) -> None:
    lesson = garden()
    cat = lesson.classes.get(name="cat")
    form = {"class": str(cat.pk), "pictures": SimpleUploadedFile("a.jpg", encoded(scene(1)))}
    found = reviewer.post(f"/teach/{lesson.key}/pictures/add", form, headers=JSON).json()
    assert (found["count"], found["outcomes"], found["problems"]) == (1, ["added"], [])
    assert f'value="{shown(lesson, "cat")[0]}"' in found["thumbnails"][0]


def test_picture_of_a_class_of_another_lesson_is_not_taken(reviewer: Client) -> None:
    lesson, other = garden(), garden()
    form = {"class": str(other.classes.first().pk)}
    assert reviewer.post(f"/teach/{lesson.key}/pictures/add", form).status_code == 404
    mine, theirs = put(lesson.classes.first(), 1)[0], put(other.classes.first(), 1, first=9)[0]
    moved = {"do": "remove", "picture": [str(theirs.pk)]}
    reviewer.post(f"/teach/{lesson.key}/pictures", moved)
    assert LessonPicture.objects.filter(removed_at=None).count() == 2
    for number, status in ((mine.pk, 200), (theirs.pk, 404), (1 << 70, 404)):
        for kind in ("pictures", "thumbnails"):
            answer = reviewer.get(f"/teach/{lesson.key}/{kind}/{number}.jpg")
            assert answer.status_code == status
            answer.getvalue()


def test_pictures_are_moved_removed_and_all_of_it_undone(reviewer: Client) -> None:
    lesson = garden(3)
    bird = lesson.classes.get(name="bird")
    first, second, third = shown(lesson, "cat")
    act = f"/teach/{lesson.key}/pictures"
    moved = {"do": "move", "to": str(bird.pk), "picture": [str(first), str(second)]}
    assert "2 pictures moved to bird" in reviewer.post(act, moved, follow=True).content.decode()
    removed = {"do": "remove", "picture": [str(second), str(third)]}
    found = reviewer.post(act, removed, headers=JSON).json()
    assert found["can_undo"]
    assert found["said"] == "2 pictures removed."
    assert len(found["classes"]) == 2
    assert (len(shown(lesson, "cat")), len(shown(lesson, "bird"))) == (0, 4)
    for _ in range(2):
        reviewer.post(act, {"do": "undo"})
    assert shown(lesson, "cat") == [first, second, third]
    assert len(shown(lesson, "bird")) == 3
    answer = reviewer.post(act, {"do": "undo"}, follow=True)
    assert "There is nothing to undo" in answer.content.decode()


@pytest.mark.parametrize("form", [{}, {"do": "move"}, {"do": "remove", "picture": ["x", "9" * 30]}])
def test_form_that_makes_no_sense_changes_nothing(reviewer: Client, form: dict[str, Any]) -> None:
    lesson = garden(2)
    answer = reviewer.post(f"/teach/{lesson.key}/pictures", form, headers=JSON)
    assert answer.status_code == 409
    assert answer.json()["problem"] == "Select pictures first."
    assert len(shown(lesson, "cat")) == 2


def test_two_teachers_of_one_lesson_get_no_error(reviewer: Client, administrator: Client) -> None:
    lesson = garden(2)
    cat, bird = (lesson.classes.get(name=name) for name in ("cat", "bird"))
    first, second = shown(lesson, "cat")
    act = f"/teach/{lesson.key}/pictures"
    reviewer.post(act, {"do": "remove", "picture": [str(first)]})
    moved = {"do": "move", "to": str(bird.pk), "picture": [str(first), str(second)]}
    assert administrator.post(act, moved, headers=JSON).json()["said"].startswith("1 picture moved")
    reviewer.post(f"/teach/{lesson.key}/classes/{bird.pk}/delete", {"confirmed": "1"})
    # What was moved has gone with its class; undoing brings an error to nobody.
    assert administrator.post(act, {"do": "undo"}, headers=JSON).status_code == 200
    assert reviewer.post(act, {"do": "undo"}, headers=JSON).status_code == 200
    assert shown(lesson, "cat") == [first]
    assert cat.pictures.count() == 1


def test_class_is_added_named_and_deleted_after_asking(reviewer: Client) -> None:
    lesson = garden(1)
    cat = lesson.classes.get(name="cat")
    place = f"/teach/{lesson.key}/classes"
    reviewer.post(place, {"name": "dog"})
    assert lesson.classes.filter(name="dog").exists()
    reviewer.post(f"{place}/{cat.pk}", {"name": "tabby", "chinese": "虎斑猫"})
    cat.refresh_from_db()
    assert (cat.name, cat.chinese) == ("tabby", "虎斑猫")
    refused = reviewer.post(f"{place}/{cat.pk}", {"name": "bird"}, follow=True)
    assert "There is a class “bird” already" in refused.content.decode()
    asked = reviewer.post(f"{place}/{cat.pk}/delete")
    assert "Delete the class “tabby”?" in asked.content.decode()
    assert lesson.classes.filter(pk=cat.pk).exists()
    reviewer.post(f"{place}/{cat.pk}/delete", {"confirmed": "1"})
    assert not lesson.classes.filter(pk=cat.pk).exists()


def test_lesson_is_changed_and_deleted_after_asking(reviewer: Client) -> None:
    lesson = garden(1)
    reviewer.post(f"/teach/{lesson.key}/settings", {"name": "door"})
    lesson.refresh_from_db()
    assert (lesson.name, lesson.has_unknown) == ("door", False)
    assert "Nothing there" not in page(reviewer, lesson)
    assert "Delete the lesson" in reviewer.post(f"/teach/{lesson.key}/delete").content.decode()
    assert Lesson.objects.exists()
    reviewer.post(f"/teach/{lesson.key}/delete", {"confirmed": "1"})
    assert not Lesson.objects.exists()
    assert reviewer.get(f"/teach/{lesson.key}").status_code == 404


def test_zip_has_class_folders_and_is_called_as_the_lesson(reviewer: Client) -> None:
    lesson = garden(2)
    answer: Any = reviewer.get(f"/teach/{lesson.key}/lesson.zip")
    assert 'filename="garden.zip"' in answer.headers["Content-Disposition"]
    names = ZipFile(io.BytesIO(answer.getvalue())).namelist()
    assert sorted({name.split("/")[0] for name in names}) == ["bird", "cat"]
    assert len(names) == 4


def test_pictures_of_a_search_go_into_a_class(reviewer: Client, worker: PictureWorker) -> None:
    lesson = garden()
    cat = lesson.classes.get(name="cat")
    records = [making.event("cat", picture=encoded(scene(n))) for n in range(3)]
    making.event("dog", picture=encoded(scene(9)))
    place = f"/teach/{lesson.key}/classes/{cat.pk}/history"
    text = reviewer.get(f"{place}?label=cat").content.decode()
    assert text.count('name="key"') == text.count(" checked>") == 3
    # Of all that there is, nobody has said yet what belongs to the class.
    assert " checked>" not in reviewer.get(place).content.decode()
    keys = [str(record.key) for record in records[:2]]
    said = reviewer.post(f"{place}?label=cat", {"key": keys, "label": "cat"}, follow=True)
    assert "2 pictures added to cat." in said.content.decode()
    # What the lesson has is not offered again; nor what the search does not find.
    assert said.content.decode().count('name="key"') == 1
    assert cat.pictures.count() == 2
    assert "Which class" in reviewer.get("/teach/from-history?label=cat").content.decode()


@pytest.mark.parametrize("query", ["label=nothing+such", "score_min=x", "before=x", "since=never"])
def test_search_that_is_wrong_says_so(reviewer: Client, query: str) -> None:
    lesson = garden()
    place = f"/teach/{lesson.key}/classes/{lesson.classes.first().pk}/history"
    answer = reviewer.get(f"{place}?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode()


def test_pages_of_a_class_have_all_of_it(reviewer: Client) -> None:
    lesson = garden()
    cat = lesson.classes.get(name="cat")
    put(cat, 30)
    assert page(reviewer, lesson).count('name="picture"') == 24
    place = f"/teach/{lesson.key}/classes/{cat.pk}"
    assert reviewer.get(place).content.decode().count('name="picture"') == 30


def test_full_disk_is_told_to_whoever_sends(
    reviewer: Client, worker: PictureWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = garden(1)
    cat = lesson.classes.get(name="cat")
    monkeypatch.setattr(picture_storage, "put", refuse)
    there = list(cat.pictures.values_list("picture__sha256", flat=True))
    form = {"class": str(cat.pk), "pictures": SimpleUploadedFile("a.jpg", encoded(scene(7)))}
    found = reviewer.post(f"/teach/{lesson.key}/pictures/add", form, headers=JSON).json()
    assert found["problems"] == ["a.jpg: Just now it does not work (cannot be kept)."]
    assert not cat.pictures.exclude(picture__sha256__in=there).exists()


def refuse(*_: object) -> None:
    raise OutputError("pictures", "cannot be kept", "Make room on the disk.")


@pytest.mark.parametrize("path", ["", "/classes/{}", "/classes/{}/history", "/settings"])
def test_page_asks_no_more_with_more_pictures_and_classes(administrator: Client, path: str) -> None:
    lesson = garden(1)
    cat = lesson.classes.get(name="cat")
    address = f"/teach/{lesson.key}{path.format(cat.pk)}"
    for number in range(2):
        making.event(picture=making.jpeg((number, 0, 0)))
    administrator.get(address)
    few = asked(administrator, address)
    for number in range(20):
        put(classes.add_class(lesson, f"class {number}"), 2, first=2 + 2 * number)
        making.event(picture=making.jpeg((10 + number, 0, 0)))
    many = asked(administrator, address)
    assert len(many) <= len(few), "\n".join(many)
    assert len(many) <= 13


def test_list_of_lessons_asks_no_more_with_more_lessons(administrator: Client) -> None:
    garden(1)
    administrator.get("/teach")
    few = asked(administrator, "/teach")
    for _ in range(10):
        garden()
    assert len(asked(administrator, "/teach")) <= len(few) <= 5


def asked(client: Client, path: str) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in queries.captured_queries]
