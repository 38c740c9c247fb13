"""The review page, with plain forms and as its script uses it."""

import re
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from edge_classifier.web.models import Record
from tests.web import making

_JSON = {"Accept": "application/json"}


def kept(record: Record) -> tuple[str, str | None]:
    found = Record.objects.select_related("truth").get(pk=record.pk)
    return found.verdict, found.truth.name if found.truth else None


def keys_of(page: str) -> list[str]:
    return re.findall(r'data-key="([^"]+)"', page)


def test_review_shows_the_most_uncertain_picture_and_hides_the_next(reviewer: Client) -> None:
    second = making.upload("dog", margin=0.4)
    first = making.upload("cat", margin=0.1)
    page = reviewer.get("/review").content.decode()
    assert keys_of(page) == [str(first.key), str(second.key)]
    assert page.count(" hidden data-key") == 1
    assert f'<img src="/pictures/{first.key}.jpg"' in page
    assert f'<img data-src="/pictures/{second.key}.jpg"' in page


def test_review_without_script_goes_on_to_the_next_and_offers_undo(reviewer: Client) -> None:
    first, second = making.upload("cat", margin=0.1), making.upload("cat", margin=0.2)
    answer = reviewer.post(f"/review/{first.key}", {"verdict": "confirmed"}, follow=True)
    assert kept(first) == ("confirmed", "cat")
    assert keys_of(answer.content.decode()) == [str(second.key)]
    reviewer.post("/review", {"undo": "1"})
    assert kept(first) == ("", None)


def test_review_button_of_a_label_chooses_it(reviewer: Client) -> None:
    record = making.upload("cat")
    reviewer.post(f"/review/{record.key}", {"choose": "dog"})
    assert kept(record) == ("corrected", "dog")


def test_review_keeps_the_choice_of_pictures(reviewer: Client) -> None:
    first = making.upload("cat", margin=0.1)
    making.upload("dog", margin=0.2)
    next_cat = making.upload("cat", margin=0.3)
    form = {"verdict": "rejected", "label": "cat"}
    page = reviewer.post(f"/review/{first.key}", form, follow=True).content.decode()
    assert keys_of(page) == [str(next_cat.key)]


def test_review_skipped_picture_comes_back_when_all_others_are_done(reviewer: Client) -> None:
    skipped = making.upload("cat", margin=0.1)
    page = reviewer.get(f"/review?after={skipped.key}").content.decode()
    assert keys_of(page) == []
    assert "Others wait that were skipped" in page
    assert keys_of(reviewer.get("/review").content.decode()) == [str(skipped.key)]


def test_review_bad_label_is_told_and_nothing_is_kept(reviewer: Client) -> None:
    record = making.upload("cat")
    form = {"verdict": "corrected", "truth": " "}
    page = reviewer.post(f"/review/{record.key}", form, follow=True).content.decode()
    assert "The true label is missing." in page
    assert keys_of(page)[0] == str(record.key)
    answer = reviewer.post(f"/review/{record.key}", form, headers=_JSON)
    assert (answer.status_code, answer.json()) == (400, {"problem": "The true label is missing."})
    assert kept(record) == ("", None)


def test_review_answers_a_script_in_json(reviewer: Client) -> None:
    record = making.upload("cat")
    form = {"verdict": "corrected", "truth": "dog"}
    answer = reviewer.post(f"/review/{record.key}", form, headers=_JSON)
    expected = {"key": str(record.key), "verdict": "corrected", "truth": "dog"}
    assert answer.json() == {**expected, "to_go": 0, "many": False, "reviewed": 1}


def test_answer_counts_what_waits_of_the_chosen_pictures_whoever_reviewed_the_others(
    reviewer: Client, administrator: Client
) -> None:
    first, second, third = (making.upload("cat", margin=n / 10) for n in range(3))
    making.upload("dog")
    administrator.post(f"/review/{second.key}", {"verdict": "rejected"}, headers=_JSON)
    form = {"verdict": "rejected", "label": "cat"}
    answer = reviewer.post(f"/review/{first.key}", form, headers=_JSON).json()
    assert (answer["to_go"], answer["reviewed"]) == (1, 1)
    form["verdict"] = ""
    answer = reviewer.post(f"/review/{first.key}", form, headers=_JSON).json()
    assert (answer["to_go"], answer["reviewed"]) == (2, 0)
    assert kept(third) == ("", None)


def test_review_more_pictures_come_without_the_page_around(reviewer: Client) -> None:
    records = [making.upload("cat", margin=n / 100) for n in range(15)]
    page = reviewer.get(f"/review?part=items&after={records[2].key}").content.decode()
    assert keys_of(page) == [str(one.key) for one in records[3:11]]
    assert "<html" not in page
    assert page.count(" hidden data-key") == 8


def test_review_link_to_a_record_shows_it_though_it_is_reviewed(reviewer: Client) -> None:
    record = making.upload("cat")
    reviewer.post(f"/review/{record.key}", {"verdict": "confirmed"})
    page = reviewer.get(f"/review?record={record.key}").content.decode()
    assert keys_of(page) == [str(record.key)]
    assert 'data-verdict="confirmed"' in page


