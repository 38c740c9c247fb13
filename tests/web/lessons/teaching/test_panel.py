"""What the page of a lesson says of its teaching, and what can be done about it."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.errors import UnavailableError
from edge_classifier.web.lessons.classes import rename_class
from edge_classifier.web.lessons.tables import Lesson, LessonPicture
from edge_classifier.web.lessons.teaching import taught_files
from edge_classifier.web.lessons.teaching.runs import Run
from edge_classifier.web.lessons.teaching.tables import ModelUse, TaughtModel
from edge_classifier.web.lessons.teaching.teach_process import Step
from edge_classifier.web.live.camera_list import CameraOutline, Outline
from edge_classifier.web.services import Services
from tests.waiting import eventually
from tests.web.lessons.filled import colours

Change = Callable[..., Services]
OTHER = {"came_with_the_base": [12, 300], "own": [1, 20], "missed": [3, 40], "enter": 0.6}


@pytest.fixture
def lesson(db: None, page: Services) -> Lesson:
    return colours(page, 3)


def taught(lesson: Lesson, **changed: Any) -> TaughtModel:
    """A model with what the command would have found out."""
    result = {
        "right": [38, 40, 0.83, 0.99],
        "left_one_out": True,
        "labels": [["red", "红", 18, 20], ["green", "绿", 20, 20]],
        "want_more": [["red", 12]],
        "wrong": [],
        "alike": [["green", "red", 9, 40]],
        "unknown": OTHER,
        "unreadable": 0,
        "base": "tiny",
        **changed,
    }
    return TaughtModel.objects.create(
        lesson=lesson, number=1, taught_from=lesson.changed_at, sha256="0" * 64, result=result
    )


def ids(lesson: Lesson) -> dict[str, int]:
    """The lesson's classes, which were taught by the names that they have now."""
    return {one.name: one.pk for one in lesson.classes.all()}


def text(client: Client, lesson: Lesson) -> str:
    """The lesson's page, with one blank between words and without bold."""
    page = client.get(f"/teach/{lesson.key}").content.decode()
    return " ".join(page.replace("<b>", "").replace("</b>", "").split())


def test_result_is_told_in_sentences(reviewer: Client, lesson: Lesson) -> None:
    taught(lesson)
    shown = text(reviewer, lesson)
    assert "Right on 38 of 40 pictures that it had not seen." in shown
    assert "83.0 % to 99.0 % (95 % interval)" in shown
    assert "each was left out in turn, and each is worth 2.5 points" in shown
    assert "green and red cannot be told apart: taken for each other in 9 of 40 pictures" in shown
    assert "red wants more pictures: it has 12, of which 18 were recognized" in shown
    assert "Of 300 pictures of quite other things 12 would be taken for" in shown
    assert "costs 3 of 40 pictures of the classes" in shown


def test_result_names_five_weak_classes_and_counts_the_rest(
    reviewer: Client, lesson: Lesson
) -> None:
    labels = [[f"letter {number}", "", 5, 12] for number in range(30)]
    taught(lesson, labels=labels, want_more=[[name, 12] for name, *_ in labels])
    shown = text(reviewer, lesson)
    assert shown.count("wants more pictures: it has 12") == 5
    assert "25 other classes want more pictures as well." in shown
    reviewer.post("/i18n/setlang/", {"language": "zh-hans"})
    assert "另外 25 个类别也需要更多图片。" in text(reviewer, lesson)


def test_result_calls_what_is_none_of_the_classes_as_the_lesson_does(
    reviewer: Client, lesson: Lesson
) -> None:
    labels = [["red", "红", 18, 20], ["unknown", "未知", 9, 20]]
    taught(lesson, alike=[["red", "unknown", 9, 40]], labels=labels)
    assert "red and Nothing there cannot be told apart" in text(reviewer, lesson)
    reviewer.post("/i18n/setlang/", {"language": "zh-hans"})
    assert "未知" not in text(reviewer, lesson)


