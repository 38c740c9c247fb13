"""Whoever counts a label, by whatever way, gets the same number."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone, translation

from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.review import verdicts
from tests.web import making

CHINESE = {"cat": "猫", "tabby": "猫", "bird": "鸟", "Cat": ""}


@pytest.fixture
def judge_user(db: None) -> User:
    return User.objects.create_user("judge", role="reviewer")


def make(user: User) -> dict[str, Record]:
    """A record of every kind, of two weeks; some in vain."""
    for name, chinese in CHINESE.items():
        Label.objects.filter(pk=making.label(name).pk).update(chinese=chinese)
    now = timezone.now()
    found: dict[str, Record] = {}

    def one(key: str, name: str, judged: tuple[str, str | None] = ("", None), **facts: Any) -> None:
        record = making.event(name, **{"at": now - timedelta(hours=7 * len(found)), **facts})
        if judged[0]:
            verdicts.judge(record, *judged, user)
        found[key] = record

    for number in range(3):
        one(f"cat {number}", "cat")
        one(f"tabby {number}", "tabby")
    one("Cat", "Cat")
    one("confirmed", "cat", ("confirmed", None))
    one("corrected to a cat", "dog", ("corrected", "cat"))
    one("corrected from a cat", "cat", ("corrected", "dog"))
    one("corrected by its Chinese name", "dog", ("corrected", "鸟"))
    one("made by a reviewer", "dog", ("corrected", "fox"))
    one("nothing there", "cat", ("nothing", None))
    one("rejected", "cat", ("rejected", None))
    one("rejected fox", "fox", ("rejected", None))
    one("unknown", "unknown")
    one("of a group", "bird", detail={"path": ["animal", "bird"]})
    one("glimpsed", "cat", source="glimpse")
    one("elsewhere", "cat", camera=making.camera("garden", "attic"))
    found["upload"] = making.upload("cat", owner=user, at=now)
    found["of a program"] = making.upload("dog", source="api", owner=user, at=now)
    return found


def in_chart(client: Client, **filters: str) -> dict[str, int]:
    page = client.get("/history/chart", {"part": "", **filters}).content.decode()
    lines = re.findall(r'label=[^"]*">([^<]*)</a> <span class="number soft">(\d+)<', page)
    return {unescape(name): int(count) for name, count in lines}


def ways(client: Client, **filters: str) -> Iterator[tuple[str, int]]:
    """How many each way says that there are."""
    yield "chart", sum(in_chart(client, **filters).values())
    page = client.get("/history", filters).content.decode()
    found = re.search(r"([\d,]+) (?:records?\b|条记录)", page)
    yield "list", int(found[1]) if found else 0
    file: Any = client.get("/history/export.csv", filters)
    text = file.getvalue().decode("utf-8-sig")
    yield "CSV", len(list(csv.DictReader(io.StringIO(text))))
    file = client.get("/history/export.json", filters)
    yield "JSON", len(json.loads(file.getvalue()))
    answer = client.get("/api/v1/records", {"limit": "200", **filters}).json()
    yield "API", len(answer["records"])


FILTERS: list[dict[str, str]] = [
    {"device": "pi"},
    {"source": "event"},
    {"review": "yes"},
    {"review": "no"},
    {"review": "any"},
    {"review": "rejected"},
    {"review": "nothing"},
    {"kind": "glimpsed"},
    {"score_min": "0.5"},
    {"since": f"{timezone.now() - timedelta(hours=30):%Y-%m-%dT%H:%M}"},
]


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_way_of_counting_a_label_gives_the_same_number(
    reviewer: Client, judge_user: User, language: str
) -> None:
    make(judge_user)
    reviewer.cookies.load({"django_language": language})
    with translation.override(language):
        for name, count in in_chart(reviewer).items():
            told = dict(ways(reviewer, label=name))
            assert told == dict.fromkeys(told, count), name
        for more in FILTERS:
            shown = in_chart(reviewer, **more)
            told = dict(ways(reviewer, **more))
            assert told == dict.fromkeys(told, sum(shown.values())), more
            name, count = next(iter(shown.items()))
            told = dict(ways(reviewer, label=name, **more))
            assert told == dict.fromkeys(told, count), more


def test_corrected_ones_count_as_what_they_are_and_rejected_ones_nowhere(
    reviewer: Client, judge_user: User
) -> None:
    made = make(judge_user)
    assert in_chart(reviewer) == {
        "cat": 8, "tabby": 3, "dog": 2, "bird": 2, "unknown": 2, "fox": 1,
    }  # fmt: skip
    verdicts.judge(made["rejected"], "", None, judge_user)
    assert in_chart(reviewer)["cat"] == 9
    verdicts.judge(made["cat 0"], "rejected", None, judge_user)
    verdicts.judge(made["cat 1"], "nothing", None, judge_user)
    assert in_chart(reviewer)["cat"] == 7
    assert in_chart(reviewer)["unknown"] == 3


def test_label_is_first_seen_when_what_counts_was(judge_user: User) -> None:
    now = timezone.now()
    early = making.event("fox", at=now - timedelta(days=3))
    late = making.event("fox", at=now)
    Label.objects.filter(name="fox").update(first_seen=early.at)

    def first(name: str = "fox") -> object:
        return Label.objects.get(name=name).first_seen

    verdicts.judge(early, "rejected", None, judge_user)
    assert first() == late.at
    verdicts.judge(late, "corrected", "dog", judge_user)
    assert (first(), first("dog")) == (None, late.at)
    verdicts.judge_all([early, late], "", None, judge_user)
    assert (first(), first("dog")) == (early.at, None)
    # What was seen first is deleted: that it was seen is not forgotten.
    early.delete()
    verdicts.judge(late, "rejected", None, judge_user)
    assert first() == early.at
