"""Sentences of a report in the language of who reads it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polib
import pytest
from PIL import Image

import edge_classifier
from edge_classifier import translation
from edge_classifier.core.sentence import LabelText, Sentence
from edge_classifier.dataset import check
from edge_classifier.dataset.facts import examine
from edge_classifier.dataset.folder import scan
from edge_classifier.evaluation.measures import Share
from edge_classifier.teach.advice import Advice, WeakClass, sentences
from edge_classifier.translation import Reader, translation_to
from tests.dataset.made_datasets import checked_with_every_finding

CATALOGUE = Path(translation.__file__).parent / "locale/zh_Hans/LC_MESSAGES/sentences.po"
NAMES = {"cat": "猫", "dog": "狗", "owl": "猫头鹰", "yak": "牦牛"}
CHINESE = Reader(translation_to("zh-Hans"), NAMES)
ADVICE = Advice(
    tuple(WeakClass(label, 12, found) for found, label in enumerate(NAMES)),
    (),
    (("cat", "dog", Share(9, 30)),),
)
MANY = Advice((*ADVICE.want_more, WeakClass("cat", 3, 1), WeakClass("dog", 4, 1)), (), ())


def english_in(texts: Iterator[str]) -> list[str]:
    """What is left of it but units, formats, and what files and folders are called."""
    files = re.compile(r"(/?\b(val/)?(cat|dog|owl|yak)/\d+\.jpg)|/val\b|\.dng|u/|JPEG|\bpx\b")
    return [text for text in texts if re.search("[A-Za-z]{2,}", files.sub("", text))]


def test_every_finding_of_the_data_check_is_told_in_chinese() -> None:
    results = checked_with_every_finding()
    kinds = re.findall(r'Finding\(\s*"(\w+)"', Path(check.__file__).read_text("utf-8"))
    assert {one.kind for result in results for one in result.findings} == set(kinds)
    said = [CHINESE.told(line) for result in results for line in result.lines()]
    assert english_in(iter(said)) == []
    assert "错误\uff1a牦牛 没有可以读取的图片" in said
    assert "警告\uff1a1 个类别在 /val 中没有用于衡量的图片" in said
    assert "警告\uff1a猫 有 399 张图片\uff0c猫头鹰 有 2 张\uff1a增加 猫头鹰 的图片最有帮助" in said
    assert "    cat/1.jpg\uff1a是空文件" in said
    assert "    cat/9.jpg\uff1a动画\uff1a只用 3 帧中的第一帧" in said
    assert "    猫头鹰\uff1a2" in said
    assert "    没有后缀名\uff1a1 个" in said


@pytest.mark.parametrize("advice", [ADVICE, MANY])
def test_every_sentence_of_teaching_is_told_in_chinese(advice: Advice) -> None:
    said = [CHINESE.told(one) for one in sentences(advice, Share(8, 9), left_one_out=True)]
    assert english_in(iter(said)) == []
    assert "猫 需要更多图片\uff1a现有 12 张\uff0c认出了 0 张" in said
    assert ("另外 1 个类别也需要更多图片" in said) == (advice is MANY)
    told = "猫 和 狗 区分不开\uff1a30 张图片中有 9 张互相认错。"
    assert any(one.startswith(told) for one in said) == (advice is ADVICE)


def test_what_is_wrong_with_real_pictures_is_told_in_chinese(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
    deep = np.arange(100, 3300, dtype=np.uint16).reshape(40, 80)
    Image.fromarray(deep).save(tmp_path / "cat/deep.png")
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "cat/moves.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "dog/empty.jpg").touch()
    (tmp_path / "dog/text.jpg").write_text("a dog")
    (tmp_path / "dog/cut.png").write_bytes((tmp_path / "cat/deep.png").read_bytes()[:60])
    (tmp_path / "dog/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "dog/notes").touch()
    dataset = scan(tmp_path)
    paths = [sample.path for sample in dataset.samples]
    found = check.check_dataset(dataset, examine(paths, workers=1, progress=lambda _: None))
    examples = {one.kind: [CHINESE.told(said) for said in one.examples] for one in found.findings}
    assert examples["unreadable"][1:] == [
        "dog/empty.jpg\uff1a是空文件",
        "dog/gone.jpg\uff1a没有这个文件",
        "dog/text.jpg\uff1a不是图片",
    ]
    # What the decoder says stays as it is.
    assert examples["unreadable"][0].startswith("dog/cut.png\uff1a无法解码\uff08")
    assert examples["partly"] == [
        "cat/deep.png\uff1a超过 8 位\uff1a103 到 3296 转换成了从黑到白",
        "cat/moves.gif\uff1a动画\uff1a只用 2 帧中的第一帧",
    ]
    assert examples["left_out"] == ["没有后缀名\uff1a1 个"]


def test_reader_of_english_is_told_the_same_with_labels_by_their_names() -> None:
    named = Reader(translation_to("en"), {"cat": "Cat"})
    said = Sentence("{count} {label}", "{count} {label}s", count=2, label=LabelText("cat"))
    assert named.told(said) == "2 Cats"
    assert named.told("{cat}") == "{cat}"


def templates() -> Iterator[str]:
    """What sentences are made of, anywhere in the package."""
    for path in sorted(Path(edge_classifier.__file__).parent.rglob("*.py")):
        text = path.read_text("utf-8")
        # Makes them again of what others made.
        if "Sentence(" not in text or path.name == "sentence.py":
            continue
        for call in ast.walk(ast.parse(text)):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "Sentence":
                for part in call.args:
                    template = getattr(part, "value", None)
                    assert isinstance(template, str), f"{path.name}, line {call.lineno}"
                    yield template


def test_every_sentence_of_the_package_is_translated_with_its_values() -> None:
    catalogue = polib.pofile(str(CATALOGUE))
    known = {text for one in catalogue for text in (one.msgid, one.msgid_plural) if text}
    assert set(templates()) - known == set()
    compiled = polib.mofile(str(CATALOGUE.with_suffix(".mo")))
    assert {one.msgid: (one.msgstr, one.msgstr_plural) for one in compiled} == {
        one.msgid: (one.msgstr, one.msgstr_plural) for one in catalogue
    }
    holes = re.compile(r"%\(\w+\)s|%%|\{\w+\}|</?\w+>")
    for one in catalogue:
        for text in (one.msgid, one.msgid_plural) if one.msgid_plural else (one.msgid,):
            for translated in one.msgstr_plural.values() or [one.msgstr]:
                assert translated, text
                assert sorted(holes.findall(text)) == sorted(holes.findall(translated)), text