def test_result_has_chinese_names_on_a_chinese_page(reviewer: Client, lesson: Lesson) -> None:
    taught(lesson)
    reviewer.post("/i18n/setlang/", {"language": "zh-hans"})
    shown = text(reviewer, lesson)
    assert "红" in shown
    assert "wants more" not in shown
    assert "had not seen" not in shown


def test_wrongly_filed_picture_is_moved_with_one_click(reviewer: Client, lesson: Lesson) -> None:
    stray = lesson.pictures.filter(of__name="red").first()
    taught(lesson, wrong=[[stray.picture.sha256, "red", "green", 0.97]], classes=ids(lesson))
    assert f"/teach/{lesson.key}/thumbnails/{stray.pk}.jpg" in text(reviewer, lesson)
    small: Any = reviewer.get(f"/teach/{lesson.key}/thumbnails/{stray.pk}.jpg")
    assert small.getvalue().startswith(b"\xff\xd8")
    green = lesson.classes.get(name="green")
    form = {"picture": stray.pk, "to": green.pk}
    assert reviewer.post(f"/teach/{lesson.key}/settle", form).status_code == 302
    assert LessonPicture.objects.get(pk=stray.pk).of == green
    shown = text(reviewer, lesson)
    assert "look wrongly filed" not in shown
    assert "The classes have changed since it was taught" in shown


@pytest.mark.parametrize("which", ["red", "green"])
def test_class_that_was_renamed_since_keeps_its_pictures_to_move(
    which: str, reviewer: Client, lesson: Lesson
) -> None:
    stray = lesson.pictures.filter(of__name="red").first()
    was = ids(lesson)
    taught(lesson, wrong=[[stray.picture.sha256, "red", "green", 0.97]], classes=was)
    rename_class(lesson.classes.get(name=which), "a/b, “c” 🌷", "")
    shown = text(reviewer, lesson)
    assert "look wrongly filed" in shown
    assert "a/b, “c” 🌷" in shown.partition("look wrongly filed")[2]
    form = {"picture": stray.pk, "to": was["green"]}
    reviewer.post(f"/teach/{lesson.key}/settle", form)
    assert LessonPicture.objects.get(pk=stray.pk).of_id == was["green"]


def test_wrongly_filed_picture_that_is_right_is_remembered(
    reviewer: Client, lesson: Lesson
) -> None:
    stray = lesson.pictures.filter(of__name="red").first()
    taught(lesson, wrong=[[stray.picture.sha256, "red", "green", 0.97]], classes=ids(lesson))
    reviewer.post(f"/teach/{lesson.key}/settle", {"picture": stray.pk, "right": "1"})
    assert "look wrongly filed" not in text(reviewer, lesson)
    assert LessonPicture.objects.get(pk=stray.pk).of.name == "red"


@pytest.mark.parametrize("form", [{"picture": "x"}, {"picture": "9" * 30, "to": "1"}, {}])
def test_settling_what_is_not_there_is_told(
    reviewer: Client, lesson: Lesson, form: Mapping[str, str]
) -> None:
    answer = reviewer.post(f"/teach/{lesson.key}/settle", form, follow=True)
    assert "not there any more" in answer.content.decode()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step("waiting", 0, 0), "Waits until another lesson has been taught"),
        (Step("pictures", 12, 40), "Looks at the pictures: 12 of 40"),
        (Step("learning", 4, 21), "Learns, and measures what it learns: 4 of 21"),
        (Step("writing", 0, 1), "Writes the model"),
    ],
)
def test_progress_is_shown(
    reviewer: Client, lesson: Lesson, page: Services, step: Step, words: str
) -> None:
    page.teacher._runs[lesson.pk] = Run(lesson.pk, step)
    panel = reviewer.get(f"/teach/{lesson.key}/panel").content.decode()
    assert words in panel
    assert "data-busy" in panel
    assert "Cancel" in panel


def test_report_may_do_nothing_in_the_browser(
    reviewer: Client, lesson: Lesson, page: Services
) -> None:
    taught(lesson)
    assert reviewer.get(f"/teach/{lesson.key}/1/report").status_code == 404
    file = taught_files.report_page(page.folders, lesson, 1)
    file.parent.mkdir(parents=True)
    file.write_text("<script>alert(1)</script>")
    answer: Any = reviewer.get(f"/teach/{lesson.key}/1/report")
    assert answer.getvalue() == b"<script>alert(1)</script>"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]


