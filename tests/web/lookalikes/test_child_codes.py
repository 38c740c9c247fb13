"""What the child process makes of pictures, and that nobody waits for it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from edge_classifier.errors import PictureError, UnavailableError
from edge_classifier.samples import CAT, FOLDER
from edge_classifier.web.lookalikes.codes import ALIKE, BASE, as_number, distance
from edge_classifier.web.worker import child_codes, picture_worker
from edge_classifier.web.worker.child import TaskRunner
from edge_classifier.web.worker.messages import CropBox, EncodeTask, task_to_message
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.waiting import eventually
from tests.web.working import encoded, working


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    with working(tmp_path_factory.mktemp("models")) as found:
        yield found


def cat() -> Image.Image:
    return Image.open(CAT).convert("RGB")


def code(
    worker: PictureWorker, jpeg: bytes, box: tuple[float, float, float, float] | None = None
) -> int:
    found = worker.encode_if_idle(jpeg, BASE, CropBox(*box) if box else None)
    assert found is not None
    assert len(found) == 256
    return as_number(found)


def test_code_of_nearly_the_same_is_near_and_of_something_else_far(worker: PictureWorker) -> None:
    one = code(worker, encoded(cat()))
    darker = code(worker, encoded(ImageEnhance.Brightness(cat()).enhance(0.8)))
    smaller = code(worker, encoded(cat().resize((320, 240)), quality=60))
    other = code(worker, encoded(Image.open(FOLDER / "uniform.jpg").convert("RGB")))
    assert code(worker, encoded(cat())) == one
    assert distance(one, darker) < ALIKE / 2
    assert distance(one, smaller) < ALIKE
    assert distance(one, other) > 0.35


def test_code_of_a_box_is_that_of_what_is_in_it(worker: PictureWorker) -> None:
    scene = Image.new("RGB", (1280, 960), (90, 110, 90))
    scene.paste(cat().resize((480, 360)), (700, 500))
    inside = (700 / 1280, 500 / 960, 480 / 1280, 360 / 960)
    alone = encoded(cat().resize((480, 360)))
    looked_at = code(worker, alone, (0.0, 0.0, 1.0, 1.0))
    of_box = distance(code(worker, encoded(scene), inside), looked_at)
    assert of_box < min(ALIKE, distance(code(worker, encoded(scene)), looked_at))


@pytest.mark.parametrize(
    "box", [(0.99, 0.99, 0.5, 0.5), (0.0, 0.0, 0.0, 0.0), (-1.0, 2.0, 3.0, 9.0)]
)
def test_box_that_is_nearly_nothing_or_outside_is_no_error(
    worker: PictureWorker, box: tuple[float, float, float, float]
) -> None:
    code(worker, encoded(cat()), box)


def test_garbage_is_refused_and_the_child_goes_on(worker: PictureWorker) -> None:
    code(worker, encoded(cat()))
    before = worker.pid
    for garbage in (b"", b"garbage", encoded(cat())[:500]):
        with pytest.raises(PictureError):
            worker.encode_if_idle(garbage, BASE)
    assert worker.pid == before


def test_nothing_is_encoded_while_somebody_waits_for_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with working(tmp_path) as worker:
        jpeg = encoded(cat())
        worker._turn.acquire()
        waiting = threading.Thread(target=worker.thumbnail, args=(jpeg,))
        waiting.start()
        assert worker.encode_if_idle(jpeg, BASE) is None
        worker._turn.release()
        waiting.join()
        # Nor just after it, as more may come.
        monkeypatch.setattr(picture_worker, "_QUIET_S", 3600.0)
        assert worker.encode_if_idle(jpeg, BASE) is None
        monkeypatch.setattr(picture_worker, "_QUIET_S", 0.0)
        eventually(lambda: worker.encode_if_idle(jpeg, BASE) is not None)


def test_machine_that_can_never_do_it_says_so_as_a_fault_of_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(_base: str) -> None:
        raise UnavailableError("the runtime", "has no schema of model files")

    monkeypatch.setattr(child_codes, "PictureCoder", missing)
    task = EncodeTask(BASE, 1_000_000, None)
    answer = TaskRunner().answer(task_to_message(task, b""))
    assert answer.header["error"][:2] == ["ModelError", "the runtime"]
