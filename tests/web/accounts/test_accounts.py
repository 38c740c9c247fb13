"""Logging in and out, guessing passwords, changing them, and how long a login lasts."""

from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from edge_classifier.web.models import User
from tests.web.conftest import PASSWORD, SETTINGS

ATTEMPTS = SETTINGS.access.login_attempts
WAIT = timedelta(minutes=SETTINGS.access.login_wait_minutes)
DAY = timedelta(days=1)


@pytest.fixture
def anna(db: None) -> User:
    """A viewer."""
    return User.objects.create_user("anna", password=PASSWORD)


def log_in(
    client: Client, name: str = "anna", password: str = PASSWORD, address: str = "192.0.2.1"
) -> int:
    form = {"username": name, "password": password}
    return client.post("/login", form, REMOTE_ADDR=address).status_code


def guess(client: Client, times: int = ATTEMPTS, **where: str) -> None:
    for _ in range(times):
        log_in(client, password="wrong", **where)  # noqa: S106 (it is)


def shifted(client: Client, by: timedelta) -> None:
    """As if the session had been made and used ``by`` earlier."""
    session = client.session
    if "renewed_at" in session:
        session["renewed_at"] -= by.total_seconds()
    session.save()
    found = Session.objects.filter(session_key=session.session_key)
    found.update(expire_date=found.get().expire_date - by)


def test_login_with_the_password_leads_where_one_wanted_to_go(anna: User, visitor: Client) -> None:
    assert visitor.get("/live").headers["Location"] == "/login?next=/live"
    form = {"username": "anna", "password": PASSWORD, "next": "/live"}
    assert visitor.post("/login", form).headers["Location"] == "/live"
    assert visitor.session["_auth_user_id"] == str(anna.pk)


@pytest.mark.parametrize(
    "place",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "javascript:alert(1)",
        "http:evil.example",
        "\x08//evil.example",
    ],
)
def test_login_leads_to_no_other_site(anna: User, visitor: Client, place: str) -> None:
    form = {"username": "anna", "password": PASSWORD, "next": place}
    assert visitor.post("/login", form).headers["Location"] == "/"
    visitor.logout()
    # The page of the language takes a place to go to as well.
    answer = visitor.post("/i18n/setlang/", {"language": "zh-hans", "next": place})
    assert "evil" not in answer.headers["Location"]
    assert "javascript" not in answer.headers["Location"]


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong"), ("nobody", PASSWORD)])
def test_login_that_fails_does_not_say_which_of_the_two_was_wrong(
    anna: User, visitor: Client, name: str, password: str
) -> None:
    page = visitor.post("/login", {"username": name, "password": password})
    assert page.status_code == 200
    assert "Name or password is wrong." in page.content.decode()
    assert "sessionid" not in visitor.cookies


def test_login_of_somebody_who_was_shut_out_fails(anna: User, visitor: Client) -> None:
    visitor.force_login(anna)
    assert visitor.get("/password").status_code == 200
    anna.is_active = False
    anna.save()
    assert visitor.get("/password").status_code == 302
    assert log_in(Client()) == 200


def test_guessing_is_stopped_even_if_the_last_guess_is_right(anna: User, visitor: Client) -> None:
    guess(visitor)
    page = visitor.post(
        "/login", {"username": "anna", "password": PASSWORD}, REMOTE_ADDR="192.0.2.1"
    )
    assert page.status_code == 429
    assert "Try again in 15 minutes." in page.content.decode()
    assert int(page.headers["Retry-After"]) == pytest.approx(WAIT.total_seconds(), abs=30)
    assert "_auth_user_id" not in visitor.session


@pytest.mark.parametrize(
    "where",
    [{"name": "bert", "address": "192.0.2.1"}, {"name": "anna", "address": "192.0.2.2"}],
)
def test_guessing_stops_nobody_else(anna: User, visitor: Client, where: dict[str, str]) -> None:
    User.objects.create_user("bert", password=PASSWORD)
    guess(visitor)
    assert log_in(visitor, **where) == 302


def test_guessing_from_the_addresses_of_one_ipv6_network_is_one_guessing(
    anna: User, visitor: Client
) -> None:
    for number in range(ATTEMPTS):
        guess(visitor, 1, address=f"2001:db8:0:1::{number:x}")
    assert log_in(visitor, address="2001:db8:0:1:ffff::1") == 429
    assert log_in(visitor, address="2001:db8:0:2::1") == 302


def test_guessing_slowly_is_forgotten_and_so_is_what_was_mistyped_before_a_login(
    anna: User, visitor: Client
) -> None:
    guess(visitor, ATTEMPTS - 1)
    assert log_in(visitor) == 302
    guess(Client(), ATTEMPTS - 1)
    assert log_in(Client()) == 302


