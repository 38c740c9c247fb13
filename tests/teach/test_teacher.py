"""A lesson on made pictures: what is learned, what is said about it, what is refused."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from edge_classifier import model_writing
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.dataset.folder import scan
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import DatasetError
from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.score import score_samples
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.model_writing import pack
from edge_classifier.modelfile.bundle import append_bundle
from edge_classifier.teach.advice import advise, sentences
from edge_classifier.teach.teacher import Taught, teach
from tests.teach.lessons import COLOURS, fill, lesson, tiny_base


def taught(tmp_path: Path, folder: Path, other: Path | None = None) -> Taught:
    return teach(scan(folder, other=other), tiny_base(tmp_path), tmp_path / "cache")


def test_lesson_becomes_a_model_that_names_new_pictures_rightly(tmp_path: Path) -> None:
    done = taught(tmp_path, lesson(tmp_path / "colours", 20))
    assert done.right.hits >= 57
    path = tmp_path / "colours.tflite"
    pack(done.model, path, done.contract, done.card)
    model = load_model(ModelChoice(str(path), delegate="cpu"))
    new = tmp_path / "new"
    for name, colour in COLOURS.items():
        fill(new / name, colour, 10, first=77_000)
    scored = score_samples(model, scan(new))
    assert (scored.predicted == scored.truth).mean() > 0.9
    assert f"Right on {done.right.hits} of 60 pictures" in model.resolved.card


def test_two_lessons_taught_into_one_file_leave_one_of_them_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one begins and ends while the first one is half written."""
    done, path = taught(tmp_path, lesson(tmp_path / "colours", 2)), tmp_path / "colours.tflite"

    def write() -> None:
        pack(done.model, path, done.contract, done.card)

    second = threading.Thread(target=write)

    def append_after_the_second(file: Path, members: dict[str, str]) -> None:
        if threading.current_thread() is not second:
            second.start()
            second.join()
        append_bundle(file, members)

    monkeypatch.setattr(model_writing, "append_bundle", append_after_the_second)
    write()
    assert load_model(ModelChoice(str(path), delegate="cpu")).resolved.card
    assert not list(tmp_path.glob(".*"))


def test_same_pictures_give_the_same_file_and_names_of_two_languages(tmp_path: Path) -> None:
    folder = lesson(tmp_path / "colours")
    names = 'red = {zh = "红"}\ngreen = {zh = "绿"}\nblue = {zh = "蓝"}\n'
    (folder / "names.toml").write_text(names, "utf-8")
    one, again = taught(tmp_path, folder), taught(tmp_path, folder)
    assert one.model == again.model
    assert one.contract.labels == ("blue", "green", "red")
    assert one.contract.names["zh"] == ("蓝", "绿", "红")


def test_other_pictures_become_unknown_and_false_accepts_are_told(tmp_path: Path) -> None:
    folder = lesson(tmp_path / "colours", 15, ("red", "green"))
    other = fill(tmp_path / "other", (200, 60, 40), 15, first=9000)
    done = taught(tmp_path, folder, other)
    assert done.contract.labels == ("green", "red", UNKNOWN)
    facts = done.unknown_facts()
    assert facts is not None
    assert facts["own"]["default"]["count"] == 15
    assert facts["own"]["default"]["hits"] <= 2
    assert facts["missed"]["count"] == 30


def test_few_pictures_are_left_out_one_by_one_and_that_is_said(tmp_path: Path) -> None:
    done = taught(tmp_path, lesson(tmp_path / "colours", 3))
    assert done.left_one_out
    assert "each of the 9 was left out in turn" in " ".join(done.sentences)
    assert {one.label for one in done.advice.want_more} == set(COLOURS)
    assert not any("fewer than" in line for line in done.check.lines())


def test_rare_class_says_how_many_of_its_pictures_were_recognized() -> None:
    truth = np.r_[np.zeros(200, np.int64), np.ones(6, np.int64)]
    probabilities = np.tile([0.9, 0.1], (206, 1))
    probabilities[:203] = np.where(truth[:203, None] == [0, 1], 0.9, 0.1)
    advice = advise(("daisy", "tulip"), [""] * 206, truth, probabilities)
    assert sentences(advice, Share(203, 206), left_one_out=False)[1:] == [
        "tulip wants more pictures: it has 6, of which 3 were recognized"
    ]


def test_many_weak_classes_are_told_in_few_lines_the_weakest_first() -> None:
    truth = np.repeat(np.arange(30), 12)
    # Of the last one nothing is recognized, and each picture is taken for another class.
    probabilities = np.eye(30)[np.where(truth < 29, truth, np.arange(360) % 29)]
    labels = [f"label {number}" for number in range(30)]
    advice = advise(labels, [""] * 360, truth, probabilities)
    said = sentences(advice, Share(348, 360), left_one_out=False)[1:]
    assert said[0] == "label 29 wants more pictures: it has 12, of which 0 were recognized"
    assert said[5:] == ["25 other classes want more pictures as well"]