def test_report_is_in_the_language_of_its_reader_where_it_was_written_in_it(
    reviewer: Client, lesson: Lesson, page: Services
) -> None:
    taught(lesson)
    folder = taught_files.report_page(page.folders, lesson, 1).parent
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("Its mistakes")
    reviewer.cookies["django_language"] = "zh-hans"
    address = f"/teach/{lesson.key}/1/report"
    assert reviewer.get(address).content == b"Its mistakes"
    (folder / "report.zh-Hans.html").write_text("它的错误")
    assert reviewer.get(address).content.decode() == "它的错误"
    reviewer.cookies["django_language"] = "en"
    assert reviewer.get(address).content == b"Its mistakes"


class Daemons:
    """Two devices that answer what they are told to."""

    bursts = None

    def __init__(self, *answers: Mapping[str, Any] | UnavailableError) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def outline(self) -> Outline:
        cameras = tuple(CameraOutline(name, 1, "", "", title=name) for name in ("front", "back"))
        return Outline(1, 1, (("pi", 1, cameras), ("shed", 1, cameras[:1])))

    def devices(self) -> list[str]:
        return ["pi", "shed"]

    def device(self, name: str) -> dict[str, Any]:
        return {"name": name, "model": "old@12345678"}

    def camera(self, _device: str, name: str) -> dict[str, Any]:
        return {"camera": name, "model": "own@12345678"}

    def request(self, device: str, command: str, body: dict[str, Any], _within_s: float) -> Any:
        assert command == "model"
        self.asked.append((device, dict(body)))
        answer = self.answers.pop(0)
        if isinstance(answer, UnavailableError):
            raise answer
        return answer


