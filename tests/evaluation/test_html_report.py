"""The page: one file that needs nothing else, and shows what users named as text."""

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("jinja2", reason="the page needs the extra `report`")
pytest.importorskip("matplotlib", reason="the page needs the extra `report`")

import matplotlib as mpl
import polib

from edge_classifier.core.sentence import Sentence
from edge_classifier.evaluation import charts, html_report
from edge_classifier.evaluation.calibration import reliability
from edge_classifier.evaluation.html_report import render
from edge_classifier.evaluation.latency import Latency
from edge_classifier.evaluation.measures import Share
from edge_classifier.evaluation.report import PAGES, figures
from edge_classifier.evaluation.report_data import (
    CurvePoint,
    EdgeTpu,
    Epoch,
    NetworkForm,
    ReportData,
)
from edge_classifier.evaluation.score import LeftOut
from edge_classifier.translation import Reader, translation_to
from tests.dataset.made_datasets import checked_with_every_finding
from tests.evaluation.reports import SUBJECT, report, scored

EVIL = "<script>alert('a')</script>"
NOTE = Sentence("scores are those of cross-validation: of each picture by what the others taught")
VOID = {"meta", "img", "br"}
HISTORY = tuple(
    Epoch(
        stage=stage,
        number=number,
        seconds=1.0,
        rate=1e-3,
        train_loss=0.5,
        train_accuracy=0.8,
        held_loss=0.6,
        held_accuracy=0.7,
    )
    for stage in ("head", "finetune")
    for number in (1, 2)
)


class Page(HTMLParser):
    """What a browser would make of a page; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def every(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten red pictures, named as those of ``tests.evaluation.reports`` are."""
    (tmp_path / "folder").mkdir()
    for number in range(10):
        Image.new("RGB", (40, 30), "red").save(tmp_path / f"folder/{number}.jpg")
    return tmp_path


def full(folder: Path, labels: tuple[str, ...] = ("cat", "tulip", "unknown")) -> ReportData:
    """A report with every part there can be."""
    pictures = [(n % 3, n % 3 if n < 6 else 0, 0.9) for n in range(10)]
    found = scored(labels, pictures, {"zh": ("猫", "郁金香", "未知")})
    found = replace(
        found,
        paths=tuple(folder / place for place in found.places),
        unreadable=((f"{EVIL}.jpg", Sentence("is empty")),),
        left_out=(LeftOut(EVIL, 3, ("cat",)),),
        not_pictures={".heic": 2, Sentence("without suffix"): 1},
        model=replace(SUBJECT, notes=(NOTE,)),
    )
    augmentation = folder / "augmentation.jpg"
    Image.new("RGB", (8, 8), "green").save(augmentation)
    exported = Sentence("the float network, quantized after training")
    return report(
        found,
        title=Sentence("{title}, taught on {base}", title="flowers", base="tiny"),
        chosen_on=True,
        forms=(NetworkForm("float", Share(8, 10)), NetworkForm("PTQ", Share(7, 10), exported)),
        agreement=Share(9, 10),
        before=reliability(np.array([0.5, 0.9]), np.array([True, False])),
        temperature=1.5,
        history=HISTORY,
        latency=Latency(3.2, "efficientnet-lite0", 4.3, 0.75, 60, 1),
        edgetpu=EdgeTpu(False, ("PAD is in the way",)),
        learning_curve=(CurvePoint(0.5, 40, Share(3, 5)), CurvePoint(1, 80, Share(4, 5))),
        augmentation=augmentation,
        findings=(EVIL, *checked_with_every_finding()[0].lines()),
        settings=f"title = '{EVIL}'",
        versions={"numpy": "2"},
        seed=0,
        fingerprint="cd" * 32,
    )


def english(data: ReportData) -> str:
    return render(figures(data), data)["en"]


def page(data: ReportData) -> Page:
    return Page(english(data))


def test_page_with_every_part_shows_each(folder: Path) -> None:
    found = page(full(folder))
    for wanted in (
        "one or two points too good", "There are only 10 pictures", "90.0 % of 10 pictures",
        "All 4 epochs", "temperature 1.50", "Pictures of other things",
        "fewer than 20", "Would more pictures help?", ".heic", "is empty", "cd" * 32,
        "3.20 ms", "PAD is in the way", "Seed 0",
    ):  # fmt: skip
        assert wanted in found.text, wanted


