"""Pictures that look alike are one pile of the review, which one verdict files."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from edge_classifier.web.lookalikes import piles
from edge_classifier.web.models import PictureCode, Record
from edge_classifier.web.review import verdicts
from tests.web import making
from tests.web.lookalikes.looks import picture, seen_before

_JSON = {"Accept": "application/json"}


def event(pile: int, number: int, **facts: Any) -> Record:
    """One whose picture lies on a pile, the more uncertain the smaller its ``number``."""
    record = making.event(picture=picture(pile, number), margin=number / 1000, **facts)
    PictureCode.objects.create(picture=record.picture, base="b", code=b"", pile=pile)
    return record


def shown(page: str) -> list[list[str]]:
    """The keys of each pile on the page."""
    items = page.split("<article")[1:]
    return [re.findall(r'data-key="([^"]+)"|name="key" value="([^"]+)"', one) for one in items]


def keys_shown(page: str) -> list[list[str]]:
    return [["".join(pair) for pair in one] for one in shown(page)]


def keys(*records: Record) -> list[str]:
    return [str(one.key) for one in records]


def verdicts_of(*records: Record) -> list[str]:
    return [Record.objects.get(pk=one.pk).verdict for one in records]


def test_queue_shows_a_pile_where_its_first_one_stands(reviewer: Client) -> None:
    seen_before("cat")
    first, other, second, third = event(1, 1), event(2, 2), event(1, 3), event(1, 4)
    alone = making.upload(margin=0.9)
    page = reviewer.get("/review").content.decode()
    expected = [keys(first, second, third), keys(other), keys(alone)]
    assert keys_shown(page) == expected
    assert "and 2 that look alike" in page


def test_pile_is_of_one_label_only_and_of_what_is_filtered(reviewer: Client) -> None:
    seen_before("cat", "dog")
    cat, dog, another = event(1, 1, name="cat"), event(1, 2, name="dog"), event(1, 3, name="cat")
    page = reviewer.get("/review").content.decode()
    assert keys_shown(page) == [keys(cat, another), keys(dog)]
    page = reviewer.get("/review?label=dog").content.decode()
    assert keys_shown(page) == [keys(dog)]


def test_skipped_pile_does_not_come_again_by_one_of_its_others(reviewer: Client) -> None:
    first, other, _second = event(1, 1), event(2, 2), event(1, 3)
    page = reviewer.get(f"/review?part=items&after={first.key}").content.decode()
    assert keys_shown(page) == [keys(other)]


def test_look_alikes_are_the_largest_piles_first_and_none_of_one(reviewer: Client) -> None:
    small, large = [event(1, n) for n in range(2)], [event(2, 10 + n) for n in range(3)]
    event(3, 20)
    making.upload()
    page = reviewer.get("/review?view=piles").content.decode()
    assert keys_shown(page) == [keys(*large), keys(*small)]
    form = {"verdict": "rejected", "view": "piles", "key": keys(*large[1:])}
    page = reviewer.post(f"/review/{large[0].key}", form, follow=True).content.decode()
    assert keys_shown(page) == [keys(*small)]
    assert verdicts_of(*large) == 3 * ["rejected"]


def test_one_verdict_files_the_pile_and_what_is_not_ticked_waits_on(reviewer: Client) -> None:
    first, second, third = (event(1, n) for n in range(3))
    form = {"verdict": "confirmed", "shown": "cat", "key": keys(second)}
    answer = reviewer.post(f"/review/{first.key}", form, headers=_JSON)
    assert answer.json()["verdict"] == "confirmed"
    assert verdicts_of(first, second, third) == ["confirmed", "confirmed", ""]
    assert keys_shown(reviewer.get("/review").content.decode()) == [keys(third)]


def test_undo_without_script_takes_the_whole_pile_back(reviewer: Client) -> None:
    records = [event(1, n) for n in range(3)]
    form = {"choose": "dog", "key": keys(*records[1:])}
    reviewer.post(f"/review/{records[0].key}", form)
    assert verdicts_of(*records) == 3 * ["corrected"]
    reviewer.post("/review", {"undo": "1"})
    assert verdicts_of(*records) == 3 * [""]


def test_wrong_verdict_on_a_pile_changes_none_of_it(reviewer: Client) -> None:
    records = [event(1, n) for n in range(3)]
    form = {"verdict": "corrected", "truth": "", "key": keys(*records[1:])}
    assert reviewer.post(f"/review/{records[0].key}", form, headers=_JSON).status_code == 400
    assert verdicts_of(*records) == 3 * [""]


@pytest.mark.parametrize("given", ["nonsense", "00000000-0000-0000-0000-000000000000"])
def test_key_that_is_none_files_nothing_else(reviewer: Client, given: str) -> None:
    first, second = event(1, 1), event(1, 2)
    form = {"verdict": "rejected", "key": given}
    assert reviewer.post(f"/review/{first.key}", form, headers=_JSON).status_code == 200
    assert verdicts_of(first, second) == ["rejected", ""]


def test_grid_shows_those_that_look_alike_together(reviewer: Client) -> None:
    event(1, 1)
    event(2, 2)
    event(1, 3)
    page = reviewer.get("/review?view=grid").content.decode()
    assert page.count('name="key"') == 3
    assert page.count('<li class="pile">') == 1
    assert "1 more alike" in page


def test_large_pile_comes_in_parts_until_all_of_it_was_there(db: None) -> None:
    records = [event(1, n) for n in range(2 * piles.MOST + 5)]
    last = event(2, 999)
    wait = verdicts.queue(Record.objects.all())
    found = piles.next_piles(wait, None, 12)
    assert [1 + len(one.others) for one in found] == [piles.MOST, piles.MOST, 5, 1]
    assert found[-1].first == last
    # Behind one that was skipped there is nothing of its own part.
    found = piles.next_piles(wait, records[0], 12)
    assert [1 + len(one.others) for one in found] == [piles.MOST, 5, 1]


def test_queue_of_many_piles_is_read_on_until_the_page_is_full(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piles, "_STEP", 3)
    for number in range(12):
        event(1, number)
    others = [event(n, 100 + n) for n in range(2, 4)]
    found = piles.next_piles(verdicts.queue(Record.objects.all()), None, 3)
    assert [one.first for one in found[1:]] == others


def test_review_asks_no_more_with_more_and_larger_piles(reviewer: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            reviewer.get("/review")
        return len(queries)

    for number in range(4):
        event(1 + number // 2, number)
    # The first visit notes when it was, too.
    asked()
    few = asked()
    for number in range(4, 80):
        event(1 + number // 5, number)
    assert asked() <= few <= 12


def test_largest_piles_go_on_behind_the_one_that_was_shown_last(
    reviewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_classifier.web.review.views._AT_ONCE", 2)
    of_sizes = {size: [event(size, 10 * size + n) for n in range(size)] for size in (5, 4, 3, 2)}
    begins = [str(of_sizes[size][0].key) for size in (5, 4, 3, 2)]
    page = reviewer.get("/review?view=piles").content.decode()
    assert re.findall(r'data-key="([^"]+)"', page) == begins[:2]
    # Without JavaScript the link to skip one leads there, too.
    assert f"view=piles&amp;after={begins[0]}" in page
    rest = reviewer.get(f"/review?view=piles&part=items&after={begins[1]}").content.decode()
    assert re.findall(r'data-key="([^"]+)"', rest) == begins[2:]


def test_smaller_piles_come_when_the_largest_have_been_judged(
    reviewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piles, "_PILES", 2)
    for size in (6, 5):
        for number in range(size):
            event(size, 10 * size + number, verdict="rejected")
    # One of four of which two wait, and one of three.
    few = [event(4, n, verdict="rejected" if n < 2 else "") for n in range(4)][2:]
    three = [event(3, 40 + n) for n in range(3)]
    page = reviewer.get("/review?view=piles").content.decode()
    assert keys_shown(page) == [keys(*three), keys(*few)]
    monkeypatch.setattr("edge_classifier.web.review.views._AT_ONCE", 1)
    page = reviewer.get("/review?view=piles").content.decode()
    assert keys_shown(page) == [keys(*three)]
    page = reviewer.get(f"/review?view=piles&after={three[0].key}").content.decode()
    assert keys_shown(page) == [keys(*few)]