@pytest.fixture
def used(lesson: Lesson, page: Services, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A taught model that is installed, and asked for."""
    from edge_classifier.web.installed_models.store import InstalledModel

    one = taught(lesson)
    file = taught_files.model_file(page.folders, lesson, 1)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"a model")
    model = InstalledModel("colours-1-00000000", file, 7, "0" * 64, file)
    target = "edge_classifier.web.lessons.teaching.views.install"
    monkeypatch.setattr(target, lambda *_: model)

    def use(client: Client, *places: str) -> None:
        client.post(f"/teach/{lesson.key}/{one.number}/use", {"place": places})
        eventually(lambda: not ModelUse.objects.filter(status="asked").exists(), 20)

    return use


def end(services: Services) -> None:
    assert services.device_models
    services.device_models.close()


WHOLE = {"model": "colours-1-00000000", "sha256": "0" * 64}


@pytest.mark.django_db(transaction=True)
def test_use_asks_devices_tells_each_one_s_answer_and_goes_back(
    administrator: Client, lesson: Lesson, change: Change, used: Any
) -> None:
    rule = "cameras.front.decision.groups.pet: this model has no label 'cat'"
    ok = {"status": "ok", "data": {"model": "x", "resting_rules": [rule]}}
    daemons = Daemons(ok, {"status": "error", "error": "no <b>such model"})
    services = change(live=daemons)
    used(administrator, "pi/", "shed/", "elsewhere/")
    assert sorted(daemons.asked) == [("pi", WHOLE), ("shed", WHOLE)]
    shown = administrator.get(f"/teach/{lesson.key}").content.decode()
    assert shown.count("runs it") == shown.count("No &lt;b&gt;such model.") == 1
    assert "this model has no label &#x27;cat&#x27;" in shown
    assert "Back to old" in shown

    one = ModelUse.objects.get(status="runs")
    daemons.answers += [
        {"status": "error", "error": "no such model"},
        {"status": "ok", "data": {"model": "old@12345678"}},
    ]
    administrator.post(f"/teach/{lesson.key}/back/{one.pk}")
    eventually(lambda: ModelUse.objects.get(pk=one.pk).status == "back", 20)
    assert [body for _, body in daemons.asked[2:]] == [{"model": "old"}, {"model": ""}]
    assert "is back at old@12345678" in administrator.get(f"/teach/{lesson.key}").content.decode()
    end(services)


def test_place_shows_what_it_was_asked_last_and_after_going_back_the_model_before(
    administrator: Client, lesson: Lesson
) -> None:
    now = timezone.now()
    first = taught(lesson)
    second = TaughtModel.objects.create(lesson=lesson, number=2, taught_from=now, result={})
    one, other = (
        ModelUse.objects.create(
            taught=of, device="pi", status="runs", before=before, asked_at=now + later
        )
        for of, before, later in (
            (first, "old@12345678", timedelta()),
            (second, "first@12345678", timedelta(minutes=1)),
        )
    )
    shown = text(administrator, lesson)
    assert shown.count("runs it") == 1
    assert f"/back/{other.pk}" in shown
    other.status, other.message = "back", "first@12345678"
    other.save()
    shown = text(administrator, lesson)
    assert "is back at first@12345678" in shown
    assert f"/back/{one.pk}" in shown


@pytest.mark.django_db(transaction=True)
def test_use_on_one_camera_of_several_leaves_the_others_alone(
    administrator: Client, lesson: Lesson, change: Change, used: Any
) -> None:
    daemons = Daemons({"status": "ok", "data": {"model": "x"}})
    services = change(live=daemons)
    shown = administrator.get(f"/teach/{lesson.key}").content.decode()
    offered = re.findall(r'name="place" value="([^"]*)"', shown)
    assert offered == ["pi/", "pi/front", "pi/back", "shed/"]
    used(administrator, "pi/back", "shed/front")
    assert daemons.asked == [("pi", {**WHOLE, "camera": "back"})]
    assert ModelUse.objects.get().before == "own@12345678"
    end(services)


@pytest.mark.django_db(transaction=True)
def test_use_asks_a_daemon_without_a_key_that_it_does_not_know(
    administrator: Client, change: Change, used: Any
) -> None:
    old = {"status": "error", "error": "model takes no sha256; it takes model, transaction"}
    daemons = Daemons(old, {"status": "ok", "data": {"model": "x"}})
    services = change(live=daemons)
    used(administrator, "pi/")
    assert daemons.asked[1] == ("pi", {"model": "colours-1-00000000"})
    assert ModelUse.objects.get().status == "runs"
    end(services)


@pytest.mark.django_db(transaction=True)
def test_use_of_a_device_that_does_not_answer_is_told(
    administrator: Client, lesson: Lesson, change: Change, used: Any
) -> None:
    services = change(live=Daemons(UnavailableError("pi", "no answer within 120 s")))
    used(administrator, "pi/")
    assert "No answer within 120 s." in administrator.get(f"/teach/{lesson.key}").content.decode()
    end(services)


def test_page_of_a_lesson_asks_no_more_with_more_pictures_and_models(
    reviewer: Client, lesson: Lesson
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert reviewer.get(f"/teach/{lesson.key}").status_code == 200
        return len(asked)

    few = [one.picture.sha256 for one in lesson.pictures.all()[:1]]
    wrong = [[sha256, "red", "green", 0.95] for sha256 in few]
    made = taught(lesson, wrong=wrong, classes=ids(lesson))
    reviewer.get(f"/teach/{lesson.key}")
    before = queries()
    many = [one.picture.sha256 for one in lesson.pictures.all()]
    made.result["wrong"] = [[sha256, "red", "green", 0.95] for sha256 in many]
    made.save()
    for number in range(2, 5):
        TaughtModel.objects.create(
            lesson=lesson, number=number, taught_from=lesson.changed_at, result=made.result
        )
    assert queries() <= before <= 16


def test_classes_of_nothing_are_named_in_the_page_s_language(
    reviewer: Client, lesson: Lesson
) -> None:
    taught(lesson, labels=[[UNKNOWN, "", 1, 2]], want_more=[[UNKNOWN, 2]])
    reviewer.post("/i18n/setlang/", {"language": "zh-hans"})
    assert "什么都没有 需要更多图片" in text(reviewer, lesson)
