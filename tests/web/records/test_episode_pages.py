"""How pages show how long a label stayed, its best picture, and what was only glimpsed."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.records import deletion, history_chart
from edge_classifier.web.records.display import box_overlay, shown
from edge_classifier.web.records.filters import Filter
from edge_classifier.web.templatetags.words import duration
from tests.web import making
from tests.web.records.test_history import get, keys, link

TELLS: dict[str, Any] = {"path": ["animal", "cat"]}


def glimpse(name: str = "cat", **facts: Any) -> Record:
    told = {"reason": "dwell", "needs_s": 1.0, "frames": 2}
    return making.event(name, **{"source": "glimpse", "duration_s": 0.8, "detail": told, **facts})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.84, "0.8 s"),
        (1, "1 s"),
        (9.949, "9.9 s"),
        (9.96, "10 s"),
        (12.4, "12 s"),
        (59.6, "1 min"),
        (250, "4 min 10 s"),
        (7_500, "2 h 5 min"),
        (7_205, "2 h"),
        (273_700, "3 d 4 h"),
    ],
)
def test_duration_is_told_in_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_record_without_an_end_is_still_there_until_its_camera_tells_of_something_else(
    db: None,
) -> None:
    hour = timedelta(hours=1)
    now = timezone.now()
    old = making.event("cat", at=now - 2 * hour)
    there = making.event("cat", at=now - hour, detail=TELLS)
    glimpse(at=now)
    making.event("dog", at=now, camera=making.camera("back"))
    # One that does not tell of ends has perhaps ended.
    assert [shown(one).stay for one in (old, there)] == ["", "still there"]
    making.event("unknown", at=now, detail={"path": []})
    assert shown(there).stay == ""
    assert shown(making.event("cat", duration_s=12.5, detail=TELLS)).stay == "12 s"


def test_history_shows_duration_and_the_box_upon_the_picture_and_the_record_its_path(
    viewer: Client,
) -> None:
    box = {"box": [0.25, 0.5, 0.5, 0.25]}
    facts: dict[str, Any] = {"duration_s": 12.5, "score": 0.96, "detail": TELLS | box}
    made = making.event("cat", picture=making.jpeg(), **facts)
    assert re.search("animal . cat", get(viewer, f"/records/{made.key}"))
    page = get(viewer, "/history")
    assert ">12 s</span>" in page
    assert "0.96" in page
    assert 'viewBox="0 0 64 48" preserveAspectRatio="xMidYMid slice"' in page
    assert '<rect x="16.0" y="24.0" width="32.0" height="12.0"/>' in page
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)


def test_path_is_told_in_the_reader_s_language(viewer: Client) -> None:
    Label.objects.create(name="animal", chinese="动物")
    told = {"path": ["animal", "feline", "cat"], "path_names": ["Tier", "猫科", "猫"]}
    made = making.event("cat", detail=told)
    address = f"/records/{made.key}"
    assert re.search("animal . feline . cat", get(viewer, address))
    viewer.cookies.load({"django_language": "zh-hans"})
    assert re.search("动物 . 猫科 . ", get(viewer, address))


def test_record_offers_the_part_that_was_looked_at_beside_the_whole(viewer: Client) -> None:
    made = making.event(picture=making.jpeg(), detail=TELLS | {"box": [0.25, 0.5, 0.5, 0.25]})
    page = get(viewer, f"/records/{made.key}")
    assert '<svg width="41.6" height="15.6" viewBox="11.2 22.2 41.6 15.6">' in page
    assert f'<image href="/pictures/{made.key}.jpg" width="64" height="48"/>' in page
    assert not re.search(r"<style|\sstyle=|\son\w+=", page)


def test_box_at_the_edge_is_shown_by_itself_within_the_picture() -> None:
    overlay = box_overlay([0.0, 0.5, 1.0, 0.5], 64, 48)
    assert overlay is not None
    assert overlay.close == "0.0 20.4 64.0 27.6"
    assert box_overlay([0.0, 0.5, 1.0, 0.5], None, 48) is None


def test_glimpses_are_shown_apart_with_the_reason(viewer: Client) -> None:
    seen, glimpsed = making.event("cat"), glimpse("dog")
    assert keys(get(viewer, "/history")) == [str(seen.key)]
    page = get(viewer, "/history?kind=glimpsed")
    assert keys(page) == [str(glimpsed.key)]
    assert "glimpsed</span>" in page
    assert "0.8 s of the 1 s that it needs" in page
    assert "0.8 s of the 1 s that it needs" in get(viewer, f"/records/{glimpsed.key}")
    assert set(keys(get(viewer, "/history?kind=all"))) == {str(seen.key), str(glimpsed.key)}
    assert 'href="/history?source=event&amp;kind=all"' in get(viewer, "/history?source=event")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "eu"),
        ("source=event", "e"),
        ("kind=glimpsed", "g"),
        ("kind=glimpsed&source=event", "g"),
        ("kind=all&source=event", "eg"),
        ("kind=glimpsed&source=upload", ""),
        ("kind=all", "egu"),
    ],
)
def test_filter_of_a_kind_finds_no_other(db: None, query: str, found: str) -> None:
    made = {"e": making.event(), "g": glimpse(), "u": making.upload()}
    chosen = Filter.parse(dict(part.split("=") for part in query.split("&") if part))
    assert set(chosen.apply(Record.objects.all())) == {made[name] for name in found}


@pytest.mark.parametrize("kind", ["", "&kind=all", "&kind=glimpsed"])
def test_chart_never_adds_glimpses_to_what_was_seen(viewer: Client, kind: str) -> None:
    making.event("cat")
    for _ in range(3):
        glimpse("cat")
    page = get(viewer, f"/history/chart?part{kind}")
    assert ("cat: 3" if kind == "&kind=glimpsed" else "cat: 1") in page
    assert ("Glimpses per day" in page) == (kind == "&kind=glimpsed")


def test_glimpse_is_no_first_sight(viewer: Client) -> None:
    glimpse("lynx")
    Label.objects.filter(name="lynx").update(first_glimpsed=timezone.now())
    assert "First seen today" not in get(viewer, "/history?kind=all")
    # But it can be chosen.
    assert "lynx" in get(viewer, "/history/names?field=label&text=")


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_everybody_who_sees_events_sees_glimpses(db: None, role: str, client: Client) -> None:
    client.force_login(User.objects.create_user(role, role=role))
    made = glimpse()
    assert client.get(f"/records/{made.key}").status_code == 200


def test_viewer_deletes_no_glimpses(db: None) -> None:
    glimpse()
    viewer = User.objects.create_user("viewer", role="viewer")
    assert not deletion.deletable_by(viewer).exists()


def test_history_by_score_leads_through_all_records_and_back_without_a_gap(viewer: Client) -> None:
    # Many of the same score: there the number decides.
    made = [making.event(score=number % 5 / 4 + 1e-9) for number in range(70)]
    ordered = [str(r.key) for r in sorted(made, key=lambda r: (r.score, r.id), reverse=True)]
    page = get(viewer, "/history?order=score")
    seen = keys(page)
    while onward := link(page, "next"):
        assert "order=score" in onward
        page = get(viewer, onward)
        seen += keys(page)
    assert seen == ordered
    assert keys(get(viewer, link(page, "prev"))) == ordered[24:48]


def test_place_in_one_order_is_none_in_the_other(viewer: Client) -> None:
    made = making.event(score=0.5)
    for address in (f"/history?before=0.5.{made.pk}", "/history?order=score&before=1700000000.1"):
        assert viewer.get(address).status_code == 400


def test_count_of_a_day_is_of_what_was_seen(db: None) -> None:
    glimpse(), making.event()
    day = timezone.localdate()
    counts = history_chart.counts(Filter().apply(Record.objects.all()), day, day)
    assert sum(counts.values()) == 1


def test_picture_that_may_get_better_is_not_kept_for_ever(viewer: Client) -> None:
    may = making.event(picture=making.jpeg(), detail=TELLS | {"frame_ms": 5})
    done = making.event(
        picture=making.jpeg((1, 2, 3)), detail=TELLS | {"frame_ms": 5}, duration_s=1
    )
    Record.objects.filter(pk=done.pk).update(recorded_at=timezone.now() - timedelta(days=2))
    for one, is_last in ((may, False), (done, True)):
        answer: Any = viewer.get(f"/pictures/{one.key}.jpg")
        answer.getvalue()
        assert ("immutable" in answer["Cache-Control"]) == is_last
