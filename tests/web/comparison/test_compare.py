"""Models compared on reviewed pictures, by the real command in a child process."""

import re
import threading
from collections.abc import Iterator
from datetime import date

import pytest
from django.test import Client
from django.utils.translation import override

from edge_classifier.core.sentence import from_json
from edge_classifier.modelfile.bundle import LABELS_FILE, append_bundle
from edge_classifier.web.comparison.runner import ComparisonRunner
from edge_classifier.web.models import Comparison, Record, User
from edge_classifier.web.review import verdicts
from edge_classifier.web.services import Services
from edge_classifier.web.wording import in_sentences
from tests import tiny
from tests.web import making

COLOURS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220)}


pytestmark = pytest.mark.django_db(transaction=True)  # The thread has a connection of its own.


@pytest.fixture(autouse=True)
def comparisons(page: Services) -> Iterator[ComparisonRunner]:
    """The page's; no comparison outlives its test."""
    yield page.comparisons
    page.comparisons.wait(60)
    assert page.comparisons.progress is None


@pytest.fixture(autouse=True)
def _model(page: Services) -> Iterator[None]:
    """A model that names the brightest colour, put there by hand."""
    path = tiny.build(page.folders.models / "tiny.tflite", tiny.Tiny())
    append_bundle(path, {LABELS_FILE: "red\ngreen\nblue\n"})
    yield
    path.unlink()


def review(truth: str, colour: str, number: int = 0) -> Record:
    ann = User.objects.get_or_create(username="ann", role="reviewer")[0]
    picture = making.jpeg(COLOURS[colour], (64 + number, 48))
    record = making.upload("cat", picture=picture)
    return verdicts.judge(record, "corrected", truth, ann)


def compared(page: Services, *names: str, since: date | None = None) -> list[Comparison]:
    assert page.comparisons.start([page.models.find(name) for name in names], since)
    page.comparisons.wait(60)
    assert page.comparisons.problem == ()
    return list(Comparison.objects.order_by("pk"))


def told(kept: Comparison) -> str:
    """What is wrong, as the reader is told."""
    return in_sentences(map(from_json, kept.result["error"]))


def test_comparison_measures_each_model_on_the_reviewed_pictures(page: Services) -> None:
    for colour in COLOURS:
        review(colour, colour)
    wrong = review("red", "blue", 1)
    (kept,) = compared(page, "tiny")
    assert kept.model.startswith("tiny@")
    assert (kept.hits, kept.pictures) == (3, 4)
    assert kept.result["mistakes"][0]["key"] == str(wrong.key)
    assert kept.result["confusion"]["labels"] == ["red", "green", "blue"]
    assert kept.result["confusion"]["counts"] == [[1, 0, 1], [0, 1, 0], [0, 0, 1]]


def test_comparison_model_with_other_labels_says_so(page: Services) -> None:
    review("red", "red")
    review("blue", "blue")
    review("peony", "green")
    matched, strange = compared(page, "tiny", "flowers")
    assert matched.result["left_out"] == [["peony", 1, ["tiny"]]]
    assert "None of its 2 class folders is a label of flowers" in told(strange)
    assert (strange.hits, strange.pictures) == (0, 0)
    (alone,) = compared(page, "tiny")[2:]
    assert alone.result["left_out"] == [["peony", 1, []]]


@pytest.fixture
def other(page: Services) -> Iterator[str]:
    """Another model, which has one label that the first one lacks, and lacks one of its own."""
    path = tiny.build(page.folders.models / "other.tflite", tiny.Tiny())
    append_bundle(path, {LABELS_FILE: "red\nviolet\nblue\n"})
    yield "other"
    path.unlink()


def test_comparison_measures_all_models_on_the_same_pictures_and_says_what_was_left_out(
    reviewer: Client, page: Services, other: str
) -> None:
    for colour in COLOURS:
        review(colour, colour)
    review("violet", "green", 1)
    review("violet", "green", 2)
    both = compared(page, "tiny", other)
    assert [(one.hits, one.pictures) for one in both] == [(2, 2), (2, 2)]
    for one in both:
        assert one.result["left_out"] == [["green", 1, ["other"]], ["violet", 2, ["tiny"]]]
    shown = reviewer.get("/review/compare").content.decode()
    assert "The pictures of 2 labels were left out" in shown
    assert "2 pictures; tiny lacks it" in shown
    assert "do not compare" not in shown
    third = Comparison.objects.create(model="x@1", pictures=1, hits=0, result={"error": "no"})
    shown = reviewer.get(f"/review/compare?show={both[0].pk}&show={third.pk}").content.decode()
    assert "do not compare" in shown


def test_comparison_of_models_without_a_common_label_says_so(page: Services, other: str) -> None:
    review("green", "green")
    review("violet", "red")
    assert page.comparisons.start([page.models.find(name) for name in ("tiny", other)], None)
    page.comparisons.wait(60)
    problem = page.comparisons.problem
    assert in_sentences(problem).startswith("There is no label that all of these models have.")
    with override("zh-hans"):
        assert in_sentences(problem) == "没有所有这些模型都具备的标签。请比较其他模型。"
    assert not Comparison.objects.exists()


