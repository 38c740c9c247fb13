"""简体中文: every text of the page has its translation, and pages show nothing else."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import polib
import pytest
from django.test import Client

import edge_classifier.web
from edge_classifier.modelfile.catalogue import load_catalogue
from edge_classifier.web.services import Services
from tests.web import making

WEB = Path(edge_classifier.web.__file__).parent
CATALOGUE = Path("locale/zh_Hans/LC_MESSAGES")
PO = polib.pofile(str(WEB / CATALOGUE / "django.po"))
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z%]|<[^>]+>")
MAKE = """
from django.conf import settings
settings.configure()
import django
django.setup()
from django.core.management import call_command
call_command("makemessages", locale=["zh_Hans"], verbosity=0)
"""
# What an administrator can ask for, 404 included.
PAGES = (
    "/classify", "/live", "/history", "/history?label=nothing-has-this-name", "/review",
    "/review?view=grid", "/review?view=dataset", "/review/compare", "/models",
    "/models/efficientnet-lite0/report", "/tokens", "/login", "/password", "/nowhere",
)  # fmt: skip
SAME = {"CSV", "JSON", "SHA-256"}
WORD = re.compile(r"[A-Za-z]{2,}")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SENTENCE = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,} [a-z]{2,}")


def texts(entry: polib.POEntry) -> list[tuple[str, str]]:
    """Original and translation; Chinese has one form, which stands for the plural."""
    if entry.msgid_plural:
        return [(entry.msgid_plural, text) for text in entry.msgstr_plural.values()]
    return [(entry.msgid, entry.msgstr)]


def test_every_text_is_translated_and_none_is_guessed() -> None:
    assert [entry.msgid for entry in PO.untranslated_entries()] == []
    assert [entry.msgid for entry in PO.fuzzy_entries()] == []
    assert [entry.msgid for entry in PO.obsolete_entries()] == []


def test_compiled_catalogue_is_the_one_that_is_read() -> None:
    compiled = polib.mofile(str(WEB / CATALOGUE / "django.mo"))
    assert {entry.msgid: texts(entry) for entry in compiled} == {
        entry.msgid: texts(entry) for entry in PO
    }


def test_translations_have_the_placeholders_of_their_texts() -> None:
    assert [
        original
        for entry in PO
        for original, translation in texts(entry)
        if Counter(PLACEHOLDER.findall(original)) != Counter(PLACEHOLDER.findall(translation))
    ] == []


def test_translations_are_chinese() -> None:
    assert [
        original
        for entry in PO
        for original, translation in texts(entry)
        if WORD.search(PLACEHOLDER.sub("", original)) and not CHINESE.search(translation)
    ] == []


def test_catalogue_has_the_texts_of_the_page_and_no_others(tmp_path: Path) -> None:
    if not shutil.which("xgettext"):
        pytest.skip("xgettext is not installed (package gettext)")
    copy = tmp_path / "web"
    shutil.copytree(WEB, copy, ignore=shutil.ignore_patterns("locale", "__pycache__"))
    (copy / "locale").mkdir()
    subprocess.run([sys.executable, "-c", MAKE], cwd=copy, check=True, env={**os.environ})
    found = polib.pofile(str(copy / CATALOGUE / "django.po"))
    assert {(entry.msgctxt, entry.msgid, entry.msgid_plural) for entry in PO} == {
        (entry.msgctxt, entry.msgid, entry.msgid_plural) for entry in found
    }


def english() -> list[str]:
    """Texts that no page in Chinese may show: those whose words cannot be a name or a number."""
    plain = {entry.msgid for entry in PO if not PLACEHOLDER.search(entry.msgid)}
    return sorted(text for text in plain if text[:1].isupper() and text not in SAME)


def shown(html: str) -> set[str]:
    """All texts of a page between its tags, and those of attributes that people see or hear."""
    attributes = re.findall(
        r'\s(?:alt|title|aria-label|placeholder|data-(?!more)[\w-]+)="([^"]*)"', html
    )
    between = re.split(r"<[^>]*>", re.sub(r"(?s)<(code|pre|kbd)\b.*?</\1>", "", html))
    return {" ".join(text.split()) for text in (*attributes, *between)}


@pytest.mark.parametrize("path", PAGES)
def test_page_in_chinese_shows_no_english_text(
    path: str, administrator: Client, page: Services
) -> None:
    titles = tuple(entry.title for entry in load_catalogue().entries)
    making.event("cat", picture=making.jpeg())
    making.upload("dog", verdict="confirmed", truth=making.label("dog"))
    html = administrator.get(path, headers={"Accept-Language": "zh-CN"}).content.decode()
    assert '<html lang="zh-hans">' in html
    assert shown(html) & set(english()) == set()
    sentences = {text for text in shown(html) if SENTENCE.search(text) and not CHINESE.search(text)}
    assert not [text for text in sentences if not text.startswith(titles)]


@pytest.mark.parametrize("path", PAGES)
def test_page_in_english_shows_such_texts(path: str, administrator: Client) -> None:
    page = administrator.get(path, headers={"Accept-Language": "en"}).content.decode()
    assert shown(page) & set(english())


def test_administration_is_in_chinese(administrator: Client) -> None:
    making.event("cat")
    page = administrator.get("/admin/", headers={"Accept-Language": "zh-CN"}).content.decode()
    for text in ("记录、用户与标签", "摄像头", "标签", "图片", "模型对比", "令牌"):
        assert text in page


def test_record_in_chinese_has_the_chinese_name_of_its_label(administrator: Client) -> None:
    label = making.label("espresso")
    label.chinese = "意式浓缩咖啡"
    label.save()
    record = making.upload("espresso")
    page = administrator.get(f"/records/{record.key}", headers={"Accept-Language": "zh-CN"})
    assert "意式浓缩咖啡" in page.content.decode()
    assert shown(page.content.decode()) & set(english()) == set()


def test_refusals_are_in_chinese(viewer: Client, visitor: Client) -> None:
    chinese = {"Accept-Language": "zh-CN"}
    assert "没有权限" in viewer.get("/review", headers=chinese).content.decode()
    form = {"username": "nobody", "password": "wrong"}
    assert "用户名或密码错误" in visitor.post("/login", form, headers=chinese).content.decode()
    stranger = visitor.get("/login", headers={**chinese, "Host": "elsewhere.example"})
    assert "无法理解的请求" in stranger.content.decode()
