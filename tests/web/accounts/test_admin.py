"""The administration: every table can be looked at, quickly, and deletion leaves nothing behind."""

from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib import admin
from django.core.files.storage import default_storage
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from edge_classifier.web.accounts import tokens
from edge_classifier.web.models import (
    Camera,
    Comparison,
    EventPicture,
    Label,
    Picture,
    Preference,
    Record,
    Token,
    User,
)
from edge_classifier.web.records import picture_storage
from tests.web import making
from tests.web.conftest import PASSWORD
from tests.web.serving import Page, prepare

OURS = (Camera, Comparison, EventPicture, Label, Picture, Preference, Record, Token, User)


def rows(count: int, start: int = 0) -> None:
    """``count`` more rows in every table, each with its own neighbours."""
    for number in range(start, start + count):
        user = User.objects.create_user(f"user{number}", password=PASSWORD)
        record = making.event(
            f"label{number}",
            camera=making.camera(f"camera{number}"),
            picture=making.jpeg((number, 0, 0)),
            owner=user,
        )
        EventPicture.objects.create(key=making.event().key, picture=record.picture)
        Comparison.objects.create(model=f"model{number}", pictures=4, hits=3)
        Preference.objects.create(name=f"name{number}", value="x")
        tokens.make(user, f"token{number}")
        AccessAttempt.objects.create(username=user.username, failures_since_start=1)


def address(model: type[models.Model], what: str = "changelist", *args: object) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{what}", args=args)


def test_every_table_of_the_page_is_there(db: None) -> None:
    assert set(OURS) <= set(admin.site._registry)


@pytest.mark.parametrize("model", [*OURS, AccessAttempt])
def test_list_asks_as_much_for_many_rows_as_for_few(
    administrator: Client, model: type[models.Model]
) -> None:
    asked = []
    administrator.get(address(model))  # The first page of a day puts off the end of the session.
    for number in range(2):
        rows(4 + 16 * number, 100 * number)
        with CaptureQueriesContext(connection) as queries:
            page = administrator.get(address(model))
        assert page.status_code == 200
        asked.append(len(queries))
    assert asked[0] == asked[1]
    assert asked[0] < 12


@pytest.mark.parametrize("model", [*OURS, AccessAttempt])
def test_row_is_shown(administrator: Client, model: type[models.Model]) -> None:
    rows(2)
    row = model._default_manager.last()
    assert row
    assert administrator.get(address(model, "change", row.pk)).status_code == 200


@pytest.mark.parametrize("model", [*OURS, AccessAttempt])
def test_row_can_be_made_of_people_and_labels_only(
    administrator: Client, model: type[models.Model]
) -> None:
    expected = 200 if model in (User, Label) else 403
    assert administrator.get(address(model, "add")).status_code == expected


def test_list_of_records_is_filtered_and_searched(administrator: Client) -> None:
    making.event("cat")
    making.upload("dog", verdict="confirmed")
    for query, seen in (
        ("q=cat", "cat"),
        ("source__exact=upload", "dog"),
        ("verdict__exact=confirmed", "dog"),
    ):
        page = administrator.get(f"{address(Record)}?{query}").content.decode()
        assert "1 record" in page
        assert seen in page


def test_record_that_is_deleted_takes_its_files_along(administrator: Client) -> None:
    one, other = making.upload("cat", picture=making.jpeg((1, 2, 3))), making.upload("dog")
    name = picture_storage.picture_name(one.picture.sha256)
    assert default_storage.exists(name)
    administrator.post(address(Record, "delete", one.pk), {"post": "yes"})
    assert not default_storage.exists(name)
    assert list(Record.objects.all()) == [other]


def test_records_that_are_deleted_together_take_their_files_along(administrator: Client) -> None:
    made = [making.upload("cat", picture=making.jpeg((1, 2, number))) for number in range(3)]
    form = {"action": "delete_selected", "_selected_action": [row.pk for row in made[:2]]}
    administrator.post(address(Record), {**form, "post": "yes"})
    assert list(Record.objects.all()) == made[2:]
    there = [
        default_storage.exists(picture_storage.picture_name(row.picture.sha256)) for row in made
    ]
    assert there == [False, False, True]


@pytest.mark.parametrize("model", [Picture, EventPicture])
def test_picture_is_not_deleted_without_its_record(
    administrator: Client, model: type[models.Model]
) -> None:
    rows(1)
    row = model._default_manager.get()
    answer = administrator.post(address(model, "delete", row.pk), {"post": "yes"})
    assert answer.status_code == 403
    assert model._default_manager.count() == 1


def test_record_is_reviewed_and_its_facts_stay(administrator: Client) -> None:
    record = making.event("cat", score=0.4)
    dog = making.label("dog")
    form = {"verdict": "corrected", "truth": dog.pk, "score": 1, "label": dog.pk, "model": "x"}
    assert administrator.post(address(Record, "change", record.pk), form).status_code == 302
    record.refresh_from_db()
    assert (record.verdict, record.truth) == ("corrected", dog)
    assert record.reviewer.username == "administrator"
    assert record.reviewed_at
    assert (record.label.name, record.score, record.model) == ("cat", 0.4, "test@00000000")