def test_page_has_words_for_a_lesson_a_plain_time_and_few_examples_at_first(folder: Path) -> None:
    data = replace(full(folder), made="2026-11-30T07:06:38+01:00")
    assert "2026-11-30 06:06 UTC" in page(data).text
    assert "epoch" not in page(replace(data, history=())).text
    few = list(html_report.example_tiles(data.scored, 0))
    many = few * 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html_report, "example_tiles", lambda *_: many)
        shown = page(data)
    assert f"{len(many) - 12} more" in shown.text
    assert shown.text.count("folder/0.jpg") == page(data).text.count("folder/0.jpg") + 1


def test_page_begins_with_verdict_mistakes_and_what_to_do_and_ends_with_the_network(
    folder: Path,
) -> None:
    found = page(full(folder))
    places = [one.get("id") for one in found.every("h2")]
    assert places[:4] == [None, "mistakes", "next", "labels"]
    assert places[-2:] == ["training", "accuracy"]
    before = found.text[: found.text.index("Forms of the network\n")]
    for jargon in ("QAT", "PTQ", "F1", "calibration error"):
        assert jargon not in before


def test_page_glues_no_sentences_and_no_names_together(folder: Path) -> None:
    text = english(full(folder))
    shown = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<pre>.*?</pre>", "", text, flags=re.DOTALL)
    # What ends a block ends a word; what stands within a line does not.
    shown = re.sub(r"</(li|p|h\d|td|th|dt|dd|a|small|figcaption|summary|div|caption)>", " ", shown)
    shown = re.sub(r"<br>", " ", re.sub(r'<span class="name".*?</span>', "", shown))
    shown = re.sub(r"<[^>]*>", "", shown)
    assert re.findall(r"\w+[.?!][A-Z]\w+|[a-z]\w*[0-9.]*(?=[\u4e00-\u9fff])", shown) == []


@pytest.mark.parametrize("temperature", [None, 1.0, 0.9996])
def test_temperature_that_changes_nothing_is_not_told(
    folder: Path, temperature: float | None
) -> None:
    text = english(replace(full(folder), temperature=temperature))
    assert "temperature 1" not in text
    assert "points apart on average" in text
    assert "<figcaption>Before" not in text


def test_page_is_there_in_both_languages_with_one_name_a_label(folder: Path) -> None:
    data = full(folder)
    pages = render(figures(data), data)
    assert set(pages) == set(PAGES)
    chinese = Page(pages["zh-Hans"])
    assert next(chinese.every("html"))["lang"] == "zh-Hans"
    assert "tulip" in Page(pages["en"]).text
    assert "郁金香" not in pages["en"]
    assert "郁金香" in chinese.text
    assert "tulip" not in chinese.text
    # The verdict, too.
    assert "最弱的标签\uff1a郁金香" in chinese.text


def test_chinese_page_has_no_english_sentence_and_no_english_word_in_a_chart(folder: Path) -> None:
    data = full(folder)
    text = render(figures(data), data)["zh-Hans"]
    for chart in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        for word in re.findall(r"<text[^>]*>([^<]*)</text>", chart):
            assert not re.search("[a-z]{2}", word), word
    # What users and other programs named stays as it is.
    text = re.sub(
        r"<style>.*?</style>|<svg.*?</svg>|<(pre|code)>.*?</\1>", "", text, flags=re.DOTALL
    )
    shown = Page(text).text
    told = (EVIL, "PAD is in the way", *data.scored.places)
    for one in told:
        shown = shown.replace(one, "")
    assert re.findall(r"[A-Za-z]{2,} [A-Za-z]{2,} [a-z]{2,}", shown) == []
    # Nor a short one in title and findings, where labels have their names.
    assert "flowers\uff0c在 tiny 基础上教出" in shown
    assert "说明\uff1a1 张图片只用了一部分" in shown
    assert "警告\uff1a猫 有 399 张图片" in shown
    assert "无法作为图片读取\uff0c因此未计入\uff1a没有后缀名\uff081\uff09" in shown


