"""Tokens: made once, known by their digest, seen and revoked by their owner only."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from edge_classifier.web.accounts import tokens
from edge_classifier.web.accounts.views import MOST_TOKENS
from edge_classifier.web.models import Token, User


@pytest.fixture
def ann(db: None) -> User:
    """Somebody who may look."""
    return User.objects.create_user("ann")


def test_token_lets_its_user_in_and_is_kept_as_a_digest_only(ann: User) -> None:
    made, secret = tokens.make(ann, "doorbell")
    assert tokens.user_of(secret) == ann
    row = Token.objects.filter(pk=made.pk).values().get()
    assert secret not in str(row)
    assert len(secret) >= 40


@pytest.mark.parametrize("wrong", ["", "edge_", "edge_\0", "x" * 100_000, "edge_\u6d53"])
def test_token_that_is_wrong_lets_nobody_in(ann: User, wrong: str) -> None:
    tokens.make(ann, "doorbell")
    assert tokens.user_of(wrong) is None


def test_digest_is_no_token(ann: User) -> None:
    made, _ = tokens.make(ann, "doorbell")
    assert tokens.user_of(made.digest) is None


def test_token_of_somebody_who_may_not_log_in_lets_nobody_in(ann: User) -> None:
    _, secret = tokens.make(ann, "doorbell")
    User.objects.filter(pk=ann.pk).update(is_active=False)
    assert tokens.user_of(secret) is None


def test_last_use_is_noted_once_a_minute(ann: User) -> None:
    made, secret = tokens.make(ann, "doorbell")
    began = timezone.now()
    for after_s, noted_s in ((0, 0), (59, 0), (60, 60), (61, 60), (200, 200)):
        tokens.user_of(secret, began + timedelta(seconds=after_s))
        made.refresh_from_db()
        assert made.used_at == began + timedelta(seconds=noted_s)


def test_last_use_that_cannot_be_noted_stops_nobody(
    transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    ann = User.objects.create_user("ann")
    _, secret = tokens.make(ann, "doorbell")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
        try:
            assert tokens.user_of(secret) == ann
        finally:
            cursor.execute("PRAGMA query_only = OFF")
    assert "could not be noted" in caplog.text


def secret_in(page: str) -> str:
    found = re.search(r'value="(edge_[^"]+)"', page)
    assert found, page
    return found[1]


def test_page_shows_a_new_token_once(viewer: Client) -> None:
    made = viewer.post("/tokens/make", {"name": "doorbell"})
    secret = secret_in(made.content.decode())
    assert tokens.user_of(secret) == User.objects.get(username="viewer")
    assert "no-store" in made["Cache-Control"]
    later = viewer.get("/tokens").content.decode()
    assert "doorbell" in later
    assert secret not in later


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "a\0b"])
def test_page_refuses_a_name_that_is_none(viewer: Client, name: str) -> None:
    answer = viewer.post("/tokens/make", {"name": name})
    assert "errorlist" in answer.content.decode()
    assert not Token.objects.exists()


def test_page_escapes_names(viewer: Client) -> None:
    answer = viewer.post("/tokens/make", {"name": "<script>alert(1)</script>"})
    assert "<script>alert" not in answer.content.decode()


def test_page_makes_no_more_than_it_can_show(viewer: Client) -> None:
    owner = User.objects.get(username="viewer")
    for number in range(MOST_TOKENS):
        tokens.make(owner, str(number))
    answer = viewer.post("/tokens/make", {"name": "one more"})
    assert "errorlist" in answer.content.decode()
    assert owner.tokens.count() == MOST_TOKENS


def test_revoked_token_lets_nobody_in(viewer: Client) -> None:
    made, secret = tokens.make(User.objects.get(username="viewer"), "doorbell")
    assert viewer.post(f"/tokens/{made.pk}/revoke").status_code == 302
    assert tokens.user_of(secret) is None


def test_token_of_somebody_else_is_not_shown_and_not_revoked(
    reviewer: Client, administrator: Client, ann: User
) -> None:
    made, secret = tokens.make(ann, "doorbell")
    for client in (reviewer, administrator):
        assert "doorbell" not in client.get("/tokens").content.decode()
        assert client.post(f"/tokens/{made.pk}/revoke").status_code == 404
    assert tokens.user_of(secret) == ann


def test_visitor_is_asked_to_log_in(visitor: Client) -> None:
    for answer in (visitor.get("/tokens"), visitor.post("/tokens/make", {"name": "a"})):
        assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/login")
    assert not Token.objects.exists()


def test_tokens_need_a_csrf_token(viewer: Client) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = viewer.cookies
    assert browser.post("/tokens/make", {"name": "a"}).status_code == 403
    assert not Token.objects.exists()
