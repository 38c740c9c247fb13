"""What is wrong with a picture or a model, as a reader of the page's other language is told."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils.translation import override

from edge_classifier.errors import EdgeClassifierError
from edge_classifier.modelfile.bundle import LABELS_FILE, append_bundle
from edge_classifier.web.config.settings import UploadSettings
from edge_classifier.web.services import Services
from edge_classifier.web.wording import explained
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests import tiny
from tests.modelfile.test_model_zip import zip_file
from tests.web.installed_models.daemons import Change
from tests.web.working import encoded, image, working

# Names of formats, files, settings and units, which are the same in every language.
_NAMES = re.compile(
    r"`.*?`|\b[A-Z_]{2,}\b|Google|TFLite|TFL3|zip|Git LFS|git lfs pull|softmax|logits|"
    r"edge-classify models list|--[a-z-]+|model\.\w+|\S*\.(tflite|json|txt|jpg|png)|"
    r"mean|std|int8|uint8|float32|centre|center|\(.*?\)|\uff08.*?\uff09|class"
)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    """One child for all tests of this file."""
    uploads = UploadSettings(max_megapixels=1)
    with working(tmp_path_factory.mktemp("models"), uploads) as found:
        yield found


@pytest.fixture
def models(tmp_path: Path, page: Services, change: Change, worker: PictureWorker) -> Path:
    """An empty folder of models, and a child process that tries what is uploaded."""
    folder = tmp_path / "installed"
    folder.mkdir()
    change(folders=replace(page.folders, models=folder), worker=worker)
    return folder


def english(text: str) -> list[str]:
    return re.findall("[A-Za-z]{2,}", _NAMES.sub("", text))


def _network(folder: Path, labels: str = "", **made: Any) -> bytes:
    path = tiny.build(folder / "made.tflite", tiny.Tiny(**made))
    if labels:
        append_bundle(path, {LABELS_FILE: labels})
    return path.read_bytes()


def test_models_that_are_refused_are_told_in_the_readers_language(
    models: Path, administrator: Client, tmp_path: Path
) -> None:
    network = _network(tmp_path)
    contents = {
        "empty": b"",
        "text": b"no model",
        "pointer": b"version https://git-lfs.github.com/spec/v1",
        "page": b"<!DOCTYPE html><html>",
        "damaged": network[:40] + bytes(40),
        "cut": network[: len(network) // 2],
        "labels": _network(tmp_path, "red\ngreen\n"),
        "no model": zip_file(tmp_path / "a.zip", {"a.txt": b"a"}).read_bytes(),
        "two models": zip_file(
            tmp_path / "b.zip", {"a.tflite": network, "b.tflite": network}
        ).read_bytes(),
        "gap": zip_file(
            tmp_path / "c.zip", {"a.tflite": network, "labels.txt": b"0 red\n1 green\n3 blue\n"}
        ).read_bytes(),
    }
    administrator.cookies["django_language"] = "zh-hans"
    for what, content in contents.items():
        form = {"model": SimpleUploadedFile("x.tflite", content), "name": what}
        page = administrator.post("/models/upload", form, follow=True).content.decode()
        said = re.findall(r'<p class="message error"[^>]*>(.*?)</p>', page, re.DOTALL)
        assert said, what
        assert re.search("[\u4e00-\u9fff]{2}", said[0]), (what, said)
        assert english(said[0]) == [], (what, said)
    assert not list(models.glob("*.tflite"))


@pytest.mark.parametrize(
    "made",
    [
        {"dtype": "float32"},
        {"dtype": "float32", "softmax": False},
        {"dtype": "float32", "folded": 0.001},
        {"dtype": "float32", "before": (("MUL", (1 / 127.5,) * 3), ("SUB", (1.0,) * 3))},
        {"dtype": "float32", "metadata": tiny.metadata([0.0], [1.0])},
        {"dtype": "uint8", "scale": 1 / 127, "metadata": tiny.metadata([0.0], [1.0])},
        {"dtype": "uint8", "scale": 0.02},
    ],
)
def test_notes_on_a_model_of_others_are_told_in_the_readers_language(
    models: Path, administrator: Client, tmp_path: Path, made: dict[str, Any]
) -> None:
    form = {"model": SimpleUploadedFile("x.tflite", _network(tmp_path, **made)), "name": "x"}
    administrator.cookies["django_language"] = "zh-hans"
    administrator.post("/models/upload", form)
    (file,) = models.glob("*.tflite")
    page = administrator.get(f"/models/{file.stem}/report").content.decode()
    notes = re.search("<dt>说明</dt><dd>(.*?)</dd>", page, re.DOTALL)
    assert notes, page[page.find("SHA-256") - 300 :][:2500]
    lines = notes[1].split("<br>")
    assert [english(line) for line in lines] == [[]] * len(lines)


def test_pictures_that_are_refused_are_told_in_the_readers_language(
    models: Path, administrator: Client
) -> None:
    whole = encoded(image())
    contents = {
        "empty": b"",
        "text": b"no picture",
        "cut": whole[: len(whole) // 2],
        "large": encoded(image((1200, 1200))),
    }
    administrator.cookies["django_language"] = "zh-hans"
    for what, content in contents.items():
        form = {"pictures": [SimpleUploadedFile("x.jpg", content)]}
        page = administrator.post("/classify", form).content.decode()
        said = re.findall(r"无法接受此图片\uff1a(.*?)<", page)
        assert said, what
        assert english(said[0]) == [], (what, said)


def test_same_error_is_told_to_each_in_their_language(
    worker: PictureWorker, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(b"no model")
    with pytest.raises(EdgeClassifierError) as caught:
        worker.describe_model(damaged)
    with override("en"):
        english_text = explained(caught.value)
    with override("zh-hans"):
        chinese_text = explained(caught.value)
    assert english_text.startswith(
        "Is not a TFLite model (no TFL3 identifier). Name a .tflite file"
    )
    assert chinese_text.startswith("不是 TFLite 模型")