def test_every_text_of_the_page_is_translated() -> None:
    folder = Path(html_report.__file__).parent
    plain = html_report.environment(Reader(translation_to("en"), {}))
    template = (folder / html_report.TEMPLATE).read_text("utf-8")
    wanted = {
        message if isinstance(message, str) else message[0]
        for _, _, message in plain.extract_translations(template)
    }
    catalogue = polib.pofile(
        str(folder.parent / "translation/locale/zh_Hans/LC_MESSAGES/sentences.po")
    )
    assert wanted - {one.msgid for one in catalogue} == set()
    assert len(wanted) > 100


def test_page_without_the_optional_parts_has_no_headings_for_them(folder: Path) -> None:
    bare = scored(("cat", "dog"), [(0, 0, 0.9), (1, 1, 0.8)])
    found = page(report(replace(bare, paths=tuple(folder / place for place in bare.places))))
    for absent in ("Training", "Edge TPU", "Would more", "other things", "Settings", "optimistic"):
        assert absent not in found.text
    assert "There was no mistake." in found.text


def test_page_shows_names_as_text_whatever_is_in_them(folder: Path) -> None:
    data = full(folder, ("cat", EVIL, "unknown"))
    found = page(replace(data, title=f"{EVIL} & co"))
    assert list(found.every("script")) == []
    assert EVIL in found.text


def test_page_needs_nothing_from_outside(folder: Path) -> None:
    text = english(full(folder))
    found = Page(text)
    for _, attributes in found.tags:
        for key in ("src", "href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/jpeg;base64,"))
    assert not {tag for tag, _ in found.tags} & {"script", "link", "iframe", "object"}
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert "http" not in without_names.replace("http-equiv", "")
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text)


def test_page_describes_every_picture_with_its_size_and_every_table(folder: Path) -> None:
    found = page(full(folder))
    assert all(picture["alt"] for picture in found.every("img"))
    figures_ = [one for one in found.every("figure") if one.get("role") == "img"]
    assert len(figures_) == 5
    assert all(one["aria-label"] for one in figures_)
    assert all(picture["width"] and picture["height"] for picture in found.every("img"))
    assert all(heading.get("scope") in ("row", "col") for heading in found.every("th"))


def test_page_has_every_id_once_and_links_to_what_is_there(folder: Path) -> None:
    found = page(full(folder))
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {(one["href"] or "").removeprefix("#") for one in found.every("a")} <= set(ids)


def test_page_of_a_picture_that_has_gone_shows_the_others(folder: Path) -> None:
    data = full(folder)
    (folder / "folder/9.jpg").unlink()
    assert len(list(page(data).every("img"))) == 2 + 9 + 1
    assert "cannot be read any more" in page(data).text


def test_page_of_many_labels_draws_the_matrix_and_lists_the_weakest(folder: Path) -> None:
    labels = tuple(f"label {number}" for number in range(120))
    pictures = [(n % 120, n % 120 if n % 7 else (n + 1) % 120, 0.9) for n in range(600)]
    found = scored(labels, pictures)
    shown = page(report(replace(found, paths=(folder / "folder/1.jpg",) * 600)))
    assert "The 25 weakest of 120 labels" in shown.text
    cells = [one for one in shown.every("rect") if one.get("class") in ("hit", "miss")]
    assert len(cells) == len({(truth, predicted) for truth, predicted, _ in pictures})
    assert "label 0 taken for label 1: " in shown.text


def test_charts_take_their_colours_from_the_page_and_have_ids_of_their_own() -> None:
    history = figures(report(scored(("a", "b"), [(0, 0, 0.9)]), history=HISTORY))["history"]
    one, other = charts.losses(history), charts.accuracies(history)
    assert "var(--one)" in one
    assert not re.search("#0[1-4]0[1-4]0[1-4]", one)
    names = [set(re.findall(r'\sid="([^"]+)"', svg)) for svg in (one, other)]
    assert names[0]
    assert not names[0] & names[1]
    assert ">finetune</text>" in one
    assert one == charts.losses(history)


def test_charts_leave_matplotlibs_settings_as_they_were() -> None:
    before = dict(mpl.rcParams)
    charts.reliability("x", [{"count": 2, "confidence": 0.4, "accuracy": 0.5}] * 3)
    assert dict(mpl.rcParams) == before


def test_tiles_hold_the_picture(folder: Path) -> None:
    data = full(folder)
    uri = next(one["src"] for one in page(data).every("img")) or ""
    tile = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert tile.size == (200, 200)
    red = np.asarray(tile)
    assert red[..., 0].min() > 200
    assert red[..., 1:].max() < 60