def test_waiting_as_long_as_was_told_is_enough(anna: User, visitor: Client) -> None:
    guess(visitor)
    # Trying does not make it longer.
    assert log_in(visitor) == 429
    early = WAIT - timedelta(minutes=2)
    AccessAttempt.objects.update(attempt_time=timezone.now() - early)
    page = visitor.post(
        "/login", {"username": "anna", "password": PASSWORD}, REMOTE_ADDR="192.0.2.1"
    )
    assert page.status_code == 429
    assert "Try again in 2 minutes." in page.content.decode()
    AccessAttempt.objects.update(attempt_time=timezone.now() - WAIT - timedelta(seconds=1))
    assert log_in(visitor) == 302


def test_guesses_are_kept_without_passwords_and_names_out_of_the_form(
    anna: User, visitor: Client
) -> None:
    guess(visitor, 1)
    row = AccessAttempt.objects.get()
    assert "wrong" not in f"{row.post_data}{row.get_data}"


def test_logout_is_for_a_click_on_the_page_only(anna: User, visitor: Client) -> None:
    visitor.force_login(anna)
    assert visitor.get("/logout").status_code == 405
    assert "_auth_user_id" in visitor.session
    assert visitor.post("/logout").headers["Location"] == "/login"
    assert "_auth_user_id" not in visitor.session


def test_password_is_changed_by_whoever_knows_it_and_other_logins_end(
    anna: User, visitor: Client
) -> None:
    visitor.force_login(anna)
    elsewhere = Client()
    elsewhere.force_login(anna)
    new = "another horse entirely"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    page = visitor.post("/password", form, follow=True)
    assert "Your password has been changed." in page.content.decode()
    assert visitor.get("/password").status_code == 200
    assert elsewhere.get("/password").status_code == 302
    assert log_in(Client(), password=new) == 302


@pytest.mark.parametrize(
    ("old", "new", "again", "said"),
    [
        ("wrong", "another horse entirely", "another horse entirely", "old password"),
        (PASSWORD, "short", "short", "too short"),
        (PASSWORD, "12345678901", "12345678901", "entirely numeric"),
        (PASSWORD, "password123", "password123", "too common"),
        (PASSWORD, "annaanna", "annaanna", "too similar"),
        (PASSWORD, "another horse entirely", "another horse", "match"),
    ],
)
def test_password_that_is_not_good_enough_is_refused_with_the_reason(
    anna: User, visitor: Client, old: str, new: str, again: str, said: str
) -> None:
    visitor.force_login(anna)
    form = {"old_password": old, "new_password1": new, "new_password2": again}
    assert said in visitor.post("/password", form).content.decode()
    anna.refresh_from_db()
    assert anna.check_password(PASSWORD)


def test_session_ends_after_the_days_without_a_visit(anna: User, visitor: Client) -> None:
    visitor.force_login(anna)
    visitor.get("/password")
    shifted(visitor, timedelta(days=SETTINGS.access.session_days) - DAY / 24)
    assert visitor.get("/password").status_code == 200
    # That visit put the end off again.
    shifted(visitor, timedelta(days=SETTINGS.access.session_days) - DAY / 24)
    assert visitor.get("/password").status_code == 200
    shifted(visitor, timedelta(days=SETTINGS.access.session_days) + DAY / 24)
    assert visitor.get("/password").status_code == 302


def test_session_is_written_once_a_day_and_not_with_each_page(anna: User, visitor: Client) -> None:
    visitor.force_login(anna)
    first = visitor.get("/password")
    assert first.cookies["sessionid"]["max-age"] == settings.SESSION_COOKIE_AGE
    with CaptureQueriesContext(connection) as asked:
        assert "sessionid" not in visitor.get("/password").cookies
    assert not [query for query in asked if not query["sql"].startswith("SELECT")]
    shifted(visitor, DAY + timedelta(minutes=1))
    assert "sessionid" in visitor.get("/password").cookies


def test_visitor_without_an_account_gets_no_session_for_looking(visitor: Client) -> None:
    visitor.get("/login")
    assert "sessionid" not in visitor.cookies
    assert Session.objects.count() == 0


def test_session_key_is_another_one_after_login(anna: User, visitor: Client) -> None:
    session = visitor.session
    session["own_records"] = []
    session.save()
    before = session.session_key
    assert log_in(visitor) == 302
    assert visitor.session.session_key != before


@pytest.mark.parametrize("page", ["/login", "/password"])
def test_pages_of_accounts_are_in_the_readers_language(
    anna: User, visitor: Client, page: str
) -> None:
    visitor.force_login(anna)
    visitor.post("/i18n/setlang/", {"language": "zh-hans", "next": "/"})
    assert '<html lang="zh-hans">' in visitor.get(page).content.decode()