@pytest.mark.parametrize(
    "query", ["after=x", f"after={UUID(int=23)}", "camera=x", "camera=99", "source=x", "record=x"]
)
def test_review_with_a_strange_query_is_a_page(reviewer: Client, query: str) -> None:
    making.upload("cat")
    assert reviewer.get(f"/review?{query}").status_code == 200


def test_review_label_is_escaped(reviewer: Client) -> None:
    making.upload("<script>alert(1)</script>")
    for path in ("/review", "/review?view=grid", "/review?label=<script>"):
        assert "<script>alert" not in reviewer.get(path).content.decode()


def test_grid_shows_one_label_and_confirms_what_is_ticked_at_once(reviewer: Client) -> None:
    cats = [making.upload("cat", margin=n / 10) for n in range(3)]
    dog = making.upload("dog", margin=0.9)
    page = reviewer.get("/review?view=grid").content.decode()
    assert "Taken for cat" in page
    assert str(dog.key) not in page
    form = {"key": [str(one.key) for one in cats[:2]], "verdict": "confirmed", "view": "grid"}
    answer = reviewer.post("/review", form, follow=True)
    assert "2 pictures reviewed" in answer.content.decode()
    assert [kept(one)[0] for one in (*cats, dog)] == ["confirmed", "confirmed", "", ""]
    reviewer.post("/review", {"undo": "1"})
    assert [kept(one)[0] for one in cats] == ["", "", ""]


def test_grid_switches_between_the_labels_that_wait(reviewer: Client) -> None:
    for number, name in enumerate(("cat", "dog", "dog")):
        making.upload(name, margin=number / 10)
    page = reviewer.get("/review?view=grid").content.decode()
    chips = page.split('class="chips"')[1].split("</nav>")[0]
    assert re.findall(r"label=([a-z]+)", chips) == ["dog", "cat"]
    assert re.findall(r'soft">(\d+)<', chips) == ["2", "1"]
    assert "Taken for dog" in reviewer.get("/review?view=grid&label=dog").content.decode()


def test_grid_of_the_surest_begins_with_them(reviewer: Client) -> None:
    cats = [making.upload("cat", margin=n / 10) for n in range(3)]
    page = reviewer.get("/review?view=grid&order=sure").content.decode()
    found = re.findall(r'name="key" value="([^"]+)"', page)
    assert found == [str(one.key) for one in reversed(cats)]


@pytest.mark.parametrize("keys", [[], ["x"], ["../../etc"]])
def test_grid_without_a_record_reviews_nothing(reviewer: Client, keys: list[str]) -> None:
    record = making.upload("cat")
    answer = reviewer.post("/review", {"key": keys, "verdict": "confirmed"}, follow=True)
    assert answer.status_code == 200
    assert kept(record) == ("", None)


@pytest.mark.parametrize("form", [{"verdict": "x"}, {}, {"verdict": "corrected"}])
def test_grid_with_a_strange_verdict_is_told_what_is_wrong(
    reviewer: Client, form: dict[str, str]
) -> None:
    record = making.upload("cat")
    answer = reviewer.post("/review", {"key": str(record.key), **form}, follow=True)
    assert 'class="message error"' in answer.content.decode()
    assert kept(record) == ("", None)


@pytest.mark.parametrize("path", ["/review", "/review?view=grid"])
def test_review_costs_the_same_queries_for_many_records(reviewer: Client, path: str) -> None:
    making.upload("cat", top=[["cat", 0.5], ["dog", 0.3]])
    reviewer.get(path)
    with CaptureQueriesContext(connection) as few:
        reviewer.get(path)
    for number in range(20):
        making.upload("cat", top=[["cat", 0.5], [f"label {number}", 0.3]])
    with CaptureQueriesContext(connection) as many:
        reviewer.get(path)
    assert len(many) == len(few) <= 14


def test_review_verdicts_are_for_reviewers(viewer: Client, visitor: Client) -> None:
    record = making.upload("cat")
    for client, status in ((viewer, 403), (visitor, 302)):
        form = {"verdict": "confirmed", "key": str(record.key)}
        assert client.post(f"/review/{record.key}", form).status_code == status
        assert client.post("/review", form).status_code == status
    assert kept(record) == ("", None)


def test_review_needs_the_token_of_a_form(reviewer: Client) -> None:
    record = making.upload("cat")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = reviewer.cookies
    answer = strict.post(f"/review/{record.key}", {"verdict": "confirmed"})
    assert answer.status_code == 403
    assert kept(record) == ("", None)


def test_page_tells_how_long_the_label_stayed_and_where_it_was(reviewer: Client) -> None:
    told = {"path": ["animal", "cat"], "box": [0.25, 0.5, 0.5, 0.25]}
    making.event("cat", duration_s=12.5, picture=making.jpeg(), detail=told)
    body = reviewer.get("/review").content.decode()
    assert "· 12 s ·" in body
    assert '<rect x="16.0" y="24.0" width="32.0" height="12.0"/>' in body
    assert '<input type="hidden" name="shown" value="cat">' in body