def test_picture_in_the_wrong_folder_is_named(tmp_path: Path) -> None:
    folder = lesson(tmp_path / "colours", 30)
    shutil.move(folder / "red" / "0.png", folder / "green" / "stray.png")
    done = taught(tmp_path, folder)
    wrong = [(one.picture, one.looks_like) for one in done.advice.wrongly_filed]
    assert ("green/stray.png", "red") in wrong


def test_classes_of_the_same_pictures_cannot_be_told_apart(tmp_path: Path) -> None:
    folder = lesson(tmp_path / "colours", 30)
    shutil.copytree(folder / "red", folder / "scarlet")
    done = taught(tmp_path, folder)
    pairs = [{one, other} for one, other, _ in done.advice.alike]
    assert pairs == [{"red", "scarlet"}]
    assert "red and scarlet cannot be told apart" in " ".join(done.sentences)


def test_pictures_that_are_nearly_the_same_are_measured_together(tmp_path: Path) -> None:
    """Each of the two classes has one picture, over and over, and one more: nothing to learn."""
    folder = tmp_path / "colours"
    for number, name in enumerate(("one", "two")):
        fill(folder / name, (128, 128, 128), 2, first=10 * number)
        for copy in range(20):
            shutil.copy(folder / name / f"{10 * number}.png", folder / name / f"copy{copy}.png")
    done = taught(tmp_path, folder)
    # By the copies themselves nearly all would be right.
    assert done.right.hits < 0.8 * done.right.count


@pytest.mark.parametrize(("count", "words"), [(1, "no two pictures that differ"), (0, "picture")])
def test_class_of_one_picture_or_none_is_refused(count: int, words: str, tmp_path: Path) -> None:
    folder = lesson(tmp_path / "colours", 4, ("red", "green"))
    fill(folder / "blue", (200, 60, 40), count)
    with pytest.raises(DatasetError, match=words):
        taught(tmp_path, folder)


def test_many_classes_with_odd_names_are_learned(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    names = ["a, b", 'quote"d', "🦊 fox", "x" * 200, *(f"class {n} of many" for n in range(36))]
    for number, name in enumerate(names):
        fill(folder / name, (6 * number, 255 - 6 * number, 128), 2, first=10 * number)
    done = taught(tmp_path, folder)
    path = tmp_path / "many.tflite"
    pack(done.model, path, done.contract, done.card)
    loaded = load_model(ModelChoice(str(path), delegate="cpu"))
    assert sorted(loaded.resolved.contract.labels) == sorted(names)


def test_unreadable_picture_is_left_out_and_named(tmp_path: Path) -> None:
    folder = lesson(tmp_path / "colours")
    (folder / "red" / "broken.jpg").write_bytes(b"not a picture")
    done = taught(tmp_path, folder)
    assert len(done.samples) == 24
    assert any("broken.jpg" in line for line in done.check.lines())


def test_second_lesson_reads_what_the_first_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, base, cache = lesson(tmp_path / "colours"), tiny_base(tmp_path), tmp_path / "cache"
    first = teach(scan(folder), base, cache)
    fill(folder / "red", COLOURS["red"], 2, first=500)
    looked: list[int] = []
    invoke = TfliteEngine.invoke

    def counted(engine: TfliteEngine) -> None:
        looked.append(1)
        invoke(engine)

    monkeypatch.setattr(TfliteEngine, "invoke", counted)
    second = teach(scan(folder), base, cache)
    # Each is looked at twice.
    assert len(looked) == 2 * 2
    assert len(second.samples) == len(first.samples) + 2


def test_damaged_or_unwritable_cache_costs_time_only(tmp_path: Path) -> None:
    folder, base, cache = lesson(tmp_path / "colours"), tiny_base(tmp_path), tmp_path / "cache"
    whole = teach(scan(folder), base, cache)
    for number, path in enumerate(sorted(cache.rglob("*.features"))):
        path.write_bytes(path.read_bytes()[: 20 * number])
    assert teach(scan(folder), base, cache).model == whole.model
    (tmp_path / "file").touch()
    assert teach(scan(folder), base, tmp_path / "file").model == whole.model


def test_progress_comes_to_its_end(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    dataset = scan(lesson(tmp_path / "colours"))
    teach(
        dataset,
        tiny_base(tmp_path),
        tmp_path / "cache",
        progress=lambda *step: told.append(step),
    )
    assert told[23] == ("pictures", 24, 24)
    # Five parts by four strengths, each picture left out in turn, and the last fit.
    assert told[24:] == [("learning", done, 45) for done in range(1, 46)]


def test_flowers_of_the_reference_pictures_are_learned(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flowers"
    for name in ("daisy", "tulips"):
        (folder / name).mkdir(parents=True)
        for path in sorted((shared / "data" / "flowers" / name).glob("*.jpg"))[:20]:
            shutil.copy(path, folder / name)
    from edge_classifier.teach.base import open_base  # Here, as only this test runs the network.

    done = teach(scan(folder), open_base(), tmp_path / "cache")
    assert done.right.hits >= 34
    assert done.contract.labels == ("daisy", "tulips", UNKNOWN)
    # Of the things that came with the base.
    assert np.mean(done.learned.of_other[:, :2].max(axis=1) >= 0.6) < 0.2
