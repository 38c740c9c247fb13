"""The page of everything that was seen."""

import re
from collections import Counter
from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.records import history_chart
from edge_classifier.web.records.filters import Filter
from tests.web import making


def keys(page: str) -> list[str]:
    """The records on a page, in its order."""
    return list(dict.fromkeys(re.findall(r"/records/([0-9a-f-]{36})", page)))


def get(client: Client, address: str) -> str:
    return client.get(address).content.decode()


def link(page: str, relation: str) -> str:
    found = re.search(rf'rel="{relation}" href="([^"]+)"', page)
    return found[1].replace("&amp;", "&") if found else ""


def test_history_without_records_says_what_to_do(viewer: Client) -> None:
    page = get(viewer, "/history")
    assert "Nothing has been recorded yet" in page
    assert 'class="plot"' not in page


def test_history_of_a_filter_without_records_offers_everything(viewer: Client) -> None:
    making.event("cat")
    page = get(viewer, "/history?score_max=0.1")
    assert "Nothing fits this filter" in page
    assert "cat</a>" not in page


def test_history_is_shown_newest_first(viewer: Client) -> None:
    now = timezone.now()
    made = [making.event(at=now - timedelta(minutes=ago)) for ago in (3, 1, 2)]
    assert keys(get(viewer, "/history")) == [str(made[i].key) for i in (1, 2, 0)]


