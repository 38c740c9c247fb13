"""The child process that decodes and classifies, and how it ends."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.errors import (
    MissingFileError,
    ModelError,
    PictureError,
    UnavailableError,
)
from edge_classifier.samples import CAT, CAT_LABELS, FOLDER
from edge_classifier.web.config.settings import UploadSettings
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests import tiny
from tests.waiting import eventually
from tests.web.working import decoded, encoded, image, is_running, working

_HEAVY = ("numpy", "cv2", "PIL", "ai_edge_litert", "tflite_runtime")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The folder of models, with one that names the brightest colour."""
    folder = tmp_path / "models"
    folder.mkdir()
    tiny.build(folder / "colours.tflite")
    return folder


@pytest.fixture
def worker(models: Path) -> Iterator[PictureWorker]:
    """A worker with default settings."""
    with working(models) as found:
        yield found


def test_classify_photograph_is_named_in_both_languages(worker: PictureWorker) -> None:
    found = worker.classify(CAT)
    assert found.label == found.top[0].label
    assert found.label == "cat"
    assert "猫" in found.top[0].chinese
    scores = [scored.score for scored in found.top]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0
    assert len(scores) <= 5
    assert set(found.timings_ms) == {"decode", "preprocess", "inference", "encode"}


def test_score_of_a_model_file_is_told_beside_the_model_for_uploads(
    worker: PictureWorker, models: Path, tmp_path: Path
) -> None:
    red = encoded(Image.new("RGB", (64, 48), (250, 10, 10)))
    taught = tiny.build(tmp_path / "taught.tflite")
    scores = worker.score(red, taught)
    assert scores[0].label == "class 0"
    assert scores[0].score >= scores[-1].score
    assert worker.classify(CAT).label == "cat"
    with pytest.raises(PictureError):
        worker.score(red[: len(red) // 2], taught)
    taught.write_bytes(b"junk")
    with pytest.raises(ModelError):
        worker.score(red, taught)


def test_classify_picture_is_kept_small_and_its_crop_told(
    worker: PictureWorker, tmp_path: Path
) -> None:
    path = tmp_path / "wide.png"
    path.write_bytes(encoded(image((2400, 1200)), "PNG"))
    found = worker.classify(path)
    assert decoded(found.jpeg).size == (found.width, found.height) == (1600, 800)
    assert decoded(found.thumbnail).size == (320, 160)
    # The central square, of which the contract keeps 0.875: 1050 of 2400 columns.
    assert found.crop == pytest.approx((0.28125, 0.0625, 0.4375, 0.875), abs=0.001)


def test_classify_low_score_is_unknown(models: Path) -> None:
    # Of the cat it would be sure that it is a cat.
    with working(models, threshold=1.0) as worker:
        found = worker.classify(FOLDER / "uniform.jpg")
    assert found.label == UNKNOWN
    assert found.top[0].label == "mortarboard"


def test_classify_below_the_threshold_is_the_most_specific_name_that_reaches_it(
    models: Path,
) -> None:
    with working(models, model="efficientnet-lite0", threshold=0.6) as worker:
        found = worker.classify(CAT)
    assert (found.label, found.top[0].label, found.top[0].chinese) == ("cat", "cat", "猫")
    assert found.top[0].score > 0.9
    assert found.top[1].label in CAT_LABELS


def test_classify_model_by_name_loads_it_from_the_folder(
    worker: PictureWorker, tmp_path: Path
) -> None:
    path = tmp_path / "green.png"
    path.write_bytes(encoded(image().point(lambda _: 0), "PNG"))
    assert worker.classify(path, "colours").model.startswith("colours@")
    assert worker.classify(path, "colours.tflite").model.startswith("colours@")
    assert worker.classify(path).model.startswith("mobilenet-v2-int8@")


def test_classify_model_by_path_is_refused_unless_settings_name_it(
    models: Path, tmp_path: Path
) -> None:
    elsewhere = tiny.build(tmp_path / "elsewhere.tflite")
    with working(models) as worker, pytest.raises(MissingFileError, match="no such model"):
        worker.classify(CAT, str(elsewhere))
    with working(models, model=str(elsewhere)) as worker:
        assert worker.classify(CAT).model.startswith("elsewhere@")
        assert worker.classify(CAT, str(elsewhere)).model.startswith("elsewhere@")


def test_classify_model_that_was_replaced_is_loaded_anew(
    worker: PictureWorker, models: Path
) -> None:
    first = worker.classify(CAT, "colours").model
    tiny.build(models / "colours.tflite", tiny.Tiny(classes=4))
    assert worker.classify(CAT, "colours").model != first


def test_thumbnail_needs_neither_numpy_nor_a_model(worker: PictureWorker) -> None:
    small = worker.thumbnail(encoded(image((1280, 720))))
    assert decoded(small).size == (320, 180)
    mapped = Path(f"/proc/{worker.pid}/maps").read_text("utf-8")
    assert "PIL" in mapped
    assert not any(name in mapped for name in ("numpy", "cv2", "litert", "tflite"))


def test_thumbnail_of_garbage_is_refused_and_the_child_goes_on(worker: PictureWorker) -> None:
    worker.thumbnail(encoded(image()))
    before = worker.pid
    for garbage in (b"", b"garbage", encoded(image())[:500], encoded(image(), "PNG")):
        with pytest.raises(PictureError):
            worker.thumbnail(garbage)
    assert worker.pid == before


def test_thumbnail_has_no_comment_of_the_snapshot(worker: PictureWorker) -> None:
    small = worker.thumbnail(encoded(image(), comment=b"secret", exif=b"Exif\0\0secret"))
    assert b"secret" not in small


def test_thumbnail_of_too_many_pixels_is_refused(models: Path) -> None:
    uploads = UploadSettings(max_megapixels=0.01)
    with working(models, uploads) as worker, pytest.raises(PictureError, match="pixels"):
        worker.thumbnail(encoded(image()))


def test_model_is_tried_and_described(worker: PictureWorker, models: Path) -> None:
    facts = worker.describe_model(models / "colours.tflite")
    assert (facts.name, facts.width, facts.height, len(facts.labels)) == ("colours", 8, 8, 3)
    assert facts.size == (models / "colours.tflite").stat().st_size


def test_model_that_is_none_is_refused(worker: PictureWorker, tmp_path: Path) -> None:
    path = tmp_path / "none.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(range(256)) * 8)
    with pytest.raises(ModelError):
        worker.describe_model(path)
    assert worker.classify(CAT).top


def test_child_without_work_ends_and_is_started_again(models: Path) -> None:
    with working(models) as worker:
        worker.thumbnail(encoded(image()))
        first = worker.pid
        assert first
        worker._classify = replace(worker._classify, idle_s=0.2)
        worker.thumbnail(encoded(image()))
        eventually(lambda: worker.pid is None and not is_running(first))
        assert worker.thumbnail(encoded(image()))


def test_child_that_is_killed_at_work_is_told_and_replaced(worker: PictureWorker) -> None:
    worker.thumbnail(encoded(image()))
    first = worker.pid
    assert first
    os.kill(first, signal.SIGSTOP)  # So that it is at work when it is killed.
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(worker.classify, CAT)
        eventually(worker._turn.locked)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(UnavailableError, match=r"crashed \(SIGKILL\)"):
            waiting.result()
    assert worker.classify(CAT).top
    assert worker.pid != first


def test_child_that_died_while_idle_costs_one_error(worker: PictureWorker) -> None:
    worker.thumbnail(encoded(image()))
    assert worker.pid
    os.kill(worker.pid, signal.SIGSEGV)
    with pytest.raises(UnavailableError, match=r"crashed \(SIGSEGV\)"):
        worker.thumbnail(encoded(image()))
    assert worker.thumbnail(encoded(image()))


def test_child_that_takes_too_long_is_killed_and_replaced(models: Path) -> None:
    with working(models) as worker:
        worker.thumbnail(encoded(image()))
        stopped = worker.pid
        assert stopped
        os.kill(stopped, signal.SIGSTOP)
        # For this one only: a new child may need longer than that to begin.
        patient, worker._classify = worker._classify, replace(worker._classify, timeout_s=1.0)
        with pytest.raises(UnavailableError, match="took longer than 1 s"):
            worker.thumbnail(encoded(image()))
        worker._classify = patient
        assert not is_running(stopped)
        assert worker.thumbnail(encoded(image()))


def test_child_that_cannot_be_watched_is_told_and_replaced(
    worker: PictureWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Timer, "start", no_thread)
        with pytest.raises(UnavailableError, match="cannot be watched"):
            worker.thumbnail(encoded(image()))
    assert worker.pid is None
    assert worker.thumbnail(encoded(image()))


def test_child_that_nothing_would_end_later_ends_at_once(
    worker: PictureWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, watches = threading.Timer.start, iter([True])

    def start_the_first(timer: threading.Timer) -> None:
        if not next(watches, False):
            no_thread(timer)
        start(timer)

    monkeypatch.setattr(threading.Timer, "start", start_the_first)
    assert worker.thumbnail(encoded(image()))
    assert worker.pid is None


def no_thread(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_child_whose_parent_was_killed_ends(models: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.web import working as w\n"
        "with w.working(Path(sys.argv[1])) as worker:\n"
        "    worker.thumbnail(w.encoded(w.image())); print(worker.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(models)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    eventually(lambda: not is_running(child))


def test_child_that_a_library_prints_in_answers_all_the_same(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = "lambda event, what: event == 'import' and what[0] == 'PIL.Image' and os.write(1, b'!')"
    (tmp_path / "sitecustomize.py").write_text(f"import os, sys\nsys.addaudithook({noise})")
    monkeypatch.syspath_prepend(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", "import PIL.Image"]
    printed = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert printed.stdout == b"!"
    with working(models) as worker:
        assert worker.thumbnail(encoded(image()))


def test_child_has_an_address_space_of_memory_mb(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(encoded(Image.new("RGB", (7000, 7000)), "PNG", compress_level=1))
    with working(models, memory_mb=600) as worker:
        with pytest.raises(PictureError, match="more memory"):
            worker.classify(path)
        assert worker.classify(CAT).top
    with working(models) as worker:
        assert worker.classify(path).top


def test_child_leaves_no_core_and_gives_way(worker: PictureWorker) -> None:
    worker.thumbnail(encoded(image()))
    assert worker.pid
    limits = Path(f"/proc/{worker.pid}/limits").read_text("ascii").splitlines()
    core = next(line.split() for line in limits if line.startswith("Max core file size"))
    assert core[4:6] == ["0", "0"]
    assert os.getpriority(os.PRIO_PROCESS, worker.pid) > os.getpriority(os.PRIO_PROCESS, 0)


def test_worker_two_pictures_at_once_each_get_their_own(
    worker: PictureWorker, tmp_path: Path
) -> None:
    other = tmp_path / "grey.png"
    other.write_bytes(encoded(image((100, 50)), "PNG"))
    with ThreadPoolExecutor() as pool:
        widths = list(pool.map(lambda path: worker.classify(path).width, [CAT, other] * 4))
    assert widths == [decoded(CAT.read_bytes()).width, 100] * 4


def test_worker_with_too_many_waiting_turns_further_ones_away(worker: PictureWorker) -> None:
    worker.thumbnail(encoded(image()))
    assert worker.pid
    os.kill(worker.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(worker.classify, CAT) for _ in range(16)]
        eventually(lambda: worker._queue_slots._value == 0)
        with pytest.raises(UnavailableError, match="too many"):
            worker.classify(CAT)
        os.kill(worker.pid, signal.SIGCONT)
        assert all(task.result() for task in waiting)


def test_worker_with_too_many_thumbnails_to_make_still_takes_a_picture(
    worker: PictureWorker,
) -> None:
    worker.thumbnail(encoded(image()))
    assert worker.pid
    os.kill(worker.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(worker.thumbnail, encoded(image())) for _ in range(59)]
        eventually(lambda: worker._thumbnail_slots._value == 0)
        upload = pool.submit(worker.classify, CAT)
        os.kill(worker.pid, signal.SIGCONT)
        assert upload.result().top
        assert all(task.result() for task in waiting)


def test_worker_that_is_closed_wakes_who_waits_and_takes_nothing_more(models: Path) -> None:
    with working(models) as worker, ThreadPoolExecutor() as pool:
        worker.thumbnail(encoded(image()))
        assert worker.pid
        os.kill(worker.pid, signal.SIGSTOP)
        waiting = pool.submit(worker.thumbnail, encoded(image()))
        eventually(worker._turn.locked)
        worker.close()
        with pytest.raises(UnavailableError):
            waiting.result()
        with pytest.raises(UnavailableError, match="shut down"):
            worker.thumbnail(encoded(image()))
        assert worker.pid is None


def test_worker_leaves_no_threads_behind(models: Path) -> None:
    before = set(threading.enumerate())
    with working(models) as worker:
        worker.thumbnail(encoded(image()))
    eventually(lambda: set(threading.enumerate()) <= before)


def test_parent_imports_nothing_that_touches_pixels(models: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from edge_classifier.web.config.settings import ClassifySettings, UploadSettings\n"
        "from edge_classifier.web.worker.picture_worker import PictureWorker\n"
        "worker = PictureWorker(ClassifySettings(), UploadSettings(), Path(sys.argv[1]))\n"
        "print(worker.classify(Path(sys.argv[2])).label); worker.close()\n"
        f"print([name for name in {_HEAVY} if name in sys.modules])\n"
    )
    command = [sys.executable, "-c", code, str(models), str(CAT)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    label, loaded = done.stdout.splitlines()
    assert label == "cat"
    assert loaded == "[]"
