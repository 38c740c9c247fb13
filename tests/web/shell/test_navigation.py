"""The ways to all pages, and the theme."""

import pytest
from django.test import Client
from django.utils import translation

from edge_classifier.web.accounts.roles import AccessLevel
from edge_classifier.web.shell.navigation import entries

VIEWERS = ["Live", "History", "Models", "Classify"]
REVIEWERS = ["Live", "History", "Review", "Teach", "Models", "Classify"]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (AccessLevel.VISITOR, ["Classify"]),
        (AccessLevel.VIEWER, VIEWERS),
        (AccessLevel.REVIEWER, REVIEWERS),
        (AccessLevel.ADMINISTRATOR, [*REVIEWERS, "Notifications", "Accounts"]),
    ],
)
def test_pages_are_offered_to_those_who_may_see_them(
    role: AccessLevel, expected: list[str]
) -> None:
    with translation.override("en"):
        assert [str(entry.title) for entry in entries("/", role)] == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/live", {"live": "page"}),
        ("/live/pi/front", {"live": "true"}),
        ("/models/tokens", {"models": "true"}),
        ("/rollouts", {"models": "true"}),
        ("/rollouts/3", {"models": "true"}),
        ("/livestock", {}),
    ],
)
def test_page_that_is_shown_is_marked(path: str, expected: dict[str, str]) -> None:
    found = entries(path, AccessLevel.ADMINISTRATOR)
    assert {entry.name: entry.current for entry in found if entry.current} == expected


def test_theme_that_was_chosen_is_in_the_first_bytes_of_every_page(administrator: Client) -> None:
    assert "data-theme" not in administrator.get("/login").content.decode()
    answer = administrator.post("/theme", {"theme": "dark", "next": "/history?label=cat"})
    assert answer.headers["Location"] == "/history?label=cat"
    for path in ("/login", "/history", "/nothing"):
        assert '<html lang="en" data-theme="dark">' in administrator.get(path).content.decode()
    assert '<meta name="theme" content="dark">' in administrator.get("/admin/").content.decode()
    administrator.post("/theme", {"theme": ""})
    assert "data-theme" not in administrator.get("/login").content.decode()


def test_theme_that_there_is_not_is_none(visitor: Client) -> None:
    visitor.cookies["theme"] = '"><script>'
    assert "data-theme" not in visitor.get("/login").content.decode()
    visitor.post("/theme", {"theme": "pink"})
    assert visitor.cookies["theme"].value == ""


def test_theme_leads_to_no_other_site(visitor: Client) -> None:
    answer = visitor.post("/theme", {"theme": "dark", "next": "https://evil.example/"})
    assert answer.headers["Location"] == "/"
    cookie = visitor.cookies["theme"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")


@pytest.mark.parametrize("place", ["logout", "1,2,3", "[::", "a\nb", "\0"])
def test_theme_takes_no_text_for_the_name_of_a_page(visitor: Client, place: str) -> None:
    answer = visitor.post("/theme", {"theme": "dark", "next": place})
    assert answer.status_code == 302
    assert answer.headers["Location"] != "/logout"