def test_history_leads_through_all_records_and_back_without_a_gap(viewer: Client) -> None:
    now = timezone.now()
    # Many at the same moment: there the number decides.
    made = [
        making.event(
            ("cat", "dog", "fox")[number % 3], at=now - timedelta(minutes=number // 4 * 90)
        )
        for number in range(200)
    ]
    ordered = [str(r.key) for r in sorted(made, key=lambda r: (r.at, r.id), reverse=True)]
    page, seen, pages = get(viewer, "/history?source=event"), list[str](), 1
    seen += keys(page)
    while onward := link(page, "next"):
        assert "source=event" in onward
        page, pages = get(viewer, onward), pages + 1
        seen += keys(page)
    assert (sorted(seen), len(seen)) == (sorted(ordered), len(ordered))
    assert pages > 2
    # Back again, cards may be cut elsewhere.
    while back := link(page, "prev"):
        newer, page = keys(page), get(viewer, back)
        oldest = max(ordered.index(key) for key in keys(page))
        assert oldest == min(ordered.index(key) for key in newer) - 1 or not link(page, "prev")


def test_history_stays_in_place_when_something_new_comes(viewer: Client) -> None:
    now = timezone.now()
    for number in range(60):
        making.event(at=now - timedelta(minutes=number))
    first = get(viewer, "/history")
    before = keys(get(viewer, link(first, "next")))
    making.event(at=now + timedelta(minutes=1))
    assert keys(get(viewer, link(first, "next"))) == before


@pytest.mark.parametrize(
    "query",
    ["before=1", "after=x.y", "before=1.99999999999999999999", "score_min=2", "since=x"],
)
def test_history_with_a_wrong_value_says_so(viewer: Client, query: str) -> None:
    making.event()
    answer = viewer.get(f"/history?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.content.decode()


def test_history_counts_only_so_far(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_classifier.web.records.filters.COUNT_LIMIT", 3)
    for _ in range(3):
        making.event()
    assert "<h2>3 records</h2>" in get(viewer, "/history")
    making.event()
    assert "<h2>more than 3 records</h2>" in get(viewer, "/history")


def test_history_of_a_viewer_is_without_the_uploads_of_others(
    viewer: Client, reviewer: Client
) -> None:
    own = making.upload(owner=User.objects.get(username="viewer"))
    other = making.upload("badger", owner=User.objects.get(username="reviewer"))
    Label.objects.filter(name="badger").update(first_seen=timezone.now())
    event = making.event()
    assert set(keys(get(viewer, "/history"))) == {str(own.key), str(event.key)}
    assert str(other.key) in keys(get(reviewer, "/history"))
    assert "First seen today" not in get(viewer, "/history")
    assert "First seen today" in get(reviewer, "/history")


def test_history_of_many_finds_the_same_as_of_few(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        making.event("cat", score=number / 10)
        making.event("dog", score=number / 10, truth=making.label("cat"), verdict="corrected")
        making.event("dog", score=number / 10)

    def shown() -> str:
        page = get(viewer, "/history?label=cat&score_min=0.4")
        return re.sub(r'(name="csrfmiddlewaretoken") value="\w+"', r"\1", page)

    few = shown()
    assert "<h2>10 records</h2>" in few
    monkeypatch.setattr("edge_classifier.web.records.filters.COUNT_LIMIT", 3)
    assert shown().replace("more than 3 records", "10 records") == few


def some_events(source: str = "event") -> date:
    """Four cats at each of two cameras, a minute apart, the last one at noon of today: that day."""
    noon = timezone.localtime().replace(hour=12, minute=0, second=0, microsecond=0)
    for camera in ("front", "back"):
        for minute in range(4):
            at = noon - timedelta(minutes=minute)
            making.event("cat", camera=making.camera(camera), source=source, at=at)
    return noon.date()


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 8),
        ("camera=front", 4),
        ("label=cat", 8),
        ("label=cat&camera=front", 4),
        ("label=cat&kind=glimpsed", 8),
        ("label=cat&source=event", 8),
        ("since={today}", 8),
        ("label=cat&since={today}&until={today}", 8),
        ("since={yesterday}T01:00&until={today}&camera=front", 4),
    ],
)
def test_many_records_are_counted_by_the_tally(
    viewer: Client, monkeypatch: pytest.MonkeyPatch, query: str, count: int
) -> None:
    today = some_events("glimpse" if "glimpsed" in query else "event")
    address = f"/history?{query.format(today=today, yesterday=today - timedelta(days=1))}"
    found = keys(get(viewer, address))
    assert len(found) == count
    monkeypatch.setattr("edge_classifier.web.records.filters.COUNT_LIMIT", 3)
    # Not by reading them.
    monkeypatch.delattr(Filter, "_first_ids")
    page = get(viewer, address)
    assert "<h2>more than 3 records</h2>" in page
    assert keys(page) == found


def test_records_of_a_part_of_a_day_are_not_counted_by_the_tally(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_classifier.web.records.filters.COUNT_LIMIT", 3)
    day = some_events()
    for span in (f"since={day}T11:59", f"since={day}&until={day}T11:59"):
        page = get(viewer, f"/history?{span}&label=cat&camera=front")
        assert len(keys(page)) == 2
        assert "<h2>2 records</h2>" in page


def test_history_shows_what_text_from_outside_says_as_text(viewer: Client) -> None:
    making.event("<script>alert(1)</script>", camera=making.camera("<b>front"))
    page = get(viewer, "/history")
    assert "<script>alert" not in page
    assert "<b>front" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_history_has_no_inline_style(viewer: Client) -> None:
    making.event(picture=making.jpeg())
    page = get(viewer, "/history") + get(viewer, "/history/chart?part")
    assert 'class="plot"' in page
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src)", page)


def test_chart_is_a_page_of_its_own_without_script(viewer: Client) -> None:
    making.event("cat")
    making.event("dog")
    page = get(viewer, "/history/chart?label=cat")
    assert "cat: 1" in page
    assert "dog" not in page
    assert '/history?label=cat"' in page


def test_chart_of_a_wrong_filter_leads_to_what_is_wrong(viewer: Client) -> None:
    answer = viewer.get("/history/chart?source=dream")
    assert (answer.status_code, answer["Location"]) == (302, "/history?source=dream")


def test_history_names_labels_in_chinese(viewer: Client) -> None:
    making.event("cat")
    Label.objects.update(chinese="猫")
    viewer.cookies.load({"django_language": "zh-hans"})
    assert "猫</a>" in get(viewer, "/history")


def test_history_tells_labels_that_are_new_today(viewer: Client) -> None:
    now = timezone.now()
    for name, first in (("cat", now), ("dog", now - timedelta(days=2)), ("unknown", now)):
        making.event(name)
        Label.objects.filter(name=name).update(first_seen=first)
    line = re.search(r"First seen today.*?</p>", get(viewer, "/history"), re.DOTALL)
    assert line is not None
    assert re.findall(r">(\w+)</a>", line[0]) == ["cat"]


def test_chart_counts_each_day_by_the_true_label(db: None) -> None:
    day = timezone.localdate()
    making.event("cat")
    making.event("dog", verdict="corrected", truth=making.label("cat"))
    making.event("dog", verdict="rejected")
    making.event("dog", at=timezone.now() - timedelta(days=40))
    counts = history_chart.counts(Record.objects.all(), day - timedelta(days=29), day)
    names = {label.id: label.name for label in Label.objects.all()}
    named = {(on, names[label]): n for (on, label), n in counts.items()}
    assert named == {(day, "cat"): 2, (day, "dog"): 1}


def _chart(counts: dict[tuple[date, int], int], days: int = 30) -> history_chart.Chart:
    last = date(2026, 11, 22)
    labels = {number: Label(id=number, name=f"label {number}") for _, number in counts}
    totals = Counter[int]()
    for (_, number), count in counts.items():
        totals[number] += count
    shown = history_chart.most_seen(totals, labels)
    return history_chart.chart(counts, shown, "others", last - timedelta(days=days - 1), last)


def test_chart_puts_the_rare_labels_together() -> None:
    chart = _chart({(date(2026, 11, 22), number): 20 - number for number in range(10)})
    assert [one.total for one in chart.series] == [20, 19, 18, 17, 16, 15, 14 + 13 + 12 + 11]
    assert [one.name for one in chart.series[-2:]] == ["label 5", "others"]
    assert chart.bars[-1].counts == [20, 19, 18, 17, 16, 15, 50]


def test_chart_tells_each_day_in_words() -> None:
    days = {(date(2026, 11, 22), 0): 2, (date(2026, 11, 22), 1): 3, (date(2026, 11, 21), 0): 4}
    assert [bar.text for bar in _chart(days, 2).bars] == [
        "2026-11-21: label 0 4",
        "2026-11-22: label 0 2, label 1 3",
    ]


def test_chart_draws_each_part_upon_those_before() -> None:
    chart = _chart({(date(2026, 11, 22), 0): 3, (date(2026, 11, 22), 1): 2}, 1)
    assert [one.path for one in chart.series] == [
        "M10.00 40.00h80.00v60.00h-80.00z",
        "M10.00 0.00h80.00v40.00h-80.00z",
    ]


@given(
    st.dictionaries(
        st.tuples(
            st.integers(0, 29).map(lambda ago: date(2026, 11, 22) - timedelta(days=ago)),
            st.integers(0, 19),
        ),
        st.integers(1, 100_000),
    )
)
def test_chart_has_every_count_within_its_frame(counts: dict[tuple[date, int], int]) -> None:
    chart = _chart(counts)
    assert chart.total == sum(counts.values()) == sum(bar.total for bar in chart.bars)
    assert chart.total == sum(one.total for one in chart.series)
    assert (len(chart.bars), len(chart.lines) <= 5) == (30, True)
    for one in chart.series:
        for x, y, width, height in re.findall(
            r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z", one.path
        ):
            assert float(x) + float(width) <= 100
            assert float(y) + float(height) <= 100.02
    assert sum(one.path.count("M") for one in chart.series) == sum(
        1 for bar in chart.bars for count in bar.counts if count
    )


@pytest.mark.parametrize(
    ("most", "step", "end"),
    [
        (0, 1, 1),
        (1, 1, 1),
        (5, 1, 5),
        (6, 2, 6),
        (11, 5, 15),
        (26, 10, 30),
        (101, 50, 150),
        (4321, 1000, 5000),
    ],
)
def test_scale_ends_on_a_round_step_above_the_most(most: int, step: int, end: int) -> None:
    assert history_chart.scale(most) == (step, end)