def test_review_that_cannot_be_meant_is_refused_in_words(administrator: Client) -> None:
    record = making.event("cat")
    page = administrator.post(address(Record, "change", record.pk), {"verdict": "corrected"})
    assert page.status_code == 200
    assert "The true label is missing." in page.content.decode()
    record.refresh_from_db()
    assert record.verdict == ""


def test_secret_of_a_token_is_nowhere_and_without_its_row_it_opens_nothing(
    administrator: Client,
) -> None:
    token, secret = tokens.make(User.objects.get(), "script")
    pages = [
        administrator.get(address(Token)),
        administrator.get(address(Token, "change", token.pk)),
    ]
    for page in pages:
        assert "script" in page.content.decode()
        assert secret not in page.content.decode()
        assert token.digest not in page.content.decode()
    administrator.post(address(Token, "delete", token.pk), {"post": "yes"})
    assert tokens.user_of(secret) is None


def test_person_is_made_with_a_role_and_can_log_in(administrator: Client) -> None:
    form = {"username": "rita", "role": "reviewer", "password1": PASSWORD, "password2": PASSWORD}
    assert administrator.post(address(User, "add"), form).status_code == 302
    user = User.objects.get(username="rita")
    assert (user.role, user.is_staff, user.check_password(PASSWORD)) == ("reviewer", False, True)


def test_person_with_a_weak_password_is_not_made(administrator: Client) -> None:
    form = {"username": "rita", "role": "viewer", "password1": "12345", "password2": "12345"}
    assert "too short" in administrator.post(address(User, "add"), form).content.decode()


def test_role_of_a_person_is_changed_and_rights_with_it(administrator: Client) -> None:
    user = User.objects.create_user("rita", password=PASSWORD)
    form = {"username": "rita", "role": "administrator", "is_active": "on", "first_name": "Rita"}
    assert administrator.post(address(User, "change", user.pk), form).status_code == 302
    client = Client()
    client.force_login(User.objects.get(username="rita"))
    assert client.get("/admin/").status_code == 200


def test_person_has_no_second_way_to_rights(administrator: Client) -> None:
    page = administrator.get(address(User, "change", User.objects.get().pk)).content.decode()
    for name in ("is_superuser", "is_staff", "groups", "user_permissions"):
        assert f'name="{name}"' not in page
    user = User.objects.create_user("rita", password=PASSWORD)
    form = {"username": "rita", "role": "viewer", "is_active": "on", "is_superuser": "on"}
    administrator.post(address(User, "change", user.pk), form)
    user.refresh_from_db()
    assert not user.is_superuser


def test_wrong_passwords_are_forgiven_by_deleting_their_row(administrator: Client) -> None:
    User.objects.create_user("rita", password=PASSWORD)
    for _ in range(5):
        Client().post("/login", {"username": "rita", "password": "wrong"})
    form = {"username": "rita", "password": PASSWORD}
    assert Client().post("/login", form).status_code == 429
    row = AccessAttempt.objects.get(username="rita")
    administrator.post(address(AccessAttempt, "delete", row.pk), {"post": "yes"})
    assert Client().post("/login", form).status_code == 302


def test_login_of_the_administration_is_that_of_the_page(visitor: Client) -> None:
    answer = visitor.get("/admin/web/user/", follow=True)
    assert answer.redirect_chain[-1][0] == "/login?next=/admin/web/user/"
    assert visitor.post("/admin/login/", {"username": "a", "password": "b"}).status_code == 302
    assert AccessAttempt.objects.count() == 0


def test_administration_speaks_chinese(administrator: Client) -> None:
    administrator.post("/i18n/setlang/", {"language": "zh-hans", "next": "/"})
    page = administrator.get(address(Record)).content.decode()
    assert 'lang="zh-hans"' in page
    assert "搜索" in page


def test_administration_works_in_a_browser_under_the_content_security_policy(
    tmp_path: Path, browser: Any
) -> None:
    prepare(tmp_path, "anna")
    complaints: list[str] = []
    with Page(tmp_path) as running, browser.new_context() as context:
        tab = context.new_page()
        tab.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(f"{running.address}/admin/")
        tab.fill("#id_username", "anna")
        tab.fill("#id_password", PASSWORD)
        tab.click("main button.primary")
        for path in ("", "web/record/", "web/user/", "web/user/add/", "web/user/1/change/"):
            assert tab.goto(f"{running.address}/admin/{path}").status == 200
        # Scripts and styles did what they are for: a password's field, and the page's colours.
        assert tab.locator("a", has_text="Reset password").count() == 1
        colour = tab.evaluate("getComputedStyle(document.getElementById('header')).backgroundColor")
        assert colour == "rgb(11, 110, 79)"
        tab.goto(running.address)
        tab.click(".menu summary")
        tab.click("text=Dark")
        tab.goto(f"{running.address}/admin/")
        assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    assert [text for text in complaints if not text.startswith("info: ")] == []