def test_comparison_label_that_could_not_be_a_folder_is_known_by_its_name(page: Services) -> None:
    path = page.folders.models / "tiny.tflite"
    append_bundle(tiny.build(path, tiny.Tiny()), {LABELS_FILE: "a/b\ngreen\nblue\n"})
    review("a/b", "red")
    review("green", "green")
    (kept,) = compared(page, "tiny")
    assert (kept.hits, kept.pictures) == (2, 2)


def test_comparison_broken_model_is_told_without_paths(page: Services) -> None:
    review("red", "red")
    review("blue", "blue")
    broken = page.folders.models / "broken.tflite"
    broken.write_bytes(b"\0\0\0\0TFL3" + bytes(2000))
    try:
        (kept,) = compared(page, "broken")
    finally:
        broken.unlink()
    error = told(kept)
    assert str(page.folders.models) not in error
    assert error[0].isupper()
    with override("zh-hans"):
        # But for the runtime's own words.
        assert not re.search("[A-Za-z]{2,}", re.sub("\uff08.*?\uff09", "", told(kept)))


def test_comparison_leaves_nothing_in_the_scratch_folder(page: Services) -> None:
    left = page.folders.scratch / "compare-of-one-that-was-killed"
    left.mkdir()
    review("red", "red")
    review("blue", "blue")
    compared(page, "tiny")
    assert list(page.folders.scratch.glob("compare-*")) == []


def test_comparison_is_started_shown_and_one_at_a_time(
    reviewer: Client, comparisons: ComparisonRunner
) -> None:
    record = review("red", "blue")
    review("blue", "blue")
    reviewer.post("/review/compare", {"model": ["tiny", "flowers"]})
    second = reviewer.post("/review/compare", {"model": "tiny"}, follow=True)
    assert "Another comparison is running" in second.content.decode()
    assert "Measuring" in second.content.decode()
    comparisons.wait(60)
    page = reviewer.get("/review/compare").content.decode()
    assert "50.0 %" in page
    assert "1 of 2 pictures right" in page
    assert f"/review?record={record.key}" in page
    assert "is a label of flowers" in page


def test_comparison_for_which_the_system_has_no_thread_is_told_and_holds_up_no_other(
    reviewer: Client, page: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    review("red", "red")
    review("blue", "blue")

    def no_thread(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        answer = reviewer.post("/review/compare", {"model": "tiny"}, follow=True)
    assert "could not be started" in answer.content.decode()
    assert compared(page, "tiny")


def test_comparison_ticked_ones_are_shown_side_by_side(reviewer: Client) -> None:
    first = Comparison.objects.create(model="a@1", pictures=0, hits=0, result={"error": "why a"})
    Comparison.objects.create(model="b@1", pictures=0, hits=0, result={"error": "why b"})
    page = reviewer.get(f"/review/compare?show={first.pk}&show=x").content.decode()
    assert "Why a." in page
    assert "Why b" not in page


def test_comparison_record_that_is_gone_is_not_linked(reviewer: Client, page: Services) -> None:
    gone = review("red", "blue")
    review("blue", "blue")
    compared(page, "tiny")
    gone.delete()
    assert str(gone.key) not in reviewer.get("/review/compare").content.decode()


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({}, "Choose at least one model"),
        ({"model": "../../etc/passwd"}, "Choose at least one model"),
        ({"model": "tiny", "since": "2999-01-01"}, "at least two true labels"),
        ({"model": "tiny", "since": "2999-02-31"}, "That is not a day"),
    ],
)
def test_comparison_that_cannot_be_is_refused(
    reviewer: Client, comparisons: ComparisonRunner, form: dict[str, str], problem: str
) -> None:
    page = reviewer.post("/review/compare", form, follow=True).content.decode()
    assert problem in page
    assert comparisons.progress is None


@pytest.mark.parametrize(
    ("count", "total", "is_right", "style"),
    [
        (0, 0, True, "right shade-0"),
        (0, 9, False, "off shade-0"),
        (1, 1000, False, "off shade-1"),
        (5, 10, True, "right shade-2"),
        (10, 10, True, "right shade-4"),
    ],
)
def test_cell_is_the_darker_the_larger_its_share(
    reviewer: Client, count: int, total: int, is_right: bool, style: str
) -> None:
    place = 0 if is_right else 1
    row = [total - count, total - count]
    row[place] = count
    report = {"title": "", "made": "", "accuracy": [0, 0, 0.0, 1.0], "labels": [], "pairs": []}
    confusion = {"labels": ["red", "blue"], "counts": [row, [0, 0]], "elsewhere": [0, 0]}
    result = {"report": report, "confusion": confusion, "mistakes": []}
    made = Comparison.objects.create(model="tiny@1", pictures=total, hits=0, result=result)
    page = reviewer.get(f"/review/compare?show={made.pk}").content.decode()
    cells = re.findall(r'<td class="([^"]+)">(\d+)</td>', page)
    assert cells[place] == (style, str(count))
